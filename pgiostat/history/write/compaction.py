"""Compacts committed samples into sorted daily files and writes the hourly rollup.

Compacted files are never rewritten. A crash at any point leaves files that the next run continues
from: compacted samples are recognised by the names of files, and samples are removed when every
table covers them. The newest sample stays: the next interval begins with its snapshot. One process
at a time compacts the samples of a collector: a restarted collector may find its predecessor's
process at work.
"""

import contextlib
import fcntl
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pyarrow as pa

from pgiostat.history.format.checksum import to_parquet
from pgiostat.history.format.compacted import HotSample, day_of
from pgiostat.history.format.covers import cover_bytes
from pgiostat.history.format.durable_io import Disk
from pgiostat.history.format.filesystem import UnreadableError, exists
from pgiostat.history.format.layout import Layout
from pgiostat.history.format.schema import COMPACTED, DIMENSIONS, OPTIONAL, SCHEMAS, SORTED_BY
from pgiostat.history.format.validation import Validator
from pgiostat.history.write.compacted_rows import hourly, newest_rows
from pgiostat.history.write.compaction_policy import MAX_ROWS, MAX_SAMPLES, MAX_SHARED_SAMPLES

__all__ = ["Batch", "compact", "compact_shared"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Samples of one day that become one file for each table.

    Attributes:
        name: Stands in the names of the files: a collector, or the name of shared files.
        date: The day, as 2026-11-30.
        first: The number of the first sample; of shared files the number of the batch.
        last: The number of the last sample; of shared files the number of the batch.
        samples: In the order of their numbers, by collector.
    """

    name: str
    date: str
    first: int
    last: int
    samples: tuple[HotSample, ...]

    @classmethod
    def of(cls, date: str, samples: Sequence[HotSample]) -> "Batch":
        """Return samples of one collector as a batch."""
        return cls(samples[0].collector, date, samples[0].number, samples[-1].number, (*samples,))

    @classmethod
    def shared(cls, name: str, date: str, number: int, samples: Sequence[HotSample]) -> "Batch":
        """Return samples of several collectors as a batch."""
        return cls(name, date, number, number, (*samples,))

    @property
    def spans(self) -> dict[str, tuple[int, int]]:
        """The numbers of the first and the last sample of each collector."""
        found: dict[str, tuple[int, int]] = {}
        for sample in self.samples:
            first, _ = found.get(sample.collector, (sample.number, 0))
            found[sample.collector] = first, sample.number
        return found


def compact(layout: Layout, collector: str, disk: Disk | None = None) -> int:
    """Compact all samples of a collector but the newest.

    Args:
        layout: The history.
        collector: The name of the collector.
        disk: What writes.

    Returns:
        How many samples were compacted; 0 if another process compacts them now.

    Raises:
        OSError: A file could not be written. Nothing is lost, and the next call continues.
    """
    disk = (disk or Disk()).below(layout.root)
    with _locked(layout, collector, disk) as ours:
        return _compact(layout, collector, disk) if ours else 0


def compact_shared(
    layout: Layout, name: str, collectors: Sequence[str], disk: Disk | None = None
) -> int:
    """Compact all samples of several collectors, but the newest of each, into shared files.

    Without shared files, thousands of servers would make millions of files. A cover lists the
    samples in a shared file: it is written before the file, and removed after the samples.

    Args:
        layout: The history.
        name: Part of the names of the files; made by `compacted.together`.
        collectors: The names of the collectors.
        disk: What writes.

    Returns:
        How many samples were compacted; 0 if another process compacts shared files now.

    Raises:
        OSError: A file could not be written. Nothing is lost, and the next call continues.
    """
    disk = (disk or Disk()).below(layout.root)
    with contextlib.ExitStack() as locks:
        if not locks.enter_context(_locked(layout, name, disk)):
            return 0
        ours = [each for each in collectors if locks.enter_context(_locked(layout, each, disk))]
        return _compact_shared(layout, name, ours, disk)


@contextlib.contextmanager
def _locked(layout: Layout, collector: str, disk: Disk | None = None) -> Iterator[bool]:
    """Yield whether no other process compacts; the system releases the lock of a killed process."""
    disk = disk or Disk().below(layout.root)
    with disk.hold(layout.compaction_lock(collector)) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _compact(layout: Layout, collector: str, disk: Disk) -> int:
    _remove_drafts(layout, collector, disk)
    done, busy = _finish_shared(layout, {collector}, disk)
    if busy:
        return done
    begun, left = _begun(layout, {collector})
    fresh = (
        Batch.of(date, samples)
        for date, of_day in groupby(left, key=_date)
        for samples in _cut(of_day, MAX_SAMPLES)
    )
    for batch in (*begun, *fresh):
        _compact_batch(layout, batch, disk)
        done += len(batch.samples)
    return done


def _compact_shared(layout: Layout, name: str, collectors: Sequence[str], disk: Disk) -> int:
    _remove_drafts(layout, name, disk)
    done, busy = _finish_shared(layout, set(collectors), disk, name)
    begun, left = _begun(layout, set(collectors) - busy)
    for batch in begun:
        _compact_batch(layout, batch, disk)
        done += len(batch.samples)
    numbers = (file.last for file in layout.compacted_files("sample") if file.collector == name)
    number = max(numbers, default=0)
    days: dict[str, list[HotSample]] = {}
    for sample in left:
        days.setdefault(_date(sample), []).append(sample)
    for date, of_day in sorted(days.items()):
        for samples in _cut(of_day, MAX_SHARED_SAMPLES):
            number += 1
            batch = Batch.shared(name, date, number, samples)
            path = layout.cover(name, number)
            cover = memoryview(cover_bytes(date, batch.spans))
            _put(layout, cover, path, disk, f"cover-{number}-{name}")
            _compact_batch(layout, batch, disk)
            _remove_cover(path, disk)
            done += len(samples)
    return done


def _finish_shared(
    layout: Layout, collectors: Collection[str], disk: Disk, ours: str = ""
) -> tuple[int, set[str]]:
    """Finish shared batches that a killed process left behind.

    Args:
        layout: The history.
        collectors: The collectors to compact.
        disk: What writes.
        ours: The name of shared files that this process has locked.

    Returns:
        How many samples were compacted, and the collectors that another process compacts now: a
        sample in a cover must not be compacted a second time.
    """
    done, busy = 0, set[str]()
    for (name, number), cover in sorted(layout.covers().items()):
        if name != ours and not cover.keys() & set(collectors):
            continue
        with contextlib.ExitStack() as locks:
            if name != ours and not locks.enter_context(_locked(layout, name, disk)):
                busy |= cover.keys()
                continue
            path = layout.cover(name, number)
            try:
                date, _ = layout.cover_in(path)
            except FileNotFoundError:
                continue  # another process has finished it meanwhile
            # Some of its samples may have been removed already.
            samples = [
                sample
                for sample in layout.hot_samples()
                if sample.collector in cover
                and cover[sample.collector][0] <= sample.number <= cover[sample.collector][1]
            ]
            _compact_batch(layout, Batch.shared(name, date, number, samples), disk)
            _remove_cover(path, disk)
            done += len(samples)
    return done, busy


def _remove_drafts(layout: Layout, name: str, disk: Disk) -> None:
    """Remove drafts of a process that was killed."""
    for left in layout.drafts():
        # No label begins with "+": a collector removes drafts under its own at its start.
        if left.name.startswith("+") and left.name.endswith((f"-{name}.parquet", f"-{name}")):
            disk.remove(left)


def _remove_cover(path: Path, disk: Disk) -> None:
    """Remove the cover of a batch, after all of its samples."""
    disk.remove(path)
    disk.sync(path.parent)


def _compact_batch(layout: Layout, batch: Batch, disk: Disk) -> None:
    # First, so that a copy of the files never has counts of unknown statements.
    for table in DIMENSIONS:
        _keep_dimension(layout, batch, table, disk)
    for table in COMPACTED:
        _compact_table(layout, batch, table, disk)
    for sample in batch.samples:
        disk.remove(sample.directory)
    for collector in batch.spans:
        disk.sync(layout.hot(collector))


def _begun(layout: Layout, collectors: Collection[str]) -> tuple[list[Batch], list[HotSample]]:
    """Return unfinished batches of collectors, and the samples that are in no batch.

    The newest sample of each collector is in neither.
    """
    begun: dict[tuple[str, int, int], str] = {}
    for table in ("stmt_1h", *COMPACTED):
        for file in layout.compacted_files(table):
            if file.collector in collectors:
                begun[file.collector, file.first, file.last] = day_of(file.path.parent).strftime(
                    "%Y-%m-%d"
                )
    spans: dict[str, list[tuple[str, int, int]]] = {}
    for span in begun:
        spans.setdefault(span[0], []).append(span)
    finished: dict[tuple[str, int, int], list[HotSample]] = {}
    left: list[HotSample] = []
    there = (sample for sample in layout.hot_samples() if sample.collector in collectors)
    for collector, samples in groupby(there, key=lambda sample: sample.collector):
        for sample in [*samples][:-1]:
            known = [s for s in spans.get(collector, ()) if s[1] <= sample.number <= s[2]]
            if known:
                # Some of its samples may have been removed already.
                finished.setdefault(known[0], []).append(sample)
            else:
                left.append(sample)
    batches = [
        Batch(collector, begun[collector, first, last], first, last, tuple(covered))
        for (collector, first, last), covered in finished.items()
    ]
    return batches, left


def _date(sample: HotSample) -> str:
    path = sample.directory / "sample.parquet"
    starts, *_ = Validator().columns(path, SCHEMAS["sample"], ["ts"])
    if not starts:
        raise UnreadableError(path, "It holds no sample.")
    return f"{starts[0]:%Y-%m-%d}"


def _cut(samples: Iterable[HotSample], limit: int) -> Iterator[list[HotSample]]:
    """Yield samples of a day in parts that are not too large to be sorted in memory."""
    batch: list[HotSample] = []
    rows = 0
    for sample in samples:
        path = sample.directory / "stmt.parquet"
        more = Validator().rows(path, SCHEMAS["stmt"]) if exists(path) else 0
        if batch and (len(batch) >= limit or rows + more > MAX_ROWS):
            yield batch
            batch, rows = [], 0
        batch.append(sample)
        rows += more
    if batch:
        yield batch


def _compact_table(layout: Layout, batch: Batch, table: str, disk: Disk) -> None:
    target = layout.compacted(table, batch.date, batch.name, batch.first, batch.last)
    if any(
        file.collector == batch.name and file.first <= batch.first and batch.last <= file.last
        for file in layout.compacted_files(table)
    ):
        return
    rows = _read(batch.samples, table).sort_by([(name, "ascending") for name in SORTED_BY[table]])
    if table in OPTIONAL and not len(rows):
        return
    if table == "stmt":
        # First, so that no hour is in the compacted rows alone.
        rollup = layout.compacted("stmt_1h", batch.date, batch.name, batch.first, batch.last)
        _write(layout, hourly(rows), rollup, disk)
    _write(layout, rows, target, disk)


def _read(samples: Iterable[HotSample], table: str) -> pa.Table:
    parts = [SCHEMAS[table].empty_table()]
    for sample in samples:
        path = sample.directory / f"{table}.parquet"
        if exists(path):
            parts.append(Validator().table(path, SCHEMAS[table]))
    return pa.concat_tables(parts, promote_options="default").combine_chunks()


def _write(layout: Layout, rows: pa.Table, target: Path, disk: Disk) -> None:
    """Write a table whole, by way of tmp/."""
    place = target.relative_to(layout.root)
    content = to_parquet(rows, place, compression="zstd", row_group_size=131_072)
    _put(layout, content, target, disk, f"{target.parts[-3]}-{target.name}")


def _put(layout: Layout, content: memoryview, target: Path, disk: Disk, draft_name: str) -> None:
    draft = layout.tmp / f"+{draft_name}"
    try:
        disk.write(draft, content)
        disk.sync(layout.tmp)
        disk.make(target.parent)
        disk.sync(target.parent.parent)
        disk.sync(layout.root)
        disk.publish(draft, target)
    except OSError:
        # A full disk has no room for half a file.
        with contextlib.suppress(OSError):
            disk.remove(draft)
        raise
    disk.sync(target.parent)


def _keep_dimension(layout: Layout, batch: Batch, table: str, disk: Disk) -> None:
    """Add the rows of a batch to the dimension of its collector; the newest row of a key stays."""
    rows = _read(batch.samples, table)
    if not len(rows):
        return
    target = layout.dimension(table, batch.name)
    if exists(target):
        before = Validator().table(target, SCHEMAS[table])
        rows = pa.concat_tables([before, rows], promote_options="default")
    _write(layout, newest_rows(table, rows), target, disk)
