"""Two windows compared: what reads more or less than before, and how sure that is.

A rate is a ratio of sums: blocks over seconds, over calls, or over the calls of an anchor.  How
far it may be from the true one is told by the spread of the steps of its window: the variance of
a ratio estimator (Cochran, Sampling Techniques, 6.4), made wider where neighbouring steps resemble
each other.  The change is judged by the difference of the logarithms of the
two rates against Student's t with Welch's degrees of freedom, and all rows that are judged
together share one chance of a false alarm (Bonferroni).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from pgiostat.cost import FIELDS, ReadCost
from pgiostat.rows import Counts

__all__ = [
    "CERTAINTY",
    "Change",
    "Compared",
    "Comparison",
    "Group",
    "Per",
    "Quantity",
    "Side",
    "Verdict",
    "change_of",
    "compare",
    "student",
]

CERTAINTY = 0.99
"""The intervals of all rows of a table hold the true changes together with this probability."""
LEAST_STEPS = 12
"""Fewer steps tell too little of their own spread."""
LEAST_CHANGE = 0.02
"""What is surely a change and smaller is none that matters."""
NARROW = 0.2
"""An interval that reaches no further from zero tells that nothing changed."""
LEAST_SHARE = 0.01
"""Of the reads of either side: what is less is shown, and not judged."""
LEAST_COVERAGE = 0.7
MOST_BAD = 0.1
"""Share of the time in intervals of which part was lost."""
WARMING = 0.1
"""How much less a window must miss, or wait, at its end than at its beginning to be warming up."""

MOST_ALIKE = 0.9
LEAST_FREEDOM = 3.0

Floats = npt.NDArray[np.float64]

_CALLS = FIELDS.index("calls")
_HIT = FIELDS.index("shared_blks_hit")
_SHARED = FIELDS.index("shared_blks_read")
_LOCAL = FIELDS.index("local_blks_read")
_READ_US = FIELDS.index("read_us")
_TIMED = FIELDS.index("timed_blocks")


class Per(StrEnum):
    """What blocks are divided by."""

    SECOND = "second"
    CALL = "call"
    ANCHOR = "anchor"


class Verdict(StrEnum):
    """What became of a row from A to B."""

    BETTER = "better"
    WORSE = "worse"
    SAME = "no change"
    UNSURE = "unsure"
    APPEARED = "appeared"
    VANISHED = "vanished"
    NOT_JUDGED = "not judged"


@dataclass(frozen=True, slots=True)
class Group:
    """Statements that are one row: a fingerprint on both sides, with its category on each."""

    key: str
    text: str
    categories: tuple[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """A window in steps.

    seconds: of each step.  amounts: (FIELDS, groups, steps), groups as in the other side.
    lost: share of the time in intervals of which part was lost.
    """

    seconds: Floats
    amounts: Counts
    block_size: int
    coverage: float | None
    lost: float = 0.0


@dataclass(frozen=True, slots=True)
class Quantity:
    """A rate, and its variance with the degrees of freedom of that; value None: no denominator."""

    value: float | None
    variance: float = 0.0
    freedom: float = 0.0


@dataclass(frozen=True, slots=True)
class Change:
    """A rate in A and in B; change, low and high: of B against A, -0.5 is half as much."""

    a: float | None
    b: float | None
    change: float | None
    low: float | None
    high: float | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Compared:
    """A row: a category, a fingerprint or the total.

    costs: on each side.  reads: by what was asked for.  category_a, category_b: differ if rules
    put it elsewhere now.
    """

    key: str
    name: str
    category_a: str
    category_b: str
    costs: tuple[ReadCost, ReadCost]
    reads: Change

    @property
    def moved(self) -> bool:
        """Whether it is of another category in B."""
        return self.category_a != self.category_b


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two windows compared; reasons: why nothing is judged, empty if it is.

    anchors: what a rate was divided by, in all, on each side.
    """

    per: Per
    total: Compared
    categories: tuple[Compared, ...]
    groups: tuple[Compared, ...]
    reasons: tuple[str, ...]
    anchors: tuple[float, float]


def student(probability: float, freedom: float) -> float:
    """Return a quantile of Student's t (Abramowitz and Stegun, 26.7.5).

    >>> [round(student(0.995, n), 2) for n in (7, 20, 1000)]
    [3.5, 2.85, 2.58]
    """
    z = NormalDist().inv_cdf(probability)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92_160,
    )
    return z + sum(term / freedom**power for power, term in enumerate(terms, start=1))


def quantity(above: Floats, below: Floats) -> Quantity:
    """Return the ratio of two sums over steps, and how sure it is."""
    used = below > 0
    y, x = above[used], below[used]
    count = len(x)
    total = float(x.sum())
    if not count or not total:
        return Quantity(None)
    ratio = float(above.sum()) / total
    if count < 2:  # noqa: PLR2004 - one step has no spread
        return Quantity(ratio, math.inf, 1.0)
    rest = y - ratio * x
    alone = float(rest @ rest)
    wider = _alike(rest)
    variance = alone * wider * count / (count - 1) / total**2
    return Quantity(ratio, variance, max((count - 1) / wider, LEAST_FREEDOM))


def _alike(rest: Floats) -> float:
    """Return how many times wider the variance of a mean is because neighbours resemble each other.

    (1 + r) / (1 - r) for steps that follow a first-order autoregression; r is estimated too small
    from few steps (Marriott and Pope, 1954), which is made up for.
    """
    alone = float(rest @ rest)
    if not alone:
        return 1.0
    r = float(rest[1:] @ rest[:-1]) / alone
    r = min(max(r + (1 + 3 * r) / len(rest), 0.0), MOST_ALIKE)
    return (1 + r) / (1 - r)


def change_of(a: Quantity, b: Quantity, chance: float) -> Change:
    """Return the change from one rate to another; chance: that the interval misses the true one."""
    if a.value is None or b.value is None:
        return Change(a.value, b.value, None, None, None, Verdict.NOT_JUDGED)
    if not a.value:
        verdict = Verdict.SAME if not b.value else Verdict.UNSURE
        if b.value and b.value > _reach(b, chance):
            verdict = Verdict.WORSE
        return Change(a.value, b.value, 0.0 if not b.value else None, None, None, verdict)
    change = b.value / a.value - 1
    if not b.value:
        sure = a.value > _reach(a, chance)
        return Change(
            a.value, b.value, change, None, None, Verdict.BETTER if sure else Verdict.UNSURE
        )
    part_a, part_b = a.variance / a.value**2, b.variance / b.value**2
    both = part_a + part_b
    freedom = both**2 / (part_a**2 / a.freedom + part_b**2 / b.freedom) if both else math.inf
    reach = student(1 - chance / 2, freedom) * math.sqrt(both) if both else 0.0
    middle = math.log1p(change)
    low, high = _grown(middle - reach), _grown(middle + reach)
    return Change(a.value, b.value, change, low, high, _verdict(change, low, high))


LARGEST_LOG = 50.0


def _grown(log: float) -> float:
    return math.expm1(log) if log < LARGEST_LOG else math.inf


def _reach(rate: Quantity, chance: float) -> float:
    return student(1 - chance / 2, rate.freedom) * math.sqrt(rate.variance)


def _verdict(change: float, low: float, high: float) -> Verdict:
    if abs(change) >= LEAST_CHANGE and high < 0:
        return Verdict.BETTER
    if abs(change) >= LEAST_CHANGE and low > 0:
        return Verdict.WORSE
    return Verdict.SAME if low >= -NARROW and high <= NARROW else Verdict.UNSURE


def compare(
    a: Side, b: Side, groups: Sequence[Group], per: Per = Per.SECOND, anchor: Sequence[int] = ()
) -> Comparison:
    """Return what changed from A to B.

    anchor: the numbers of the groups whose calls blocks are divided by, for Per.ANCHOR.
    """
    reasons = tuple(_reasons(a, b))
    anchors = tuple(_denominator(side, per, (), anchor) for side in (a, b))
    everything = tuple(range(len(groups)))
    named: list[dict[str, list[int]]] = [{}, {}]
    for number, group in enumerate(groups):
        for side, category in enumerate(group.categories):
            named[side].setdefault(category, []).append(number)
    categories = sorted(named[0].keys() | named[1].keys())
    rows = [(name, named[0].get(name, []), named[1].get(name, [])) for name in categories]
    judged = [row for row in rows if _matters(a, b, row[1], row[2])]
    chance = (1 - CERTAINTY) / (len(judged) + 1)

    def row(
        key: str,
        name: str,
        of: tuple[str, str],
        members: tuple[Sequence[int], Sequence[int]],
        chance: float | None,
    ) -> Compared:
        below = [
            _denominator(side, per, those, anchor)
            for side, those in zip((a, b), members, strict=True)
        ]
        rates = [
            quantity(_blocks(side, those), denominator)
            for side, those, denominator in zip((a, b), members, below, strict=True)
        ]
        reads = change_of(rates[0], rates[1], chance or (1 - CERTAINTY))
        alone = _alone(a, b, members, chance) if chance else None
        verdict = reads.verdict if alone is None else alone
        if reasons or chance is None:
            verdict = Verdict.NOT_JUDGED
        if reasons:
            reads = Change(reads.a, reads.b, reads.change, None, None, verdict)
        reads = Change(reads.a, reads.b, reads.change, reads.low, reads.high, verdict)
        costs = _cost(a, members[0]), _cost(b, members[1])
        return Compared(key, name, *of, costs, reads)

    matter = [n for n in everything if _matters(a, b, [n], [n])]
    shared = (1 - CERTAINTY) / max(len(matter), 1)
    compared = [
        row(g.key, g.text, g.categories, ([n], [n]), shared if n in set(matter) else None)
        for n, g in enumerate(groups)
    ]
    return Comparison(
        per=per,
        total=row("total", "total", ("", ""), (everything, everything), chance),
        categories=tuple(
            row(
                name,
                name,
                (name, name),
                (of_a, of_b),
                chance if (name, of_a, of_b) in judged else None,
            )
            for name, of_a, of_b in sorted(rows, key=lambda r: -_greater(a, b, r[1], r[2]))
        ),
        groups=tuple(sorted(compared, key=lambda r: (-_moved(r), r.key))),
        reasons=reasons,
        anchors=(float(anchors[0].sum()), float(anchors[1].sum())),
    )


def _moved(row: Compared) -> float:
    """Return how much a row moves the whole: what is to be looked at first."""
    rates = [cost.blocks_per_s or 0.0 for cost in row.costs]
    return abs(rates[1] - rates[0])


def _blocks(side: Side, members: Sequence[int]) -> Floats:
    rows = side.amounts[:, list(members), :]
    blocks: Floats = (rows[_SHARED] + rows[_LOCAL]).sum(axis=0).astype(np.float64)
    return blocks


def _calls(side: Side, members: Sequence[int]) -> Floats:
    calls: Floats = side.amounts[_CALLS][list(members), :].sum(axis=0).astype(np.float64)
    return calls


def _denominator(side: Side, per: Per, members: Sequence[int], anchor: Sequence[int]) -> Floats:
    if per is Per.SECOND:
        return side.seconds
    return _calls(side, anchor if per is Per.ANCHOR else members)


def _cost(side: Side, members: Sequence[int]) -> ReadCost:
    summed = side.amounts[:, list(members), :].sum(axis=(1, 2)).tolist()
    fields = dict(zip(FIELDS, summed, strict=True))
    return ReadCost(float(side.seconds.sum()), side.block_size, **fields)


def _greater(a: Side, b: Side, of_a: Sequence[int], of_b: Sequence[int]) -> float:
    rates = (
        float(_blocks(side, those).sum()) / (float(side.seconds.sum()) or 1.0)
        for side, those in ((a, of_a), (b, of_b))
    )
    return max(rates)


def _matters(a: Side, b: Side, of_a: Sequence[int], of_b: Sequence[int]) -> bool:
    everything = range(a.amounts.shape[1])
    for side, those in ((a, of_a), (b, of_b)):
        whole = float(_blocks(side, everything).sum())
        if whole and float(_blocks(side, those).sum()) >= LEAST_SHARE * whole:
            return True
    return False


def _alone(
    a: Side, b: Side, members: tuple[Sequence[int], Sequence[int]], chance: float
) -> Verdict | None:
    """Return that a row was called on one side alone, if that is no chance.

    Were its steps dealt to the two sides blindly, all of them would seldom fall on one.
    """
    called = [_calls(side, those) > 0 for side, those in zip((a, b), members, strict=True)]
    active = [int(steps.sum()) for steps in called]
    if all(active) or not any(active):
        return None
    there = 0 if active[0] else 1
    dealt = len(called[there]) / (len(called[0]) + len(called[1]))
    if dealt ** active[there] > chance:
        return Verdict.UNSURE
    return Verdict.APPEARED if there else Verdict.VANISHED


def _reasons(a: Side, b: Side) -> Iterator[str]:
    """Yield why two windows are not to be judged."""
    for name, side in (("A", a), ("B", b)):
        steps = len(side.seconds)
        if steps < LEAST_STEPS:
            yield f"{name} has {steps} steps; {LEAST_STEPS} are needed to know their spread"
        if side.lost > MOST_BAD:
            yield f"part of what {name} counted was lost in {side.lost:.0%} of its time"
        if side.coverage is not None and side.coverage < LEAST_COVERAGE:
            yield f"statements explain {side.coverage:.0%} of the reads of {name} only"
        if steps >= LEAST_STEPS:
            yield from _warming(name, side)


def _warming(name: str, side: Side) -> Iterator[str]:
    """Yield in what a side is still warming up: caches fill, and less is read, or faster."""
    whole = side.amounts.sum(axis=1).astype(np.float64)
    read = whole[_SHARED]
    third = len(side.seconds) // 3
    for what, above, below in (
        ("the share of blocks not found in shared_buffers", read, read + whole[_HIT]),
        ("the time to read a block", whole[_READ_US], whole[_TIMED]),
    ):
        first = quantity(above[:third], below[:third])
        last = quantity(above[-third:], below[-third:])
        if not first.value or last.value is None:
            continue
        found = change_of(first, last, 1 - CERTAINTY)
        if found.verdict is Verdict.BETTER and (found.change or 0) <= -WARMING:
            yield (
                f"{name} is still warming up: {what} fell by {-(found.change or 0):.0%} from its"
                " first third to its last"
            )
