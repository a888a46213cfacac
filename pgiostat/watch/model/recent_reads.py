"""Reads of the last seconds: one interval is too short to compare tables with statements.

A statement counts its blocks when it ends; the server's processes report those of a table up to
ten seconds later, most of them within a second.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from pgiostat.analysis.rank import Totals
from pgiostat.analysis.server_reads import ServerReads
from pgiostat.watch.model.running_totals import RunningTotals

__all__ = ["RECENT_SECONDS", "RecentReads", "sum_if_all_known", "together"]

RECENT_SECONDS = 10.0
NEARLY = 0.95
"""Five intervals of two seconds are ten seconds, though the server's clock has 9.99."""


@dataclass(frozen=True)
class RecentReads:
    """The last intervals, as few as last for RECENT_SECONDS; it does not change.

    Attributes:
        parts: Their totals, the oldest first.
        begins: When each of them began.
    """

    parts: tuple[Totals, ...] = ()
    begins: tuple[datetime | None, ...] = ()

    def after(self, counted: Totals, begin: datetime | None) -> "RecentReads":
        """Return the last intervals after one more, which began then."""
        parts = (*self.parts, counted)
        left = sum(each.seconds for each in parts) - RECENT_SECONDS * NEARLY
        first = 0
        while first < len(parts) - 1 and (left := left - parts[first].seconds) >= 0:
            first += 1
        return RecentReads(parts[first:], (*self.begins, begin)[first:])

    @property
    def since(self) -> datetime | None:
        """When the first of them began; None if that is unknown."""
        return next(iter(self.begins), None)

    @property
    def seconds(self) -> float:
        """How long they are together."""
        return sum(each.seconds for each in self.parts)

    @cached_property
    def total(self) -> Totals | None:
        """Their totals as one; None without any."""
        whole = self.of_tables
        if whole is None or len(self.parts) == 1:
            return whole
        statements: RunningTotals[tuple[int, int, int | None]] = RunningTotals()
        for each in self.parts:
            statements.add(each.statements, each.statement_amounts, each.statement_uncertain)
        return replace(
            whole,
            statements=statements.keys,
            statement_amounts=statements.amounts,
            statement_uncertain=statements.uncertain,
        )

    @cached_property
    def of_tables(self) -> Totals | None:
        """Their totals as one, of which tables alone are complete; None without any.

        Statements are many more, and a ranking of tables needs none.
        """
        if not self.parts:
            return None
        whole, *others = self.parts
        if not others:
            return whole
        relations: RunningTotals[int] = RunningTotals()
        for each in others:
            whole = together(whole, each)
        for each in self.parts:
            relations.add(each.relations, each.relation_amounts, each.relation_uncertain)
        return replace(
            whole,
            relations=relations.keys,
            relation_amounts=relations.amounts,
            relation_uncertain=relations.uncertain,
        )


def together(a: Totals, b: Totals) -> Totals:
    """Return the whole of two intervals, without what is added up by statement and relation."""
    return replace(
        b,
        seconds=a.seconds + b.seconds,
        since=a.since,
        reads=ServerReads.total((a.reads, b.reads), a.since),
        recent=a.recent,
        database_blocks=sum_if_all_known((a.database_blocks, b.database_blocks)),
        absurd_times=a.absurd_times + b.absurd_times,
        nested=a.nested + b.nested,
        nested_blocks=a.nested_blocks + b.nested_blocks,
    )


def sum_if_all_known(values: Iterable[int | None]) -> int | None:
    """Return the sum of amounts; None if one is unknown."""
    listed = list(values)
    return None if any(value is None for value in listed) else sum(v for v in listed if v)
