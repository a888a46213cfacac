"""The displayed numbers of one interval, from a server or from a replayed history."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from pgiostat.analysis.notices import Notice, lost, notices
from pgiostat.analysis.rank import Totals, rank_totals
from pgiostat.analysis.server_reads import ServerReads, coverage
from pgiostat.errors import PgiostatError
from pgiostat.postgres.activity import Running
from pgiostat.statistics.delta import Delta, Quality
from pgiostat.statistics.names import Names
from pgiostat.statistics.row_deltas import Basis
from pgiostat.statistics.snapshot import Snapshot
from pgiostat.units import blocks_to_bytes
from pgiostat.volume.bucket import Load
from pgiostat.volume.demand import Demand, Provenance
from pgiostat.volume.device.page_cache import DiskReads
from pgiostat.watch.model.recent_reads import RecentReads
from pgiostat.watch.model.table_counts import SessionTables, TableNews

if TYPE_CHECKING:
    from pgiostat.postgres.sampler import IntervalResult

__all__ = ["Interval", "IoRow", "SeekContext", "Who", "interval_of"]


@dataclass(frozen=True, slots=True)
class Who:
    """A server and the user of the connection."""

    label: str
    dbname: str = ""
    user: str = ""
    version: str = ""
    in_recovery: bool = False


@dataclass(frozen=True, slots=True)
class IoRow:
    """A row of pg_stat_io: what processes of a kind did to objects of a kind."""

    backend_type: str
    object: str
    context: str
    reads: int
    read_bytes: int
    read_us: int | None
    hits: int | None


@dataclass(frozen=True, slots=True, eq=False)
class SeekContext:
    """What was before an interval that is not shown after the one before it.

    since: the baseline.  whole: all from then on as one, None if nothing.  past: the last
    intervals, with what plots need.  recent: the reads of the last seconds.  tables: what tables
    and indexes counted.
    """

    since: datetime
    whole: "Interval | None"
    past: tuple["Interval", ...]
    recent: RecentReads = field(default_factory=RecentReads)
    tables: SessionTables = field(default_factory=SessionTables)


@dataclass(frozen=True, slots=True, eq=False)
class Interval:
    """An interval, or why there is none.

    counted: None for a first snapshot or after an error.  statement_blocks, reads: blocks of
    statements and the server's own counts, both in full.  io: None where there is no pg_stat_io.
    load: the load on a volume.  snapshot: that at its end; None in a replay.  before: the intervals
    before it, where the user seeks in a history.  bases: the basis of statements (userid, dbid,
    queryid), where it is not the previous snapshot.  disk: the reads of the server's device; None
    if not measured.  tables: what is new of tables and indexes; None if they are not read.
    """

    who: Who | None = None
    since: datetime | None = None
    until: datetime | None = None
    qualities: tuple[Quality, ...] = ()
    counted: Totals | None = None
    statement_blocks: int = 0
    reads: ServerReads = field(default_factory=ServerReads)
    io: tuple[IoRow, ...] | None = None
    notices: tuple[Notice, ...] = ()
    running: tuple[Running, ...] = ()
    load: Load | None = None
    provenance: Provenance = Provenance.BLOCKS
    error: PgiostatError | None = None
    retry_seconds: float | None = None
    snapshot: Snapshot | None = None
    before: SeekContext | None = None
    bases: Mapping[tuple[int, int, int], Basis] = field(default_factory=dict)
    disk: DiskReads | None = None
    tables: TableNews | None = None

    @property
    def seconds(self) -> float | None:
        """How long it was."""
        return None if self.counted is None else self.counted.seconds

    @property
    def coverage(self) -> float | None:
        """Share of the server's settled reads in it that statements explain."""
        return coverage(self.statement_blocks, self.reads)


def interval_of(
    result: "IntervalResult",
    names: Names,
    demand: Demand | None = None,
    coverage: float | None = None,
) -> Interval:
    """Return the interval of one turn of the loop.

    demand, coverage: of all intervals up to this one.
    """
    delta = result.delta
    if delta is None:
        return Interval(error=result.error, retry_seconds=result.retry_seconds)
    server = delta.newer.server
    who = Who(
        server.label, server.dbname, server.user, server.version, delta.newer.markers.in_recovery
    )
    if delta.seconds is None:
        return Interval(who, until=delta.until, notices=tuple(lost(delta)))
    counted = Totals.of(delta)
    ranking = rank_totals([(counted, names)])
    load, provenance = (demand or Demand()).of(delta)
    return Interval(
        who,
        delta.since,
        delta.until,
        delta.qualities,
        counted,
        statement_blocks=delta.statement_blocks,
        reads=counted.reads,
        io=_io(delta),
        notices=tuple(notices(delta, ranking, coverage=coverage, texts_error=result.texts_error)),
        running=result.running,
        load=load,
        provenance=provenance,
        snapshot=delta.newer,
        bases=_bases(delta),
    )


def _bases(delta: Delta) -> dict[tuple[int, int, int], Basis]:
    """Return the basis of each statement that was not there before, or not the same."""
    statements = delta.statements
    chosen = np.flatnonzero((statements.basis != Basis.PREVIOUS) & delta.toplevel)
    rows = statements.rows.take(chosen)
    ids = zip(*(rows[name].tolist() for name in ("userid", "dbid", "queryid")), strict=True)
    return dict(zip(ids, map(Basis, statements.basis[chosen].tolist()), strict=True))


def _io(delta: Delta) -> tuple[IoRow, ...] | None:
    """Return the rows of pg_stat_io that did anything."""
    if delta.io is None:
        return None
    rows = delta.io.rows
    size = delta.settings.block_size
    read_bytes = rows.get("read_bytes")
    if read_bytes is None:
        op_bytes = rows.get("op_bytes")
        read_bytes = rows["reads"] * (blocks_to_bytes(1, size) if op_bytes is None else op_bytes)
    columns = [
        *(np.char.decode(rows[name]).tolist() for name in ("backend_type", "object", "context")),
        rows["reads"].tolist(),
        read_bytes.tolist(),
        rows["read_time"].tolist(),
        rows["hits"].tolist(),
    ]
    found = (IoRow(*row) for row in zip(*columns, strict=True))
    return tuple(row for row in found if row.reads or row.hits)
