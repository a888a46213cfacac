"""Statements that an application sends while a collector has trouble, and what a server counts."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event, Thread

import pyarrow.compute as pc
import pyarrow.parquet as pq
from psycopg.conninfo import make_conninfo

from pgiostat.history.format.file_index import files
from pgiostat.history.format.layout import Layout
from tests.support.workloads import Connection, client, fill

ROWS = 3_000
STATEMENTS = {
    "SELECT pad FROM parcel WHERE id = $1": "SELECT pad FROM parcel WHERE id = {i}",
    "SELECT count(*), max(pad) FROM parcel WHERE client_id = $1": (
        "SELECT count(*), max(pad) FROM parcel WHERE client_id = {i}"
    ),
    "UPDATE parcel SET client_id = client_id WHERE id = $1": (
        "UPDATE parcel SET client_id = client_id WHERE id = {i}"
    ),
}
"""Texts as the server keeps them, and as they are sent."""

Totals = dict[tuple[int, int, int, bool], Counter[str]]
COUNTED = ("calls", "blocks", "rows")


@dataclass
class Traffic:
    """What an application of a role of its own sends; sent: how often, by text."""

    dsn: str
    sent: Counter[str] = field(default_factory=Counter)
    _stop: Event = field(default_factory=Event)
    _thread: Thread | None = None

    @classmethod
    def arranged(cls, dsn: str) -> "Traffic":
        """Return what will be sent to a fresh server, by a role that has sent some of it before."""
        with client(dsn) as other:
            other.execute("CREATE EXTENSION pg_stat_statements")
            fill(other, "parcel", ROWS)
            other.execute("CREATE ROLE app LOGIN PASSWORD 'app'")
            other.execute("GRANT SELECT, UPDATE ON parcel TO app")
        traffic = cls(make_conninfo(dsn, user="app", password="app"))
        with client(traffic.dsn) as connection:
            for number in range(30):
                traffic.send(connection, number)
        traffic.sent.clear()
        return traffic

    def send(self, connection: Connection, number: int) -> None:
        """Send one statement."""
        text = list(STATEMENTS)[number % len(STATEMENTS)]
        connection.execute(STATEMENTS[text].format(i=number % ROWS).encode())
        self.sent[text] += 1

    def _send_on(self) -> None:
        number = 0
        with client(self.dsn) as connection:
            while not self._stop.wait(0.002):
                self.send(connection, number)
                number += 1

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Send statements meanwhile."""
        self._thread = Thread(target=self._send_on)
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()

    def counted(self, connection: Connection) -> Totals:
        """Return what the server has counted of all that the application ever sent."""
        rows = connection.execute(
            """
            SELECT userid::int8, dbid::int8, queryid, toplevel,
                   calls, shared_blks_hit + shared_blks_read, rows
            FROM pg_stat_statements WHERE userid = 'app'::regrole
            """
        ).fetchall()
        return {tuple(row[:4]): Counter(dict(zip(COUNTED, row[4:], strict=True))) for row in rows}

    def by_text(self, connection: Connection, totals: Totals) -> dict[str, int]:
        """Return the calls of each statement by its text."""
        rows = connection.execute("SELECT queryid, query FROM pg_stat_statements").fetchall()
        texts: dict[int, str] = dict(rows)
        return {texts[key[2]]: counted["calls"] for key, counted in totals.items()}


def difference(older: Totals, newer: Totals) -> Totals:
    """Return what was counted between two readings."""
    return {
        key: Counter({n: now[n] - older.get(key, Counter())[n] for n in COUNTED})
        for key, now in newer.items()
    }


def kept(root: Path, userid: int, table: str = "stmt") -> Totals:
    """Return what a history has of a role's statements, all intervals added up."""
    sums: Totals = {}
    for path in files(Layout(root), table, hot="stmt").paths:
        rows = pq.ParquetFile(path).read()
        for row in rows.filter(pc.equal(rows["userid"], userid)).to_pylist():
            counted = sums.setdefault(
                (row["userid"], row["dbid"], row["queryid"], row["toplevel"]), Counter()
            )
            blocks = row["shared_blks_hit"] + row["shared_blks_read"]
            counted.update(calls=row["calls"], blocks=blocks, rows=row["rows"])
    return sums


def userid_of(totals: Totals) -> int:
    """Return the oid of the application's role."""
    (userid,) = {key[0] for key in totals}
    return userid


def intervals(root: Path) -> list[tuple[datetime, datetime]]:
    """Return when each interval of a history began and ended, by time."""
    return sorted(
        (row["ts"], row["ts"] + timedelta(microseconds=row["dur_us"]))
        for path in files(Layout(root), "sample").paths
        for row in pq.ParquetFile(path).read().to_pylist()
    )
