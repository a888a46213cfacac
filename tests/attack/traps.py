"""Traps: does any name in the SQL that we send run somebody else's code?

A server's databases are filled with functions, operators, types and relations that bear the names
of PostgreSQL's own. Every command runs there as a superuser, the worst case. A trap that is called
says so in the server's log. The log also holds every statement that was sent: each is parsed, so
that none is missing from the list that tests/unit/postgres/test_sent_sql.py parses.
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg

from tests.attack import Outcome, Scale
from tests.attack._servers import forgetful_proxy, log_records, pgiostat, running
from tests.support.servers import ClusterServer
from tests.support.sql_names import servers, unqualified

TRAPS = Path(__file__).with_name("_traps.sql")
_SENT = re.compile(r"^(?:statement|execute [^:]*): (.*)", re.DOTALL)
_CALLED = re.compile(r"pg_catalog\.(\w+)\(")

CONTROLS = {
    # What must spring, or the traps prove nothing: by where they stand.
    "public": [
        "SELECT format('%I', 'x'::name)",
        "SELECT array_agg('a'::text)",
        "SELECT 'a'::name !~ 'b'::name",
        "SELECT pg_has_role('postgres'::name, 'postgres'::text, 'USAGE'::text)",
        "SELECT array_position('{1}'::int2[], 1::int2)",
    ],
    "traps": [
        "SELECT current_setting('work_mem'::pg_catalog.text)",
        "SELECT 1::pg_catalog.int4 = 1",
        "SELECT 1 FROM pg_class",
        "SELECT 'x'::text",
        "SELECT count(*) FROM pg_catalog.pg_class",
        "SELECT 1 WHERE 'a'::pg_catalog.text IN ('b')",
    ],
}
CONFIGURATIONS = {
    # name: (database, whether our start-up options reach the server)
    "in public, search_path pinned": ("public", True),
    "first on the database's search_path, pinned": ("traps", True),
    "first on the database's search_path, options dropped": ("traps", False),
}


def attack(scale: Scale) -> Outcome:
    """Try each command in each configuration on each version."""
    outcome = Outcome(
        "Names taken over",
        "",
        ("PostgreSQL", "traps set", *CONFIGURATIONS),
    )
    tried = 0
    statements: set[str] = set()
    for major in scale.versions:
        with running(major, scale.scratch) as server:
            traps = set_traps(server)
            cells = []
            for configuration, (database, is_pinned) in CONFIGURATIONS.items():
                sprung, commands, sent = _tried(server, database, scale, is_pinned=is_pinned)
                tried += commands
                statements |= sent
                outcome.failures += [
                    f"{major}, {configuration}: {each}" for each in sorted(set(sprung))
                ]
                cells.append(f"{len(sprung)} sprung in {commands} commands")
            outcome.rows.append((str(major), f"{traps:,}", *cells))
    for text in sorted(statements):
        for name in unqualified(text):
            outcome.failures.append(f"{name} is not qualified in {text[:200]!r}")
    outcome.tried = (
        f"{tried} commands ran as a superuser in databases full of functions, operators, types and"
        " relations with PostgreSQL's own names. These were in a schema open to all, first on the"
        " search_path with ours pinned, and behind a pooler that drops start-up options. A cell"
        f" counts the traps that ran. The server logged {len(statements)} different statements, and"
        " each was parsed for a name without a schema."
    )
    return outcome


def set_traps(server: ClusterServer) -> int:
    """Make the databases of CONTROLS, with traps in the schema public or first on the search_path.

    Returns:
        How many traps there are in each.
    """
    called = {
        found
        for _, sent in servers()
        for _, text in sent.by_name()
        for found in _CALLED.findall(text)
    }
    script = TRAPS.read_text("utf-8").replace("{CALLED}", "{" + ",".join(sorted(called)) + "}")
    with server.connect() as conn:
        conn.execute("CREATE DATABASE bare")
        conn.execute("CREATE DATABASE traps")
    with server.connect("traps") as conn:
        conn.execute(script.encode())
        counted = conn.execute("SELECT count(*) FROM evil.pgiostat_set").fetchone()
        conn.execute("CREATE SCHEMA stats")
        conn.execute("CREATE EXTENSION pg_stat_statements SCHEMA stats")
        conn.execute("CREATE TABLE stats.customer (id int PRIMARY KEY, row_version int8)")
    with server.connect() as conn:
        conn.execute("CREATE DATABASE public TEMPLATE traps")
        conn.execute("ALTER DATABASE traps SET search_path = evil, pg_catalog")
    with server.connect("public") as conn:
        conn.execute("DROP SCHEMA public")
        conn.execute("ALTER SCHEMA evil RENAME TO public")
        conn.execute("GRANT ALL ON SCHEMA public TO PUBLIC")
    for name, controls in CONTROLS.items():
        for control in controls:
            assert _springs(server, name, control), f"no trap on {server.version}: {control}"
    return int(counted[0]) if counted else 0


def _springs(server: ClusterServer, database: str, query: str) -> bool:
    try:
        with server.connect(database) as conn:
            conn.execute(query.encode())
    except psycopg.Error as error:
        return "trap sprung" in str(error)
    return False


def _tried(
    server: ClusterServer, database: str, scale: Scale, *, is_pinned: bool
) -> tuple[list[str], int, set[str]]:
    """Run every command; return the traps that sprang, how many commands ran, and what was sent."""
    failures: list[str] = []
    sent: set[str] = set()
    count = 0
    with ExitStack() as stack:
        dsn, bare = server.dsn(database), server.dsn("bare")
        if not is_pinned:
            dsn = stack.enter_context(forgetful_proxy(dsn))
            bare = stack.enter_context(forgetful_proxy(bare))
        place = scale.scratch / f"{server.major}-{database}-{is_pinned}"
        place.mkdir()
        for name, arguments, status in _commands(dsn, bare, quick=scale.quick):
            count += 1
            since = server.cluster.log.stat().st_size
            done = pgiostat(arguments, cwd=place)
            for application, message in log_records(server, since):
                if "trap sprung" in message and not message.startswith("statement"):
                    failures.append(f"{name}: {message.splitlines()[0]}")
                found = _SENT.match(message.removeprefix("LOG:").strip())
                if found and application == "pgiostat":
                    sent.add(found[1])
            if done.returncode != status:
                failures.append(f"{name} ended with {done.returncode}: {done.stderr[-200:]}")
    return failures, count, sent


def _commands(dsn: str, bare: str, *, quick: bool) -> Iterator[tuple[str, list[str], int]]:
    """Yield the name, arguments and exit status of each command that sends SQL."""
    yield "watch --format json", ["watch", dsn, "-n", "2", "-i", "0.3", "--format", "json"], 0
    yield "watch --by relation", ["watch", dsn, "-n", "2", "-i", "0.3", "--by", "relation"], 0
    yield "doctor", ["doctor", dsn], 0
    yield "doctor without the extension", ["doctor", bare], 1
    yield "collect", ["collect", dsn, "--label", "x", "--history", "h", "--for", "1s",
                      "--interval", "0.5s"], 0  # fmt: skip
    yield "rules init", ["rules", "init", dsn, "--out", "rules.toml"], 0
    yield "rules test", ["rules", "test", dsn], 0
    if not quick:
        yield "watch", ["watch", dsn, "-n", "2", "-i", "1"], 0
        yield "watch --by statement", ["watch", dsn, "--once", "--by", "statement"], 0
        yield "watch without the extension", ["watch", bare, "--once"], 1
        yield "collect --check", ["collect", dsn, "--label", "x", "--history", "h", "--check"], 0
        yield "doctor --format json", ["doctor", dsn, "--format", "json"], 0
