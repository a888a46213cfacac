"""The contents of a history: time span and quality of each label, size of each table."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from pgiostat.history.format.compacted import is_shared
from pgiostat.history.format.file_index import Listing
from pgiostat.history.format.schema import SCHEMAS
from pgiostat.history.read.history import History
from pgiostat.history.read.plan import Query
from pgiostat.history.read.window_totals import together
from pgiostat.history.read.windows import ServerSpan, Window
from pgiostat.units import MICROSECOND

__all__ = ["Inventory", "ServerInventory", "TableSize", "inventory"]


@dataclass(frozen=True, slots=True)
class ServerInventory:
    """The contents under a label.

    servers: how many answered under it.  intervals: of which `uncompacted` are not compacted, and
    gaps are longer than expected.  seconds: of all intervals; lost_seconds: in which statements
    were not counted, for whatever cause; missing_seconds: of the time from
    since to until that is in none.  rows: of statements.  thin_days: of which whole hours are left
    alone.  age_seconds: of the newest interval's end.
    """

    label: str
    since: datetime
    until: datetime
    servers: int
    intervals: int
    unsealed: int
    gaps: int
    seconds: float
    lost_seconds: float
    missing_seconds: float
    coverage: float | None
    rows: int
    thin_days: tuple[date, ...]
    age_seconds: float


@dataclass(frozen=True, slots=True)
class TableSize:
    """Files, and the bytes that they take on disk."""

    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a history holds.

    tables: by the name of the directory: tables, dim (texts and names), hot (not compacted yet).
    """

    root: Path | str
    kept: tuple[ServerInventory, ...]
    tables: dict[str, TableSize]

    @property
    def size(self) -> TableSize:
        """All files together."""
        sizes = self.tables.values()
        return TableSize(sum(size.files for size in sizes), sum(size.bytes for size in sizes))


def inventory(history: History, now: datetime) -> Inventory:
    """Return what a history holds.

    Raises PgiostatError history-empty, history-unreadable.
    """
    servers: dict[str, list[ServerSpan]] = {}
    for server in history.choose(""):
        servers.setdefault(server.label, []).append(server)
    rows = _rows(history)
    unsealed = Counter(
        path.parent.parent.name
        for path in history.with_listing(lambda listing: listing.files("sample").hot)
    )
    thin: dict[str, list[date]] = {}
    for collector, day in sorted(history.with_listing(Listing.thin)):
        # Files that servers share go together.
        for label in servers if is_shared(collector) else [collector]:
            thin.setdefault(label, []).append(day)
    kept = tuple(
        _kept(
            history,
            those,
            now,
            rows=sum(rows[server.server_id] for server in those),
            unsealed=unsealed[label],
            thin=thin.get(label, []),
        )
        for label, those in servers.items()
    )
    return Inventory(history.layout.root, kept, _sizes(history))


def _kept(
    history: History,
    servers: list[ServerSpan],
    now: datetime,
    *,
    rows: int,
    unsealed: int,
    thin: list[date],
) -> ServerInventory:
    label = servers[0].label
    since = min(server.since for server in servers)
    until = max(server.until for server in servers)
    sampled = together(list(history.sampled(Window(since, until, label), servers).values()))
    known = sampled.seconds + sampled.unwatched_seconds
    missing = (until - since).total_seconds() - known
    return ServerInventory(
        label=label,
        since=since,
        until=until,
        servers=len(servers),
        intervals=sampled.samples,
        unsealed=unsealed,
        gaps=sampled.qualities.get("gap", 0),
        seconds=sampled.seconds,
        lost_seconds=sum(sampled.lost.values(), start=0.0),
        missing_seconds=max(0.0, missing if missing > MICROSECOND.total_seconds() else 0.0),
        coverage=sampled.coverage,
        rows=rows,
        thin_days=tuple(thin),
        age_seconds=max(0.0, (now - history.newest(servers, now)).total_seconds()),
    )


def _rows(history: History) -> Counter[int]:
    """Return how many rows of statements each server has."""
    rows = history.query(
        Query("rows", lambda listing: {"facts": (listing.files("stmt").paths, SCHEMAS["stmt"])})
    )
    return Counter(dict(zip(rows["server_id"].to_pylist(), rows["rows"].to_pylist(), strict=True)))


def _sizes(history: History) -> dict[str, TableSize]:
    files: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for table, size in history.layout.sizes():
        sizes[table] += size
        files[table] += 1
    return {table: TableSize(files[table], sizes[table]) for table in sorted(files)}
