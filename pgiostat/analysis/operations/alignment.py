"""What statements counted, in the interval in which the server counts it."""

import numpy as np

from pgiostat.analysis.operations.intervals import Floats

__all__ = ["align"]


def align(parts: Floats, server: Floats) -> Floats:
    """Return the counts of statements in the intervals in which the server counts them.

    A statement counts its blocks when it ends, the server up to ten seconds later. The blocks that
    the server did not count yet are carried to the next interval.

    Args:
        parts: Blocks by interval and statement, of shape (n, k).
        server: Blocks by the server's count, of shape (n,).

    Returns:
        Blocks of shape (n, k); those of an interval add up to the server's count at most.

    >>> align(np.array([[6.0, 2.0], [0.0, 0.0]]), np.array([4.0, 9.0])).tolist()
    [[3.0, 1.0], [3.0, 1.0]]
    """
    aligned = np.zeros_like(parts)
    carried = np.zeros(parts.shape[1])
    for i, counted in enumerate(server):
        carried = carried + parts[i]
        claimed = carried.sum()
        share = min(counted / claimed, 1.0) if claimed > 0 else 0.0
        aligned[i] = carried * share
        carried = carried * (1.0 - share)
    return aligned
