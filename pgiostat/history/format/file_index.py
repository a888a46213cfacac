"""The files that hold a table's rows, each row once, while a collector continues to write."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from pgiostat.history.format.compacted import CompactedFile, HotSample, SharedBatch
from pgiostat.history.format.covers import turn_of
from pgiostat.history.format.filesystem import UnreadableError, exists
from pgiostat.history.format.layout import HistoryFiles
from pgiostat.history.format.schema import COMPACTED, OPTIONAL, SCHEMAS
from pgiostat.history.format.validation import Validator

__all__ = ["LATE", "Listing", "TableFiles", "files"]

_DAY = timedelta(days=1)
BESIDE = ("stmt_1h", "database", "io", "relation")
"""Tables of which compacted samples have a file each, be it empty; rows of statements may be kept
for a shorter time, and few servers have devices."""
LATE: Mapping[str, timedelta] = dict.fromkeys(OPTIONAL, _DAY)
"""Largest distance of a row from the day of its file: CloudWatch reports a minute when it is over,
by a clock that is not the server's, and tables have longer intervals than statements."""


@dataclass(frozen=True, slots=True)
class TableFiles:
    """The files of a table: compacted ones, and committed samples that none of them covers.

    late: largest distance of a row from the day of its file.
    """

    compacted: tuple[CompactedFile, ...]
    hot: tuple[Path, ...]
    late: timedelta = timedelta(0)

    @property
    def paths(self) -> list[Path]:
        """All of them, oldest first by their names."""
        return [*(file.path for file in self.compacted), *self.hot]

    def within(self, *spans: tuple[datetime, datetime]) -> "TableFiles":
        """Return the files that may hold rows of these times."""
        touched = [
            file
            for file in self.compacted
            if any(
                since - self.late < file.day + _DAY and file.day < until + self.late
                for since, until in spans
            )
        ]
        return TableFiles(tuple(touched), self.hot, self.late)


@dataclass(slots=True)
class Listing:
    """The files of a history at one instant.

    Samples are listed before compacted files: a sample that is compacted in between is then in both
    lists, and left out of one; the other way round it would be in neither.  without: files that
    cannot be read; what other tables hold of the same samples is not read either, for a count
    without its seconds would be as wrong as seconds without their count.
    """

    layout: HistoryFiles
    without: Collection[Path] = ()
    _samples: list[HotSample] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._samples = self.layout.hot_samples()

    def files(self, table: str, *, hot: str = "") -> TableFiles:
        """Return the files of a table; hot: what samples call it, if that is another name."""
        # An upload writes samples last: files without them are incomplete.
        whole = None if self._samples or table == "sample" else self._sampled()
        while True:
            compacted = self.layout.compacted_files(table)
            left = self._left(compacted, hot or table)
            there = [path for path in left if exists(path)]
            # What is not there was never written, or was compacted and removed just now.
            if len(there) == len(left) or compacted == self.layout.compacted_files(table):
                break
        if table == "sample":
            self._check_samples(set(left).difference(there))
        if whole is not None:
            compacted = [file for file in compacted if _samples_of(file.path) in whole]
        lost = self._lost()
        return TableFiles(
            tuple(file for file in _apart(compacted) if not lost & _parts_of(file.path)),
            tuple(path for path in there if not lost & _parts_of(path)),
            LATE.get(table, timedelta(0)),
        )

    def _check_samples(self, missing: Collection[Path]) -> None:
        """Check that samples without a file went as a whole, as when they are compacted.

        Each sample has such a file, which tells what else the sample has.

        Raises:
            UnreadableError: The file alone is missing.
        """
        for path in sorted(missing):
            if path not in self.without and exists(path.parent):
                raise UnreadableError(path, "", gone=True)

    def check_beside(self) -> None:
        """Check that what other tables hold of compacted samples is there.

        Samples are the last that compaction writes, and the first that are removed.

        Raises:
            UnreadableError: A file is missing.
        """
        samples = self.files("sample").compacted
        for table in BESIDE:
            there = {_samples_of(file.path) for file in self.layout.compacted_files(table)}
            for file in samples:
                if _samples_of(file.path) not in there:
                    day = file.path.parent
                    missing = day.parent.parent / table / day.name / file.path.name
                    raise UnreadableError(missing, "", gone=True)

    def _lost(self) -> set[tuple[str, ...]]:
        """Return what is left out of every table, as of _parts_of."""
        return {
            part
            for path in self.without
            for part in (_samples_of(path), _day_of(path), _table_of(path, self.layout.root))
            if part
        }

    def _sampled(self) -> set[tuple[str, ...]]:
        return {_samples_of(file.path) for file in self.layout.compacted_files("sample")}

    def _left(self, compacted: list[CompactedFile], table: str) -> list[Path]:
        """Return where rows of samples are that no file covers; one without rows has no such file.

        Covers are read last: the samples of a removed cover are removed too.
        """
        covers = {**self.layout.covers(), **self._unknown_covers(compacted)}
        own: dict[str, list[CompactedFile]] = {}
        shared: list[CompactedFile] = []
        for file in compacted:
            if not file.is_shared:
                own.setdefault(file.collector, []).append(file)
            elif (file.collector, file.first) in covers:
                shared.append(file)
        left: list[Path] = []
        covered: dict[CompactedFile, list[HotSample]] = {}
        for sample in self._samples:
            those = (*own.get(sample.collector, ()), *shared)
            by = next((file for file in those if file.covers(sample, covers)), None)
            if by is None:
                left.append(sample.directory / f"{table}.parquet")
            else:
                covered.setdefault(by, []).append(sample)
        if table == "sample":
            for file, samples in covered.items():
                _verify(file, samples)
        return left

    def _unknown_covers(
        self, compacted: Iterable[CompactedFile]
    ) -> dict[tuple[str, int], SharedBatch]:
        """Return covers for those that are left out: as if they covered every sample.

        Nobody knows what such a file covers. A missing sample is reported, with the name of
        the cover; a sample counted twice would not be.
        """
        spans: dict[str, tuple[int, int]] = {}
        for sample in self._samples:
            first, _ = spans.get(sample.collector, (sample.number, 0))
            spans[sample.collector] = first, sample.number
        turns = [turn_of(path) for path in self.without if path.parent.name == "cover"]
        if any(path.name == "cover" for path in self.without):
            turns += [(file.collector, file.first) for file in compacted if file.is_shared]
        return dict.fromkeys(turns, spans)

    def newest_samples(self) -> list[Path]:
        """Return the files that hold the newest interval of each collector.

        Numbers tell the order in which intervals were committed, whatever a server's clock says.
        Of intervals that are compacted together the file may hold others as well.
        """
        there = self.files("sample")
        hot = {path.parent.parent.name: path for path in sorted(there.hot)}
        compacted: dict[str, CompactedFile] = {}
        for file in sorted(there.compacted, key=lambda file: file.last):
            if file.collector not in hot and not (hot and file.is_shared):
                compacted[file.collector] = file
        return [*hot.values(), *(file.path for file in compacted.values())]

    def dimension_files(self, table: str) -> list[Path]:
        """Return the files of a dimension table; samples that are not compacted come last."""
        hot = self.files(table).hot
        # The rows of samples removed before this list are in the other files by now.
        paths = [*self.layout.dimension_files(table), *hot]
        return [path for path in paths if path not in self.without]

    def is_thin(self, instant: datetime) -> bool:
        """Tell whether of a day only whole hours are left: its rows are kept for a shorter time.

        Of what is compacted the samples come last: rows without which they are there have gone.
        """
        day = instant.astimezone(UTC).date()
        return any(thin == day for _, thin in self.thin())

    def thin(self) -> set[tuple[str, date]]:
        """Return the days of each collector of which only whole hours are left."""
        samples, rows = (
            {
                (file.collector, file.day.date(), file.first)
                for file in self.layout.compacted_files(t)
            }
            for t in ("sample", "stmt")
        )
        return {(collector, day) for collector, day, _ in samples - rows}


_COMPACTED_TABLES = frozenset({"stmt_1h", *COMPACTED})


def _parts_of(path: Path) -> set[tuple[str, ...]]:
    """Return what a file is left out with: its samples; its day, and all that is compacted."""
    day = _day_of(path.parent)
    return {_samples_of(path), day, ("compacted",)} if day else {_samples_of(path)}


def _samples_of(path: Path) -> tuple[str, ...]:
    """Return what files of the same samples have in common, compacted or not, in any table."""
    if path.parent.name.startswith("date="):
        return path.parent.name, path.name
    return path.parent.parent.name, path.parent.name


def _day_of(directory: Path) -> tuple[str, ...]:
    """Return the day of a directory: what was counted on it is left out as a whole."""
    return (directory.name,) if directory.name.startswith("date=") else ()


def _table_of(directory: Path, root: Path | str) -> tuple[str, ...]:
    """Return what a directory below the root has a part of: all compacted files, or all others.

    A table with a bad directory takes the others with it, as a file takes those of its samples.
    """
    if directory.parent != Path(root):
        return ()
    return ("compacted",) if directory.name in _COMPACTED_TABLES else ()


def _verify(file: CompactedFile, samples: Sequence[HotSample]) -> None:
    """See that a compacted file holds the samples that it covers: the first and the last of them.

    Raises:
        UnreadableError: It does not, and would hide them.
    """
    compacted = _intervals(file.path)
    for sample in {samples[0], samples[-1]}:
        path = sample.directory / "sample.parquet"
        there = _intervals(path)
        if compacted is not None and there is not None and not there <= compacted:
            raise UnreadableError(file.path, f'It does not hold the sample "{path}".')


def _intervals(path: Path) -> set[tuple[int, datetime]] | None:
    """Return what intervals a file of samples holds; None if it went meanwhile."""
    try:
        columns = Validator().columns(path, SCHEMAS["sample"], ("server_id", "ts"))
    except UnreadableError as error:
        if error.slug == "history-changed":
            return None
        raise
    return set(zip(*columns, strict=True))


def _apart(files: Iterable[CompactedFile]) -> list[CompactedFile]:
    """Return compacted files of a table, none of which holds samples that another holds.

    Raises:
        UnreadableError: Two files of a collector and a day cover the same samples.
    """
    found = list(files)
    ends: dict[tuple[Path, str], CompactedFile] = {}
    for file in sorted(found, key=lambda file: (file.path.parent, file.collector, file.first)):
        before = ends.get((file.path.parent, file.collector))
        if before is not None and file.first <= before.last:
            raise UnreadableError(file.path, f'It covers samples of "{before.path.name}".')
        ends[file.path.parent, file.collector] = file
    return found


def files(layout: HistoryFiles, table: str, *, hot: str = "") -> TableFiles:
    """Return the files of a table now."""
    return Listing(layout).files(table, hot=hot)
