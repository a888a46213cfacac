"""The keys that go into a row: the statements of a table, the entries and tables of a statement."""

from typing import TYPE_CHECKING

from pgiostat.analysis.plans import NoPlan
from pgiostat.analysis.rank import By, rank_totals
from pgiostat.render.statement_names import screen_name
from pgiostat.statistics.row_deltas import Basis
from pgiostat.watch.export import ExportActions
from pgiostat.watch.model.interval import Interval
from pgiostat.watch.screen.frozen import coverage_of
from pgiostat.watch.screen.overview import heading
from pgiostat.watch.screen.rows import TableRow
from pgiostat.watch.sources.source import PlansStatements
from pgiostat.watch.state import (
    OF_STATEMENTS,
    Drill,
    RowKey,
    View,
    drill_down,
    tables_of_row,
    with_entries,
)

if TYPE_CHECKING:
    from pgiostat.analysis.plans import StatementPlan
    from pgiostat.analysis.rank import RankRow
    from pgiostat.watch.screen.statement_page import StatementDetails

__all__ = ["DrillActions"]


class DrillActions(ExportActions):
    """The actions that show what belongs to the selected row."""

    def action_enter(self) -> None:
        """Go into the selected row."""
        row = self._chosen()
        if row is None:
            return
        if row.fold is not None:
            self._drill(row)
            return
        if row.of is None or self.state.view is View.IO:
            self.notify("a row of pg_stat_io has no further level; key 2 shows the statements")
            return
        if self.state.view is View.STATEMENT:
            # It imports plots, and most sessions need none.
            from pgiostat.watch.screen.statement_page import (  # noqa: PLC0415
                PageActions,
                StatementPage,
            )

            plan = self._plan if isinstance(self.feed, PlansStatements) else None
            actions = PageActions(self.copy_row, self.action_tables, plan)
            self._page = StatementPage(row.of, self._statement_details, actions, self._judge)
            self.push_screen(self._page)
            return
        self._drill(row)
        if self._is_single_entry():
            self.action_enter()

    def _plan(self, row: "RankRow") -> "StatementPlan | NoPlan":
        """Plan a statement; called in a thread."""
        if not isinstance(self.feed, PlansStatements) or row.queryid is None:
            return NoPlan("its text is hidden from our role")
        queryid, dbid, userid = map(int, row.key)
        return self.feed.plan([(userid, dbid, queryid)])

    def _is_single_entry(self) -> bool:
        return self.state.view is View.STATEMENT and len(self._table.rows) == 1

    def _drill(self, row: TableRow) -> None:
        """Show what belongs to a row."""
        self.state = drill_down(self.state, self._drill_of(row))
        self.draw()

    def _drill_of(self, row: TableRow) -> Drill:
        """Return the step into a row; that into a part of a table is into the table."""
        name = row.name if row.of is None else row.of.name
        if self.state.view in OF_STATEMENTS and row.of is not None:
            name = screen_name(row.of)
            if self.state.path and self.state.path[-1].name == name:
                # An entry of the statement that was gone into.
                name = row.place or f"queryid {row.of.queryid}"
        key = row.key if row.of is None else row.of.key
        return Drill(self.state.view, key, name, self.state.row)

    def action_split(self) -> None:
        """Split statements into entries of pg_stat_statements, or merge them again."""
        self.state = with_entries(self.state)
        self.draw()

    def action_tables(self) -> None:
        """Show the tables of the selected statement."""
        row = self._chosen()
        if row is not None and row.of is not None:
            self.state = tables_of_row(self.state, self._drill_of(row))
            self.draw()

    def _statement_details(self, key: RowKey, size: tuple[int, int]) -> "StatementDetails":
        """Return the content of a statement's page."""
        from pgiostat.render.why_fixes import standing_in_words  # noqa: PLC0415 - as the page
        from pgiostat.watch.model.statement_evidence import (  # noqa: PLC0415 - as well
            standing_cause,
            statement_evidence,
        )
        from pgiostat.watch.screen.statement_page import StatementDetails  # noqa: PLC0415 - as the page
        from pgiostat.watch.screen.statement_tables import tables_of_statement  # noqa: PLC0415 - as well

        session, whole = self.session_view, self.state.whole
        latest = session.latest or Interval()
        counted = session.counted(whole=whole)
        parts = [] if counted is None else [(counted, session.names)]
        rows = rank_totals(parts, by=By.STATEMENT).rows
        row = next((row for row in rows if row.key == key), None)
        recent = session.counted(whole=whole, is_recent=True)
        evidence = statement_evidence(
            recent, session.tables, session.names, key, self.dbname, whole=whole
        )
        found = None if evidence is None else standing_cause(evidence)
        return StatementDetails(
            heading(self.state, session, size, self._side()),
            row,
            session.past(By.STATEMENT, key),
            None if whole or row is None or row.queryid is None else _basis(latest, row),
            session.seconds if whole else latest.seconds,
            session.qualities if whole else latest.qualities,
            coverage_of(session, whole=whole),
            whole,
            tables_of_statement(
                recent,
                session.tables,
                session.names,
                key,
                self.dbname,
                whole=whole,
                now=latest.until,
            ),
            () if found is None or evidence is None else tuple(standing_in_words(evidence, *found)),
        )


def _basis(interval: Interval, row: "RankRow") -> Basis:
    """Return what the counters of a statement were compared with."""
    queryid, dbid, userid = map(int, row.key)
    return interval.bases.get((userid, dbid, queryid), Basis.PREVIOUS)
