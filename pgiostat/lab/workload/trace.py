"""Traffic as a file: the actions of the sync system's clients, a line each.

The first line describes the data that the trace is for; each further line is an event:

    {"at": 3.25, "client": 7, "operation": "change", "table": "invoice", "range": [100, 104]}

``at`` is in seconds since the beginning; ``range`` holds ids, the last one excluded.  There are two
sorts of events.  Events at clients: rows change on a device (change) or on another one of the same
client (remote), and the sync process visits a client (sync) and sends requests.  And requests to
the server, captured from a run: version, manifest, fetch and upload; these are sent unchanged.
"""

import json
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from math import log
from pathlib import Path
from random import Random
from typing import Any

from pgiostat.errors import PgiostatError
from pgiostat.lab.workload.schema import DataSize

__all__ = ["Event", "Operation", "Pace", "Trace", "generate", "read", "write"]

SCHEMA_VERSION = 1


class Operation(StrEnum):
    """The type of an event; the first three happen at clients, the others are requests."""

    CHANGE = "change"
    REMOTE = "remote"
    SYNC = "sync"
    VERSION = "version"
    MANIFEST = "manifest"
    FETCH = "fetch"
    UPLOAD = "upload"


@dataclass(frozen=True, slots=True)
class Event:
    """An action of a client.  at: in seconds; rows: a range of ids, the last one excluded."""

    at: float
    client: int
    operation: Operation
    table: str = ""
    rows: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Trace:
    """Events in the order of time, and the size of the data.  lasts: in seconds."""

    size: DataSize
    seed: int | None
    lasts: float
    events: tuple[Event, ...]

    def split(self, at: float) -> tuple["Trace", "Trace"]:
        """Return the events before a time in seconds, and the others."""
        first = bisect_left(self.events, at, key=lambda event: event.at)
        return replace(self, events=self.events[:first]), replace(self, events=self.events[first:])


@dataclass(frozen=True, slots=True)
class Pace:
    """The behaviour of clients.

    Attributes:
        syncs_per_s: of all clients together (a Poisson process).
        changed: mean number of tables that changed on a device since its last sync.
        remote: mean number of tables that changed on another device.
        rows: mean number of rows of a change (a geometric distribution).
        clients: exponent of Zipf's law for the clients' shares of the syncs.
    """

    syncs_per_s: float = 0.5
    changed: float = 2.0
    remote: float = 0.25
    rows: float = 3.0
    clients: float = 0.5


def generate(
    size: DataSize,
    seconds: float,
    seed: int,
    pace: Pace | None = None,
    *,
    seldom: Sequence[str] = (),
) -> Trace:
    """Return random traffic; the same seed gives the same events on every machine.

    Args:
        seconds: of traffic.
        seldom: tables that change on a device in one sync of twenty.
    """
    pace = pace or Pace()
    chance = _Chance(seed)
    weights = [1 / (rank + 1) ** pace.clients for rank in range(size.clients)]
    events: list[Event] = []
    at = chance.wait(pace.syncs_per_s)
    while at < seconds:
        client = chance.one_of(weights)
        for operation, mean in ((Operation.CHANGE, pace.changed), (Operation.REMOTE, pace.remote)):
            for table in size.tables:
                likely = mean / len(size.tables)
                if chance.happens(0.05 if table in seldom else likely):
                    rows = min(chance.count(pace.rows), size.rows)
                    first = chance.below(size.rows - rows + 1)
                    events.append(Event(at, client, operation, table, (first, first + rows)))
        events.append(Event(at, client, Operation.SYNC))
        at = round(at + chance.wait(pace.syncs_per_s), 6)
    return Trace(size, seed, seconds, tuple(events))


class _Chance:
    """Random numbers; Python guarantees the same sequence for a seed of random() alone."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed).random  # noqa: S311 - the same traffic each time, no secret

    def wait(self, per_s: float) -> float:
        """Return seconds until the next event of a Poisson process."""
        whole: float = round(-log(1.0 - self._random()) / per_s, 6)
        return whole

    def happens(self, likely: float) -> bool:
        return self._random() < likely

    def below(self, end: int) -> int:
        return int(self._random() * end)

    def count(self, mean: float) -> int:
        """Return a number from 1 on, geometrically distributed."""
        count = 1
        while self._random() > 1 / mean:
            count += 1
        return count

    def one_of(self, weights: Sequence[float]) -> int:
        left = self._random() * sum(weights)
        for place, weight in enumerate(weights):
            left -= weight
            if left < 0:
                return place
        return len(weights) - 1


def write(trace: Trace, path: Path) -> None:
    """Write a trace as JSON lines."""
    with path.open("w", encoding="utf-8") as file:
        head = {"schema_version": SCHEMA_VERSION, "seed": trace.seed, "lasts": trace.lasts}
        file.write(json.dumps(head | {"size": asdict(trace.size)}) + "\n")
        for event in trace.events:
            file.write(json.dumps(_as_record(event)) + "\n")


def _as_record(event: Event) -> dict[str, Any]:
    record: dict[str, Any] = {"at": event.at, "client": event.client, "operation": event.operation}
    if event.table:
        record["table"] = event.table
    if event.rows[1]:
        record["range"] = list(event.rows)
    return record


def read(path: Path) -> Trace:
    """Return a trace from a file.

    Raises:
        PgiostatError: trace-invalid, with the number of the line; file-unusable.
    """
    try:
        with path.open(encoding="utf-8") as file:
            lines = enumerate(file, start=1)
            size, seed, lasts = _head(path, next(lines, (1, ""))[1])
            events = tuple(_events(path, lines, size))
    except OSError as error:
        raise PgiostatError(
            f'could not read the trace "{path}": {error.strerror}', slug="file-unusable"
        ) from error
    except UnicodeDecodeError as error:
        raise _invalid(path, 1, "It is not text in UTF-8.") from error
    return Trace(size, seed, lasts, events)


def _head(path: Path, line: str) -> tuple[DataSize, int | None, float]:
    try:
        head = json.loads(line)
        size = DataSize.from_record(head["size"])
        version, seed, lasts = head["schema_version"], head["seed"], float(head["lasts"])
    except (ValueError, KeyError, TypeError) as error:
        raise _invalid(path, 1, "It does not name the data of the trace.") from error
    if version != SCHEMA_VERSION:
        raise _invalid(path, 1, f"Its schema_version is {version}, not {SCHEMA_VERSION}.")
    return size, seed, lasts


def _events(path: Path, lines: Iterator[tuple[int, str]], size: DataSize) -> Iterator[Event]:
    before = 0.0
    for number, line in lines:
        try:
            record = json.loads(line)
            first, last = record.get("range", (0, 0))
            event = Event(
                float(record["at"]),
                int(record["client"]),
                Operation(record["operation"]),
                record.get("table", ""),
                (int(first), int(last)),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _invalid(path, number, f"It is not an event: {line.strip()[:80]}") from error
        if contradiction := _contradiction(event, size, before):
            raise _invalid(path, number, contradiction)
        before = event.at
        yield event


def _contradiction(event: Event, size: DataSize, before: float) -> str:
    """Return a sentence on a contradiction between an event and the data, empty without one."""
    whole = {Operation.SYNC, Operation.VERSION}  # of a client, or of a table
    if event.at < before:
        return f"Its time, {event.at:g}, is before that of the line above, {before:g}."
    if not 0 <= event.client < size.clients:
        return f"There is no client {event.client}: the data has {size.clients}."
    if event.operation is not Operation.SYNC and event.table not in size.tables:
        return f'There is no table "{event.table}": the data has {", ".join(size.tables)}.'
    if event.operation not in whole and not 0 <= event.rows[0] < event.rows[1] <= size.rows:
        return f"Its range is not within rows 0 to {size.rows}: {list(event.rows)}."
    return ""


def _invalid(path: Path, number: int, detail: str) -> PgiostatError:
    return PgiostatError(
        f'"{path}" is not a trace that can be replayed',
        detail=f"Line {number}: {detail}",
        hint="Make one with: pgiostat lab trace",
        slug="trace-invalid",
    )
