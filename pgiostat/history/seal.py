"""Committed samples become large, sorted files, by the day; hours are added up on the way.

Sealed files are never rewritten. A crash at any point leaves files that the next turn goes on
from: what is sealed already is recognised by its name, and samples are removed when every table
covers them. The newest sample stays: the next interval goes on from its reading. Of one collector
one process seals at a time: a collector that is started anew may find its predecessor's at work.
"""

import contextlib
import fcntl
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pgiostat.delta import Basis
from pgiostat.history.disk import Disk
from pgiostat.history.due import MOST_ROWS, MOST_SAMPLES
from pgiostat.history.layout import HotSample, Layout
from pgiostat.history.schema import ROLLUP, SCHEMAS, SEALED, SORTED_BY, SUMMED, TOLD_ONCE

__all__ = ["Batch", "hourly", "seal"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Samples of one collector and one day that are sealed together."""

    date: str
    samples: tuple[HotSample, ...]

    @property
    def first(self) -> int:
        """The number of its first sample."""
        return self.samples[0].number

    @property
    def last(self) -> int:
        """The number of its last sample."""
        return self.samples[-1].number


def seal(layout: Layout, collector: str, disk: Disk | None = None) -> int:
    """Seal all samples of a collector but the newest; return how many.

    None if another process seals them now. Raises OSError; nothing is lost then, and the next turn
    goes on.
    """
    disk = disk or Disk()
    with _turn(layout, collector) as ours:
        return _seal(layout, collector, disk) if ours else 0


@contextlib.contextmanager
def _turn(layout: Layout, collector: str) -> Iterator[bool]:
    """Tell whether nobody else seals; the system ends a turn with its process, however."""
    path = layout.sealing(collector)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _seal(layout: Layout, collector: str, disk: Disk) -> int:
    for left in layout.tmp.glob(f"*-{collector}.parquet"):
        disk.remove(left)  # of a turn that was cut short
    done = 0
    for batch in _batches(layout, collector):
        for table in SEALED:
            _seal_table(layout, collector, batch, table, disk)
        for table in TOLD_ONCE:
            _keep_told(layout, collector, batch, table, disk)
        for sample in batch.samples:
            disk.remove(sample.directory)
        disk.sync(layout.hot(collector))
        done += len(batch.samples)
    return done


def _batches(layout: Layout, collector: str) -> Iterator[Batch]:
    """Yield what is to be sealed; a batch that was begun keeps its samples."""
    samples = [s for s in layout.hot_samples() if s.collector == collector][:-1]
    begun: dict[tuple[int, int], str] = {}
    for table in ("stmt_1h", *SEALED):
        for file in layout.sealed_files(table):
            if file.collector == collector:
                begun[file.first, file.last] = file.path.parent.name.removeprefix("date=")
    left = []
    finished: dict[tuple[int, int], list[HotSample]] = {}
    for sample in samples:
        span = next((s for s in begun if s[0] <= sample.number <= s[1]), None)
        if span is None:
            left.append(sample)
        else:
            finished.setdefault(span, []).append(sample)
    for span, covered in finished.items():
        # Some of its samples may have been removed already.
        yield Batch(begun[span], tuple(covered))
    for date, of_day in groupby(left, key=_date):
        yield from _cut(date, list(of_day))


def _date(sample: HotSample) -> str:
    table = pq.read_table(sample.directory / "sample.parquet", columns=["ts"], partitioning=None)
    start = table["ts"][0].as_py()
    return f"{start:%Y-%m-%d}"


def _cut(date: str, samples: Sequence[HotSample]) -> Iterator[Batch]:
    """Yield batches of a day that are not too large to be sorted in memory."""
    batch: list[HotSample] = []
    rows = 0
    for sample in samples:
        path = sample.directory / "stmt.parquet"
        more = pq.read_metadata(path).num_rows if path.exists() else 0
        if batch and (len(batch) >= MOST_SAMPLES or rows + more > MOST_ROWS):
            yield Batch(date, tuple(batch))
            batch, rows = [], 0
        batch.append(sample)
        rows += more
    if batch:
        yield Batch(date, tuple(batch))


def _seal_table(layout: Layout, collector: str, batch: Batch, table: str, disk: Disk) -> None:
    target = layout.sealed(table, batch.date, collector, batch.first, batch.last)
    if any(
        file.collector == collector and file.first <= batch.first and batch.last <= file.last
        for file in layout.sealed_files(table)
    ):
        return
    rows = _read(batch.samples, table).sort_by([(name, "ascending") for name in SORTED_BY[table]])
    if table == "device" and not len(rows):
        return  # most servers have none that can be measured
    if table == "stmt":
        # First, so that an hour is never in the sealed rows alone.
        rollup = layout.sealed("stmt_1h", batch.date, collector, batch.first, batch.last)
        _put(layout, hourly(rows), rollup, disk)
    _put(layout, rows, target, disk)


def _read(samples: Iterable[HotSample], table: str) -> pa.Table:
    paths = [sample.directory / f"{table}.parquet" for sample in samples]
    parts = [pq.read_table(path, partitioning=None) for path in paths if path.exists()]
    empty = SCHEMAS[table].empty_table()
    return pa.concat_tables([empty, *parts]).combine_chunks()


def _put(layout: Layout, rows: pa.Table, target: Path, disk: Disk) -> None:
    """Write a table whole, by way of tmp/."""
    # No label begins so: a collector that begins removes drafts under its own.
    draft = layout.tmp / f"+{target.parts[-3]}-{target.name}"
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, compression="zstd", row_group_size=131_072)
    try:
        disk.write(draft, memoryview(sink.getvalue()))
        disk.sync(layout.tmp)
        disk.make(target.parent)
        disk.sync(target.parent.parent)
        disk.sync(layout.root)
        disk.rename(draft, target)
    except OSError:
        # A full disk has no room for half a file.
        with contextlib.suppress(OSError):
            disk.remove(draft)
        raise
    disk.sync(target.parent)


def hourly(rows: pa.Table) -> pa.Table:
    """Return statements added up by hour: exact, for all is whole numbers.

    uncertain: part of it was counted since a reset, or is a lower bound.
    """
    known = pa.array([Basis.PREVIOUS, Basis.NEW], pa.int8())
    uncertain = pc.cast(pc.invert(pc.is_in(rows["basis"], known)), pa.int64())
    hour = pc.floor_temporal(rows["ts"], unit="hour")
    wide = rows.set_column(rows.schema.get_field_index("ts"), "ts", hour).append_column(
        "uncertain", uncertain
    )
    # By the statements' own keys too: should two of them ever share a sid, they are not one.
    keys = ["sid", "server_id", "ts", "userid", "dbid", "queryid", "masked", "toplevel"]
    added = wide.group_by(keys, use_threads=False).aggregate(
        [*((name, "sum") for name in SUMMED), ("uncertain", "max"), ("basis", "count")]
    )
    renamed = {f"{name}_sum": name for name in SUMMED}
    renamed |= {"uncertain_max": "uncertain", "basis_count": "intervals"}
    named = added.rename_columns([renamed.get(name, name) for name in added.column_names])
    ordered = named.select(ROLLUP.names).cast(ROLLUP)
    return ordered.sort_by([(name, "ascending") for name in ("server_id", "sid", "ts")])


def _keep_told(layout: Layout, collector: str, batch: Batch, table: str, disk: Disk) -> None:
    """Add what a batch tells to what its collector told before; of one key the newest stays."""
    told = _read(batch.samples, table)
    if not len(told):
        return
    target = layout.told(table, collector)
    if target.exists():
        told = pa.concat_tables([pq.read_table(target, partitioning=None), told])
    keys = list(TOLD_ONCE[table])
    place = told.append_column("place", pa.array(range(len(told)), pa.int64()))
    newest = place.group_by(keys, use_threads=False).aggregate([("place", "max")])["place_max"]
    kept = told.take(newest.combine_chunks())
    _put(layout, kept.sort_by([(name, "ascending") for name in keys]), target, disk)
