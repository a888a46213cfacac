"""Estimate the reads if a category of queries were gone, called less often, or read less.

A ranking cannot answer this, because queries share a cache.  A category loads blocks that others
then find, its reads evict blocks that others need, and its hits occupy space and keep blocks warm
for others.  PostgreSQL counts none of this, so the answer is a range.

Lower bound: the others get all the space of the category.  The larger of two bounds counts.
(1) Each block read evicts one: the others save as large a share of their reads as the category has
of all reads.  (2) The category frees at most its space, and each block of space saves at most
ln(touched / read) reads, with the touches and reads of the others.

Upper bound: the others miss what the category loaded or kept warm.  That is as many blocks as it
read, or as it may have kept warm for them, whichever is more; but no more than they found.

Space is measured in blocks kept for a lifetime: the time after which the cache evicts a block
without touches.  A block with y touches in a lifetime is missed at each touch with probability
exp(-y), if touches are independent of each other.  So a category with t touches and r reads takes
at most (t - r) / ln(t / r) of space, and freed space saves at most ln(t / r) for each block.  Both
are exact if all blocks are touched alike, and bounds otherwise, because both functions are concave.

If the category touches a block x times in a lifetime and the others touch it y times, the others
owe at most y exp(-y) (1 - exp(-x)) hits to the category.  The share of its touches that save others
a read is at most the maximum of this, divided by x, with x + y = ln(t / r).

Fewer calls: it is unknown which remain.  The remaining calls may read as much as all did before,
but no more blocks than they touch.  The removed calls may be those that read, but no more blocks
than they touched.  Space and warmth shrink in proportion.

More calls: at least they find all blocks; at most they read all that they touch, and evict as
much, which others then read again.

No bound covers dependent touches.  If the others scan one table repeatedly, and it fits into the
cache without the category, fewer blocks are read than the lower bound.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import exp, log

from pgiostat.errors import invalid_option

__all__ = ["Amounts", "Assumption", "ChangeKind", "Estimate", "estimate", "parse"]

_STEPS = 200
"""Number of points in the search for a maximum."""


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


@dataclass(frozen=True, slots=True)
class Estimate:
    """Blocks read: now, and the range after the change."""

    now: float
    low: float
    high: float

    def share(self, blocks: float) -> float | None:
        """Return blocks as a share of the reads now; None without any."""
        return blocks / self.now if self.now else None

    @property
    def width(self) -> float | None:
        """Width of the range as a share of the reads now."""
        return self.share(self.high - self.low)

    def __contains__(self, blocks: float) -> bool:
        """Whether a number of blocks lies within the range."""
        return self.low <= blocks <= self.high


@dataclass(frozen=True, slots=True)
class _Part:
    """Effect of a change on a category.

    Attributes:
        saved: Upper bound of the reads that go.
        kept: Upper bound of the reads that remain, before reads of others come on top.
        hits: Upper bound of the remaining hits on blocks that another category loaded.
        gone: Reads and hits that go, if they are like those that remain.
    """

    saved: float
    kept: float
    hits: float
    gone: Amounts = Amounts(0.0, 0.0)
    added: float = 0.0


def estimate(had: Mapping[str, Amounts], supposed: Sequence[Assumption]) -> Estimate:
    """Return the range of blocks read under some assumptions.

    Args:
        had: Amounts of each category, and of what no category explains; the reads are all reads.
        supposed: At most one assumption for each category.

    >>> had = {"version": Amounts(60, 40), "manifest": Amounts(40, 20)}
    >>> found = estimate(had, [Assumption("version", ChangeKind.DROP)])
    >>> found.now, round(found.low, 1), found.high
    (100, 8.3, 60.0)
    """
    by_category = {each.category: each for each in supposed}
    parts = [_part(amounts, by_category.get(name)) for name, amounts in had.items()]
    all_had = _sum(had.values())
    # Categories that go are bounded as one: together they may hold more than each alone.
    gone = _sum(part.gone for part in parts)
    added = sum(part.added for part in parts)
    low = _low(all_had, gone, sum(part.saved for part in parts))
    high = _high(
        all_had.reads, gone, sum(part.kept for part in parts), sum(part.hits for part in parts)
    )
    return Estimate(all_had.reads, low, high + added + min(added, all_had.hits))


def _sum(had: Iterable[Amounts]) -> Amounts:
    each = list(had)
    return Amounts(sum(one.reads for one in each), sum(one.hits for one in each))


def _low(all_had: Amounts, gone: Amounts, saved: float) -> float:
    if saved >= all_had.reads:
        return 0.0
    reads = all_had.reads - saved
    rest = Amounts(reads, all_had.touched - gone.touched - reads)
    evicted = reads * saved / all_had.reads
    return max(reads - max(evicted, gone.space * rest.heat), 0.0)


def _high(now: float, gone: Amounts, kept: float, hits: float) -> float:
    # Without reads nothing is evicted: there is nothing to keep warm.
    warmed = gone.warmed if now else 0.0
    return kept + min(max(now - kept, warmed), hits)


def _part(had: Amounts, supposed: Assumption | None) -> _Part:
    if supposed is None:
        return _Part(0.0, had.reads, had.hits)
    factor = supposed.factor
    if factor >= 1:
        added = had.reads if supposed.how is ChangeKind.READS else had.touched
        return _Part(0.0, had.reads, had.hits, added=added * (factor - 1))
    gone = Amounts(had.reads * (1 - factor), had.hits * (1 - factor))
    if supposed.how is ChangeKind.READS:
        return _Part(gone.reads, had.reads - gone.reads, 0.0, gone)
    # It is unknown which calls go: those that read, or those that do not.
    stay = had.touched * factor
    kept = min(had.reads, stay)
    return _Part(min(had.reads, had.touched - stay), kept, stay - kept, gone)


def parse(drop: Sequence[str], calls: Sequence[str], reads: Sequence[str]) -> list[Assumption]:
    """Return the assumptions of a command line.

    Args:
        calls: CATEGORY=FACTOR, on calls.
        reads: CATEGORY=FACTOR, on reads.

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
    if not found:
        raise invalid_option(
            "no change is specified",
            hint="Specify one: --drop version, --calls manifest=0.3 or --reads version=0.",
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
