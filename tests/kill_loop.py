"""A collector that is killed again and again: python -m tests.kill_loop ROOT KILLS.

A program of its own, and every use of Arrow in a child of it: threads do not survive a fork.
"""

import os
import random
import signal
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pyarrow.parquet as pq

from pgiostat.delta import diff
from pgiostat.history.files import files
from pgiostat.history.layout import Layout
from pgiostat.history.seal import seal
from pgiostat.history.writer import Writer
from pgiostat.names import Names, Statement
from tests.readings import reading

KNOWN = Names({(10, 5, 1): Statement("select 1", "1:aa", "other")}, {5: "app"}, {10: "api"})
SEALED_EVERY = 7
WORD = 8


def collect(root: Path, tell: Callable[[int], object]) -> None:
    """Append intervals for ever, each of which counts one call; seal now and then."""
    writer = Writer.open(root, "prod")
    older = writer.resume() or reading(0, [{"queryid": 1, "calls": 0}])
    calls = int(older.statements["calls"][0])
    while True:
        calls += 1
        newer = reading(calls, [{"queryid": 1, "calls": calls}])
        writer.append(diff(older, newer), KNOWN)
        tell(calls)
        older = newer
        if calls % SEALED_EVERY == 0:
            seal(writer.layout, "prod")


def count(root: Path, tell: Callable[[int], object]) -> None:
    """Tell the calls of each interval that a reader sees."""
    for path in files(Layout(root), "stmt").paths:
        for calls in pq.read_table(path, partitioning=None)["calls"].to_pylist():
            tell(calls)


def child(work: Callable[[Callable[[int], object]], None], seconds: float | None) -> list[int]:
    """Return what a child told before it ended, or was killed."""
    readable, writable = os.pipe()
    process = os.fork()
    if not process:
        status = 1
        try:
            os.close(readable)
            work(lambda number: os.write(writable, struct.pack("q", number)))
            status = 0
        finally:
            os._exit(status)
    os.close(writable)
    if seconds is not None:
        Event().wait(seconds)
        os.kill(process, signal.SIGKILL)
    told = b""
    while part := os.read(readable, 65_536):
        told += part
    os.close(readable)
    _, status = os.waitpid(process, 0)
    expected = 0 if seconds is None else signal.SIGKILL
    if status != expected:
        raise SystemExit(f"a child ended with status {status}")
    return [number for (number,) in struct.iter_unpack("q", told)]


def main() -> None:
    """Kill, look, and say how many intervals were acknowledged."""
    root, kills = Path(sys.argv[1]), int(sys.argv[2])
    dice = random.Random(11)  # noqa: S311 - about the same instants in each run
    acknowledged = 0
    for number in range(kills):
        told = child(lambda tell: collect(root, tell), dice.uniform(0.02, 0.5))
        acknowledged = max([acknowledged, *told])
        found = child(lambda tell: count(root, tell), None)
        # Each interval counted one call; one more may be committed than was heard of.
        if found not in ([1] * acknowledged, [1] * (acknowledged + 1)):
            raise SystemExit(f"kill {number}: {acknowledged} acknowledged, found {found}")
        acknowledged = len(found)
    print(f"{kills} kills, {acknowledged} intervals")  # noqa: T201 - its result


if __name__ == "__main__":
    main()
