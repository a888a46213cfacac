"""Histories of two halves, in the second of which a query may read more or less."""

import random
from itertools import pairwise
from pathlib import Path

from pgiostat.history.write.writer import Writer
from pgiostat.statistics.difference import diff
from pgiostat.statistics.names import Names, Statement
from tests.support.readings import Unsynced, at, reading, server

TEXTS = {1: "select max(rev) from t", 2: "select id, rev from t where id > ?", 3: "select 1"}
KNOWN = Names(
    {(10, 5, q): Statement(text, f"2:{q:016x}", "") for q, text in TEXTS.items()},
    {5: "app"},
    {10: "api"},
)
SECONDS = 30.0
HALF = 60
"""Intervals of each half: half an hour."""
MIDDLE = at(HALF * SECONDS)


def record(
    root: Path, *, half: tuple[float, float] = (1.0, 1.0), label: str = "prod", seed: int = 1,
    first: int = 10, intervals: int = 2 * HALF, seconds: float = SECONDS,
) -> None:  # fmt: skip
    """Write intervals in which a version query reads, in each half so many times as much."""
    dice = random.Random(seed)  # noqa: S311 - the same numbers each time
    calls = {1: 0, 2: 0, 3: 0}
    blocks = dict.fromkeys(calls, 0)
    readings = []
    for n in range(intervals + 1):
        if n:
            factor = half[n > HALF]
            for queryid, (often, each) in {1: (120, 50), 2: (90, 20), 3: (5, 0)}.items():
                called = round(often * dice.uniform(0.8, 1.2) * (factor if queryid == 1 else 1))
                calls[queryid] += called
                blocks[queryid] += round(called * each * dice.uniform(0.9, 1.1))
        rows = [
            {"userid": first, "queryid": q, "calls": calls[q], "shared_blks_read": blocks[q]}
            for q in calls
        ]
        total = [{"datid": 5, "blks_read": sum(blocks.values())}]
        readings.append(
            reading(n * seconds, rows, databases=total, server=server(label=label, address=label))
        )
    writer = Writer.open(root, label, Unsynced())
    known = Names(
        {(first, 5, q): statement for (_, _, q), statement in KNOWN.statements.items()},
        KNOWN.databases,
        {first: "api"},
    )
    for older, newer in pairwise(readings):
        writer.append(diff(older, newer), known)
    writer.close()


HALVES = (f"prod@..{MIDDLE.isoformat()}", f"@{MIDDLE.isoformat()}..")
