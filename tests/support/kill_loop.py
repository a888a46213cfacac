"""Collectors and seals that are killed again and again, and a reader beside them.

python -m tests.support.kill_loop ROOT KILLS [together].  A program of its own, and every use of
Arrow in a child of it: threads do not survive a fork.  What was acknowledged is noted outside the
history.
"""

import os
import random
import signal
import struct
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Event

import pandas as pd  # noqa: F401 - or Arrow would import it in each child
import pyarrow.parquet as pq

from pgiostat.history.format.file_index import files
from pgiostat.history.format.layout import Layout
from pgiostat.history.write.compaction import compact, compact_shared
from pgiostat.history.write.writer import Writer
from pgiostat.statistics.difference import diff
from pgiostat.statistics.names import Names, Statement
from pgiostat.statistics.snapshot import Snapshot
from pgiostat.volume.device.interval import DeviceInterval, Origin
from tests.support.readings import at, reading

KNOWN = Names({(10, 5, 1): Statement("select 1", "1:aa", "other")}, {5: "app"}, {10: "api"})
SECONDS = 300
"""Of an interval: twelve make an hour, so that sealing meets new hours and days."""
COLUMNS = ["ts", "calls", "shared_blks_read"]
BEGINS, ENDS = -1, -2
"""Notes of a seal."""
WORD = struct.Struct("q")
SEALED_EVERY = 7
UNSEALED = 3
RETOLD = 5
ATTEMPTS = 10
PAUSE_SECONDS = 0.02
PATIENCE_SECONDS = 60.0
TOGETHER = "together" in sys.argv
"""Whether files are those of a fleet."""

Note = Callable[[int], object]
Row = tuple[datetime, int, int]


def nth(number: int) -> Snapshot:
    """Return the reading after so many intervals, the nth of which made a call and n reads."""
    read = number * (number + 1) // 2
    row = {"queryid": 1, "calls": number, "shared_blks_read": read}
    return reading(number * SECONDS, [row])


def expected(count: int) -> list[Row]:
    """Return the rows of the first intervals."""
    return [(at((number - 1) * SECONDS), 1, number) for number in range(1, count + 1)]


# --- what is killed ----------------------------------------------------------------------


def collect(root: Path, note: Note) -> None:
    """Append intervals for ever, and note each that is acknowledged; seal now and then."""
    writer = Writer.open(root, "prod")
    older = writer.resume() or nth(0)
    number = int(older.statements["calls"][0])
    while True:
        number += 1
        newer = nth(number)
        writer.append(diff(older, newer), KNOWN, minutes(number))
        note(number)
        older = newer
        if number % SEALED_EVERY == 0:
            turn(root, note)


def minutes(number: int) -> list[DeviceInterval]:
    """Return what a cloud tells by then: it tells the last few minutes again."""
    return [
        DeviceInterval(at((n - 1) * SECONDS), 60.0, Origin.CLOUDWATCH, "db-1", n)
        for n in range(max(1, number - RETOLD), number + 1)
    ]


def turn(root: Path, note: Note) -> None:
    """Seal once."""
    note(BEGINS)
    if TOGETHER:
        compact_shared(Layout(root), "+fleet", ["prod"])
    else:
        compact(Layout(root), "prod")
    note(ENDS)


def sealer(root: Path, note: Note) -> None:
    """Seal for ever."""
    while True:
        if len(Layout(root).hot_samples()) > UNSEALED:
            turn(root, note)
        Event().wait(0.01)


# --- who reads ---------------------------------------------------------------------------


@dataclass
class Sight:
    """What a reader knows already: sealed files are never rewritten."""

    note: Note
    sealed: dict[Path, list[Row]] = field(default_factory=dict)


def read(root: Path, table: str, sight: Sight, hot: str = "") -> list[Row]:
    """Return the rows of a table, in order of time; note each time that a file had gone."""
    for _ in range(ATTEMPTS):
        found = files(Layout(root), table, hot=hot)
        try:
            # Samples first: they are what goes.
            rows = [row for path in found.hot for row in rows_of(path)]
        except FileNotFoundError:
            sight.note(0)
            continue
        for file in found.compacted:
            if file.path not in sight.sealed:
                sight.sealed[file.path] = rows_of(file.path)
            rows += sight.sealed[file.path]
        return sorted(rows)
    raise SystemExit(f"samples of {table} went {ATTEMPTS} times")


def rows_of(path: Path) -> list[Row]:
    """Return rows of any table that has times; a sample counts as a call and no reads."""
    table = pq.ParquetFile(path).read()
    names = set(table.column_names)
    ones = [1] * len(table)
    wanted = [table[n].to_pylist() if n in names else ones for n in COLUMNS]
    return list(zip(*wanted, strict=True))


def look(root: Path, sight: Sight) -> int:
    """Return how many intervals a reader sees, having found them to be the first ones, once each.

    As intervals, as samples, and as whole hours with what is not sealed yet: what is read later
    may have more.
    """
    rows = read(root, "stmt", sight)
    compare("intervals", rows, expected(len(rows)))
    samples = read(root, "sample", sight)
    compare("samples", samples, [(ts, 1, 1) for ts, _, _ in expected(len(samples))])
    by_hour = hours(read(root, "stmt_1h", sight, hot="stmt"))
    count = sum(calls for calls, _ in by_hour.values())
    compare("hours", by_hour, hours(expected(count)))
    if not len(rows) <= len(samples) <= count:
        raise SystemExit(f"{len(rows)} intervals, then {len(samples)} samples, then {count}")
    return count


def hours(rows: list[Row]) -> dict[datetime, tuple[int, int]]:
    """Return calls and reads by hour."""
    calls: Counter[datetime] = Counter()
    reads: Counter[datetime] = Counter()
    for ts, called, blocks in rows:
        hour = ts.replace(minute=0)
        calls[hour] += called
        reads[hour] += blocks
    return {hour: (calls[hour], reads[hour]) for hour in calls}


def compare(what: str, found: object, wanted: object) -> None:
    """End with both, if they differ."""
    if found != wanted:
        raise SystemExit(f"{what}: found {found}, not {wanted}")


def reader(root: Path, note: Note) -> None:
    """Look for ever: there is never less than before."""
    seen = 0
    sight = Sight(note)
    while True:
        first = len(read(root, "stmt", sight))
        found = look(root, sight)
        if not seen <= first <= found:
            raise SystemExit(f"the reader saw {seen} intervals, then {first}, then {found}")
        seen = found
        note(seen + 1)
        Event().wait(PAUSE_SECONDS)


# --- who kills ---------------------------------------------------------------------------


@dataclass
class Child:
    """A process that does something and notes what it did in a file of its own."""

    work: Callable[[Path, Note], object]
    root: Path
    pid: int = 0
    notes: Path = field(default_factory=Path)
    reaped: bool = False

    def start(self) -> "Child":
        """Begin."""
        self.pid = os.fork()
        if not self.pid:
            self._run()
        self.notes = self._named(self.pid)
        return self

    def _named(self, pid: int) -> Path:
        return self.root.parent / f"{self.work.__name__}-{pid}"

    def _run(self) -> None:
        status = 1
        try:
            file = os.open(self._named(os.getpid()), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            self.work(self.root, lambda number: os.write(file, WORD.pack(number)))
            status = 0
        except SystemExit as end:
            print(f"{self.work.__name__}: {end}", file=sys.stderr)  # noqa: T201 - what is wrong
        except BaseException:  # noqa: BLE001 - told, and seen by its status
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)

    def told(self) -> list[int]:
        """Return what it noted until now."""
        content = self.notes.read_bytes() if self.notes.exists() else b""
        return [number for (number,) in WORD.iter_unpack(content)]

    @property
    def seals(self) -> bool:
        """Whether it is sealing."""
        return self.told()[-1:] == [BEGINS]

    def kill(self) -> None:
        """Kill it, which must have been running."""
        os.kill(self.pid, signal.SIGKILL)
        self.ended(signal.SIGKILL)

    def ended(self, status: int = 0, options: int = 0) -> None:
        """Wait for its end; of what ends otherwise, that is the end of all."""
        pid, found = os.waitpid(self.pid, options)
        self.reaped = pid != 0
        if pid and found != status:
            raise SystemExit(f"a {self.work.__name__} ended with status {found}")


@dataclass
class Loop:
    """A history whose writers are killed."""

    root: Path
    dice: random.Random
    seen: int = 0
    kills: int = 0
    sealing: int = 0
    collector: Child | None = None
    sealers: list[Child] = field(default_factory=list)
    beside: Child = field(init=False)

    def __post_init__(self) -> None:
        self.beside = Child(reader, self.root).start()

    def turn(self) -> None:
        """Let work go on until some instant, kill some of those who do it, and look."""
        if self.collector is None:
            self.collector = Child(collect, self.root).start()
        # A seal outlives its collector, whose successor then starts another.
        if not self.sealers or (len(self.sealers) < 2 and self.dice.random() < 0.3):
            self.sealers.append(Child(sealer, self.root).start())
        self._await(self.collector)
        both = self.dice.random()
        killed = []
        if both < 0.8:
            killed.append(self.collector)
        if both >= 0.6:
            killed += self.sealers
        for child in killed:
            child.kill()
        self.kills += 1
        self.sealing += any(child.seals for child in killed)
        self._check(self.collector, dead=self.collector in killed)
        self.sealers = [child for child in self.sealers if child not in killed]

    def _await(self, collector: Child) -> None:
        """Wait for some intervals, or for a seal; then some milliseconds more."""
        more = self.dice.choice([0, 1, 2, 3, 5, 8])
        wanted = len(collector.told()) + more
        seal_wanted = self.dice.random() < 0.5
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            self.beside.ended(options=os.WNOHANG)
            if seal_wanted and any(child.seals for child in (collector, *self.sealers)):
                break
            if not seal_wanted and len(collector.told()) >= wanted:
                break
            if time.monotonic() > until:
                raise SystemExit(f"nothing happened for {PATIENCE_SECONDS} s")
            Event().wait(0.002)
        Event().wait(self.dice.uniform(0, 0.03))

    def _check(self, collector: Child, *, dead: bool) -> None:
        """Look what is there: all that was acknowledged, and of a dead one at most one more."""
        told = [number for number in collector.told() if number > 0]
        counter = Child(count, self.root).start()
        counter.ended()
        found = counter.told()[-1]
        compare("acknowledged", told, list(range(told[0], told[-1] + 1)) if told else [])
        acknowledged = max([self.seen, *told])
        if told and told[0] > self.seen + 1:
            raise SystemExit(f"kill {self.kills}: went on at {told[0]}, not at {self.seen + 1}")
        if found < acknowledged or (dead and found > acknowledged + 1):
            raise SystemExit(f"kill {self.kills}: {acknowledged} acknowledged, found {found}")
        if dead:
            self.seen = found
            self.collector = None

    def stop(self) -> None:
        """End what may still be running."""
        for child in filter(None, [self.collector, *self.sealers, self.beside]):
            if not child.reaped:
                os.kill(child.pid, signal.SIGKILL)
                os.waitpid(child.pid, 0)

    def end(self) -> str:
        """Kill all, seal what is there, and return what was done."""
        for child in filter(None, [self.collector, *self.sealers]):
            child.kill()
        if self.collector is not None:
            self._check(self.collector, dead=True)
        Child(turn, self.root).start().ended()
        last = Child(count, self.root).start()
        last.ended()
        compare("at the end", last.told()[-1], self.seen)
        compare("left over", [path.name for path in Layout(self.root).tmp.glob("*.parquet")], [])
        self.beside.ended(options=os.WNOHANG)
        self.beside.kill()
        told = self.beside.told()
        looks = sum(number > 0 for number in told)
        return (
            f"{self.kills} kills, {self.sealing} within a seal, {self.seen} intervals, "
            f"{looks} looks, {len(told) - looks} lists anew"
        )


def count(root: Path, note: Note) -> None:
    """Note how many intervals there are."""
    note(look(root, Sight(lambda _: None)))


def main() -> None:
    """Kill, look, and say what was done."""
    loop = Loop(Path(sys.argv[1]), random.Random(11))  # noqa: S311 - about the same in each run
    try:
        for _ in range(int(sys.argv[2])):
            loop.turn()
        print(loop.end())  # noqa: T201 - its result
    finally:
        loop.stop()


if __name__ == "__main__":
    main()
