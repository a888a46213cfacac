"""What a cause is reported as: its name, sentences, figures of both windows, and how sure it is."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Cause", "CauseFinding", "Certainty", "Figure"]


class Certainty(StrEnum):
    """How sure a finding is; the words are a judgement, no measured probability.

    Attributes:
        CERTAIN: The counters or definitions show the cause itself.
        LIKELY: The counters fit this cause, and another one could look the same.
        POSSIBLE: It is what is left over, or only happened at the same time.
    """

    CERTAIN = "certain"
    LIKELY = "likely"
    POSSIBLE = "possible"


class Cause(StrEnum):
    """Stable names of the causes."""

    PARTITIONS = "partitions not pruned"
    FOREIGN_KEY = "foreign key without index"
    INDEX_DROPPED = "index dropped"
    INDEX_REPLACED = "index replaced"
    TOAST = "TOAST"
    SEQUENTIAL_SCAN = "sequential scan"
    FULL_INDEX_SCAN = "full index scan"
    PLAN = "plan changed"
    LOSSY_BITMAP = "lossy bitmap"
    VISIBILITY_MAP = "visibility map"
    DEAD_ROWS = "dead rows"
    MORE_ROWS = "more rows"
    SCATTERED_ROWS = "scattered rows"
    RESTART = "cold cache"
    PRESSURE = "cache pressure"
    VACUUM = "vacuum"
    WORKING_SET = "working set"
    CALLS = "more calls"
    NEW_STATEMENT = "new statement"
    SPILL = "spill"


@dataclass(frozen=True, slots=True)
class Figure:
    """One quantity in both windows; None is unknown."""

    name: str
    before: float | None
    after: float | None


@dataclass(frozen=True, slots=True)
class CauseFinding:
    """A cause, and what shows it.

    Attributes:
        cause: Its stable name.
        certainty: How sure it is.
        sentences: The cause in words; the first one names it.
        figures: What moved, before and after.
        culprit: Key of another statement that is the reason; empty for none.
        table: Name of the table that it is about; empty for none.
    """

    cause: Cause
    certainty: Certainty
    sentences: tuple[str, ...]
    figures: tuple[Figure, ...] = ()
    culprit: str = ""
    table: str = ""
