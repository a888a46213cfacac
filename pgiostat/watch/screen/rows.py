"""Rows of a table on the screen, and the columns of their numbers."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from pgiostat.analysis.cost import ReadCost
from pgiostat.analysis.rank import RankRow
from pgiostat.render.columns import METRICS
from pgiostat.units import format_count, format_share
from pgiostat.watch.state import Fold, RowKey

__all__ = ["Measure", "ReadOf", "TableRow", "Value", "Values", "shown", "shown_read"]

Value = float | int | None


@dataclass(frozen=True, slots=True)
class Measure:
    """A column of numbers.

    name: of its values.  heading: on the screen.  meaning: for the help page.  shown: the format of
    a value.  is_extra: whether it is shown only after scrolling, or if it is sorted by.
    """

    name: str
    heading: str
    meaning: str
    shown: Callable[[float | None], str] = format_count
    is_extra: bool = False


@dataclass(frozen=True, slots=True)
class ReadOf:
    """A statement's share of a table's reads.

    is_known: it is no estimate; None for the rest, which is neither.
    """

    share: float | None
    is_known: bool | None


def shown_read(read: ReadOf | None) -> str:
    """Return a statement's share of a table's reads, and whether it is known."""
    if read is None:
        return ""
    word = {True: " known", False: "  est.", None: " " * len(" known")}[read.is_known]
    return f"{format_share(read.share)}{word}"


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row: what it is, its share of all reads, and its numbers by name.

    of: the row of a ranking, if it is one.  is_part: it is below, and no row of the ranking.
    fold: what it folds, if it stands for several rows.  part: of the table `of`, such as an index:
    its oid.  read_of: what it read of the table that was gone into.  has_share: it is the total, or
    a part of it.
    """

    name: str
    share: float | None
    values: Mapping[str, Value]
    category: str = ""
    place: str = ""
    is_uncertain: bool = False
    of: RankRow | None = None
    is_part: bool = False
    fold: Fold | None = None
    part: int | None = None
    read_of: ReadOf | None = None
    has_share: bool = True

    @property
    def key(self) -> RowKey:
        """What tells it from other rows."""
        if self.fold is not None:
            return self.fold.key
        if self.part is not None and self.of is not None:
            return (*self.of.key, str(self.part))
        return (self.name,) if self.of is None else self.of.key


class Values(Mapping[str, Value]):
    """The numbers of a row, each computed on demand: few of thousands are visible."""

    __slots__ = ("_cost",)

    def __init__(self, cost: ReadCost) -> None:
        self._cost = cost

    def __getitem__(self, name: str) -> Value:
        return _METRICS[name].value(self._cost)

    def __iter__(self) -> Iterator[str]:
        return iter(_METRICS)

    def __len__(self) -> int:
        return len(_METRICS)


_METRICS = {metric.name: metric for metric in METRICS}


def shown(row: RankRow) -> TableRow:
    """Return a row of a ranking as a row of the screen."""
    return TableRow(
        row.name,
        row.share,
        Values(row.cost),
        row.category,
        f"{row.user}@{row.database}" if row.user or row.database else "",
        row.uncertain,
        row,
    )
