"""Operations for each block of a statement, as expected from how it reads."""

import numpy as np

from pgiostat.analysis.operations.evidence import AccessKind, Evidence
from pgiostat.analysis.operations.intervals import Floats
from pgiostat.analysis.operations.least_squares import Prior

__all__ = ["prior_in_bulk", "prior_in_normal"]

UNMEASURED = 0.15
"""Operations for each block of a sequential scan, if no scan in bulkread was measured."""
LARGEST_OF_SMALL_SCAN = 0.3
PACKED_ROWS, SCATTERED_ROWS = 0.6, 0.35
"""Share of a block's rows that a bitmap heap scan fetches: above, neighbouring blocks; below,
single ones."""
PACKED = 1.15
WHOLE_SCAN_SD, PART_SCAN_SD = 0.04, 0.1


def prior_in_bulk(evidence: Evidence, measured: float | None, combine: int) -> Prior:
    """Return the prior of operations for each block in the context bulkread.

    Args:
        measured: Operations for each block of all reads in bulkread; None without any.
        combine: Blocks that one operation reads at most.
    """
    k = len(evidence.kinds)
    mean = UNMEASURED if measured is None else measured
    sd = np.where(evidence.bulk_share >= 1.0, WHOLE_SCAN_SD, PART_SCAN_SD)
    low = 1.0 / combine
    return Prior(np.full(k, min(max(mean, low), 1.0)), sd, np.full(k, low), np.full(k, 1.0))


def prior_in_normal(
    evidence: Evidence, measured: float | None, combine: int, touched: Floats
) -> Prior:
    """Return the prior of operations for each block in all other contexts.

    Args:
        measured: As in `prior_in_bulk`.
        touched: Blocks touched by a call of each statement.
    """
    scan = UNMEASURED if measured is None else measured
    low = 1.0 / combine
    rows = [
        _of(kind, scan, evidence.packed[k], _scattered(evidence.pages[k], touched[k], scan))
        for k, kind in enumerate(evidence.kinds)
    ]
    mean, sd = (np.array([row[i] for row in rows], dtype=float) for i in (0, 1))
    least = np.array([0.98 if kind is AccessKind.INDEX else low for kind in evidence.kinds])
    return Prior(np.clip(mean, least, 1.0), sd, least, np.ones(len(rows)))


def _scattered(pages: float, touched: float, scan: float) -> float:
    """Return the operations for each block of a bitmap heap scan that reads single blocks.

    The more of a table it reads, the more of its blocks are neighbours.
    """
    return max(1.0 - touched / pages, scan) if pages else 1.0


def _of(kind: AccessKind, scan: float, packed: float, scattered: float) -> tuple[float, float]:
    """Return mean and standard deviation of the operations for each block."""
    match kind:
        case AccessKind.INDEX:
            return 1.0, 0.003
        case AccessKind.SMALL_SCAN:
            return min(scan, LARGEST_OF_SMALL_SCAN), 0.12
        case AccessKind.STREAM if packed > PACKED_ROWS:
            return PACKED * scan, 0.12
        case AccessKind.STREAM if packed < SCATTERED_ROWS:
            return scattered, 0.15
        case AccessKind.STREAM:
            return (PACKED * scan + scattered) / 2, 0.3
        case _:
            return 0.9, 0.35
