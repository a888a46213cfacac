"""Who costs the reads: rank(deltas, by=...) -> rows, shares, and what remains unattributed.

The same ranking serves screen, CSV and notebook, so that they cannot disagree.  Its parts add up
to the server's own total: rows + rest + pgiostat itself + the lines of the ledger.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from pgiostat import counters
from pgiostat.cost import FIELDS, ReadCost, relation_amounts, statement_amounts
from pgiostat.delta import Basis, Delta
from pgiostat.ledger import Line, ServerReads, reads_of, settle
from pgiostat.names import HIDDEN, OTHER, OWN, Names, Statement
from pgiostat.rows import Counts

__all__ = [
    "By",
    "Counted",
    "RankRow",
    "Ranking",
    "Sort",
    "group_of",
    "rank",
    "rank_counted",
]


class By(StrEnum):
    """What is ranked."""

    CATEGORY = "category"
    FINGERPRINT = "fingerprint"
    STATEMENT = "statement"
    RELATION = "relation"
    DATABASE = "database"
    USER = "user"
    SERVER = "server"
    HOUR = "hour"


class Sort(StrEnum):
    """By what it is ranked, the greatest first."""

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


@dataclass(frozen=True, slots=True)
class RankRow:
    """One place of a ranking.

    key: what tells it from the others.  share: of the whole, None if nothing was read.
    text: normalized statement, if it is one.  server: its label, where several are ranked and the
    row is of one.  uncertain: part of the numbers was counted since a
    reset or is a lower bound.
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
    """A ranking whose parts add up.

    rows: the top.  rest: all further rows as one.  own: our own cost.
    server_blocks: the server's own count, or the connected database's when relations are
    ranked; None if it was discontinuous.  lines: who read what of it no row explains, exactly.
    absurd_times: rows whose read time was not believed.  untexted: rows without a text.
    nested, nested_blocks: rows left out of all totals, because they are in their callers' rows.
    """

    by: By
    sort: Sort
    seconds: float
    rows: tuple[RankRow, ...]
    rest: RankRow | None
    own: RankRow | None
    explained: ReadCost
    server_blocks: int | None
    lines: tuple[Line, ...]
    absurd_times: int
    untexted: int
    nested: int
    nested_blocks: int

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

    def share(self, blocks: int | None) -> float | None:
        """Return blocks as a share of the whole."""
        return blocks / self.whole if blocks is not None and self.whole else None


_BLOCKS = [FIELDS.index(name) for name in ("shared_blks_read", "local_blks_read")]


def _nothing() -> Counts:
    return np.zeros((len(FIELDS), 0), dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """What was counted over a time, of one server: all that a ranking is made of.

    statements: (userid, dbid, queryid or None if hidden) of those that clients sent.  relations:
    their oids.  Amounts are matrices of FIELDS with a column for each; uncertain: masks.
    reads: the server's own count, database_blocks that of the connected database; None
    if part of it was lost.  server, whose: its label and number.  hour: which one it was, if by
    hour.
    """

    seconds: float
    block_size: int
    reads: ServerReads = field(default_factory=ServerReads)
    database_blocks: int | None = None
    statements: Sequence[tuple[int, int, int | None]] = ()
    statement_amounts: Counts = field(default_factory=_nothing)
    statement_uncertain: Sequence[bool] = ()
    relations: Sequence[int] = ()
    relation_amounts: Counts = field(default_factory=_nothing)
    relation_uncertain: Sequence[bool] = ()
    absurd_times: int = 0
    nested: int = 0
    nested_blocks: int = 0
    server: str = ""
    whose: int = 0
    hour: datetime | None = None

    @classmethod
    def of(cls, delta: Delta) -> "Counted":
        """Return what an interval counted."""
        amounts, absurd = statement_amounts(delta)
        top = delta.toplevel
        rows = delta.statements.rows.take(top)
        queryids = zip(rows["queryid"].tolist(), rows["masked"].tolist(), strict=True)
        reads = reads_of(delta)
        nested = amounts[:, ~top]
        return cls(
            seconds=delta.seconds or 0.0,
            block_size=delta.settings.block_size,
            statements=list(
                zip(
                    rows["userid"].tolist(),
                    rows["dbid"].tolist(),
                    [None if masked else queryid for queryid, masked in queryids],
                    strict=True,
                )
            ),
            statement_amounts=amounts[:, top],
            statement_uncertain=_uncertain(delta.statements.basis[top]),
            relations=delta.relations.rows["relid"].tolist(),
            relation_amounts=relation_amounts(delta.relations),
            relation_uncertain=_uncertain(delta.relations.basis),
            reads=reads,
            database_blocks=_database_blocks(delta),
            absurd_times=absurd,
            nested=nested.shape[1],
            nested_blocks=int(nested[_BLOCKS].sum()),
        )


def _uncertain(basis: npt.NDArray[np.uint8]) -> list[bool]:
    known = np.isin(basis, [Basis.PREVIOUS, Basis.NEW], invert=True)
    listed: list[bool] = known.tolist()
    return listed


def _database_blocks(delta: Delta) -> int | None:
    """Return what the connected database counted, or None if part of it was lost."""
    if not delta.is_complete:
        return None
    rows = delta.databases.rows
    here = np.isin(rows["datid"], [delta.newer.server.dbid])
    return int(rows["blks_read"][here].sum())


@dataclass(slots=True)
class _Place:
    """What a group of rows is, before it is ranked."""

    name: str
    category: str = ""
    text: str = ""
    queryid: int | None = None
    fingerprint: str = ""
    server: str = ""
    database: str = ""
    user: str = ""
    members: set[Hashable] = field(default_factory=set)
    parts: dict[str, int] = field(default_factory=dict)
    uncertain: bool = False
    own: bool = False


class _Groups:
    """Amounts added up by group."""

    def __init__(self) -> None:
        self.places: dict[tuple[str, ...], _Place] = {}
        self.amounts: dict[tuple[str, ...], list[int]] = {}

    def add(self, keys: Sequence[tuple[str, ...]], amounts: Counts) -> None:
        """Add the columns of a matrix of FIELDS to the groups named by keys."""
        index: dict[tuple[str, ...], int] = {}
        group = np.array([index.setdefault(key, len(index)) for key in keys], dtype=np.intp)
        summed = np.zeros((len(FIELDS), len(index)), dtype=np.int64)
        for i, values in enumerate(amounts):
            np.add.at(summed[i], group, values)
        for key, place in index.items():
            before = self.amounts.get(key, [0] * len(FIELDS))
            self.amounts[key] = [
                a + b for a, b in zip(before, summed[:, place].tolist(), strict=True)
            ]


def rank(
    deltas: Sequence[Delta],
    names: Names,
    *,
    by: By = By.CATEGORY,
    sort: Sort = Sort.READS,
    top: int | None = None,
) -> Ranking:
    """Return who read what over these intervals of one server.

    Differences were taken on the full key before anything is merged, so a statement of two
    users, databases or versions adds up.  Intervals without a length (the first) hold nothing.
    top: keep so many rows and no idle ones, the others together as the rest.
    """
    counted = [(Counted.of(delta), names) for delta in deltas if delta.seconds is not None]
    return rank_counted(counted, by=by, sort=sort, top=top)


def rank_counted(
    parts: Sequence[tuple[Counted, Names]],
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
    block_size = counted[-1].block_size if counted else 8192
    several = len({each.whose for each in counted}) > 1
    groups = _Groups()
    untexted = 0
    for each, names in parts:
        where = f"{each.server}/" if several else ""
        if by is By.RELATION:
            _add_relations(groups, each, names, where)
        else:
            untexted += _add_statements(groups, each, names, by, where)
    lasted = _lasted(counted, by)
    reads = _reads(counted)
    none = ReadCost(seconds, block_size, per_block=reads.per_block)
    if by is By.RELATION:
        none = replace(none, calls=None, rows=None, total_exec_us=None)

    def cost(key: tuple[str, ...]) -> ReadCost:
        known = {name: n for name, n in zip(FIELDS, groups.amounts[key], strict=True)
                 if getattr(none, name) is not None}  # fmt: skip
        return replace(none, seconds=lasted.get(key[0], seconds), **known)  # type: ignore[arg-type]

    costs = {key: cost(key) for key in groups.places}
    explained = sum(costs.values(), none)
    if by is By.RELATION:
        # Relations of all kinds are in the ranking: there is nothing to settle.
        reads = ServerReads(blocks=_database_total(counted))
    server_blocks = reads.blocks
    whole = max(server_blocks or 0, explained.blocks)

    def row(key: tuple[str, ...]) -> RankRow:
        place = groups.places[key]
        return RankRow(
            key=key,
            name=place.name,
            cost=costs[key],
            share=costs[key].blocks / whole if whole else None,
            category=place.category,
            text=place.text,
            queryid=place.queryid,
            fingerprint=place.fingerprint,
            server=place.server,
            database=place.database,
            user=place.user,
            parts=tuple(sorted(place.parts.items())),
            members=len(place.members),
            uncertain=place.uncertain,
        )

    measure = _MEASURE[sort]

    def order(key: tuple[str, ...]) -> tuple[float, int, tuple[str, ...]]:
        value = measure(costs[key])
        return (-1.0 if value is None else value) * -1, -costs[key].blocks, key

    ordered = sorted((key for key in groups.places if not groups.places[key].own), key=order)
    kept, cut = ordered, []
    if top is not None:
        # Of few categories each is news, and that it read nothing too.
        active = [key for key in ordered if by is By.CATEGORY or measure(costs[key])]
        kept, cut = active[:top], [key for key in ordered if key not in set(active[:top])]
    if by is By.HOUR:
        kept = sorted(kept)
    own_keys = [key for key in groups.places if groups.places[key].own]
    return Ranking(
        by=by,
        sort=sort,
        seconds=seconds,
        rows=tuple(row(key) for key in kept),
        rest=_together(f"({len(cut)} more)", [costs[k] for k in cut], none, whole) if cut else None,
        own=_together(OWN, [costs[key] for key in own_keys], none, whole) if own_keys else None,
        explained=explained,
        server_blocks=server_blocks,
        lines=settle(explained.blocks, reads),
        absurd_times=0 if by is By.RELATION else sum(each.absurd_times for each in counted),
        untexted=untexted,
        nested=0 if by is By.RELATION else sum(each.nested for each in counted),
        nested_blocks=0 if by is By.RELATION else sum(each.nested_blocks for each in counted),
    )


def _seconds(counted: Sequence[Counted]) -> float:
    """Return how long was counted: servers that are watched at once share their time."""
    of_server: Counter[int] = Counter()
    for each in counted:
        of_server[each.whose] += each.seconds  # type: ignore[assignment] # seconds are no integers
    return max(of_server.values(), default=0)


def _lasted(counted: Sequence[Counted], by: By) -> dict[str, float]:
    """Return the length of each part of the time, where that is what is ranked.

    Servers share the time of the one that was watched longest: only so their rates add up.
    """
    if by is not By.HOUR:
        return {}
    parts: dict[str, list[Counted]] = {}
    for each in counted:
        parts.setdefault(_hour(each), []).append(each)
    return {key: _seconds(part) for key, part in parts.items()}


def _hour(counted: Counted) -> str:
    return "" if counted.hour is None else f"{counted.hour:%Y-%m-%dT%H:%M:%SZ}"


def _together(name: str, costs: Iterable[ReadCost], none: ReadCost, whole: int) -> RankRow:
    listed = list(costs)
    total = sum(listed, none)
    share = total.blocks / whole if whole else None
    return RankRow(key=(name,), name=name, cost=total, share=share, members=len(listed))


def _reads(counted: Sequence[Counted]) -> ServerReads:
    of_server: dict[int, list[ServerReads]] = {}
    for each in counted:
        of_server.setdefault(each.whose, []).append(each.reads)
    return ServerReads.of_servers(map(ServerReads.total, of_server.values()))


def _database_total(counted: Sequence[Counted]) -> int | None:
    """Return the connected databases' own count, or None if any part of it was lost."""
    found = [each.database_blocks for each in counted]
    known = [blocks for blocks in found if blocks is not None]
    return sum(known) if known and len(known) == len(found) else None


def _add_statements(groups: _Groups, counted: Counted, names: Names, by: By, where: str) -> int:
    """Group statement rows; return how many have no text."""
    untexted = 0
    keys = []
    for ids, uncertain in zip(counted.statements, counted.statement_uncertain, strict=True):
        userid, dbid, queryid = ids
        known = None if queryid is None else names.statement((userid, dbid, queryid))
        untexted += known is None and queryid is not None
        if by in {By.SERVER, By.HOUR}:
            key, place = _part_place(by, counted, known)
        else:
            key, place = _statement_place(by, ids, known, names, where)
        kept = groups.places.setdefault(key, place)
        kept.members.add((counted.whose, *ids))
        kept.uncertain |= uncertain
        keys.append(key)
    groups.add(keys, counted.statement_amounts)
    return untexted


def group_of(
    by: By, ids: tuple[int, int, int | None], names: Names, where: str = ""
) -> tuple[str, ...]:
    """Return the key of the row to which a statement (userid, dbid, queryid) belongs.

    where: as the key of a ranking over several servers has it, "label/".
    """
    userid, dbid, queryid = ids
    known = None if queryid is None else names.statement((userid, dbid, queryid))
    key, _ = _statement_place(by, ids, known, names, where)
    return key


def _part_place(
    by: By, counted: Counted, known: Statement | None
) -> tuple[tuple[str, ...], _Place]:
    """Return the server or hour of a statement."""
    if known and known.category == OWN:
        return ("", OWN), _Place(name=OWN, category=OWN, own=True)
    name = counted.server if by is By.SERVER else _hour(counted)
    return (name,), _Place(name=name)


def _statement_place(
    by: By, ids: tuple[int, int, int | None], known: Statement | None, names: Names, where: str
) -> tuple[tuple[str, ...], _Place]:
    """Return the group of a statement (userid, dbid, queryid) and what that group is."""
    userid, dbid, queryid = ids
    hidden = queryid is None
    category = HIDDEN if hidden else known.category if known else OTHER
    if category == OWN:
        return ("", OWN), _Place(name=OWN, category=OWN, own=True)
    if by is By.CATEGORY:
        return (category,), _Place(name=category, category=category)
    database, user, server = names.database(dbid), names.role(userid), where.removesuffix("/")
    if by is By.DATABASE:
        place = _Place(name=where + database, server=server, database=database)
        return (f"{where}{dbid}",), place
    if by is By.USER:
        return (f"{where}{userid}",), _Place(name=where + user, user=user, server=server)
    text, fingerprint = (known.text, known.fingerprint) if known else ("", "")
    place = _Place(
        name=text or f"(no text: queryid {queryid})",
        category=category,
        text=text,
        fingerprint=fingerprint,
    )
    if hidden:
        place.name = f"(statements of {user}, hidden: no privilege)"
    if by is By.FINGERPRINT and not hidden:
        return (fingerprint or f"queryid {queryid}",), place
    place.queryid, place.server, place.database, place.user = queryid, server, database, user
    return (HIDDEN if hidden else str(queryid), f"{where}{dbid}", str(userid)), place


def _add_relations(groups: _Groups, counted: Counted, names: Names, where: str) -> None:
    keys = []
    blocks_read = counted.relation_amounts[FIELDS.index("shared_blks_read")].tolist()
    for relid, blocks, uncertain in zip(
        counted.relations, blocks_read, counted.relation_uncertain, strict=True
    ):
        owner, schema, name, part = names.relations.get(relid, (relid, "", f"oid {relid}", "heap"))
        key = (f"{where}{owner}",)
        label = where + (f"{schema}.{name}" if schema else name)
        place = groups.places.setdefault(key, _Place(name=label))
        place.members.add((counted.whose, relid))
        column = f"{part}_{counters.RELATIONS.column('blks_read').name}"
        place.parts[column] = place.parts.get(column, 0) + blocks
        place.uncertain |= uncertain
        keys.append(key)
    groups.add(keys, counted.relation_amounts)
