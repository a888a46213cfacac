"""Operations of statements over a time window: pieces of minutes, added up.

One fit over a long time would be too certain, because the operations of a statement change with
its parameters. So a window is cut into pieces of at most five minutes.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from pgiostat.analysis.operations.estimate import MODEL_SHARE, PieceEstimate, estimate_piece
from pgiostat.analysis.operations.evidence import AccessKind, evidence_of
from pgiostat.analysis.operations.intervals import Floats, Intervals, Mask
from pgiostat.analysis.operations.lumping import lump

__all__ = ["MOST_HALF_WIDTH", "Operations", "WindowEstimate", "estimate"]

LONGEST_PIECE = 330.0
"""Seconds: five minutes, and the last intervals of them."""
MOST_HALF_WIDTH = 0.3
"""Half-width of an interval, as a share of the operations, up to which a number is shown."""
LEAST_INTERVALS = 12
"""Intervals without which nothing is estimated."""


@dataclass(frozen=True, slots=True, eq=False)
class Operations:
    """Read operations of g statements or groups, each attribute of shape (g,).

    Attributes:
        blocks: Blocks read, by the server's count.
        operations: The estimate.
        low: Lower end of its 95 % interval.
        high: Upper end of its 95 % interval.
    """

    blocks: Floats
    operations: Floats
    low: Floats
    high: Floats

    @property
    def is_known(self) -> Mask:
        """Whether the interval is narrow enough to show the estimate."""
        most = MOST_HALF_WIDTH * self.operations
        inside = (self.operations - self.low <= most) & (self.high - self.operations <= most)
        return np.asarray(inside, dtype=np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class WindowEstimate:
    """Operations of k statements over a time window.

    Attributes:
        kinds: How each statement reads, by the counters of its tables.
        pieces: The window's pieces in order.
    """

    kinds: tuple[AccessKind, ...]
    pieces: tuple[PieceEstimate, ...]

    @property
    def rest_operations(self) -> float:
        """Operations of the server that belong to no statement."""
        return sum(piece.rest_operations for piece in self.pieces)

    @property
    def rest_blocks(self) -> float:
        """Blocks of these operations."""
        return sum(piece.rest_blocks for piece in self.pieces)

    def of_statements(self) -> Operations:
        """Return the operations of each statement."""
        return self._summed(lambda values: values, PieceEstimate.of_statements)

    def grouped(self, groups: Floats) -> Operations:
        """Return the operations of groups of statements.

        Errors of statements in one group may cancel: the interval of a group follows from the
        whole covariance. Half-widths of pieces are added, because their errors are alike.

        Args:
            groups: Weight of each statement in each group, of shape (g, k).
        """
        return self._summed(lambda values: groups @ values, lambda piece: piece.of_groups(groups))

    def _summed(
        self, grouped: Callable[[Floats], Floats], half_widths: Callable[[PieceEstimate], Floats]
    ) -> Operations:
        """Return the sums over the pieces."""

        def summed(values: Iterable[Floats]) -> Floats:
            return np.asarray(sum(values, start=np.float64(0.0)), dtype=np.float64)

        blocks = summed(grouped(piece.blocks) for piece in self.pieces)
        edges = summed(grouped(piece.edges) for piece in self.pieces)
        least = summed(grouped(piece.blocks) / piece.combine for piece in self.pieces)
        operations = summed(grouped(piece.operations) for piece in self.pieces)
        half = summed(half_widths(piece) for piece in self.pieces)
        low = np.minimum(np.maximum(operations - half, least), operations)
        # An operation reads a block at least, and at the edges the server may count more blocks.
        most = (1.0 + MODEL_SHARE) * blocks + edges
        high = np.maximum(np.minimum(operations + half, most), operations)
        return Operations(blocks, operations, low, high)


def estimate(intervals: Intervals) -> WindowEstimate | None:
    """Return the operations of each statement over some intervals.

    Args:
        intervals: Consecutive ones of a server that counts operations (PostgreSQL 18 and later).

    Returns:
        The estimate; None if the intervals are too few for a regression.
    """
    counted = intervals.bulk.blocks + intervals.normal.blocks > 0
    if int(counted.sum()) < LEAST_INTERVALS:
        return None
    fitted, lumped = lump(intervals)
    evidence = evidence_of(fitted)
    pieces = tuple(
        estimate_piece(
            fitted.part(begin, end),
            evidence,
            lumped,
            intervals.statements.blocks[begin:end].sum(axis=0),
        )
        for begin, end in _cuts(intervals.seconds)
    )
    kinds = tuple(
        evidence.kind(place) if alone else AccessKind.OPEN
        for place, alone in zip(lumped.places.tolist(), lumped.is_alone.tolist(), strict=True)
    )
    return WindowEstimate(kinds, pieces)


def _cuts(seconds: Floats) -> Iterator[tuple[int, int]]:
    """Yield begin and end of each piece: equally long ones, of LONGEST_PIECE at most."""
    ends = np.cumsum(seconds)
    count = max(int(np.ceil(ends[-1] / LONGEST_PIECE)), 1)
    borders = np.searchsorted(ends, ends[-1] * np.arange(1, count) / count)
    cuts = [0, *(int(border) for border in borders), len(seconds)]
    for begin, end in itertools.pairwise(cuts):
        if end > begin:
            yield begin, end
