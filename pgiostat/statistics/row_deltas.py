"""What the rows of a table of counters counted in an interval."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from pgiostat.statistics.columnar import Rows

__all__ = ["Basis", "RowDeltas"]


class Basis(IntEnum):
    """The base of a row's difference.

    Attributes:
        PREVIOUS: The same entry in the older snapshot.
        NEW: Nothing: the entry was created in the interval, and all its counts belong to it.
        RESET: Nothing: the entry was reset in the interval, and earlier counts are lost.
        REINSERTED: Nothing: the entry was evicted and came back, and earlier counts are lost.
        UNKNOWN: Which part of the numbers belongs to the interval is unknown: a lower bound.
    """

    PREVIOUS = 0
    NEW = 1
    RESET = 2
    REINSERTED = 3
    UNKNOWN = 4


@dataclass(frozen=True, slots=True, eq=False)
class RowDeltas:
    """Rows that changed in the interval; basis: one Basis a row, as uint8."""

    rows: Rows
    basis: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.rows)

    def total(self, name: str) -> int:
        """Return the sum of a counter."""
        return self.rows.total(name)
