"""Do the ledgers close?  Each kind of work alone, and who is said to have read for it.

    python benchmarks/accuracy.py DSN... [--rows N] [--json]

Work is done on each server, in a schema of its own that is dropped afterwards: never name a server
in use.  A ledger must add up to the block; what it leaves unattributed must be within the bound of
the work, which docs/accuracy.md explains.  The exit status is 1 if any is not.  With --json the
last line is one object of figures.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from threading import Event
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from pgiostat.analysis.corrections import client_rollbacks, with_known_gaps, without_repeats
from pgiostat.analysis.failures import Failures
from pgiostat.analysis.ledger import LedgerLine
from pgiostat.analysis.rank import Ranking, rank
from pgiostat.analysis.server_reads import reads_of
from pgiostat.postgres.name_reader import add_names
from pgiostat.postgres.session import connect
from pgiostat.postgres.snapshot_reader import SnapshotReader
from pgiostat.queries.describe import describer
from pgiostat.statistics.delta import Delta
from pgiostat.statistics.difference import diff
from pgiostat.statistics.names import Names
from pgiostat.statistics.snapshot import Snapshot

Connection = psycopg.Connection[tuple[Any, ...]]

ROWS = 60_000
"""Some 4,000 blocks."""
SCHEMA = "pgiostat_accuracy"
SLACK_BLOCKS = 60
SLACK_SHARE = 0.01
"""What may stay unattributed of any work: catalogs of other databases, and sessions of others."""
SETTLING_SECONDS = 0.6
SETTLED_AFTER = 2
LONGEST_SECONDS = 60.0
_PG_14 = 140000
_PG_16 = 160000
_PG_18 = 180000
TRACK_ALL = "SET pg_stat_statements.track = 'all'"


@dataclass(frozen=True, slots=True)
class Work:
    """Something that a server does: run does it, on a connection of its own.

    unavoidable: why a version leaves blocks unattributed all the same, by server_version_num; empty
    if it does not.  sessions: how often, each on a connection of its own.
    """

    name: str
    run: Callable[[Connection], None]
    unavoidable: Callable[[int], str] = lambda _: ""
    sessions: int = 1


def statements(*texts: str, times: int = 1) -> Callable[[Connection], None]:
    """Return what runs statements, each of them as often as asked for."""

    def run(connection: Connection) -> None:
        for text in texts:
            for i in range(times):
                connection.execute(text.replace("{i}", str(i)).encode())

    return run


def failing(*texts: str) -> Callable[[Connection], None]:
    """Return what runs statements that fail."""

    def run(connection: Connection) -> None:
        for text in texts:
            with suppress(psycopg.Error):
                connection.execute(text.encode())

    return run


def prepared(connection: Connection) -> None:
    """Look rows up by a prepared statement."""
    for i in range(300):
        connection.execute("SELECT pad FROM big WHERE id = %s", (i * 197,), prepare=True)


def cursor(connection: Connection) -> None:
    """Read a table by a cursor, and close it."""
    with connection.transaction():
        connection.execute("DECLARE c CURSOR FOR SELECT * FROM big")
        connection.execute("FETCH 20000 FROM c")
        connection.execute("CLOSE c")


def named(connection: Connection) -> None:
    """Read half of a table by a cursor of psycopg's, and leave it open at COMMIT."""
    with connection.transaction():
        rows = connection.cursor("named")
        rows.itersize = 2_000
        rows.execute("SELECT * FROM big")
        for number, _ in enumerate(rows):
            if number > ROWS // 2:
                break


def elsewhere(connection: Connection) -> None:
    """Run a statement as another role, and one in another database."""
    connection.execute("SET ROLE pgiostat_accuracy_other")
    connection.execute("SELECT sum(client_id) FROM big WHERE pad > 'a'")
    connection.execute("RESET ROLE")
    there = make_conninfo(
        connection.info.dsn,
        dbname="pgiostat_accuracy_other",
        password=connection.info.password,
    )
    with psycopg.connect(there, autocommit=True) as other:
        other.execute(
            "CREATE TABLE there AS SELECT i, repeat('x', 480) FROM generate_series(1, 9000) AS i"
        )
        other.execute("SELECT count(*) FROM there WHERE i < 0")


def copied(connection: Connection) -> None:
    """Read a table by COPY."""
    with connection.cursor() as rows, rows.copy("COPY big TO STDOUT") as copy:
        for _ in copy:
            pass


def cached(connection: Connection) -> None:
    """Make, fill and read a temporary table that does not fit into temp_buffers."""
    connection.execute("SET temp_buffers = '1MB'")
    connection.execute("CREATE TEMP TABLE scratch AS SELECT * FROM big WHERE id < 20000")
    connection.execute("SELECT sum(length(pad)) FROM scratch")
    # A session that ends within a second has its temporary reads forgotten on 15.
    Event().wait(1.2)
    connection.execute("SELECT 1")


def rolled_back(connection: Connection) -> None:
    """Change many rows, and think better of it."""
    with suppress(psycopg.Rollback), connection.transaction():
        connection.execute("UPDATE big SET client_id = client_id + 1 WHERE id % 3 = 0")
        raise psycopg.Rollback


def _extended(version: int) -> str:
    return "" if version >= _PG_16 else "13 to 15 count blocks that are added as read"


def _held(_: int) -> str:
    return "a cursor WITH HOLD is filled at COMMIT, and no statement counts that"


def _held_before_18(version: int) -> str:
    return "" if version >= _PG_18 else _held(version)


def _repeated(_: int) -> str:
    return (
        "under track = all the query of a function's cursor that is open at COMMIT is counted"
        " twice: as itself, and by FETCH"
    )


def _nested_before_14(version: int) -> str:
    return "" if version >= _PG_14 else "before 14 nested statements are counted twice"


def _forgotten(version: int) -> str:
    return "" if version >= _PG_16 else "13 to 15 forget the reads of relations that are dropped"


def _of_others(version: int) -> str:
    return _extended(version) or "reads of another database's catalogs are on no line"


def _failed(_: int) -> str:
    return "failed or cancelled statements"


WORKS = (
    Work("sequential scan", statements("SELECT sum(length(pad)) FROM big", times=2)),
    Work(
        "parallel scan",
        statements(
            "SET min_parallel_table_scan_size = 0",
            "SET parallel_setup_cost = 0",
            "SET parallel_tuple_cost = 0",
            "SET max_parallel_workers_per_gather = 2",
            "SELECT count(*), min(pad) FROM big",
        ),
    ),
    Work(
        "lookups, literals",
        statements("SELECT pad FROM big WHERE id = 1 + ({i} * 7919) % 60000", times=300),
    ),
    Work("lookups, prepared", prepared),
    Work("bitmap scan", statements("SELECT max(pad) FROM big WHERE client_id IN (3, 41)")),
    Work(
        "cancelled",
        failing("SET statement_timeout = 60", "SELECT sum(length(pad)), pg_sleep(9) FROM big"),
        _failed,
    ),
    Work("failing", failing("SELECT sum(1 / (id - 50000)) FROM big"), _failed),
    Work("function, nested", statements("SELECT looked_up(300)")),
    Work(
        "update",
        statements("UPDATE big SET client_id = client_id + 1 WHERE id % 20 = 7"),
        _extended,
    ),
    Work("update, rolled back", rolled_back, _extended),
    Work(
        "insert, extends",
        statements(
            "INSERT INTO grown SELECT i, i, repeat('y', 480) FROM generate_series(1, 9000) i"
        ),
        _extended,
    ),
    Work("create table as", statements("CREATE TABLE again AS SELECT * FROM big"), _extended),
    Work("cursor", cursor),
    Work(
        "cursor open at COMMIT",
        statements(
            "BEGIN", "DECLARE o CURSOR FOR SELECT * FROM big", "FETCH 20000 FROM o", "COMMIT"
        ),
    ),
    Work(
        "cursor open at COMMIT, track = all",
        statements(
            TRACK_ALL,
            "BEGIN",
            "DECLARE a CURSOR FOR SELECT id, pad FROM big",
            "FETCH 20000 FROM a",
            "COMMIT",
        ),
    ),
    Work(
        "a function's cursor, track = all",
        statements(TRACK_ALL, "BEGIN", "SELECT opened()", "FETCH 20000 FROM f", "COMMIT"),
        _repeated,
    ),
    Work("psycopg's named cursor", named),
    Work(
        "cursor WITH HOLD, track = all",
        statements(
            TRACK_ALL,
            "BEGIN",
            "DECLARE w CURSOR WITH HOLD FOR SELECT client_id, pad FROM big",
            "COMMIT",
            "FETCH ALL FROM w",
            "CLOSE w",
        ),
        _held_before_18,
    ),
    Work(
        "cursor WITH HOLD",
        statements(
            "BEGIN", "DECLARE h CURSOR WITH HOLD FOR SELECT * FROM big", "COMMIT", "CLOSE h"
        ),
        _held,
    ),
    Work("copy", copied),
    Work("create index", statements("CREATE INDEX ON big (client_id, id)")),
    Work("vacuum", statements("VACUUM (FREEZE) big")),
    Work("analyze", statements("ANALYZE big")),
    Work("temporary table", cached, _extended),
    Work(
        "sort that spills",
        statements("SET work_mem = '1MB'", "SELECT id FROM big ORDER BY pad, id DESC LIMIT 3"),
    ),
    Work("planning of 64 partitions", statements("SELECT * FROM parted WHERE id = {i}", times=3)),
    Work("do block", statements("DO $$ BEGIN PERFORM sum(length(pad)) FROM big; END $$")),
    Work("procedure that commits", statements("CALL read_twice()")),
    Work("nested, track = all", statements(TRACK_ALL, "SELECT looked_up(300)"), _nested_before_14),
    Work(
        "foreign key and trigger",
        statements("INSERT INTO child SELECT i, i * 5 FROM generate_series(1, 2000) AS i"),
        _extended,
    ),
    Work(
        "PREPARE and EXECUTE",
        statements(
            "PREPARE p AS SELECT sum(length(pad)) FROM big WHERE client_id = $1",
            *(f"EXECUTE p({i})" for i in (3, 41, 77)),
        ),
    ),
    Work(
        "several statements in one message",
        statements("SELECT max(pad) FROM big; SELECT min(pad) FROM big; SELECT 1"),
    ),
    Work("partitions", statements("SELECT sum(length(pad)) FROM parts")),
    Work("two roles and two databases", elsewhere, _of_others),
    Work(
        "read only, ended by ROLLBACK",
        statements("BEGIN READ ONLY", "SELECT avg(length(pad)) FROM big", "ROLLBACK", times=2),
    ),
    Work(
        "temporary table, session ends at once",
        statements(
            "SET temp_buffers = '1MB'",
            "CREATE TEMP TABLE short AS SELECT * FROM big WHERE id < 20000",
            "SELECT sum(length(pad)) FROM short",
        ),
        lambda version: _extended(version) and _forgotten(version),
    ),
    Work(
        "table made, read and dropped",
        statements(
            "BEGIN",
            "CREATE TABLE brief AS SELECT * FROM big",
            "SELECT sum(length(pad)) FROM brief",
            "DROP TABLE brief",
            "COMMIT",
        ),
        lambda version: _extended(version) and _forgotten(version),
    ),
    Work(
        "CREATE DATABASE",
        statements(
            "CREATE DATABASE pgiostat_accuracy_made", "DROP DATABASE pgiostat_accuracy_made"
        ),
        _forgotten,
    ),
    Work("explain analyze", statements("EXPLAIN ANALYZE SELECT sum(length(pad)) FROM big")),
    Work("sessions, 20", lambda _: None, sessions=20),
)


@dataclass(frozen=True, slots=True)
class Found:
    """The ledger of some work, in blocks.

    because: why some is unattributed, if that is known beforehand.  causes: what a report names.
    """

    work: str
    server: int
    statements: int
    own: int
    lines: Mapping[str, int]
    because: str
    causes: tuple[str, ...] = ()

    @property
    def adds_up(self) -> bool:
        """Whether its lines are the server's count, exactly."""
        return self.statements + self.own + sum(self.lines.values()) == self.server

    @property
    def is_within(self) -> bool:
        """Whether so much may stay unattributed."""
        bound = max(SLACK_BLOCKS, SLACK_SHARE * max(self.server, self.statements))
        return bool(self.because) or abs(self.lines[LedgerLine.UNATTRIBUTED.value]) <= bound


def made(connection: Connection, rows: int) -> None:
    """Make what is read: a table of some 15 rows a block, one of 64 partitions, a function."""
    for text in (
        f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE",
        f"CREATE SCHEMA {SCHEMA}",
        f"GRANT USAGE ON SCHEMA {SCHEMA} TO PUBLIC",
        f"SET search_path = {SCHEMA}, public",
        f"""CREATE TABLE big AS SELECT i AS id, i % 100 AS client_id, repeat('x', 480) AS pad
            FROM generate_series(1, {rows}) AS i""",
        "CREATE INDEX ON big (id)",
        "CREATE INDEX ON big (client_id)",
        "CREATE TABLE grown (LIKE big)",
        "ALTER TABLE big SET (autovacuum_enabled = off)",
        "CREATE TABLE parted (id int) PARTITION BY RANGE (id)",
        "CREATE TABLE parts (id int, pad text) PARTITION BY HASH (id)",
        *(
            f"CREATE TABLE parts_{i} PARTITION OF parts FOR VALUES WITH (MODULUS 4, REMAINDER {i})"
            for i in range(4)
        ),
        "INSERT INTO parts SELECT id, pad FROM big WHERE id % 3 = 0",
        "CREATE TABLE parent AS SELECT * FROM big",
        "ALTER TABLE parent ADD PRIMARY KEY (id)",
        "CREATE TABLE child (id int, parent int REFERENCES parent)",
        """CREATE FUNCTION triggered() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN PERFORM pad FROM big WHERE id = NEW.id * 7; RETURN NEW; END $$""",
        "CREATE TRIGGER t AFTER INSERT ON child FOR EACH ROW EXECUTE FUNCTION triggered()",
        """CREATE FUNCTION opened() RETURNS refcursor LANGUAGE plpgsql AS $$
            DECLARE f refcursor := 'f';
            BEGIN OPEN f FOR SELECT pad FROM big; RETURN f; END $$""",
        """CREATE PROCEDURE read_twice() LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM sum(length(pad)) FROM big;
                COMMIT;
                PERFORM sum(length(pad)) FROM big;
            END $$""",
        "VACUUM (FREEZE, ANALYZE) big",
    ):
        connection.execute(text.encode())
    for i in range(64):
        bounds = f"FROM ({i}) TO ({i + 1})"
        connection.execute(
            f"CREATE TABLE parted_{i} PARTITION OF parted FOR VALUES {bounds}".encode()
        )
    connection.execute(
        b"""CREATE FUNCTION looked_up(times int) RETURNS bigint LANGUAGE plpgsql AS $$
            DECLARE found bigint := 0; one bigint;
            BEGIN
                FOR i IN 1..times LOOP
                    SELECT length(pad) INTO one FROM big WHERE id = 1 + (i * 7919) % 60000;
                    found := found + one;
                END LOOP;
                RETURN found;
            END $$"""
    )


@contextmanager
def client(dsn: str) -> Iterator[Connection]:
    """Yield a connection in autocommit, its search_path set."""
    options = f"-c search_path={SCHEMA},public"
    with psycopg.connect(dsn, autocommit=True, prepare_threshold=None, options=options) as found:
        yield found


def forgotten(dsn: str, rows: int) -> None:
    """Read something else, so that shared_buffers hold little of the table."""
    filler = f"SELECT i, repeat('z', 480) AS pad FROM generate_series(1, {rows}) AS i"
    with client(dsn) as connection:
        connection.execute(f"CREATE TABLE IF NOT EXISTS other AS {filler}".encode())
        connection.execute("SELECT count(*) FROM other WHERE length(pad) > 481")


def rested(collector: SnapshotReader) -> Snapshot:
    """Return a reading after which nothing of what was done before is handed over."""
    older, still = collector.take(), 0
    began = time.monotonic()
    while still < SETTLED_AFTER and time.monotonic() - began < LONGEST_SECONDS:
        Event().wait(SETTLING_SECONDS)
        newer = collector.take()
        read = reads_of(diff(older, newer)).blocks or 0
        # Our own catalogs are read at first.
        still = still + 1 if read <= SLACK_BLOCKS // 4 else 0
        older = newer
    return older


def ranked(collector: SnapshotReader, delta: Delta) -> Ranking:
    """Return the categories of an interval, ours among them."""
    rows = delta.statements.rows
    keys = zip(*(rows[name].tolist() for name in ("userid", "dbid", "queryid")), strict=True)
    names = Names(databases=collector.databases(), roles=collector.roles())
    add_names(names, describer(), collector.texts(list(keys)).texts, collector.own)
    corrected = without_repeats(with_known_gaps(delta, names), names)
    failures = Failures().note(corrected, client_rollbacks(corrected, names))
    return rank([replace(corrected, failures=failures)], names)


def measured(dsn: str, collector: SnapshotReader, work: Work, rows: int) -> Found:
    """Do some work and return its ledger."""
    forgotten(dsn, rows)
    older = rested(collector)
    for _ in range(work.sessions):
        with client(dsn) as connection:
            work.run(connection)
    newer = rested(collector)
    delta = diff(older, newer)
    ranking = ranked(collector, delta)
    own = ranking.own.cost.blocks if ranking.own else 0
    return Found(
        work.name,
        ranking.server_blocks or 0,
        ranking.explained.blocks - own,
        own,
        {line.account.value: line.blocks for line in ranking.lines},
        work.unavoidable(newer.server.version_num),
        ranking.lines[-1].causes if ranking.lines else (),
    )


@contextmanager
def others(dsn: str) -> Iterator[None]:
    """Have another role and another database for as long as this lasts."""
    gone = (
        f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE",
        "DROP DATABASE IF EXISTS pgiostat_accuracy_other",
        "DROP ROLE IF EXISTS pgiostat_accuracy_other",
    )

    def run(*texts: str) -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            for text in texts:
                connection.execute(text.encode())

    run(
        *gone,
        "CREATE ROLE pgiostat_accuracy_other IN ROLE pg_read_all_data"
        if _version(dsn) >= _PG_14
        else "CREATE ROLE pgiostat_accuracy_other SUPERUSER",
        "CREATE DATABASE pgiostat_accuracy_other",
    )
    try:
        yield
    finally:
        run(*gone)


def _version(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        return connection.info.server_version


def judged(dsn: str, rows: int = ROWS, works: Sequence[Work] = WORKS) -> Iterator[Found]:
    """Do all work on a server, one after the other, and yield the ledger of each."""
    with others(dsn):
        with psycopg.connect(dsn, autocommit=True) as connection:
            made(connection, rows)
        session = connect(dsn)
        try:
            collector = SnapshotReader(session)
            collector.take()
            for work in works:
                yield measured(dsn, collector, work, rows)
        finally:
            session.close()


COLUMNS = (
    "server", "statements", "pgiostat",
    *(account.value.replace("_", " ") for account in LedgerLine),
)  # fmt: skip


def told(version: str, found: Sequence[Found]) -> Iterator[str]:
    """Yield a table of ledgers, as Markdown."""
    yield f"### PostgreSQL {version}"
    yield ""
    yield f"| work | {' | '.join(COLUMNS)} | |"
    yield f"|---|{'---:|' * len(COLUMNS)}---|"
    for each in found:
        lines = [each.lines.get(account.value, 0) for account in LedgerLine]
        numbers = [each.server, each.statements, each.own, *lines]
        cells = [f"{number:,}" if number else "" for number in numbers]
        verdict = "adds up" if each.adds_up else "**does not add up**"
        if not each.is_within:
            verdict += ", **too much unattributed**"
        because = f": {each.because}" if each.because else ""
        yield f"| {each.work} | {' | '.join(cells)} | {verdict}{because} |"
    yield ""


def main() -> int:
    """Judge each server; return 1 if a ledger does not close."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("dsn", nargs="+", help="an idle server with pg_stat_statements")
    parser.add_argument("--rows", type=int, default=ROWS, help="of the table that is read")
    parser.add_argument(
        "--json", action="store_true", help="one object of figures as the last line"
    )
    options = parser.parse_args()
    figures: dict[str, list[dict[str, Any]]] = {}
    good = True
    for dsn in options.dsn:
        with psycopg.connect(dsn) as connection:
            version = (connection.info.parameter_status("server_version") or "?").split(" ")[0]
        found = []
        for each in judged(dsn, options.rows):
            print(f"{version}: {each.work}", file=sys.stderr)
            found.append(each)
            good &= each.adds_up and each.is_within
        for line in told(version, found):
            print(line)
        figures[version] = [asdict(each) for each in found]
    if options.json:
        print(json.dumps(figures))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
