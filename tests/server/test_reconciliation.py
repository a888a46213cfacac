"""Do the numbers close?  Known reads of the same executions against what we say they were."""

import json
from typing import Any

import psycopg

from pgiostat.analysis.server_reads import reads_of
from pgiostat.statistics.row_deltas import Basis
from tests.conftest import MakeServer
from tests.support.servers import Server
from tests.support.settling import PER_STATEMENT_SLACK, quiet, settled
from tests.support.workloads import by_text, client, collecting, fill

ROWS = 120_000
"""Some 8,000 blocks, four times what shared_buffers hold."""

STATEMENTS = {
    "scan": ("SELECT sum(length(pad)) FROM big WHERE id >= {i}", 4),
    "point": ("SELECT pad FROM big WHERE id = 1 + ({i} * 7919) % 120000", 400),
    "range": ("SELECT count(pad) FROM big WHERE id BETWEEN {i} * 300 AND {i} * 300 + 2000", 40),
    "scattered": ("SELECT max(id) FROM big WHERE client_id = {i} AND id < 60000", 3),
    "join": ("SELECT count(*) FROM big a JOIN big b USING (client_id) WHERE a.id = {i}", 3),
    "sorted": ("SELECT id, pad FROM big WHERE id > {i} ORDER BY pad, id DESC LIMIT 3", 2),
    "parallel": ("SELECT count(*), min(pad) FROM big WHERE id <> {i}", 2),
    "update": ("UPDATE big SET client_id = client_id + 1 WHERE id = 5 + {i} * 331", 100),
    "cte": (
        "WITH c AS MATERIALIZED (SELECT * FROM big WHERE id % 9 = {i}) SELECT count(*) FROM c",
        2,
    ),
}


class Truth:
    """Blocks that auto_explain says were read, by statement: it logs to the client."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.blocks = dict.fromkeys(STATEMENTS, 0)
        self.calls = dict.fromkeys(STATEMENTS, 0)
        self._connection = connection
        connection.add_notice_handler(self._heard)
        for name, value in (
            ("log_min_duration", "0"),
            ("log_analyze", "on"),
            ("log_buffers", "on"),
            ("log_timing", "off"),
            ("log_format", "json"),
        ):
            connection.execute(f"SET auto_explain.{name} = {value}".encode())
        connection.execute("SET client_min_messages = log")

    def _heard(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        message = diagnostic.message_primary or ""
        _, found, plan = message.partition("plan:\n")
        if not found:
            return
        told = json.loads(plan)
        for name in STATEMENTS:
            if f"/* {name} */" in told["Query Text"]:
                self.blocks[name] += told["Plan"]["Shared Read Blocks"]
                self.calls[name] += 1


def test_each_statements_reads_are_exactly_those_that_auto_explain_saw(
    make_server: MakeServer,
) -> None:
    server = make_server(max_parallel_workers_per_gather=2, min_parallel_table_scan_size=0)
    with client(server.dsn()) as setup:
        setup.execute("CREATE EXTENSION pg_stat_statements")
        fill(setup, "big", ROWS)
    with collecting(server.dsn()) as collector:
        older = quiet(collector)
        with client(server.dsn()) as other:
            truth = Truth(other)
            for name, (statement, times) in STATEMENTS.items():
                for i in range(times):
                    other.execute(f"{statement.format(i=i)} /* {name} */".encode())
        delta = settled(collector, older, sum(truth.blocks.values()))
        found = by_text(collector, delta, " */")
    assert truth.calls == {name: times for name, (_, times) in STATEMENTS.items()}
    assert all(blocks > 0 for blocks in truth.blocks.values())
    assert {
        name: row for name in STATEMENTS for text, row in found.items() if f"/* {name} */" in text
    } == {name: (truth.calls[name], truth.blocks[name], Basis.NEW) for name in STATEMENTS}
    # And the whole is the server's own, but for what no statement counts.
    whole = reads_of(delta).blocks
    assert whole is not None
    assert 0 <= whole - delta.statement_blocks <= PER_STATEMENT_SLACK * (len(STATEMENTS) + 2)
    assert delta.statement_blocks > 50_000


def test_a_prepared_utility_statement_is_counted_once_from_14_on(
    database: str, server: Server
) -> None:
    """Known of the server, and in docs/accuracy.md: what a CALL reads is then unattributed."""
    with psycopg.connect(database, autocommit=True) as other:
        other.execute("CREATE TABLE called (n int)")
        other.execute(
            "CREATE PROCEDURE add() LANGUAGE sql BEGIN ATOMIC INSERT INTO called VALUES (1); END"
            if server.major >= 14
            else "CREATE PROCEDURE add() LANGUAGE sql AS 'INSERT INTO called VALUES (1)'"
        )
        for _ in range(7):
            other.execute("CALL add()", prepare=True)
            other.execute("SELECT max(n) FROM called", prepare=True)
        assert other.execute("SELECT count(*) FROM called").fetchone() == (7,)
        calls: dict[str, int] = dict(
            other.execute(
                "SELECT query, calls FROM pg_stat_statements"
                " WHERE query IN ('CALL add()', 'SELECT max(n) FROM called')"
            ).fetchall()
        )
    counted = 1 if server.major >= 14 else 7
    assert calls == {"CALL add()": counted, "SELECT max(n) FROM called": 7}
