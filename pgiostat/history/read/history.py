"""Questions asked of a history: what was counted in a time, and how sure that is."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from pgiostat.analysis.rank import By
from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.history.engines import (
    DUCKDB,
    DuckDB,
    Engine,
    Source,
    UnreadableError,
    engine_of,
    text_of,
)
from pgiostat.history.format.clock_skew import FAR_AHEAD
from pgiostat.history.format.file_index import Listing
from pgiostat.history.format.layout import HistoryFiles, check
from pgiostat.history.format.schema import READS, ROLLUP, SCHEMAS
from pgiostat.history.format.validation import Validator
from pgiostat.history.read.names import Span, restore_names, spans
from pgiostat.history.read.window_totals import (
    IntervalStats,
    WindowTotals,
    cause_of,
    together,
    totals_of,
)
from pgiostat.history.read.windows import HOUR, ServerSpan, Window, whole_hours
from pgiostat.statistics.names import Describe, Names
from pgiostat.units import format_duration
from pgiostat.volume.device.interval import MEASURED, DeviceInterval, origin, totals

__all__ = ["PLACES", "WHOLE", "History", "nothing_between"]

ATTEMPTS = 10
"""How often files are listed anew when a collector seals or removes them meanwhile."""
WHOLE = 0
"""The step that makes one bucket of a whole time."""
PLACES = pa.schema([pa.field("sid", pa.int64()), pa.field("place", pa.int64())])

_T = TypeVar("_T")
Sources = Callable[[Listing], Mapping[str, Source]]


@dataclass(slots=True)
class History:
    """A history, opened for reading; several may read while a collector writes.

    skip_bad: leave files out that cannot be read, and note them in left_out.
    """

    layout: HistoryFiles
    engine: Engine = field(default_factory=DuckDB)
    skip_bad: bool = False
    left_out: set[Path] = field(default_factory=set)
    _known: tuple[list[Path], list[ServerSpan]] = field(default_factory=lambda: ([], []))
    _sound: Validator = field(init=False)

    def __post_init__(self) -> None:
        # One set: what is left out is in no list of the layout's either.
        self.layout.without.update(self.left_out)
        self.left_out = self.layout.without
        self._sound = Validator(self.layout.stored)

    @classmethod
    def open(cls, root: Path | str, *, skip_bad: bool = False, engine: str = DUCKDB) -> "History":
        """Return a history; root: a directory, or the URI of one in an object store.

        Raises PgiostatError as check, RemoteLayout.open and engine_of do.
        """
        layout = _find(root)
        return cls(layout, engine_of(engine, layout.stored), skip_bad=skip_bad)

    def close(self) -> None:
        """Give back what questions took; nothing can be asked any more."""
        self.engine.close()

    # what is there

    def servers(self) -> list[ServerSpan]:
        """Return the servers of the history, by label and time."""
        there = self.reading(lambda listing: listing.files("sample").paths)
        if there != self._known[0]:
            self.reading(Listing.check_beside)
            found = self.reading(
                lambda listing: self._servers_in(listing, listing.files("sample").paths)
            )
            self._known = there, found
        return self._known[1]

    def _servers_in(self, listing: Listing, paths: Sequence[Path]) -> list[ServerSpan]:
        """Return the servers of some files of samples."""
        rows = self._watched(listing, paths)
        columns = [
            rows["server_id"].to_pylist(), rows["label"].to_pylist(), instants(rows["since"]),
            instants(rows["until"]), rows["samples"].to_pylist(),
            [timedelta(microseconds=each) for each in rows["longest_lost_us"].to_pylist()],
        ]  # fmt: skip
        return [ServerSpan(*row) for row in zip(*columns, strict=True)]

    def _watched(self, listing: Listing, paths: Sequence[Path]) -> pa.Table:
        """Return rows of the text servers; raises UnreadableError for samples that cannot be."""
        instant = self.engine.instant
        sound = _SOUND.format(since=instant(_EPOCH), until=instant(_NO_LATER))
        sql = text_of("servers").format(ends=self.engine.ends(), sound=sound)

        def rows(paths: Sequence[Path]) -> pa.Table:
            facts = {"facts": (paths, SCHEMAS["sample"])}
            return self.engine.query(sql, self._sources(listing, lambda _: facts))

        found = rows(paths)
        if any(found["odd"].to_pylist()):
            odd = next((path for path in paths if any(rows([path])["odd"].to_pylist())), None)
            raise UnreadableError(odd, "Its numbers are none that a sample has.")
        return found

    def newest(self, servers: Sequence[ServerSpan], now: datetime) -> datetime:
        """Return when the newest interval of servers ends, by the order of their commits.

        It is the latest end, unless a server's clock was ahead for some time.

        Args:
            servers: At least one server of the history.
            now: The current time by our own clock.
        """
        latest = max(server.until for server in servers)
        if latest <= now:
            return latest
        ids = {server.server_id for server in servers}
        found = self.reading(lambda listing: self._servers_in(listing, listing.newest_samples()))
        ends = [server.until for server in found if server.server_id in ids]
        return max(
            (end for end in ends if end <= now + FAR_AHEAD), default=max(ends, default=latest)
        )

    def choose(self, label: str) -> list[ServerSpan]:
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

    def totals(self, window: Window, by: By = By.CATEGORY) -> WindowTotals:
        """Return what was counted in a window, as far as a ranking by something needs it.

        Raises PgiostatError window-empty if no interval began in it, history-unreadable.
        """
        return self.consistent(lambda: self._totals(window, by))

    def consistent(self, ask: Callable[[], _T]) -> _T:
        """Return what several questions tell together, asked anew if a file was left out meanwhile.

        What the earlier ones told is in it, what the later ones tell is not.
        """
        while True:
            before = set(self.left_out)
            told = ask()
            if before == self.left_out:
                return told

    def _totals(self, window: Window, by: By) -> WindowTotals:
        servers = self.choose(window.label)
        asked, window = window, self.answerable(window)
        sampled = {
            server: IntervalStats.of(buckets[WHOLE])
            for server, buckets in self.samples(window, servers).items()
        }
        earlier = self._lost_earlier(window, servers)
        if not sampled:
            raise nothing_between(
                asked.since, asked.until, servers, self.left_out, lost=sum(earlier.values())
            )
        ids = list(sampled)
        of_id = {server.server_id: server for server in servers}
        statements: dict[int, pa.Table] = {}
        relations: dict[int, pa.Table] = {}
        databases: dict[int, pa.Table] = {}
        if by is By.RELATION:
            relations = _by_server(self._plain("relations", "relation", window, ids), ids)
            databases = _by_server(self._plain("databases", "database", window, ids), ids)
        else:
            statements = _by_server(self._statements(window, ids), ids)
        counts = {
            server: totals_of(
                of_id[server],
                sampled[server],
                statements.get(server),
                relations.get(server),
                databases.get(server),
            )
            for server in ids
        }
        return WindowTotals(
            window=window,
            servers=tuple(server for server in servers if server.server_id in sampled),
            counted=counts,
            sampled=together(list(sampled.values())),
            lost_earlier=earlier,
            widened=window != asked,
            devices=tuple(
                replace(total, server=of_id[server].label)
                for server, those in self.device(window).items()
                for total in totals(those, window.since, window.until)
            ),
            left_out=tuple(sorted(self.left_out)),
        )

    def _lost_earlier(self, window: Window, servers: Sequence[ServerSpan]) -> dict[str, float]:
        """Return the seconds of a window that are in lost times which began before it, by cause."""
        longest = max(server.longest_lost for server in servers)
        if not longest:
            return {}
        before = replace(window, since=max(window.since - longest, _EPOCH), until=window.since)
        ids = [server.server_id for server in servers]
        rows = self._plain("lost", "sample", before, ids)
        found: dict[str, float] = {}
        columns = (instants(rows["ts"]), rows["qualities"].to_pylist(), rows["lost_us"].to_pylist())
        for began, qualities, lost_us in zip(*columns, strict=True):
            end = min(began + timedelta(microseconds=lost_us), window.until)
            if (within := (end - window.since).total_seconds()) > 0:
                cause = cause_of(qualities)
                found[cause] = found.get(cause, 0.0) + within
        return found

    def names(self, describe: Describe, window: Window | None = None) -> dict[int, Names]:
        """Return what ids mean on each server in a window, each statement described again.

        A better rule corrects the past.  Without a window names are the newest ones.
        """
        time = {} if window is None else {"since": window.since, "until": window.until}
        return restore_names(
            self._dimension("name"), self._dimension("statement"), describe, **time
        )

    def named(self) -> dict[tuple[int, str, int], list[Span]]:
        """Return what each (server_id, kind, oid) was called, and from when to when."""
        return spans(self._dimension("name"))

    def answerable(self, window: Window) -> Window:
        """Return a window, made of whole hours if nothing smaller is kept of its edges."""
        since, until = whole_hours(window)
        edges = [
            edge
            for edge, whole in ((window.since, since), (window.until, until))
            if edge != whole or since == until
        ]
        is_thin = self.reading(lambda listing: any(map(listing.is_thin, edges)))
        return window.widened() if is_thin else window

    def facts(self, table: str, window: Window, ids: Sequence[int]) -> pa.Table:
        """Return the rows of a table of SCHEMAS in a window, by time."""
        columns = [f"f.{name}" for name in SCHEMAS[table].names]
        # Engines differ in where an unknown goes if it is not said.
        order = ", ".join(f"{column} NULLS FIRST" for column in columns)
        return self._plain("facts", table, window, ids, columns=", ".join(columns), order=order)

    def device(self, window: Window) -> dict[int, list[DeviceInterval]]:
        """Return what the devices of servers did, by server: what began in a window, by time.

        A server without any is left out.
        """
        ids = [server.server_id for server in self.choose(window.label)]
        found: dict[int, list[DeviceInterval]] = {}
        for row in self.facts("device", window, ids).to_pylist():
            told = DeviceInterval(
                begin=row["ts"],
                seconds=row["dur_us"] / 1e6,
                source=origin(row["source"]),
                name=row["name"],
                **{name: row[name] for name in MEASURED},
            )
            found.setdefault(row["server_id"], []).append(told)
        return found

    # in steps

    def samples(
        self, window: Window, servers: Sequence[ServerSpan], step_us: int = WHOLE
    ) -> dict[int, dict[int, list[dict[str, Any]]]]:
        """Return rows of the text samples, by server and bucket."""
        rows = self._plain(
            "samples",
            "sample",
            window,
            [s.server_id for s in servers],
            bucket=self._bucket(step_us),
            reads=",\n    ".join(
                f"CAST(SUM(f.{column}) AS BIGINT) AS {name}"
                for name, column in READS.items()
                if name != "blocks"
            ),
        ).to_pylist()
        found: dict[int, dict[int, list[dict[str, Any]]]] = {}
        for row in rows:
            found.setdefault(row["server_id"], {}).setdefault(row["bucket"], []).append(row)
        return found

    def places(
        self, window: Window, servers: Sequence[ServerSpan], places: pa.Table, step_us: int = WHOLE
    ) -> pa.Table:
        """Return what groups of statements did, by bucket and server: a row for each.

        places: columns of PLACES.  Buckets of whole hours are read from the rollup.
        """
        hours = step_us % (HOUR.total_seconds() * 1_000_000) == 0
        return self.query(
            "places",
            lambda listing: {
                **self._intervals(listing, window, hours=hours),
                "places": places,
            },
            self._gaps(window, [s.server_id for s in servers], hours=hours)
            | {"bucket": self._bucket(step_us)},
        )

    def _bucket(self, step_us: int) -> str:
        return self.engine.bucket(step_us) if step_us else "CAST(0 AS BIGINT)"

    # how

    def _statements(self, window: Window, ids: Sequence[int]) -> pa.Table:
        return self.query(
            "statements", lambda listing: self._intervals(listing, window), self._gaps(window, ids)
        )

    def _gaps(self, window: Window, ids: Sequence[int], *, hours: bool = True) -> dict[str, str]:
        since, until = whole_hours(window) if hours else (window.since, window.since)
        instant = self.engine.instant
        gaps = {
            "since": instant(window.since),
            "until": instant(window.until),
            "hours_from": instant(since),
            "hours_until": instant(until),
        }
        return gaps | {
            "whose": f"f.server_id IN ({', '.join(map(str, ids))})",
            "intervals": text_of("intervals").format(**gaps),
        }

    @staticmethod
    def _intervals(listing: Listing, window: Window, *, hours: bool = True) -> Mapping[str, Source]:
        """Return the sources of the text intervals: no file that cannot hold anything of it."""
        since, until = whole_hours(window) if hours else (window.since, window.since)
        raw = listing.files("stmt")
        rolled: Sequence[Path] = ()
        recent: Sequence[Path] = ()
        if since < until:
            of_hours = listing.files("stmt_1h", hot="stmt").within((since, until))
            rolled, recent = [file.path for file in of_hours.sealed], of_hours.hot
        edges = [
            span for span in ((window.since, since), (until, window.until)) if span[0] < span[1]
        ]
        near = raw.within(*edges).paths if edges else []
        return {
            "hours": (rolled, ROLLUP),
            "recent": (recent, SCHEMAS["stmt"]),
            "edges": (near, SCHEMAS["stmt"]),
        }

    def _plain(
        self, text: str, table: str, window: Window, ids: Sequence[int], **gaps: str
    ) -> pa.Table:
        span = (window.since, window.until)
        return self.query(
            text,
            lambda listing: {"facts": (listing.files(table).within(span).paths, SCHEMAS[table])},
            self._gaps(window, ids) | gaps,
        )

    def query(self, text: str, sources: Sources, gaps: Mapping[str, str]) -> pa.Table:
        """Return the rows of a text of sql/history; files are listed anew if one went meanwhile."""
        return self.rows(text_of(text).format(**gaps), sources)

    def rows(self, sql: str, sources: Sources) -> pa.Table:
        """Return the rows of a query."""
        return self.reading(lambda listing: self.engine.query(sql, self._sources(listing, sources)))

    def _sources(self, listing: Listing, sources: Sources) -> Mapping[str, Source]:
        """Return sources, of which every file is sound."""
        found = sources(listing)
        for source in found.values():
            if not isinstance(source, pa.Table):
                self._sound.check(*source)
        return found

    def stream(self, sql: str, sources: Sources) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a query that orders them, in batches; at least one, perhaps empty."""

        def begin(listing: Listing) -> tuple[pa.RecordBatch, Iterator[pa.RecordBatch]]:
            batches = iter(self.engine.stream(sql, self._sources(listing, sources)))
            return next(batches, None), batches

        first, rest = self.reading(begin)
        yield first if first is not None else self.rows(sql, sources)
        yield from rest

    def _dimension(self, table: str) -> list[dict[str, Any]]:
        columns = [name for name in SCHEMAS[table].names if name != "first_seen"]

        def read(listing: Listing) -> list[dict[str, Any]]:
            rows: list[dict[str, Any]] = []
            for path in listing.dimension_files(table):
                values = self._sound.columns(path, SCHEMAS[table], columns)
                rows += [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]
            return rows

        return self.reading(read)

    def reading(self, read: Callable[[Listing], _T]) -> _T:
        """Return what is read, from files listed anew if one went meanwhile."""
        gone = 0
        while True:
            try:
                return read(Listing(self.layout, self.left_out))
            except UnreadableError as error:
                if error.slug == "history-changed" and gone < ATTEMPTS:
                    gone += 1
                    self.layout.forget()
                elif self.skip_bad and error.path and error.path not in self.left_out:
                    self.left_out.add(error.path)
                elif error.slug == "history-changed" and error.path is not None:
                    why = "It is missing, and other files of the history say that it is there."
                    raise UnreadableError(error.path, why) from None
                else:
                    raise


def _find(root: Path | str) -> HistoryFiles:
    words = str(root)
    if "://" in words and not words.startswith("file://"):
        from pgiostat.history.remote.remote_layout import RemoteLayout  # noqa: PLC0415 - Arrow's file systems take time

        return RemoteLayout.open(words)
    return check(Path(words.removeprefix("file://")))


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NO_LATER = datetime(9000, 1, 1, tzinfo=UTC)
_SOUND = (
    "ts >= {since} AND ts < {until} AND dur_us BETWEEN 0 AND 3155760000000000"  # a hundred years
    " AND block_size BETWEEN 1 AND 1048576 AND version_num BETWEEN 0 AND 100000000"
    f" AND statement_blocks BETWEEN 0 AND {1 << 56} AND unknown BETWEEN 0 AND {1 << 56}"
    f" AND own_us BETWEEN 0 AND {1 << 56}"
    " AND COALESCE(lost_us, 0) BETWEEN 0 AND 3155760000000000"
    f" AND COALESCE(evicted, 0) BETWEEN 0 AND {1 << 56}"
)
"""Of a sample: what can be reckoned with. All else is somebody's invention."""


def instants(column: pa.ChunkedArray) -> list[datetime]:
    """Return timestamps; Arrow's own way imports pandas, which takes longer than most reports."""
    microseconds: list[int] = column.to_numpy().astype("datetime64[us]").astype(np.int64).tolist()
    return [_EPOCH + timedelta(microseconds=each) for each in microseconds]


def nothing_between(
    since: datetime,
    until: datetime,
    servers: Sequence[ServerSpan],
    left_out: Collection[Path] = (),
    *,
    lost: float = 0.0,
) -> PgiostatError:
    """Return the error that a time holds nothing of servers.

    Args:
        since: When the time begins.
        until: When it ends.
        servers: The servers that were looked for.
        left_out: Files that could not be read.
        lost: Seconds of it that are in a lost time which began before.
    """
    reasons = [f"What statements read in {format_duration(lost)} of it is lost."] if lost else []
    reasons += [f'Left out, because it could not be read: "{path}"' for path in sorted(left_out)]
    first = min(server.since for server in servers)
    last = max(server.until for server in servers)
    return PgiostatError(
        f"there is nothing between {since.astimezone(UTC):%Y-%m-%d %H:%M:%S} and"
        f" {until.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC",
        detail="; ".join(reasons) or None,
        hint=f"The history goes from {first:%Y-%m-%d %H:%M:%S} to {last:%Y-%m-%d %H:%M:%S} UTC.",
        slug="window-empty",
        status=ExitStatus.NOTHING_TO_REPORT,
    )


def _by_server(rows: pa.Table, ids: Sequence[int]) -> dict[int, pa.Table]:
    """Return the rows of each server, of rows that a query ordered by server first."""
    whose = rows["server_id"].to_numpy()
    begins, ends = (np.searchsorted(whose, ids, side).tolist() for side in ("left", "right"))
    return {
        server: rows.slice(begin, end - begin)
        for server, begin, end in zip(ids, begins, ends, strict=True)
    }
