"""The only way into a history: each interval is committed whole, and once.

An interval is encoded in memory, written and synced below tmp/, and committed by a rename. A
failure before that leaves nothing, and the next interval covers this one too: a full disk costs
resolution, never totals. The newest snapshot lies beside its sample: a restart continues from it.
"""

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Self

import pyarrow as pa

from pgiostat.history.format import checkpoint
from pgiostat.history.format.checksum import to_parquet
from pgiostat.history.format.clock_skew import MAX_CLOCK_SKEW
from pgiostat.history.format.durable_io import Disk
from pgiostat.history.format.encode import (
    Named,
    devices,
    encode,
    name_table,
    named,
    server_id,
    texts,
)
from pgiostat.history.format.file_index import LATE, files
from pgiostat.history.format.filesystem import (
    UnreadableError,
    exists,
    read_small,
)
from pgiostat.history.format.layout import Layout
from pgiostat.history.format.root import check_collector, create
from pgiostat.history.format.schema import SCHEMAS
from pgiostat.history.format.validation import Validator
from pgiostat.history.write.bounds import bounded, start_of
from pgiostat.history.write.lock import lock, unwritable
from pgiostat.statistics.delta import Delta
from pgiostat.statistics.names import Names, StatementKey
from pgiostat.statistics.snapshot import Snapshot
from pgiostat.volume.device.interval import DeviceInterval, Origin

__all__ = ["BASELINE", "Writer", "parquet"]

BASELINE = "baseline"
"""The file of the snapshot at the end of a sample, beside its tables."""


_Point = tuple[str, datetime]
"""A device and a start that CloudWatch has sent: after a restart it sends them a second time."""


def parquet(table: pa.Table, place: PurePosixPath | Path, beside: Iterable[str] = ()) -> memoryview:
    """Return a table as the bytes of a Parquet file.

    Without dictionaries: for few rows they take more time and memory than they save, and compaction
    makes them.

    Args:
        table: The rows.
        place: The path of the file below the root.
        beside: The other tables of the sample.
    """
    return to_parquet(table, place, beside, compression="zstd", use_dictionary=False)


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Writer:
    """Appends the samples of one collector, between `open` and `close`.

    Attributes:
        layout: The history.
        collector: The name of the collector.
        disk: What writes.
        now: The current time by our own clock.
        number: The number of the newest sample.
        ends: When the newest sample ends; None if there is none, or it cannot be read.
        failures: How many operations failed.
    """

    layout: Layout
    collector: str
    disk: Disk
    _held: BinaryIO
    now: Callable[[], datetime] = _now
    number: int = 0
    ends: datetime | None = None
    failures: int = 0
    _written: set[StatementKey] = field(default_factory=set)
    _excused: set[StatementKey] = field(default_factory=set)
    _named: Named = field(default_factory=dict)
    _measured: set[_Point] = field(default_factory=set)
    _server: int | None = None

    @classmethod
    def open(
        cls,
        root: Path,
        collector: str,
        disk: Disk | None = None,
        *,
        now: Callable[[], datetime] = _now,
    ) -> Self:
        """Return a writer; make the history if there is none.

        Args:
            root: The directory of the history.
            collector: The name of the collector.
            disk: What writes.
            now: Returns the current time by our own clock.

        Raises:
            PgiostatError: option-invalid, not-a-history, history-newer, history-unwritable, or
                collector-running if another process writes under this name.
        """
        check_collector(collector)
        disk = (disk or Disk()).below(root)
        layout = create(root, collector, disk, version=version("pgiostat"))
        writer = cls(layout, collector, disk, lock(layout, collector, disk), now=now)
        try:
            writer._begin()
        except BaseException as error:
            writer.close()
            if isinstance(error, UnreadableError):
                raise error.for_writers() from None
            if isinstance(error, OSError):
                raise unwritable(layout, error) from None
            raise
        return writer

    def _begin(self) -> None:
        """Remove what was being written when the collector ended, and find the last number."""
        for left in self.layout.drafts():
            if left.name.startswith(f"{self.collector}-"):
                self.disk.remove(left)
        self.disk.make(self.layout.hot(self.collector))
        self.disk.make(self.layout.tmp)
        self.disk.sync(self.layout.root / "hot")
        self.disk.sync(self.layout.root)
        numbers = [s.number for s in self.layout.hot_samples() if s.collector == self.collector]
        compacted = [
            s.last for s in self.layout.compacted_files("sample") if s.collector == self.collector
        ]
        self.number = max([0, *numbers, *compacted])
        self.ends = self._end_of_newest()
        self._measured = self._measured_devices()

    def _end_of_newest(self) -> datetime | None:
        """Return when the newest sample ends; None if it cannot be read."""
        path = self.layout.sample(self.collector, self.number) / "sample.parquet"
        try:
            rows = Validator().table(path, SCHEMAS["sample"]).to_pylist()
            # Files of earlier versions have no lost_us.
            lengths = [row["dur_us"] or row.get("lost_us") or 0 for row in rows]
            ends = [
                row["ts"] + timedelta(microseconds=length)
                for row, length in zip(rows, lengths, strict=True)
            ]
        except (UnreadableError, OverflowError):
            return None
        # A history of an earlier version may have the time of a wrong clock.
        return next((end for end in ends if end <= self.now() + MAX_CLOCK_SKEW), None)

    def _measured_devices(self) -> set[_Point]:
        """Return the points that CloudWatch may send a second time."""
        while True:
            found = files(self.layout, "device")
            # Shared files have the points of other collectors too, under other names.
            ours = [
                file
                for file in found.compacted
                if file.is_shared or file.collector == self.collector
            ]
            newest = max((file.day for file in ours), default=None)
            paths = [
                *(file.path for file in ours if newest and file.day >= newest - LATE["device"]),
                *(path for path in found.hot if path.parent.parent.name == self.collector),
            ]
            points, gone = set[_Point](), False
            for path in paths:
                try:
                    points.update(_points(path))
                except UnreadableError as error:
                    # A damaged file is skipped; rows that were compacted meanwhile have moved.
                    gone = gone or error.slug == "history-changed"
            if not gone:
                return points

    def _switch_to(self, server: int) -> None:
        """Write all texts and names of another server: its ids mean something else."""
        if server != self._server:
            self._written.clear()
            self._excused.clear()
            self._named.clear()
            self._server = server

    def close(self) -> None:
        """Release the name of the collector."""
        self._held.close()

    def resume(self) -> Snapshot | None:
        """Return the snapshot at the end of the newest sample; None if it cannot be read."""
        path = self.layout.sample(self.collector, self.number) / BASELINE
        try:
            return checkpoint.load(read_small(path, checkpoint.MOST_BYTES, root=self.layout.root))
        except (OSError, ValueError):
            return None

    def append(
        self, delta: Delta, names: Names, measured: Sequence[DeviceInterval] = ()
    ) -> list[StatementKey]:
        """Commit an interval, with the texts and names in it that were not written before.

        Args:
            delta: The interval.
            names: Texts and names of what it has.
            measured: Intervals of the device; those that were written before are skipped.

        Returns:
            The statements with a text in the history from now on: `names` may drop their texts.

        Raises:
            PgiostatError: history-unwritable. Nothing is written then, and the next interval must
                begin where this one did.
        """
        self._switch_to(server_id(delta.newer.server))
        start = start_of(delta, self.ends, self.now())
        delta = bounded(delta, start, self.now())
        tables = encode(delta, start)
        statements = texts(delta, names, self._written, self._excused, start)
        if statements is not None:
            tables["statement"] = statements
        also = named(delta, names, self._named)
        if also:
            tables["name"] = name_table(delta, also)
        new = [each for each in measured if (each.name, each.begin) not in self._measured]
        if new:
            tables["device"] = devices(delta.newer.server, new)
        number = self.number + 1
        draft = self.layout.tmp / f"{self.collector}-{number}"
        try:
            self._withdraw(number)
            self._commit(draft, number, tables, delta.newer)
        except OSError as error:
            self.failures += 1
            with contextlib.suppress(OSError):
                self.disk.remove(draft)
            hint = "Nothing is lost: the next interval includes this one."
            raise unwritable(self.layout, error, hint) from None
        last, self.number = self.number, number
        self.ends = start + timedelta(seconds=delta.seconds or _lost_seconds(delta))
        new_texts = [] if statements is None else self._note_texts(statements)
        self._named.update(also)
        self._measured.update(
            (each.name, each.begin) for each in new if each.source is Origin.CLOUDWATCH
        )
        try:
            self.disk.sync(self.layout.hot(self.collector))
            # A restart continues from the newest snapshot, which is safe from here on.
            self.disk.remove(self.layout.sample(self.collector, last) / BASELINE)
        except OSError:
            # It is committed: a second commit would count it twice.
            self.failures += 1
        return new_texts

    def _note_texts(self, statements: pa.Table) -> list[StatementKey]:
        """Note the rows of `statement` that are written; return those with a text."""
        ids = (statements[name].to_pylist() for name in ("userid", "dbid", "queryid"))
        keys: list[StatementKey] = list(zip(*ids, strict=True))
        unread = statements["unread"].is_valid().to_pylist()
        new = [key for key, is_unread in zip(keys, unread, strict=True) if not is_unread]
        self._written.update(new)
        self._excused.update(keys)
        return new

    def _withdraw(self, number: int) -> None:
        """Remove a sample that was committed although its commit reported an error.

        The next sample covers its interval: with both it would count twice. No process has
        compacted it, for it is the newest sample.
        """
        target = self.layout.sample(self.collector, number)
        if not exists(target):
            return
        # A reader never finds half of it.
        withdrawn = self.layout.tmp / f"{self.collector}-{number}-withdrawn"
        self.disk.publish(target, withdrawn)
        self.disk.sync(target.parent)
        self.disk.remove(withdrawn)

    def _commit(
        self, draft: Path, number: int, tables: Mapping[str, pa.Table], newer: Snapshot
    ) -> None:
        disk = self.disk
        target = self.layout.sample(self.collector, number)
        place = target.relative_to(self.layout.root)
        disk.make(draft)
        for name, table in tables.items():
            file = f"{name}.parquet"
            beside = tables.keys() - {name} if name == "sample" else ()
            disk.write(draft / file, parquet(table, place / file, beside))
        disk.write(draft / BASELINE, checkpoint.dump(newer))
        disk.sync(draft)
        disk.sync(self.layout.tmp)
        disk.publish(draft, target)


def _lost_seconds(delta: Delta) -> float:
    return 0.0 if delta.lost is None else delta.lost.seconds


def _points(path: Path) -> list[_Point]:
    """Return the points of CloudWatch in a file; raises UnreadableError."""
    columns = Validator().columns(path, SCHEMAS["device"], ("source", "name", "ts"))
    return [
        (name, began)
        for source, name, began in zip(*columns, strict=True)
        if source == Origin.CLOUDWATCH
    ]
