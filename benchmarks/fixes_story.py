"""Fixes that `why` proposes for the sync application of the demo, applied and measured.

    pgiostat demo                       # in one terminal
    python -m benchmarks.fixes_story    # in another

Each version query of a table gets one of the proposed fixes: an index, or the order of the primary
key. The table has the blocks that a call touches: now, as predicted, as measured. The demo's server
keeps the changes; `pgiostat demo --clean` removes it.
"""

import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import cycle
from pathlib import Path
from threading import Event
from urllib.parse import parse_qs, urlsplit

import psycopg

from pgiostat.analysis.fixes import FixKind
from pgiostat.collector.short_recording import short_recording
from pgiostat.history.read.history import History
from pgiostat.history.read.window_spec import window
from pgiostat.queries.describe import describer
from pgiostat.reports.why import ExplainedStatement, why_report
from pgiostat.reports.why_fixes import ProposedFix

SECONDS = 45.0
KINDS = (FixKind.CREATE_INDEX, FixKind.CLUSTER)
CATEGORY = "version"


def _explained(
    dsn: str, directory: Path, targets: Sequence[str] = (CATEGORY,)
) -> Mapping[str, ExplainedStatement]:
    """Record the demo for a while, and explain some statements, by fingerprint."""
    describe = describer()
    short_recording(dsn, directory, describe, SECONDS, Event().wait)
    opened = History.open(directory)
    try:
        everything = window(opened, datetime.now().astimezone())
        reports = [
            why_report(opened, None, everything, describe=describe, target=each) for each in targets
        ]
    finally:
        opened.close()
    return {each.evidence.key: each for report in reports for each in report.statements}


def _chosen(found: Sequence[ExplainedStatement]) -> Mapping[str, ProposedFix]:
    """Return a fix for each statement: the kinds in turn."""
    chosen = {}
    for each, kind in zip(found, cycle(KINDS), strict=False):
        fix = next((one for one in each.fixes if one.fix.kind is kind), None)
        if fix is not None:
            chosen[each.evidence.key] = fix
    return chosen


def _administrator(dsn: str) -> str:
    """Return the connection string of the demo's owner."""
    parts = urlsplit(dsn)
    (passfile,) = parse_qs(parts.query)["passfile"]
    return f"postgresql://postgres@{parts.hostname}:{parts.port}{parts.path}?passfile={passfile}"


def main() -> int:
    """Explain, apply, measure; return 0."""
    printed = subprocess.run(
        [sys.executable, "-m", "pgiostat", "demo", "--dsn"],
        check=True,
        capture_output=True,
        text=True,
    )
    dsn = printed.stdout.strip()
    with tempfile.TemporaryDirectory() as place:
        before = _explained(dsn, Path(place) / "before")
        fixes = _chosen([*before.values()])
        with psycopg.connect(_administrator(dsn), autocommit=True) as connection:
            for proposed in fixes.values():
                for statement in proposed.fix.statements:
                    connection.execute(statement.encode())
        after = _explained(dsn, Path(place) / "after", [*fixes])
    print("| statement | fix | now | predicted | measured |")
    print("|---|---|---|---|---|")
    for key, proposed in fixes.items():
        sides = before[key].evidence.after, after[key].evidence.after
        now, measured = (each.touched_per_call or 0.0 for each in sides)
        found = proposed.fix.prediction
        point = "–" if found is None or found.point is None else f"{found.point:,.1f}"
        print(
            f"| `{before[key].evidence.name}` | `{proposed.fix.statements[0]}` | {now:,.1f} |"
            f" {point} | {measured:,.1f} |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
