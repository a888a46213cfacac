"""Counters of tables and indexes, on real servers of every version."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from pgiostat.postgres.relation_sampler import RelationSampler
from pgiostat.postgres.snapshot_reader import SnapshotReader
from pgiostat.statistics.columnar import Rows
from pgiostat.statistics.delta import Delta
from pgiostat.statistics.difference import diff
from pgiostat.statistics.names import Names
from pgiostat.statistics.relation_changes import RelationChanges
from pgiostat.statistics.relation_stats import RelationRead, interval_between
from pgiostat.statistics.row_deltas import Basis, RowDeltas
from tests.conftest import MakeServer
from tests.support.settling import quiet
from tests.support.workloads import client, collecting

if TYPE_CHECKING:
    from pgiostat.postgres.relation_reader import RelationReader
    from pgiostat.statistics.snapshot import Snapshot
    from tests.support.servers import Server

TABLE = """
CREATE TABLE orders (id int PRIMARY KEY, customer_id int, pad text) WITH (fillfactor = 70);
INSERT INTO orders SELECT g, g % 100, repeat('x', 400) FROM generate_series(1, 4000) AS g;
CREATE INDEX orders_customer ON orders (customer_id);
"""


def named(relations: Rows, oid: int) -> dict[str, Any]:
    """Return the row of a relation by column."""
    key = relations.table.key[0]
    (place,) = [n for n, each in enumerate(relations[key].tolist()) if each == oid]
    return {
        name: relations[name][place] for name in (*relations.attributes, *relations.counter_names)
    }


def oid_of(dsn: str, name: str) -> int:
    with client(dsn) as other:
        row = other.execute("SELECT %s::regclass::oid::int8", [name]).fetchone()
    assert row is not None
    return int(row[0])


def counted(deltas: RowDeltas, oid: int, *names: str) -> dict[str, int]:
    """Return some counters of a relation in an interval; of one without changes nothing."""
    if oid not in deltas.rows[deltas.rows.table.key[0]].tolist():
        return {}
    row = named(deltas.rows, oid)
    return {name: int(row[name]) for name in names if row[name]}


class Watched:
    """A database with a reader of snapshots and of relations."""

    def __init__(self, dsn: str, collector: SnapshotReader) -> None:
        self.dsn = dsn
        self.collector = collector
        self.reader: RelationReader = collector.relation_reader()
        self.snapshot: Snapshot = quiet(collector)
        self.known: RelationRead = self.reader.stats()

    def oid(self, name: str) -> int:
        return oid_of(self.dsn, name)

    def after(self, *statements: str) -> tuple[RowDeltas, RowDeltas, Delta]:
        """Run statements in a session that ends; return what tables and indexes counted."""
        with client(self.dsn) as other:
            for statement in statements:
                other.execute(statement.encode())
        older, self.snapshot = self.snapshot, quiet(self.collector)
        delta = diff(older, self.snapshot)
        newer = self.reader.stats(delta.relations.rows["relid"].tolist())
        interval = interval_between(
            self.known,
            newer,
            discarded=delta.discarded,
            existing=self.snapshot.relations["relid"].tolist(),
        )
        self.known = self.reader.stats()
        return interval.tables, interval.indexes, delta


@pytest.fixture
def watched(database: str) -> Iterator[Watched]:
    with client(database) as other:
        other.execute(TABLE.encode())
        other.execute("VACUUM (FREEZE, ANALYZE) orders")
    with collecting(database) as collector:
        yield Watched(database, collector)


SCANS = ("seq_scan", "seq_tup_read", "bitmap_tup_fetch")
INDEX = ("idx_scan", "idx_tup_read", "idx_tup_fetch")


@pytest.mark.parametrize(
    ("settings", "statement", "table", "index"),
    [
        (
            "SET enable_indexscan = off; SET enable_bitmapscan = off",
            "SELECT count(pad) FROM orders WHERE customer_id = 7",
            {"seq_scan": 1, "seq_tup_read": 4000},
            {},
        ),
        (
            "SET enable_seqscan = off; SET enable_bitmapscan = off",
            "SELECT count(pad) FROM orders WHERE customer_id = 7",
            {},
            {"idx_scan": 1, "idx_tup_read": 40, "idx_tup_fetch": 40},
        ),
        (
            "SET enable_seqscan = off; SET enable_indexscan = off",
            "SELECT count(pad) FROM orders WHERE customer_id = 7",
            {"bitmap_tup_fetch": 40},
            {"idx_scan": 1, "idx_tup_read": 40},
        ),
        (
            "SET enable_seqscan = off; SET enable_bitmapscan = off",
            "SELECT count(customer_id) FROM orders WHERE customer_id = 7",
            {},
            {"idx_scan": 1, "idx_tup_read": 40},
        ),
    ],
    ids=["sequential", "index", "bitmap", "index-only"],
)
def test_each_kind_of_scan_counts_as_the_documentation_of_the_counters_has_it(
    watched: Watched,
    settings: str,
    statement: str,
    table: dict[str, int],
    index: dict[str, int],
) -> None:
    tables, indexes, _ = watched.after(
        "SET max_parallel_workers_per_gather = 0", settings, statement
    )
    assert counted(tables, watched.oid("orders"), *SCANS) == table
    assert counted(indexes, watched.oid("orders_customer"), *INDEX) == index


class Plans:
    """What auto_explain logs to the client: blocks touched and rows by node and relation."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.nodes: list[dict[str, Any]] = []
        connection.add_notice_handler(self._note)
        for name, value in (
            ("log_min_duration", "0"),
            ("log_analyze", "on"),
            ("log_buffers", "on"),
            ("log_format", "json"),
        ):
            connection.execute(f"SET auto_explain.{name} = {value}".encode())
        connection.execute("SET client_min_messages = log")

    def _note(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        _, found, plan = (diagnostic.message_primary or "").partition("plan:\n")
        if found:
            self._add(json.loads(plan)["Plan"])

    def _add(self, node: dict[str, Any]) -> None:
        self.nodes.append(node)
        for each in node.get("Plans", ()):
            self._add(each)

    def total(self, kind: str) -> tuple[int, int, int]:
        """Return scans, rows and blocks touched of the nodes of a kind."""
        nodes = [node for node in self.nodes if node["Node Type"] == kind]
        return (
            sum(node["Actual Loops"] for node in nodes),
            sum(round(node["Actual Rows"] * node["Actual Loops"]) for node in nodes),
            sum(node["Shared Hit Blocks"] + node["Shared Read Blocks"] for node in nodes),
        )


def test_reads_and_rows_of_an_index_equal_the_plans_of_the_same_executions(
    watched: Watched,
) -> None:
    with client(watched.dsn) as other:
        other.execute("SET enable_seqscan = off; SET enable_indexscan = off")
        plans = Plans(other)
        for customer in range(30):
            other.execute(f"SELECT count(pad) FROM orders WHERE customer_id = {customer}".encode())
    tables, indexes, _ = watched.after()
    scans, rows, blocks = plans.total("Bitmap Index Scan")
    assert scans == 30
    row = named(indexes.rows, watched.oid("orders_customer"))
    assert int(row["idx_scan"]) == scans
    assert int(row["idx_tup_read"]) == rows
    # The planner looks at the metapage of an index once in a session.
    assert 0 <= int(row["idx_blks_read"] + row["idx_blks_hit"]) - blocks <= 2
    _, fetched, touched = plans.total("Bitmap Heap Scan")
    heap = named(tables.rows, watched.oid("orders"))
    assert int(heap["bitmap_tup_fetch"]) == fetched
    assert int(heap["heap_blks_read"] + heap["heap_blks_hit"]) == touched - blocks


def test_rows_that_were_changed_and_vacuum_are_counted(watched: Watched) -> None:
    orders = watched.oid("orders")
    tables, _, _ = watched.after(
        "UPDATE orders SET pad = repeat('y', 400) WHERE id <= 100",
        "DELETE FROM orders WHERE id > 3990",
        "INSERT INTO orders SELECT g, 1, 'z' FROM generate_series(5001, 5005) AS g",
    )
    names = ("n_tup_ins", "n_tup_upd", "n_tup_del")
    assert counted(tables, orders, *names) == {"n_tup_ins": 5, "n_tup_upd": 100, "n_tup_del": 10}
    row = named(tables.rows, orders)
    assert 0 < int(row["n_tup_hot_upd"]) <= 100
    assert int(row["n_dead_tup"]) == 110
    assert int(row["reltuples"]) == 4000
    before = row["last_vacuum"]
    tables, _, _ = watched.after("VACUUM ANALYZE orders")
    row = named(tables.rows, orders)
    assert (int(row["vacuum_count"]), int(row["analyze_count"])) == (1, 1)
    assert row["last_vacuum"] > before
    assert int(row["reltuples"]) == 3995
    assert int(row["n_dead_tup"]) == 0


def test_a_reset_of_one_table_is_marked_and_costs_nothing_of_others(watched: Watched) -> None:
    orders, index = watched.oid("orders"), watched.oid("orders_customer")
    lookup = "SELECT count(pad) FROM orders WHERE customer_id = 7"
    watched.after("SET enable_seqscan = off", *[lookup] * 5)
    tables, indexes, _ = watched.after(
        "SELECT pg_stat_reset_single_table_counters('orders'::regclass)",
        "SET enable_seqscan = off; SET enable_indexscan = off",
        lookup,
    )
    rows = tables.rows["relid"].tolist()
    assert tables.basis[rows.index(orders)] == Basis.RESET
    assert counted(tables, orders, *SCANS) == {"bitmap_tup_fetch": 40}
    places = indexes.rows["indexrelid"].tolist()
    assert indexes.basis[places.index(index)] == Basis.PREVIOUS
    assert counted(indexes, index, *INDEX) == {"idx_scan": 1, "idx_tup_read": 40}


@pytest.mark.pg(">= 19")
def test_a_reset_is_known_though_the_counters_are_higher_afterwards(watched: Watched) -> None:
    orders = watched.oid("orders")
    watched.after("SELECT count(*) FROM orders")
    tables, _, _ = watched.after(
        "SELECT pg_stat_reset_single_table_counters('orders'::regclass)",
        *["SELECT count(pad) FROM orders"] * 20,
        "INSERT INTO orders SELECT g, 1, 'z' FROM generate_series(5001, 20000) AS g",
    )
    rows = tables.rows["relid"].tolist()
    assert tables.basis[rows.index(orders)] == Basis.RESET
    assert counted(tables, orders, "seq_scan") == {"seq_scan": 20}


@pytest.mark.pg(">= 14")
def test_an_index_that_was_rebuilt_concurrently_has_not_counted_all_anew(
    watched: Watched,
) -> None:
    lookup = "SELECT count(pad) FROM orders WHERE customer_id = 7"
    forced = "SET enable_seqscan = off; SET enable_bitmapscan = off"
    before = watched.oid("orders_customer")
    watched.after(forced, *[lookup] * 50)
    _, indexes, _ = watched.after("REINDEX INDEX CONCURRENTLY orders_customer", forced, lookup)
    after = watched.oid("orders_customer")
    assert before != after
    assert counted(indexes, after, "idx_scan", "idx_tup_fetch") == {
        "idx_scan": 1,
        "idx_tup_fetch": 40,
    }


def test_a_crash_leaves_counters_since_then(make_server: MakeServer) -> None:
    server: Server = make_server()
    with client(server.dsn()) as other:
        other.execute("CREATE EXTENSION pg_stat_statements")
        other.execute(TABLE.encode())
    with collecting(server.dsn()) as collector:
        known, older = Watched(server.dsn(), collector).known, quiet(collector)
    server.crash()
    server.start()
    with client(server.dsn()) as other:
        other.execute("SET enable_indexscan = off; SET enable_bitmapscan = off")
        other.execute("SELECT count(pad) FROM orders")
    with collecting(server.dsn()) as collector:
        delta = diff(older, quiet(collector))
        newer = collector.relation_reader().stats()
    interval = interval_between(known, newer, discarded=delta.discarded)
    assert counted(interval.tables, oid_of(server.dsn(), "orders"), *SCANS) == {
        "seq_scan": 1,
        "seq_tup_read": 4000,
    }


class Sampled:
    """A RelationSampler with a clock that tests set."""

    def __init__(self, watched: Watched) -> None:
        self.watched = watched
        self.now = 0.0
        self.names = Names()
        self.sampler = RelationSampler(60.0, lambda: self.now)
        self.older: Snapshot | None = None
        self.cost = 1.0  # seconds of a snapshot, one in ten seconds

    def take(self, seconds: float, *statements: str, accept: bool = True) -> RelationChanges | None:
        """Return what is read after some time in which statements ran."""
        self.now += seconds
        with client(self.watched.dsn) as other:
            for statement in statements:
                other.execute(statement.encode())
        newer = quiet(self.watched.collector)
        delta = diff(self.older, newer)
        if delta.seconds is not None:
            delta = replace(delta, seconds=10.0, newer=replace(newer, own_seconds=self.cost))
        found = self.sampler.read(self.watched.reader, delta, self.names)
        if accept:
            self.sampler.accept()
            self.older = newer
        return found


@pytest.fixture
def sampled(watched: Watched) -> Sampled:
    made = Sampled(watched)
    assert made.take(0) is None
    return made


def test_only_what_moved_is_read_when_it_is_due(sampled: Sampled) -> None:
    update = "UPDATE orders SET pad = 'u' WHERE id = 1"
    orders = sampled.watched.oid("orders")
    assert sampled.sampler.known is not None
    begun = sampled.sampler.known.taken_at
    assert sampled.take(10, update) is None
    found = sampled.take(50, update)
    assert found is not None
    (interval,) = found.intervals
    assert counted(interval.tables, orders, "n_tup_upd") == {"n_tup_upd": 2}
    known = sampled.sampler.known
    assert known is not None
    assert (interval.since, interval.dbid) == (begun, known.dbid)
    assert counted(interval.tables, orders, "n_tup_ins") == {}
    assert (named(known.tables, orders)["n_tup_upd"], named(known.tables, orders)["n_tup_ins"]) == (
        2,
        4000,
    )


def test_an_interval_that_was_not_accepted_is_part_of_the_next_one(sampled: Sampled) -> None:
    update = "UPDATE orders SET pad = 'u' WHERE id = 1"
    orders = sampled.watched.oid("orders")
    assert sampled.take(60, update, accept=False) is not None
    found = sampled.take(1, update)
    assert found is not None
    (interval,) = found.intervals
    assert counted(interval.tables, orders, "n_tup_upd") == {"n_tup_upd": 2}


def test_definitions_are_reported_when_they_change(sampled: Sampled) -> None:
    touch = "UPDATE orders SET pad = 'u' WHERE id = 1"
    found = sampled.take(60, touch)
    assert found is not None
    indexes = {each.name: each for each in found.definitions if each.kind == "index"}
    assert {name: (each.text, each.detail) for name, each in indexes.items()} == {
        "orders_pkey": (
            "CREATE UNIQUE INDEX orders_pkey ON public.orders USING btree (id)",
            "primary key",
        ),
        "orders_customer": (
            "CREATE INDEX orders_customer ON public.orders USING btree (customer_id)",
            "",
        ),
    }
    settings = {each.name: each.text for each in found.definitions if each.kind == "setting"}
    assert settings["shared_buffers"] == "16MB"
    again = sampled.take(60, touch)
    assert again is not None
    assert again.definitions == ()
    changed = sampled.take(
        60,
        "SET enable_seqscan = off; SELECT count(pad) FROM orders WHERE customer_id = 1",
        "DROP INDEX orders_customer",
        "CREATE INDEX orders_late ON orders (customer_id) WHERE pad <> 's3cret'",
        "INSERT INTO orders SELECT 9000, 1, 'n'",
        "CREATE TABLE lines (order_id int REFERENCES orders, n int)",
        "INSERT INTO lines VALUES (1, 1)",
        "ALTER DATABASE "
        + sampled.watched.collector.session.server.dbname
        + " SET work_mem = '9MB'",
    )
    assert changed is not None
    dbid = sampled.watched.collector.session.server.dbid
    assert {(each.kind, each.name, each.text) for each in changed.definitions} == {
        ("columns", "lines", "order_id integer, n integer"),
        ("index", "orders_customer", None),
        (
            "index",
            "orders_late",
            (
                "CREATE INDEX orders_late ON public.orders USING btree (customer_id)"
                " WHERE (pad <> ?::text)"
            ),
        ),
        (
            "foreign key",
            "lines_order_id_fkey",
            "FOREIGN KEY (order_id) REFERENCES public.orders(id)",
        ),
        ("setting", "work_mem", "9MB"),
    }
    (work_mem,) = [each for each in changed.definitions if each.name == "work_mem"]
    assert (work_mem.oid, work_mem.owner) == (dbid, 0)


def test_a_statement_that_enters_those_that_read_most_causes_a_read(sampled: Sampled) -> None:
    evict = "SELECT count(pad) FROM orders WHERE customer_id = 3"
    with client(sampled.watched.dsn) as other:
        other.execute(
            "CREATE TABLE big AS SELECT g, repeat('x', 900) AS pad FROM generate_series(1, 40000) g"
        )
    sampled.take(60, evict)
    sampled.take(1, "SELECT count(pad) FROM big")
    assert sampled.take(1, "SELECT count(pad) FROM big") is None
    # Another statement, another entry: it reads all of a table four times the size of the cache.
    assert sampled.take(12, "SELECT count(*), max(pad) FROM big") is not None


def test_reads_that_cost_more_than_a_fifth_of_the_snapshots_come_less_often(
    sampled: Sampled,
) -> None:
    touch = "UPDATE orders SET pad = 'u' WHERE id = 1"
    # The snapshots of a minute cost 0.6 ms: six of 0.1 ms.
    sampled.cost = 0.0001
    assert sampled.take(60, touch) is not None
    assert sampled.take(60, touch) is None
    assert sampled.take(60, touch) is None
    assert sampled.take(60, touch) is not None
