"""Attacks on pgiostat from outside, run as a whole by `make attack`.

Each module of this package is one line of attack. Its `attack(scale)` tries every instance it
knows and returns an Outcome: the table for docs/trust.md, and what failed. The tests beside this
package check single values; an attack checks the whole cross product.
"""

from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Outcome", "Scale"]


@dataclass(frozen=True, slots=True)
class Scale:
    """How much an attack tries.

    Attributes:
        quick: The shortened form: it must end within a minute per attack on a slow machine.
        versions: Major versions of PostgreSQL to attack on, ascending. The quick form has the
            oldest and the newest that are at hand.
        scratch: An empty directory of the attack's own. Servers' users may enter it.
    """

    quick: bool
    versions: tuple[int, ...]
    scratch: Path


@dataclass(slots=True)
class Outcome:
    """What an attack tried and what came of it.

    Attributes:
        title: The heading of its table in docs/trust.md.
        tried: One sentence: what was tried, with counts, and what a cell says.
        columns: Headers of the table.
        rows: Cells of the table, as text; equal runs give equal rows (no times, no paths).
        failures: What went wrong, one line each; empty when every defence held.
    """

    title: str
    tried: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
