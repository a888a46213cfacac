"""A history of minutes that are not waited for: each interval gets the next minute as its time."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pgiostat.collector.relations import relation_sampler
from pgiostat.collector.targets import Target
from pgiostat.history.format.durable_io import Disk
from pgiostat.history.format.layout import Layout
from pgiostat.history.read.windows import Window
from pgiostat.history.write.newest_definitions import newest_definitions
from pgiostat.history.write.writer import Writer
from pgiostat.postgres.relation_options import relation_options
from pgiostat.postgres.sampler import Sampler
from pgiostat.queries.describe import describer
from pgiostat.statistics.delta import Delta, Quality

__all__ = ["RecordedMinutes"]

BEGIN = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class _Unsynced(Disk):
    """A disk that waits for nothing."""

    def write(self, path: Path, content: bytes | memoryview) -> None:
        """Write a file."""
        path.write_bytes(content)

    def sync(self, directory: Path) -> None:
        """Wait for nothing."""


class RecordedMinutes:
    """Collects a server into a history, with statements and tables each minute.

    Args:
        dsn: The server.
        history: Where the history is written.
        label: Its label.
    """

    def __init__(self, dsn: str, history: Path, label: str) -> None:
        self.now, self.end, self.label = 0.0, BEGIN, label
        self._relations_end = BEGIN
        self._writer = Writer.open(history, label, _Unsynced())
        target = Target(dsn, label, relations=relation_options("60s"))
        relations = relation_sampler(
            target, lambda: self.now, lambda which: newest_definitions(Layout(history), which)
        )
        if relations is None:
            raise RuntimeError("tables are not read")
        self._relations = relations
        self._sampler = Sampler(
            dsn,
            60.0,
            describer(),
            lambda _: False,
            label=label,
            clock=lambda: self.now,
            on_interval=self._accept,
            relations=relations,
        )
        self._results = self._sampler.intervals()
        for _ in range(2):
            self._step()

    def minutes(self, count: int, work: Callable[[int], None]) -> Window:
        """Record some minutes with work in each; return when that was.

        Args:
            count: How many.
            work: Called with the number of each; what it did must be counted by then.
        """
        begin = self.end
        for minute in range(count):
            work(minute)
            self._step()
        return Window(begin, self.end, self.label)

    def _step(self) -> None:
        self.now += 60.0
        # What a read of the tables costs here must not postpone the next one.
        self._relations._due = 0.0  # noqa: SLF001
        if (error := next(self._results).error) is not None:
            raise error

    def _accept(self, delta: Delta) -> bool:
        if delta.older is None:
            return True
        begin, self.end = self.end, self.end + MINUTE
        changes = delta.relation_changes
        if changes is not None:
            since, self._relations_end = self._relations_end, self.end
            seconds = (self.end - since).total_seconds()
            intervals = tuple(
                replace(each, since=since, seconds=seconds) for each in changes.intervals
            )
            changes = replace(changes, intervals=intervals)
        moved = replace(
            delta,
            older=replace(delta.older, taken_at=begin),
            newer=replace(delta.newer, taken_at=self.end),
            seconds=60.0,
            qualities=(Quality.OK,),
            relation_changes=changes,
        )
        self._writer.append(moved, self._sampler.names)
        return True

    def close(self) -> None:
        """End the collection."""
        self._results.close()  # type: ignore[attr-defined]
        self._writer.close()
