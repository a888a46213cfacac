"""Record a load second by second: statements, pg_stat_io, the tables' counters, and the truth.

The truth is `pg_stat_get_backend_io` of the session of each class. A recording is a file of JSON
lines: a head, then a line each second.
"""

import json
import re
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import psycopg

from benchmarks.operations_load import LOADS, Clients, Load, prepare
from pgiostat.analysis.server_reads import CLIENTS
from pgiostat.lab.postgres.cluster import Cluster, Setting
from pgiostat.postgres.session import connect
from pgiostat.postgres.snapshot_reader import SnapshotReader
from pgiostat.queries.describe import describer
from pgiostat.queries.tables import resolver
from pgiostat.statistics.delta import Delta
from pgiostat.statistics.difference import diff

__all__ = ["record"]

Connection = psycopg.Connection[tuple[Any, ...]]

WARM_UP_SECONDS = 10
SETTINGS: dict[str, Setting] = {
    "shared_preload_libraries": "pg_stat_statements",
    "shared_buffers": "16MB",
    "autovacuum": False,
    "fsync": False,
    "track_io_timing": False,
}
CONNECTIONS = 60
"""Decides how many buffers a session may pin, and so how large its operations are."""

TABLE_COUNTERS = """
SELECT c.oid::int8, c.relpages::int8, c.reltuples::float8,
       pg_catalog.pg_stat_get_numscans(c.oid),
       pg_catalog.pg_stat_get_tuples_fetched(c.oid),
       (SELECT coalesce(sum(pg_catalog.pg_stat_get_tuples_fetched(i.indexrelid)), 0)::int8
        FROM pg_catalog.pg_index AS i WHERE i.indrelid IN (c.oid, c.reltoastrelid))
FROM pg_catalog.pg_class AS c
WHERE c.relkind = 'r' AND c.oid >= 16384 ORDER BY c.oid
"""
TRUTH = """
SELECT p.pid, s.context, sum(s.reads)::int8, (sum(s.read_bytes) / 8192)::int8
FROM unnest(%s::int[]) AS p(pid), LATERAL pg_catalog.pg_stat_get_backend_io(p.pid) AS s
WHERE s.object = 'relation' AND s.reads > 0 GROUP BY 1, 2
"""
HELPERS = """
SELECT context, sum(reads)::int8, (sum(read_bytes) / 8192)::int8 FROM pg_catalog.pg_stat_io
WHERE object = 'relation' AND backend_type = 'background worker' AND reads > 0 GROUP BY 1
"""


def _server_of(delta: Delta) -> dict[str, list[int]]:
    """Return operations and blocks of clients, in bulkread and in all other contexts."""
    if delta.io is None:
        raise ValueError("this server does not count operations")
    rows = delta.io.rows
    backend, object_, context = (
        np.char.decode(rows[name]) for name in ("backend_type", "object", "context")
    )
    clients = np.isin(backend, CLIENTS) & (object_ == "relation")
    blocks = rows["read_bytes"] // delta.settings.block_size
    found = {}
    for place, chosen in (("bulk", context == "bulkread"), ("normal", context != "bulkread")):
        where = clients & chosen
        found[place] = [int(rows["reads"][where].sum()), int(blocks[where].sum())]
    return found


def _statements_of(delta: Delta) -> list[list[int]]:
    rows = delta.statements.rows
    touched = rows["shared_blks_hit"] + rows["shared_blks_read"]
    columns = (rows["queryid"], rows["calls"], rows["shared_blks_read"], touched)
    return [list(row) for row in zip(*(column.tolist() for column in columns), strict=True)]


@dataclass(slots=True)
class _Truth:
    """The truth and the tables' counters, over a connection of its own."""

    connection: Connection
    clients: Clients

    def read(self) -> dict[str, Any]:
        """Return cumulative counts: of tables, and of each class by context."""
        names = {pid: name for name, pid in self.clients.pids.items()}
        truth: dict[str, dict[str, list[int]]] = {name: {} for name in names.values()}

        def add(name: str, context: str, operations: int, blocks: int) -> None:
            key = "bulk" if context == "bulkread" else "normal"
            old = truth[name].get(key, [0, 0])
            truth[name][key] = [old[0] + operations, old[1] + blocks]

        for pid, *row in self.connection.execute(TRUTH, [list(names)]).fetchall():
            add(names[pid], *row)
        if self.clients.load.helped:
            for context, reads, blocks in self.connection.execute(HELPERS).fetchall():
                add(self.clients.load.helped, context, reads, blocks)
        tables = [list(row) for row in self.connection.execute(TABLE_COUNTERS.encode()).fetchall()]
        return {"truth": truth, "tables": tables}


def _head(
    connection: Connection, reader: SnapshotReader, load: Load, about: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what does not change: classes by queryid, and the tables that statements touch."""
    rows = connection.execute(
        "SELECT queryid, query FROM pg_stat_statements WHERE query LIKE %s", ["%AS c\\_%"]
    ).fetchall()
    classes = {
        queryid: found[1]
        for queryid, query in rows
        if (found := re.search(r" AS c_(\w+)", query)) and found[1] in load.tasks
    }
    known = connection.execute(
        "SELECT c.oid::int8, n.nspname::text, c.relname::text FROM pg_class AS c"
        " JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE relkind = 'r' AND c.oid >= 16384"
    ).fetchall()
    find, describe = resolver(known), describer()
    touches = {
        queryid: sorted(find(describe(query, user="", database="", queryid=queryid).tables or ()))
        for queryid, query in rows
    }
    show = {
        name: connection.execute(
            f"SELECT setting::int FROM pg_settings WHERE name = '{name}'".encode()
        ).fetchone()
        for name in ("shared_buffers", "io_combine_limit")
    }
    return {
        **about,
        "version": reader.session.server.version_num,
        "buffers": show["shared_buffers"][0],  # type: ignore[index]
        "combine": show["io_combine_limit"][0],  # type: ignore[index]
        "classes": classes,
        "touches": touches,
        "tables": {oid: name for oid, _, name in known},
    }


def record(binaries: Path, name: str, io_method: str, seconds: int, target: Path) -> list[str]:
    """Run a load on a server of its own, and record it.

    Returns:
        Errors of the load's sessions.
    """
    load = LOADS[name]
    settings = SETTINGS | {
        "io_method": io_method,
        "max_connections": max(CONNECTIONS, len(load.tasks) + 20),
    }
    with (
        tempfile.TemporaryDirectory(prefix="operations-") as place,
        Cluster(binaries, Path(place) / "data", settings=settings) as cluster,
        target.open("w") as out,
    ):
        with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
            connection.execute("CREATE EXTENSION pg_stat_statements")
            prepare(connection, load)
        clients = Clients(cluster.dsn(), load)
        clients.start()
        Event().wait(WARM_UP_SECONDS)
        session = connect(cluster.dsn())
        with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
            connection.execute("SET stats_fetch_consistency = none")
            reader, truth = SnapshotReader(session), _Truth(connection, clients)
            _seconds(reader, truth, seconds, out)
            head = _head(connection, reader, load, {"load": name, "io_method": io_method})
            out.write(json.dumps({"head": head}) + "\n")
        clients.close()
        session.close()
    return clients.errors


def _seconds(reader: SnapshotReader, truth: _Truth, seconds: int, out: Any) -> None:
    """Write a line each second."""
    older = reader.take()
    out.write(json.dumps({"at": 0.0, **truth.read()}) + "\n")
    began = time.monotonic()
    for second in range(1, seconds + 1):
        Event().wait(max(began + second - time.monotonic(), 0.0))
        newer = reader.take()
        delta = diff(older, newer)
        relids = delta.relations.rows["relid"]
        line = {
            "at": second,
            "seconds": delta.seconds,
            "complete": delta.is_complete,
            "statements": _statements_of(delta),
            "catalogs": int(delta.relations.rows["blks_read"][relids < 16384].sum()),
            **_server_of(delta),
            **truth.read(),
        }
        out.write(json.dumps(line) + "\n")
        older = newer
