"""The statements that read least are fitted as one: a server may have thousands of them."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pgiostat.analysis.operations.intervals import Floats, Intervals, StatementCounts

__all__ = ["Lump", "lump"]

MOST_FITTED = 80
"""Statements that are fitted one by one."""
MEMBER_SD = 0.35
"""Standard deviation of the operations for each block of one statement of a lump."""


@dataclass(frozen=True, slots=True, eq=False)
class Lump:
    """Which unknown of the fit each of k statements is.

    Attributes:
        places: The unknown of each statement, of shape (k,).
        is_alone: Whether the statement is the only one of its unknown, of shape (k,).
        count: Number of unknowns.
    """

    places: npt.NDArray[np.intp]
    is_alone: npt.NDArray[np.bool_]
    count: int

    def shares(self, blocks: Floats) -> Floats:
        """Return the share of each statement in the blocks of its unknown, of shape (k,)."""
        whole = self.summed(blocks)[self.places]
        found = np.divide(blocks, whole, out=np.zeros_like(blocks), where=whole > 0)
        return np.where(self.is_alone, 1.0, found)

    def summed(self, values: Floats) -> Floats:
        """Return the sums over the statements of each unknown: (..., k) becomes (..., count)."""
        matrix = np.zeros((len(self.places), self.count))
        matrix[np.arange(len(self.places)), self.places] = 1.0
        return np.asarray(values @ matrix, dtype=np.float64)

    def member_variance(self, blocks: Floats) -> Floats:
        """Return by how much a statement's operations vary around those of its unknown."""
        return np.where(self.is_alone, 0.0, (MEMBER_SD * blocks) ** 2)


def lump(intervals: Intervals, most: int = MOST_FITTED) -> tuple[Intervals, Lump]:
    """Return intervals in which the statements that read least are one, the last.

    Args:
        intervals: Of k statements.
        most: Statements that stay as they are.
    """
    counts = intervals.statements
    k = counts.blocks.shape[1]
    if k <= most:
        return intervals, Lump(np.arange(k), np.ones(k, dtype=np.bool_), k)
    order = np.argsort(-counts.blocks.sum(axis=0), kind="stable")
    places = np.full(k, most)
    places[order[:most]] = np.arange(most)
    lumped = Lump(places, places < most, most + 1)
    tables = intervals.tables
    if tables is not None:
        # The rest would name nearly all tables, and each one costs a regression.
        touches = np.zeros((most + 1, tables.touches.shape[1]), dtype=np.bool_)
        touches[:most] = tables.touches[order[:most]]
        tables = replace(tables, touches=touches)
    summed = StatementCounts(
        *(lumped.summed(values) for values in (counts.calls, counts.blocks, counts.touched))
    )
    return replace(intervals, statements=summed, tables=tables), lumped
