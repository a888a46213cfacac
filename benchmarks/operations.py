"""Operations by statement against the server's own count of each class's session.

    python -m benchmarks.operations record DIRECTORY --binaries BIN --label 18 [--load NAME]...
    python -m benchmarks.operations judge DIRECTORY [--cadences]

`record` runs loads, each on a server of its own, and writes a recording of each. `judge` prints a
table of all recordings of a directory as Markdown: each class that read at least 5 % of the blocks
of a load, over five minutes. With --cadences it prints the sums at other intervals instead.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.operations_judge import Case, Recording, cases, header, row
from benchmarks.operations_load import FIRST_KIND, LOADS, SECOND_KIND
from benchmarks.operations_record import record

SECONDS = 330
SETTLED_AFTER = 30
"""Seconds of a recording that a window of five minutes leaves out."""
MINUTE, WINDOW = 60, 300
INTERVAL, TABLES_EVERY = 1, 10
"""Seconds between snapshots, and between reads of the tables' counters, as in `watch`."""
CADENCES: Sequence[tuple[int, int | None]] = ((1, 10), (5, 10), (5, 60), (10, 60), (1, None))
KINDS = {"first kind": FIRST_KIND, "second kind": SECOND_KIND}


def _judged(
    recordings: Sequence[Recording], length: int, step: int, cadence: int | None
) -> Iterator[Case]:
    """Yield the cases of all windows of a length."""
    for recording in recordings:
        last = len(recording.lines) - 1
        first = SETTLED_AFTER if length == WINDOW else 0
        for begin in range(first, last - length + 1, length):
            yield from cases(recording, begin, begin + length, step, cadence)


def _of_kind(found: Sequence[Case], loads: Sequence[str]) -> list[Case]:
    return [case for case in found if case.recording[0] in loads]


def by_load(recordings: Sequence[Recording]) -> Iterator[str]:
    """Yield the table of five minutes: a row for each recording, and one for each kind."""
    found = list(_judged(recordings, WINDOW, INTERVAL, TABLES_EVERY))
    yield from header("load, version, io_method")
    for kind, loads in KINDS.items():
        of_kind = _of_kind(found, list(loads))
        for name in dict.fromkeys(case.recording for case in of_kind):
            yield row(", ".join(name), [case for case in of_kind if case.recording == name])
        yield row(f"**{kind}, all**", of_kind)


def by_cadence(recordings: Sequence[Recording]) -> Iterator[str]:
    """Yield the sums of both kinds at several intervals, over one minute and over five."""
    yield from header("kind, window, snapshots, tables")
    for kind, loads in KINDS.items():
        for length in (MINUTE, WINDOW):
            for step, cadence in CADENCES:
                if length // step <= TABLES_EVERY:
                    continue  # too few intervals for a regression
                found = _of_kind(list(_judged(recordings, length, step, cadence)), list(loads))
                every = "none" if cadence is None else f"{cadence} s"
                yield row(f"{kind}, {length // MINUTE} min, {step} s, {every}", found)


def main() -> int:
    """Record or judge; return 1 if a session of a load failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record")
    recording.add_argument("directory", type=Path)
    recording.add_argument("--binaries", type=Path, required=True)
    recording.add_argument("--label", required=True, help="of the version, in names of files")
    recording.add_argument("--load", action="append", choices=sorted(LOADS))
    recording.add_argument("--io-method", action="append")
    recording.add_argument("--seconds", type=int, default=SECONDS)
    judging = commands.add_parser("judge")
    judging.add_argument("directory", type=Path)
    judging.add_argument("--cadences", action="store_true", help="sums at other intervals")
    options = parser.parse_args()
    if options.command == "judge":
        found = [Recording.read(path) for path in sorted(options.directory.glob("*.jsonl"))]
        ended = [each for each in found if each is not None]
        for line in by_cadence(ended) if options.cadences else by_load(ended):
            print(line)
        return 0
    options.directory.mkdir(parents=True, exist_ok=True)
    failed = False
    for name in options.load or LOADS:
        for method in options.io_method or ("sync", "worker"):
            target = options.directory / f"{name}-{options.label}-{method}.jsonl"
            errors = record(options.binaries, name, method, options.seconds, target)
            print(target.name, *errors, file=sys.stderr)
            failed |= bool(errors)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
