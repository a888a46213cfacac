"""Log lines about intervals: a flaw when it is new, and a summary of each hour."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC

from pgiostat.analysis.covered_reads import CoveredReads
from pgiostat.analysis.server_reads import reads_of
from pgiostat.collector.log import ServerLog
from pgiostat.statistics.capabilities import grant, hidden_from
from pgiostat.statistics.delta import Delta, Quality
from pgiostat.units import format_counted, format_coverage, format_duration

__all__ = ["IntervalLog"]

SUMMARY_SECONDS = 3600.0
EVICTING_HINT = (
    "their activity since then is lost: raise pg_stat_statements.max, or shorten the interval"
)


@dataclass(slots=True)
class IntervalLog:
    """Logs what is known of committed intervals.

    Attributes:
        log: The log.
        clock: Monotonic seconds.
        newest: When the newest interval was added, by the clock.
        covers_all: Whether the last summary has every interval of the process.
    """

    log: ServerLog
    clock: Callable[[], float]
    newest: float | None = None
    covers_all: bool = False
    _hour: "_Hour | None" = None
    _qualities: set[Quality] = field(default_factory=set)
    _is_explained: bool = True  # a gap before the first interval is no news
    _has_masked: bool = False

    @property
    def is_due(self) -> bool:
        """Whether an hour is over."""
        return self._hour is not None and self.clock() - self._hour.began >= SUMMARY_SECONDS

    def explain(self) -> None:
        """Let the next gap pass without a line: an incident in the log explains it."""
        self._is_explained = True

    def add(self, delta: Delta) -> None:
        """Add a committed interval."""
        self.newest = self.clock()
        self._hour = self._hour or _Hour(self.newest)
        self._hour.add(delta)
        self._log_flaws(delta)

    def _log_flaws(self, delta: Delta) -> None:
        """Log each flaw once an hour: the summary counts them."""
        quality = delta.quality
        known = self._is_explained and quality is Quality.GAP
        self._is_explained = False
        if quality is not Quality.OK and not known and quality not in self._qualities:
            self._qualities.add(quality)
            evicting = quality is Quality.EVICTING
            more = f" {_entries(delta.evicted)}; {EVICTING_HINT}" if evicting else ""
            if delta.lost is not None:
                more = f": reads of statements in {format_duration(delta.lost.seconds)} are lost"
            until = f"{delta.until.astimezone(UTC):%H:%M:%SZ}"
            self.log.warning(f"interval ending at {until}: {quality.value}{more}")
        if delta.newer.masked and not self._has_masked:
            self._has_masked = True
            user = delta.newer.server.user
            self.log.warning(f"{hidden_from(user)} and counted together. {grant(user)}")

    def log_summary(self, total: int | None = None, more: str = "") -> None:
        """Log what was collected since the last summary.

        Args:
            total: At the end, how many intervals the process has committed.
            more: Text after the summary.
        """
        hour, self._hour = self._hour, None
        self._qualities.clear()
        if hour is not None:
            self.covers_all = hour.samples == total
            self.log.info(f"{hour.summary(committed=self.covers_all)}{more}")


@dataclass(slots=True)
class _Hour:
    """The sums of the intervals of one summary."""

    began: float
    seconds: float = 0.0
    rows: int = 0
    qualities: Counter[Quality] = field(default_factory=Counter)
    covered: CoveredReads = field(default_factory=CoveredReads)
    evicted: int | None = 0

    @property
    def samples(self) -> int:
        return self.qualities.total()

    def add(self, delta: Delta) -> None:
        self.seconds += delta.seconds or 0.0
        self.rows += len(delta.statements)
        self.qualities[delta.quality] += 1
        if delta.quality is Quality.EVICTING:
            known = self.evicted is not None and delta.evicted is not None
            self.evicted = (self.evicted or 0) + (delta.evicted or 0) if known else None
        self.covered.add(delta.statement_blocks, reads_of(delta), delta.since)

    def summary(self, *, committed: bool = False) -> str:
        samples = self.samples
        flawed = [
            f", {self.qualities[quality]} × {quality.value}"
            + (f" {_entries(self.evicted)}" if quality is Quality.EVICTING else "")
            for quality in Quality
            if quality is not Quality.OK and self.qualities[quality]
        ]
        covered = format_coverage(self.covered.coverage)
        return (
            f"{samples} interval{'s' * (samples != 1)}{' committed' * committed} in"
            f" {format_duration(self.seconds)},"
            f" {self.rows:,} rows, coverage {covered}{''.join(flawed)}"
        )


def _entries(evicted: int | None) -> str:
    return "(some entries)" if evicted is None else f"(at least {format_counted(evicted, 'entry')})"
