"""The range: bounds of the blocks read after a change.

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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pgiostat.analysis.whatif.amounts import NOTHING, Amounts, total
from pgiostat.analysis.whatif.assumptions import Assumption, ChangeKind

__all__ = ["bounds"]


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
    gone: Amounts = NOTHING
    added: float = 0.0


def bounds(had: Mapping[str, Amounts], supposed: Sequence[Assumption]) -> tuple[float, float]:
    """Return the least and the most blocks read under some assumptions.

    Args:
        had: Amounts of each category, and of what no category explains; the reads are all reads.
        supposed: At most one assumption for each category.

    >>> had = {"version": Amounts(60, 40), "manifest": Amounts(40, 20)}
    >>> low, high = bounds(had, [Assumption("version", ChangeKind.DROP)])
    >>> round(low, 1), high
    (8.3, 60.0)
    """
    by_category = {each.category: each for each in supposed}
    parts = [_part(amounts, by_category.get(name)) for name, amounts in had.items()]
    all_had = total(had.values())
    # Categories that go are bounded as one: together they may hold more than each alone.
    gone = total(part.gone for part in parts)
    added = sum(part.added for part in parts)
    low = _low(all_had, gone, sum(part.saved for part in parts))
    high = _high(
        all_had.reads, gone, sum(part.kept for part in parts), sum(part.hits for part in parts)
    )
    return low, high + added + min(added, all_had.hits)


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
