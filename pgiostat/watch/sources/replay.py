"""The replay source: a history, interval by interval, on the same screen."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from threading import Condition, Event

import numpy as np
import pyarrow as pa

from pgiostat.analysis.cost import FIELDS
from pgiostat.analysis.notices import happened
from pgiostat.analysis.rank import By, Totals
from pgiostat.analysis.server_reads import ServerReads
from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.history.read.arrow import instants
from pgiostat.history.read.history import History
from pgiostat.history.read.window_totals import reads_of_sample
from pgiostat.history.read.windows import Window
from pgiostat.statistics.columnar import Counts
from pgiostat.statistics.delta import Quality
from pgiostat.statistics.names import Describe, Names
from pgiostat.statistics.row_deltas import Basis
from pgiostat.timespec import instant
from pgiostat.units import MICROSECOND, format_version
from pgiostat.volume.bucket import CreditBucket
from pgiostat.volume.demand import load_of
from pgiostat.watch.model.interval import Interval, IoRow, SeekContext, Who
from pgiostat.watch.model.recent_reads import RECENT_SECONDS, RecentReads
from pgiostat.watch.model.session import KEPT, WatchSession
from pgiostat.watch.sources.disk import LONGEST, RecordedDisk
from pgiostat.watch.sources.recorded_tables import RecordedTables

__all__ = ["ReplaySource"]

_PLOTTED = ("calls", "shared_blks_hit", "shared_blks_read", "local_blks_read")
RECENT = timedelta(seconds=RECENT_SECONDS)
_QUALITIES = frozenset(quality.value for quality in Quality)
_BASES = frozenset(basis.value for basis in Basis)


class ReplaySource:
    """The intervals of one server of a history, played at a pace.

    window: what is played; it stops at its end.  interval: seconds that each is shown for.
    Raises PgiostatError as History.choose, option-invalid for a label of several servers, and
    window-empty.
    """

    def __init__(
        self,
        history: History,
        describe: Describe,
        window: Window,
        *,
        interval: float = 1.0,
        gauge: CreditBucket | None = None,
    ) -> None:
        self._history = history
        servers = history.choose(window.label)
        if len({server.label for server in servers}) > 1:
            there = ", ".join(dict.fromkeys(server.label for server in servers))
            raise PgiostatError(
                "a replay has one server",
                hint=f"Choose one with --label: {there}.",
                slug="option-invalid",
                status=ExitStatus.USAGE,
            )
        self._label = servers[0].label
        totals = history.totals(window)  # raises where there is nothing
        self._each = totals.sampled.reads.per_block.shared
        rows = history.facts("sample", window, [server.server_id for server in servers])
        self._starts = instants(rows["ts"])
        self._rows = rows
        devices = history.device(replace(window, since=window.since - LONGEST))
        devices_of = chain.from_iterable(devices.values())
        self._disk = RecordedDisk(devices_of, rows, reads_of_sample)
        self._tables = RecordedTables(
            history, window, [server.server_id for server in servers], self._starts
        )
        self._describe = describe
        self._changes = sorted(
            {since for columns in history.named().values() for since, _, _ in columns[1:]}
        )
        # A server that answered under one label after another has names of its own.
        self._names: dict[int, dict[int, Names]] = {}
        self._server_ids = rows["server_id"].to_pylist()
        self.session = WatchSession(self._names_at(0), gauge)
        self.interval = interval
        self.is_playing = True
        self._at = 0
        self._request: int | None = None
        self._changed = Condition()

    @property
    def position(self) -> tuple[int, int]:
        """Which interval is shown, of how many."""
        return min(self._at, len(self._starts)), len(self._starts)

    def started(self, place: int) -> datetime:
        """Return when an interval began."""
        return self._starts[place]

    def play(self, *, playing: bool) -> None:
        """Go on, or stand still."""
        with self._changed:
            self.is_playing = playing
            self._changed.notify()

    def seek(self, steps: int) -> None:
        """Show an interval so many before or after the one that is shown."""
        self._go(self._at - 1 + steps)

    def jump(self, words: str, now: datetime) -> str:
        """Show the interval of an instant: words as for --since. Raises PgiostatError.

        Return what is shown instead if there is nothing then, else nothing.
        """
        # A time of day is that of the day that is shown.
        day = self._starts[max(min(self._at - 1, len(self._starts) - 1), 0)]
        there = instant(words, day.astimezone(now.tzinfo), has_passed=False)
        self._go(max(bisect_right(self._starts, there) - 1, 0))
        first, last = self._starts[0], self._starts[-1]
        if there < first:
            return f"the replay begins at {first:%Y-%m-%d %H:%M:%SZ}"
        end = last + timedelta(microseconds=self._rows["dur_us"][-1].as_py())
        if there > end:
            return f"the replay ends at {end:%Y-%m-%d %H:%M:%SZ}"
        return ""

    def _has_request(self) -> bool:
        return self._request is not None

    def _go(self, place: int) -> None:
        with self._changed:
            self._request = min(max(place, 0), len(self._starts) - 1)
            self._changed.notify()

    def intervals(self, stop: Event) -> Iterator[Interval]:
        """Yield intervals until `stop` is set."""
        while not stop.is_set():
            with self._changed:
                request, self._request = self._request, None
                due = request is not None or self.is_playing
                place = self._at if request is None else request
            if due and place < len(self._starts):
                interval = self._interval_at(place)
                if place != self._at:
                    interval = replace(interval, before=self._before(place))
                self._at = place + 1
                yield interval
            with self._changed:
                # `stop` does not notify the condition, so this wait polls it.
                waited = 0.0
                while not self._has_request() and waited < self.interval and not stop.is_set():
                    self._changed.wait(min(0.1, self.interval - waited))
                    waited += 0.1

    def _before(self, place: int) -> SeekContext:
        """Return what a session knows that has come here interval by interval from its baseline."""
        began = self.session.began
        base = 0 if began is None else bisect_right(self._starts, began) - 1
        base = min(max(base, 0), place)
        first = max(place - KEPT, 0)
        return SeekContext(
            self._starts[base],
            self._between(base, place) if base < place else None,
            tuple(self._past(first, place)) if first < place else (),
            self._recent(place),
            self._tables.counts(
                self._starts[base], self._starts[place], self._server_ids[place], self._dbid(place)
            ),
        )

    def _recent(self, place: int) -> RecentReads:
        """Return the reads of the seconds before an interval, of the same server."""
        first = bisect_left(self._starts, self._starts[place] - RECENT)
        there = [
            each
            for each in range(first, place)
            if self._server_ids[each] == self._server_ids[place]
        ]
        if not there:
            return RecentReads()
        before = self._between(there[0], place).counted
        begin = self._starts[there[0]]
        return RecentReads() if before is None else RecentReads().after(before, begin)

    def _dbid(self, place: int) -> int:
        """Return the connected database."""
        return int(self._rows["dbid"][place].as_py())

    def _between(self, first: int, last: int) -> Interval:
        """Return all intervals from one to the one before another as one."""
        window = Window(self._starts[first], self._starts[last], self._label)
        rows = self._rows.slice(first, last - first).to_pylist()
        counted = _counted(self._history, window, self._server_ids[last])
        words = [word for row in rows for word in row["qualities"].split(", ")]
        known = [row for row in rows if row["server_blocks"] is not None]
        return Interval(
            since=window.since,
            until=window.until,
            qualities=_known(words),
            counted=counted,
            statement_blocks=sum(row["statement_blocks"] for row in known),
            reads=ServerReads.total(map(reads_of_sample, known), window.since),
            io=_io_rows(
                self._history.facts("io", window, [self._server_ids[last]]), counted.block_size
            ),
            disk=self._disk.between(first, last, counted.block_size),
        )

    def _past(self, first: int, last: int) -> Iterator[Interval]:
        """Yield what statements did in each of some intervals, as plots need it."""
        window = Window(self._starts[first], self._starts[last], self._label)
        rows = self._history.facts("stmt", window, sorted(set(self._server_ids)))
        # What nested statements read is in their callers' rows.
        rows = rows.filter(rows["toplevel"])
        times = {begin: place for place, begin in enumerate(self._starts[first:last], first)}
        by_place: dict[int, list[int]] = {}
        for number, begin in enumerate(instants(rows["ts"])):
            if begin in times:
                by_place.setdefault(times[begin], []).append(number)
        for place in range(first, last):
            those = rows.take(pa.array(by_place.get(place, []), pa.int64()))
            seconds = self._rows["dur_us"][place].as_py() / 1e6
            begin = self._starts[place]
            ids = [those[name].to_pylist() for name in ("userid", "dbid", "queryid")]
            counted = Totals(
                seconds=seconds,
                block_size=0,
                statements=list(zip(*ids, strict=True)),
                statement_amounts=_rates_of(those),
            )
            yield Interval(
                since=begin,
                until=begin + timedelta(seconds=seconds),
                counted=counted,
                statement_blocks=self._rows["statement_blocks"][place].as_py(),
                reads=reads_of_sample(self._rows.slice(place, 1).to_pylist()[0]),
            )

    def _interval_at(self, place: int) -> Interval:
        begin = self._starts[place]
        row = self._rows.slice(place, 1).to_pylist()[0]
        window = Window(begin, begin + MICROSECOND, self._label)
        counted = _counted(self._history, window, self._server_ids[place])
        self.session.names = self._names_at(place)
        seconds = row["dur_us"] / 1e6
        qualities = _known(row["qualities"].split(", "))
        load, provenance = load_of(counted.reads, seconds, counted.block_size, self._each)
        return Interval(
            Who(self._label, version=format_version(row["version_num"])),
            begin,
            (begin + timedelta(seconds=seconds)).astimezone(UTC),
            qualities,
            counted,
            statement_blocks=row["statement_blocks"],
            reads=counted.reads,
            io=_io_rows(
                self._history.facts("io", window, [self._server_ids[place]]), counted.block_size
            ),
            notices=tuple(
                happened(
                    qualities,
                    seconds,
                    row["evicted"],
                    row["lost_us"] / 1e6 if row["lost_us"] else None,
                )
            ),
            load=load,
            provenance=provenance,
            bases=_bases(self._history.facts("stmt", window, [self._server_ids[place]])),
            disk=self._disk.at(place, counted.block_size),
            tables=self._tables.news(
                begin,
                begin + timedelta(seconds=seconds),
                self._server_ids[place],
                self._dbid(place),
            ),
        )

    def _names_at(self, place: int) -> Names:
        """Return what ids meant in an interval: between two renames they are the same."""
        begin = self._starts[place]
        number = bisect_right(self._changes, begin)
        if number not in self._names:
            then = Window(begin, begin + MICROSECOND, self._label)
            self._names[number] = self._history.names(self._describe, then)
        return self._names[number].get(self._server_ids[place], Names())


def _bases(rows: pa.Table) -> dict[tuple[int, int, int], Basis]:
    """Return the basis of statements, of those that have another one than the previous snapshot."""
    names = ("userid", "dbid", "queryid", "toplevel", "basis")
    columns = zip(*(rows[name].to_pylist() for name in names), strict=True)
    # Unknown on old servers: then all of them are.
    return {
        (userid, dbid, queryid): Basis(basis) if basis in _BASES else Basis.UNKNOWN
        for userid, dbid, queryid, toplevel, basis in columns
        if basis != Basis.PREVIOUS and toplevel is not False
    }


def _counted(history: History, window: Window, server: int) -> Totals:
    """Return what statements and relations of a server counted in a window."""
    of_statements = history.totals(window, By.STATEMENT).counted[server]
    of_relations = history.totals(window, By.RELATION).counted[server]
    return replace(
        of_statements,
        relations=of_relations.relations,
        relation_amounts=of_relations.relation_amounts,
        relation_uncertain=of_relations.relation_uncertain,
        database_blocks=of_relations.database_blocks,
    )


def _io_rows(rows: pa.Table, block_size: int) -> tuple[IoRow, ...] | None:
    """Return rows of pg_stat_io; None without any."""
    found = []
    for row in rows.to_pylist():
        reads, size = row["reads"] or 0, row["read_bytes"]
        found.append(
            IoRow(
                row["backend_type"],
                row["object"],
                row["context"],
                reads,
                reads * block_size if size is None else size,
                row["read_time"],
                row["hits"],
            )
        )
    return tuple(found) or None


def _known(words: Iterable[str]) -> tuple[Quality, ...]:
    """Return the qualities that words name, each once; a later version may know more."""
    return tuple(Quality(word) for word in dict.fromkeys(words) if word in _QUALITIES)


def _rates_of(rows: pa.Table) -> Counts:
    """Return what plots need of rows of statements, as a matrix of FIELDS; the rest is nothing."""
    counts = np.zeros((len(FIELDS), len(rows)), dtype=np.int64)
    for name in _PLOTTED:
        counts[FIELDS.index(name)] = rows[name].fill_null(0).to_numpy()
    return counts
