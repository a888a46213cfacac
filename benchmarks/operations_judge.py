"""Judge estimates of operations by recordings: a table of all, as Markdown."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pgiostat.analysis.operations import (
    Context,
    Intervals,
    StatementCounts,
    TableCounts,
    estimate,
)

__all__ = ["Case", "Recording", "cases", "header", "intervals_of", "row"]

LEAST_SHARE = 0.05
"""Share of the blocks of a load from which a class is judged."""
NEAR = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A recording: its head, and its lines, one a second."""

    head: dict[str, Any]
    lines: list[dict[str, Any]]

    @classmethod
    def read(cls, path: Path) -> "Recording | None":
        """Read a file that `record` wrote; None if it did not end."""
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        if not lines or "head" not in lines[-1]:
            return None
        return cls(lines[-1]["head"], lines[:-1])

    @property
    def name(self) -> tuple[str, str, str]:
        """Load, version and io_method."""
        version = str(self.head["version"] // 10_000)
        return self.head["load"], version, self.head["io_method"]


@dataclass(frozen=True, slots=True)
class Case:
    """One class in one window: the truth, the estimate with its interval, and today's number."""

    recording: tuple[str, str, str]
    name: str
    share: float
    truth: float
    estimate: float
    low: float
    high: float
    is_known: bool
    by_blocks: float
    is_exact: bool

    @property
    def error(self) -> float:
        """Relative error of the estimate."""
        return abs(self.estimate / self.truth - 1.0)

    @property
    def is_held(self) -> bool:
        """Whether the interval holds the truth."""
        return self.low <= self.truth <= self.high


def _columns(lines: Sequence[dict[str, Any]], queryids: list[int], column: int) -> np.ndarray:
    places = {queryid: i for i, queryid in enumerate(queryids)}
    found = np.zeros((len(lines), len(queryids)))
    for i, line in enumerate(lines):
        for row in line["statements"]:
            found[i, places[row[0]]] += row[column]
    return found


def _coarser(values: np.ndarray, step: int) -> np.ndarray:
    return np.add.reduceat(values, np.arange(0, len(values), step), axis=0)


def intervals_of(
    recording: Recording, begin: int, end: int, step: int, cadence: int | None
) -> tuple[Intervals, list[int]]:
    """Return the intervals of some seconds of a recording, and the queryids of the statements.

    Args:
        step: Seconds of an interval.
        cadence: Seconds between two readings of the tables' counters; None: there are none.
    """
    lines = recording.lines[begin + 1 : end + 1]
    queryids = sorted({row[0] for line in lines for row in line["statements"]})

    def server(name: str) -> Context:
        both = np.array([line[name] for line in lines], dtype=float)
        return Context(_coarser(both[:, 0], step), _coarser(both[:, 1], step))

    calls, blocks, touched = (
        _coarser(_columns(lines, queryids, column), step) for column in (1, 2, 3)
    )
    seconds = _coarser(np.array([line["seconds"] for line in lines]), step)
    tables = None
    if cadence is not None:
        tables = _tables(recording, (begin, end), step, cadence, queryids)
    head = recording.head
    found = Intervals(
        seconds,
        StatementCounts(calls, blocks, touched),
        server("bulk"),
        server("normal"),
        head["buffers"],
        head["combine"],
        tables,
    )
    return found, queryids


def _tables(
    recording: Recording, seconds: tuple[int, int], step: int, cadence: int, queryids: list[int]
) -> TableCounts:
    begin, end = seconds
    read = list(range(begin, end + 1, cadence))
    counters = np.array([recording.lines[i]["tables"] for i in read], dtype=float)
    oids = counters[0, :, 0].astype(int).tolist()
    deltas = np.diff(counters, axis=0)
    touches = np.zeros((len(queryids), len(oids)), dtype=bool)
    for i, queryid in enumerate(queryids):
        for oid in recording.head["touches"].get(str(queryid), []):
            touches[i, oids.index(oid)] = True
    return TableCounts(
        begins=np.array([(i - begin) // step for i in read[:-1]]),
        ends=np.array([(i - begin) // step for i in read[1:]]),
        pages=counters[-1, :, 1],
        rows=counters[-1, :, 2],
        scans=deltas[:, :, 3],
        bitmap_rows=deltas[:, :, 4],
        index_rows=deltas[:, :, 5],
        touches=touches,
    )


def _truth(recording: Recording, begin: int, end: int) -> dict[str, np.ndarray]:
    def at(i: int, name: str) -> np.ndarray:
        contexts = recording.lines[i]["truth"][name].values()
        return np.array([sum(each[i] for each in contexts) for i in range(2)], dtype=float)

    return {name: at(end, name) - at(begin, name) for name in recording.lines[begin]["truth"]}


def cases(
    recording: Recording, begin: int, end: int, step: int = 1, cadence: int | None = 10
) -> Iterator[Case]:
    """Yield the classes of a window that read at least LEAST_SHARE of its blocks."""
    intervals, queryids = intervals_of(recording, begin, end, step, cadence)
    found = estimate(intervals)
    if found is None:
        return
    names = recording.head["classes"]
    truth = _truth(recording, begin, end)
    whole = sum(blocks for _, blocks in truth.values())
    server = intervals.bulk.operations.sum() + intervals.normal.operations.sum()
    server_blocks = intervals.bulk.blocks.sum() + intervals.normal.blocks.sum()
    judged = [name for name, (_, blocks) in truth.items() if blocks >= LEAST_SHARE * whole]
    groups = np.array(
        [[float(names.get(str(queryid)) == name) for queryid in queryids] for name in judged]
    )
    result = found.grouped(groups)
    statements = found.of_statements().operations.sum()
    is_exact = bool(np.isclose(statements + found.rest_operations, server, rtol=1e-9))
    for i, name in enumerate(judged):
        operations, blocks = truth[name]
        yield Case(
            recording.name,
            name,
            float(blocks / whole),
            float(operations),
            float(result.operations[i]),
            float(result.low[i]),
            float(result.high[i]),
            bool(result.is_known[i]),
            float(result.blocks[i] * server / server_blocks),
            is_exact,
        )


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"


COLUMNS = (
    "classes",
    "with a number",
    "within 25 %",
    "worst",
    "interval holds the truth",
    "unknown",
    "sum exact",
    "by blocks: within 25 %",
)


def row(name: str, found: Sequence[Case]) -> str:
    """Return one row of the table."""
    known = [case for case in found if case.is_known]
    near = [case for case in known if case.error <= NEAR]
    worst = max((case.error for case in known), default=None)
    cells = [
        str(len(found)),
        str(len(known)),
        _share(len(near), len(known)),
        "–" if worst is None else f"{100 * worst:.0f} %",
        _share(sum(case.is_held for case in found), len(found)),
        _share(len(found) - len(known), len(found)),
        "yes" if all(case.is_exact for case in found) else "**no**",
        _share(sum(abs(case.by_blocks / case.truth - 1.0) <= NEAR for case in found), len(found)),
    ]
    return f"| {name} | {' | '.join(cells)} |"


def header(first: str) -> Iterator[str]:
    """Yield the head of a table."""
    yield f"| {first} | {' | '.join(COLUMNS)} |"
    yield f"|---|{'---:|' * len(COLUMNS)}"
