"""Operations of statements in one context of pg_stat_io."""

from dataclasses import dataclass

import numpy as np

from pgiostat.analysis.operations.intervals import Context, Floats
from pgiostat.analysis.operations.least_squares import Prior, fit

__all__ = ["ContextFit", "fit_context"]

FARTHEST = 3.0
"""Standard deviations by which the sum may move the estimates."""
SUM_SD = 0.01
"""Standard deviation of the sum over statements, as a share of it."""
SMALLEST_GAP = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class ContextFit:
    """Operations of k statements in a context.

    Attributes:
        blocks: Blocks of each statement, of shape (k,).
        each: Operations for each block, of shape (k,).
        operations: Of each statement, of shape (k,).
        covariance: Of the operations, of shape (k, k).
        rest_blocks: Blocks of the context that belong to no statement.
    """

    blocks: Floats
    each: Floats
    operations: Floats
    covariance: Floats
    rest_blocks: float


def fit_context(aligned: Floats, context: Context, prior: Prior, rest_each: float) -> ContextFit:
    """Return the operations of statements, which add up to those of the context.

    Args:
        aligned: Blocks that the server counted, of shape (n, k).
        context: Its reads.
        prior: Operations for each block of the k statements.
        rest_each: Operations for each block that belongs to no statement.
    """
    read = np.flatnonzero(aligned.sum(axis=0) > 0)
    k = aligned.shape[1]
    blocks = aligned.sum(axis=0)
    left = np.maximum(context.blocks - aligned.sum(axis=1), 0.0)
    each, operations, covariance = prior.mean.copy(), np.zeros(k), np.zeros((k, k))
    if len(read):
        some = Prior(*(part[read] for part in (prior.mean, prior.sd, prior.low, prior.high)))
        observed = np.maximum(context.operations - left * rest_each, 0.0)
        found = fit(aligned[:, read], observed, some)
        size = blocks[read]
        of_operations = found.covariance * np.outer(size, size)
        rest = float(left.sum()) * rest_each
        total = max(float(context.operations.sum()) - rest, 0.0)
        operations[read] = _to_sum(
            size * found.values, of_operations, total, (size * some.low, size * some.high)
        )
        each[read] = operations[read] / size
        covariance[np.ix_(read, read)] = _knowing_sum(of_operations, SUM_SD * total + rest)
    return ContextFit(blocks, each, operations, covariance, float(left.sum()))


def _knowing_sum(covariance: Floats, sd: float) -> Floats:
    """Return the covariance of operations if their sum is known but for a standard deviation."""
    shift = covariance.sum(axis=1)
    whole = float(shift.sum()) + sd**2
    return covariance - np.outer(shift, shift) / whole if whole > 0 else covariance


def _to_sum(
    operations: Floats, covariance: Floats, total: float, bounds: tuple[Floats, Floats]
) -> Floats:
    """Return operations that add up to a total, each moved as its variance allows."""
    found, (least, most) = operations, bounds
    room = FARTHEST * np.sqrt(max(float(covariance.sum()), 0.0))
    target = float(found.sum()) + float(np.clip(total - found.sum(), -room, room))
    free = np.ones(len(found), dtype=bool)
    for _ in range(len(found)):
        gap = target - float(found.sum())
        shift = covariance[:, free].sum(axis=1) * free
        whole = float(shift.sum())
        if abs(gap) < SMALLEST_GAP or whole <= 0:
            break
        moved = np.clip(found + shift * gap / whole, least, most)
        held = free & ((moved <= least) | (moved >= most))
        found = moved
        if not held.any():
            break
        free &= ~held
    return found
