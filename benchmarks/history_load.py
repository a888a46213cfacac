"""A server that never was: what its statements count, hour by hour or reading by reading.

The same from the same seed, on all machines. A few statements do most of the work, some are
called at every turn and most now and then, and nights are quieter than days.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

import numpy as np
import pyarrow as pa

from pgiostat.history.format.encode import server_id, sids
from pgiostat.history.format.schema import FACTS as ALL_FACTS
from pgiostat.history.format.schema import READS, RELATION_STATS, SCHEMAS, TIMED
from pgiostat.postgres.sent_sql import SETTINGS
from pgiostat.queries.describe import describer
from pgiostat.statistics.columnar import Array, Counts, Rows, to_pg_time
from pgiostat.statistics.counter_table import CounterTable
from pgiostat.statistics.counters import DATABASES, IO, RELATIONS, STATEMENTS
from pgiostat.statistics.delta import Delta
from pgiostat.statistics.difference import diff
from pgiostat.statistics.names import Names
from pgiostat.statistics.row_deltas import Basis
from pgiostat.statistics.snapshot import Markers, Server, Settings, Snapshot

FACTS = {name: table for name, table in ALL_FACTS.items() if name not in RELATION_STATS}
"""What a snapshot has: tables and indexes are read apart."""

__all__ = ["END", "LABEL", "Ticks", "World", "ticks"]

SEED = 20261123
LABEL = "prod"
END = datetime(2026, 11, 23, tzinfo=UTC)
"""A Monday: the week before it is what is looked at."""
STARTED = END - timedelta(days=30)

ACTIVE_SHARE = 0.2
SKEW = 1.2
MOST_CALLS = 2000
"""Of the busiest statement in an interval."""
QUIETEST = 0.4
"""What nights do of a day's work."""
NESTED_SHARE = 0.02
SPILLING_SHARE = 0.02

DATABASE_IDS, ROLE_IDS = (16384, 16385), (10, 16400, 16401)
NAMED = {16384: "app", 16385: "billing", 10: "postgres", 16400: "api", 16401: "worker"}
FIRST_RELATION, TABLES_WITH_INDEX = 20000, 200
FORMS = (
    "select max(row_version) from t{table} where client_id = $1",
    """select id, row_version from t{table}
        where client_id = $1 and id >= $2 and id < $3 order by id""",
    "insert into t{table} (client_id, id, row_version, body) values ($1, $2, $3, $4)",
    "select a.id, count(*) from t{table} a join users u on u.id = a.owner_id group by a.id",
)
VERSION, MANIFEST, UPLOAD = range(3)

Amounts = tuple[Array, Array, Counts]
"""(which thing, in which interval, its counters as rows of a matrix): by thing, then interval."""


@dataclass(frozen=True, slots=True)
class Ticks:
    """Intervals that follow each other: when each begins, and how long it is, in microseconds."""

    starts: Array
    durations: Array

    def __len__(self) -> int:
        return len(self.starts)


def ticks(begin: datetime, end: datetime, seconds: int, seed: int) -> Ticks:
    """Return the intervals of a time, none quite on the second but for begin and end."""
    begin_us, end_us = (round(instant.timestamp() * 1e6) for instant in (begin, end))
    edges = np.arange(begin_us, end_us + 1, seconds * 1_000_000)
    edges[1:-1] += np.random.default_rng(seed).integers(2_000, 20_000, len(edges) - 2)
    return Ticks(edges[:-1], np.diff(edges))


class World:
    """The server: its statements, databases, relations and what they count.

    statements: how many; a fifth of them counts in an interval.
    """

    def __init__(self, statements: int) -> None:
        rng = np.random.default_rng(SEED)
        self.server = Server(
            label=LABEL,
            host="db",
            port=5432,
            dbname="app",
            dbid=DATABASE_IDS[0],
            user="pgiostat",
            userid=16402,
            system_identifier=SEED,
            address="10.0.0.1",
            version="18.4",
            version_num=180004,
            extension_version="1.12",
        )
        self.server_id = server_id(self.server)
        queryids = rng.integers(-(2**63), 2**63 - 1, statements, dtype=np.int64)
        attributes: dict[str, Array] = {
            "userid": rng.choice(np.array(ROLE_IDS), statements, p=[0.05, 0.75, 0.2]),
            "dbid": rng.choice(np.array(DATABASE_IDS), statements, p=[0.8, 0.2]),
            "queryid": queryids,
            "masked": np.zeros(statements, dtype=bool),
            "toplevel": rng.random(statements) >= NESTED_SHARE,
        }
        numbers = sids(self.server_id, _rows(STATEMENTS, attributes))
        order = np.argsort(numbers)  # as sealed files are sorted
        self.sids = numbers[order]
        self.attributes: dict[str, Mapping[str, Array]] = {
            "stmt": {name: array[order] for name, array in attributes.items()},
            "database": {"datid": np.array([0, *DATABASE_IDS])},
            "io": _io_attributes(),
            "relation": {"relid": FIRST_RELATION + np.arange(2 * TABLES_WITH_INDEX)},
        }
        place = rng.permutation(statements)  # popular ones are anywhere
        rank = np.argsort(rng.permutation(statements)) + 1
        self._form = place % len(FORMS)
        self._table = place // len(FORMS)
        self._chance = _chances(rank, statements * ACTIVE_SHARE)
        self._calls = MOST_CALLS / rank
        per_call = rng.lognormal(np.log(12), 1.2, statements)
        self._per_call = np.where(self._form == MANIFEST, per_call * 20, per_call)
        self._missing = rng.beta(0.4, 12, statements)
        self._returned = np.where(self._form == MANIFEST, rng.integers(1, 500, statements), 1)
        self._spilled = np.where(rng.random(statements) < SPILLING_SHARE, 40.0, 0.0)

    @cached_property
    def names(self) -> Names:
        """What the ids mean; every statement has a text of its own."""
        describe = describer()
        names = Names()
        names.databases |= {oid: NAMED[oid] for oid in DATABASE_IDS}
        names.roles |= {oid: NAMED[oid] for oid in ROLE_IDS}
        for number in range(TABLES_WITH_INDEX):
            table, index = FIRST_RELATION + 2 * number, FIRST_RELATION + 2 * number + 1
            names.relations[table] = (table, "public", f"t{number}", "heap")
            names.relations[index] = (table, "public", f"t{number}", "idx")
        columns = (self.attributes["stmt"][name] for name in ("userid", "dbid", "queryid"))
        for userid, dbid, queryid, form, table in zip(
            *(column.tolist() for column in (*columns, self._form, self._table)), strict=True
        ):
            names.add(
                (userid, dbid, queryid),
                describe(
                    FORMS[form].format(table=table),
                    user=names.role(userid),
                    database=names.database(dbid),
                    queryid=queryid,
                ),
            )
        return names

    # what is counted

    def counted(self, when: Ticks, seed: int) -> dict[str, Amounts]:
        """Return what each table counts in some intervals."""
        rng = np.random.default_rng([SEED, seed])
        statements = self._statements(when, rng)
        return {
            "stmt": statements,
            "database": self._databases(statements, len(when)),
            "io": _everything(rng, len(self.attributes["io"]["object"]), len(when), IO, 400),
            "relation": self._relations(rng, len(when)),
        }

    def _statements(self, when: Ticks, rng: np.random.Generator) -> Amounts:
        """Return the rows in the order of the files: by sid, then time."""
        drawn = rng.random((len(self.sids), len(when)), dtype=np.float32)
        thing, at = np.nonzero(drawn < self._chance[:, None])
        rhythm = _rhythm(when.starts)[at]
        noise = np.exp(rng.standard_normal((3, len(thing)), dtype=np.float32) * 0.3)
        calls = 1 + rng.poisson(self._calls[thing] * rhythm)
        hits = calls * self._per_call[thing] * noise[0]
        reads = rng.poisson(hits * self._missing[thing] * 0.2)
        read_us = reads * 90 * noise[1]
        writing = self._form[thing] == UPLOAD
        values = {
            "calls": calls,
            "rows": calls * self._returned[thing],
            "shared_blks_hit": hits,
            "shared_blks_read": reads,
            "shared_blks_dirtied": np.where(writing, calls * 2, 0),
            "temp_blks_read": self._spilled[thing] * calls,
            "total_exec_time": read_us + hits * 0.6 + calls * 35 * noise[2],
            "shared_blk_read_time": read_us,
            "temp_blk_read_time": self._spilled[thing] * calls * 7,
        }
        return thing, at, _matrix(STATEMENTS, values, len(thing))

    def _databases(self, statements: Amounts, intervals: int) -> Amounts:
        """Return what the databases read: their statements, and a little more."""
        thing, at, matrix = statements
        names = _counters(STATEMENTS)
        which = 1 + np.searchsorted(DATABASE_IDS, self.attributes["stmt"]["dbid"][thing])
        sent = self.attributes["stmt"]["toplevel"][thing]
        flat = which * intervals + at
        size = 3 * intervals

        def total(name: str) -> Array:
            weights = matrix[names.index(name)] * sent
            added: Array = np.bincount(flat, weights=weights, minlength=size)
            return added

        reads = total("shared_blks_read") * 1.02
        reads[:intervals] = 3  # of catalogs that all share
        calls = total("calls")
        values = {
            "xact_commit": calls,
            "blks_read": reads,
            "blks_hit": total("shared_blks_hit"),
            "temp_bytes": total("temp_blks_read") * 8192,
            "blk_read_time": total("shared_blk_read_time"),
        }
        return (*_each(3, intervals), _matrix(DATABASES, values, size))

    def _relations(self, rng: np.random.Generator, intervals: int) -> Amounts:
        things = 2 * TABLES_WITH_INDEX
        drawn = rng.random((things, intervals))
        thing, at = np.nonzero(drawn < _chances(np.arange(things) + 1, 0.2 * things)[:, None])
        hits = rng.poisson(40_000 / (1 + thing))
        values = {"blks_hit": hits, "blks_read": rng.poisson(hits * 0.02)}
        return thing, at, _matrix(RELATIONS, values, len(thing))

    # as rows of a history

    def tables(self, when: Ticks, seed: int) -> dict[str, pa.Table]:
        """Return the tables of some intervals, sorted as sealed files are.

        Things are numbered in the order of their keys, so nothing is left to be sorted.
        """
        counted = self.counted(when, seed)
        found = {
            name: self._table_of(name, thing, when, at, matrix)
            for name, (thing, at, matrix) in counted.items()
        }
        return found | {"sample": self._samples(when, counted)}

    def _table_of(
        self, name: str, thing: Array, when: Ticks, at: Array, matrix: Counts
    ) -> pa.Table:
        schema, attributes = SCHEMAS[name], self.attributes[name]
        counters = dict(zip(_counters(FACTS[name]), matrix, strict=True))
        values: dict[str, Array] = counters | {
            key: array[thing] for key, array in attributes.items()
        }
        values |= self._when(when, at)
        values["basis"] = np.full(len(thing), Basis.PREVIOUS, dtype=np.int8)
        if name == "stmt":
            values["sid"] = self.sids[thing]
            # All times are believable here, and nothing looks below PostgreSQL.
            read = counters["shared_blk_read_time"]
            blocks = np.where(read > 0, counters["shared_blks_read"], 0)
            nothing = np.zeros_like(read)
            values |= dict(zip(TIMED, (read, blocks, nothing, nothing), strict=True))
        return _arrow(values, schema, len(thing))

    def _when(self, when: Ticks, at: Array) -> dict[str, Array]:
        return {
            "server_id": np.full(len(at), self.server_id),
            "ts": when.starts[at],
            "dur_us": when.durations[at],
        }

    def _samples(self, when: Ticks, counted: Mapping[str, Amounts]) -> pa.Table:
        thing, at, matrix = counted["stmt"]
        sent = self.attributes["stmt"]["toplevel"][thing]
        blocks = matrix[_counters(STATEMENTS).index("shared_blks_read")] * sent
        _, during, databases = counted["database"]
        whole = databases[_counters(DATABASES).index("blks_read")]
        every = np.arange(len(when))
        same = {
            "label": LABEL,
            "dbid": self.server.dbid,
            "qualities": "ok",
            "statements": len(self.sids),
            "appeared": 0,
            "vanished": 0,
            "dealloc": 0,
            "unknown": 0,
            "lost_us": 0,
            "evicted": 0,
            "own_us": 15_000,
            "block_size": 8192,
            "max_statements": len(self.sids),
            "track_io_timing": True,
            "version_num": self.server.version_num,
            "extension_version": self.server.extension_version,
        }
        values = self._when(when, every)
        # What a ledger is made of changes from one interval to the next, as it would.
        rng = np.random.default_rng(len(when))
        values |= {name: rng.integers(0, 1000, len(when)) for name in READS.values()}
        values |= {name: np.full(len(when), value) for name, value in same.items()}
        values["statement_blocks"] = np.bincount(at, weights=blocks, minlength=len(when))
        values["server_blocks"] = np.bincount(during, weights=whole, minlength=len(when))
        return _arrow(values, SCHEMAS["sample"], len(when))

    # as readings

    def deltas(self, when: Ticks, seed: int) -> Iterator[Delta]:
        """Yield the intervals as differences of readings, the way that a collector makes them."""
        counted = self.counted(when, seed)
        totals = {
            name: np.zeros((len(_counters(table)), self._things(name)), dtype=np.int64)
            for name, table in FACTS.items()
        }
        ends = [*when.starts.tolist(), int(when.starts[-1] + when.durations[-1])]
        older = self._reading(totals, ends[0])
        for number, end in enumerate(ends[1:]):
            for name, (thing, at, matrix) in counted.items():
                now = at == number
                totals[name][:, thing[now]] += matrix[:, now]
            newer = self._reading(totals, end)
            yield diff(older, newer)
            older = newer

    def everything(self, when: Ticks) -> Delta:
        """Return an interval in which all that there is counted: what tells all names."""
        none, once = (
            self._reading(
                {
                    name: np.full((len(_counters(table)), self._things(name)), value)
                    for name, table in FACTS.items()
                },
                int(at),
            )
            for value, at in zip((0, 1), (when.starts[0], when.starts[1]), strict=True)
        )
        return diff(none, once)

    def _things(self, name: str) -> int:
        return len(next(iter(self.attributes[name].values())))

    def _reading(self, totals: Mapping[str, Counts], at_us: int) -> Snapshot:
        def rows(name: str, **more: Array) -> Rows:
            return _rows(FACTS[name], {**self.attributes[name], **more}, totals[name].copy())

        at = datetime.fromtimestamp(at_us / 1e6, UTC)
        statements, databases, io = (self._things(name) for name in ("stmt", "database", "io"))
        made = to_pg_time(STARTED)
        return Snapshot(
            server=self.server,
            session=1,
            started_at=at,
            taken_at=at,
            clock=at_us / 1e6,
            settings=_settings(statements),
            markers=Markers(STARTED, False, STARTED, STARTED, 0),
            statements=rows(
                "stmt",
                min_exec_time=np.full(statements, 0.01),
                max_exec_time=np.full(statements, 90.0),
                stats_since=np.full(statements, made),
            ),
            databases=rows("database", stats_reset=np.full(databases, made)),
            io=rows("io", stats_reset=np.full(io, made)),
            relations=rows("relation"),
            own_seconds=0.015,
        )


def _settings(statements: int) -> Settings:
    values: dict[str, str | None] = dict.fromkeys(SETTINGS)
    values |= {
        "block_size": "8192",
        "max_parallel_workers": "8",
        "track_io_timing": "on",
        "pg_stat_statements.max": str(statements),
        "pg_stat_statements.track": "all",
        "pg_stat_statements.track_planning": "off",
    }
    return Settings(values)


def _counters(table: CounterTable) -> list[str]:
    return [column.name for column in table.columns if column.kind.is_counter]


def _rows(
    table: CounterTable, attributes: Mapping[str, Array], counters: Counts | None = None
) -> Rows:
    if counters is None:
        things = len(next(iter(attributes.values())))
        counters = np.zeros((len(_counters(table)), things), dtype=np.int64)
    return Rows(table, attributes, _counters(table), counters)


def _matrix(table: CounterTable, values: Mapping[str, Array], length: int) -> Counts:
    matrix = np.zeros((len(_counters(table)), length), dtype=np.int64)
    for row, name in enumerate(_counters(table)):
        if name in values:
            matrix[row] = values[name]
    return matrix


def _arrow(values: Mapping[str, Array], schema: pa.Schema, length: int) -> pa.Table:
    """Return columns as a table; what is not given is absent."""

    def column(field: pa.Field) -> pa.Array:
        array = values.get(field.name)
        if array is None:
            return pa.nulls(length, field.type)
        if array.dtype.kind == "S":
            return pa.array(np.char.decode(array, "ascii").tolist(), field.type)
        if field.type == pa.int64():
            return pa.array(array.astype(np.int64, copy=False))
        return pa.array(array).cast(field.type)

    return pa.table([column(field) for field in schema], schema=schema)


def _chances(rank: Array, active: float) -> Array:
    """Return how probably each counts in an interval, so that so many do on average."""
    weight = rank.astype(float) ** -SKEW
    low, high = 0.0, float(rank.max()) ** 2
    for _ in range(80):
        middle = (low + high) / 2
        if np.minimum(1.0, middle * weight).sum() < active:
            low = middle
        else:
            high = middle
    chances: Array = np.minimum(1.0, high * weight)
    return chances


def _rhythm(starts_us: Array) -> Array:
    """Return how busy the server is at these instants, 1 at three in the afternoon."""
    hours = starts_us / 3.6e9 % 24
    busy: Array = QUIETEST + (1 - QUIETEST) * (1 + np.cos((hours - 15) / 24 * 2 * np.pi)) / 2
    return busy


def _io_attributes() -> dict[str, Array]:
    kinds = [
        ("autovacuum worker", "relation", "vacuum"),
        ("background writer", "relation", "normal"),
        ("checkpointer", "relation", "normal"),
        ("client backend", "relation", "bulkread"),
        ("client backend", "relation", "normal"),
        ("client backend", "temp relation", "normal"),
        ("walwriter", "wal", "normal"),
    ]
    columns = (np.array(names, dtype="S32") for names in zip(*kinds, strict=True))
    return dict(zip(("backend_type", "object", "context"), columns, strict=True))


def _each(things: int, intervals: int) -> tuple[Array, Array]:
    return np.repeat(np.arange(things), intervals), np.tile(np.arange(intervals), things)


def _everything(
    rng: np.random.Generator, things: int, intervals: int, table: CounterTable, mean: float
) -> Amounts:
    """Return things that count at every turn."""
    counters = _counters(table)
    matrix = rng.poisson(mean, (len(counters), things * intervals)).astype(np.int64)
    return (*_each(things, intervals), matrix)
