"""A marked statement that runs without pause, what reads it meanwhile, and what came of that.

The application itself counts how often it ran and what it read: auto_explain tells each session
what each execution read.
"""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

import psycopg

__all__ = [
    "INTERVAL_SECONDS", "MARKED", "TABLE", "Application", "Collect", "Execution", "Figures",
    "Interval", "Reader", "Verdict", "Watch", "judged", "until",
]  # fmt: skip

INTERVAL_SECONDS = 0.4
END_SECONDS = 45.0
PAUSE_SECONDS = 0.02
BLOCKS = 600
MARGIN = timedelta(seconds=0.25)
"""A statement is counted when it has ended, and a reading takes its time."""
TICK = timedelta(milliseconds=5)
"""By how much an interval may miss the end of the one before it: lengths are rounded."""

TABLE = (
    "CREATE TABLE marked (pad text)",
    "ALTER TABLE marked ALTER pad SET STORAGE PLAIN",
    f"INSERT INTO marked SELECT repeat('x', 5000) FROM generate_series(1, {BLOCKS})",
    "VACUUM ANALYZE marked",
    "GRANT SELECT ON marked TO PUBLIC",
)
"""Makes a table that is larger than the servers' buffers."""
MARKED = "SELECT count(pad) AS marked, clock_timestamp() FROM marked"
_SESSION = (
    "SET auto_explain.log_min_duration = 0",
    "SET auto_explain.log_analyze = on",
    "SET auto_explain.log_buffers = on",
    "SET auto_explain.log_timing = off",
    "SET auto_explain.log_format = json",
    "SET client_min_messages = log",
    "SET max_parallel_workers_per_gather = 0",
)
_LOSES = frozenset(
    {
        "first", "other server", "baseline lost", "extension changed", "privileges changed",
        "restart", "reset", "evicting",
    }
)  # fmt: skip
"""Qualities of an interval of which a part may be lost."""

Ids = frozenset[str]


def until(holds: Callable[[], bool], seconds: float) -> bool:
    """Wait until something holds; return whether it did in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        Event().wait(0.05)
    return True


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution of the marked statement.

    Attributes:
        at: When it ended, by the server's clock.
        blocks: What it read.
        certain: Whether the server has counted it; if not, its connection ended meanwhile.
    """

    at: datetime
    blocks: int
    certain: bool = True


class Application:
    """Sends the marked statement again and again from a thread, and connects again when it must.

    Attributes:
        dsn: Where to; a change holds from the next connection on.
        is_counted: Whether the server counts what is sent now.
        executions: What was sent while the server counted it.
    """

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.is_counted = True
        self.executions: list[Execution] = []
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self._blocks: list[int] = []
        self._lock = Lock()
        self._stop = Event()
        self._thread = Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; nothing is in flight when this returns."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._disconnect()

    @contextmanager
    def still(self, *, reconnect: bool = False) -> Iterator[None]:
        """Send nothing meanwhile; nothing is in flight."""
        with self._lock:
            if reconnect:
                self._disconnect()
            yield

    def _run(self) -> None:
        while not self._stop.wait(PAUSE_SECONDS):
            with self._lock:
                self._send()

    def _send(self) -> None:
        try:
            connection = self._connected()
        except psycopg.Error:
            return
        self._blocks.clear()
        try:
            row = connection.execute(MARKED).fetchone()
        except psycopg.Error:
            # The server may have counted it: how much it read is known if its plan came.
            self._disconnect()
            if self.executions and self.is_counted:
                read = self._blocks[0] if self._blocks else BLOCKS
                last = self.executions[-1].at
                self.executions.append(Execution(last, read, certain=False))
            return
        assert row is not None
        (read,) = self._blocks
        if self.is_counted:
            self.executions.append(Execution(row[1], read))

    def _connected(self) -> psycopg.Connection[tuple[Any, ...]]:
        if self._connection is None:
            connection = psycopg.connect(
                self.dsn, autocommit=True, prepare_threshold=None, connect_timeout=3
            )
            connection.add_notice_handler(self._heard)
            for statement in _SESSION:
                connection.execute(statement)
            self._connection = connection
        return self._connection

    def _heard(self, notice: psycopg.errors.Diagnostic) -> None:
        _, found, plan = (notice.message_primary or "").partition("plan:\n")
        if found:
            said = json.loads(plan)
            if said["Query Text"] == MARKED:
                self._blocks.append(said["Plan"]["Shared Read Blocks"])

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
        self._connection = None


@dataclass(frozen=True, slots=True)
class Interval:
    """What a reader says of the marked statement in an interval, and of the interval."""

    since: datetime
    until: datetime
    loses: bool
    calls: int = 0
    blocks: int = 0


@dataclass(frozen=True, slots=True)
class Figures:
    """What a reader said in all; lost: times that it reports as lost."""

    intervals: Sequence[Interval]
    lost: Sequence[tuple[datetime, datetime]] = ()

    @property
    def is_lossy(self) -> bool:
        """Whether it reports that anything may be lost."""
        return bool(self.lost) or any(each.loses for each in self.intervals)

    def may_lack(self, execution: Execution) -> bool:
        """Return whether an execution falls into a time that is reported as lost."""
        lost = [*self.lost, *((each.since, each.until) for each in self.intervals if each.loses)]
        return any(begin - MARGIN <= execution.at <= end + MARGIN for begin, end in lost)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A cell, and what is wrong with it if anything is."""

    cell: str
    wrong: str = ""


def judged(figures: Figures, executions: Sequence[Execution], *, loses: bool) -> Verdict:
    """Compare figures with the truth.

    Args:
        figures: What a reader said.
        executions: What the application sent.
        loses: Whether the fault may cost something at all.
    """
    certain = [each for each in executions if each.certain]
    said, exact, most = _said(figures.intervals), _sums(certain), _sums(executions)
    if _within(exact, said, most):
        # Whether a statement ran just before a reset is chance.
        return Verdict("reported" if loses and figures.is_lossy else "exact")
    difference = f"{said[0] - exact[0]:+,} calls, {said[1] - exact[1]:+,} blocks of {exact}"
    least = _sums([each for each in certain if not figures.may_lack(each)])
    if not _within(least, said, most):
        return Verdict("wrong", f"{difference}; {least} are not reported as lost")
    for run in _runs(figures.intervals):
        if not _fits(run, executions):
            when = f"{run[0].since:%H:%M:%S.%f} to {run[-1].until:%H:%M:%S.%f}"
            return Verdict("wrong", f"{difference}; {_said(run)} from {when} cannot be")
    return Verdict("reported", "" if loses else f"{difference}, though nothing need be lost")


def _runs(intervals: Sequence[Interval]) -> Iterator[Sequence[Interval]]:
    """Yield intervals that follow on each other and lose nothing; each other one by itself."""
    run: list[Interval] = []
    for each in intervals:
        if run and (each.loses or run[-1].loses or abs(each.since - run[-1].until) > TICK):
            yield run
            run = []
        run.append(each)
    if run:
        yield run


def _fits(run: Sequence[Interval], executions: Sequence[Execution]) -> bool:
    """Return whether what a reader said of a time can be what ran in it."""
    since, until = run[0].since, run[-1].until
    near = [each for each in executions if since - MARGIN <= each.at <= until + MARGIN]
    inside = [
        each
        for each in near
        if each.certain and since + MARGIN < each.at < until - MARGIN and not run[0].loses
    ]
    return _within(_sums(inside), _said(run), _sums(near))


def _said(intervals: Sequence[Interval]) -> tuple[int, int]:
    return sum(each.calls for each in intervals), sum(each.blocks for each in intervals)


def _sums(executions: Sequence[Execution]) -> tuple[int, int]:
    return len(executions), sum(each.blocks for each in executions)


def _within(least: tuple[int, int], said: tuple[int, int], most: tuple[int, int]) -> bool:
    return all(low <= there <= high for low, there, high in zip(least, said, most, strict=True))


class Reader(ABC):
    """A pgiostat that reads the server, as a process of its own."""

    name: str
    statuses: tuple[int, ...] = (0,)
    """How it may end after SIGTERM."""

    def __init__(self, place: Path, environment: Mapping[str, str] | None = None) -> None:
        self.place = place
        self.place.mkdir(exist_ok=True)
        self.environment = {**_environment(), **(environment or {})}
        self.process = self._started()

    @property
    def out(self) -> Path:
        """What it writes to its standard output."""
        return self.place / f"{self.name}.out"

    @property
    def err(self) -> Path:
        """What it writes to its standard error."""
        return self.place / f"{self.name}.err"

    @abstractmethod
    def command(self) -> list[str]:
        """Return the command."""

    @abstractmethod
    def intervals_so_far(self) -> int:
        """Return how many intervals it has."""

    @abstractmethod
    def figures(self, ids: Ids) -> Figures:
        """Return what it said of the statements with these ids."""

    def again(self) -> None:
        """Kill it, and start it again."""
        self.process.kill()
        self.process.wait()
        self.process = self._started()

    def end(self) -> str:
        """End it; return what is wrong with its end."""
        early = self.process.poll()
        if early is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return f"did not end within {END_SECONDS:g} s"
        said = self.err.read_text("utf-8", "replace")
        if "Traceback" in said:
            return f"a traceback: {said[-600:]}"
        if early is not None:
            return f"ended by itself with {early}: {said[-400:]}"
        return "" if status in self.statuses else f"ended with {status}: {said[-400:]}"

    def kill(self) -> None:
        """End it in any case."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _started(self) -> "subprocess.Popen[bytes]":
        with self.out.open("ab") as out, self.err.open("ab") as err:
            return subprocess.Popen(
                [sys.executable, "-m", "pgiostat", *self.command()],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=self.environment,
                cwd=self.place,
            )


class Watch(Reader):
    """`pgiostat watch`."""

    name = "watch"
    statuses = (0, 130)

    def __init__(self, dsn: str, place: Path, environment: Mapping[str, str] | None = None) -> None:
        self.dsn = dsn
        super().__init__(place, environment)

    def command(self) -> list[str]:
        interval = ["--interval", str(INTERVAL_SECONDS)]
        return ["watch", self.dsn, *interval, "--by", "statement", "--format", "csv"]

    def intervals_so_far(self) -> int:
        return len({(row["interval_start"], row["interval_end"]) for row in self._rows()})

    def figures(self, ids: Ids) -> Figures:
        intervals: dict[tuple[str, str], list[dict[str, str]]] = {}
        for row in self._rows():
            intervals.setdefault((row["interval_start"], row["interval_end"]), []).append(row)
        found = [
            _interval(
                begin, end, rows[0]["quality"], [row for row in rows if row["queryid"] in ids],
                hidden=any("hidden" in row["category"] for row in rows),
            )
            for (begin, end), rows in intervals.items()
        ]  # fmt: skip
        return Figures(found, self._lost(found))

    def _lost(self, intervals: Sequence[Interval]) -> list[tuple[datetime, datetime]]:
        """Return the holes between intervals, if each of them was reported."""
        holes = [
            (one.until, other.since)
            for one, other in pairwise(intervals)
            if other.since - one.until > TICK
        ]
        said = self.err.read_text("utf-8", "replace").count(
            "Another server answers at this address"
        )
        return holes if said >= len(holes) else []

    def _rows(self) -> list[dict[str, str]]:
        whole, _, _ = self.out.read_text("utf-8").rpartition("\n")
        return list(csv.DictReader(whole.splitlines()))


class Collect(Reader):
    """`pgiostat collect`, and the history that it writes."""

    name = "collect"

    def __init__(
        self,
        dsn: str,
        place: Path,
        environment: Mapping[str, str] | None = None,
        history: Path | None = None,
    ) -> None:
        self.dsn = dsn
        self.history = history or place / "history"
        super().__init__(place, environment)

    def command(self) -> list[str]:
        return [
            "collect", self.dsn, "--label", "x", "--history", str(self.history),
            "--interval", f"{INTERVAL_SECONDS * 1e3:g}ms", "--device", "none",
            "--cloudwatch", "none",
        ]  # fmt: skip

    def intervals_so_far(self) -> int:
        hot = self.history / "hot" / "x"
        numbers = [each.name for each in hot.iterdir()] if hot.is_dir() else []
        return max((int(name) for name in numbers if name.isdecimal()), default=-1) + 1

    def figures(self, ids: Ids) -> Figures:
        exported = self.place / "export"
        self._asked("export", "--out", str(exported))
        found: dict[str, list[dict[str, str]]] = {}
        for row in _csv(exported / "statements.csv"):
            found.setdefault(row["interval_start"], []).append(row)
        intervals = []
        for sample in _csv(exported / "samples.csv"):
            begin = sample["interval_start"]
            end = datetime.fromisoformat(begin) + timedelta(seconds=float(sample["seconds"]))
            rows = found.get(begin, [])
            intervals.append(
                _interval(
                    begin, end.isoformat(), sample["quality"],
                    [row for row in rows if row["queryid"] in ids],
                    hidden=any(row["masked"] == "true" for row in rows),
                )
            )  # fmt: skip
        figures = Figures(intervals, _lost(exported / "samples.csv"))
        self._check_report(figures, ids)
        return figures

    def _check_report(self, figures: Figures, ids: Ids) -> None:
        """Make sure that report says the same as export."""
        rows = csv.DictReader(
            self._asked("report", "--by", "statement", "--format", "csv").splitlines()
        )
        found = [row for row in rows if row["queryid"] in ids]
        said = (_sum(found, "calls"), _sum(found, "shared_blks_read"))
        assert said == _said(figures.intervals), f"report says {said}, not {figures}"

    def _asked(self, command: str, *words: str) -> str:
        done = subprocess.run(
            [
                sys.executable, "-m", "pgiostat", command, "--history", str(self.history), *words,
            ],
            capture_output=True, text=True, timeout=60, env=_environment(), cwd=self.place,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command} ended with {done.returncode}: {done.stderr}"
        return done.stdout


def _environment() -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**clean, "PYTHONPATH": str(Path(__file__).parent.parent.parent)}


def _interval(
    begin: str, end: str, quality: str, rows: Sequence[Mapping[str, str]], *, hidden: bool
) -> Interval:
    return Interval(
        datetime.fromisoformat(begin),
        datetime.fromisoformat(end),
        hidden or not _LOSES.isdisjoint(re.split(r", |\+", quality)),
        _sum(rows, "calls"),
        _sum(rows, "shared_blks_read"),
    )


def _sum(rows: Iterable[Mapping[str, str]], name: str) -> int:
    return sum(int(row[name]) for row in rows)


def _csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _lost(path: Path) -> list[tuple[datetime, datetime]]:
    """Return the times that an export says are lost."""
    found = []
    for row in _csv(path):
        if seconds := float(row.get("lost_seconds") or 0):
            begin = datetime.fromisoformat(row["interval_start"])
            found.append((begin, begin + timedelta(seconds=seconds)))
    return found
