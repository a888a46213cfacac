"""The investigation as experiments: each from the same pages, with the same traffic.

A run begins with a copy of one and the same stopped server, cold as a restored volume.  A
quarter of the trace warms it up; the rest is measured into a history, under the experiment's
name.  A repetition is another trace, made from the next seed: what differs between repetitions
is what chance does, and experiments are compared within each.

Traffic is sent as fast as it is answered, and the history has the trace's clock instead of the
server's: an interval is as long as its traffic takes at its own pace.  Rates are those that the
volume would see, and a repetition has the same times under all labels.
"""

import fcntl
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event as Flag

from pgiostat.analysis.whatif import Assumption, ChangeKind
from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.history.format.layout import check
from pgiostat.history.write.finalize import finalize
from pgiostat.history.write.writer import Writer
from pgiostat.lab.environment import (
    DBNAME,
    SETTINGS,
    bytes_of,
    checkpoint,
    cold,
    inside,
    load_data,
    translate_errors,
    unload_data,
)
from pgiostat.lab.postgres.cluster import Cluster, Setting, embedded_binaries
from pgiostat.lab.postgres.disk_space import require_space
from pgiostat.lab.replay import ReplayTarget, Sender, Setup
from pgiostat.lab.workload import schema, version_cache
from pgiostat.lab.workload.api import SCHEMA, connected, flush_statistics
from pgiostat.lab.workload.client import Skipping
from pgiostat.lab.workload.schema import TABLES, DataSize
from pgiostat.lab.workload.trace import Operation, Pace, Trace, generate
from pgiostat.postgres.connection import connect
from pgiostat.postgres.dsn import check_dsn
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
    "Stage",
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
"""Of the time that is measured."""
STEPS = 40
"""Intervals that a run is measured in."""
LONGEST_STEP_SECONDS = 3_600.0
MAY_WAIT = ("visit",)
ALL_READS = frozenset({Operation.VERSION, Operation.MANIFEST, Operation.FETCH})


@dataclass(frozen=True, slots=True)
class Experiment:
    """What is tried.

    name: also the label in the history.  classes: whose queries are changed; all if none is named.
    """

    name: str
    what: str
    setup: Setup
    classes: tuple[str, ...] = ()


def _setup(
    *off: Operation,
    tables: tuple[str, ...] = TABLES,
    cache: version_cache.Design | None = None,
    bug: bool = True,
) -> Setup:
    return Setup(tables, frozenset(off), cache, Skipping(may_wait=MAY_WAIT, bug=bug))


BASELINE = "baseline"
EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment(BASELINE, "as it was found", _setup()),
    Experiment("table_added", "one table more", _setup(tables=(*TABLES, "note"))),
    Experiment("version_off", "without version queries", _setup(Operation.VERSION), ("version",)),
    Experiment(
        "manifest_off", "without manifest queries", _setup(Operation.MANIFEST), ("manifest",)
    ),
    Experiment(
        "uploads_alone", "uploads alone", _setup(*sorted(ALL_READS)),
        ("version", "manifest", "other"),
    ),
    Experiment("skip_fixed", "identical tables are skipped", _setup(bug=False), ("manifest",)),
    Experiment(
        "cache_update", "versions cached, updated by uploads",
        _setup(cache=version_cache.Design.UPDATE), ("version",),
    ),
    Experiment(
        "cache_invalidate", "versions cached, invalidated by uploads",
        _setup(cache=version_cache.Design.INVALIDATE), ("version",),
    ),
    Experiment(
        "both", "cache updated, and identical tables skipped",
        _setup(cache=version_cache.Design.UPDATE, bug=False), ("version", "manifest"),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Run:
    """An experiment that was run once.

    since, until: of its time in the history.  requests: that were made.  looked: versions for which
    all rows were read.
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
    """Return what was changed, as `whatif` is told it."""
    found = []
    for name in experiment.classes or tuple(run.requests):
        if name in (*experiment.setup.off, "other") and experiment.classes:
            found.append(Assumption(name, ChangeKind.DROP))
        elif name == Operation.VERSION and experiment.setup.cache is not None:
            found.append(Assumption(name, ChangeKind.READS, _ratio(run.looked, baseline.looked)))
        elif name in (Operation.VERSION, Operation.MANIFEST, Operation.UPLOAD):
            factor = _ratio(run.requests.get(name, 0), baseline.requests.get(name, 0))
            if factor != 1.0:  # else nothing is changed
                found.append(Assumption(name, ChangeKind.CALLS, factor))
    return found


def _ratio(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0


def trace_of(seed: int, seconds: float, size: DataSize) -> Trace:
    """Return the traffic of a repetition, with what warms up before it."""
    return generate(size, seconds * (1 + WARM_UP), seed, Pace())


class Stage:
    """Where runs take place: copies of a server of our own, or a schema in somebody else's.

    Raises PgiostatError dsn-invalid.
    """

    def __init__(
        self,
        root: Path,
        size: DataSize,
        dsn: str = "",
        settings: Mapping[str, Setting] | None = None,
    ) -> None:
        if dsn:
            check_dsn(dsn)
        self.size = size
        self._root, self._dsn = root, dsn
        asked = SETTINGS | dict(settings or {})
        self._made = Cluster(embedded_binaries(), root / "made", settings=asked)
        self._run = Cluster(embedded_binaries(), root / "run", settings=asked)

    @property
    def log(self) -> Path:
        """What the server of a run says."""
        return self._run.log

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let no other experiments take place here meanwhile: they would take it all away.

        Raises PgiostatError lab-running, and as pgiostat.postgres.connection.connect does.
        """
        with ExitStack() as held:
            if self._dsn:
                # Who cannot be watched is told so before anything is made.
                held.enter_context(closing(connect(self._dsn).conn))
                guard = held.enter_context(connected(self._dsn))
                free = guard.execute("SELECT pg_try_advisory_lock(hashtext(%s))", [SCHEMA])
                if free.fetchone() != (True,):
                    raise _running(f'database "{guard.info.dbname}"')
            else:
                self._root.mkdir(parents=True, exist_ok=True)
                file = held.enter_context((self._root / "lock").open("ab"))
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise _running(f'"{self._root}"') from None
            yield

    def prepare(self, progress: schema.Progress | None = None) -> None:
        """Make the data that all runs begin with, if they are not there."""
        if self._dsn:
            return
        self._run.destroy()
        if self._made.is_initialised():
            with translate_errors(self._made), self._made:
                checkpoint(self._made)
                if schema.is_loaded(inside(self._made.dsn(DBNAME, schema.WRITER)), self.size):
                    return
                load_data(self._made.dsn(DBNAME, schema.WRITER), self.size, progress)
            return
        require_space(bytes_of(self.size), self._made.directory)
        with translate_errors(self._made), self._made:
            checkpoint(self._made)
            load_data(self._made.dsn(DBNAME, schema.WRITER), self.size, progress)

    def remove(self) -> None:
        """Stop what runs, and remove all that was made."""
        if self._dsn:
            with translate_errors():
                unload_data(self._dsn)
            return
        self._run.destroy()
        self._made.destroy()

    @contextmanager
    def fresh(self) -> Iterator[tuple[str, str]]:
        """Yield connection strings, of who works and of who watches, of a server as it was made."""
        if self._dsn:
            with translate_errors():
                load_data(self._dsn, self.size)
            yield self._dsn, self._dsn
            return
        self._run.destroy()
        with translate_errors(self._run):
            self._run.initialise(copy_of=self._made)
            cold(self._run.data)
        try:
            with translate_errors(self._run), self._run:
                yield self._run.dsn(DBNAME, schema.WRITER), self._run.dsn(DBNAME, schema.READER)
        finally:
            self._run.destroy()


def _running(where: str) -> PgiostatError:
    return PgiostatError(
        f"other experiments are at work in {where}",
        hint="Wait until they have ended, or end them.",
        slug="lab-running",
    )


Progress = Callable[[str, float], None]
"""Told what is being done, and the share of all that is done."""


def run_all(
    stage: Stage,
    out: Path,
    *,
    seconds: float,
    repeats: int,
    seed: int = 1,
    experiments: Sequence[Experiment] = EXPERIMENTS,
    again: bool = False,
    told: Progress | None = None,
    stop: Flag | None = None,
) -> list[Run]:
    """Run all experiments, repetition by repetition, into a history below a directory.

    again: in place of what was measured there, which goes when the first server is up.
    Raises PgiostatError: lab-exists if there is one, lab-stopped when it is interrupted, disk-full,
    and what a history that cannot be written raises.
    """
    told, ending = told or (lambda _what, _share: None), stop or Flag()
    if not again:
        check_free(out)
    runs: list[Run] = []
    lasts = timedelta(seconds=seconds)
    # Nothing of it is to be in the future.
    first = datetime.now(UTC).replace(microsecond=0) - repeats * lasts
    whole = repeats * len(experiments)
    for repeat in range(repeats):
        trace = trace_of(seed + repeat, seconds, stage.size)
        for experiment in experiments:
            done = len(runs)

            def part(share: float, done: int = done, name: str = experiment.name) -> None:
                told(name, (done + share) / whole)

            with stage.fresh() as dsns:
                if not runs:
                    # One that was cut short left samples, whose time may be that of a run of now.
                    forget(out)
                    out.mkdir(parents=True, exist_ok=True)
                began = first + repeat * lasts
                run = measure(
                    experiment, trace, dsns, out, repeat=repeat, began=began, told=part, stop=ending
                )
            runs.append(run)
            with translate_errors(), (out / RUNS).open("a", encoding="utf-8") as file:
                file.write(json.dumps(_as_record(run)) + "\n")
    finalize(out / HISTORY, [experiment.name for experiment in experiments])
    return runs


def check_free(out: Path) -> None:
    """Raise PgiostatError lab-exists if there are experiments in a directory."""
    if (out / RUNS).exists():
        raise PgiostatError(
            f'there are experiments in "{out}" already',
            hint="Show them with pgiostat lab report, measure --again in their place, or name"
            " another directory by --out.",
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
    told: Callable[[float], None],
    stop: Flag,
    warm_up: float = WARM_UP,
) -> Run:
    """Run an experiment once: warm up, then send the trace in steps with a reading after each.

    dsns: of the sync API, and of who watches.  out: the history is below it.  began: when the run
    begins by the history's clock.  warm_up: what of the trace comes before, as a share of the rest.
    Raises PgiostatError lab-stopped, and what a server that is lost raises.
    """
    api, reader = dsns
    seconds = trace.lasts / (1 + warm_up)
    before, measured = trace.split(seconds * warm_up)
    step = timedelta(seconds=seconds / STEPS)
    sampler = Sampler(
        reader, LONGEST_STEP_SECONDS, uncategorized, lambda _seconds: False, label=experiment.name
    )
    with ExitStack() as stack:
        writer = stack.enter_context(closing(Writer.open(out / HISTORY, experiment.name)))
        ticks = stack.enter_context(closing(sampler.ticks()))  # type: ignore[type-var] # a generator

        def reading(number: int) -> None:
            tick = next(ticks)
            if tick.delta is None:
                raise tick.error or AssertionError
            if number:
                until = began + number * step
                writer.append(_at(tick.delta, until - step, until), sampler.names)

        with connected(api) as connection:
            sender = Sender(ReplayTarget(experiment.name, api, experiment.setup), trace, connection)
            for event in before.events:
                sender.send(event)
            sender.forget()
            flush_statistics(connection)
            reading(0)
            left = measured
            for number in range(1, STEPS + 1):
                now, left = left.split(seconds * (warm_up + number / STEPS))
                for event in now.events:
                    if stop.is_set():
                        raise _interrupted(out)
                    sender.send(event)
                flush_statistics(connection)
                reading(number)
                told(number / STEPS)
    syncs = sum(event.operation is Operation.SYNC for event in measured.events)
    return Run(
        experiment.name, repeat, trace.seed or 0, began, began + STEPS * step, syncs,
        {str(name): count for name, count in sorted(sender.sent.requests.items())},
        sender.sent.looked,
    )  # fmt: skip


def _at(delta: Delta, since: datetime, until: datetime) -> Delta:
    """Return an interval at the trace's time."""
    older = delta.older and replace(delta.older, started_at=since, taken_at=since)
    newer = replace(delta.newer, started_at=until, taken_at=until)
    return replace(delta, older=older, newer=newer, seconds=(until - since).total_seconds())


def _interrupted(out: Path) -> PgiostatError:
    return PgiostatError(
        "the experiments were stopped",
        detail=f'What was measured until then is in "{out}".',
        slug="lab-stopped",
        status=ExitStatus.INTERRUPTED,
    )


def _as_record(run: Run) -> dict[str, object]:
    return {
        name: value.isoformat() if isinstance(value := getattr(run, name), datetime) else value
        for name in Run.__slots__
    }


def forget(out: Path) -> None:
    """Remove experiments from a directory, and nothing else that is in it."""
    (out / RUNS).unlink(missing_ok=True)
    if (out / HISTORY).exists():
        check(out / HISTORY)  # a history, and nothing that only has its name
        shutil.rmtree(out / HISTORY)


def read_runs(out: Path) -> list[Run]:
    """Return the runs that were measured into a directory.

    Raises PgiostatError lab-empty if there are none, and lab-unreadable.
    """
    try:
        content = (out / RUNS).read_text("utf-8")
    except FileNotFoundError:
        content = ""
    runs = []
    # What was cut short while it was written has no end of a line.
    for number, line in enumerate(content.split("\n")[:-1], 1):
        try:
            told = json.loads(line)
            times = {name: datetime.fromisoformat(told[name]) for name in ("since", "until")}
            runs.append(Run(**(told | times)))
        except (ValueError, KeyError, TypeError) as error:
            raise PgiostatError(
                f'could not read line {number} of "{out / RUNS}"',
                detail=f"{type(error).__name__}: {error}.",
                hint="Restore it, or measure anew with: pgiostat lab run --again",
                slug="lab-unreadable",
            ) from None
    if not any(run.experiment == BASELINE for run in runs):
        raise PgiostatError(
            f'there are no experiments in "{out}"',
            detail="All are told against a baseline, and that was not run." if runs else None,
            hint="Make them with: pgiostat lab run",
            slug="lab-empty",
        )
    return runs
