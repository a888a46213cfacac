"""The totals of a window: the sum of its intervals, and each server's own counts."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pgiostat.analysis.cost import FIELDS, blocks_of
from pgiostat.analysis.rank import Totals
from pgiostat.analysis.server_reads import (
    EARLIER,
    MEASURED,
    ServerReads,
    coverage,
    known_sum,
    settled_blocks,
)
from pgiostat.history.format.schema import READS
from pgiostat.history.read.arrow import instants, matrix
from pgiostat.history.read.windows import ServerSpan, Window
from pgiostat.statistics.delta import LOST, Quality
from pgiostat.statistics.names import Names
from pgiostat.volume.device.interval import DeviceTotal

__all__ = [
    "IntervalStats",
    "WindowTotals",
    "cause_of",
    "lost_in",
    "reads_of_sample",
    "together",
    "totals_of",
]

_UNWATCHED = (Quality.OTHER_SERVER, Quality.BASELINE_LOST)
_KNOWN = {"blocks": "known_blocks"}
"""Where the server's own count was lost, what statements read is all that is known."""


def cause_of(qualities: str) -> str:
    """Return why statements were not counted, from the qualities of a row of sample."""
    words = qualities.split(", ")
    return next((word for word in LOST if word in words), "")


@dataclass(frozen=True, slots=True)
class IntervalStats:
    """Intervals of one server, added up: all of a time, or those of one bucket of it.

    since, until: start of the first and end of the last one; None without any.
    statement_blocks, server_blocks: of intervals in which the server's own count was whole.
    reads: what the server counted; its blocks are that count, and what statements read where it
    was lost.  unknown: rows.  lost: seconds in which statements were not counted, by cause.
    evicted: entries, at least; None if unknown.
    """

    samples: int = 0
    since: datetime | None = None
    until: datetime | None = None
    seconds: float = 0.0
    statement_blocks: int = 0
    server_blocks: int = 0
    reads: ServerReads = field(default_factory=lambda: ServerReads(blocks=0))
    unknown: int = 0
    evicted: int | None = None
    own_seconds: float = 0.0
    block_size: int = 8192
    dbid: int = 0
    version_num: int = 0
    qualities: Mapping[str, int] = field(default_factory=dict)
    lost: Mapping[str, float] = field(default_factory=dict)

    @property
    def unwatched_seconds(self) -> float:
        """How much of the lost time is not part of seconds: not even the server was counted."""
        return sum(self.lost.get(cause, 0.0) for cause in _UNWATCHED)

    @property
    def coverage(self) -> float | None:
        """What share of the server's reads statements explain, where both were counted."""
        return coverage(self.statement_blocks, ServerReads(blocks=self.settled_blocks))

    @property
    def settled_blocks(self) -> int:
        """The server's blocks of the window that are settled, where its count was whole."""
        return settled_blocks(replace(self.reads, blocks=self.server_blocks)) or 0

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]]) -> "IntervalStats":
        """Return rows of the text samples as one."""
        qualities: Counter[str] = Counter()
        lost: dict[str, float] = defaultdict(float)
        for row in rows:
            for part in row["qualities"].split(", "):
                qualities[part] += row["samples"]
            if row["lost_us"]:
                lost[cause_of(row["qualities"])] += row["lost_us"] / 1e6

        def total(name: str) -> int:
            return sum(row[name] for row in rows)

        return cls(
            samples=total("samples"),
            since=min((row["since"].astimezone(UTC) for row in rows), default=None),
            until=max((row["until"].astimezone(UTC) for row in rows), default=None),
            seconds=total("dur_us") / 1e6,
            statement_blocks=total("statement_blocks"),
            server_blocks=total("server_blocks"),
            reads=ServerReads.total(
                ServerReads(**{name: row[_KNOWN.get(name, name)] for name in (*MEASURED, *EARLIER)})
                for row in rows
            ),
            unknown=total("unknown"),
            evicted=known_sum(row["evicted"] for row in rows),
            own_seconds=total("own_us") / 1e6,
            block_size=max((row["block_size"] for row in rows), default=8192),
            dbid=max((row["dbid"] for row in rows), default=0),
            version_num=max((row["version_num"] for row in rows), default=0),
            qualities=dict(qualities),
            lost=dict(lost),
        )


@dataclass(frozen=True, slots=True)
class WindowTotals:
    """What was counted in a window, by server, and how good the count is.

    widened: whether the window was made of whole hours, for want of single intervals.
    left_out: files that could not be read.  devices: what the devices of the servers did.
    lost_earlier: seconds of the window in lost times that began before it, by cause.
    """

    window: Window
    servers: tuple[ServerSpan, ...]
    counted: Mapping[int, Totals]
    sampled: IntervalStats
    widened: bool = False
    devices: tuple[DeviceTotal, ...] = ()
    left_out: tuple[Path, ...] = ()
    lost_earlier: Mapping[str, float] = field(default_factory=dict)

    @property
    def span(self) -> Window:
        """The start of the first and the end of the last interval: a window may cut through these.

        An interval belongs to the window in which it starts, and counts whole there.
        """
        first, last = self.sampled.since, self.sampled.until
        if first is None or last is None:
            return self.window
        return replace(self.window, since=first, until=last)

    def parts(self, names: Mapping[int, Names]) -> list[tuple[Totals, Names]]:
        """Return the counts of each server with its names, as rank_totals takes them."""
        return [(part, names.get(server, Names())) for server, part in self.counted.items()]

    @property
    def seconds_by_label(self) -> Mapping[str, float]:
        """How long each label was watched: its servers, if several, one after the other."""
        found: dict[str, float] = {}
        for server in self.servers:
            if (counted := self.counted.get(server.server_id)) is not None:
                found[server.label] = found.get(server.label, 0.0) + counted.seconds
        return found


def reads_of_sample(row: Mapping[str, Any]) -> ServerReads:
    """Return the server's own counts of a row of the table of samples."""
    columns = {name: name for name in EARLIER} | dict(READS)
    return ServerReads(**{name: row[column] for name, column in columns.items()})


def lost_in(window: Window, rows: pa.Table) -> dict[str, float]:
    """Return the seconds of a window in lost times that began before it, by cause.

    rows: of the text lost.
    """
    found: dict[str, float] = {}
    columns = (instants(rows["ts"]), rows["qualities"].to_pylist(), rows["lost_us"].to_pylist())
    for began, qualities, lost_us in zip(*columns, strict=True):
        end = min(began + timedelta(microseconds=lost_us), window.until)
        if (within := (end - window.since).total_seconds()) > 0:
            cause = cause_of(qualities)
            found[cause] = found.get(cause, 0.0) + within
    return found


def together(parts: Sequence[IntervalStats]) -> IntervalStats:
    """Return the intervals of several servers as one."""
    qualities: Counter[str] = Counter()
    lost: dict[str, float] = defaultdict(float)
    for part in parts:
        qualities.update(part.qualities)
        for cause, seconds in part.lost.items():
            lost[cause] += seconds
    added = {
        name: sum(getattr(part, name) for part in parts)
        for name in (
            "samples",
            "seconds",
            "statement_blocks",
            "server_blocks",
            "unknown",
            "own_seconds",
        )
    }
    reads = ServerReads.of_servers(part.reads for part in parts)
    return replace(
        parts[-1],
        **added,
        since=min((part.since for part in parts if part.since is not None), default=None),
        until=max((part.until for part in parts if part.until is not None), default=None),
        evicted=known_sum(part.evicted for part in parts),
        reads=reads,
        qualities=dict(qualities),
        lost=dict(lost),
    )


def totals_of(
    server: ServerSpan,
    sampled: IntervalStats,
    statements: pa.Table | None,
    relations: pa.Table | None,
    databases: pa.Table | None,
) -> Totals:
    """Return one server's counts of a window as a ranking takes them."""
    found = Totals(
        seconds=sampled.seconds,
        block_size=sampled.block_size,
        reads=sampled.reads,
        server=server.label,
        server_id=server.server_id,
        dbid=sampled.dbid,
        since=sampled.since,
    )
    if statements is not None:
        # Nested ones are the last.
        sent = statements.slice(
            0, sum(top is not False for top in statements["toplevel"].to_pylist())
        )
        columns = (sent[name].to_pylist() for name in ("userid", "dbid", "queryid", "masked"))
        found = replace(
            found,
            statements=[
                (userid, dbid, None if masked else queryid)
                for userid, dbid, queryid, masked in zip(*columns, strict=True)
            ],
            statement_amounts=matrix(sent),
            statement_uncertain=[bool(flag) for flag in sent["uncertain"].to_pylist()],
            nested=len(statements) - len(sent),
            nested_blocks=int(blocks_of(matrix(statements.slice(len(sent)))).sum()),
        )
    if relations is not None and databases is not None:
        blocks = np.zeros((len(FIELDS), len(relations)), dtype=np.int64)
        blocks[FIELDS.index("shared_blks_hit")] = relations["blks_hit"].to_numpy()
        blocks[FIELDS.index("shared_blks_read")] = relations["blks_read"].to_numpy()
        of_database = zip(
            databases["datid"].to_pylist(), databases["blks_read"].to_pylist(), strict=True
        )
        found = replace(
            found,
            relations=relations["relid"].to_pylist(),
            relation_amounts=blocks,
            relation_uncertain=[bool(flag) for flag in relations["uncertain"].to_pylist()],
            database_blocks=sum(read for datid, read in of_database if datid == sampled.dbid),
        )
    return found
