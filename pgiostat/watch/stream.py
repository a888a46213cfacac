"""Watch as text: a table that refreshes on a terminal; plain, appended intervals elsewhere."""

import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Protocol, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live

from pgiostat.analysis.covered_reads import CoveredReads
from pgiostat.analysis.notices import Notice, lost, notices
from pgiostat.analysis.rank import By, Ranking, rank
from pgiostat.analysis.server_reads import coverage_of, reads_of
from pgiostat.postgres.sampler import IntervalResult, Sampler
from pgiostat.render import render, text
from pgiostat.render.balance import gauge_line
from pgiostat.render.csv import BALANCE, CsvWriter, balance_of, heading_of
from pgiostat.render.interval import document
from pgiostat.render.json import JsonWriter
from pgiostat.statistics.delta import Delta
from pgiostat.statistics.names import Describe
from pgiostat.unexpected import as_error
from pgiostat.volume.bucket import Balance, CreditBucket
from pgiostat.volume.demand import Demand, Provenance
from pgiostat.watch.options import Options, StreamFormat

if TYPE_CHECKING:
    from pgiostat.watch.sources.disk import LiveDisk

__all__ = ["StreamSession", "run"]

PIPE_WIDTH = 120
COVERAGE_AFTER_SECONDS = 10.0


@dataclass(slots=True)
class StreamSession:
    """The state of a session: what was counted since it began."""

    sampler: Sampler
    options: Options
    shown: int = 0
    _seconds: float = 0.0
    _covered: CoveredReads = field(default_factory=CoveredReads)
    deltas: list[Delta] = field(default_factory=list)
    keep: bool = False
    gauge: CreditBucket | None = None
    balance: Balance | None = None
    provenance: Provenance = Provenance.BLOCKS
    _demand: Demand = field(default_factory=Demand)

    def __post_init__(self) -> None:
        self.gauge = self.options.gauge
        self._demand.writes = self.options.writes

    @property
    def coverage(self) -> float | None:
        """Share of the server's reads that statements explain, over all intervals up to now."""
        return self._covered.coverage

    @property
    def burst_line(self) -> str:
        """The burst balance now, empty if no volume is modelled."""
        if self.gauge is None or self.balance is None:
            return ""
        line = gauge_line(self.gauge, self.balance.rate, self.balance.use)
        return f"{line}  (by {self.provenance})"

    def absorb(self, delta: Delta) -> Ranking:
        """Take one more interval in and rank it."""
        if delta.seconds is not None:
            if self.gauge is not None:
                load, self.provenance = self._demand.of(delta)
                self.gauge, self.balance = self.gauge.advance(load)
            self.shown += 1
            self._seconds += delta.seconds
            if self.keep:
                self.deltas.append(delta)
            self._covered.add(delta.statement_blocks, reads_of(delta), delta.since)
        return self.rank([delta])

    def rank(self, deltas: list[Delta], *, by: By | None = None, top: int | None = None) -> Ranking:
        """Rank intervals with the names known by now."""
        options = self.options
        return rank(
            deltas,
            self.sampler.names,
            by=by or options.by,
            sort=options.sort,
            top=top or options.top,
        )

    def notices(self, result: IntervalResult, ranking: Ranking) -> list[Notice]:
        """Return what to say beside a result's numbers."""
        if result.delta is None:
            return []
        if result.delta.seconds is None:
            return lost(result.delta)
        coverage = self.coverage if self._seconds >= COVERAGE_AFTER_SECONDS else None
        return notices(result.delta, ranking, coverage=coverage, texts_error=result.texts_error)

    def ranked(self, result: IntervalResult) -> tuple[IntervalResult, Ranking | None, list[Notice]]:
        """Return what is shown of a result; one that cannot be ranked is an error, and not the end.

        Args:
            result: As the loop yields it.
        """
        if result.delta is None:
            return result, None, []
        try:
            ranking = self.absorb(result.delta)
            return result, ranking, self.notices(result, ranking)
        except Exception as raised:  # noqa: BLE001 - the next interval may be ranked
            return IntervalResult(None, as_error(raised)), None, []

    def is_done(self) -> bool:
        """Whether the requested number of intervals was shown."""
        return self.options.count is not None and self.shown >= self.options.count


class _Shown(Protocol):
    """Shows one result after another."""

    def __call__(
        self, result: IntervalResult, ranking: Ranking | None, notices: list[Notice]
    ) -> None:
        """Show a result; ranking is None after an error."""


@dataclass(slots=True)
class _Appended(ABC):
    """Output that is appended; failures, and notices on the first snapshot, go aside."""

    watch: StreamSession
    aside: Console

    def __call__(
        self, result: IntervalResult, ranking: Ranking | None, notices: list[Notice]
    ) -> None:
        if result.error is not None:
            self.aside.print(text.failure(result.error, result.retry_seconds))
        if result.delta is None or ranking is None:
            return
        if result.delta.seconds is None:
            for line in text.notice_lines(notices):
                self.aside.print(line)
            return
        self.write(result, result.delta, ranking, notices)

    @abstractmethod
    def write(
        self, result: IntervalResult, delta: Delta, ranking: Ranking, notices: list[Notice]
    ) -> None:
        """Write an interval."""


@dataclass(slots=True)
class _Records(_Appended):
    """CSV or JSON on one stream, what is wrong on the other."""

    csv: CsvWriter | None
    json: JsonWriter | None
    notices_before: set[str] = field(default_factory=set)

    def write(
        self, result: IntervalResult, delta: Delta, ranking: Ranking, notices: list[Notice]
    ) -> None:
        if self.json is not None:
            self.json.write(
                delta,
                ranking,
                notices,
                running=result.running,
                balance=self.watch.balance,
                since_start=self.watch.coverage,
            )
        if self.csv is not None:
            more = {} if self.watch.gauge is None else balance_of(self.watch.balance)
            self.csv.write(heading_of(delta, ranking) | more, ranking)
            # JSON carries them; beside CSV each kind appears once.
            for line in text.notice_lines(
                [n for n in notices if n.slug not in self.notices_before]
            ):
                self.aside.print(line)
            self.notices_before.update(notice.slug for notice in notices)


@dataclass(slots=True)
class _Screen:
    """Text: appended, or drawn over on a terminal."""

    watch: StreamSession
    console: Console
    live: Live | None
    disk: "LiveDisk | None" = None
    last: RenderableType = ""

    def __call__(
        self, result: IntervalResult, ranking: Ranking | None, notices: list[Notice]
    ) -> None:
        if result.error is not None:
            failure = text.failure(result.error, result.retry_seconds)
            # The last numbers stay, with the reason why they are old above them.
            self._draw(Group(failure, self.last) if self.live else failure)
        elif result.delta is not None and ranking is not None:
            disk = None
            if self.disk is not None:
                disk = self.disk.reads(result.delta, self.watch.sampler.whereabouts)
            if self.live is None and result.delta.seconds is None:
                for line in text.notice_lines(notices):
                    self.console.print(line)
                return
            self.last = text.interval(
                result.delta,
                ranking,
                notices,
                coverage=coverage_of(result.delta),
                since_start=self.watch.coverage if self.watch.shown > 1 else None,
                width=self.console.width,
                running=result.running,
                burst=self.watch.burst_line,
                disk=disk,
            )
            self._draw(self.last)

    def _draw(self, picture: RenderableType) -> None:
        if self.live is None:
            self.console.print(picture)
            self.console.print()
        else:
            self.live.update(picture, refresh=True)


@dataclass(slots=True)
class _Pages(_Appended):
    """Markdown: a page for each interval."""

    out: TextIO

    def write(
        self, result: IntervalResult, delta: Delta, ranking: Ranking, notices: list[Notice]
    ) -> None:
        self.out.write("\n" * (self.watch.shown > 1))
        page = document(
            delta,
            ranking,
            notices,
            coverage=coverage_of(delta),
            since_start=self.watch.coverage if self.watch.shown > 1 else None,
            running=result.running,
            burst=self.watch.burst_line,
        )
        render(page, "markdown", self.out)


@contextmanager
def _shown(watch: StreamSession, out: TextIO, err: TextIO) -> Iterator[_Shown]:
    """Yield the writer of the requested form."""
    options = watch.options
    aside = Console(file=err, soft_wrap=True, highlight=False, markup=False, emoji=False)
    if options.form is StreamFormat.MARKDOWN:
        yield _Pages(watch, aside, out)
        return
    if options.form is not StreamFormat.TEXT:
        more = () if options.gauge is None else tuple(BALANCE)
        yield _Records(
            csv=CsvWriter(out, options.by, more) if options.form is StreamFormat.CSV else None,
            json=JsonWriter(out) if options.form is StreamFormat.JSON else None,
            watch=watch,
            aside=aside,
        )
        return
    console = Console(file=out, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        # A pipe has no width of its own.
        console.width = shutil.get_terminal_size((PIPE_WIDTH, 0)).columns
    from pgiostat.watch.sources.disk import LiveDisk  # noqa: PLC0415 - CSV and JSON need none

    disk = LiveDisk(watch.sampler.clock)
    try:
        if console.is_terminal and options.count != 1:
            with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
                yield _Screen(watch, console, live, disk)
        else:
            yield _Screen(watch, console, None, disk)
    finally:
        disk.end()


def run(
    dsn: str,
    options: Options,
    describe: Describe,
    *,
    out: TextIO | None = None,
    err: TextIO | None = None,
    stop: Event | None = None,
    keep: bool = False,
) -> StreamSession:
    """Watch until done, interrupted or stopped; return the session.

    keep: keep all intervals in memory, to rank them afterwards.
    Raises PgiostatError: see Sampler.intervals.
    """
    out = out or sys.stdout
    err = err or sys.stderr
    stop = stop or Event()
    sampler = Sampler(
        dsn,
        options.interval,
        describe,
        stop.wait,
        label=options.label,
        running=True,
        by_table=options.by is By.TABLE,
    )
    watch = StreamSession(sampler, options, keep=keep)
    with ExitStack() as stack:
        show = stack.enter_context(_shown(watch, out, err))
        for result in sampler.intervals():
            show(*watch.ranked(result))
            if watch.is_done():
                break
    return watch
