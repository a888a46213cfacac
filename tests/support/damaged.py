"""Histories whose files are damaged, and what is answered then."""

import random
from pathlib import Path
from typing import Any

from pgiostat.errors import PgiostatError
from pgiostat.history.format.layout import Layout
from pgiostat.history.format.schema import COMPACTED
from pgiostat.history.read.history import History
from pgiostat.history.read.windows import Window
from pgiostat.history.write.compaction import compact
from pgiostat.history.write.writer import Writer
from pgiostat.queries.describe import uncategorized
from pgiostat.statistics.difference import diff
from pgiostat.statistics.names import Names, Statement
from pgiostat.statistics.snapshot import Snapshot
from tests.support.readings import Unsynced, reading

__all__ = ["KINDS", "TEXTS", "answer", "answered", "counted", "damaged", "flipped", "made"]

TEXTS = Names({(10, 5, 1): Statement("select a", "1:aa", "version")}, {5: "app"}, {10: "api"})


def counted(reads: int, seconds: float, **more: Any) -> Snapshot:
    """Return a reading in which everything that is counted has read so many blocks."""
    row = {"queryid": 1, "calls": reads, "shared_blks_read": reads, "min_exec_time": 0.5}
    return reading(
        seconds,
        [row, row | {"queryid": 2, "shared_blks_read": 2 * reads}],
        databases=[{"datid": 5, "blks_read": 3 * reads}],
        relations=[{"relid": 20000, "blks_read": reads}],
        io=[
            {
                "backend_type": "client backend",
                "object": "relation",
                "reads": reads,
                "read_bytes": 3 * 8192 * reads,
            }
        ],
        **more,
    )


def made(root: Path, samples: int = 8, hot: int = 3, step: int = 10) -> Path:
    """Make a history of compacted and of single samples, each of so many seconds."""
    writer = Writer.open(root, "prod", Unsynced())
    for n in range(samples):
        older, newer = counted(n**2, step * n), counted((n + 1) ** 2, step * (n + 1))
        writer.append(diff(older, newer), TEXTS)
        if n == samples - hot:
            compact(Layout(root), "prod", Unsynced())
    writer.close()
    return root


def answer(root: Path, *, skip_bad: bool = False) -> tuple[object, set[Path]]:
    """Return all that a history has, and what was left out."""
    history = History.open(root, skip_bad=skip_bad)

    def asked() -> object:
        (whole,) = history.servers()
        window = Window(whole.since, whole.until)
        seen = history.totals(window)
        (part,) = seen.counted.values()
        names = history.names(uncategorized)[whole.server_id]
        return (
            whole,
            seen.sampled,
            part.statements,
            part.statement_amounts.tolist(),
            [history.facts(table, window, [whole.server_id]).to_pylist() for table in COMPACTED],
            (names.databases, names.roles, names.relations, names.statements),
        )

    try:
        return history.consistent(asked), set(history.left_out)
    finally:
        history.close()


KINDS = ("flip", "cut", "drop", "zero", "rubbish")
"""A bit is turned; the end, or a part, is missing; zeros or random bytes are over a part."""


def damaged(rng: random.Random, kind: str, content: bytes) -> bytes:
    """Return bytes with a damage of a kind at a random place."""
    found = bytearray(content)
    place, length = rng.randrange(len(found)), rng.choice((1, 16, 64, 512))
    part = slice(place, min(place + length, len(found)))
    if kind == "flip":
        found[place] ^= 1 << rng.randrange(8)
    elif kind == "cut":
        del found[place:]
    elif kind == "drop":
        del found[part]
    elif kind == "zero":
        found[part] = bytes(part.stop - place)
    else:
        found[part] = rng.randbytes(part.stop - place)
    return bytes(found)


def flipped(content: bytes, place: int, bit: int) -> bytes:
    """Return bytes of which one bit is another."""
    return content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :]


def answered(root: Path, *, skip_bad: bool = False) -> object:
    """Return what a history has, or the error about it; or what is left out, None for all of it."""
    try:
        whole, left_out = answer(root, skip_bad=skip_bad)
    except PgiostatError as error:
        is_empty = error.slug in {"window-empty", "history-empty"}
        return None if skip_bad and is_empty else f"{error.message} {error.detail}"
    return left_out if skip_bad else whole
