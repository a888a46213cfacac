"""Two windows compared: what reads more or less than before, and how sure that is.

All rows that are judged together share one chance of a false alarm (Bonferroni).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from pgiostat.analysis.compare.comparability import CERTAINTY, SteppedWindow, step_by_step
from pgiostat.analysis.compare.comparability import why_not_judged as reasons_of
from pgiostat.analysis.compare.significance import (
    Change,
    Floats,
    Quantity,
    Verdict,
    change_of,
    inconclusive,
    quantity,
)
from pgiostat.analysis.cost import FIELDS, ReadCost
from pgiostat.statistics.columnar import Counts
from pgiostat.statistics.names import OWN

__all__ = ["REST", "ComparedGroup", "Comparison", "Group", "Per", "compare", "shown"]

REST = "rest"
"""The key of all groups that are not shown, as one row."""
_ORDER = {
    Verdict.UNSURE: 1,
    Verdict.SAME: 2,
    Verdict.NOT_JUDGED: 3,
}
"""What surely changed is first."""

LEAST_SHARE = 0.01
"""Of the reads of either side: what is less is shown, and not judged."""

_CALLS = FIELDS.index("calls")
_SHARED = FIELDS.index("shared_blks_read")
_LOCAL = FIELDS.index("local_blks_read")


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


@dataclass(frozen=True, slots=True)
class ComparedGroup:
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

    groups: what changed most first.  anchors: what a rate was divided by, in all, on each side.
    paired: whether they were compared step by step.  left_out: how many steps of each side the
    other one lacks; nothing here counts them.
    """

    per: Per
    total: ComparedGroup
    categories: tuple[ComparedGroup, ...]
    groups: tuple[ComparedGroup, ...]
    reasons: tuple[str, ...]
    anchors: tuple[float, float]
    paired: bool = False
    left_out: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """A side, with what is asked of it again and again. blocks, calls: (groups, steps)."""

    side: SteppedWindow
    blocks: Floats
    calls: Floats
    whole: Counts
    anchor: Floats

    @classmethod
    def of(cls, side: SteppedWindow, anchor: Sequence[int]) -> "_Sums":
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
    a: SteppedWindow,
    b: SteppedWindow,
    groups: Sequence[Group],
    per: Per = Per.SECOND,
    anchor: Sequence[int] = (),
) -> Comparison:
    """Return what changed from A to B.

    anchor: the numbers of the groups whose calls blocks are divided by, for Per.ANCHOR.
    """
    pairs = step_by_step(a, b)
    whole, paired = (len(a.seconds), len(b.seconds)), pairs is not None
    a, b = pairs or (a, b)
    reasons = tuple(reasons_of(a, b))
    sums = _Sums.of(a, anchor), _Sums.of(b, anchor)
    shares = [each.shares for each in sums]

    def row(
        key: str, name: str, of: tuple[str, str], members: _Members, chance: float | None
    ) -> ComparedGroup:
        first, second = (each.rate(those, per) for each, those in zip(sums, members, strict=True))
        if reasons or chance is None:
            reads = inconclusive(first.value, second.value)
        else:
            reads = change_of(first, second, chance, paired=paired)
            alone = _alone(sums, members, chance)
            reads = reads if alone is None else replace(reads, verdict=alone)
        costs = sums[0].cost(members[0]), sums[1].cost(members[1])
        return ComparedGroup(key, name, *of, costs, reads)

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
        else ComparedGroup(g.key, g.text, *g.categories, both, inconclusive(*pair))
        for n, (g, pair, both) in enumerate(zip(groups, rates, costs, strict=True))
    ]
    everything = numbers = list(range(len(groups)))
    return Comparison(
        per=per,
        total=row("total", "total", ("", ""), (everything, everything), chance),
        categories=tuple(
            row(name, name, (name, name), members[name], chance if name in judged else None)
            for name in sorted(members, key=lambda name: (-weights[name], name))
        ),
        groups=tuple(
            compared[n] for n in sorted(numbers, key=lambda n: _order(compared[n], bool(matter[n])))
        ),
        reasons=reasons,
        anchors=(float(sums[0].anchor.sum()), float(sums[1].anchor.sum())),
        paired=paired,
        left_out=(whole[0] - len(a.seconds), whole[1] - len(b.seconds)),
    )


def _order(row: ComparedGroup, matters: bool) -> tuple[int, bool, float, str]:  # noqa: FBT001 - a key
    """Return what is to be looked at first: what surely changed, and by most of what is measured.

    Of what is not judged, rows that read little come last, however much a call of theirs changed.
    """
    change = (row.reads.b or 0.0) - (row.reads.a or 0.0)
    return _ORDER.get(row.reads.verdict, 0), not matters, -abs(change), row.key


def shown(
    comparison: Comparison, top: int | None
) -> tuple[tuple[ComparedGroup, ...], ComparedGroup | None]:
    """Return so many groups, and all others as one that is not judged; None if there is none.

    What pgiostat itself read is among the categories: it is in neither.
    """
    groups = [row for row in comparison.groups if row.key != OWN]
    first, others = groups[:top], groups[len(groups) if top is None else top :]
    if not others:
        return tuple(first), None
    costs = others[0].costs
    for other in others[1:]:
        costs = costs[0] + other.costs[0], costs[1] + other.costs[1]
    rates = [
        _rate(cost, comparison.per, anchor)
        for cost, anchor in zip(costs, comparison.anchors, strict=True)
    ]
    name = f"{len(others)} others"
    return tuple(first), ComparedGroup(REST, name, "", "", costs, inconclusive(*rates))


def _rate(cost: ReadCost, per: Per, anchor: float) -> float | None:
    if per is Per.ANCHOR:
        return cost.blocks / anchor if anchor else None
    return cost.blocks_per_call if per is Per.CALL else cost.blocks_per_s


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
