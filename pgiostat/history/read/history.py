"""A history opened for reading: its servers, their totals over a window, and names."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from pgiostat.analysis.rank import OF_RELATIONS, By
from pgiostat.history.engines import DUCKDB, UnreadableError, engine_of
from pgiostat.history.format.clock_skew import MAX_CLOCK_SKEW
from pgiostat.history.format.file_index import Listing
from pgiostat.history.format.layout import HistoryFiles
from pgiostat.history.format.root import check
from pgiostat.history.read import plan
from pgiostat.history.read.arrow import EPOCH, instants, rows_by_server
from pgiostat.history.read.names import NameSpan, restore_names, spans
from pgiostat.history.read.plan import WHOLE, SplitWindow
from pgiostat.history.read.query_runner import QueryRunner
from pgiostat.history.read.window_totals import (
    IntervalStats,
    WindowTotals,
    lost_in,
    together,
    totals_of,
)
from pgiostat.history.read.windows import HOUR, ServerSpan, Window, nothing_between, servers_of
from pgiostat.statistics.names import Describe, Names
from pgiostat.volume.device.interval import MEASURED, DeviceInterval, origin, totals

__all__ = ["History"]


@dataclass(slots=True)
class History(QueryRunner):
    """A history, opened for reading; several may read while a collector writes."""

    _known: tuple[list[Path], list[ServerSpan]] = field(default_factory=lambda: ([], []))

    @classmethod
    def open(cls, root: Path | str, *, skip_bad: bool = False, engine: str = DUCKDB) -> "History":
        """Open a history.

        Args:
            root: Its directory, or its URI in an object store.
            skip_bad: Leave out files that cannot be read, and note them in left_out.
            engine: What runs the queries: "duckdb", or Spark as "spark://HOST:PORT",
                "sc://HOST:PORT" or "local[N]".

        Returns:
            The history; close it after use.

        Raises:
            PgiostatError: history-missing, history-format, engine-unknown, or the store's.
        """
        layout = _find(root)
        return cls(layout, engine_of(engine, layout.stored), skip_bad=skip_bad)

    # servers

    def servers(self) -> list[ServerSpan]:
        """Return the servers of the history, by label and time."""
        there = self.with_listing(lambda listing: listing.files("sample").paths)
        if there != self._known[0]:
            self.with_listing(Listing.check_beside)
            found = self.with_listing(
                lambda listing: self._servers_in(listing, listing.files("sample").paths)
            )
            self._known = there, found
        return self._known[1]

    def _servers_in(self, listing: Listing, paths: Sequence[Path]) -> list[ServerSpan]:
        """Return the servers of some files of samples.

        Raises UnreadableError if a sample has numbers that no collector writes.
        """
        rows = self.run(plan.servers(self.engine, paths), listing)
        if any(rows["odd"].to_pylist()):
            odd = next((path for path in paths if self._is_odd(listing, path)), None)
            raise UnreadableError(odd, "Its numbers are not possible for a sample.")
        columns = [
            rows["server_id"].to_pylist(),
            rows["label"].to_pylist(),
            instants(rows["since"]),
            instants(rows["until"]),
            rows["samples"].to_pylist(),
            [timedelta(microseconds=each) for each in rows["longest_lost_us"].to_pylist()],
        ]
        return [ServerSpan(*row) for row in zip(*columns, strict=True)]

    def _is_odd(self, listing: Listing, path: Path) -> bool:
        return any(self.run(plan.servers(self.engine, [path]), listing)["odd"].to_pylist())

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
        found = self.with_listing(
            lambda listing: self._servers_in(listing, listing.newest_samples())
        )
        ends = [server.until for server in found if server.server_id in ids]
        return max(
            (end for end in ends if end <= now + MAX_CLOCK_SKEW), default=max(ends, default=latest)
        )

    def choose(self, label: str) -> list[ServerSpan]:
        """Return the servers of a label, all for an empty one.

        Raises:
            PgiostatError: label-unknown, with the labels there are, and history-empty.
        """
        return servers_of(label, self.servers(), self.layout.root)

    # a window

    def totals(self, window: Window, by: By = By.CATEGORY) -> WindowTotals:
        """Return the counts of a window that a ranking needs.

        Args:
            window: The time window, and its label.
            by: What is ranked: those of OF_RELATIONS need relations instead of statements.

        Raises:
            PgiostatError: window-empty if no interval began in it, label-unknown,
                history-empty, history-unreadable.
        """
        return self.consistent(lambda: self._totals(window, by))

    def _totals(self, wanted: Window, by: By) -> WindowTotals:
        servers = self.choose(wanted.label)
        split = self._answerable(wanted)
        window = split.window
        sampled = self.sampled(window, servers)
        earlier = self._lost_earlier(window, servers)
        if not sampled:
            lost = sum(earlier.values())
            raise nothing_between(wanted.since, wanted.until, servers, self.left_out, lost=lost)
        ids = list(sampled)
        of_id = {server.server_id: server for server in servers}
        statements: dict[int, pa.Table] = {}
        relations: dict[int, pa.Table] = {}
        databases: dict[int, pa.Table] = {}
        if by in OF_RELATIONS:
            relations, databases = (
                rows_by_server(self.query(plan.rows_in(self.engine, text, table, window, ids)), ids)
                for text, table in (("relations", "relation"), ("databases", "database"))
            )
        else:
            rows = self.query(plan.statements(self.engine, split, ids))
            statements = rows_by_server(rows, ids)
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
            widened=window != wanted,
            devices=tuple(
                replace(total, server=of_id[server].label)
                for server, intervals in self.device(window).items()
                for total in totals(intervals, window.since, window.until)
            ),
            left_out=tuple(sorted(self.left_out)),
        )

    def _lost_earlier(self, window: Window, servers: Sequence[ServerSpan]) -> dict[str, float]:
        """Return the seconds of a window that are in lost times which began before it, by cause."""
        longest = max(server.longest_lost for server in servers)
        if not longest:
            return {}
        before = replace(window, since=max(window.since - longest, EPOCH), until=window.since)
        ids = [server.server_id for server in servers]
        rows = self.query(plan.rows_in(self.engine, "lost", "sample", before, ids))
        return lost_in(window, rows)

    def sampled(self, window: Window, servers: Sequence[ServerSpan]) -> dict[int, IntervalStats]:
        """Return the intervals of servers in a window added up, by server_id; none has no key."""
        return {
            server: IntervalStats.of(buckets[WHOLE])
            for server, buckets in self.samples(window, servers).items()
        }

    def answerable(self, window: Window) -> Window:
        """Return a window, widened to whole hours if its edges are not kept in detail."""
        return self._answerable(window).window

    def _answerable(self, window: Window) -> SplitWindow:
        split = SplitWindow.of(window)
        return SplitWindow.of(window.widened()) if self.with_listing(split.is_thin) else split

    def facts(self, table: str, window: Window, ids: Sequence[int]) -> pa.Table:
        """Return the rows of a table of SCHEMAS in a window, by time."""
        return self.query(plan.facts(self.engine, table, window, ids))

    def device(self, window: Window) -> dict[int, list[DeviceInterval]]:
        """Return the intervals of devices that begin in a window, by server_id and time.

        A server without any has no key.
        """
        ids = [server.server_id for server in self.choose(window.label)]
        found: dict[int, list[DeviceInterval]] = {}
        for row in self.facts("device", window, ids).to_pylist():
            interval = DeviceInterval(
                begin=row["ts"],
                seconds=row["dur_us"] / 1e6,
                source=origin(row["source"]),
                name=row["name"],
                **{name: row[name] for name in MEASURED},
            )
            found.setdefault(row["server_id"], []).append(interval)
        return found

    # a window in steps

    def samples(
        self, window: Window, servers: Sequence[ServerSpan], step_us: int = WHOLE
    ) -> dict[int, dict[int, list[dict[str, Any]]]]:
        """Return rows of the text samples, by server_id and bucket."""
        ids = [server.server_id for server in servers]
        found: dict[int, dict[int, list[dict[str, Any]]]] = {}
        for row in self.query(plan.samples(self.engine, window, ids, step_us)).to_pylist():
            found.setdefault(row["server_id"], {}).setdefault(row["bucket"], []).append(row)
        return found

    def places(
        self, window: Window, servers: Sequence[ServerSpan], places: pa.Table, step_us: int = WHOLE
    ) -> pa.Table:
        """Return what groups of statements did: a row for each bucket, server and group.

        Args:
            window: From when to when.
            servers: The servers.
            places: Columns of PLACES: the number of the group of each statement.
            step_us: Length of a bucket in microseconds; whole hours are read from the rollup.
        """
        split = SplitWindow.of(window, hours=step_us % (HOUR.total_seconds() * 1_000_000) == 0)
        ids = [server.server_id for server in servers]
        return self.query(plan.places(self.engine, split, ids, places, step_us))

    # names

    def names(self, describe: Describe, window: Window | None = None) -> dict[int, Names]:
        """Return what ids mean on each server, by server_id, each statement described again.

        A better rule corrects the past.

        Args:
            describe: Gives the category and the text of a statement.
            window: When the names are to hold; the newest ones if None.
        """
        time = {} if window is None else {"since": window.since, "until": window.until}
        return restore_names(
            self.dimension("name"),
            self.dimension("statement"),
            describe,
            definitions=self.dimension("definition"),
            **time,
        )

    def named(self) -> dict[tuple[int, str, int], list[NameSpan]]:
        """Return the names of each (server_id, kind, oid), and from when to when each held."""
        return spans(self.dimension("name"))


def _find(root: Path | str) -> HistoryFiles:
    words = str(root)
    if "://" in words and not words.startswith("file://"):
        from pgiostat.history.remote.remote_layout import RemoteLayout  # noqa: PLC0415 - Arrow's file systems take time

        return RemoteLayout.open(words)
    return check(Path(words.removeprefix("file://")))
