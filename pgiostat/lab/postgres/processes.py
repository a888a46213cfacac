"""The machine's processes, from /proc or from ps."""

import contextlib
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["MachineProcess", "pause", "processes", "wait_until"]


@dataclass(frozen=True, slots=True)
class MachineProcess:
    """A process.  parent: its process id; command: its command line."""

    parent: int
    command: str


def processes() -> dict[int, MachineProcess]:
    """Return the processes that have not ended, by process id; a zombie has ended."""
    return dict(_from_proc() if Path("/proc/self/stat").exists() else _from_ps())


def pause(seconds: float) -> None:
    """Wait."""
    threading.Event().wait(seconds)


def wait_until(condition: Callable[[], bool], deadline: float, interval: float) -> bool:
    """Check a condition at an interval, in seconds, until it holds or time.monotonic() is late.

    Returns:
        Whether the condition held.
    """
    while not condition():
        if time.monotonic() > deadline:
            return False
        pause(interval)
    return True


def _from_proc() -> Iterator[tuple[int, MachineProcess]]:
    for directory in Path("/proc").iterdir():
        if directory.name.isdecimal():
            with contextlib.suppress(OSError):  # the process has ended meanwhile
                # pid (name) state ppid ...: the name may contain blanks and parentheses.
                state, parent = (directory / "stat").read_text().rpartition(")")[2].split()[:2]
                command = (directory / "cmdline").read_bytes().decode("utf-8", "replace")
                if state != "Z":
                    yield (
                        int(directory.name),
                        MachineProcess(int(parent), command.replace("\0", " ")),
                    )


def _from_ps() -> Iterator[tuple[int, MachineProcess]]:
    listing = subprocess.run(
        ["ps", "-A", "-w", "-w", "-o", "pid=,ppid=,stat=,command="],  # noqa: S607 - the system's
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for line in listing.splitlines():
        pid, parent, state, *command = line.split(None, 3)
        if not state.startswith("Z"):
            yield int(pid), MachineProcess(int(parent), "".join(command))
