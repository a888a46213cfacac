"""Which files hold a table's rows, each row once, while a collector goes on writing."""

from dataclasses import dataclass
from pathlib import Path

from pgiostat.history.layout import HotSample, Layout, Sealed

__all__ = ["Files", "files"]


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a table: sealed ones, and committed samples that none of them covers."""

    sealed: tuple[Sealed, ...]
    hot: tuple[Path, ...]

    @property
    def paths(self) -> list[Path]:
        """All of them, oldest first as far as names tell."""
        return [*(file.path for file in self.sealed), *self.hot]


def files(layout: Layout, table: str, *, hot: str = "") -> Files:
    """Return the files of a table; hot: what samples call it, if that is another name.

    Samples are listed before sealed files: a sample that is sealed in between is then in both
    lists, and left out of one; the other way round it would be in neither.
    """
    samples = layout.hot_samples()
    sealed = layout.sealed_files(table)
    return Files(tuple(sealed), tuple(_left(samples, sealed, hot or table)))


def _left(samples: list[HotSample], sealed: list[Sealed], table: str) -> list[Path]:
    found: list[Path] = []
    for sample in samples:
        if any(file.covers(sample) for file in sealed if file.collector == sample.collector):
            continue
        path = sample.directory / f"{table}.parquet"
        # A sample without rows of a table has no file for it.
        if path.exists():
            found.append(path)
    return found
