"""Operations of statements over one piece of time: the fit, and its covariance."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pgiostat.analysis.operations.alignment import align
from pgiostat.analysis.operations.context_fit import fit_context
from pgiostat.analysis.operations.evidence import Evidence
from pgiostat.analysis.operations.intervals import Context, Floats, Intervals
from pgiostat.analysis.operations.least_squares import Fit, Prior, fit
from pgiostat.analysis.operations.lumping import Lump
from pgiostat.analysis.operations.priors import prior_in_bulk, prior_in_normal

__all__ = ["MODEL_SHARE", "PieceEstimate", "estimate_piece"]

Z = 1.96
FACTOR = 1.25
"""By how much intervals are wider than the covariance says: measured on recorded loads."""
MODEL_SHARE = 0.02
"""Half-width of what the model itself may be wrong by."""


@dataclass(frozen=True, slots=True, eq=False)
class PieceEstimate:
    """Operations of k statements over a piece of time, from a fit with f unknowns.

    Attributes:
        blocks: Blocks of each statement that the server counted in this time, of shape (k,).
        operations: Of each statement, of shape (k,).
        places: The unknown of each statement, of shape (k,).
        shares: The share of each statement in the operations of its unknown, of shape (k,).
        covariance: Of the operations of the unknowns, of shape (f, f).
        variance: Variance of each statement's operations around those of its unknown, (k,).
        edges: Operations of each statement that may belong to the time before or after, (k,).
        combine: Blocks that one operation reads at most.
        rest_blocks: Blocks of the server that belong to no statement.
        rest_operations: Their operations; all operations add up to the server's count.
    """

    blocks: Floats
    operations: Floats
    places: npt.NDArray[np.intp]
    shares: Floats
    covariance: Floats
    variance: Floats
    edges: Floats
    combine: int
    rest_blocks: float
    rest_operations: float

    def of_statements(self) -> Floats:
        """Return half of the 95 % interval of each statement's operations."""
        variance = self.shares**2 * self.covariance.diagonal()[self.places] + self.variance
        return _half_widths(variance, self.operations, self.edges)

    def of_groups(self, groups: Floats) -> Floats:
        """Return half of the 95 % interval of each group's operations.

        Args:
            groups: Weight of each statement in each group, of shape (g, k).
        """
        weights = np.zeros((len(groups), len(self.covariance)))
        np.add.at(weights.T, self.places, (groups * self.shares).T)
        variance = np.einsum("gf,fh,gh->g", weights, self.covariance, weights)
        return _half_widths(
            variance + groups**2 @ self.variance,
            groups @ self.operations,
            np.sqrt(groups**2 @ self.edges**2),
        )


def _half_widths(variance: Floats, operations: Floats, edges: Floats) -> Floats:
    deviation = np.sqrt(np.maximum(variance, 0.0))
    return Z * FACTOR * deviation + MODEL_SHARE * operations + edges


def estimate_piece(
    intervals: Intervals, evidence: Evidence, lump: Lump, read: Floats
) -> PieceEstimate:
    """Return the operations of statements over some intervals, which are fitted as one.

    Args:
        intervals: Of two to five minutes: the operations of a statement depend on its parameters.
            A lump of statements is one of them.
        evidence: How each of these statements reads.
        lump: Which of them each of k statements is.
        read: Blocks that each of k statements read in this time, by its own count.
    """
    counts, bulk, normal = intervals.statements, intervals.bulk, intervals.normal
    calls = counts.calls.sum(axis=0)
    touched = _per(counts.touched.sum(axis=0), calls)
    measured = _ratio(bulk)
    bulk_share = _bulk_share(intervals, evidence)
    # What no statement claims: a scan that is not counted yet, or catalogs, block by block.
    scans = fit_context(
        align(counts.blocks * bulk_share.values, bulk.blocks),
        bulk,
        prior_in_bulk(evidence, measured, intervals.combine),
        1.0 if measured is None else measured,
    )
    others = fit_context(
        align(counts.blocks * (1.0 - bulk_share.values), normal.blocks),
        normal,
        prior_in_normal(evidence, measured, intervals.combine, touched),
        1.0,
    )
    blocks = scans.blocks + others.blocks
    # A wrong share moves blocks to the other context, where their operations are others.
    moved = blocks * (scans.each - others.each)
    covariance = (
        scans.covariance + others.covariance + bulk_share.covariance * np.outer(moved, moved)
    )
    whole = float(bulk.operations.sum() + normal.operations.sum())
    operations = _at_most(scans.operations + others.operations, whole)
    seconds = max(float(intervals.seconds.sum()), 1e-9)
    edges = _per(operations, blocks) * np.maximum(blocks / seconds, _per(blocks, calls))
    shares = lump.shares(read)
    spread = shares * blocks[lump.places]
    return PieceEstimate(
        blocks=spread,
        operations=shares * operations[lump.places],
        places=lump.places,
        shares=shares,
        covariance=covariance,
        variance=lump.member_variance(spread),
        edges=shares * np.minimum(edges, operations)[lump.places],
        combine=intervals.combine,
        rest_blocks=scans.rest_blocks + others.rest_blocks,
        rest_operations=whole - float(operations.sum()),
    )


def _per(amounts: Floats, counts: Floats) -> Floats:
    return np.divide(amounts, counts, out=np.zeros_like(amounts), where=counts > 0)


def _ratio(context: Context) -> float | None:
    blocks = float(context.blocks.sum())
    return float(context.operations.sum()) / blocks if blocks else None


def _bulk_share(intervals: Intervals, evidence: Evidence) -> Fit:
    """Return the share of each statement's blocks that are read in the context bulkread."""
    k = len(evidence.kinds)
    shares = Fit(evidence.bulk_share.copy(), np.zeros((k, k)))
    undecided: npt.NDArray[np.intp] = np.flatnonzero(evidence.bulk_sd > 0)
    if not len(undecided):
        return shares
    server = intervals.bulk.blocks + intervals.normal.blocks
    aligned = align(intervals.statements.blocks, server)[:, undecided]
    # A statement that reads nothing here is left at what is expected of it.
    prior = Prior(
        evidence.bulk_share[undecided],
        evidence.bulk_sd[undecided],
        np.zeros(len(undecided)),
        np.ones(len(undecided)),
    )
    found = fit(aligned, intervals.bulk.blocks, prior)
    shares.values[undecided] = found.values
    shares.covariance[np.ix_(undecided, undecided)] = found.covariance
    return shares


def _at_most(operations: Floats, whole: float) -> Floats:
    """Return operations that are at most the server's own number."""
    claimed = float(operations.sum())
    return operations * (whole / claimed) if claimed > whole else operations
