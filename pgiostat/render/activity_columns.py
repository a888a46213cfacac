"""The columns of a ranking that say what the table or the index of a row did."""

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, TypeAlias

from pgiostat.analysis.rank import By, Ranking, RankRow
from pgiostat.analysis.relation_activity import IndexActivity, TableActivity
from pgiostat.render.columns import LEADING, METRICS, SORTED_BY, Metric, shown
from pgiostat.render.document import Bound, Value
from pgiostat.units import UNKNOWN, format_bytes, format_count, format_rate

__all__ = [
    "ACTIVITY",
    "ActivityMetric",
    "Column",
    "columns_of",
    "number",
    "shown_columns",
    "shown_number",
]


@dataclass(frozen=True, slots=True)
class ActivityMetric:
    """A value of the table or index that a row is about.

    Attributes:
        name: The CSV header, with its unit.
        meaning: Its definition.
        read: Returns its value; None is unknown.
        heading: Its heading on a screen; empty if it is not shown there.
        shown: Makes text of a value.
        is_counted: Whether it comes from counters, which may be uncertain after a reset.
        is_text: Whether it is no number.
    """

    name: str
    meaning: str
    read: Callable[[Any], Value]
    heading: str = ""
    shown: Callable[[Any], str] = format_count
    is_counted: bool = True
    is_text: bool = False

    @property
    def title(self) -> str:
        """The words above its column."""
        return self.heading or self.name


Column: TypeAlias = Metric | ActivityMetric


def _of(name: str, meaning: str, heading: str = "", field: str = "", **more: Any) -> ActivityMetric:
    """Return a property of an activity."""
    return ActivityMetric(name, meaning, attrgetter(field or name), heading, **more)


def _count(name: str, meaning: str) -> ActivityMetric:
    """Return a counter of a table."""
    return ActivityMetric(name, meaning, lambda table: table.count(name))


def _word(value: str | None) -> str:
    """Return a word; unknown is not empty."""
    return UNKNOWN if value is None else value


_STALE = "as of the last VACUUM, ANALYZE or index build"
_INDEX = (
    _of("scans_per_s", "scans of the index per second", "scans/s", shown=format_rate),
    _of("rows_per_scan", "entries that a scan returned", "rows/scan"),
    _of("blocks_per_scan", "blocks of the index that a scan read or hit", "blocks/scan"),
    _of(
        "size_bytes",
        f"size of the index, {_STALE}",
        "size",
        shown=format_bytes,
        is_counted=False,
    ),
    _of(
        "constraint",
        '"primary key", "unique" or "invalid"; empty for another index, and if it is not known',
        "key",
        shown=_word,
        is_counted=False,
        is_text=True,
    ),
    _of("idx_scan", "scans of the index"),
    _of("idx_tup_read", "entries returned by scans"),
    _of("idx_tup_fetch", "live rows fetched by plain index scans"),
    ActivityMetric(
        "definition",
        "definition of the index, without constants; empty if it was dropped or not read",
        lambda index: None if index.definition is None else index.definition.text,
        is_counted=False,
        is_text=True,
    ),
)
_TABLE = (
    _of("seq_scans_per_s", "sequential scans of the table per second", "seq/s", shown=format_rate),
    _of("idx_scans_per_s", "scans of its indexes per second", "idx/s", shown=format_rate),
    _of("rows_per_scan", "live rows that a scan of either kind fetched", "rows/scan"),
    _of("blocks_per_row", "blocks of the table alone read or hit for a row fetched", "blocks/row"),
    _of(
        "size_bytes",
        f"size of the table without indexes and TOAST, {_STALE}",
        "size",
        shown=format_bytes,
        is_counted=False,
    ),
    _of("dead_rows", "dead rows by the server's estimate", "dead rows", is_counted=False),
    _of("rows_per_seq_scan", "live rows read by a sequential scan"),
    _of("rows_per_idx_scan", "live rows fetched by an index scan"),
    _of("dead_share", "dead rows as a share of all rows", is_counted=False),
    _count("seq_scan", "sequential scans; each parallel worker counts one"),
    _count("seq_tup_read", "live rows read by sequential scans"),
    _of("idx_scan", "scans of its indexes"),
    _of("idx_tup_fetch", "live rows fetched by index scans of every kind"),
)
ACTIVITY: dict[By, tuple[ActivityMetric, ...]] = {
    By.TABLE: _TABLE,
    By.RELATION: _TABLE,
    By.INDEX: _INDEX,
}
"""The columns of each dimension that has rows about one table or index."""


def columns_of(by: By, *, with_activity: bool) -> tuple[Column, ...]:
    """Return the columns of numbers for programs.

    Args:
        by: What a row is.
        with_activity: With what the table or index of a row did, at the end.
    """
    return (*METRICS, *(ACTIVITY.get(by, ()) if with_activity else ()))


def _activity(ranking: Ranking, row: RankRow) -> TableActivity | IndexActivity | None:
    return None if ranking.activity is None else ranking.activity.get(row.key)


def number(column: Column, ranking: Ranking, row: RankRow) -> Value:
    """Return the value of a column in a row; None if it is unknown."""
    if isinstance(column, Metric):
        return column.value(row.cost)
    activity = _activity(ranking, row)
    return None if activity is None else column.read(activity)


def shown_number(column: Column, ranking: Ranking, row: RankRow) -> Value | Bound:
    """Return the value of a column for people: what was counted since a reset is a bound."""
    value, activity = number(column, ranking, row), _activity(ranking, row)
    if isinstance(column, ActivityMetric) and column.is_text and not row.relation:
        return ""  # a row that is no index
    if isinstance(column, Metric) or activity is None or value is None or isinstance(value, str):
        return value
    return Bound(value) if column.is_counted and activity.is_uncertain else value


def shown_columns(ranking: Ranking) -> tuple[Column, ...]:
    """Return the columns for a screen, of what is known of a ranking; the last give way.

    What tables and indexes did comes after the rates of reads and calls, and before the times.
    """
    columns = shown(ranking)
    kept = 2 if SORTED_BY[ranking.sort] else 1
    more = ACTIVITY.get(ranking.by, ()) if ranking.activity else ()
    if not more:
        return columns
    first, others = columns[:kept], columns[kept:]
    leading = [each for each in others if each.name in LEADING]
    last = [each for each in others if each.name not in LEADING]
    return (*first, *leading, *(each for each in more if each.heading), *last)
