"""Two windows compared: what reads more or less than before, and how sure that is.

All rows that are judged together share one chance of a false alarm (Bonferroni).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from pgiostat.change import Change, Floats, Quantity, Verdict, change_of, quantity, unjudged
from pgiostat.cost import FIELDS, ReadCost
from pgiostat.rows import Counts

__all__ = ["CERTAINTY", "Compared", "Comparison", "Group", "Per", "Side", "compare"]

CERTAINTY = 0.99
"""The intervals of all rows of a table hold the true changes together with this probability."""
LEAST_STEPS = 12
"""Fewer steps tell too little of their own spread."""
LEAST_SHARE = 0.01
"""Of the reads of either side: what is less is shown, and not judged."""
LEAST_COVERAGE = 0.7
MOST_BAD = 0.1
"""Share of the time in intervals of which part was lost."""
WARMING = 0.1
"""How much less a window must miss, or wait, at its end than at its beginning to be warming up."""

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
    lost: share of the time in intervals of which part was lost.  places: the number of each step
    from the beginning of the window; none if it has nothing to be compared with step by step.
    """

    seconds: Floats
    amounts: Counts
    block_size: int
    coverage: float | None
    lost: float = 0.0
    places: tuple[int, ...] = ()


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


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """A side, with what is asked of it again and again. blocks, calls: (groups, steps)."""

    side: Side
    blocks: Floats
    calls: Floats
    whole: Counts
    anchor: Floats

    @classmethod
    def of(cls, side: Side, anchor: Sequence[int]) -> "_Sums":
        blocks = (side.amounts[_SHARED] + side.amounts[_LOCAL]).astype(np.float64)
        calls = side.amounts[_CALLS].astype(np.float64)
        return cls(side, blocks, calls, side.amounts.sum(axis=2), calls[list(anchor)].sum(axis=0))

    @property
    def shares(self) -> Floats:
        """Share of the reads of each group."""
        read = self.whole[_SHARED] + self.whole[_LOCAL]
        shares: Floats = read / max(int(read.sum()), 1)
        return shares

    def rates(self, per: Per) -> list[float | None]:
        """Return the rate of each group."""
        read = self.whole[_SHARED] + self.whole[_LOCAL]
        below = np.full(len(read), self.side.seconds.sum())
        if per is not Per.SECOND:
            below = self.whole[_CALLS] if per is Per.CALL else below * 0 + self.anchor.sum()
        known = zip(read.tolist(), below.tolist(), strict=True)
        return [over / under if under else None for over, under in known]

    def costs(self) -> list[ReadCost]:
        """Return what each group cost in all."""
        seconds, size = float(self.side.seconds.sum()), self.side.block_size
        return [
            ReadCost(seconds, size, **dict(zip(FIELDS, column, strict=True)))
            for column in self.whole.T.tolist()
        ]

    def rate(self, members: Sequence[int], per: Per) -> Quantity:
        """Return blocks over what is asked for."""
        below = self.anchor if per is Per.ANCHOR else self.side.seconds
        if per is Per.CALL:
            below = self.calls[members].sum(axis=0)
        return quantity(self.blocks[members].sum(axis=0), below)

    def cost(self, members: Sequence[int]) -> ReadCost:
        """Return what members cost in all."""
        fields = dict(zip(FIELDS, self.whole[:, members].sum(axis=1).tolist(), strict=True))
        return ReadCost(float(self.side.seconds.sum()), self.side.block_size, **fields)

    def called(self, members: Sequence[int]) -> int:
        """Return in how many steps members were called."""
        return int((self.calls[members].sum(axis=0) > 0).sum())


_Members = tuple[Sequence[int], Sequence[int]]


def compare(
    a: Side, b: Side, groups: Sequence[Group], per: Per = Per.SECOND, anchor: Sequence[int] = ()
) -> Comparison:
    """Return what changed from A to B.

    anchor: the numbers of the groups whose calls blocks are divided by, for Per.ANCHOR.
    """
    reasons = tuple(_reasons(a, b))
    sums = _Sums.of(a, anchor), _Sums.of(b, anchor)
    shares = [each.shares for each in sums]
    paired = bool(a.places) and a.places == b.places

    def row(
        key: str, name: str, of: tuple[str, str], members: _Members, chance: float | None
    ) -> Compared:
        first, second = (each.rate(those, per) for each, those in zip(sums, members, strict=True))
        if reasons or chance is None:
            reads = unjudged(first.value, second.value)
        else:
            reads = change_of(first, second, chance, paired=paired)
            alone = _alone(sums, members, chance)
            reads = reads if alone is None else replace(reads, verdict=alone)
        costs = sums[0].cost(members[0]), sums[1].cost(members[1])
        return Compared(key, name, *of, costs, reads)

    named: list[dict[str, list[int]]] = [{}, {}]
    for number, group in enumerate(groups):
        for of_side, category in zip(named, group.categories, strict=True):
            of_side.setdefault(category, []).append(number)
    members = {
        name: (named[0].get(name, []), named[1].get(name, []))
        for name in sorted(named[0].keys() | named[1].keys())
    }
    weights = {
        name: max(float(share[those].sum()) for share, those in zip(shares, each, strict=True))
        for name, each in members.items()
    }
    judged = [name for name, weight in weights.items() if weight >= LEAST_SHARE]
    chance = (1 - CERTAINTY) / (len(judged) + 1)
    matter = np.maximum(*shares) >= LEAST_SHARE
    shared = (1 - CERTAINTY) / max(int(matter.sum()), 1)
    # Of thousands of rows few are judged: the others need no interval, which is most of the work.
    rates = zip(*(each.rates(per) for each in sums), strict=True)
    costs = zip(*(each.costs() for each in sums), strict=True)
    compared = [
        row(g.key, g.text, g.categories, ([n], [n]), shared)
        if matter[n]
        else Compared(g.key, g.text, *g.categories, both, unjudged(*pair))
        for n, (g, pair, both) in enumerate(zip(groups, rates, costs, strict=True))
    ]
    everything = list(range(len(groups)))
    return Comparison(
        per=per,
        total=row("total", "total", ("", ""), (everything, everything), chance),
        categories=tuple(
            row(name, name, (name, name), members[name], chance if name in judged else None)
            for name in sorted(members, key=lambda name: (-weights[name], name))
        ),
        groups=tuple(sorted(compared, key=lambda r: (-_moved(r), r.key))),
        reasons=reasons,
        anchors=(float(sums[0].anchor.sum()), float(sums[1].anchor.sum())),
    )


def _moved(row: Compared) -> float:
    """Return how much a row moves the whole: what is to be looked at first."""
    rates = [cost.blocks_per_s or 0.0 for cost in row.costs]
    return abs(rates[1] - rates[0])


def _alone(sums: tuple[_Sums, _Sums], members: _Members, chance: float) -> Verdict | None:
    """Return that a row was called on one side alone, if that is no chance.

    Were its steps dealt to the two sides blindly, all of them would seldom fall on one.
    """
    active = [each.called(those) for each, those in zip(sums, members, strict=True)]
    if all(active) or not any(active):
        return None
    there = 0 if active[0] else 1
    steps = [len(each.side.seconds) for each in sums]
    if (steps[there] / sum(steps)) ** active[there] > chance:
        return Verdict.UNSURE
    return Verdict.APPEARED if there else Verdict.VANISHED


def _reasons(a: Side, b: Side) -> Iterator[str]:
    """Yield why two windows are not to be judged."""
    for name, side in (("A", a), ("B", b)):
        steps = len(side.seconds)
        if steps < LEAST_STEPS:
            yield f"{name} has {steps} steps; {LEAST_STEPS} are needed to know their spread"
        if side.lost > MOST_BAD:
            yield f"part of what {name} counted was lost in {side.lost * 100:.0f} % of its time"
        if side.coverage is not None and side.coverage < LEAST_COVERAGE:
            yield f"statements explain {side.coverage * 100:.0f} % of the reads of {name} only"
    if min(len(a.seconds), len(b.seconds)) >= LEAST_STEPS:
        yield from _warming(a, b)


def _warming(a: Side, b: Side) -> Iterator[str]:
    """Yield which side is still warming up: caches fill, and less is read, or faster.

    What falls alike on both sides (two days, two cold starts) makes them no less comparable.
    """
    falls = _falls(a), _falls(b)
    for name, fell, other in (("A", falls[0], falls[1]), ("B", falls[1], falls[0])):
        for what, by in fell.items():
            if by >= WARMING and other[what] < by / 2:
                yield (
                    f"{name} is still warming up: {what} fell by {by * 100:.0f} % from its first"
                    " third to its last"
                )


def _falls(side: Side) -> dict[str, float]:
    """Return by what share of itself each measure of warmth surely fell, from third to third."""
    whole = side.amounts.sum(axis=1).astype(np.float64)
    read = whole[_SHARED]
    third = len(side.seconds) // 3
    falls = {}
    for what, above, below in (
        ("the share of blocks not found in shared_buffers", read, read + whole[_HIT]),
        ("the time to read a block", whole[_READ_US], whole[_TIMED]),
    ):
        first = quantity(above[:third], below[:third])
        last = quantity(above[-third:], below[-third:])
        found = change_of(first, last, 1 - CERTAINTY)
        falls[what] = -(found.change or 0.0) if found.verdict is Verdict.BETTER else 0.0
    return falls
