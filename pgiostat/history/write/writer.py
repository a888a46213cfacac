"""The only way into a history: each interval is committed whole, and once.

An interval is encoded in memory, written and synced below tmp/, and committed by a rename. What
fails before that leaves nothing, and the next interval is subtracted from the reading before:
a full disk costs resolution, never totals. The reading that was committed last lies beside its
sample, so that a restart goes on from there.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Self

import pyarrow as pa

from pgiostat.errors import PgiostatError
from pgiostat.history.format import checkpoint
from pgiostat.history.format.checksum import to_parquet
from pgiostat.history.format.clock_skew import FAR_AHEAD
from pgiostat.history.format.durable_io import Disk
from pgiostat.history.format.encode import devices, encode, name_table, named, server_id, texts
from pgiostat.history.format.file_index import LATE, files
from pgiostat.history.format.filesystem import (
    UnreadableError,
    UnsafeFileError,
    exists,
    open_regular,
    read_small,
)
from pgiostat.history.format.layout import Layout, check_collector, create
from pgiostat.history.format.schema import SCHEMAS
from pgiostat.history.format.validation import Validator
from pgiostat.statistics.delta import Delta, Quality
from pgiostat.statistics.names import Names, StatementKey
from pgiostat.statistics.snapshot import RESUMED, Snapshot
from pgiostat.volume.device.interval import DeviceInterval, Origin

__all__ = ["BASELINE", "Writer", "check_free", "parquet"]

BASELINE = "baseline"
"""The file of the reading that a sample ends with, beside its tables."""


_Point = tuple[str, datetime]
"""What CloudWatch told of, and when that began: after a restart it tells it again."""


def parquet(table: pa.Table, place: PurePosixPath | Path, beside: Iterable[str] = ()) -> memoryview:
    """Return a table as the bytes of a Parquet file, which is for a place below the root.

    Without dictionaries: of so few rows they take more time and memory than they save, and
    compaction makes them.
    """
    return to_parquet(table, place, beside, compression="zstd", use_dictionary=False)


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Writer:
    """Appends the samples of one collector; made by `open`, given back by `close`.

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
    _named: dict[tuple[str, int], tuple[str, str, int, str]] = field(default_factory=dict)
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

        Raises PgiostatError option-invalid, not-a-history, history-newer, history-unwritable,
        and collector-running if another process writes under this id.
        """
        check_collector(collector)
        disk = (disk or Disk()).below(root)
        layout = create(root, collector, disk, version=version("pgiostat"))
        writer = cls(layout, collector, disk, _lock(layout, collector, disk), now=now)
        try:
            writer._begin()
        except BaseException as error:
            writer.close()
            if isinstance(error, UnreadableError):
                raise error.for_writers() from None
            if isinstance(error, OSError):
                raise _unwritable(layout, error) from None
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
        sealed = [
            s.last for s in self.layout.compacted_files("sample") if s.collector == self.collector
        ]
        self.number = max([0, *numbers, *sealed])
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
        # A history of an earlier version may have a time of a clock that was wrong.
        return next((end for end in ends if end <= self.now() + FAR_AHEAD), None)

    def _start_of(self, delta: Delta) -> datetime:
        """Return when an interval begins in the history.

        By the server's clock, unless that is far ahead of ours or was set far back: then where the
        last interval ended.  A clock that is wrong for a time must not put intervals where no
        window looks for them, or where they count as old enough to be removed.
        """
        since = delta.until if delta.since is None else delta.since
        since = since if delta.lost is None else delta.lost.since
        latest = self.now() + FAR_AHEAD
        if since <= latest and (self.ends is None or since >= self.ends - FAR_AHEAD):
            return since
        return (
            self.now() - timedelta(seconds=delta.seconds or 0.0) if self.ends is None else self.ends
        )

    def _bounded(self, delta: Delta, start: datetime) -> Delta:
        """Return an interval with a length that can be true.

        After a restart only the server's clock tells how long an interval was. Where that was set
        meanwhile, or would let the interval end far in our future, our own clock does.
        """
        now = self.now()
        longest = (now + FAR_AHEAD - start).total_seconds()
        by_our_clock = max((now - start).total_seconds(), 0.0)
        resumed = delta.older is not None and delta.older.session == RESUMED
        lost_all = delta.lost is not None and delta.lost.seconds == delta.seconds
        if delta.seconds is not None and (
            delta.seconds > longest or (resumed and Quality.CLOCK_JUMP in delta.qualities)
        ):
            qualities = [each for each in delta.qualities if each is not Quality.OK]
            if Quality.CLOCK_JUMP not in qualities:
                qualities.append(Quality.CLOCK_JUMP)
            delta = replace(delta, seconds=by_our_clock, qualities=tuple(qualities))
        if delta.lost is not None and (delta.seconds is not None or delta.lost.seconds > longest):
            length = by_our_clock if delta.seconds is None else delta.seconds
            if delta.seconds is not None and not lost_all:
                length = min(length, delta.lost.seconds)
            delta = replace(delta, lost=replace(delta.lost, seconds=length))
        return delta

    def _measured_devices(self) -> set[_Point]:
        """Return what was written lately and may be told again."""
        while True:
            found = files(self.layout, "device")
            # In what is shared others' points are told too: they have other names.
            ours = [
                file for file in found.sealed if file.is_shared or file.collector == self.collector
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
                    # Nobody reads a damaged file; what was sealed meanwhile is elsewhere now.
                    gone = gone or error.slug == "history-changed"
            if not gone:
                return points

    def _turn_to(self, server: int) -> None:
        """Take note of which server the next interval is of: another's ids mean something else."""
        if server != self._server:
            self._written.clear()
            self._excused.clear()
            self._named.clear()
            self._server = server

    def close(self) -> None:
        """Let go of the collector's id."""
        self._held.close()

    def resume(self) -> Snapshot | None:
        """Return the reading that the last sample ended with; None if there is none to be had."""
        path = self.layout.sample(self.collector, self.number) / BASELINE
        try:
            return checkpoint.load(read_small(path, checkpoint.MOST_BYTES, root=self.layout.root))
        except (OSError, ValueError):
            return None

    def append(
        self, delta: Delta, names: Names, measured: Sequence[DeviceInterval] = ()
    ) -> list[StatementKey]:
        """Commit an interval, with the texts and names in it that were not written before.

        measured: what the device did, in times of its own; what was written before is not again.
        Returns the statements whose texts are written now, and are not asked for any more.
        Raises PgiostatError history-unwritable; then nothing of it is there, and the next
        interval must begin where this one did.
        """
        self._turn_to(server_id(delta.newer.server))
        start = self._start_of(delta)
        delta = self._bounded(delta, start)
        tables = encode(delta, start)
        told = texts(delta, names, self._written, self._excused, start)
        if told is not None:
            tables["statement"] = told
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
            hint = "Nothing is lost: the next sample covers this interval too."
            raise _unwritable(self.layout, error, hint) from None
        last, self.number = self.number, number
        self.ends = start + timedelta(seconds=delta.seconds or _lost_seconds(delta))
        new_texts: list[StatementKey] = []
        if told is not None:
            ids = (told[name].to_pylist() for name in ("userid", "dbid", "queryid"))
            keys = list(zip(*ids, strict=True))
            unread = told["unread"].is_valid().to_pylist()
            new_texts = [key for key, is_unread in zip(keys, unread, strict=True) if not is_unread]
            self._written.update(new_texts)
            self._excused.update(keys)
        self._named.update(also)
        self._measured.update(
            (each.name, each.begin) for each in new if each.source is Origin.CLOUDWATCH
        )
        try:
            self.disk.sync(self.layout.hot(self.collector))
            # Only the newest reading is gone on from, once it is there for good.
            self.disk.remove(self.layout.sample(self.collector, last) / BASELINE)
        except OSError:
            # It is committed: readers see it. To write it again would count it twice.
            self.failures += 1
        return new_texts

    def _withdraw(self, number: int) -> None:
        """Remove a sample that was committed although its commit reported an error.

        Its interval is part of the one that is committed now: with both it would count twice.
        Nobody has compacted it, for it is the newest sample.
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
    """Return what CloudWatch told of in a file; raises UnreadableError."""
    columns = Validator().columns(path, SCHEMAS["device"], ("source", "name", "ts"))
    return [
        (name, began)
        for source, name, began in zip(*columns, strict=True)
        if source == Origin.CLOUDWATCH
    ]


def _lock(layout: Layout, collector: str, disk: Disk) -> BinaryIO:
    """Take the id of a collector; the system lets go of it when the process ends, however."""
    try:
        file = disk.hold(layout.lock(collector))
    except OSError as error:
        raise _unwritable(layout, error) from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _running(layout, collector, file) from None
    except OSError as error:
        file.close()
        raise _unwritable(layout, error) from None
    with contextlib.suppress(OSError):  # a full disk: nobody is told who holds it
        os.ftruncate(file.fileno(), 0)
        os.write(file.fileno(), str(os.getpid()).encode())
    return file


def check_free(layout: Layout, collector: str) -> None:
    """Raise PgiostatError collector-running if a process writes under the id of a collector.

    The id is shared for an instant, and never taken: one that writes keeps it.
    """
    try:
        file = open_regular(layout.lock(collector), layout.root)
    except UnsafeFileError as error:
        raise _unwritable(layout, error) from None
    except OSError:
        return  # never held, or not ours to see: to write is what will fail then
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        raise _running(layout, collector, file) from None
    file.close()


def _running(layout: Layout, collector: str, file: BinaryIO) -> PgiostatError:
    file.seek(0)
    holder = file.read(64).decode("ascii", "replace")
    file.close()
    return PgiostatError(
        f'a collector "{collector}" is writing to "{layout.root}" already',
        detail=f"Its process is {holder}." if holder.isdigit() else None,
        hint="Give this one another --label.",
        slug="collector-running",
    )


def _unwritable(layout: Layout, error: OSError, hint: str | None = None) -> PgiostatError:
    return PgiostatError(
        f'could not write to the history in "{layout.root}":'
        f" {error.strerror or type(error).__name__}",
        hint=hint,
        slug="history-unwritable",
    )
