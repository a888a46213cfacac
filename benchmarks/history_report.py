"""What the sections of the benchmark of histories have in common: figures, and programs run."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.snapshot import Report

__all__ = ["PROGRAM", "Figures", "Run", "Runs", "environment", "kept", "measured"]

USAGE = 2
SLOW_SECONDS = 10.0
"""What takes longer is run once more, not several times."""
PROGRAM: list[str] = (
    [str(program)]
    if (program := Path(sys.executable).with_name("pgiostat")).exists()
    else [sys.executable, "-m", "pgiostat"]
)

# A child begins with the peak memory of its parent, so the parent has to be a small one.
_LAUNCHER = """
import json, os, sys, time
began = time.perf_counter()
out = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)
child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=[out])
_, status, used = os.wait4(child, 0)
print(json.dumps([
    time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024,
    os.waitstatus_to_exitcode(status),
]))
"""


@dataclass(frozen=True, slots=True)
class Run:
    """A program that ended: seconds, seconds of CPU, peak memory in MB."""

    wall: float
    cpu: float
    rss: float
    status: int
    said: str


@dataclass(frozen=True, slots=True)
class Runs:
    """The same program run again and again: the first time, and medians of the others."""

    first: Run
    wall: float = 0.0
    cpu: float = 0.0
    rss: float = 0.0

    @property
    def trouble(self) -> str:
        """Why there is nothing to tell; empty if there is."""
        if self.first.status == USAGE:
            return "not there"
        if self.first.status:
            return f"status {self.first.status}: {self.first.said}"
        return ""


class Figures(Report):
    """Figures of any unit, printed as they come."""

    def row(self, name: str, *cells: str) -> None:
        """Print a row of a table."""
        print(f"  {name:<46}" + "".join(f"{cell:>11}" for cell in cells))

    def note(self, text: str) -> None:
        """Print what is to be known of the numbers around it."""
        print(f"  {text}")

    def keep(self, key: str, values: Mapping[str, float]) -> None:
        """Keep figures for the object at the end."""
        self.figures[key] = {what: round(value, 4) for what, value in values.items()}

    def goal(self, name: str, key: str, value: float, goal: float, unit: str) -> None:
        """Print a figure with the goal that it should be below."""
        met = value < goal
        print(f"  {name:<46}{value:>11.3g} {unit:<6} goal < {goal:g}: {'met' if met else 'MISSED'}")
        self.figures[key] = {"value": round(value, 4), "goal": goal, "met": met}


def environment() -> dict[str, str]:
    """Return the environment of programs: they may keep what they compile, as installed ones do."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def run(command: Sequence[str]) -> Run:
    """Run a program in a process of its own; what it prints goes nowhere."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _LAUNCHER, *command],
        check=True,
        capture_output=True,
        text=True,
        env=environment(),
    )
    wall, cpu, rss, status = json.loads(done.stdout)
    said = done.stderr.strip().splitlines()
    return Run(wall, cpu, rss, status, said[0] if said else "")


def measured(command: Sequence[str], rounds: int) -> Runs:
    """Run a program once, and if it did its work so many times more, or once if it is slow."""
    first = run(command)
    if first.status:
        return Runs(first)
    runs = [run(command) for _ in range(rounds if first.wall < SLOW_SECONDS else 1)]
    wall, cpu = (statistics.median(getattr(run, what) for run in runs) for what in ("wall", "cpu"))
    return Runs(first, wall, cpu, max(run.rss for run in runs))


def kept(directory: Path) -> int:
    """Return the bytes of all files below a directory."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
