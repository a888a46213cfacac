"""The burst balance of a volume over a window of a history."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import pyarrow as pa

from pgiostat.analysis.operations import Division
from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.history.read.arrow import instants
from pgiostat.history.read.history import History
from pgiostat.history.read.window_totals import WindowTotals
from pgiostat.history.read.windows import Window
from pgiostat.reports.operations import divisions, nearest
from pgiostat.reports.ranking import rank_window, reading_names
from pgiostat.reports.series import SeriesStep, series
from pgiostat.reports.steps import step_for
from pgiostat.statistics.names import Describe, Names
from pgiostat.volume.bucket import CreditBucket
from pgiostat.volume.burst import BurstReport, LoadStep, simulate
from pgiostat.volume.device.interval import DeviceInterval, Origin
from pgiostat.volume.models import Volume

__all__ = ["VolumeLoad", "WindowBurst", "burst_report", "load_in"]

MINUTE = timedelta(minutes=1)
"""CloudWatch has no shorter period."""
LONGEST = timedelta(minutes=5)
"""No interval of a device is longer, except over an outage."""


@dataclass(frozen=True, slots=True)
class WindowBurst:
    """A window against a volume.

    Attributes:
        totals: What each server counted in the window, and how good that count is.
        burst: The volume's balance step by step, who used its credits, and the forecast.
    """

    totals: WindowTotals
    burst: BurstReport


@dataclass(frozen=True, slots=True)
class VolumeLoad:
    """The load on a volume in each step of a window, and what its device did.

    Attributes:
        volume: The model of the volume.
        writes: Known write operations per second.
        steps: The steps, in order of time.
        devices: Measured intervals of the device, and CloudWatch's.
    """

    volume: Volume
    writes: float
    steps: Sequence[LoadStep]
    devices: Sequence[DeviceInterval]

    def replay(self, balance: float | None = None, reads: float = 1.0) -> BurstReport:
        """Return the volume's balance step by step.

        Args:
            balance: Balance at the start, 0 to 1; CloudWatch's if None, or full without it.
            reads: Factor on all reads; 1 for the reads as they were.
        """
        start = self._start() if balance is None else balance
        return self._from(start, reads)

    def _from(self, start: float, reads: float) -> BurstReport:
        gauge = CreditBucket(self.volume, start, start)
        return simulate(self.steps, gauge, self.writes, self.devices, reads=reads)

    def _start(self) -> float:
        """Return the balance at the start from CloudWatch's first value; full without one.

        CloudWatch's value is the balance in the middle of its minute: the model starts so that it
        has that balance then.
        """
        known = [
            each.burst_balance / 100 for each in self.devices if each.burst_balance is not None
        ]
        if not known:
            return 1.0
        pairs = self._from(known[0], 1.0).balance_checks
        off = pairs[0][0] - pairs[0][1] if pairs else 0.0
        return min(max(known[0] + off, 0.0), 1.0)


def burst_report(
    history: History,
    window: Window,
    describe: Describe,
    volume: Volume,
    *,
    balance: float | None = None,
    writes: float = 0.0,
) -> WindowBurst:
    """Replay a window against a model of a volume.

    Args:
        history: Where the intervals are.
        window: From when to when, and of which label.
        describe: Returns the category of a statement, by the current rules.
        volume: The model.
        balance: Balance at the start, 0 to 1; CloudWatch's if None, or full without it.
        writes: Known write operations per second.

    Raises:
        PgiostatError: option-invalid if the window has several servers, which share no volume;
            window-empty, label-unknown, history-empty, history-unreadable.
    """
    with reading_names(history, window, describe) as names:

        def answer() -> WindowBurst:
            totals = history.totals(window)
            load = load_in(history, totals, names(), volume, writes)
            return WindowBurst(totals, load.replay(balance))

        return history.consistent(answer)


def load_in(
    history: History,
    totals: WindowTotals,
    names: Mapping[int, Names],
    volume: Volume,
    writes: float = 0.0,
) -> VolumeLoad:
    """Return the load on a volume in a window.

    Raises:
        PgiostatError: option-invalid if the window has several servers.
    """
    if len(totals.seconds_by_label) > 1:
        there = ", ".join(totals.seconds_by_label)
        raise PgiostatError(
            "the window has several servers, and a volume belongs to one",
            hint=f"Choose one with --label: {there}.",
            slug="option-invalid",
            status=ExitStatus.USAGE,
        )
    window = totals.window
    # The first interval of a device may begin before the window does.
    devices = [
        each
        for intervals in history.device(replace(window, since=window.since - LONGEST)).values()
        for each in intervals
        if isinstance(each.source, Origin) and each.end > window.since
    ]
    step = step_for(totals)
    if any(each.source is Origin.CLOUDWATCH for each in devices):
        step = max(step, MINUTE)
    steps = series(history, totals, names, rank_window(history, totals, names), step)
    samples = history.facts("sample", window, [server.server_id for server in totals.servers])
    divided = divisions(history, totals, names)
    return VolumeLoad(volume, writes, list(_load_steps(steps, samples, divided)), devices)


def _load_steps(
    steps: Sequence[SeriesStep], samples: pa.Table, divided: Sequence[Division]
) -> Iterator[LoadStep]:
    """Yield steps from their first snapshot to their last, not from clock time to clock time.

    Hours without their intervals have no snapshots: their steps keep the clock's times.
    """
    begins = instants(samples["ts"])
    lengths = [timedelta(microseconds=us) for us in samples["dur_us"].to_pylist()]
    for step in steps:
        first, last = (bisect_left(begins, instant) for instant in (step.since, step.until))
        since, until = step.since, step.since + timedelta(seconds=step.sampled.seconds)
        if first < last:
            since, until = begins[first], begins[last - 1] + lengths[last - 1]
        yield LoadStep(
            since,
            until,
            step.sampled.seconds,
            step.ranking,
            step.sampled.reads,
            nearest(divided, since + (until - since) / 2),
        )
