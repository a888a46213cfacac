"""Passwords, constants and comments of other people's statements: none may reach an output.

Statements with secrets run on real servers while collect and watch read them; then every output is
searched. What the server itself shows of them in the clear says whether there was a secret to find.
"""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Event

import psycopg
import pyarrow.parquet as pq

from pgiostat.lab.postgres.cluster import embedded_binaries
from pgiostat.postgres.activity import InFlight
from pgiostat.queries.describe import describer
from pgiostat.render.text import in_flight
from pgiostat.statistics.names import Names
from tests.attack import Outcome, Scale
from tests.support.servers import SETTINGS, ClusterSource, Server, matrix_binaries
from tests.support.workloads import collecting

__all__ = ["attack"]

EMBEDDED_MAJOR = 18
PATIENCE_SECONDS = 30.0
RANKED = ("--by", "statement", "--sort", "calls", "--top", "900", "--format")
AT_ONCE = 18
"""Statements in flight at a time; the collector reads no more than 20."""
OFF = ("SET standard_conforming_strings = off", "SET escape_string_warning = off")
NOT_OFF_SINCE = 19
"""PostgreSQL refuses to turn standard_conforming_strings off."""

SETUP = (
    "CREATE EXTENSION pg_stat_statements",
    "CREATE ROLE bob",
    "CREATE TABLE t (a text, b text)",
    "INSERT INTO t VALUES ('a', 'b')",
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    "CREATE FOREIGN DATA WRAPPER w",
    "CREATE SERVER s FOREIGN DATA WRAPPER w",
    "CREATE PUBLICATION p",
)

# M is the secret. Statements of one form run in one transaction, which is rolled back.
FORMS: dict[str, list[tuple[str, ...]]] = {
    "constants": [
        ("SELECT 'M', E'\\'M', U&'\\0041 M', N'M', $x$M$x$",),
        ("EXPLAIN SELECT 'M'",),
        ("COPY (SELECT 'M') TO '/dev/null'",),
        ("CREATE TABLE z AS SELECT $$M$$ AS a",),
        ("CREATE VIEW z AS SELECT E'\\\\M'::text AS a",),
        ("CREATE TABLE z (a text DEFAULT U&'M')",),
        ("CREATE TYPE z AS ENUM ('M')",),
        ("CREATE FUNCTION z() RETURNS text LANGUAGE sql AS 'SELECT ''M'''",),
        ("COMMENT ON ROLE bob IS E'a'\n'\\'M'",),
        ("DO $a$ BEGIN PERFORM 'M'; END $a$",),
        ("SELECT set_config('my.key', 'M', false)",),
    ],
    "passwords": [
        ("CREATE ROLE z PASSWORD 'M'",),
        ("ALTER ROLE bob PASSWORD $$M$$",),
        ("ALTER ROLE bob PASSWORD E'x'\n'y\\'M'",),
        ("ALTER ROLE bob PASSWORD E'x' -- it's\n  'y\\'M' VALID UNTIL 'infinity'",),
        ("CREATE USER MAPPING FOR bob SERVER s OPTIONS (user 'u', password 'M')",),
        ("ALTER SERVER s OPTIONS (ADD password 'M')",),
        ("CREATE SUBSCRIPTION z CONNECTION 'password=M' PUBLICATION p WITH (connect = false)",),
    ],
    "backslashes that escape": [
        (*OFF, "ALTER ROLE bob PASSWORD 'y\\'M'"),
        (*OFF, "ALTER ROLE bob PASSWORD 'pa\\'ss M words'"),
        (*OFF, "COMMENT ON ROLE bob IS 'a'\n'b\\'M'"),
        (*OFF, "COPY (SELECT 1 WHERE 'a' = 'it\\'s M') TO '/dev/null'"),
        (*OFF, "EXPLAIN SELECT 'y\\'', ' M ' /* x */"),
        (*OFF, "SET my.key = '\\'M'"),
    ],
    "comments": [
        ("/* M */ EXPLAIN SELECT 1 /* /* M */ M */",),
        ("EXPLAIN SELECT 2 -- M",),
        ("SELECT a /* M */ FROM t -- M",),
    ],
    "settings": [
        ("SET my.key TO M",),
        ('SET session.key = "M"',),
        ("SET LOCAL search_path = public, M",),
        ("ALTER ROLE bob SET my.key TO M",),
        ("ALTER ROLE bob IN DATABASE postgres SET my.key = M",),
        ("ALTER DATABASE postgres SET search_path TO M, 'M'",),
        ("ALTER FUNCTION f() SET my.key TO M",),
        ("CREATE FUNCTION z() RETURNS int SET search_path = M, M LANGUAGE sql AS 'SELECT 1'",),
    ],
    "definitions, triggers": [
        ("CREATE AGGREGATE z (text) (sfunc = textcat, stype = text, initcond = M)",),
        ("CREATE SUBSCRIPTION z CONNECTION '' PUBLICATION p WITH (connect = off, slot_name = M)",),
        ("CREATE TRIGGER z BEFORE INSERT ON t EXECUTE FUNCTION f(M, 12, \"M\", 'M')",),
        ("CREATE RULE z AS ON UPDATE TO t DO ALSO NOTIFY M",),
    ],
    "names of the session": [
        ("LISTEN M", "UNLISTEN M"),
        ("NOTIFY M, 'M'",),
        ("SAVEPOINT M", "ROLLBACK TO SAVEPOINT M", "RELEASE M"),
        ("PREPARE M AS SELECT 'M'", "EXECUTE M", "EXPLAIN EXECUTE M", "DEALLOCATE M"),
        ("DECLARE M CURSOR FOR SELECT 'M'", "FETCH 1 FROM M", "MOVE M", "CLOSE M"),
        (
            'DECLARE "M" CURSOR FOR SELECT a FROM t FOR UPDATE',
            'FETCH "M"',
            "UPDATE t SET a = 'x' WHERE CURRENT OF \"M\"",
        ),
    ],
    "several statements": [
        ("SELECT pg_sleep(0); SET my.key TO M",),
        ("SELECT 1; ALTER ROLE bob SET my.key TO M; SELECT 'M'",),
        ("SELECT a FROM t; ; PREPARE M AS SELECT 1; DEALLOCATE M;",),
    ],
}

OUTPUTS = ("watch", "collect's log", "metrics page", "report", "history", "export", "in flight")
SHOWN = ("alter role bob password ?", "declare ? cursor for select ?", "notify ?, ?")
"""Of these statements the outputs must show something, else nothing was searched."""


@dataclass(frozen=True, slots=True)
class Form:
    """Statements with a secret of their own."""

    kind: str
    mark: str
    statements: tuple[str, ...]


def forms_on(major: int) -> list[Form]:
    """Return the forms that a version takes."""
    return [form for form in forms() if major < NOT_OFF_SINCE or form.statements[: len(OFF)] != OFF]


def forms() -> list[Form]:
    """Return all forms, each with another secret."""
    numbered = [(kind, each) for kind, those in FORMS.items() for each in those]
    return [
        Form(kind, mark, tuple(re.sub(r"\bM\b", mark, text) for text in texts))
        for number, (kind, texts) in enumerate(numbered, 1)
        for mark in (f"zk7q{number}q",)
    ]


@dataclass(slots=True)
class Found:
    """What came out, by output, and how many secrets the server itself shows."""

    outputs: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in OUTPUTS})
    clear: set[str] = field(default_factory=set)
    clear_in_flight: set[str] = field(default_factory=set)


def attack(scale: Scale) -> Outcome:
    """Run the statements on each version and search every output."""
    tried = forms()
    with ThreadPoolExecutor(2) as pool:
        attacked = pool.map(lambda major: _attacked(major, scale.scratch), scale.versions)
        found = dict(zip(scale.versions, attacked, strict=True))
    statements = sum(len(each.statements) for each in tried)
    outcome = Outcome(
        "Secrets in statements",
        f"{len(tried)} forms of statements ({statements} statements) that hold a secret ran on"
        f" PostgreSQL {', '.join(map(str, scale.versions))} while pgiostat read them. These outputs"
        " were searched for the secret: watch (text, csv, json), the log and the metrics page of"
        " collect, report (text, csv, json, markdown), the history's files, export and the display"
        " of statements in flight. A cell counts the forms in which it was found. The second and"
        " third columns count where the server itself shows it. From 19 on the server refuses to"
        " turn standard_conforming_strings off, so that no backslash escapes there.",
        ("secrets in", "pg_stat_statements", "pg_stat_activity", *OUTPUTS),
    )
    for kind in FORMS:
        marks = [form.mark for form in tried if form.kind == kind]
        of = sum(form.kind == kind for major in found for form in forms_on(major))
        clear = [sum(mark in each.clear for mark in marks) for each in found.values()]
        flying = [sum(mark in each.clear_in_flight for mark in marks) for each in found.values()]
        cells = [f"{sum(clear)} of {of}", f"{sum(flying)} of {of}"]
        for output in OUTPUTS:
            leaks = [
                (major, mark)
                for major, each in found.items()
                for mark in marks
                if any(mark in text for text in each.outputs[output])
            ]
            cells.append(f"{len(leaks)} of {of}")
            outcome.failures += [f"{major}, {output}: {_of(tried, mark)}" for major, mark in leaks]
        outcome.rows.append((kind, *cells))
    outcome.failures += [
        line for major, each in found.items() for line in _unsearched(each, forms_on(major))
    ]
    return outcome


def _of(tried: Sequence[Form], mark: str) -> str:
    return next("; ".join(form.statements) for form in tried if form.mark == mark)


def _unsearched(found: Found, tried: Sequence[Form]) -> Iterator[str]:
    """Yield why a search says nothing: outputs without statements, secrets that nobody sent."""
    for output in ("watch", "report", "export"):
        whole = "".join(found.outputs[output])
        yield from (f"{output} does not show {text!r}" for text in SHOWN if text not in whole)
    for output, texts in found.outputs.items():
        if not any(texts):
            yield f"{output}: nothing came out"
    missing = {form.mark for form in tried} - found.clear_in_flight
    if missing:
        yield f"not in flight: {sorted(missing)}"


def _attacked(major: int, scratch: Path) -> Found:
    tried = forms_on(major)
    binaries = embedded_binaries() if major == EMBEDDED_MAJOR else matrix_binaries(major)
    source = ClusterSource("attack", {major: binaries})
    try:
        server = source.make(major, {**SETTINGS, "max_connections": 60})
        with server.connect() as connection:
            for statement in SETUP:
                connection.execute(statement.encode())
        found = Found()
        _read_while_they_run(server, scratch / str(major), tried, found)
        server.destroy()
    finally:
        source.close()
    return found


def _read_while_they_run(
    server: Server, scratch: Path, tried: Sequence[Form], found: Found
) -> None:
    scratch.mkdir()
    history, port = scratch / "history", _free_port()
    watches = [
        _started(["watch", server.dsn(), "--interval", "1", *RANKED, each])
        for each in ("text", "csv", "json")
    ]
    into = ("--label", "x", "--history", str(history), "--metrics", f"127.0.0.1:{port}")
    collect = _started(["collect", server.dsn(), "--interval", "1s", *into])
    page = f"http://127.0.0.1:{port}/metrics"
    try:
        _until(lambda: _intervals(page) >= 1)
        for form in tried:
            _run(server, form)
        before = _intervals(page)
        _fly(server, tried, found)
        _until(lambda: _intervals(page) >= before + 2)
        found.clear = _clear(server, tried)
        found.outputs["metrics page"].append(_page(page))
    finally:
        ended = [_stopped(process) for process in (*watches, collect)]
    found.outputs["watch"] += [text for pair in ended[:3] for text in pair]
    found.outputs["collect's log"] += ended[3]
    formats = ("text", "csv", "json", "markdown")
    found.outputs["report"] += [
        _output(["report", "--history", str(history), *RANKED, each]) for each in formats
    ]
    out = scratch / "export"
    _output(["export", "--history", str(history), "--out", str(out)])
    found.outputs["history"] += list(_contents(history))
    found.outputs["export"] += list(_contents(out))


# --- statements


def _run(server: Server, form: Form) -> None:
    """Run the statements of a form; what one refuses is a secret less, which the table shows."""
    with server.connect() as connection, contextlib.suppress(psycopg.Error):
        connection.execute("BEGIN")
        for statement in form.statements:
            connection.execute(statement.encode())
        connection.execute("ROLLBACK")


def _fly(server: Server, tried: Sequence[Form], found: Found) -> None:
    """Have the statements of all forms in flight, some at a time, and look at them."""
    look = InFlight(describer())
    for start in range(0, len(tried), AT_ONCE):
        batch = tried[start : start + AT_ONCE]
        connections = [server.connect() for _ in batch]
        for connection, form in zip(connections, batch, strict=True):
            for statement in OFF if form.statements[: len(OFF)] == OFF else ():
                connection.execute(statement.encode())  # a message is read as it finds the setting
            text = "; ".join(["SELECT pg_sleep(60)", *form.statements])
            connection.pgconn.send_query(text.encode())
        with server.connect() as watcher:
            _until(lambda: _in_flight_now(watcher) >= len(batch))  # noqa: B023 - called at once
            shown = watcher.execute("SELECT lower(query) FROM pg_stat_activity").fetchall()
            texts = [str(text) for (text,) in shown]
            found.clear_in_flight |= {
                form.mark for form in batch if any(form.mark in text for text in texts)
            }
            with collecting(server.dsn()) as collector:
                running = look.look(collector.running(0.0), Names(), collector.own.is_running)
            found.outputs["in flight"] += [json.dumps(asdict(each)).lower() for each in running]
            for each in running:
                found.outputs["in flight"] += [
                    line.plain.lower() for line in in_flight([each], 100_000)
                ]
            if start == 0:
                Event().wait(1.5)  # for watch to see some of them
            watcher.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE query LIKE 'SELECT pg_sleep(60)%'"
            )
        for connection in connections:
            connection.close()


def _in_flight_now(watcher: psycopg.Connection[tuple[object, ...]]) -> int:
    row = watcher.execute(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE state = 'active' AND query LIKE 'SELECT pg_sleep(60)%'"
    ).fetchone()
    return int(str(row[0])) if row else 0


def _clear(server: Server, tried: Sequence[Form]) -> set[str]:
    """Return the secrets that pg_stat_statements shows."""
    with server.connect() as connection:
        rows = connection.execute("SELECT lower(query) FROM pg_stat_statements").fetchall()
    whole = "\n".join(str(text) for (text,) in rows)
    return {form.mark for form in tried if form.mark in whole}


# --- pgiostat


def _command(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "pgiostat", *arguments]


def _environment() -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return clean | {"COLUMNS": "400"}


def _started(arguments: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        _command(arguments),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=_environment(),
    )  # fmt: skip


def _stopped(process: subprocess.Popen[str]) -> list[str]:
    """Return what a process wrote, on both streams."""
    process.send_signal(signal.SIGTERM)
    try:
        return [text.lower() for text in process.communicate(timeout=PATIENCE_SECONDS)]
    finally:
        process.kill()


def _output(arguments: Sequence[str]) -> str:
    done = subprocess.run(
        _command(arguments), capture_output=True, text=True, check=True, env=_environment()
    )
    return (done.stdout + done.stderr).lower()


def _page(address: str) -> str:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 - our own page
            return str(answer.read().decode()).lower()
    except OSError:
        return ""


def _intervals(address: str) -> int:
    """Return how many intervals the collector has committed."""
    lines = [line.split() for line in _page(address).splitlines()]
    return int(
        sum(float(line[1]) for line in lines if line[0].startswith("pgiostat_intervals_total"))
    )


def _until(reached: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE_SECONDS
    while not reached():
        if time.monotonic() > ends:
            raise TimeoutError("pgiostat or the server did not come so far")
        Event().wait(0.1)


def _contents(directory: Path) -> Iterator[str]:
    """Yield what the files of a directory hold, packed or not, and their names."""
    for path in sorted(directory.rglob("*")):
        yield str(path.relative_to(directory)).lower()
        if path.is_file():
            yield path.read_bytes().decode("latin-1").lower()
            if path.suffix == ".parquet":
                yield str(pq.read_table(path).to_pydict()).lower()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
