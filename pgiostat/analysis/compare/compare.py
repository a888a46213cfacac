"""Compare two windows: what reads more or less than before, and how certain that is.

All rows with a verdict share one probability of a false alarm (Bonferroni).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np

from pgiostat.analysis.compare.comparability import (
    CERTAINTY,
    SteppedWindow,
    step_by_step,
    why_not_judged,
)
from pgiostat.analysis.compare.significance import (
    Change,
    Floats,
    Quantity,
    Verdict,
    change_of,
    inconclusive,
    quantity,
)
from pgiostat.analysis.cost import FIELDS, ReadCost, blocks_of
from pgiostat.statistics.columnar import Counts
from pgiostat.statistics.names import OWN

__all__ = ["REST", "ComparedGroup", "Comparison", "FingerprintPair", "Per", "compare", "shown"]

REST = "rest"
"""The key of the row for all groups that are not shown."""
_ORDER = {
    Verdict.UNSURE: 1,
    Verdict.SAME: 2,
    Verdict.NOT_JUDGED: 3,
}
"""Certain changes come first."""

MIN_SHARE = 0.01
"""Smallest share of the reads of a side for a verdict; smaller rows are shown without one."""

_CALLS = FIELDS.index("calls")


class Per(StrEnum):
    """Denominator of a rate."""

    SECOND = "second"
    CALL = "call"
    ANCHOR = "anchor"


@dataclass(frozen=True, slots=True)
class FingerprintPair:
    """Statements of one row: a fingerprint on both sides, with its category on each."""

    key: str
    text: str
    categories: tuple[str, str]


@dataclass(frozen=True, slots=True)
class ComparedGroup:
    """A row: a category, a fingerprint or the total.

    Attributes:
        category_b: Category in B; another one if the rules differ.
        reads: Change of the rate.
    """

    key: str
    name: str
    category_a: str
    category_b: str
    costs: tuple[ReadCost, ReadCost]
    reads: Change

    @property
    def moved(self) -> bool:
        """Whether its category differs between the sides."""
        return self.category_a != self.category_b


@dataclass(frozen=True, slots=True)
class Comparison:
    """The comparison of two windows.

    Attributes:
        categories: The largest first.
        groups: The largest certain change first.
        reasons: Reasons against any verdict; empty if there are verdicts.
        anchors: Calls of the anchor on each side.
        left_out: Number of steps of each side without a partner, which are in no number.
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
    """A side with its sums.

    Attributes:
        blocks: (groups, steps).
        calls: (groups, steps).
        whole: (FIELDS, groups).
        read: Blocks of each group.
        anchor: Calls of the anchor in each step.
    """

    side: SteppedWindow
    blocks: Floats
    calls: Floats
    whole: Counts
    read: Counts
    anchor: Floats

    @classmethod
    def of(cls, side: SteppedWindow, anchor: Sequence[int]) -> "_Sums":
        blocks = blocks_of(side.amounts)
        calls = side.amounts[_CALLS].astype(np.float64)
        return cls(
            side,
            blocks.astype(np.float64),
            calls,
            whole=side.amounts.sum(axis=2),
            read=blocks.sum(axis=1),
            anchor=calls[list(anchor)].sum(axis=0),
        )

    @property
    def shares(self) -> Floats:
        """Share of the reads of each group."""
        shares: Floats = self.read / max(int(self.read.sum()), 1)
        return shares

    def rates(self, per: Per) -> list[float | None]:
        """Return the rate of each group."""
        if per is Per.CALL:
            below = self.whole[_CALLS].tolist()
        else:
            steps = self.side.seconds if per is Per.SECOND else self.anchor
            below = [float(steps.sum())] * len(self.read)
        known = zip(self.read.tolist(), below, strict=True)
        return [over / under if under else None for over, under in known]

    def costs(self) -> list[ReadCost]:
        """Return the cost of each group."""
        return list(map(self._cost, self.whole.T.tolist()))

    def cost(self, members: Sequence[int]) -> ReadCost:
        """Return the cost of some groups together."""
        return self._cost(self.whole[:, members].sum(axis=1).tolist())

    def _cost(self, amounts: Sequence[int]) -> ReadCost:
        fields: dict[str, Any] = dict(zip(FIELDS, amounts, strict=True))
        return ReadCost(float(self.side.seconds.sum()), self.side.block_size, **fields)

    def rate(self, members: Sequence[int], per: Per) -> Quantity:
        """Return the rate of some groups together."""
        below = self.anchor if per is Per.ANCHOR else self.side.seconds
        if per is Per.CALL:
            below = self.calls[members].sum(axis=0)
        return quantity(self.blocks[members].sum(axis=0), below)

    def called(self, members: Sequence[int]) -> int:
        """Return the number of steps with calls of some groups."""
        return int((self.calls[members].sum(axis=0) > 0).sum())


_Members = tuple[Sequence[int], Sequence[int]]
"""Numbers of the groups of a row, on each side."""


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Makes the rows of a comparison."""

    sums: tuple[_Sums, _Sums]
    per: Per
    paired: bool
    is_judged: bool

    def row(
        self,
        key: str,
        name: str,
        categories: tuple[str, str],
        members: _Members,
        chance: float | None,
    ) -> ComparedGroup:
        """Return a row; without a verdict if chance, that of a false alarm, is None."""
        both = tuple(zip(self.sums, members, strict=True))
        first, second = (each.rate(groups, self.per) for each, groups in both)
        if chance is None or not self.is_judged:
            reads = inconclusive(first.value, second.value)
        else:
            reads = change_of(first, second, chance, paired=self.paired)
            one_sided = _one_sided(self.sums, members, chance)
            reads = reads if one_sided is None else replace(reads, verdict=one_sided)
        before, after = (each.cost(groups) for each, groups in both)
        return ComparedGroup(key, name, *categories, (before, after), reads)

    def groups(
        self, groups: Sequence[FingerprintPair], weights: Floats
    ) -> tuple[ComparedGroup, ...]:
        """Return a row of each group, the most important first; weights: shares of the reads."""
        matters = (weights >= MIN_SHARE).tolist()
        chance = (1 - CERTAINTY) / max(sum(matters), 1)
        # Of thousands of rows few have a verdict: the interval of the others would be most of the
        # work.
        rates = zip(*(each.rates(self.per) for each in self.sums), strict=True)
        costs = zip(*(each.costs() for each in self.sums), strict=True)
        rows = [
            self.row(group.key, group.text, group.categories, ([n], [n]), chance)
            if matters[n]
            else ComparedGroup(group.key, group.text, *group.categories, both, inconclusive(*pair))
            for n, (group, pair, both) in enumerate(zip(groups, rates, costs, strict=True))
        ]
        ordered = sorted(zip(rows, matters, strict=True), key=lambda item: _order(*item))
        return tuple(row for row, _ in ordered)


def compare(
    a: SteppedWindow,
    b: SteppedWindow,
    groups: Sequence[FingerprintPair],
    per: Per = Per.SECOND,
    anchor: Sequence[int] = (),
) -> Comparison:
    """Return the changes from A to B.

    Args:
        anchor: Numbers of the groups with the calls to divide by, for Per.ANCHOR.
    """
    pairs = step_by_step(a, b)
    lengths = len(a.seconds), len(b.seconds)
    a, b = pairs or (a, b)
    reasons = tuple(why_not_judged(a, b))
    sums = _Sums.of(a, anchor), _Sums.of(b, anchor)
    shares = [each.shares for each in sums]
    rows = _Rows(sums, per, paired=pairs is not None, is_judged=not reasons)
    members = _by_category(groups)
    weights = {
        name: max(float(share[on_side].sum()) for share, on_side in zip(shares, both, strict=True))
        for name, both in members.items()
    }
    judged = {name for name, weight in weights.items() if weight >= MIN_SHARE}
    chance = (1 - CERTAINTY) / (len(judged) + 1)
    everything = list(range(len(groups)))
    return Comparison(
        per=per,
        total=rows.row("total", "total", ("", ""), (everything, everything), chance),
        categories=tuple(
            rows.row(name, name, (name, name), members[name], chance if name in judged else None)
            for name in sorted(members, key=lambda name: (-weights[name], name))
        ),
        groups=rows.groups(groups, np.maximum(*shares)),
        reasons=reasons,
        anchors=(float(sums[0].anchor.sum()), float(sums[1].anchor.sum())),
        paired=rows.paired,
        left_out=(lengths[0] - len(a.seconds), lengths[1] - len(b.seconds)),
    )


def _by_category(groups: Sequence[FingerprintPair]) -> dict[str, _Members]:
    """Return the numbers of the groups of each category, on each side, by name."""
    members: dict[str, tuple[list[int], list[int]]] = {}
    for number, group in enumerate(groups):
        for side, category in enumerate(group.categories):
            members.setdefault(category, ([], []))[side].append(number)
    return {name: members[name] for name in sorted(members)}


def _order(row: ComparedGroup, matters: bool) -> tuple[int, bool, float, str]:  # noqa: FBT001 - a key
    """Return the sort key of a row: certain changes first, then by the absolute change of the rate.

    Rows that read little come last, however much the rate per call changed.
    """
    change = (row.reads.b or 0.0) - (row.reads.a or 0.0)
    return _ORDER.get(row.reads.verdict, 0), not matters, -abs(change), row.key


def shown(
    comparison: Comparison, top: int | None
) -> tuple[tuple[ComparedGroup, ...], ComparedGroup | None]:
    """Return the first rows, and all others as one row without a verdict.

    The cost of pgiostat itself is in neither: it is among the categories.

    Args:
        top: Number of rows; None for all.

    Returns:
        The rows, and the row of the others; None if there are no others.
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
    name = "1 other" if len(others) == 1 else f"{len(others)} others"
    return tuple(first), ComparedGroup(REST, name, "", "", costs, inconclusive(*rates))


def _rate(cost: ReadCost, per: Per, anchor: float) -> float | None:
    if per is Per.ANCHOR:
        return cost.blocks / anchor if anchor else None
    return cost.blocks_per_call if per is Per.CALL else cost.blocks_per_s


def _one_sided(sums: tuple[_Sums, _Sums], members: _Members, chance: float) -> Verdict | None:
    """Return the verdict on a row that was called on one side alone; None on any other row.

    It is certain if a random assignment of its steps to the sides would seldom put all on one.
    """
    active = [each.called(groups) for each, groups in zip(sums, members, strict=True)]
    if all(active) or not any(active):
        return None
    side = 0 if active[0] else 1
    steps = [len(each.side.seconds) for each in sums]
    if (steps[side] / sum(steps)) ** active[side] > chance:
        return Verdict.UNSURE
    return Verdict.APPEARED if side else Verdict.VANISHED
