"""The point: blocks read after a change, by the model "first toucher".

Statements of one application touch the same blocks one after another. The first one misses, and
the others find what it read. So in each table the statement with the highest miss ratio comes
first; its ratio is that of a visit, and what the others read is their own visits at the same ratio.
If the first one goes, the largest of the others misses at that ratio instead.

A visit misses if its block was not visited for a lifetime: the time after which the cache evicts a
block without touches. Fewer visits leave space, and all lifetimes grow until the cache is full
again. How often a block of a table is visited in a lifetime is assumed to be spread by a gamma
distribution of a fixed shape: a few blocks are hot, and most are cold. More calls visit further
blocks, like those visited now, and so fill the cache.

Statements that name several tables count for each of these in equal parts. What has no known table
is assumed to touch blocks of its own.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from pgiostat.analysis.whatif.amounts import Amounts, Touches, total
from pgiostat.analysis.whatif.assumptions import Assumption

__all__ = ["reads_after"]

SHAPE = 0.2
"""Shape of the gamma distribution of visits to the blocks of a table."""
SMALL = 0.05
"""Who has a smaller share of the touches of a table does not come first: chance decides there."""
_SHORTEST, _LONGEST = 1e-3, 1e5
"""Limits of the lifetime after a change, as a multiple of the one now."""
_HALVINGS = 60


@dataclass(frozen=True, slots=True)
class _Visits:
    """Visits to the blocks of a table.

    Attributes:
        now: Visits now.
        missed: The share of them that misses now.
        after: Visits after the change.
        growth: Blocks that are visited after the change, as a multiple of those now.
    """

    now: float
    missed: float
    after: float
    growth: float

    @property
    def scale(self) -> float:
        """Visits to a block in a lifetime now: the scale of their distribution."""
        return float(self.missed ** (-1 / (SHAPE + 1)) - 1)

    @property
    def pace(self) -> float:
        """Visits to a block after the change, as a multiple of those now."""
        return self.after / self.now / self.growth

    def misses(self, lifetime: float) -> float:
        """Return the visits that miss, at a multiple of the lifetime now."""
        return self.after * float((1 + lifetime * self.pace * self.scale) ** -(SHAPE + 1))

    def space(self, lifetime: float, pace: float, growth: float) -> float:
        """Return the blocks that it holds in the cache, at a multiple of the lifetime now."""
        if self.missed >= 1:  # no block is visited twice
            return self.now * growth * pace * lifetime
        blocks = growth * self.now / (SHAPE * self.scale)
        return blocks * (1 - float((1 + lifetime * pace * self.scale) ** -SHAPE))


@dataclass(frozen=True, slots=True)
class _Visitor:
    """What a statement touches in a table, and the factor on its calls or blocks."""

    amounts: Amounts
    factor: float


def reads_after(
    had: Mapping[str, Amounts], supposed: Sequence[Assumption], touches: Iterable[Touches] = ()
) -> float:
    """Return the blocks read under some assumptions; arguments as for estimate."""
    factors = {each.category: each.factor for each in supposed}
    tables = [_visits(visitors) for visitors in _by_table(had, factors, touches)]
    space = sum(each.space(1.0, 1.0, 1.0) for each in tables)
    if not any(each.after for each in tables):
        return 0.0
    short, long = _SHORTEST, _LONGEST
    for _ in range(_HALVINGS):
        lifetime = sqrt(short * long)
        if sum(each.space(lifetime, each.pace, each.growth) for each in tables) < space:
            short = lifetime
        else:
            long = lifetime
    found = sum(each.misses(sqrt(short * long)) for each in tables)
    if any(factor > 1 for factor in factors.values()):
        return found
    return min(found, total(had.values()).reads)  # fewer touches are not expected to read more


def _by_table(
    had: Mapping[str, Amounts], factors: Mapping[str, float], touches: Iterable[Touches]
) -> list[list[_Visitor]]:
    """Return the visitors of each table; the rest of a name is the only visitor of another one."""
    found: dict[str, list[_Visitor]] = defaultdict(list)
    rest = dict(had)
    for each in touches:
        part = each.amounts.scaled(1 / max(len(each.tables), 1))
        for table in each.tables:
            found[table].append(_Visitor(part, factors.get(each.name, 1.0)))
            rest[each.name] = rest[each.name].less(part)
    alone = [[_Visitor(amounts, factors.get(name, 1.0))] for name, amounts in rest.items()]
    return [
        visitors
        for visitors in (*found.values(), *alone)
        if sum(each.amounts.touched for each in visitors) > 0
    ]


def _visits(visitors: Sequence[_Visitor]) -> _Visits:
    """Return the visits to a table, now and after the change."""
    whole = total(each.amounts for each in visitors)
    numbers = range(len(visitors))
    large = (n for n in numbers if visitors[n].amounts.touched >= SMALL * whole.touched)
    first = max(large, key=lambda n: visitors[n].amounts.miss_ratio, default=0)
    missed = max(visitors[first].amounts.miss_ratio, whole.reads / whole.touched)
    # Where nothing was read, every touch is a visit that found its block.
    visits = [
        min(each.amounts.reads / missed, each.amounts.touched)
        if whole.reads
        else each.amounts.touched
        for each in visitors
    ]
    now = sum(visits)
    more = sum(max(each.factor - 1, 0.0) * own for each, own in zip(visitors, visits, strict=True))
    after = sum(each.factor * own for each, own in zip(visitors, visits, strict=True))
    after += _followers(visitors, visits, first)
    return _Visits(now, missed if whole.reads else whole.miss_ratio, after, 1 + more / now)


def _followers(visitors: Sequence[_Visitor], visits: Sequence[float], first: int) -> float:
    """Return the visits that the largest follower makes instead of the first visitor.

    It followed the first one at most as often as that one touched, and only with those touches
    that were no visits of its own; of these, in proportion to the visits of all others.
    """
    leaves = max(1 - visitors[first].factor, 0.0)
    others = [n for n, each in enumerate(visitors) if n != first and each.factor]
    if not leaves or not others or not visits[first]:
        return 0.0
    largest = max(others, key=lambda n: visitors[n].amounts.touched * visitors[n].factor)
    follower = visitors[largest]
    touched = follower.amounts.touched * follower.factor
    follows = max(touched - visits[largest] * follower.factor, 0.0)
    follows *= min(visitors[first].amounts.touched / touched, 1.0)
    follows *= visits[first] / (sum(visits) - visits[largest])
    return min(follows, visits[first]) * leaves
