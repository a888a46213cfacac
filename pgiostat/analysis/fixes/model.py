"""What a fix is reported as: statements to run, what they would do, and what they cost."""

from dataclasses import dataclass, replace
from enum import StrEnum

__all__ = ["Fix", "FixKind", "Grounds", "Prediction", "blocks_factors"]


class FixKind(StrEnum):
    """Stable names of the fixes.

    Attributes:
        CREATE_INDEX: An index that the statement can use.
        RECREATE_INDEX: The index that was dropped.
        CLUSTER: Rows that are read together are stored together.
        VACUUM: Dead rows are removed, and blocks marked as visible to all.
        REWRITE: VACUUM FULL: the table is written again without gaps.
        SETTING: A setting.
        STATISTICS: New statistics of the planner.
        SUMMARY_TABLE: A table that keeps the answer.
        FEWER_COLUMNS: Large values are left out.
        FEWER_CALLS: The statement is called less often.
        FEWER_ROWS: Each call returns less.
        PARTITION_KEY: The statement restricts the partition key.
        CACHE: More memory, or another time for what takes it.
    """

    CREATE_INDEX = "create index"
    RECREATE_INDEX = "recreate index"
    CLUSTER = "cluster"
    VACUUM = "vacuum"
    REWRITE = "rewrite"
    SETTING = "setting"
    STATISTICS = "statistics"
    SUMMARY_TABLE = "summary table"
    FEWER_COLUMNS = "fewer columns"
    FEWER_CALLS = "fewer calls"
    FEWER_ROWS = "fewer rows"
    PARTITION_KEY = "partition key"
    CACHE = "cache"


class Grounds(StrEnum):
    """What a prediction rests on.

    Attributes:
        INDEX: The height of a B-tree and the entries of its blocks.
        LAYOUT: The rows of a block, if those that are read together lie together.
        PAST: What the statement touched in the window before.
        PART: What it touches now, less the blocks that go.
    """

    INDEX = "size of the index"
    LAYOUT = "rows per block"
    PAST = "the window before"
    PART = "its blocks now, less those that go"


@dataclass(frozen=True, slots=True)
class Prediction:
    """Blocks that a call touches after a fix.

    Attributes:
        low: At least.
        point: What is expected; None if it depends on where the rows lie.
        high: At most.
        basis: What it rests on.
        at_best: Whether it is only what can be reached at best.
    """

    low: float
    point: float | None
    high: float
    basis: Grounds
    at_best: bool = False


@dataclass(frozen=True, slots=True)
class Fix:
    """A way out. Nothing of it is run.

    Attributes:
        kind: Its stable name.
        sentence: What it does.
        statements: SQL to run; empty if the application has to change.
        prediction: Blocks that a call touches afterwards; None if it cannot be predicted.
        unpredicted: Why there is no prediction; empty with one.
        size_bytes: Size of a new index without duplicates; None without one.
        costs: What it costs writes, other statements and locks, in sentences.
        columns: The columns of a new index, in order.
        table: The table that it changes.
        calls: Factor on the calls of the statement.
    """

    kind: FixKind
    sentence: str
    statements: tuple[str, ...] = ()
    prediction: Prediction | None = None
    unpredicted: str = ""
    size_bytes: int | None = None
    costs: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    table: str = ""
    calls: float = 1.0

    def bounded(self, touched: float | None) -> "Fix":
        """Return the fix with a prediction that is no higher than what a call touches now."""
        found = self.prediction
        if found is None or touched is None or found.high <= touched:
            return self
        point = None if found.point is None else min(found.point, touched)
        low = min(found.low, touched if point is None else point)
        return replace(self, prediction=replace(found, low=low, point=point, high=touched))


def blocks_factors(fix: Fix, touched: float | None) -> tuple[float, float, float] | None:
    """Return by what the blocks of a statement change: at least, expected, and at most.

    Args:
        fix: The fix.
        touched: Blocks that a call touches now.
    """
    found = fix.prediction
    if found is None or not touched:
        return None
    expected = (found.low + found.high) / 2 if found.point is None else found.point
    low, point, high = (
        min(fix.calls * blocks / touched, 1.0) for blocks in (found.low, expected, found.high)
    )
    return low, point, high
