"""The costs of groups, each made when it is read."""

from collections.abc import Mapping, Sequence
from typing import Any

from pgiostat.analysis.cost import FIELDS, ReadCost, blocks_of
from pgiostat.analysis.rank.groups import Groups
from pgiostat.statistics.columnar import Counts

__all__ = ["Costs"]


class Costs:
    """Costs of groups; a count that the empty cost lacks is None in all of them.

    seconds: of groups with a length of their own, by the first part of the key.
    """

    def __init__(self, groups: Groups, none: ReadCost, seconds: Mapping[str, float]) -> None:
        self.keys = list(groups.numbers)
        self._amounts = groups.amounts
        self._none, self._seconds = none, seconds
        self._unknown = {name: None for name in FIELDS if getattr(none, name) is None}
        self._made: dict[int, ReadCost] = {}

    def __getitem__(self, number: int) -> ReadCost:
        if number not in self._made:
            seconds = self._seconds.get(self.keys[number][0], self._none.seconds)
            self._made[number] = self._of(seconds, self._amounts[:, number])
        return self._made[number]

    def total(self, chosen: Sequence[int] | slice) -> ReadCost:
        """Return the cost of some groups together."""
        return self._of(self._none.seconds, self._amounts[:, chosen].sum(axis=1))

    def blocks(self) -> list[int]:
        """Return the blocks of each group."""
        return list(blocks_of(self._amounts).tolist())

    def _of(self, seconds: float, amounts: Counts) -> ReadCost:
        none = self._none
        known: dict[str, Any] = dict(zip(FIELDS, amounts.tolist(), strict=True))
        known |= self._unknown
        return ReadCost(seconds, none.block_size, **known, per_block=none.per_block)
