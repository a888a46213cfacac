"""Questions asked of a history: what was counted in a time, and how sure that is."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pgiostat.cost import FIELDS
from pgiostat.engine import DuckDB, Engine, Source, text_of
from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.history.files import files
from pgiostat.history.layout import Layout, check
from pgiostat.history.schema import ROLLUP, SCHEMAS
from pgiostat.names import OWN, Describe, Names, Statement
from pgiostat.rank import Counted

__all__ = ["History", "Seen", "Watched", "Window"]

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Watched:
    """A server of a history, watched from one instant until another, perhaps with gaps."""

    server_id: int
    label: str
    since: datetime
    until: datetime
    samples: int


@dataclass(frozen=True, slots=True)
class Window:
    """A time, half open, of one server or of all; labels: empty for all."""

    since: datetime
    until: datetime
    label: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was counted in a window, by server, and how good the count is.

    qualities: how many intervals had each.  gaps: seconds of the window without any interval.
    """

    window: Window
    servers: tuple[Watched, ...]
    counted: Mapping[int, Counted]
    samples: int
    qualities: Mapping[str, int]
    seconds: float
    statement_blocks: int
    server_blocks: int
    evicted: int
    unknown: int
    block_size: int

    @property
    def coverage(self) -> float | None:
        """What share of the server's reads statements explain, where both were counted."""
        return self.statement_blocks / self.server_blocks if self.server_blocks else None


@dataclass(slots=True)
class History:
    """A history, opened for reading; several may read while a collector writes."""

    layout: Layout
    engine: Engine = field(default_factory=DuckDB)

    @classmethod
    def open(cls, root: Path) -> "History":
        """Return a history. Raises PgiostatError as layout.check does."""
        return cls(check(root))

    # what is there

    def servers(self) -> list[Watched]:
        """Return the servers of the history."""
        rows = self._ask("servers", {"sample": self._whole("sample")}, {}).to_pylist()
        return [
            Watched(
                row["server_id"],
                row["label"],
                row["since"],
                row["last"] + timedelta(microseconds=row["dur_us"]),
                row["samples"],
            )
            for row in rows
        ]

    def choose(self, label: str) -> list[Watched]:
        """Return the servers of a label, all for an empty one.

        Raises PgiostatError label-unknown, with those there are, and history-empty.
        """
        there = self.servers()
        if not there:
            raise PgiostatError(
                f'there is no sample in the history in "{self.layout.root}"',
                slug="history-empty",
                status=ExitStatus.NOTHING_TO_REPORT,
            )
        chosen = [server for server in there if label in ("", server.label)]
        if not chosen:
            known = ", ".join(dict.fromkeys(server.label for server in there))
            raise PgiostatError(
                f'there is no server "{label}" in the history',
                hint=f"There are: {known}.",
                slug="label-unknown",
            )
        return chosen

    # what was counted

    def seen(self, window: Window) -> Seen:
        """Return what was counted in a window.

        Raises PgiostatError window-empty if no interval began in it, history-unreadable.
        """
        servers = self.choose(window.label)
        ids = [server.server_id for server in servers]
        samples = self._samples(window, ids)
        if not samples:
            raise _empty(window, servers)
        statements = self._statements(window, ids)
        relations = self._plain("relations", "relation", "relation", window, ids)
        databases = self._plain("databases", "databases", "database", window, ids)
        of_server: dict[int, list[dict[str, Any]]] = {}
        for row in samples:
            of_server.setdefault(row["server_id"], []).append(row)
        counted = {
            server: _counted(
                rows, _of(statements, server), _of(relations, server), _of(databases, server)
            )
            for server, rows in of_server.items()
        }
        qualities = Counter(part for row in samples for part in row["qualities"].split(", "))
        whole = [row for row in samples if row["server_blocks"] is not None]
        return Seen(
            window=window,
            servers=tuple(servers),
            counted=counted,
            samples=len(samples),
            qualities=dict(qualities),
            seconds=sum(row["dur_us"] for row in samples) / 1e6,
            statement_blocks=sum(row["statement_blocks"] for row in whole),
            server_blocks=sum(row["server_blocks"] for row in whole),
            evicted=sum(row["dealloc"] or 0 for row in samples),
            unknown=sum(row["unknown"] for row in samples),
            block_size=samples[-1]["block_size"],
        )

    def names(self, describe: Describe) -> dict[int, Names]:
        """Return what ids mean on each server, each statement described anew.

        A better rule corrects the past.
        """
        found: dict[int, Names] = {}
        for row in self._told("name"):
            names = found.setdefault(row["server_id"], Names())
            if row["kind"] == "database":
                names.databases[row["oid"]] = row["name"]
            elif row["kind"] == "role":
                names.roles[row["oid"]] = row["name"]
            else:
                told = (row["owner"], row["schema"], row["name"], row["part"])
                names.relations[row["oid"]] = told
        for row in self._told("statement"):
            names = found.setdefault(row["server_id"], Names())
            key = (row["userid"], row["dbid"], row["queryid"])
            names.learn(key, recalled(row, describe, names))
        return found

    # how

    def _samples(self, window: Window, ids: Sequence[int]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._plain(
            "samples", "sample", "sample", window, ids
        ).to_pylist()
        return found

    def _plain(
        self, text: str, name: str, table: str, window: Window, ids: Sequence[int]
    ) -> pa.Table:
        gaps = {
            "since": self.engine.instant(window.since),
            "until": self.engine.instant(window.until),
            "whose": _whose(ids),
        }
        return self._ask(text, {name: self._within(table, window)}, gaps)

    def _statements(self, window: Window, ids: Sequence[int]) -> pa.Table:
        since, until = whole_hours(window)
        gaps = {
            "since": self.engine.instant(window.since),
            "until": self.engine.instant(window.until),
            "hours_from": self.engine.instant(since),
            "hours_until": self.engine.instant(until),
            "whose": _whose(ids),
        }
        rolled = files(self.layout, "stmt_1h", hot="stmt")
        hours = [file.path for file in rolled.sealed if _may_hold(file.path, window)]
        sources: dict[str, Source] = {
            "hours": (hours, ROLLUP),
            "recent": (rolled.hot, SCHEMAS["stmt"]),
            "edges": self._within("stmt", window),
        }
        return self._ask("statements", sources, gaps)

    def _whole(self, table: str) -> Source:
        return (files(self.layout, table).paths, SCHEMAS[table])

    def _within(self, table: str, window: Window) -> Source:
        found = files(self.layout, table)
        sealed = [file.path for file in found.sealed if _may_hold(file.path, window)]
        return ([*sealed, *found.hot], SCHEMAS[table])

    def _ask(self, text: str, sources: Mapping[str, Source], gaps: Mapping[str, str]) -> pa.Table:
        return self.engine.query(text_of(text).format(**gaps), sources)

    def _told(self, table: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for path in [*self.layout.told_files(table), *files(self.layout, table).hot]:
            rows += pq.read_table(path, partitioning=None).to_pylist()
        return rows


_CURSOR = re.compile(r"^(declare) \?|^((?:fetch|move|close)\b.*) \?$")


def recalled(row: Mapping[str, Any], describe: Describe, names: Names) -> Statement:
    """Return a statement from what is kept of it: its normalized text, and its cursor's name."""
    text, cursor = row["text"], row["cursor"]
    found = _CURSOR.match(text) if cursor else None
    if found is not None:
        quoted = '"' + cursor.replace('"', '""') + '"'
        text = f"{found[1] or found[2]} {quoted}{text[found.end() :]}"
    user, database = names.role(row["userid"]), names.database(row["dbid"])
    statement = describe(text, user=user, database=database, queryid=row["queryid"])
    return replace(
        statement,
        text=row["text"],
        fingerprint=row["fingerprint"],
        category=OWN if row["own"] else statement.category,
    )


def whole_hours(window: Window) -> tuple[datetime, datetime]:
    """Return the whole hours within a window; of a short one none, at its start."""
    floor = window.since.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    since = floor if floor == window.since else floor + _HOUR
    until = window.until.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return (since, until) if since < until else (window.since, window.since)


def _may_hold(path: Path, window: Window) -> bool:
    """Tell whether a sealed file's day touches a window."""
    day = datetime.fromisoformat(path.parent.name.removeprefix("date=")).replace(tzinfo=UTC)
    return window.since < day + timedelta(days=1) and day < window.until


def _whose(ids: Sequence[int]) -> str:
    return f"f.server_id IN ({', '.join(map(str, ids))})"


def _of(table: pa.Table, server: int) -> pa.Table:
    return table.filter(pc.equal(table["server_id"], server))


def _empty(window: Window, servers: Sequence[Watched]) -> PgiostatError:
    first = min(server.since for server in servers)
    last = max(server.until for server in servers)
    return PgiostatError(
        f"there is nothing between {window.since:%Y-%m-%d %H:%M:%S} and"
        f" {window.until:%Y-%m-%d %H:%M:%S} UTC",
        hint=f"The history goes from {first:%Y-%m-%d %H:%M:%S} to {last:%Y-%m-%d %H:%M:%S} UTC.",
        slug="window-empty",
        status=ExitStatus.NOTHING_TO_REPORT,
    )


def _counted(
    samples: Sequence[Mapping[str, Any]],
    statements: pa.Table,
    relations: pa.Table,
    databases: pa.Table,
) -> Counted:
    """Return one server's counts of a window as a ranking takes them."""
    top = [flag is not False for flag in statements["toplevel"].to_pylist()]
    sent = statements.filter(pa.array(top, pa.bool_()))
    columns = (sent[name].to_pylist() for name in ("userid", "dbid", "queryid", "masked"))
    amounts = np.array(
        [sent[name].fill_null(0).to_numpy() for name in FIELDS], dtype=np.int64
    ).reshape(len(FIELDS), len(sent))
    blocks = np.zeros((len(FIELDS), len(relations)), dtype=np.int64)
    blocks[FIELDS.index("shared_blks_hit")] = relations["blks_hit"].to_numpy()
    blocks[FIELDS.index("shared_blks_read")] = relations["blks_read"].to_numpy()
    # Where the server's own count was lost, what statements read is all that is known.
    known = [
        row["statement_blocks"] if row["server_blocks"] is None else row["server_blocks"]
        for row in samples
    ]
    here = pc.equal(databases["datid"], samples[-1]["dbid"])
    return Counted(
        seconds=sum(row["dur_us"] for row in samples) / 1e6,
        block_size=samples[-1]["block_size"],
        statements=[
            (userid, dbid, None if masked else queryid)
            for userid, dbid, queryid, masked in zip(*columns, strict=True)
        ],
        statement_amounts=amounts,
        statement_uncertain=[bool(flag) for flag in sent["uncertain"].to_pylist()],
        relations=relations["relid"].to_pylist(),
        relation_amounts=blocks,
        relation_uncertain=[bool(flag) for flag in relations["uncertain"].to_pylist()],
        server_blocks=sum(known),
        database_blocks=int(sum(databases.filter(here)["blks_read"].to_pylist())),
        nested=len(top) - len(sent),
    )
