"""From intervals to Arrow tables, column by column."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from hashlib import blake2b

import numpy as np
import pyarrow as pa

from pgiostat.analysis.cost import FIELDS, statement_amounts
from pgiostat.analysis.server_reads import ServerReads, reads_of
from pgiostat.history.format.schema import (
    FACTS,
    READS,
    RELATION_STATS,
    SCHEMAS,
    TIMED,
    columns_of,
)
from pgiostat.statistics.columnar import Array, Rows
from pgiostat.statistics.definitions import Definition
from pgiostat.statistics.delta import Delta, Quality
from pgiostat.statistics.names import OWN, Names, Statement, StatementKey
from pgiostat.statistics.row_deltas import RowDeltas
from pgiostat.statistics.snapshot import Server
from pgiostat.volume.device.interval import MEASURED, DeviceInterval

__all__ = [
    "HIDDEN_SENT",
    "SENT",
    "Named",
    "devices",
    "encode",
    "name_table",
    "named",
    "numbered",
    "server_id",
    "sids",
    "texts",
]

_MIX = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(31)


def _hash(text: str) -> int:
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def server_id(server: Server) -> int:
    """Return the number of a server: the same as long as its cluster, address and label are.

    A clone has its original's system_identifier, and a standby too; the address tells them apart.
    One server under two labels, at once or one after the other, is two.
    """
    return _hash("\0".join(map(str, [*server.identity, server.label])))


def sids(server: int, rows: Rows) -> Array:
    """Return the number of each statement: int64, a hash of server and full key.

    It is the same in all intervals, on all machines; two keys share one about never.
    """
    toplevel = rows.get("toplevel")
    flags = rows["masked"].astype(np.int64)
    if toplevel is not None:
        flags = flags << 2 | toplevel.astype(np.int64) << 1
    return numbered(server, rows["dbid"], rows["userid"], rows["queryid"], flags)


SENT, HIDDEN_SENT = (0, 2), (1, 6)
"""Flags of statements that clients sent, with visible and with hidden text: for servers that do
not report nesting, and for those that do."""


def numbered(server: int, *parts: Array) -> Array:
    """Return the numbers of statements: of a server, dbids, userids, queryids and flags."""
    total = np.full(len(parts[0]), np.uint64(server & 0xFFFFFFFFFFFFFFFF), dtype=np.uint64)
    for part in parts:
        total = (total ^ np.ascontiguousarray(part).view(np.uint64)) * _MIX
        total ^= total >> _SHIFT
    return total.view(np.int64)


_AMOUNTS = ("read_us", "timed_blocks", "physical_bytes", "traced_blocks")
"""What TIMED is in FIELDS."""


@dataclass(frozen=True, slots=True)
class _Interval:
    """What is the same for all rows of an interval."""

    server: int
    start: datetime
    dur_us: int

    def columns(self, length: int) -> dict[str, pa.Array]:
        start = np.datetime64(self.start.replace(tzinfo=None), "us")
        return {
            "server_id": pa.array(np.full(length, self.server)),
            # A view: a cast would bring pyarrow.compute in, 9 MB of a collector's memory.
            "ts": pa.array(np.full(length, start)).view(SCHEMAS["sample"].field("ts").type),
            "dur_us": pa.array(np.full(length, self.dur_us)),
        }


def encode(delta: Delta, start: datetime | None = None) -> dict[str, pa.Table]:
    """Return an interval as tables by name: facts and one row of sample.

    Only rows in which anything happened; what this server does not count is NULL.  An
    unknown interval is a row of sample alone: its length is 0, and its lost_us is not.

    Args:
        delta: The interval.
        start: When it begins in the history; without it when it does by the server's clock.

    Raises:
        ValueError: It is a first snapshot, and nothing is lost.
    """
    began = delta.since if delta.lost is None else delta.lost.since
    start = start or began
    if start is None:
        raise ValueError("a first snapshot is not an interval")
    server = server_id(_server_of(delta))
    interval = _Interval(server, start, round((delta.seconds or 0.0) * 1_000_000))
    counted: Mapping[str, RowDeltas | None] = {
        "stmt": delta.statements,
        "database": delta.databases,
        "io": delta.io,
        "relation": delta.relations,
    }
    tables = {
        name: _facts(name, deltas, interval, delta)
        for name, deltas in counted.items()
        if deltas is not None and len(deltas)
    }
    tables |= _relation_stats(delta, interval)
    tables["sample"] = _sample(delta, interval)
    return tables


def _relation_stats(delta: Delta, interval: _Interval) -> dict[str, pa.Table]:
    """Return what tables and indexes counted since they were last read, and new definitions."""
    changes = delta.relation_changes
    if changes is None:
        return {}
    end = interval.start + timedelta(microseconds=interval.dur_us)
    parts: dict[str, list[pa.Table]] = {}
    for each in changes.intervals:
        # Relative to the end of the interval: its time is right even if the server's clock was set.
        since = end - (delta.until - each.since)
        own = _Interval(interval.server, since, round(each.seconds * 1_000_000))
        for name, deltas in zip(RELATION_STATS, (each.tables, each.indexes), strict=True):
            if len(deltas):
                dbid = pa.array(np.full(len(deltas), each.dbid))
                parts.setdefault(name, []).append(_facts(name, deltas, own, delta, {"dbid": dbid}))
    tables = {name: pa.concat_tables(found) for name, found in parts.items()}
    if changes.definitions:
        rows = [
            {
                "server_id": interval.server,
                **{field.name: getattr(each, field.name) for field in fields(Definition)},
                "since": end,
            }
            for each in changes.definitions
        ]
        tables["definition"] = pa.Table.from_pylist(rows, SCHEMAS["definition"])
    return tables


def _facts(
    name: str,
    deltas: RowDeltas,
    interval: _Interval,
    delta: Delta,
    first: Mapping[str, pa.Array] | None = None,
) -> pa.Table:
    rows = deltas.rows
    columns: dict[str, pa.Array] = {**interval.columns(len(rows)), **(first or {})}
    if name == "stmt":
        columns["sid"] = pa.array(sids(interval.server, rows))
        amounts, _ = statement_amounts(delta)
        for timed, field in zip(TIMED, _AMOUNTS, strict=True):
            columns[timed] = pa.array(amounts[FIELDS.index(field)])
    for column in columns_of(FACTS[name]):
        values = rows.get(column.name)
        kind = SCHEMAS[name].field(column.name).type
        if values is None:
            columns[column.name] = pa.nulls(len(rows), kind)
        elif values.dtype.kind == "S":
            columns[column.name] = pa.array(np.char.decode(values, "utf-8").tolist(), kind)
        elif values.dtype.kind == "M":
            columns[column.name] = pa.array(values).view(kind)
        else:
            columns[column.name] = pa.array(values, kind)
    columns["basis"] = pa.array(deltas.basis.astype(np.int8))
    return pa.table([columns[field.name] for field in SCHEMAS[name]], schema=SCHEMAS[name])


def _server_of(delta: Delta) -> Server:
    """Return the server of an interval; after a failover that is not the one that answers now."""
    is_counted = delta.seconds is not None or delta.lost is None
    return delta.newer.server if is_counted or delta.lost is None else delta.lost.server


def _sample(delta: Delta, interval: _Interval) -> pa.Table:
    settings, newer, server = delta.settings, delta.newer, _server_of(delta)
    reads = ServerReads() if delta.seconds is None else reads_of(delta)
    qualities = list(delta.qualities)
    if delta.since is not None and interval.start != delta.since:
        qualities = [each for each in qualities if each is not Quality.OK]
        qualities += [] if Quality.CLOCK_JUMP in qualities else [Quality.CLOCK_JUMP]
    row = {
        "server_id": interval.server,
        "ts": interval.start,
        "dur_us": interval.dur_us,
        "label": server.label,
        "dbid": server.dbid,
        "qualities": ", ".join(quality.value for quality in qualities),
        "statement_blocks": delta.statement_blocks,
        **{column: getattr(reads, name) for name, column in READS.items()},
        "earlier_since": reads.earlier_since,
        "earlier_until": reads.earlier_until,
        "statements": len(newer.statements),
        "appeared": delta.appeared,
        "vanished": delta.vanished,
        "unknown": delta.unknown,
        "own_us": round(newer.own_seconds * 1_000_000),
        "block_size": settings.block_size,
        "max_statements": settings.max_statements,
        "track_io_timing": settings.track_io_timing,
        "version_num": server.version_num,
        "extension_version": server.extension_version,
        "lost_us": 0 if delta.lost is None else round(delta.lost.seconds * 1_000_000),
        "evicted": delta.evicted,
    }
    return pa.Table.from_pylist([row], SCHEMAS["sample"])


def devices(server: Server, intervals: Sequence[DeviceInterval]) -> pa.Table:
    """Return what the device of a server did: a row for each time, which is its own."""
    owner = server_id(server)
    rows = [
        {
            "server_id": owner,
            "ts": each.begin,
            "dur_us": round(each.seconds * 1_000_000),
            "source": str(each.source),
            "name": each.name,
            **{name: getattr(each, name) for name in MEASURED},
        }
        for each in intervals
    ]
    return pa.Table.from_pylist(rows, SCHEMAS["device"])


def texts(
    delta: Delta,
    names: Names,
    written: AbstractSet[StatementKey],
    excused: AbstractSet[StatementKey] = frozenset(),
    start: datetime | None = None,
) -> pa.Table | None:
    """Return the statements that are known by now and not yet written, in whichever interval.

    A text may be learned long after its statement ran.  Of one that cannot be read the reason is
    kept, unless it was before.  start: as for encode.
    """
    if delta.seconds is None:
        return None  # of another server than the one that the names are of
    server = server_id(delta.newer.server)

    def row(key: StatementKey, statement: Statement, unread: str | None) -> dict[str, object]:
        userid, dbid, queryid = key
        return {
            "server_id": server,
            "userid": userid,
            "dbid": dbid,
            "queryid": queryid,
            "text": statement.text,
            "fingerprint": statement.fingerprint,
            "cursor": statement.declares_cursor or statement.uses_cursor,
            "own": statement.category == OWN,
            "first_seen": start or delta.since,
            "unread": unread,
        }

    found = [
        row(key, statement, None)
        for key in sorted(names.statements.keys() - written)
        if (statement := names.statements.get(key)) is not None
    ]
    found += [
        row(key, Statement("", "", ""), names.unreadable[key][:MOST_REASON])
        for key in sorted(names.unreadable.keys() - written - excused - names.statements.keys())
    ]
    return pa.Table.from_pylist(found, SCHEMAS["statement"]) if found else None


MOST_REASON = 200
"""Characters of a reason that are kept."""

NamedKey = tuple[str, int, int | None]
"""Kind and oid; and of a relation beside the connected database the oid of its database."""
Named = dict[NamedKey, tuple[str, str, int, str, str | None]]
"""Name, schema, owner, part and own name."""


def named(delta: Delta, names: Names, written: Mapping[NamedKey, object]) -> Named:
    """Return names of databases, roles and relations of an interval that are not yet written.

    What was renamed is written again, with its time: a history knows what it was called before.
    """
    rows = delta.statements.rows
    found: Named = {}
    for oid in set(rows["dbid"].tolist()) & names.databases.keys():
        found["database", oid, None] = (names.databases[oid], "", 0, "", None)
    for oid in set(rows["userid"].tolist()) & names.roles.keys():
        found["role", oid, None] = (names.roles[oid], "", 0, "", None)
    relids = set(delta.relations.rows["relid"].tolist())
    for oid in relids & names.relations.keys():
        owner, schema, name, part = names.relations[oid]
        found["relation", oid, None] = (name, schema, owner, part, None)
    # An index is shown as its table where tables are ranked, and under its own name elsewhere.
    for oid in relids & names.index_names.keys() & names.relations.keys():
        owner, schema, _, part = names.relations[oid]
        found["index", oid, None] = (names.index_names[oid], schema, owner, part, None)
    for dbid, oid in _elsewhere(delta) & names.elsewhere.keys():
        owner, schema, name, part, own = names.elsewhere[dbid, oid]
        found["relation", oid, dbid] = (name, schema, owner, part, own)
        if dbid in names.databases:
            found["database", dbid, None] = (names.databases[dbid], "", 0, "", None)
    return {key: value for key, value in found.items() if written.get(key) != value}


def _elsewhere(delta: Delta) -> set[tuple[int, int]]:
    """Return the relations beside the connected database that counted anything."""
    changes = delta.relation_changes
    if changes is None:
        return set()
    return {
        (each.dbid, oid)
        for each in changes.intervals
        if each.dbid != delta.newer.server.dbid
        for rows in (each.tables.rows, each.indexes.rows)
        for oid in rows[rows.table.key[0]].tolist()
    }


def name_table(delta: Delta, found: Named) -> pa.Table:
    """Return names as rows of a table."""
    server = server_id(delta.newer.server)
    rows = [
        {
            "server_id": server,
            "kind": kind,
            "oid": oid,
            "name": name,
            "schema": schema,
            "owner": owner,
            "part": part,
            "since": delta.since,
            "relation_dbid": dbid,
            "own_name": own,
        }
        for (kind, oid, dbid), (name, schema, owner, part, own) in found.items()
    ]
    return pa.Table.from_pylist(rows, SCHEMAS["name"])
