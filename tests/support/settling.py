"""Snapshots taken when the server has handed over what it counted."""

from threading import Event

import pytest

from pgiostat.analysis.server_reads import reads_of
from pgiostat.postgres.snapshot_reader import SnapshotReader
from pgiostat.statistics.delta import Delta
from pgiostat.statistics.difference import diff
from pgiostat.statistics.snapshot import Snapshot

SHARED_STATISTICS = 150_000
PER_STATEMENT_SLACK = 100
"""Blocks of catalogs that connecting, parsing and planning read, for each kind of statement."""


def settled(collector: SnapshotReader, older: Snapshot, statement_blocks: int) -> Delta:
    """Return the difference once the server's own counters have caught up.

    A session that ends hands its counts over; on 13 and 14 another process takes half a second
    to write them down.
    """
    wait = Event().wait
    for _ in range(100):
        delta = diff(older, collector.take())
        if (reads_of(delta).blocks or 0) >= statement_blocks:
            return delta
        wait(0.1)
    pytest.fail("the server's own counters never caught up")


def quiet(collector: SnapshotReader) -> Snapshot:
    """Return a reading after which nothing of what was done before is handed over."""
    wait = Event().wait
    older = collector.take()
    # From 15 on a session hands its counts over as it ends; before, another process does so later.
    pause, needed = (0.7, 1) if older.server.version_num < SHARED_STATISTICS else (0.15, 2)
    at_rest = 0
    for _ in range(100):
        wait(pause)
        newer = collector.take()
        is_quiet = (reads_of(diff(older, newer)).blocks or 0) < PER_STATEMENT_SLACK
        at_rest = at_rest + 1 if is_quiet else 0
        if at_rest == needed:
            return newer
        older = newer
    pytest.fail("the server never came to rest")
