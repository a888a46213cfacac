"""A history that is over: nobody goes on from where it ended."""

import contextlib
from collections.abc import Iterable
from pathlib import Path

from pgiostat.history.format.durable_io import Disk
from pgiostat.history.format.layout import Layout
from pgiostat.history.write.compaction import compact
from pgiostat.history.write.writer import BASELINE

__all__ = ["finalize"]


def finalize(root: Path, collectors: Iterable[str]) -> None:
    """Seal what collectors have written, and let nobody go on from there: a history that is over.

    What a reading holds beside its counts, such as a server's address, goes.
    Raises OSError.
    """
    layout, disk = Layout(root), Disk().below(root)
    for collector in collectors:
        compact(layout, collector)
    for sample in layout.hot_samples():
        disk.remove(sample.directory / BASELINE)
    for left in (layout.lock("x").parent, layout.tmp):
        with contextlib.suppress(OSError):
            disk.remove(left)
