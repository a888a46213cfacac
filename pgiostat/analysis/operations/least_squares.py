"""Robust least squares with bounds and priors, and the covariance of the answer."""

from dataclasses import dataclass

import numpy as np

from pgiostat.analysis.operations.intervals import Floats

__all__ = ["Fit", "Prior", "fit", "solve_bounded"]

HUBER = 2.5
"""Standard deviations above which a residual counts less."""
ROUNDS = 6
LAGS = 3
"""Intervals over which residuals may be correlated."""
MOST_SHIFT = 0.45
"""Negative correlation of neighbouring errors, at most; one half is the limit of any."""
MOST_CHANGES = 50
MOST_SWEEPS = 500


@dataclass(frozen=True, slots=True, eq=False)
class Prior:
    """What is known of k unknowns beforehand, each attribute of shape (k,).

    Attributes:
        mean: Expected value.
        sd: Standard deviation of it.
        low: Lowest possible value.
        high: Highest possible value.
    """

    mean: Floats
    sd: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """Values of k unknowns, and their covariance.

    Attributes:
        values: Of shape (k,).
        covariance: Of shape (k, k).
    """

    values: Floats
    covariance: Floats


def fit(design: Floats, observed: Floats, prior: Prior) -> Fit:
    """Return the x with which design @ x is nearest to the observed counts.

    Weights are those of counts with a variance that grows with their size. A residual of more
    than HUBER standard deviations weighs less.

    Args:
        design: Blocks, of shape (n, k).
        observed: Counts, of shape (n,).
        prior: Of the k unknowns.

    Returns:
        Values within the bounds. The covariance takes into account that residuals of neighbouring
        intervals are correlated.
    """
    n, k = design.shape
    size = design.sum(axis=1)
    used = size > 0
    if not k or not used.any():
        return Fit(prior.mean.copy(), np.diag(prior.sd**2))
    weights = _weights(size)
    freedom = max(n - k / 2, n / 4, 1.0)
    # No count is more exact than one operation in an interval.
    least = float((weights**2).sum()) / n
    precision = np.diag(prior.sd**-2.0)
    rows, counts = design * weights[:, None], observed * weights
    values, robust, shift = prior.mean, np.ones(n), 0.0
    for _ in range(ROUNDS):
        white_rows, white_counts = _whitened(rows, shift), _whitened(counts[:, None], shift)[:, 0]
        residuals = white_counts - white_rows @ values
        variance = max(float(robust @ residuals**2) / freedom, least)
        limits = HUBER * np.sqrt(variance)
        robust = np.minimum(1.0, limits / np.maximum(np.abs(residuals), 1e-12))
        scaled = white_rows.T * robust
        normal = scaled @ white_rows / variance + precision
        target = scaled @ white_counts / variance + prior.mean * prior.sd**-2.0
        values = solve_bounded(normal, target, prior.low, prior.high)
        shift = _shift(counts - rows @ values)
    residuals = (white_counts - white_rows @ values) * np.sqrt(robust)
    variance = max(float(residuals @ residuals) / freedom, least) * _inflation(residuals)
    normal = scaled @ white_rows / variance + precision
    slope = normal @ values - scaled @ white_counts / variance - precision @ prior.mean
    # At a bound that the counts push against, the value is as sure as that push is strong.
    held = ((values <= prior.low) & (slope > 0)) | ((values >= prior.high) & (slope < 0))
    return Fit(values, np.linalg.inv(normal + np.diag(np.where(held, slope**2, 0.0))))


def _weights(size: Floats) -> Floats:
    """Return the weight of each interval's counts: larger ones vary more."""
    largest = np.maximum(size, np.median(size[size > 0]))
    return np.where(size > 0, largest**-0.5, 0.0)


def _shift(residuals: Floats) -> float:
    """Return the correlation of neighbouring residuals, if it is negative."""
    centred = residuals - residuals.mean()
    whole = float(centred @ centred)
    if whole <= 0:
        return 0.0
    return min(max(float(centred[1:] @ centred[:-1]) / whole, -MOST_SHIFT), 0.0)


def _whitened(rows: Floats, shift: float) -> Floats:
    """Return rows as combinations with uncorrelated errors.

    Blocks that a statement counts in one interval and the server in the next make two errors that
    cancel. The covariance of such errors has `shift` beside its diagonal; this solves its Cholesky
    factor.
    """
    if not shift:
        return rows
    found = rows.copy()
    diagonal = 1.0
    for i in range(1, len(rows)):
        below = shift / diagonal
        diagonal = np.sqrt(1.0 - below**2)
        found[i] = (rows[i] - below * found[i - 1]) / diagonal
    return found


def _inflation(residuals: Floats) -> float:
    """Return by how much correlated residuals raise the variance of their sum."""
    centred = residuals - residuals.mean()
    whole = float(centred @ centred)
    if whole <= 0:
        return 1.0
    factor = 1.0
    for lag in range(1, min(LAGS, len(centred) - 1) + 1):
        correlation = float(centred[lag:] @ centred[:-lag]) / whole
        factor += 2.0 * (1.0 - lag / (LAGS + 1)) * correlation
    return max(factor, 1.0)


def solve_bounded(normal: Floats, target: Floats, low: Floats, high: Floats) -> Floats:
    """Return the x between low and high that minimises x' normal x / 2 - target' x.

    Args:
        normal: Positive definite, of shape (k, k).
        target: Of shape (k,).
        low: Lower bounds.
        high: Upper bounds.

    >>> solve_bounded(np.eye(2) * 2, np.array([2.0, 8.0]), np.zeros(2), np.full(2, 3.0)).tolist()
    [1.0, 3.0]
    """
    values: Floats = np.clip(np.linalg.solve(normal, target), low, high)
    for _ in range(MOST_CHANGES):
        slope = normal @ values - target
        held = ((values <= low) & (slope > 0)) | ((values >= high) & (slope < 0))
        free = ~held
        if not free.any():
            return values
        rest = target[free] - normal[np.ix_(free, held)] @ values[held]
        newer = values.copy()
        newer[free] = np.linalg.solve(normal[np.ix_(free, free)], rest)
        if bool(((newer >= low) & (newer <= high)).all()):
            if np.allclose(newer, values, rtol=1e-9, atol=1e-12):
                return newer
            values = newer
            continue
        # As long a way towards the answer as the bounds allow: the value falls in each round.
        step = newer - values
        with np.errstate(divide="ignore", invalid="ignore"):
            room = np.where(step > 0, (high - values) / step, (low - values) / step)
        room = np.where(step == 0, np.inf, room)
        values = np.clip(values + max(min(float(room.min()), 1.0), 0.0) * step, low, high)
        at = room <= room.min() + 1e-12
        values = np.where(at, np.where(step > 0, high, low), values)
    return _descend(normal, target, values, low, high)


def _descend(normal: Floats, target: Floats, values: Floats, low: Floats, high: Floats) -> Floats:
    """Return the minimum by one coordinate after the other, which always converges."""
    values = values.copy()
    for _ in range(MOST_SWEEPS):
        before = values.copy()
        for k in range(len(values)):
            slope = float(normal[k] @ values - target[k])
            values[k] = min(max(values[k] - slope / normal[k, k], low[k]), high[k])
        if np.allclose(values, before, rtol=1e-9, atol=1e-12):
            break
    return values
