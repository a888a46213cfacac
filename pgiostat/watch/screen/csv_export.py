"""The content of the screen as CSV."""

import csv
from datetime import datetime
from io import StringIO

from pgiostat.render.columns import METRICS
from pgiostat.render.csv import cell, timestamp
from pgiostat.watch.model.interval import Interval
from pgiostat.watch.screen.frozen import SessionView
from pgiostat.watch.screen.table import ScreenTable
from pgiostat.watch.screen.table_columns import TABLE_MEASURES
from pgiostat.watch.state import ViewState

__all__ = ["as_csv"]

EXPORTED = (
    "interval_start", "interval_end", "seconds", "server", "view", "path", "filter", "sort", "part",
    "name", "category", "fingerprint", "queryid", "user", "database", "share",
)  # fmt: skip # their order is the order of the columns


def as_csv(state: ViewState, table: ScreenTable, session: SessionView) -> str:
    """Return what is shown: rows as they are filtered and sorted, then what is below them."""
    text = StringIO()
    writer = csv.writer(text)
    names = [measure.name for measure in table.measures]
    if table.ranking is not None:
        # A screen's order of columns depends on what was read; that of a file does not.
        order = [m.name for m in sorted(METRICS, key=lambda metric: not metric.heading)]
        order += [measure.name for measure in TABLE_MEASURES]
        names.sort(key=order.index)
    writer.writerow([*EXPORTED, *names])
    sort = state.sort or "blocks_read"
    latest = session.latest or Interval()
    since, until, seconds = _time(state, table, session)
    leading = [
        timestamp(since),
        timestamp(until),
        seconds,
        latest.who.label if latest.who is not None else "",
        state.view.value,
        " > ".join(drill.name for drill in state.path),
        state.filter,
        f"{sort} {'ascending' if state.is_reversed else 'descending'}",
    ]
    for row in (*table.rows, *table.below):
        part = "part" if row.is_part else "row"
        values = [row.values.get(name) for name in names]
        of = row.of
        ids = (of.fingerprint, of.queryid, of.user, of.database) if of else ("", None, "", "")
        record = [*leading, part, row.name, row.category, *ids, row.share, *values]
        writer.writerow([cell(value) for value in record])
    return text.getvalue()


def _time(
    state: ViewState, table: ScreenTable, session: SessionView
) -> tuple[datetime | None, datetime | None, float | None]:
    """Return when the time of the table began and ended, and how long it is."""
    latest, figures = session.latest or Interval(), table.figures
    if figures is not None and figures.until is not None:
        return figures.since, figures.until, figures.seconds
    if state.whole:
        return session.began, latest.until, session.seconds
    if state.is_of_tables and session.recent.parts:
        return session.recent.since, latest.until, session.recent.seconds
    return latest.since, latest.until, latest.seconds
