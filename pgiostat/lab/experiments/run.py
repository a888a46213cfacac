"""The investigation as experiments: all begin with the same pages and get the same traffic.

A run begins with a copy of one stopped server, cold like a restored volume.  A quarter of the trace
warms it up; the rest is measured into a history, with the experiment's name as label.  A repetition
is another trace, from the next seed: repetitions differ by chance, and experiments are compared
within each repetition.

Traffic is sent as fast as the server answers, and the history has the trace's clock instead of the
server's: an interval is as long as its traffic takes at the trace's pace.  Rates are those that a
volume would see, and a repetition has the same times under all labels.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event as Flag

from pgiostat.analysis.whatif import Assumption, ChangeKind
from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.history.format.root import check
from pgiostat.history.write.finalize import finalize
from pgiostat.history.write.writer import Writer
from pgiostat.lab.experiments.stage import Stage
from pgiostat.lab.replay import ReplayTarget, Sender, Setup
from pgiostat.lab.server_errors import translate_errors
from pgiostat.lab.workload.api import connected, flush_statistics
from pgiostat.lab.workload.client import Skipping
from pgiostat.lab.workload.schema import TABLES, DataSize
from pgiostat.lab.workload.trace import Operation, Pace, Trace, generate
from pgiostat.lab.workload.version_cache import Design
from pgiostat.postgres.sampler import Sampler
from pgiostat.queries.describe import uncategorized
from pgiostat.statistics.delta import Delta

__all__ = [
    "BASELINE",
    "EXPERIMENTS",
    "HISTORY",
    "RUNS",
    "Experiment",
    "Run",
    "assumptions",
    "check_free",
    "forget",
    "measure",
    "read_runs",
    "run_all",
    "trace_of",
]

RUNS = "runs.jsonl"
HISTORY = "history"
WARM_UP = 0.25
"""As a fraction of the measured time."""
STEPS = 40
"""Intervals of a run."""
MAX_STEP_SECONDS = 3_600.0
MAY_WAIT = ("visit",)
ALL_READS = frozenset({Operation.VERSION, Operation.MANIFEST, Operation.FETCH})


@dataclass(frozen=True, slots=True)
class Experiment:
    """A change to the sync system.

    Attributes:
        name: also the label in the history.
        what: the change, in words.
        categories: of the changed queries; without any, all.
    """

    name: str
    what: str
    setup: Setup
    categories: tuple[str, ...] = ()


def _setup(
    *off: Operation,
    tables: tuple[str, ...] = TABLES,
    cache: Design | None = None,
    bug: bool = True,
) -> Setup:
    return Setup(tables, frozenset(off), cache, Skipping(may_wait=MAY_WAIT, bug=bug))


BASELINE = "baseline"
EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment(BASELINE, "the original system", _setup()),
    Experiment("table_added", "one more table", _setup(tables=(*TABLES, "note"))),
    Experiment("version_off", "without version queries", _setup(Operation.VERSION), ("version",)),
    Experiment(
        "manifest_off", "without manifest queries", _setup(Operation.MANIFEST), ("manifest",)
    ),
    Experiment(
        "uploads_alone",
        "uploads only",
        _setup(*sorted(ALL_READS)),
        ("version", "manifest", "other"),
    ),
    Experiment("skip_fixed", "identical tables are skipped", _setup(bug=False), ("manifest",)),
    Experiment(
        "cache_update",
        "versions cached, updated by uploads",
        _setup(cache=Design.UPDATE),
        ("version",),
    ),
    Experiment(
        "cache_invalidate",
        "versions cached, invalidated by uploads",
        _setup(cache=Design.INVALIDATE),
        ("version",),
    ),
    Experiment(
        "both",
        "cache updated, and identical tables skipped",
        _setup(cache=Design.UPDATE, bug=False),
        ("version", "manifest"),
    ),
)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of an experiment, as runs.jsonl records it.

    Attributes:
        since, until: its time window in the history.
        syncs: sync processes.
        requests: by operation.
        looked: version requests that read all rows of a client's table.
    """

    experiment: str
    repeat: int
    seed: int
    since: datetime
    until: datetime
    syncs: int
    requests: dict[str, int]
    looked: int


def assumptions(experiment: Experiment, run: Run, baseline: Run) -> list[Assumption]:
    """Return the change between a repetition's baseline and its run, in the terms of `whatif`."""
    found = []
    for name in experiment.categories or tuple(run.requests):
        if name in (*experiment.setup.off, "other") and experiment.categories:
            found.append(Assumption(name, ChangeKind.DROP))
        elif name == Operation.VERSION and experiment.setup.cache is not None:
            found.append(Assumption(name, ChangeKind.READS, _ratio(run.looked, baseline.looked)))
        elif name in (Operation.VERSION, Operation.MANIFEST, Operation.UPLOAD):
            factor = _ratio(run.requests.get(name, 0), baseline.requests.get(name, 0))
            if factor != 1.0:
                found.append(Assumption(name, ChangeKind.CALLS, factor))
    return found


def _ratio(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0


def trace_of(seed: int, seconds: float, size: DataSize) -> Trace:
    """Return the warm-up of a repetition and the measured traffic, in seconds, after it."""
    return generate(size, seconds * (1 + WARM_UP), seed, Pace())


Progress = Callable[[str, float], None]
"""Called with the name of the experiment, and the fraction of all work that is done."""


def run_all(
    stage: Stage,
    out: Path,
    *,
    seconds: float,
    repeats: int,
    seed: int = 1,
    experiments: Sequence[Experiment] = EXPERIMENTS,
    again: bool = False,
    progress: Progress | None = None,
    stop: Flag | None = None,
) -> list[Run]:
    """Run all experiments, repetition by repetition, into a history below a directory.

    Args:
        seconds: of measured traffic in each run.
        repeats: runs of each experiment.
        seed: of the first repetition.
        again: replace earlier experiments there; they are removed when the first server is up.

    Raises:
        PgiostatError: lab-exists, lab-stopped, disk-full, and the errors of a history that cannot
            be written.
    """
    progress, stop = progress or (lambda _name, _share: None), stop or Flag()
    if not again:
        check_free(out)
    runs: list[Run] = []
    duration = timedelta(seconds=seconds)
    # The history must not reach into the future.
    first = datetime.now(UTC).replace(microsecond=0) - repeats * duration
    count = repeats * len(experiments)
    for repeat in range(repeats):
        trace = trace_of(seed + repeat, seconds, stage.size)
        for experiment in experiments:
            done = len(runs)

            def report(share: float, done: int = done, name: str = experiment.name) -> None:
                progress(name, (done + share) / count)

            with stage.fresh() as dsns:
                if not runs:
                    # Intervals of an interrupted run may overlap in time with those of this one.
                    forget(out)
                    out.mkdir(parents=True, exist_ok=True)
                began = first + repeat * duration
                run = measure(
                    experiment,
                    trace,
                    dsns,
                    out,
                    repeat=repeat,
                    began=began,
                    progress=report,
                    stop=stop,
                )
            runs.append(run)
            with translate_errors(), (out / RUNS).open("a", encoding="utf-8") as file:
                file.write(json.dumps(_as_record(run)) + "\n")
    finalize(out / HISTORY, [experiment.name for experiment in experiments])
    return runs


def check_free(out: Path) -> None:
    """Raise PgiostatError lab-exists if a directory has experiments."""
    if (out / RUNS).exists():
        raise PgiostatError(
            f'there are already experiments in "{out}"',
            hint="Show them with pgiostat lab report, replace them with --again, or name"
            " another directory with --out.",
            slug="lab-exists",
        )


def measure(
    experiment: Experiment,
    trace: Trace,
    dsns: tuple[str, str],
    out: Path,
    *,
    repeat: int,
    began: datetime,
    progress: Callable[[float], None],
    stop: Flag,
    warm_up: float = WARM_UP,
) -> Run:
    """Run an experiment once: warm up, then send the trace in steps with a snapshot after each.

    Args:
        dsns: of the sync API and of the observer.
        out: the directory above the history.
        repeat: number of the repetition, from 0 on.
        began: the beginning of the run, by the history's clock.
        progress: called with the fraction of the trace that was sent.
        warm_up: the warm-up's part of the trace, as a fraction of the rest.

    Raises:
        PgiostatError: lab-stopped, and the errors of a lost server.
    """
    api, reader = dsns
    seconds = trace.lasts / (1 + warm_up)
    before, measured = trace.split(seconds * warm_up)
    step = timedelta(seconds=seconds / STEPS)
    with (
        _recording(experiment.name, reader, out, began, step) as take_snapshot,
        connected(api) as connection,
    ):
        sender = Sender(ReplayTarget(experiment.name, api, experiment.setup), trace, connection)
        for event in before.events:
            sender.send(event)
        sender.reset()
        flush_statistics(connection)
        take_snapshot(0)
        left = measured
        for number in range(1, STEPS + 1):
            now, left = left.split(seconds * (warm_up + number / STEPS))
            for event in now.events:
                if stop.is_set():
                    raise _interrupted(out)
                sender.send(event)
            flush_statistics(connection)
            take_snapshot(number)
            progress(number / STEPS)
    syncs = sum(event.operation is Operation.SYNC for event in measured.events)
    requests = {str(name): count for name, count in sorted(sender.sent.requests.items())}
    until, seed = began + STEPS * step, trace.seed or 0
    return Run(experiment.name, repeat, seed, began, until, syncs, requests, sender.sent.looked)


@contextmanager
def _recording(
    label: str, dsn: str, out: Path, began: datetime, step: timedelta
) -> Iterator[Callable[[int], None]]:
    """Yield a function that takes snapshot number n, and writes the interval before it."""
    sampler = Sampler(dsn, MAX_STEP_SECONDS, uncategorized, lambda _seconds: False, label=label)
    with ExitStack() as stack:
        writer = stack.enter_context(closing(Writer.open(out / HISTORY, label)))
        results = stack.enter_context(closing(sampler.intervals()))  # type: ignore[type-var] # a generator

        def take_snapshot(number: int) -> None:
            result = next(results)
            if result.delta is None:
                raise result.error or AssertionError
            if number:
                until = began + number * step
                writer.append(_at(result.delta, until - step, until), sampler.names)

        yield take_snapshot


def _at(delta: Delta, since: datetime, until: datetime) -> Delta:
    """Return an interval with the times of the trace."""
    older = delta.older and replace(delta.older, started_at=since, taken_at=since)
    newer = replace(delta.newer, started_at=until, taken_at=until)
    return replace(delta, older=older, newer=newer, seconds=(until - since).total_seconds())


def _interrupted(out: Path) -> PgiostatError:
    return PgiostatError(
        "the experiments were stopped",
        detail=f'The measurements made so far are in "{out}".',
        slug="lab-stopped",
        status=ExitStatus.INTERRUPTED,
    )


def _as_record(run: Run) -> dict[str, object]:
    return {
        name: value.isoformat() if isinstance(value := getattr(run, name), datetime) else value
        for name in Run.__slots__
    }


def forget(out: Path) -> None:
    """Remove experiments from a directory, and nothing else."""
    (out / RUNS).unlink(missing_ok=True)
    if (out / HISTORY).exists():
        check(out / HISTORY)  # another directory of that name is not removed
        shutil.rmtree(out / HISTORY)


def read_runs(out: Path) -> list[Run]:
    """Return the runs that a directory records.

    Raises:
        PgiostatError: lab-empty, lab-unreadable.
    """
    try:
        content = (out / RUNS).read_text("utf-8")
    except FileNotFoundError:
        content = ""
    runs = []
    # A line without an end was interrupted while it was written.
    for number, line in enumerate(content.split("\n")[:-1], 1):
        try:
            record = json.loads(line)
            times = {name: datetime.fromisoformat(record[name]) for name in ("since", "until")}
            runs.append(Run(**(record | times)))
        except (ValueError, KeyError, TypeError) as error:
            raise PgiostatError(
                f'could not read line {number} of "{out / RUNS}"',
                detail=f"{type(error).__name__}: {error}.",
                hint="Restore it, or measure again with: pgiostat lab run --again",
                slug="lab-unreadable",
            ) from None
    if not any(run.experiment == BASELINE for run in runs):
        raise PgiostatError(
            f'there are no experiments in "{out}"',
            detail="Each is compared with the baseline, which was not run." if runs else None,
            hint="Run them with: pgiostat lab run",
            slug="lab-empty",
        )
    return runs
