"""The plan of a query: its SQL text, parameters and files. Nothing is read here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from pgiostat.analysis.server_reads import EARLIER
from pgiostat.history.engines import Engine, Source
from pgiostat.history.engines import text_of as load_text
from pgiostat.history.format.file_index import Listing
from pgiostat.history.format.schema import FACTS, READS, ROLLUP, SCHEMAS, columns_of
from pgiostat.history.read.arrow import EPOCH
from pgiostat.history.read.windows import Window, whole_hours
from pgiostat.statistics.counter_table import ColumnKind, CounterColumn

__all__ = [
    "PLACES",
    "WHOLE",
    "Query",
    "Sources",
    "SplitWindow",
    "facts",
    "places",
    "relation_stats",
    "rows_in",
    "samples",
    "servers",
    "statements",
]

WHOLE = 0
"""The step that makes one bucket of a whole window."""
PLACES = pa.schema([pa.field("sid", pa.int64()), pa.field("place", pa.int64())])
_NO_LATER = datetime(9000, 1, 1, tzinfo=EPOCH.tzinfo)
_SOUND = (
    "ts >= {since} AND ts < {until} AND dur_us BETWEEN 0 AND 3155760000000000"  # a hundred years
    " AND block_size BETWEEN 1 AND 1048576 AND version_num BETWEEN 0 AND 100000000"
    f" AND statement_blocks BETWEEN 0 AND {1 << 56} AND unknown BETWEEN 0 AND {1 << 56}"
    f" AND own_us BETWEEN 0 AND {1 << 56}"
    " AND COALESCE(lost_us, 0) BETWEEN 0 AND 3155760000000000"
    f" AND COALESCE(evicted, 0) BETWEEN 0 AND {1 << 56}"
)
"""Holds for every sample that a collector can have written."""

Sources = Callable[[Listing], Mapping[str, Source]]
TimeSpan = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Query:
    """A text of history/sql with its parameters, and the sources that it reads by name."""

    text: str
    sources: Sources
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def sql(self) -> str:
        """The text with its parameters."""
        return load_text(self.text).format(**self.parameters)


@dataclass(frozen=True, slots=True)
class SplitWindow:
    """A window, split into whole hours, read from the rollup, and edges, read row by row.

    hours: From when to when whole hours go; both are the same instant if there is none.
    """

    window: Window
    hours: TimeSpan

    @classmethod
    def of(cls, window: Window, *, hours: bool = True) -> "SplitWindow":
        """Return a window split at its whole hours; without hours all of it is an edge."""
        return cls(window, whole_hours(window) if hours else (window.since, window.since))

    @property
    def edges(self) -> list[TimeSpan]:
        """What is in no whole hour, before and after them."""
        since, until = self.hours
        spans = ((self.window.since, since), (until, self.window.until))
        return [span for span in spans if span[0] < span[1]]

    def is_thin(self, listing: Listing) -> bool:
        """Return whether an edge needs rows that are not kept any more."""
        since, until = self.hours
        cuts = [
            edge
            for edge, whole in ((self.window.since, since), (self.window.until, until))
            if edge != whole or since == until
        ]
        return any(map(listing.is_thin, cuts))

    def sources(self, listing: Listing) -> dict[str, Source]:
        """Return the sources of the text intervals: no file without rows of the window."""
        rolled: Sequence[Path] = ()
        recent: Sequence[Path] = ()
        if self.hours[0] < self.hours[1]:
            found = listing.files("stmt_1h", hot="stmt").within(self.hours)
            rolled, recent = [file.path for file in found.compacted], found.hot
        near = listing.files("stmt").within(*self.edges).paths if self.edges else []
        return {
            "hours": (rolled, ROLLUP),
            "recent": (recent, SCHEMAS["stmt"]),
            "edges": (near, SCHEMAS["stmt"]),
        }

    def intervals(self, engine: Engine) -> str:
        """Return the text intervals, a part of other texts, for this window."""
        parameters = _bounds(engine, self.window) | {
            "hours_from": engine.instant(self.hours[0]),
            "hours_until": engine.instant(self.hours[1]),
        }
        return load_text("intervals").format(**parameters)


def statements(engine: Engine, split: SplitWindow, ids: Sequence[int]) -> Query:
    """Return the query for what each statement of servers did in a window."""
    parameters = {"of_servers": _of_servers(ids), "intervals": split.intervals(engine)}
    return Query("statements", split.sources, parameters)


def places(
    engine: Engine, split: SplitWindow, ids: Sequence[int], groups: pa.Table, step_us: int
) -> Query:
    """Return the query for what groups of statements did in each bucket.

    Args:
        engine: Which dialect is written.
        split: The window; split it without hours if a bucket is no whole hours.
        ids: The servers.
        groups: Columns of PLACES: the number of the group of each statement.
        step_us: Length of a bucket in microseconds, or WHOLE.
    """
    parameters = {
        "of_servers": _of_servers(ids),
        "intervals": split.intervals(engine),
        "bucket": _bucket(engine, step_us),
    }
    return Query("places", lambda listing: split.sources(listing) | {"places": groups}, parameters)


def samples(engine: Engine, window: Window, ids: Sequence[int], step_us: int) -> Query:
    """Return the query for the intervals of servers, added up by bucket and quality."""
    reads = ",\n    ".join(
        f"CAST(SUM(f.{column}) AS BIGINT) AS {name}"
        for name, column in READS.items()
        if name not in {"blocks", *EARLIER}
    )
    earlier = ",\n    ".join(_EARLIER_SUM[name].format(name=name) for name in EARLIER)
    return rows_in(
        engine,
        "samples",
        "sample",
        window,
        ids,
        bucket=_bucket(engine, step_us),
        reads=reads,
        earlier=earlier.format(is_earlier=_is_earlier(engine, window, step_us)),
        ends=engine.ends(),
    )


_EARLIER_SUM: Mapping[str, str] = {
    name: f"{amount}(CASE WHEN {{{{is_earlier}}}} THEN f.{{name}} END){end} AS {{name}}"
    for name, amount, end in (
        ("earlier_blocks", "CAST(SUM", " AS BIGINT)"),
        ("earlier_catalog_blocks", "CAST(SUM", " AS BIGINT)"),
        ("earlier_since", "MIN", ""),
        ("earlier_until", "MAX", ""),
    )
}


def _is_earlier(engine: Engine, window: Window, step_us: int) -> str:
    """Return the condition of what was read before the window, or before its bucket."""
    before = f"f.earlier_since IS NULL OR f.earlier_since < {engine.instant(window.since)}"
    if not step_us:
        return before
    buckets = (engine.bucket(step_us, column) for column in ("f.earlier_since", "f.ts"))
    return f"{before} OR {' < '.join(buckets)}"


def facts(engine: Engine, table: str, window: Window, ids: Sequence[int]) -> Query:
    """Return the query for the rows of a table of SCHEMAS, by time."""
    columns = [f"f.{name}" for name in SCHEMAS[table].names]
    # Engines differ in where NULL goes by default.
    order = ", ".join(f"{column} NULLS FIRST" for column in columns)
    return rows_in(engine, "facts", table, window, ids, columns=", ".join(columns), order=order)


def relation_stats(engine: Engine, table: str, window: Window, ids: Sequence[int]) -> Query:
    """Return the query for what tables or indexes counted in a window.

    Args:
        engine: Which dialect is written.
        table: One of RELATION_STATS.
        window: The window; an interval belongs to it that starts in it.
        ids: The servers.
    """
    (key,) = FACTS[table].key
    columns = [_over_time(column) for column in columns_of(FACTS[table]) if column.name != key]
    return rows_in(
        engine,
        "relation_stats",
        table,
        window,
        ids,
        key=key,
        columns=",\n    ".join(columns),
    )


def _over_time(column: CounterColumn) -> str:
    """Return the sum of a counter, the latest time of an event, or the newest value."""
    name = column.name
    if column.kind.is_counter:
        return f"CAST(SUM(f.{name}) AS BIGINT) AS {name}"
    if column.kind is ColumnKind.EVENT:
        return f"MAX(f.{name}) AS {name}"
    return f"MAX_BY(f.{name}, f.ts) AS {name}"


def rows_in(
    engine: Engine, text: str, table: str, window: Window, ids: Sequence[int], **parameters: str
) -> Query:
    """Return a query for the rows of one table of servers in a window."""

    def sources(listing: Listing) -> Mapping[str, Source]:
        found = listing.files(table).within((window.since, window.until))
        return {"facts": (found.paths, SCHEMAS[table])}

    bounds = _bounds(engine, window) | {"of_servers": _of_servers(ids)}
    return Query(text, sources, bounds | parameters)


def servers(engine: Engine, paths: Sequence[Path]) -> Query:
    """Return the query for the servers of some files of samples."""
    sound = _SOUND.format(since=engine.instant(EPOCH), until=engine.instant(_NO_LATER))
    source = {"facts": (paths, SCHEMAS["sample"])}
    return Query("servers", lambda _: source, {"ends": engine.ends(), "sound": sound})


def _bounds(engine: Engine, window: Window) -> dict[str, str]:
    return {"since": engine.instant(window.since), "until": engine.instant(window.until)}


def _bucket(engine: Engine, step_us: int) -> str:
    return engine.bucket(step_us) if step_us else "CAST(0 AS BIGINT)"


def _of_servers(ids: Sequence[int]) -> str:
    return f"f.server_id IN ({', '.join(map(str, ids))})"
