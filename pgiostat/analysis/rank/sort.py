"""The order of a ranking's rows."""

from collections.abc import Callable
from enum import StrEnum

from pgiostat.analysis.cost import ReadCost

__all__ = ["MEASURES", "Sort"]


class Sort(StrEnum):
    """The order of a ranking's rows, the greatest first.

    Attributes:
        READS: Blocks read.
        TIME: Time reading.
        TEMP: Blocks of spill files read.
        CALLS: Calls.
        PER_CALL: Blocks read by a call.
    """

    READS = "reads"
    TIME = "time"
    TEMP = "temp"
    CALLS = "calls"
    PER_CALL = "per-call"


MEASURES: dict[Sort, Callable[[ReadCost], float | None]] = {
    Sort.READS: lambda cost: cost.blocks,
    Sort.TIME: lambda cost: cost.read_ms,
    Sort.TEMP: lambda cost: cost.temp_blks_read,
    Sort.CALLS: lambda cost: cost.calls,
    Sort.PER_CALL: lambda cost: cost.blocks_per_call,
}
