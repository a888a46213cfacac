"""A ranking; its parts add up to the server's own total."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from pgiostat.analysis.cost import FIELDS, ReadCost
from pgiostat.analysis.ledger import LedgerLine, Line, reconcile, total_of, whole_of
from pgiostat.analysis.rank.costs import Costs
from pgiostat.analysis.rank.dimension import OF_RELATIONS, By, table_of, tag_of, verb_of
from pgiostat.analysis.rank.groups import (
    OWN_KEY,
    GroupKey,
    Groups,
    Unread,
    add_relations,
    add_statements,
)
from pgiostat.analysis.rank.index_groups import add_indexes
from pgiostat.analysis.rank.lazy_sequence import LazySequence
from pgiostat.analysis.rank.sort import MEASURES, Sort
from pgiostat.analysis.rank.sums import (
    database_blocks,
    reads_together,
    recent,
    seconds_by_hour,
    seconds_of,
)
from pgiostat.analysis.rank.totals import Totals
from pgiostat.analysis.relation_activity import IndexActivity, TableActivity
from pgiostat.analysis.server_reads import ServerReads
from pgiostat.statistics.delta import Delta
from pgiostat.statistics.names import OWN, Names, Renamed, preset_of
from pgiostat.statistics.preset import PresetInForce

__all__ = ["RankRow", "Ranking", "Sort", "rank", "rank_totals", "server_prefix"]


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
        action: What it does, and to which table, if it is a statement or a fingerprint; its
            category is the same if no rule gave it another.
        table_read: The table that it reads, if it is a statement or a fingerprint; else empty.
        tag: Value of the tag that a view is by, if it is a statement or a fingerprint.
        own_text: The own text of `Statement`; of a fingerprint that of one entry.
        relation: Of an index its table.
        queryids: Of a fingerprint in a report by statement: those of its entries.
        databases: Of a fingerprint those of its entries, the first with the most reads; empty if
            all that is ranked is of one database.
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
    action: str = ""
    table_read: str = ""
    tag: str = ""
    own_text: str = ""
    relation: str = ""
    queryids: tuple[int, ...] = ()
    databases: tuple[str, ...] = ()
    parts: tuple[tuple[str, int], ...] = ()
    members: int = 1
    uncertain: bool = False

    @property
    def verb(self) -> str:
        """What it does, if it is a statement or a fingerprint."""
        return verb_of(self.action, self.category)

    @property
    def table(self) -> str:
        """The row that it belongs to by table, if it is a statement or a fingerprint."""
        return table_of(self.table_read, self.action, self.category)

    @property
    def tag_group(self) -> str:
        """The row that it belongs to by tag, if it is a statement or a fingerprint."""
        return tag_of(self.tag, self.action, self.category)


@dataclass(frozen=True, slots=True)
class Ranking:
    """A ranking with parts that add up: rows + rest + own + lines = the server's own count.

    Attributes:
        by: What a row is.
        sort: What rows are ordered by.
        seconds: Measured length.
        rows: The top rows, each made when it is read.
        rest: All further rows as one; None without any.
        own: The cost of pgiostat; None if it did nothing.
        explained: All rows together.
        server_blocks: Blocks read by the server's own count (pg_stat_database); of the connected
            database if relations are ranked; None if the count was lost.
        lines: Blocks of the server's count that no row explains, by account.
        absurd_times: Rows with an impossible read time, which is left out.
        nested: Nested statements, left out because their callers' rows include them.
        nested_blocks: Blocks that they read.
        unread: Statements without a text.
        renamed: Names that changed within the time window.
        preset: The preset of rules in force, and the reason; None without a statement.
        activity: What the table or index of a row did, by key; None if that was not looked up.
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
    preset: PresetInForce | None = None
    activity: Mapping[GroupKey, TableActivity | IndexActivity] | None = None

    @property
    def untexted(self) -> int:
        """Number of statements without a text."""
        return sum(each.statements for each in self.unread)

    @property
    def unattributed(self) -> int | None:
        """Blocks of the server's count that nothing explains; None if that count was lost.

        Negative if statements counted more than the server.
        """
        return self.lines[-1].blocks if self.lines else None

    @property
    def in_transit(self) -> int | None:
        """Blocks that the server and statements count at different times; None if unknown."""
        line = self.line(LedgerLine.IN_TRANSIT)
        return None if line is None else line.blocks

    @property
    def earlier(self) -> Line | None:
        """Blocks of before the interval that settle in it; None without any."""
        return self.line(LedgerLine.EARLIER)

    @property
    def earlier_blocks(self) -> int | None:
        """Blocks of before the interval that settle in it; None if those in transit are unknown."""
        if self.in_transit is None:
            return None
        return 0 if self.earlier is None else self.earlier.blocks

    def line(self, account: LedgerLine) -> Line | None:
        """Return a line of the ledger.

        Args:
            account: Which line.

        Returns:
            The line; None without it.
        """
        return next((line for line in self.lines if line.account is account), None)

    @property
    def whole(self) -> int:
        """The blocks of which rows have shares."""
        return whole_of(self.explained.blocks, self._reads)

    @property
    def total(self) -> int:
        """The reads of the interval: all rows and all lines of the interval add up to it."""
        return total_of(self.explained.blocks, self._reads)

    @property
    def _reads(self) -> ServerReads:
        return ServerReads(
            blocks=self.server_blocks,
            in_transit_blocks=self.in_transit,
            earlier_blocks=self.earlier_blocks,
        )

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
    """Rank the reads in intervals of one server.

    Intervals were subtracted on the full key, so that a statement of two users, databases or
    versions adds up. An interval without a length, such as the first one, holds nothing.

    Args:
        deltas: The intervals.
        names: The names of their ids, for example `Sampler.names`.
        by: Dimension of the rows; not By.SERVER and not By.HOUR, which need a history.
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
    """Rank what was read over totals, like `rank`.

    Args:
        parts: Totals, each with the meaning of its ids. Ids of servers are kept apart, texts
            and categories are not.
        top: As for `rank`.
    """
    counted = [each for each, _ in parts]
    seconds = seconds_of(counted)
    groups, unread = _grouped(parts, by)
    reads = reads_together(counted)
    none = ReadCost(seconds, counted[-1].block_size if counted else 8192, per_block=reads.per_block)
    if by in OF_RELATIONS:
        none = replace(none, calls=None, rows=None, total_exec_us=None)
        # All relations are in the ranking, catalogs too: the ledger has no accounts of its own.
        reads = ServerReads(blocks=database_blocks(counted))
    costs = Costs(groups, none, seconds_by_hour(counted, by))
    explained = costs.total(slice(None))
    lines = reconcile(explained.blocks, reads, recent(counted))
    whole = whole_of(explained.blocks, reads)
    kept, cut = _top(costs, by, sort, top)
    ours = [number for number, key in enumerate(costs.keys) if key == OWN_KEY]
    of_statements = by not in OF_RELATIONS
    return Ranking(
        by=by,
        sort=sort,
        seconds=seconds,
        rows=LazySequence(len(kept), lambda place: _row(groups, costs, kept[place], whole)),
        rest=_together(f"({len(cut)} more)", costs, cut, whole) if cut else None,
        own=_together(OWN, costs, ours, whole) if ours else None,
        explained=explained,
        server_blocks=reads.blocks,
        lines=lines,
        absurd_times=sum(each.absurd_times for each in counted) if of_statements else 0,
        unread=unread,
        preset=preset_of(names for _, names in parts),
        renamed=tuple(dict.fromkeys(each for _, names in parts for each in names.renamed)),
        nested=sum(each.nested for each in counted) if of_statements else 0,
        nested_blocks=sum(each.nested_blocks for each in counted) if of_statements else 0,
    )


def _grouped(parts: Sequence[tuple[Totals, Names]], by: By) -> tuple[Groups, tuple[Unread, ...]]:
    """Return the groups, and the statements without a text by reason."""
    ids = {each.server_id for each, _ in parts}
    groups = Groups()
    unread: dict[tuple[str, str], Unread] = {}
    for each, names in parts:
        prefix = server_prefix(each, ids)
        if by in OF_RELATIONS:
            add = add_indexes if by is By.INDEX else add_relations
            add(groups, each, names, prefix)
            continue
        for found in add_statements(groups, each, names, by, prefix):
            key = (found.category, found.reason)
            before = unread.get(key, replace(found, statements=0, blocks=0))
            unread[key] = replace(
                found,
                statements=before.statements + found.statements,
                blocks=before.blocks + found.blocks,
            )
    return groups, tuple(unread.values())


def server_prefix(counted: Totals, ids: Collection[int]) -> str:
    """Return what the keys of a server's rows begin with; empty if it is ranked alone.

    Args:
        counted: Its totals.
        ids: The server_ids of all that are ranked.
    """
    return f"{counted.server}/" if len(ids) > 1 else ""


def _top(costs: Costs, by: By, sort: Sort, top: int | None) -> tuple[list[int], list[int]]:
    """Return the groups of the rows in order, and those of the rest."""
    keys, blocks = costs.keys, costs.blocks()
    measured: Sequence[float | None] = blocks
    if sort is not Sort.READS:
        measured = [MEASURES[sort](costs[number]) for number in range(len(keys))]

    def order(number: int) -> tuple[float, int, GroupKey]:
        value = measured[number]
        return 1.0 if value is None else -value, -blocks[number], keys[number]

    kept = sorted((number for number, key in enumerate(keys) if key != OWN_KEY), key=order)
    cut: list[int] = []
    if top is not None:
        # Categories are few: an idle one is shown as well.
        active = [number for number in kept if by is By.CATEGORY or measured[number]][:top]
        shown = set(active)
        kept, cut = active, [number for number in kept if number not in shown]
    return (sorted(kept, key=keys.__getitem__) if by is By.HOUR else kept), cut


def _row(groups: Groups, costs: Costs, number: int, whole: int) -> RankRow:
    cost, group = costs[number], groups[number]
    identity = group.identity
    return RankRow(
        key=costs.keys[number],
        name=identity.name,
        cost=cost,
        share=cost.blocks / whole if whole else None,
        category=identity.category,
        text=identity.text,
        queryid=identity.queryid,
        fingerprint=identity.fingerprint,
        server=identity.server,
        database=identity.database,
        user=identity.user,
        action=identity.action,
        table_read=identity.table_read,
        tag=identity.tag,
        own_text=identity.own_text,
        relation=identity.relation,
        parts=tuple(sorted(group.parts.items())),
        members=group.members,
        uncertain=group.uncertain,
    )


def _together(name: str, costs: Costs, chosen: Sequence[int], whole: int) -> RankRow:
    total = costs.total(chosen)
    share = total.blocks / whole if whole else None
    return RankRow(key=(name,), name=name, cost=total, share=share, members=len(chosen))
