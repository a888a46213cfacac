"""What would be read if a category of queries were gone, called less often, or read less.

A ranking alone does not tell it, because queries share a cache.  A category brings blocks in that
others then find, its reads push out what others need, and what it finds takes space and stays warm
for others.  None of this is counted anywhere, so the answer is a range.

The least is read if the others get all the space that the category leaves.  Two rules bound it, and
the lower bound counts.  (1) Each block read pushes one out: of what the others read, as large a
share is saved as the category has of all reads.  (2) The category leaves at most its space, and
each block of space saves at most ln(touched / read) reads, touched and read by the others.

The most is read if the others miss what the category brought in or kept warm: as many blocks as it
read, or as it may have kept warm for them, whichever is more; but no more than they found.

Space is measured in blocks that are kept for the life of a block in the cache, the time for which
a block stays that nobody touches.  A block that is touched y times in a life has a chance of
exp(-y) to be missed at each touch, if touches are independent of each other.  So a category with
t touches and r reads takes at most (t - r) / ln(t / r) of space, and freed space saves at most
ln(t / r) for each block: both are exact where all its blocks are touched alike, and bounds
otherwise, because both functions are concave.

Of a block that the category touches x times in a life and the others y times, the others find by
its doing at most y exp(-y) (1 - exp(-x)).  The share of its touches that save others a read is at
most the greatest value of this, divided by x, with x + y = ln(t / r).

Calls that are taken away, when not all are: nobody knows which.  Those that stay may read as
much as all did before, but no more blocks than they touch.  Those that go may be the ones that
read, but no more blocks than they touched.  Of space and of warmth goes their share.

Calls that are added.  At least they find all that they need; at most they read all that they
touch, and push as much out, which others then read again.

What no rule covers: touches that depend on each other.  Where the others scan the same table again
and again, and it fits as soon as the category is gone, less is read than the range says.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import exp, log

from pgiostat.errors import invalid_option

__all__ = ["Amounts", "Assumption", "ChangeKind", "Estimate", "estimate", "parse"]

_STEPS = 200
"""How finely the greatest value of a function is searched for."""


class ChangeKind(StrEnum):
    """What is supposed of a class."""

    DROP = "drop"
    CALLS = "calls"
    READS = "reads"


@dataclass(frozen=True, slots=True)
class Assumption:
    """A class, and what becomes of its calls or of its reads: a factor, 0 when it is dropped."""

    category: str
    how: ChangeKind
    factor: float = 0.0

    def __str__(self) -> str:
        """Return it as it is given on a command line."""
        told = "" if self.how is ChangeKind.DROP else f"={self.factor:g}"
        return f"--{self.how} {self.category}{told}"


@dataclass(frozen=True, slots=True)
class Amounts:
    """Blocks that a class read, and that it found in the cache."""

    reads: float
    hits: float

    @property
    def touched(self) -> float:
        """Both."""
        return self.reads + self.hits

    @property
    def heat(self) -> float:
        """How often a block is touched in its life, if all are touched alike.

        A category that read nothing counts as if it had read one block: nobody can tell its heat.
        """
        return log(self.touched / max(self.reads, 1.0)) if self.touched > 1 else 0.0

    @property
    def space(self) -> float:
        """The blocks that it keeps in the cache, at most, in blocks that are kept for a life.

        >>> Amounts(1000, 0).space, round(Amounts(500, 500).space), round(Amounts(0, 5000).space)
        (1000.0, 721, 587)
        """
        if self.heat <= 0:
            return float(self.touched)
        return (self.touched - max(self.reads, 1.0)) / self.heat

    @property
    def warmed(self) -> float:
        """The blocks that others find, at most, because it keeps them warm.

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
    """Blocks read: now, and then at least and at most."""

    now: float
    low: float
    high: float

    def share(self, blocks: float) -> float | None:
        """Return blocks as a share of those of now."""
        return blocks / self.now if self.now else None

    @property
    def width(self) -> float | None:
        """How far the ends of the range are apart, as a share of now."""
        return self.share(self.high - self.low)

    def __contains__(self, blocks: float) -> bool:
        """Tell whether so many lie within the range."""
        return self.low <= blocks <= self.high


@dataclass(frozen=True, slots=True)
class _Part:
    """What becomes of a category.

    saved: reads that go, at most.  kept: reads that stay, at most, before others' are displaced.
    hits: of what stays, at most, what is found only because others read it.  gone: what goes, if
    what goes is like what stays.  added: blocks touched.
    """

    saved: float
    kept: float
    hits: float
    gone: Amounts = Amounts(0.0, 0.0)
    added: float = 0.0


def estimate(had: Mapping[str, Amounts], supposed: Sequence[Assumption]) -> Estimate:
    """Return the range of what would be read.

    had: what each category read and found, also what no category explains; the reads add up to all.

    >>> had = {"version": Amounts(60, 40), "manifest": Amounts(40, 20)}
    >>> found = estimate(had, [Assumption("version", ChangeKind.DROP)])
    >>> found.now, round(found.low, 1), found.high
    (100, 8.3, 60.0)
    """
    by_category = {each.category: each for each in supposed}
    parts = [_part(amounts, by_category.get(name)) for name, amounts in had.items()]
    all_had = _sum(had.values())
    # Several categories that go are bounded as one: together they may hold more than each alone.
    gone = _sum(part.gone for part in parts)
    added = sum(part.added for part in parts)
    low = _least(all_had, gone, sum(part.saved for part in parts))
    high = _most(
        all_had.reads, gone, sum(part.kept for part in parts), sum(part.hits for part in parts)
    )
    return Estimate(all_had.reads, low, high + added + min(added, all_had.hits))


def _sum(had: Iterable[Amounts]) -> Amounts:
    each = list(had)
    return Amounts(sum(one.reads for one in each), sum(one.hits for one in each))


def _least(all_had: Amounts, gone: Amounts, saved: float) -> float:
    if saved >= all_had.reads:
        return 0.0
    reads = all_had.reads - saved
    rest = Amounts(reads, all_had.touched - gone.touched - reads)
    pushed_out = reads * saved / all_had.reads
    return max(reads - max(pushed_out, gone.space * rest.heat), 0.0)


def _most(now: float, gone: Amounts, kept: float, hits: float) -> float:
    # Without reads nothing is pushed out: there is nothing to keep warm.
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
    # Nobody knows which calls go: those that read, or those that do not.
    stay = had.touched * factor
    kept = min(had.reads, stay)
    return _Part(min(had.reads, had.touched - stay), kept, stay - kept, gone)


def parse(drop: Sequence[str], calls: Sequence[str], reads: Sequence[str]) -> list[Assumption]:
    """Return what is supposed, from a command line's words.

    Raises PgiostatError option-invalid for what is no factor, and for a class named twice.

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
                f'category "{name}" is named twice', hint="Say one thing of each category."
            )
    if not found:
        raise invalid_option(
            "nothing is supposed",
            hint="Say what changes: --drop version, --calls manifest=0.3 or --reads version=0.",
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
            hint=f"It is a category and a factor: --{how} manifest=0.3 for three calls of ten"
            if how is ChangeKind.CALLS
            else f"It is a category and a factor: --{how} version=0 for none of its reads",
        )
    return Assumption(name, how, factor)
