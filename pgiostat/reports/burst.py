"""What a time of a history did to a volume."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import pyarrow as pa

from pgiostat.analysis.rank import rank_totals
from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.history.read.history import History, instants
from pgiostat.history.read.window_totals import WindowTotals
from pgiostat.reports.compare import step_for
from pgiostat.reports.series import SeriesStep as Cut
from pgiostat.reports.series import series
from pgiostat.statistics.names import Names
from pgiostat.volume.bucket import CreditBucket
from pgiostat.volume.burst import BurstReport, LoadStep, simulate
from pgiostat.volume.device.interval import Origin
from pgiostat.volume.models import Volume

__all__ = ["burst_report"]

MINUTE = timedelta(minutes=1)
"""CloudWatch tells no more often."""
LONGEST = timedelta(minutes=5)
"""No interval of a device is longer, but for an outage."""


def burst_report(
    history: History,
    seen: WindowTotals,
    names: Mapping[int, Names],
    volume: Volume,
    *,
    balance: float | None = None,
    writes: float = 0.0,
    reads: float = 1.0,
) -> BurstReport:
    """Return who emptied a volume's bucket, step by step.

    balance: what was in it at first, a share; CloudWatch's word if None, or full.  writes:
    operations a second that are known to be written.  reads: as if so many times as much had been
    read.
    Raises PgiostatError option-invalid if several servers were seen: they share no volume.
    """
    if len(seen.seconds_by_label) > 1:
        there = ", ".join(seen.seconds_by_label)
        raise PgiostatError(
            "several servers do not share a volume",
            hint=f"Choose one by --label: {there}.",
            slug="option-invalid",
            status=ExitStatus.USAGE,
        )
    parts = [(part, names.get(whose, Names())) for whose, part in seen.counted.items()]
    # The first may have begun before the time does.
    window = replace(seen.window, since=seen.window.since - LONGEST)
    devices = [
        each
        for those in history.device(window).values()
        for each in those
        if isinstance(each.source, Origin) and each.end > seen.window.since
    ]
    step = step_for(seen)
    if any(each.source is Origin.CLOUDWATCH for each in devices):
        step = max(step, MINUTE)
    steps = series(history, seen, names, rank_totals(parts), step)
    samples = history.facts("sample", seen.window, [server.server_id for server in seen.servers])
    read = list(_read(steps, samples))

    def replayed(start: float, factor: float) -> BurstReport:
        return simulate(read, CreditBucket(volume, start, start), writes, devices, reads=factor)

    if balance is None:
        balance = _start([each.burst_balance for each in devices], lambda at: replayed(at, 1.0))
    return replayed(balance, reads)


def _start(told: Sequence[float | None], replayed: Callable[[float], BurstReport]) -> float:
    """Return the balance at the start of a time by what CloudWatch told first; full if nothing.

    It tells the balance of the middle of its minute: the model begins so as to have it then.
    """
    known = [balance / 100 for balance in told if balance is not None]
    if not known:
        return 1.0
    against = replayed(known[0]).warning
    off = against[0][0] - against[0][1] if against else 0.0
    return min(max(known[0] + off, 0.0), 1.0)


def _read(steps: Sequence[Cut], samples: pa.Table) -> Iterator[LoadStep]:
    """Yield steps from their first reading to their last, whatever the clock's steps are.

    Of hours of which intervals are not kept there are no readings: these are as the clock has them.
    """
    begins = instants(samples["ts"])
    lasted = [timedelta(microseconds=us) for us in samples["dur_us"].to_pylist()]
    for step in steps:
        first, last = (bisect_left(begins, instant) for instant in (step.since, step.until))
        since, until = step.since, step.since + timedelta(seconds=step.sampled.seconds)
        if first < last:
            since, until = begins[first], begins[last - 1] + lasted[last - 1]
        yield LoadStep(since, until, step.sampled.seconds, step.ranking, step.sampled.reads)
