"""Does anything alarm that is no loss, and is a loss shown?  Steady loads, interval by interval.

    python -m benchmarks.first_minutes DSN... [--seconds N] [--loads NAME,...] [--losses] [--json]
        [--record FILE]

Each server is loaded in a schema of its own that is dropped afterwards: never name a server in use.
It is read once a second, as by `watch`.  `unattributed` must be within -1 ... +2 % of the reads in
99.9 % of the intervals of a steady load, without a notice of a loss.  With --losses a statement
that has read 50,000 blocks fails beside other loads: 80 % of it must be shown within 15 seconds,
beside transactions of a minute 25 % within two minutes, with a notice.  The exit status is 1 if any
of this does not hold.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from multiprocessing import Process, Value
from pathlib import Path
from typing import IO, Any

import psycopg

from benchmarks.first_minutes_load import (
    FAILED_ROWS,
    LOADS,
    LONG,
    LOSING,
    PAUSE,
    Load,
    fail,
    furnished,
    loaded,
)
from pgiostat.analysis.covered_reads import CoveredReads
from pgiostat.analysis.in_transit import transaction_seconds
from pgiostat.analysis.notices import notices
from pgiostat.analysis.rank import rank
from pgiostat.analysis.server_reads import reads_of
from pgiostat.postgres.sampler import Sampler
from pgiostat.queries.describe import describer
from pgiostat.statistics.delta import Delta
from pgiostat.watch.stream import COVERAGE_AFTER_SECONDS

LOW, HIGH, LEAST_SHARE = -0.01, 0.02, 0.999
LEAST_READS = 0.1
"""Intervals with fewer reads than this share of the mean are counted apart: one block is much."""
ALARMS = frozenset({"reads-unexplained", "coverage-low"})
LOSS_SECONDS, LOSS_SHARE = 15.0, 0.8
BESIDE_TRANSACTIONS_SECONDS, BESIDE_TRANSACTIONS_SHARE = 120.0, 0.25
"""What open transactions hold hides as much of a loss."""
SETTLING_SECONDS = 45.0
LONGEST_WAIT_SECONDS = 150.0


@dataclass(slots=True)
class Tick:
    """One interval: blocks by the server's count, in transit and unattributed, and alarms.

    unattributed: also those of earlier intervals that settled in it.
    """

    at: float
    seconds: float
    reads: int
    in_transit: int
    unattributed: int
    share: float
    coverage: float | None
    alarms: list[str]


@dataclass(slots=True)
class Steady:
    """A steady load: how far `unattributed` was from zero, and what alarmed."""

    load: str
    seconds: float
    intervals: int
    small: int
    outside: int
    lowest: float
    highest: float
    lowest_in_transit: float
    highest_in_transit: float
    alarms: list[str]

    @property
    def holds(self) -> bool:
        """Whether it is within the bounds."""
        return not self.alarms and self.outside <= self.intervals * (1 - LEAST_SHARE)


@dataclass(slots=True)
class Loss:
    """A failed statement: after how many seconds it was shown, and how much of it.

    noticed: seconds until a notice named the loss.  shown: blocks in all, of `lost`.
    """

    load: str
    lost: int
    noticed: float | None
    seconds: float | None
    shown: int
    bound: float

    @property
    def holds(self) -> bool:
        """Whether it was shown in time."""
        return all(
            seconds is not None and seconds <= self.bound
            for seconds in (self.noticed, self.seconds)
        )


def recorded(load: str, delta: Delta) -> dict[str, Any]:
    """Return the counts of an interval: first_minutes_replay.py settles them once more."""
    return {
        "load": load,
        "version": delta.newer.server.version_num,
        "seconds": delta.seconds,
        "transaction": transaction_seconds(delta),
        "explained": delta.statement_blocks,
        "reads": asdict(reads_of(delta)),
    }


@dataclass(slots=True)
class Watch:
    """Intervals of a server, as `watch` has them."""

    dsn: str
    load: str
    record: IO[str] | None = None
    ticks: list[Tick] = field(default_factory=list)
    _covered: CoveredReads = field(default_factory=CoveredReads)
    _seconds: float = 0.0

    def run(self, goes_on: Callable[[], bool]) -> None:
        """Read once a second until that is over."""

        def wait(seconds: float) -> bool:
            PAUSE.wait(seconds)
            return not goes_on()

        sampler = Sampler(self.dsn, 1.0, describer(), wait)
        for result in sampler.intervals():
            if result.delta is not None and result.delta.seconds is not None:
                self._add(result.delta, sampler)
                if self.record is not None:
                    counts = recorded(self.load, result.delta)
                    self.record.write(f"{json.dumps(counts, default=str)}\n")
                    self.record.flush()

    def _add(self, delta: Delta, sampler: Sampler) -> None:
        ranking = rank([delta], sampler.names)
        reads, in_transit = ranking.server_blocks or 0, ranking.in_transit or 0
        self._covered.add(delta.statement_blocks, reads_of(delta), delta.since)
        self._seconds += delta.seconds or 0.0
        coverage = self._covered.coverage if self._seconds >= COVERAGE_AFTER_SECONDS else None
        found = notices(delta, ranking, coverage=coverage)
        unattributed = (ranking.unattributed or 0) + (ranking.earlier_blocks or 0)
        self.ticks.append(
            Tick(
                time.monotonic(), delta.seconds or 0.0, reads, in_transit, unattributed,
                unattributed / reads if reads else 0.0, coverage,
                [notice.slug for notice in found if notice.slug in ALARMS],
            )
        )  # fmt: skip


def steady(watch: Watch, seconds: float) -> Steady:
    """Watch a steady load from its start."""
    with loaded(watch.dsn, {**LOADS, **LOSING}[watch.load]):
        ends = time.monotonic() + seconds
        watch.run(lambda: time.monotonic() < ends)
    mean = sum(tick.reads for tick in watch.ticks) / len(watch.ticks)
    judged = [tick for tick in watch.ticks if tick.reads >= LEAST_READS * mean]
    shares = [tick.share for tick in judged]
    transits = [tick.in_transit / tick.reads for tick in judged]
    return Steady(
        watch.load,
        sum(tick.seconds for tick in watch.ticks),
        len(judged),
        len(watch.ticks) - len(judged),
        sum(not LOW <= share <= HIGH for share in shares),
        min(shares),
        max(shares),
        min(transits),
        max(transits),
        [alarm for tick in watch.ticks for alarm in tick.alarms],
    )


def loss(watch: Watch, loads: Sequence[Load], share: float, bound: float) -> Loss:
    """Let a statement fail beside a load, and wait until a share of it is shown."""
    ended = Value("d", 0.0)
    failing = Process(target=fail, args=(watch.dsn, SETTLING_SECONDS, ended))

    def goes_on() -> bool:
        began = ended.value
        shown = sum(tick.unattributed for tick in watch.ticks if began and tick.at > began)
        waited = time.monotonic() - began
        return not began or (shown < LOSS_SHARE * FAILED_ROWS and waited < LONGEST_WAIT_SECONDS)

    with loaded(watch.dsn, loads):
        failing.start()
        watch.run(goes_on)
        failing.join()
    shown, noticed, seconds = 0, None, None
    for tick in watch.ticks:
        if tick.at <= ended.value:
            continue
        shown += tick.unattributed
        if noticed is None and "reads-unexplained" in tick.alarms:
            noticed = tick.at - ended.value
        if seconds is None and shown >= share * FAILED_ROWS:
            seconds = tick.at - ended.value
    return Loss(watch.load, FAILED_ROWS, noticed, seconds, shown, bound)


def measured(
    dsn: str, names: Sequence[str], seconds: float, record: IO[str] | None, *, losses: bool
) -> Iterator[Steady | Loss]:
    """Yield what was found on a server, load by load."""
    for name in names:
        yield steady(Watch(dsn, name, record), seconds)
    if losses:
        for name in ("pgbench 4", "orm"):
            yield loss(
                Watch(dsn, f"loss beside {name}", record), LOADS[name], LOSS_SHARE, LOSS_SECONDS
            )
        bounds = (BESIDE_TRANSACTIONS_SHARE, BESIDE_TRANSACTIONS_SECONDS)
        yield loss(Watch(dsn, "loss beside transactions of a minute", record), LONG, *bounds)


def summary(found: Steady | Loss) -> str:
    """Return a line for people."""
    if isinstance(found, Loss):
        noticed, seconds = (
            "never" if each is None else f"after {each:.0f} s"
            for each in (found.noticed, found.seconds)
        )
        return (
            f"{found.load}: noticed {noticed}, most of it shown {seconds}"
            f" ({found.shown:,} of {found.lost:,} blocks)"
        )
    return (
        f"{found.load}: {found.intervals} intervals in {found.seconds:.0f} s, {found.outside}"
        f" outside; unattributed {found.lowest:+.2%} to {found.highest:+.2%}, in transit"
        f" {found.lowest_in_transit:+.0%} to {found.highest_in_transit:+.0%};"
        f" {len(found.alarms)} notices; {found.small} intervals with few reads"
    )


def main() -> int:
    """Run all, print it, and return 1 if anything is outside of its bounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dsn", nargs="+")
    parser.add_argument("--seconds", type=float, default=300.0, help="of each steady load")
    parser.add_argument(
        "--loads",
        default=",".join(LOADS),
        help=f"names, separated by commas; also {', '.join(LOSING)}",
    )
    parser.add_argument("--losses", action="store_true", help="let statements fail as well")
    parser.add_argument("--json", action="store_true", help="one object of figures at the end")
    parser.add_argument("--record", type=Path, help="append the counts of each interval to a file")
    options = parser.parse_args()
    record = options.record.open("a") if options.record else None
    figures: dict[str, list[dict[str, Any]]] = {}
    good = True
    for dsn in options.dsn:
        with psycopg.connect(dsn) as connection:
            version = connection.info.parameter_status("server_version") or "?"
        with furnished(dsn, large=options.losses):
            names = [name for name in options.loads.split(",") if name]
            for found in measured(dsn, names, options.seconds, record, losses=options.losses):
                good &= found.holds
                figures.setdefault(version, []).append(asdict(found))
                print(f"{version}  {summary(found)}", flush=True)
    if options.json:
        print(json.dumps(figures))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
