"""Committed samples become large, sorted files, by the day; hours are added up on the way.

Sealed files are never rewritten. A crash at any point leaves files that the next turn goes on
from: what is sealed already is recognised by its name, and samples are removed when every table
covers them. The newest sample stays: the next interval goes on from its reading. Of one collector
one process seals at a time: a collector that is started anew may find its predecessor's at work.
"""

import contextlib
import fcntl
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pgiostat.history.format.checksum import to_parquet
from pgiostat.history.format.durable_io import Disk
from pgiostat.history.format.filesystem import UnreadableError, exists
from pgiostat.history.format.layout import Layout, cover_bytes
from pgiostat.history.format.schema import COMPACTED, DIMENSIONS, ROLLUP, SCHEMAS, SORTED_BY, SUMMED
from pgiostat.history.format.sealed import HotSample, day_of
from pgiostat.history.format.validation import Validator
from pgiostat.history.write.compaction_policy import MOST_ROWS, MOST_SAMPLES, MOST_TOGETHER
from pgiostat.statistics.delta import Basis

__all__ = ["Batch", "compact", "compact_shared", "hourly"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Samples of one day that are sealed together.

    name: in the names of their files, a collector's or that of several together.  first, last: the
    numbers of its first and last sample, or twice that of the turn.
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
    def shared(cls, name: str, date: str, turn: int, samples: Sequence[HotSample]) -> "Batch":
        """Return samples of several collectors as a batch."""
        return cls(name, date, turn, turn, (*samples,))

    @property
    def spans(self) -> dict[str, tuple[int, int]]:
        """Of each collector the first and the last sample."""
        found: dict[str, tuple[int, int]] = {}
        for sample in self.samples:
            first, _ = found.get(sample.collector, (sample.number, 0))
            found[sample.collector] = first, sample.number
        return found


def compact(layout: Layout, collector: str, disk: Disk | None = None) -> int:
    """Seal all samples of a collector but the newest; return how many.

    None if another process seals them now. Raises OSError; nothing is lost then, and the next turn
    goes on.
    """
    disk = (disk or Disk()).below(layout.root)
    with _turn(layout, collector, disk) as ours:
        return _compact(layout, collector, disk) if ours else 0


def compact_shared(
    layout: Layout, name: str, collectors: Sequence[str], disk: Disk | None = None
) -> int:
    """Seal all samples of several collectors but the newest of each; return how many.

    Their rows share files, so that thousands of servers do not make millions of files. What a file
    covers is told by a cover, which is there before the file and until the samples have gone.
    name: as of layout.together.  Raises OSError as seal does.
    """
    disk = (disk or Disk()).below(layout.root)
    with contextlib.ExitStack() as turns:
        if not turns.enter_context(_turn(layout, name, disk)):
            return 0
        ours = [each for each in collectors if turns.enter_context(_turn(layout, each, disk))]
        return _compact_shared(layout, name, ours, disk)


@contextlib.contextmanager
def _turn(layout: Layout, collector: str, disk: Disk | None = None) -> Iterator[bool]:
    """Tell whether nobody else seals; the system ends a turn with its process, however."""
    disk = disk or Disk().below(layout.root)
    with disk.hold(layout.compaction_lock(collector)) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _compact(layout: Layout, collector: str, disk: Disk) -> int:
    _tidy(layout, collector, disk)
    done, busy = _finish_shared(layout, {collector}, disk)
    if busy:
        return done
    begun, left = _begun(layout, {collector})
    fresh = (
        Batch.of(date, samples)
        for date, of_day in groupby(left, key=_date)
        for samples in _cut(of_day, MOST_SAMPLES)
    )
    for batch in (*begun, *fresh):
        _compact_batch(layout, batch, disk)
        done += len(batch.samples)
    return done


def _compact_shared(layout: Layout, name: str, collectors: Sequence[str], disk: Disk) -> int:
    _tidy(layout, name, disk)
    done, busy = _finish_shared(layout, set(collectors), disk, name)
    begun, left = _begun(layout, set(collectors) - busy)
    for batch in begun:
        _compact_batch(layout, batch, disk)
        done += len(batch.samples)
    turns = (file.last for file in layout.compacted_files("sample") if file.collector == name)
    turn = max(turns, default=0)
    days: dict[str, list[HotSample]] = {}
    for sample in left:
        days.setdefault(_date(sample), []).append(sample)
    for date, of_day in sorted(days.items()):
        for samples in _cut(of_day, MOST_TOGETHER):
            turn += 1
            batch = Batch.shared(name, date, turn, samples)
            path = layout.cover(name, turn)
            told = cover_bytes(date, batch.spans)
            _put(layout, memoryview(told), path, disk, f"cover-{turn}-{name}")
            _compact_batch(layout, batch, disk)
            _uncover(path, disk)
            done += len(samples)
    return done


def _finish_shared(
    layout: Layout, collectors: Collection[str], disk: Disk, ours: str = ""
) -> tuple[int, set[str]]:
    """Go on with turns of several that were cut short, whoever's they were.

    Return how many samples are sealed by that, and collectors of which another is sealing now: what
    is covered already must not be sealed once more.
    """
    done, busy = 0, set[str]()
    for (whose, turn), cover in sorted(layout.covers().items()):
        if whose != ours and not cover.keys() & set(collectors):
            continue
        with contextlib.ExitStack() as turns:
            if whose != ours and not turns.enter_context(_turn(layout, whose, disk)):
                busy |= cover.keys()
                continue
            path = layout.cover(whose, turn)
            try:
                date, _ = layout.cover_in(path)
            except FileNotFoundError:
                continue  # another has ended it meanwhile
            # Some of its samples may have been removed already.
            samples = [
                sample
                for sample in layout.hot_samples()
                if sample.collector in cover
                and cover[sample.collector][0] <= sample.number <= cover[sample.collector][1]
            ]
            _compact_batch(layout, Batch.shared(whose, date, turn, samples), disk)
            _uncover(path, disk)
            done += len(samples)
    return done, busy


def _tidy(layout: Layout, name: str, disk: Disk) -> None:
    """Remove drafts of a turn that was cut short."""
    for left in layout.drafts():
        # No label begins so: a collector that begins removes drafts under its own.
        if left.name.startswith("+") and left.name.endswith((f"-{name}.parquet", f"-{name}")):
            disk.remove(left)


def _uncover(path: Path, disk: Disk) -> None:
    """End a turn, whose samples have gone for good."""
    disk.remove(path)
    disk.sync(path.parent)


def _compact_batch(layout: Layout, batch: Batch, disk: Disk) -> None:
    # First, so that who copies files never has counts whose statements nobody knows.
    for table in DIMENSIONS:
        _keep_dimension(layout, batch, table, disk)
    for table in COMPACTED:
        _compact_table(layout, batch, table, disk)
    for sample in batch.samples:
        disk.remove(sample.directory)
    for collector in batch.spans:
        disk.sync(layout.hot(collector))


def _begun(layout: Layout, collectors: Collection[str]) -> tuple[list[Batch], list[HotSample]]:
    """Return batches of collectors that were begun, and keep their samples; and all else.

    The newest sample of each is in neither.
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


def _cut(samples: Iterable[HotSample], most: int) -> Iterator[list[HotSample]]:
    """Yield samples of a day in parts that are not too large to be sorted in memory."""
    batch: list[HotSample] = []
    rows = 0
    for sample in samples:
        path = sample.directory / "stmt.parquet"
        more = Validator().rows(path, SCHEMAS["stmt"]) if exists(path) else 0
        if batch and (len(batch) >= most or rows + more > MOST_ROWS):
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
    if table == "device" and not len(rows):
        return  # most servers have none that can be measured
    if table == "stmt":
        # First, so that an hour is never in the sealed rows alone.
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


def _keep_dimension(layout: Layout, batch: Batch, table: str, disk: Disk) -> None:
    """Add what a batch tells to what its collector told before; of one key the newest stays."""
    told = _read(batch.samples, table)
    if not len(told):
        return
    target = layout.dimension(table, batch.name)
    if exists(target):
        before = Validator().table(target, SCHEMAS[table])
        told = pa.concat_tables([before, told], promote_options="default")
    told = told.select(SCHEMAS[table].names)
    if table == "statement":
        # A text that was read once is known, whatever happens when it is read again.
        is_known = told["unread"].is_null()
        told = pa.concat_tables([told.filter(pc.invert(is_known)), told.filter(is_known)])
    keys = list(DIMENSIONS[table])
    place = told.append_column("place", pa.array(range(len(told)), pa.int64()))
    newest = place.group_by(keys, use_threads=False).aggregate([("place", "max")])["place_max"]
    kept = told.take(newest.combine_chunks())
    ordered = kept.sort_by([(name, "ascending") for name in keys])
    _write(layout, _changes(ordered) if table == "name" else ordered, target, disk)


def _changes(names: pa.Table) -> pa.Table:
    """Return names in order of time without those that only repeat the one before.

    A collector that starts writes all names again. One of an older file has no time: it is the
    first of its oid.
    """
    names = names.sort_by([("since", "ascending")])
    first = names.filter(names["since"].is_null())
    timed = names.filter(names["since"].is_valid())
    kept: list[int] = []
    last: dict[tuple[object, ...], tuple[object, ...]] = {}
    rows = pa.concat_tables([first, timed])
    columns = (rows[name].to_pylist() for name in rows.column_names if name != "since")
    for place, (server, kind, oid, *told) in enumerate(zip(*columns, strict=True)):
        if last.get((server, kind, oid)) != tuple(told):
            last[server, kind, oid] = tuple(told)
            kept.append(place)
    keys = [(name, "ascending") for name in ("server_id", "kind", "oid", "since")]
    return rows.take(pa.array(kept, pa.int64())).sort_by(keys)
