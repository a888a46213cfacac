"""A ranking whose parts add up to the server's own total."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from pgiostat.analysis.cost import FIELDS, ReadCost
from pgiostat.analysis.ledger import Line, ServerReads, reconcile
from pgiostat.analysis.rank.groups import (
    OWN_KEY,
    By,
    GroupKey,
    Groups,
    Unread,
    add_relations,
    add_statements,
    hour_of,
)
from pgiostat.analysis.rank.lazy_sequence import LazySequence
from pgiostat.analysis.rank.totals import Totals
from pgiostat.statistics.columnar import Counts
from pgiostat.statistics.delta import Delta
from pgiostat.statistics.names import OWN, Names, Renamed

__all__ = ["RankRow", "Ranking", "Sort", "rank", "rank_totals"]


class Sort(StrEnum):
    """What the rows of a ranking are ordered by, the greatest first.

    Attributes:
        READS: Blocks read.
        TIME: Time reading.
        TEMP: Blocks of spill files read.
        CALLS: Calls.
        PER_CALL: Blocks read by a call.
    """

    READS = "reads"
    TIME = "time"
    TEMP = "temp"
    CALLS = "calls"
    PER_CALL = "per-call"


_MEASURE: dict[Sort, Callable[[ReadCost], float | None]] = {
    Sort.READS: lambda cost: cost.blocks,
    Sort.TIME: lambda cost: cost.read_ms,
    Sort.TEMP: lambda cost: cost.temp_blks_read,
    Sort.CALLS: lambda cost: cost.calls,
    Sort.PER_CALL: lambda cost: cost.blocks_per_call,
}


_BLOCKS = [FIELDS.index(name) for name in ("shared_blks_read", "local_blks_read")]
"""What ReadCost.blocks is the sum of."""


@dataclass(frozen=True, slots=True)
class RankRow:
    """One row of a ranking.

    Attributes:
        key: What identifies it among the rows.
        name: Its name for output.
        cost: What it read.
        share: Share of all reads, 0 to 1; None if nothing was read.
        category: Its category, if it has one.
        text: Normalized text, if it is a statement or a fingerprint.
        queryid: The server's hash of the statement, if it is one.
        fingerprint: Hash of the normalized text, the same on any server.
        server: Label, if several servers are ranked and the row is of one.
        database: Its database, if it is of one.
        user: Its role, if it is of one.
        parts: Of a relation: heap, index and TOAST parts with their blocks read.
        members: How many entries were added up.
        uncertain: Part of its numbers was counted since a reset, or is a lower bound.
    """

    key: tuple[str, ...]
    name: str
    cost: ReadCost
    share: float | None
    category: str = ""
    text: str = ""
    queryid: int | None = None
    fingerprint: str = ""
    server: str = ""
    database: str = ""
    user: str = ""
    parts: tuple[tuple[str, int], ...] = ()
    members: int = 1
    uncertain: bool = False


@dataclass(frozen=True, slots=True)
class Ranking:
    """A ranking whose parts add up: rows + rest + own + lines = the server's own count.

    Attributes:
        by: What a row is.
        sort: What rows are ordered by.
        seconds: Measured length.
        rows: The top rows, each made when it is read.
        rest: All further rows as one; None without any.
        own: The cost of pgiostat itself; None if it did nothing.
        explained: All rows together.
        server_blocks: Blocks read by the server's own count (pg_stat_database); of the connected
            database if relations are ranked; None if the count was lost.
        lines: Blocks of the server's count that no row explains, by account.
        absurd_times: Rows whose read time was impossible, and is left out.
        nested: Nested statements, left out because their callers' rows include them.
        nested_blocks: Blocks that they read.
        unread: Statements without a text.
        renamed: Names that changed within the time window.
    """

    by: By
    sort: Sort
    seconds: float
    rows: Sequence[RankRow]
    rest: RankRow | None
    own: RankRow | None
    explained: ReadCost
    server_blocks: int | None
    lines: tuple[Line, ...]
    absurd_times: int
    nested: int
    nested_blocks: int
    unread: tuple[Unread, ...] = ()
    renamed: tuple[Renamed, ...] = ()

    @property
    def untexted(self) -> int:
        """How many statements have no text."""
        return sum(each.statements for each in self.unread)

    @property
    def unattributed(self) -> int | None:
        """What of the server's count nothing explains, None if it was lost.

        Negative when the server has not yet counted what its statements have.
        """
        return self.lines[-1].blocks if self.lines else None

    @property
    def whole(self) -> int:
        """What shares are taken of."""
        return max(self.server_blocks or 0, self.explained.blocks)

    def cost_of(self, blocks: int) -> ReadCost:
        """Return blocks that no statement read as a cost.

        Args:
            blocks: Blocks read.

        Returns:
            The cost; calls, times and hits are unknown.
        """
        none = replace(self.explained, calls=None, rows=None, total_exec_us=None)
        known = {name: 0 for name in FIELDS if getattr(none, name) is not None}
        return replace(none, **(known | {"shared_blks_read": blocks}))  # type: ignore[arg-type]

    def share(self, blocks: int | None) -> float | None:
        """Return blocks as a share of all reads.

        Args:
            blocks: Blocks read, or None.

        Returns:
            0 to 1; None if blocks is None or nothing was read.
        """
        return blocks / self.whole if blocks is not None and self.whole else None


def rank(
    deltas: Sequence[Delta],
    names: Names,
    *,
    by: By = By.CATEGORY,
    sort: Sort = Sort.READS,
    top: int | None = None,
) -> Ranking:
    """Rank what read in intervals of one server.

    Intervals were subtracted on the full key, so that a statement of two users, databases or
    versions adds up. An interval without a length, as the first one, holds nothing.

    Args:
        deltas: The intervals.
        names: What their ids mean, as `Sampler.names`.
        by: What a row is; not By.SERVER and not By.HOUR, which are of a history.
        sort: What rows are ordered by, the greatest first.
        top: Number of rows, without idle ones; the others are one row, rest. None for all.

    Returns:
        The ranking; its parts add up to the server's own count of blocks.
    """
    counted = [(Totals.of(delta), names) for delta in deltas if delta.seconds is not None]
    return rank_totals(counted, by=by, sort=sort, top=top)


def rank_totals(
    parts: Sequence[tuple[Totals, Names]],
    *,
    by: By = By.CATEGORY,
    sort: Sort = Sort.READS,
    top: int | None = None,
) -> Ranking:
    """Return who read what over all that was counted; as rank, from wherever it comes.

    parts: what was counted, with what its ids mean.  Ids of several servers are kept apart, texts
    and categories are not.
    """
    counted = [each for each, _ in parts]
    seconds = _seconds(counted)
    groups, unread = _grouped(parts, by)
    reads = _reads(counted)
    none = ReadCost(seconds, counted[-1].block_size if counted else 8192, per_block=reads.per_block)
    if by is By.RELATION:
        none = replace(none, calls=None, rows=None, total_exec_us=None)
        # Relations of all kinds are in the ranking: there is nothing to settle.
        reads = ServerReads(blocks=_database_total(counted))
    costs = _Costs(groups, none, _lasted(counted, by))
    explained = costs.total(slice(None))
    whole = max(reads.blocks or 0, explained.blocks)
    kept, cut = _chosen(costs, by, sort, top)
    ours = [number for number, key in enumerate(costs.keys) if key == OWN_KEY]
    of_statements = by is not By.RELATION
    return Ranking(
        by=by,
        sort=sort,
        seconds=seconds,
        rows=LazySequence(len(kept), lambda place: _row(groups, costs, kept[place], whole)),
        rest=_together(f"({len(cut)} more)", costs, cut, whole) if cut else None,
        own=_together(OWN, costs, ours, whole) if ours else None,
        explained=explained,
        server_blocks=reads.blocks,
        lines=reconcile(explained.blocks, reads, _ahead(counted)),
        absurd_times=sum(each.absurd_times for each in counted) if of_statements else 0,
        unread=unread,
        renamed=tuple(dict.fromkeys(each for _, names in parts for each in names.renamed)),
        nested=sum(each.nested for each in counted) if of_statements else 0,
        nested_blocks=sum(each.nested_blocks for each in counted) if of_statements else 0,
    )


def _ahead(counted: Sequence[Totals]) -> int:
    """Return what statements of each server had counted ahead of it when the first part began."""
    first: dict[int, int] = {}
    for each in counted:
        first.setdefault(each.server_id, each.ahead)
    return sum(first.values())


def _grouped(parts: Sequence[tuple[Totals, Names]], by: By) -> tuple[Groups, tuple[Unread, ...]]:
    """Return what was counted by group, and the statements that have no text, by reason."""
    several = len({each.server_id for each, _ in parts}) > 1
    groups = Groups()
    unread: dict[tuple[str, str], Unread] = {}
    for each, names in parts:
        where = f"{each.server}/" if several else ""
        if by is By.RELATION:
            add_relations(groups, each, names, where)
            continue
        for found in add_statements(groups, each, names, by, where):
            key = (found.category, found.reason)
            before = unread.get(key, replace(found, statements=0, blocks=0))
            unread[key] = replace(
                found,
                statements=before.statements + found.statements,
                blocks=before.blocks + found.blocks,
            )
    return groups, tuple(unread.values())


class _Costs:
    """What each group cost; what none leaves unknown stays unknown.

    lasted: the seconds of a group, by the first part of its key, if they are not those of none.
    """

    def __init__(self, groups: Groups, none: ReadCost, lasted: Mapping[str, float]) -> None:
        self.keys = groups.keys
        self._amounts = groups.amounts
        self._none, self._lasted = none, lasted
        self._unknown = {name: None for name in FIELDS if getattr(none, name) is None}
        self._made: dict[int, ReadCost] = {}

    def __getitem__(self, number: int) -> ReadCost:
        if number not in self._made:
            seconds = self._lasted.get(self.keys[number][0], self._none.seconds)
            self._made[number] = self._of(seconds, self._amounts[:, number])
        return self._made[number]

    def total(self, chosen: Sequence[int] | slice) -> ReadCost:
        """Return what some groups cost together."""
        return self._of(self._none.seconds, self._amounts[:, chosen].sum(axis=1))

    def blocks(self) -> list[int]:
        """Return the blocks of each group, as its ReadCost tells them."""
        blocks: list[int] = self._amounts[_BLOCKS].sum(axis=0).tolist()
        return blocks

    def _of(self, seconds: float, amounts: Counts) -> ReadCost:
        none = self._none
        known: dict[str, Any] = dict(zip(FIELDS, amounts.tolist(), strict=True))
        known |= self._unknown
        return ReadCost(seconds, none.block_size, **known, per_block=none.per_block)


def _chosen(costs: _Costs, by: By, sort: Sort, top: int | None) -> tuple[list[int], list[int]]:
    """Return the groups that are shown, in order, and those that are shown as one."""
    keys, blocks = costs.keys, costs.blocks()
    measured: Sequence[float | None] = blocks
    if sort is not Sort.READS:
        measured = [_MEASURE[sort](costs[number]) for number in range(len(keys))]

    def order(number: int) -> tuple[float, int, GroupKey]:
        value = measured[number]
        return 1.0 if value is None else -value, -blocks[number], keys[number]

    kept = sorted((number for number, key in enumerate(keys) if key != OWN_KEY), key=order)
    cut: list[int] = []
    if top is not None:
        # Of few categories each is news, and that it read nothing too.
        active = [number for number in kept if by is By.CATEGORY or measured[number]][:top]
        shown = set(active)
        kept, cut = active, [number for number in kept if number not in shown]
    return (sorted(kept, key=keys.__getitem__) if by is By.HOUR else kept), cut


def _row(groups: Groups, costs: _Costs, number: int, whole: int) -> RankRow:
    cost, place = costs[number], groups.identity(number)
    return RankRow(
        key=costs.keys[number],
        name=place.name,
        cost=cost,
        share=cost.blocks / whole if whole else None,
        category=place.category,
        text=place.text,
        queryid=place.queryid,
        fingerprint=place.fingerprint,
        server=place.server,
        database=place.database,
        user=place.user,
        parts=groups.parts(number),
        members=groups.members(number),
        uncertain=groups.is_uncertain(number),
    )


def _seconds(counted: Sequence[Totals]) -> float:
    """Return how long was counted: labels that are watched at once share their time.

    Several servers under one label, as after a failover, were watched one after the other.
    """
    of_label: dict[str | int, float] = {}
    for each in counted:
        label = each.server or each.server_id
        of_label[label] = of_label.get(label, 0.0) + each.seconds
    return max(of_label.values(), default=0)


def _lasted(counted: Sequence[Totals], by: By) -> dict[str, float]:
    """Return the length of each part of the time, where that is what is ranked.

    Servers share the time of the one that was watched longest: only so their rates add up.
    """
    if by is not By.HOUR:
        return {}
    parts: dict[str, list[Totals]] = {}
    for each in counted:
        parts.setdefault(hour_of(each), []).append(each)
    return {key: _seconds(part) for key, part in parts.items()}


def _together(name: str, costs: _Costs, chosen: Sequence[int], whole: int) -> RankRow:
    total = costs.total(chosen)
    share = total.blocks / whole if whole else None
    return RankRow(key=(name,), name=name, cost=total, share=share, members=len(chosen))


def _reads(counted: Sequence[Totals]) -> ServerReads:
    of_server: dict[int, list[ServerReads]] = {}
    for each in counted:
        of_server.setdefault(each.server_id, []).append(each.reads)
    return ServerReads.of_servers(map(ServerReads.total, of_server.values()))


def _database_total(counted: Sequence[Totals]) -> int | None:
    """Return the connected databases' own count, or None if any part of it was lost."""
    found = [each.database_blocks for each in counted]
    known = [blocks for blocks in found if blocks is not None]
    return sum(known) if known and len(known) == len(found) else None
