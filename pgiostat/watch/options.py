"""The options of `watch`."""

from dataclasses import dataclass
from enum import StrEnum

from pgiostat.analysis.rank import By, Sort
from pgiostat.volume.bucket import CreditBucket

__all__ = ["Options", "StreamFormat"]


TABLES_INTERVAL_SECONDS = 10.0


class StreamFormat(StrEnum):
    """The form of the output."""

    TEXT = "text"
    CSV = "csv"
    JSON = "json"
    MARKDOWN = "markdown"


@dataclass(frozen=True, slots=True)
class Options:
    """What to watch and how to show it.

    count: intervals to show, None until interrupted.  top: rows of the ranking; None is all of
    them.  tag: key of the tag of By.TAG.  label: the server's name in the output.  gauge, writes:
    the volume's bucket as it is at the start, and operations a second that are written.
    tables_interval: seconds between reads of tables and indexes, None if they are not read.
    """

    interval: float = 2.0
    count: int | None = None
    by: By = By.CATEGORY
    tag: str = ""
    sort: Sort = Sort.READS
    top: int | None = None
    form: StreamFormat = StreamFormat.TEXT
    label: str = ""
    gauge: CreditBucket | None = None
    writes: float = 0.0
    tables_interval: float | None = TABLES_INTERVAL_SECONDS
