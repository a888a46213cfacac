"""Finalizing a history: no collector continues it."""

import contextlib
from collections.abc import Iterable
from pathlib import Path

from pgiostat.history.format.durable_io import Disk
from pgiostat.history.format.layout import Layout
from pgiostat.history.write.compaction import compact
from pgiostat.history.write.writer import BASELINE

__all__ = ["finalize"]


def finalize(root: Path, collectors: Iterable[str]) -> None:
    """Compact what collectors have written, and remove the snapshots that they would continue from.

    What a snapshot has beside its counts, such as a server's address, is removed with it.

    Args:
        root: The directory of the history.
        collectors: All collectors that have written to it.

    Raises:
        OSError: A file could not be written or removed.
    """
    layout, disk = Layout(root), Disk().below(root)
    for collector in collectors:
        compact(layout, collector)
    for sample in layout.hot_samples():
        disk.remove(sample.directory / BASELINE)
    for left in (layout.lock("x").parent, layout.tmp):
        with contextlib.suppress(OSError):
            disk.remove(left)
