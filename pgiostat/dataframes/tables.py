"""The tables of a history as frames: servers, intervals, pg_stat_io and devices."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pandas as pd

from pgiostat.analysis.server_reads import MEASURED
from pgiostat.dataframes.arguments import normalize_time
from pgiostat.dataframes.attrs import with_attrs
from pgiostat.dataframes.dtypes import framed, mapper, shown_in
from pgiostat.escape import terminal
from pgiostat.history.format.schema import FACTS, READS, columns_of
from pgiostat.history.read.history import History
from pgiostat.history.read.window_spec import window
from pgiostat.history.read.window_totals import WindowTotals, together, totals_of
from pgiostat.history.read.windows import Window
from pgiostat.statistics.names import Describe
from pgiostat.statistics.row_deltas import Basis
from pgiostat.timespec import Instant, Length
from pgiostat.volume.device.interval import MEASURED as DEVICE

__all__ = ["TableFrames"]


@dataclass(slots=True, repr=False)
class TableFrames:
    """The tables of a history, row by row.

    Attributes:
        history: The history.
        describe: Returns the category of a statement, by the current rules.
    """

    history: History
    describe: Describe

    def __repr__(self) -> str:
        """Return the directory, the labels, and from when to when."""
        there = self.history.servers()
        summary = "no interval yet"
        if there:
            since = min(server.since for server in there).astimezone(UTC)
            until = max(server.until for server in there).astimezone(UTC)
            named = terminal(", ".join(dict.fromkeys(server.label for server in there)))
            summary = f"{named}, {since:%Y-%m-%d %H:%M:%SZ} – {until:%Y-%m-%d %H:%M:%SZ}"
        return f'<history "{terminal(str(self.history.layout.root))}": {summary}>'

    def servers(self) -> pd.DataFrame:
        """Return the servers of the history.

        Returns:
            A row for each server, by its label: since, until (UTC), samples (number of intervals).

        Raises:
            PgiostatError: history-unreadable.
        """
        rows = [
            {"server": s.label, "since": s.since, "until": s.until, "samples": s.samples}
            for s in self.history.servers()
        ]
        columns = ["server", "since", "until", "samples"]
        return framed(rows, columns).set_index("server")

    def samples(
        self,
        *,
        label: str = "",
        since: Instant | None = None,
        until: Instant | None = None,
        last: Length | None = None,
    ) -> pd.DataFrame:
        """Return the intervals of each server.

        Args:
            label: One server; all if empty.
            since: Start of the window; the start of the history if None.
            until: End of the window; the end of the newest interval if None.
            last: Length of the window, instead of a start.

        Returns:
            A row for each interval, by its start (UTC): server, seconds, quality, coverage (0 to
            1), statement_blocks, server_blocks, statements, appeared, vanished, dealloc, unknown,
            own_us, version_num and more; docs/history.md lists them.

        Raises:
            PgiostatError: option-invalid, window-empty, time-invalid, label-unknown,
                history-empty, history-unreadable.
        """
        span = self._window(label, since, until, last)
        frame = self._plain("sample", span)
        others = ["in_transit_blocks", "earlier_blocks"]
        blocks = frame[["statement_blocks", "server_blocks", *others]].astype("float64")
        settled = blocks["server_blocks"] - blocks[others].fillna(0.0).sum(axis=1)
        frame["coverage"] = blocks["statement_blocks"] / settled.where(settled > 0)
        frame = frame.drop(columns=["server_id", "label"])
        described = with_attrs(
            frame.rename(columns={"qualities": "quality"}), span, self._watched(span)
        )
        described.attrs["units"] |= {
            READS[name]: unit.value for name, (unit, _) in MEASURED.items() if unit.value
        }
        described.attrs["units"] |= {"block_size": "bytes"}
        return described

    def io(
        self,
        *,
        label: str = "",
        since: Instant | None = None,
        until: Instant | None = None,
        last: Length | None = None,
    ) -> pd.DataFrame:
        """Return rows of pg_stat_io in which anything happened; none before PostgreSQL 16.

        Args:
            label: One server; all if empty.
            since: Start of the window; the start of the history if None.
            until: End of the window; the end of the newest interval if None.
            last: Length of the window, instead of a start.

        Returns:
            A row for each interval and row of the view, by the start of the interval (UTC).
            Counters have PostgreSQL's names, times their unit; basis is in words.

        Raises:
            PgiostatError: option-invalid, window-empty, time-invalid, label-unknown,
                history-empty, history-unreadable.
        """
        span = self._window(label, since, until, last)
        frame = self._plain("io", span)
        found = shown_in(frame, {column.name: column.unit for column in columns_of(FACTS["io"])})
        words = {basis.value: basis.name.lower() for basis in Basis}
        frame["basis"] = frame["basis"].map(words).astype("string")
        described = with_attrs(frame.drop(columns=["server_id"]), span, self._watched(span))
        described.attrs["units"] |= found
        return described

    def device(
        self,
        *,
        label: str = "",
        since: Instant | None = None,
        until: Instant | None = None,
        last: Length | None = None,
    ) -> pd.DataFrame:
        """Return the counts of the servers' devices, from /proc/diskstats and CloudWatch.

        Args:
            label: One server; all if empty.
            since: Start of the window; the start of the history if None.
            until: End of the window; the end of the newest interval if None.
            last: Length of the window, instead of a start.

        Returns:
            A row for each interval of a device, by its start (UTC): seconds, server, source,
            device, and the columns of docs/device.md, times with their unit.

        Raises:
            PgiostatError: option-invalid, window-empty, time-invalid, label-unknown,
                history-empty, history-unreadable.
        """
        span = self._window(label, since, until, last)
        frame = self._plain("device", span).rename(columns={"name": "device"})
        found = shown_in(frame, {name: unit for name, (unit, _) in DEVICE.items()})
        described = with_attrs(frame.drop(columns=["server_id"]), span, self._watched(span))
        described.attrs["units"] |= found
        return described

    def _window(
        self, label: str, since: Instant | None, until: Instant | None, last: Length | None
    ) -> Window:
        now = datetime.now().astimezone()
        return window(
            self.history,
            now,
            label=label,
            since=normalize_time(since),
            until=normalize_time(until),
            last=normalize_time(last),
        )

    def _watched(self, span: Window) -> WindowTotals | None:
        """Return how good the intervals of a window are, without what was counted in them."""
        servers = {each.server_id: each for each in self.history.choose(span.label)}
        sampled = self.history.sampled(span, list(servers.values()))
        if not sampled:
            return None
        return WindowTotals(
            window=span,
            servers=tuple(each for each in servers.values() if each.server_id in sampled),
            counted={
                server: totals_of(servers[server], each, None, None, None)
                for server, each in sampled.items()
            },
            sampled=together(list(sampled.values())),
            left_out=tuple(sorted(self.history.left_out)),
        )

    def _plain(self, table: str, span: Window) -> pd.DataFrame:
        """Return rows of a table as they are, with the label of their server."""
        labels = {s.server_id: s.label for s in self.history.choose(span.label)}
        rows = self.history.facts(table, span, list(labels))
        frame: pd.DataFrame = rows.to_pandas(types_mapper=mapper)
        frame.insert(1, "server", frame["server_id"].map(labels).astype("string"))
        frame.insert(1, "seconds", frame.pop("dur_us").astype("float64") / 1e6)
        return frame.set_index("ts").rename_axis("interval_start")
