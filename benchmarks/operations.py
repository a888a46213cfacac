"""Operations by statement against the server's own count of each class's session.

    python -m benchmarks.operations record DIRECTORY --binaries BIN [--load NAME] [--seconds N]
    python -m benchmarks.operations judge DIRECTORY

`record` runs loads, each on a server of its own, and writes a recording of each. `judge` prints a
table of all recordings of a directory as Markdown.
"""

import argparse
import sys
from pathlib import Path

from benchmarks.operations_load import LOADS
from benchmarks.operations_record import record

SECONDS = 330


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
    options = parser.parse_args()
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
