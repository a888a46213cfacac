"""Operations for each block of categories, by which the operations of a time window are divided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np

from pgiostat.analysis.operations.pieces import MOST_HALF_WIDTH, WindowEstimate

__all__ = ["DividedBy", "Division", "PerBlockRange", "is_known", "parts_of"]


class DividedBy(StrEnum):
    """How operations are divided among statements."""

    REGRESSION = "regression"
    BLOCKS = "blocks"


@dataclass(frozen=True, slots=True)
class PerBlockRange:
    """Operations for each block, with their 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class Division:
    """How the operations of a part of a window are divided.

    Attributes:
        since: Begin of the time.
        until: End of it.
        parts: Operations for each block by part: categories, and lines of the ledger.
        usual: Operations for each block of all reads, for a part without its own.
    """

    since: datetime
    until: datetime
    parts: Mapping[str, PerBlockRange]
    usual: float

    def of(self, name: str) -> PerBlockRange:
        """Return the operations for each block of a part."""
        return self.parts.get(name) or PerBlockRange(self.usual, self.usual, self.usual)


def parts_of(estimate: WindowEstimate, categories: Sequence[str]) -> dict[str, PerBlockRange]:
    """Return the operations for each block of categories.

    Args:
        estimate: Of k statements.
        categories: The category of each.

    Returns:
        Categories that read nothing are left out.
    """
    names = list(dict.fromkeys(categories))
    groups = np.array([[float(each == name) for each in categories] for name in names])
    found = estimate.grouped(groups.reshape(len(names), len(categories)))
    ends = (found.operations, found.low, found.high)
    return {
        name: PerBlockRange(*(float(values[i] / found.blocks[i]) for values in ends))
        for i, name in enumerate(names)
        if found.blocks[i] > 0
    }


def is_known(value: float, low: float, high: float) -> bool:
    """Return whether a number's interval is narrow enough to show the number.

    >>> is_known(100, 75, 130), is_known(100, 60, 110)
    (True, False)
    """
    most = MOST_HALF_WIDTH * value
    return value - low <= most and high - value <= most
