"""What happened between two readings, on real servers of every version."""

from itertools import pairwise

import psycopg
import pytest
from psycopg import sql

from pgiostat.analysis.server_reads import coverage_of, reads_of
from pgiostat.errors import PgiostatError
from pgiostat.postgres import snapshot_query
from pgiostat.postgres.snapshot_reader import SnapshotReader
from pgiostat.statistics.capabilities import capabilities
from pgiostat.statistics.columnar import Rows
from pgiostat.statistics.counter_table import SelectedColumns
from pgiostat.statistics.counters import STATEMENTS
from pgiostat.statistics.delta import Delta, Lost, Quality
from pgiostat.statistics.difference import diff
from pgiostat.statistics.row_deltas import Basis
from tests.conftest import MakeServer
from tests.support.servers import Server
from tests.support.workloads import Connection, by_text, client, collecting, fill, run

RESET = "SELECT pg_stat_statements_reset()"


def test_a_statements_delta_is_what_it_did_between_two_readings(database: str) -> None:
    with client(database) as other, collecting(database) as collector:
        fill(other, "t", 100)
        run(other, "SELECT count(*) FROM t WHERE id > 1", 3)
        older = collector.take()
        run(other, "SELECT count(*) FROM t WHERE id > 2", 4)
        delta = diff(older, collector.take())
        found = by_text(collector, delta, "FROM t WHERE id >")
        assert found == {"SELECT count(*) FROM t WHERE id > $1": (4, 0, Basis.PREVIOUS)}
        assert delta.qualities == (Quality.OK,)


def test_a_snapshot_has_the_begin_of_the_oldest_transaction_of_others(database: str) -> None:
    with client(database) as first, client(database) as second, collecting(database) as collector:
        assert collector.take().markers.oldest_transaction is None
        first.execute("BEGIN")
        (began,) = first.execute("SELECT now()").fetchone() or (None,)
        second.execute("BEGIN; SELECT 1")
        assert collector.take().markers.oldest_transaction == began
        first.execute("COMMIT")
        assert collector.take().markers.oldest_transaction != began


def test_packed_and_row_by_row_readings_are_equal(database: str) -> None:
    with collecting(database) as packed, collecting(database, packed=False) as listed:
        for _ in range(2):
            one, two = packed.take(), listed.take()
        assert packed.is_packed
        assert not listed.is_packed
        assert one.statements.counter_names == two.statements.counter_names
        assert one.statements.attributes.keys() == two.statements.attributes.keys()
        # Nobody else is there: what differs are our own statements, run in between.
        delta = diff(one, two)
        assert delta.qualities == (Quality.GAP,)  # connection changed
        assert {
            text for text in by_text(packed, delta, "") if "/* pgiostat */" not in text
        } == set()


def test_a_damaged_packed_reply_costs_one_snapshot_row_by_row_and_no_more(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpack, damaged = snapshot_query.unpack, iter("xpxxpxxxp")

    def unpacked(kind: SelectedColumns, packed: bytes) -> Rows:
        if kind.table.name == STATEMENTS.name and next(damaged) == "x":
            packed = packed[:-1]
        return unpack(kind, packed)

    monkeypatch.setattr(snapshot_query, "unpack", unpacked)
    with collecting(database) as collector:
        older = collector.take()
        packed = [collector.is_packed]
        for _ in range(7):
            newer = collector.take()
            assert diff(older, newer).qualities == (Quality.OK,)
            packed.append(collector.is_packed)
            older = newer
        assert packed == [True] * 7 + [False]
        collector.take()  # row by row: asks for no packed reply
    assert next(damaged) == "p"


def test_after_a_full_reset_counts_begin_anew(make_server: MakeServer) -> None:
    server = make_server()
    with server.connect() as setup:
        setup.execute("CREATE EXTENSION pg_stat_statements")
    with client(server.dsn()) as other, collecting(server.dsn()) as collector:
        fill(other, "t", 100)
        run(other, "SELECT count(*) FROM t", 5)
        for _ in range(3):
            older = collector.take()
        other.execute(RESET)
        run(other, "SELECT count(*) FROM t", 7)
        delta = diff(older, collector.take())
        assert by_text(collector, delta, "count(*) FROM t") == {
            "SELECT count(*) FROM t": (7, 0, Basis.RESET)
        }
        assert (delta.qualities, coverage_of(delta)) == (
            (Quality.RESET,),
            None,
        )
        assert_lost_until_reset(delta)


def test_a_statement_reset_on_its_own_counts_since_then(database: str) -> None:
    with client(database) as other, collecting(database) as collector:
        fill(other, "t", 100)
        statement = "SELECT sum(id) FROM t"
        run(other, statement, 10)
        older = collector.take()
        other.execute(
            "SELECT pg_stat_statements_reset(0, 0, queryid) FROM pg_stat_statements"
            " WHERE query = %s",
            [statement],
        )
        run(other, statement, 3)
        delta = diff(older, collector.take())
        assert by_text(collector, delta, statement) == {statement: (3, 0, Basis.RESET)}
        assert delta.qualities == (Quality.RESET,)


@pytest.mark.pg(">= 17")
def test_a_statement_reset_on_its_own_is_noticed_though_it_counted_more(database: str) -> None:
    with client(database) as other, collecting(database) as collector:
        fill(other, "t", 100)
        statement = "SELECT sum(id) FROM t"
        run(other, statement, 3)
        older = collector.take()
        other.execute(
            "SELECT pg_stat_statements_reset(0, 0, queryid) FROM pg_stat_statements"
            " WHERE query = %s",
            [statement],
        )
        run(other, statement, 30)
        delta = diff(older, collector.take())
        assert by_text(collector, delta, statement) == {statement: (30, 0, Basis.RESET)}


def test_an_entry_evicted_and_back_counts_since_it_came_back(make_server: MakeServer) -> None:
    server = make_server(**{"pg_stat_statements.max": 100})
    with server.connect() as setup:
        setup.execute("CREATE EXTENSION pg_stat_statements")
    with client(server.dsn()) as other, collecting(server.dsn()) as collector:
        fill(other, "t", 100)
        statement = "SELECT min(id) FROM t"
        run(other, statement)  # once: what is called least is evicted first
        for _ in range(3):
            older = collector.take()
        for i in range(800):
            run(other, f"SET test.a{i} = 1")  # another statement each
        gone = "SELECT count(*) FROM pg_stat_statements(true) WHERE query = %s"
        assert other.execute(gone, [statement]).fetchone() == (0,)
        run(other, statement)
        delta = diff(older, collector.take())
        # The one call before the older reading is not this one.
        assert by_text(collector, delta, statement) == {statement: (1, 0, Basis.REINSERTED)}
        assert Quality.EVICTING in delta.qualities
        assert delta.vanished > 0
        if server.major >= 14:
            assert delta.dealloc is not None
            assert delta.dealloc >= 5


@pytest.mark.parametrize(
    ("mode", "save", "basis"),
    [
        ("fast", True, Basis.PREVIOUS),
        ("immediate", True, Basis.PREVIOUS),
        ("fast", False, Basis.RESET),
        ("crash", True, Basis.RESET),
    ],
)
def test_after_a_restart_entries_are_subtracted_if_kept_and_whole_if_lost(
    make_server: MakeServer,
    mode: str,
    save: bool,  # noqa: FBT001 - a case of the table
    basis: Basis,
) -> None:
    server = make_server(**{"pg_stat_statements.save": save})
    with server.connect() as setup:
        setup.execute("CREATE EXTENSION pg_stat_statements")
    statement = "SELECT max(id) FROM t"
    with client(server.dsn()) as other, collecting(server.dsn()) as collector:
        fill(other, "t", 100)
        run(other, statement, 10)
        for _ in range(3):
            older = collector.take()
    if mode == "crash":
        server.crash()
        server.start()
    else:
        server.restart("immediate" if mode == "immediate" else "fast")
    with client(server.dsn()) as other, collecting(server.dsn()) as collector:
        run(other, statement, 3)
        delta = diff(older, collector.take())
        found = by_text(collector, delta, statement)
    assert {text: (row[0], row[2]) for text, row in found.items()} == {statement: (3, basis)}
    assert delta.qualities == (Quality.RESTART, Quality.GAP)
    assert reads_of(delta).blocks is None
    if basis is Basis.PREVIOUS:
        assert delta.lost is None
    else:
        assert_lost_until_reset(delta)


def test_a_killed_backend_empties_the_statistics_and_is_noticed(make_server: MakeServer) -> None:
    server = make_server()
    with server.connect() as setup:
        setup.execute("CREATE EXTENSION pg_stat_statements")
    statement = "SELECT max(id) FROM t"
    with client(server.dsn()) as other, collecting(server.dsn()) as collector:
        fill(other, "t", 100)
        run(other, statement, 10)
        for _ in range(3):
            older = collector.take()
        server.kill_backend(other.info.backend_pid)
        with pytest.raises(PgiostatError) as caught:
            take_until_lost(collector)
        assert caught.value.slug == "connection-lost"
    until_up(server)
    with client(server.dsn()) as other, collecting(server.dsn()) as collector:
        run(other, statement, 3)
        newer = collector.take()
        delta = diff(older, newer)
        found = by_text(collector, delta, statement)
    assert {text: (row[0], row[2]) for text, row in found.items()} == {statement: (3, Basis.RESET)}
    assert older.markers.start_time == newer.markers.start_time
    assert delta.qualities == (Quality.RESTART, Quality.GAP)
    assert_lost_until_reset(delta)


def assert_lost_until_reset(delta: Delta) -> None:
    """Check that what ran before a reset is lost, with the length that can be known."""
    older, newer = delta.older, delta.newer
    assert older is not None
    assert delta.seconds is not None
    ends = newer.markers.statements_reset
    if ends is None and older.markers.start_time != newer.markers.start_time:
        ends = newer.markers.start_time  # 13
    length = delta.seconds if ends is None else (ends - older.taken_at).total_seconds()
    assert delta.lost == Lost(older.taken_at, length, newer.server)
    assert 0 < length <= delta.seconds


def take_until_lost(collector: SnapshotReader) -> None:
    """Read until the server hangs up, which it does some milliseconds after the kill."""
    for _ in range(1000):
        collector.take()


def until_up(server: Server) -> None:
    """Return when the server lets clients in again."""
    for attempt in range(200):
        try:
            server.connect().close()
        except psycopg.OperationalError:
            if attempt == 199:
                raise
        else:
            return


def test_dropping_and_creating_the_extension_changes_no_count(database: str) -> None:
    with client(database) as other, collecting(database) as collector:
        fill(other, "t", 100)
        run(other, "SELECT avg(id) FROM t", 5)
        older = collector.take()
        other.execute("DROP EXTENSION pg_stat_statements")
        with pytest.raises(PgiostatError) as caught:
            collector.take()
        assert caught.value.slug == "extension-missing"
        other.execute("CREATE SCHEMA elsewhere")
        other.execute("CREATE EXTENSION pg_stat_statements SCHEMA elsewhere")
        run(other, "SELECT avg(id) FROM t", 2)
        delta = diff(older, collector.take())
        found = by_text(collector, delta, "avg(id)")
        assert found == {"SELECT avg(id) FROM t": (2, 0, Basis.PREVIOUS)}


def test_one_queryid_of_two_users_stays_two_rows(database: str) -> None:
    with client(database) as other, collecting(database) as collector:
        fill(other, "t", 100)
        other.execute("CREATE ROLE two_rows")
        other.execute("GRANT SELECT ON t TO two_rows")
        statement = "SELECT count(id) FROM t"
        older = collector.take()
        run(other, statement, 2)
        other.execute("SET ROLE two_rows")
        run(other, statement, 3)
        other.execute("RESET ROLE")
        delta = diff(older, collector.take())
        rows = delta.statements.rows
        keys = list(zip(*(rows[n].tolist() for n in ("userid", "dbid", "queryid")), strict=True))
        texts = collector.texts(keys).texts
        calls = [
            (key[2], count)
            for key, count in zip(keys, rows["calls"].tolist(), strict=True)
            if texts.get(key) == statement
        ]
        assert len({queryid for queryid, _ in calls}) == 1
        assert sorted(count for _, count in calls) == [2, 3]
        other.execute("DROP OWNED BY two_rows")
        other.execute("DROP ROLE two_rows")


def test_nested_statements_are_told_and_left_out_of_totals(database: str) -> None:
    with client(database) as other, collecting(database) as collector:
        fill(other, "t", 3000)
        other.execute(
            "CREATE FUNCTION nested() RETURNS bigint LANGUAGE plpgsql AS"
            " 'BEGIN RETURN (SELECT sum(length(pad)) FROM t WHERE id >= 0); END'"
        )
        other.execute("SET pg_stat_statements.track = 'all'")
        older = collector.take()
        run(other, "SELECT nested()")
        delta = diff(older, collector.take())
        found = by_text(collector, delta, "nested()")
        assert [calls for calls, _, _ in found.values()] == [1]
        assert delta.newer.has_toplevel == (collector.session.server.version_num >= 140000)
        if delta.newer.has_toplevel:
            assert int((~delta.toplevel).sum()) == 1


def test_hidden_statements_are_counted_without_names(database: str) -> None:
    with client(database) as other:
        fill(other, "t", 100)
        other.execute("CREATE ROLE plain LOGIN PASSWORD 'plain'")
        try:
            dsn = psycopg.conninfo.make_conninfo(database, user="plain", password="plain")
            with collecting(dsn) as collector:
                older = collector.take()
                assert older.masked
                run(other, "SELECT count(*), 7 FROM t", 6)
                delta = diff(older, collector.take())
                rows = delta.statements.rows
                mine = rows["userid"] == collector.session.server.userid
                hidden = rows.take(rows["masked"] & ~mine)
                assert hidden.total("calls") == 6
                assert delta.unknown == 0
        finally:
            other.execute("DROP ROLE plain")


VERSIONS = ("1.4", "1.5", "1.6", "1.7", "1.8", "1.9", "1.10", "1.11", "1.12", "1.13")


@pytest.mark.parametrize("version", VERSIONS)
def test_an_extension_older_than_its_server_is_read(
    database: str, server: Server, version: str
) -> None:
    with client(database) as other:
        available = other.execute(
            "SELECT version FROM pg_available_extension_versions WHERE name = 'pg_stat_statements'"
        ).fetchall()
        other.execute("DROP EXTENSION pg_stat_statements")
        create = sql.SQL("CREATE EXTENSION pg_stat_statements VERSION {}").format(
            sql.Literal(version)
        )
        try:
            other.execute(create)
        except psycopg.Error:
            newest = max(int(name.split(".")[1]) for (name,) in available if name)
            assert int(version.split(".")[1]) > newest
            return
        fill(other, "t", 100)
        statement = "SELECT count(pad) FROM t"
        run(other, statement, 5)
        with collecting(database) as collector:
            older = collector.take()
            run(other, statement, 2)
            newer = collector.take()
            delta = diff(older, newer)
            minor = int(version.split(".")[1])
            assert collector.session.server.extension_version == version
            assert newer.has_toplevel == (minor >= 9)
            assert ("stats_since" in newer.statements) == (minor >= 11)
            assert (newer.markers.dealloc is not None) == (minor >= 9)
            assert by_text(collector, delta, statement) == {statement: (2, 0, Basis.PREVIOUS)}
            missing = {c.name: c.missing for c in capabilities(newer) if not c.available}
            older_than = {"toplevel": 9, "evictions": 9, "stats_since": 11, "local_read_times": 11}
            assert {name for name in older_than if name in missing} == {
                name for name, first in older_than.items() if minor < first
            }
            if minor < 11:
                assert missing["stats_since"] == (
                    f"needs pg_stat_statements 1.11, this is {version}"
                )
            assert ("pg_stat_io" in missing) == (server.major < 16)
            assert ("read_operations" in missing) == (server.major < 18)


def test_relations_add_up_to_pg_statio_all_tables(database: str) -> None:
    with client(database) as other, collecting(database) as collector:
        fill(other, "t", 3000)
        other.execute("CREATE TABLE toasted (id int PRIMARY KEY, doc text)")
        other.execute("ALTER TABLE toasted ALTER doc SET STORAGE EXTERNAL")
        other.execute(
            "INSERT INTO toasted SELECT i, repeat(md5(i::text), 400) FROM generate_series(1, 50) i"
        )
        run(other, "SELECT sum(length(doc)) FROM toasted")
        run(other, "SELECT count(*) FROM t WHERE id = 5")
    settled = (
        "SELECT relid::int8, heap_blks_read, heap_blks_hit, idx_blks_read, toast_blks_read,"
        " tidx_blks_read FROM pg_statio_all_tables WHERE schemaname = 'public'"
    )
    with client(database) as other, collecting(database) as collector:
        expected = {row[0]: row[1:] for row in other.execute(settled).fetchall()}
        rows = collector.take().relations
        named, own_names = collector.relations(rows["relid"].tolist())
        own = (
            "SELECT oid::int8, relname FROM pg_class WHERE oid = ANY(%s) AND relkind IN ('i', 't')"
        )
        assert own_names == dict(other.execute(own, [rows["relid"].tolist()]).fetchall())
        assert {named[relid][3] for relid in own_names} == {"idx", "toast", "tidx"}
        read: dict[tuple[int, str], int] = {}
        hit: dict[tuple[int, str], int] = {}
        for relid, blocks, hits in zip(
            rows["relid"].tolist(),
            rows["blks_read"].tolist(),
            rows["blks_hit"].tolist(),
            strict=True,
        ):
            owner, _, _, part = named[relid]
            read[owner, part] = read.get((owner, part), 0) + blocks
            hit[owner, part] = hit.get((owner, part), 0) + hits
        got = {
            relid: (
                read.get((relid, "heap"), 0),
                hit.get((relid, "heap"), 0),
                *(
                    None if values is None else read.get((relid, part), 0)
                    for part, values in zip(
                        ("idx", "toast", "tidx"), expected[relid][2:], strict=True
                    )
                ),
            )
            for relid in expected
        }
        assert got == expected


def available(connection: Connection, *wanted: str) -> list[str]:
    """Return those versions of the extension that the server can create."""
    found = connection.execute(
        "SELECT version FROM pg_available_extension_versions WHERE name = 'pg_stat_statements'"
    ).fetchall()
    return [version for version in wanted if (version,) in found]


@pytest.mark.parametrize("begin", ["1.7", "1.8", "1.9", "1.10", "1.11"])
@pytest.mark.parametrize("end", ["1.8", "1.9", "1.10", "1.11", "1.12"])
def test_an_interval_with_an_update_of_the_extension_is_exact_or_lost(
    database: str, begin: str, end: str
) -> None:
    first, last = (int(version.split(".")[1]) for version in (begin, end))
    with client(database) as other:
        other.execute("DROP EXTENSION pg_stat_statements")
        if first >= last or len(available(other, begin, end)) < 2:
            return
        other.execute(f"CREATE EXTENSION pg_stat_statements VERSION '{begin}'")
        fill(other, "t", 100)
        statement = "SELECT count(pad) FROM t"
        run(other, statement, 5)
        with collecting(database) as collector:
            older = collector.take()
            run(other, statement, 2)
            other.execute(f"ALTER EXTENSION pg_stat_statements UPDATE TO '{end}'")
            run(other, statement, 3)
            newer = collector.take()
            run(other, statement, 4)
            delta, after = diff(older, newer), diff(newer, collector.take())
            assert by_text(collector, after, statement) == {statement: (4, 0, Basis.PREVIOUS)}
            found = by_text(collector, delta, statement)
        if first < 9 <= last:
            assert (found, delta.qualities) == ({}, (Quality.EXTENSION_CHANGED,))
            assert delta.seconds is not None
            assert delta.lost == Lost(older.taken_at, delta.seconds, newer.server)
        else:
            assert found == {statement: (5, 0, Basis.PREVIOUS)}
            assert (delta.qualities, delta.lost) == ((Quality.OK,), None)


@pytest.mark.parametrize("version", ["1.8", "1.9", "1.10", "1.11", "1.12"])
def test_an_interval_in_which_privileges_change_is_exact_or_lost(
    database: str, version: str
) -> None:
    with client(database) as other:
        other.execute("DROP EXTENSION pg_stat_statements")
        if not available(other, version):
            return
        other.execute(f"CREATE EXTENSION pg_stat_statements VERSION '{version}'")
        fill(other, "t", 100)
        other.execute("CREATE ROLE plain LOGIN PASSWORD 'plain'")
        other.execute("GRANT pg_read_all_stats TO plain")
        try:
            dsn = psycopg.conninfo.make_conninfo(database, user="plain", password="plain")
            run(other, "SELECT count(*), 7 FROM t", 5)
            with collecting(dsn) as collector:
                took = [collector.take()]
                grant = "GRANT pg_read_all_stats TO plain"
                revoke = "REVOKE pg_read_all_stats FROM plain"
                for times, change in ((6, revoke), (2, ""), (7, grant), (3, "")):
                    run(other, "SELECT count(*), 7 FROM t", times)
                    if change:
                        other.execute(change)
                    took.append(collector.take())
                assert [each.masked for each in took] == [False, True, True, False, False]
                deltas = [diff(one, two) for one, two in pairwise(took)]
                theirs = [
                    delta.statements.rows.take(
                        delta.statements.rows["userid"] != collector.session.server.userid
                    )
                    for delta in deltas
                ]
            calls = [sum(n for n in rows["calls"].tolist() if n > 1) for rows in theirs]
            lost = [None if delta.lost is None else delta.quality for delta in deltas]
            # REVOKE and GRANT themselves are called once each.
            if version in {"1.11", "1.12"}:
                assert (calls, lost) == ([6, 2, 7, 3], [None] * 4)
            else:
                changed = Quality.PRIVILEGES_CHANGED
                assert lost == [changed, None, changed, None]
                assert [calls[0], calls[2], calls[3]] == [0, 0, 3]
            assert [delta.unknown for delta in deltas] == [0] * 4
        finally:
            other.execute("DROP OWNED BY plain; DROP ROLE plain")
