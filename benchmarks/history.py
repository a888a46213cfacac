"""What a history costs to write, to keep, to ask and to collect, beside SQLite.

    python benchmarks/history.py [--quick] [--json] [--strict] [--only NAME ...] [--history DIR]

Three sections:

append     one sample committed, beside the same fsyncs of empty files and an SQLite transaction;
           sealing, and bytes a row
week       a week of a busy server, made up: its size, and how long reports take in cold processes,
           beside SQLite holding the same rows
collector  CPU, memory and punctuality of `pgiostat collect` on a server of our own, and on fifty
           databases of it that stand for fifty servers

--history keeps the week for the next time. --quick has a sample every 100 seconds instead of one
every ten, and shorter runs.
"""

import argparse
import json
import os
import platform
import sqlite3
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from benchmarks.history_append import append
from benchmarks.history_collector import collector
from benchmarks.history_report import Figures
from benchmarks.history_week import week

SECTIONS = ("append", "week", "collector")


def main() -> None:
    """Run the sections."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="about a tenth, within 3 minutes")
    parser.add_argument("--json", action="store_true", help="end with all figures as one object")
    parser.add_argument("--strict", action="store_true", help="fail if a goal is missed")
    parser.add_argument(
        "--only", choices=SECTIONS, nargs="+", default=SECTIONS, metavar="NAME", help="sections"
    )
    parser.add_argument("--history", type=Path, metavar="DIR", help="where to keep the week")
    parser.add_argument("--tmp", type=Path, metavar="DIR", help="where all else is written")
    asked = parser.parse_args()
    if asked.tmp is not None and not asked.tmp.is_dir():
        parser.error(f"argument --tmp: there is no directory {asked.tmp}")
    versions = (
        f"Python {platform.python_version()}, pyarrow {pa.__version__}, duckdb"
        f" {duckdb.__version__}, numpy {np.__version__}, SQLite {sqlite3.sqlite_version}"
    )
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, {versions}, "
        f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    report = Figures()
    with tempfile.TemporaryDirectory(prefix="pgiostat-bench-", dir=asked.tmp) as name:
        directory = Path(name)
        if "append" in asked.only:
            append(directory, report, quick=asked.quick)
        if "week" in asked.only:
            root = asked.history or directory / "week"
            week(root, directory, report, quick=asked.quick)
        if "collector" in asked.only:
            collector(directory, report, quick=asked.quick)
    print(f"\nGoals missed: {', '.join(report.missed) or 'none'}")
    if asked.json:
        print(json.dumps(report.figures))
    if asked.strict and report.missed:
        sys.exit(1)


if __name__ == "__main__":
    main()
