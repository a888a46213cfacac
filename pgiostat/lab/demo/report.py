"""The demo without a terminal: rankings over the whole time, and CSV files."""

from contextlib import ExitStack
from pathlib import Path
from threading import Event

from rich.console import Console

from pgiostat.analysis.rank import By
from pgiostat.lab.demo.scenarios import Scenario
from pgiostat.lab.demo.server import reader_dsn
from pgiostat.lab.demo.traffic import working
from pgiostat.lab.postgres.cluster import Cluster
from pgiostat.postgres.sampler import Sampler
from pgiostat.queries.describe import describer
from pgiostat.queries.rules import rule_book
from pgiostat.render import text
from pgiostat.render.csv import CsvWriter, heading_of
from pgiostat.watch import stream
from pgiostat.watch.options import Options

__all__ = ["INTERVAL_SECONDS", "report"]

INTERVAL_SECONDS = 2.0
TOP = 10
FILES = (By.CATEGORY, By.STATEMENT, By.RELATION)


def report(
    cluster: Cluster, scenario: Scenario, stop: Event, *, seconds: float, out_dir: Path
) -> None:
    """Watch for a while, then print rankings over the whole time and write them as CSV.

    The first snapshot comes before the workload and the last after it: by then its sessions have
    reported all their counts.

    Args:
        cluster: The server.
        scenario: Its application.
        stop: Ends it early.
        seconds: Length of the whole time.
        out_dir: Directory of the CSV files.

    Raises:
        PgiostatError: workload-failed, and those of a snapshot.
    """
    count = max(1, round(seconds / INTERVAL_SECONDS))
    sampler = Sampler(
        reader_dsn(cluster, scenario.database),
        INTERVAL_SECONDS,
        describer(rule_book(preset=scenario.preset, by="the demo")),
        stop.wait,
        label="demo",
    )
    watch = stream.StreamSession(sampler, Options(interval=INTERVAL_SECONDS), keep=True)
    with ExitStack() as work:
        for result in sampler.intervals():
            if result.delta is None:
                raise result.error or AssertionError
            watch.absorb(result.delta)
            if result.delta.seconds is None:
                work.enter_context(working(cluster, scenario))
            elif watch.shown == count:
                work.close()
            elif watch.shown > count:
                break
    if watch.deltas:
        _print(watch)
        _write(watch, out_dir)


def _print(watch: stream.StreamSession) -> None:
    out = Console(highlight=False, markup=False, emoji=False)
    out.width = out.width if out.is_terminal else stream.PIPE_WIDTH
    for by in (By.CATEGORY, By.STATEMENT):
        ranking = watch.rank(watch.deltas, by=by, top=TOP)
        last = watch.deltas[-1]
        out.print(text.interval(last, ranking, [], coverage=watch.coverage, width=out.width))
        out.print()


def _write(watch: stream.StreamSession, out_dir: Path) -> None:
    out_dir.mkdir(parents=True, exist_ok=True)
    for by in FILES:
        with (out_dir / f"{by.value}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = CsvWriter(file, by)
            for delta in watch.deltas:
                ranking = watch.rank([delta], by=by)
                writer.write(heading_of(delta, ranking), ranking)
    names = ", ".join(f"{by.value}.csv" for by in FILES)
    print(f"Every interval as CSV: {out_dir} ({names})")  # noqa: T201 - the output of the command
