"""A server's reads as they are counted, made from statements whose operations are known."""

from dataclasses import dataclass

import numpy as np

from pgiostat.analysis.operations import Context, Intervals, StatementCounts, TableCounts
from pgiostat.analysis.operations.intervals import Floats

__all__ = ["CLASSES", "SyntheticClass", "SyntheticReads", "synthetic_reads"]

PAGES = (10_000.0, 1_500.0, 400.0)
ROWS_PER_PAGE = 8.0
TABLE_SECONDS = 10


@dataclass(frozen=True, slots=True)
class SyntheticClass:
    """A statement: its table, calls a second, blocks touched a call, share read, operations."""

    name: str
    table: int
    calls: float
    touched: float
    read: float
    each: float
    scans: float = 0.0
    bitmap_rows: float = 0.0
    index_rows: float = 0.0

    @property
    def is_bulk(self) -> bool:
        """Whether it scans a table above a quarter of shared_buffers."""
        return bool(self.scans) and PAGES[self.table] > 512


CLASSES = (
    SyntheticClass("scan", 0, 0.05, 10_000, 0.95, 0.19, scans=1),
    SyntheticClass("med", 1, 0.3, 1_500, 0.9, 0.17, scans=1),
    SyntheticClass("small", 2, 1.2, 400, 0.9, 0.18, scans=1),
    SyntheticClass("lookup", 0, 4.0, 300, 0.35, 1.0, index_rows=0.4),
    SyntheticClass("range", 0, 2.5, 200, 0.9, 1.0, index_rows=0.4),
    SyntheticClass("bitmap", 0, 0.4, 1_200, 0.9, 0.65, bitmap_rows=1.1),
    SyntheticClass("dense", 0, 1.6, 300, 0.9, 0.2, bitmap_rows=7.0),
)


@dataclass(frozen=True, slots=True, eq=False)
class SyntheticReads:
    """The counts, and the operations of each statement as the server counted them."""

    intervals: Intervals
    truth: Floats


def synthetic_reads(
    seed: int, seconds: int = 300, classes: tuple[SyntheticClass, ...] = CLASSES
) -> SyntheticReads:
    """Return the reads of some seconds; the server counts part of them a second later."""
    dice = np.random.default_rng(seed)
    n, k = seconds, len(classes)
    calls = np.stack([dice.poisson(each.calls, n) for each in classes], axis=1).astype(float)
    touched = np.round(calls * [each.touched for each in classes])
    blocks = dice.binomial(touched.astype(int), [each.read for each in classes]).astype(float)
    now = np.round(blocks * dice.uniform(0.2, 1.0, size=blocks.shape))
    counted = now.copy()
    counted[1:] += (blocks - now)[:-1]
    operations = np.round(counted * [each.each for each in classes])
    bulk = np.array([each.is_bulk for each in classes])
    catalogs = dice.poisson(3.0, n).astype(float)
    counters = np.zeros((3, n, len(PAGES)))
    touches = np.zeros((k, len(PAGES)), dtype=bool)
    for i, each in enumerate(classes):
        touches[i, each.table] = True
        counters[0, :, each.table] += calls[:, i] * each.scans
        counters[1, :, each.table] += touched[:, i] * each.bitmap_rows
        counters[2, :, each.table] += touched[:, i] * each.index_rows
    scans, bitmap_rows, index_rows = counters.reshape(
        3, n // TABLE_SECONDS, TABLE_SECONDS, len(PAGES)
    ).sum(axis=2)
    intervals = Intervals(
        seconds=np.ones(n),
        statements=StatementCounts(calls, blocks, touched),
        bulk=Context(operations[:, bulk].sum(axis=1), counted[:, bulk].sum(axis=1)),
        normal=Context(
            operations[:, ~bulk].sum(axis=1) + catalogs, counted[:, ~bulk].sum(axis=1) + catalogs
        ),
        buffers=2048,
        combine=16,
        tables=TableCounts(
            begins=np.arange(0, n, TABLE_SECONDS),
            ends=np.arange(TABLE_SECONDS, n + 1, TABLE_SECONDS),
            pages=np.array(PAGES),
            rows=np.array(PAGES) * ROWS_PER_PAGE,
            scans=scans,
            bitmap_rows=bitmap_rows,
            index_rows=index_rows,
            touches=touches,
        ),
    )
    return SyntheticReads(intervals, operations.sum(axis=0))
