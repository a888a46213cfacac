"""What a category or a statement read and found, and bounds of what it held in the cache."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import exp, log

__all__ = ["NOTHING", "Amounts", "Touches", "total"]

_STEPS = 200
"""Number of points in the search for a maximum."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """Blocks that a category read, and that it found in the cache."""

    reads: float
    hits: float

    @property
    def touched(self) -> float:
        """Blocks read or found."""
        return self.reads + self.hits

    @property
    def miss_ratio(self) -> float:
        """Reads as a share of touches; less than a block counts as half of one."""
        if self.touched <= 0:
            return 1.0
        return min(max(self.reads, min(0.5, self.touched)) / self.touched, 1.0)

    def __add__(self, other: "Amounts") -> "Amounts":
        """Return the sum of two amounts."""
        return Amounts(self.reads + other.reads, self.hits + other.hits)

    def less(self, other: "Amounts") -> "Amounts":
        """Return what is left of it without a part."""
        return Amounts(max(self.reads - other.reads, 0.0), max(self.hits - other.hits, 0.0))

    def scaled(self, factor: float) -> "Amounts":
        """Return a multiple of it."""
        return Amounts(self.reads * factor, self.hits * factor)

    @property
    def heat(self) -> float:
        """Touches of a block in a lifetime, if all blocks are touched alike.

        A category without reads counts as if it had read one block: its heat is unknown.
        """
        return log(self.touched / max(self.reads, 1.0)) if self.touched > 1 else 0.0

    @property
    def space(self) -> float:
        """Upper bound of its space in the cache, in blocks kept for a lifetime.

        >>> Amounts(1000, 0).space, round(Amounts(500, 500).space), round(Amounts(0, 5000).space)
        (1000.0, 721, 587)
        """
        if self.heat <= 0:
            return float(self.touched)
        return (self.touched - max(self.reads, 1.0)) / self.heat

    @property
    def warmed(self) -> float:
        """Upper bound of the hits of others on blocks that it keeps warm.

        >>> Amounts(1000, 0).warmed, round(Amounts(500, 500).warmed), round(Amounts(0, 5000).warmed)
        (0.0, 345, 247)
        """
        heat = self.heat
        if heat <= 0:
            return 0.0
        others = (heat * step / _STEPS for step in range(1, _STEPS))
        share = max(y * exp(-y) * (1 - exp(y - heat)) / (heat - y) for y in others)
        return share * self.touched


NOTHING = Amounts(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Touches:
    """What a statement touched.

    Attributes:
        name: The name under which it counts: its category, or the statement itself.
        tables: The tables that it names; none if they are not known.
        amounts: What it read and found.
    """

    name: str
    tables: tuple[str, ...]
    amounts: Amounts


def total(amounts: Iterable[Amounts]) -> Amounts:
    """Return the sum of amounts."""
    return sum(amounts, NOTHING)
