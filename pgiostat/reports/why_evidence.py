"""The evidence for the causes of reads, from two windows of a history."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from pgiostat.analysis.cost import FIELDS
from pgiostat.analysis.rank import By, group_of
from pgiostat.analysis.why.access import Column, TableAccess, columns_of
from pgiostat.analysis.why.evidence import (
    Neighbour,
    ServerFacts,
    SettingChange,
    StatementEvidence,
    TableEvidence,
    Usage,
)
from pgiostat.analysis.why.index_definition import quoted, referencing_columns
from pgiostat.errors import PgiostatError
from pgiostat.history.read.definitions import DefinitionHistory, Definitions
from pgiostat.history.read.history import History
from pgiostat.history.read.window_totals import WindowTotals
from pgiostat.history.read.windows import Window
from pgiostat.reports.relation_history import (
    RelationWindow,
    TableKey,
    relation_windows,
    vacuumed,
)
from pgiostat.reports.steps import Ids, resample, step_for
from pgiostat.statistics.definitions import Kind
from pgiostat.statistics.names import OWN, Names
from pgiostat.statistics.statement import split_action
from pgiostat.units import bytes_of_setting

__all__ = ["Groups", "Sources", "StatementGroup", "TableNames", "evidence_of", "groups_of"]

_START_TIME = "start_time"


class TableNames(NamedTuple):
    """How tables are found in texts, and relations by these names: as queries does it."""

    of: Callable[[str], frozenset[str]]
    accesses: Callable[[str, Mapping[str, Collection[str]]], tuple[TableAccess, ...]]
    resolver: Callable[[Iterable[tuple[int, str, str]]], Callable[[Iterable[str]], frozenset[int]]]


@dataclass(slots=True)
class StatementGroup:
    """The statements of a fingerprint in both windows.

    Attributes:
        number: Its place among them.
        key: Its fingerprint.
        text: Its normalized text.
        category: Its category.
        verb: What it does.
        dbids: Its databases.
        queryids: Its queryids.
        sides: What it counted in the window before and after.
    """

    number: int
    key: str
    text: str
    category: str
    verb: str
    dbids: set[int] = field(default_factory=set)
    queryids: set[int] = field(default_factory=set)
    sides: list[Usage] = field(default_factory=list)


Groups = Mapping[str, StatementGroup]


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the evidence comes from.

    Attributes:
        history: The history.
        server_id: The server.
        names: What its ids mean.
        before: The totals of the window before; None without one.
        after: The totals of the window after.
        groups: The statements of both, without our own.
        definitions: The definitions of indexes, foreign keys and settings.
        table_names: How tables are found in texts.
    """

    history: History
    server_id: int
    names: Names
    before: WindowTotals | None
    after: WindowTotals
    groups: Groups
    definitions: DefinitionHistory
    table_names: TableNames

    @property
    def whole(self) -> Window:
        """From the start of the window before to the end of the window after."""
        first = self.after if self.before is None else self.before
        return Window(first.window.since, self.after.window.until)


def groups_of(
    history: History,
    before: WindowTotals | None,
    after: WindowTotals,
    server_id: int,
    names: Names,
) -> dict[str, StatementGroup]:
    """Return the statements of two windows by fingerprint, without our own and hidden ones.

    Without a window before, each has counted nothing in it.
    """
    groups: dict[str, StatementGroup] = {}
    sides = [each for each in (before, after) if each is not None]
    numbers = [
        [_number(groups, ids, names) for ids in side.counted[server_id].statements]
        for side in sides
    ]
    step = step_for(*sides)
    rest = len(groups)
    for side, of_side in zip(sides, numbers, strict=True):
        placed = [rest if number is None else number for number in of_side]
        steps = _stepped(history, side, server_id, placed, count=rest + 1, step=step)
        counted = side.counted[server_id]
        sums = [[0] * len(FIELDS) for _ in groups]
        for number, amounts in zip(of_side, counted.statement_amounts.T.tolist(), strict=True):
            if number is not None:
                sums[number] = [a + b for a, b in zip(sums[number], amounts, strict=True)]
        for number, (group, amounts) in enumerate(zip(groups.values(), sums, strict=True)):
            group.sides.append(_usage(counted.seconds, amounts, steps[number] if steps else []))
    if before is None:
        for group in groups.values():
            group.sides.insert(0, Usage(0.0))
    return groups


def _number(groups: dict[str, StatementGroup], ids: Ids, names: Names) -> int | None:
    userid, dbid, queryid = ids
    if queryid is None:
        return None
    known = names.described((userid, dbid, queryid))
    if known.category == OWN:
        return None
    key = group_of(By.FINGERPRINT, ids, names)[0]
    if key not in groups:
        text = known.text or names.placeholder((userid, dbid, queryid))
        groups[key] = StatementGroup(
            len(groups), key, text, known.category, split_action(known.action)[0]
        )
    groups[key].dbids.add(dbid)
    groups[key].queryids.add(queryid)
    return groups[key].number


def _stepped(
    history: History,
    side: WindowTotals,
    server_id: int,
    numbers: Sequence[int],
    *,
    count: int,
    step: timedelta,
) -> list[list[list[int]]]:
    """Return the amounts by group, step and field; nothing if only hourly totals are left."""
    of_server = {server: [count - 1] * len(t.statements) for server, t in side.counted.items()}
    try:
        steps = resample(history, side, of_server | {server_id: numbers}, count, step)
    except PgiostatError as error:
        if error.slug != "step-too-short":
            raise
        return []
    found: list[list[list[int]]] = steps.amounts.transpose(1, 2, 0).tolist()
    return found


def _usage(seconds: float, amounts: Sequence[int], steps: Sequence[Sequence[int]]) -> Usage:
    def named(values: Sequence[int]) -> dict[str, int]:
        return dict(zip(FIELDS, values, strict=True))

    def blocks(values: dict[str, int]) -> tuple[int, int, int]:
        read = values["shared_blks_read"]
        return values["calls"], read, read + values["shared_blks_hit"]

    whole = named(amounts)
    calls, read, touched = blocks(whole)
    in_steps = tuple(blocks(named(each)) for each in steps)
    rows, temp = whole["rows"], whole["temp_blks_read"]
    return Usage(seconds, calls, rows, read, touched, temp, in_steps)


def evidence_of(sources: Sources, keys: Sequence[str]) -> list[StatementEvidence]:
    """Return the evidence on some statements; their tables are read together."""
    found = _Tables(sources)
    tables = {key: found.touched(sources.groups[key]) for key in keys}
    wanted = {each for of_statement in tables.values() for each in of_statement}
    first = sources.whole if sources.before is None else sources.before.window
    windows = relation_windows(
        sources.history,
        (first, sources.after.window, sources.whole),
        sources.server_id,
        wanted,
        found.toast_of,
    )
    if sources.before is None:
        windows[0] = RelationWindow({}, 0.0)
    if not all(each.is_counted for each in windows):
        tables = {key: {} for key in keys}  # unknown is not zero
    users = found.users(sources.groups, wanted)
    made = []
    for key in keys:
        group = sources.groups[key]
        of_statement = tuple(
            found.evidence(table, how, windows, users[table], key)
            for table, how in tables[key].items()
        )
        others = tuple(
            Neighbour(each.key, each.text, *each.sides)
            for each in sources.groups.values()
            if each.key != key
        )
        before, after = group.sides
        made.append(
            StatementEvidence(
                key=key,
                name=group.text,
                category=group.category,
                verb=group.verb,
                before=before,
                after=after,
                tables=of_statement,
                neighbours=others,
                server=_server_facts(sources, group, found),
                is_alone=sources.before is None,
            )
        )
    return made


class _How(NamedTuple):
    """How a table belongs to a statement."""

    partition_of: str = ""
    foreign_key: str = ""
    foreign_key_columns: tuple[str, ...] = ()
    accesses: tuple[TableAccess, ...] = ()


class _Tables:
    """The tables of a server by name."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._after = sources.definitions.at(sources.after.window.until)
        here, names = sources.after.sampled.dbid, sources.names
        relations = {(here, oid): each for oid, each in names.relations.items()}
        relations |= {key: each[:4] for key, each in names.elsewhere.items()}
        self.named: dict[TableKey, tuple[str, str]] = {
            (dbid, owner): (schema, name)
            for (dbid, _), (owner, schema, name, _) in relations.items()
        }
        self.toast_of = {key: each[0] for key, each in relations.items() if each[3] == "toast"}
        self._keys = [*self.named]
        self._find = sources.table_names.resolver(
            (number, *self.named[key]) for number, key in enumerate(self._keys)
        )

    def name(self, key: TableKey) -> str:
        """Return schema and name of a table."""
        schema, name = self.named.get(key, ("", f"oid {key[1]}"))
        return f"{schema}.{name}" if schema and schema != "public" else name

    def _updated(self, key: TableKey, texts: Iterable[str]) -> frozenset[str]:
        """Return the columns of a table that any of some statements sets."""
        return frozenset(
            column
            for text in texts
            for each in self._sources.table_names.accesses(text, {})
            if each.assigned and key in map(self._keys.__getitem__, self._find([each.table]))
            for column in each.assigned
        )

    def sql_name(self, key: TableKey) -> str:
        """Return the name of a table as SQL has it."""
        return ".".join(map(quoted, self.named.get(key, ("", str(key[1])))))

    def columns(self, key: TableKey) -> tuple[Column, ...]:
        """Return the columns of a table; nothing if they are not known."""
        found = self._after.columns(*key)
        return columns_of(found.text or "") if found is not None else ()

    def touched(self, group: StatementGroup) -> dict[TableKey, _How]:
        """Return the tables of a statement, and those that reference them."""
        found: dict[TableKey, _How] = {}
        names = self._sources.table_names
        keys = {
            written: [
                key for n in self._find([written]) if (key := self._keys[n])[0] in group.dbids
            ]
            for written in names.of(group.text)
        }
        columns = {
            written: [each.name for key in here[:1] for each in self.columns(key)]
            for written, here in keys.items()
        }
        accesses = names.accesses(
            group.text, {name: each for name, each in columns.items() if each}
        )
        for written, here in keys.items():
            for key in here:
                is_part = written.rpartition(".")[2] != self.named[key][1]
                found[key] = _How(
                    partition_of=written if is_part else "",
                    accesses=tuple(each for each in accesses if each.table == written),
                )
        for table in [*found]:
            for each in self._after.referencing(*table):
                columns_in_key = referencing_columns(each.text or "")
                key = (each.dbid, each.owner)
                found.setdefault(
                    key, _How(foreign_key=each.name, foreign_key_columns=columns_in_key)
                )
        return found

    def users(
        self, groups: Groups, wanted: Iterable[TableKey]
    ) -> dict[TableKey, list[tuple[str, str]]]:
        """Return the statements that name each of some tables: key and text."""
        found: dict[TableKey, list[tuple[str, str]]] = {key: [] for key in wanted}
        for group in groups.values():
            for number in self._find(self._sources.table_names.of(group.text)):
                key = self._keys[number]
                if key in found and key[0] in group.dbids:
                    found[key].append((group.key, group.text))
        return found

    def evidence(
        self,
        key: TableKey,
        how: _How,
        windows: Sequence[RelationWindow],
        users: Sequence[tuple[str, str]],
        statement: str,
    ) -> TableEvidence:
        """Return what is known of a table, for the statement with a key."""
        definitions, names = self._sources.definitions, self._sources.names
        before, after, whole = (each.of(key) for each in windows)
        oids = {each.indexrelid for side in (before, after) for each in side.indexes}
        first = self._sources.before
        indexes_before = None if first is None else definitions.indexes_in(first.window, *key)
        indexes_after = tuple(self._after.of_table(*key, Kind.INDEX))
        own = {each.oid: each.name for each in (*(indexes_before or ()), *indexes_after)}
        index_names = {oid: names.index_names[oid] for oid in oids if oid in names.index_names}
        columns = self.columns(key)
        return TableEvidence(
            name=self.name(key),
            before=before,
            after=after,
            whole=whole,
            partition_of=how.partition_of,
            foreign_key=how.foreign_key,
            foreign_key_columns=how.foreign_key_columns,
            index_names=index_names | own,
            indexes_before=indexes_before,
            indexes_after=indexes_after,
            shared_with=tuple(text for user, text in users if user != statement),
            columns=columns,
            accesses=how.accesses,
            updated=self._updated(key, (text for _, text in users)),
            sql_name=self.sql_name(key),
        )


def _server_facts(sources: Sources, group: StatementGroup, tables: _Tables) -> ServerFacts:
    before, after = sources.before, sources.after
    then = Definitions() if before is None else sources.definitions.at(before.window.until)
    now = sources.definitions.at(after.window.until)
    server = now.of_server()
    vacuums = vacuumed(sources.history, after.window, sources.server_id)
    sampled = after.sampled
    outside = sampled.server_blocks - sampled.statement_blocks
    return ServerFacts(
        buffers=_blocks(server.get("shared_buffers", ""), sampled.block_size),
        started=_started(server.get(_START_TIME, ""), sources.whole.since),
        settings=_changes(then, now, group.dbids),
        work_mem=server.get("work_mem", ""),
        outside_share=outside / sampled.server_blocks if sampled.server_blocks else None,
        vacuumed=tuple(sorted(tables.name(each) for each in vacuums)),
    )


def _blocks(size: str, block_size: int) -> int | None:
    found = bytes_of_setting(size)
    return None if found is None else found // block_size


def _started(text: str, since: datetime) -> datetime | None:
    try:
        started = datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return None
    return started if started > since else None


def _changes(then: Definitions, now: Definitions, dbids: set[int]) -> tuple[SettingChange, ...]:
    """Return the settings of a statement's databases that changed, of all and of single roles."""
    settings = [
        {each.key: each.text for each in side.settings() if not each.oid or each.oid in dbids}
        for side in (then, now)
    ]
    if not settings[0]:
        return ()
    changes = []
    for key in sorted({*settings[0], *settings[1]}):
        old, new = (side.get(key) for side in settings)
        if old != new:
            changes.append(SettingChange(key[-1], old, new))
    return tuple(changes)
