"""Supposed changes: a category or statements that are dropped, called less often, or read less."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from pgiostat.errors import invalid_option

__all__ = ["Assumption", "ChangeKind", "parse"]


class ChangeKind(StrEnum):
    """The supposed change of a category."""

    DROP = "drop"
    CALLS = "calls"
    READS = "reads"


@dataclass(frozen=True, slots=True)
class Assumption:
    """A category and a factor on its calls or reads; 0 if it is dropped."""

    category: str
    how: ChangeKind
    factor: float = 0.0

    def __str__(self) -> str:
        """Return the option of the command line."""
        factor = "" if self.how is ChangeKind.DROP else f"={self.factor:g}"
        return f"--{self.how} {self.category}{factor}"


def parse(
    drop: Sequence[str], calls: Sequence[str], reads: Sequence[str], *, needed: bool = True
) -> list[Assumption]:
    """Return the assumptions of a command line.

    Args:
        drop: Names of categories or statements.
        calls: NAME=FACTOR, on calls.
        reads: NAME=FACTOR, on reads.
        needed: Whether there must be one.

    Raises:
        PgiostatError: option-invalid, for an invalid factor, a category specified twice, or none.

    >>> [str(each) for each in parse(["version"], ["manifest=0.3"], [])]
    ['--drop version', '--calls manifest=0.3']
    """
    found = [Assumption(name, ChangeKind.DROP) for name in drop]
    found += [_factor(ChangeKind.CALLS, text) for text in calls]
    found += [_factor(ChangeKind.READS, text) for text in reads]
    names = [each.category for each in found]
    for name in names:
        if names.count(name) > 1:
            raise invalid_option(
                f'category "{name}" is specified twice', hint="Use one option per category."
            )
    if needed and not found:
        raise invalid_option(
            "no change is specified",
            hint="Specify one: --drop version, --calls manifest=0.3, --reads version=0, --index or"
            " --cluster.",
        )
    return found


def _factor(how: ChangeKind, text: str) -> Assumption:
    name, sign, number = text.rpartition("=")
    try:
        factor = float(number)
    except ValueError:
        factor = -1.0
    if not sign or not name or not 0 <= factor < 1e6:  # noqa: PLR2004 - also refuses nan and inf
        raise invalid_option(
            f'invalid value for --{how}: "{text}"',
            hint=f"Write a category and a factor: --{how} manifest=0.3 for 30 % of its calls"
            if how is ChangeKind.CALLS
            else f"Write a category and a factor: --{how} version=0 for none of its reads",
        )
    return Assumption(name, how, factor)
