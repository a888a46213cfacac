"""The counts of each statement in each step, as a long frame."""

import numpy as np
import pandas as pd

from pgiostat.analysis.cost import FIELDS
from pgiostat.dataframes.dtypes import typed
from pgiostat.reports.series import StatementsReport
from pgiostat.reports.steps import Ids, category_of
from pgiostat.statistics.names import Names

__all__ = ["statements_frame"]

_COLUMNS = ["server", "database", "user", "queryid", "fingerprint", "category", "query"]


def statements_frame(report: StatementsReport) -> pd.DataFrame:
    """Return a row for each statement and step in which it did anything, by step."""
    steps = report.steps
    step, statement = np.nonzero(steps.amounts.any(axis=0).T)
    rows = [
        _identity(ids, part.server, known)
        for part, known in report.totals.parts(report.names)
        for ids in part.statements
    ]
    frame = pd.DataFrame(rows, columns=_COLUMNS)
    frame["queryid"] = frame["queryid"].astype("Int64")
    frame = frame.iloc[statement].reset_index(drop=True)
    since = report.totals.window.since
    starts = pd.DatetimeIndex([max(start, since) for start in steps.starts], tz="UTC").as_unit("us")
    frame.insert(0, "step", starts[step])
    seconds = np.array([each.seconds for each in steps.sampled], dtype=np.float64)
    frame.insert(1, "seconds", seconds[step])
    for number, name in enumerate(FIELDS):
        frame[name] = steps.amounts[number][statement, step]
    frame["blocks_read"] = frame["shared_blks_read"] + frame["local_blks_read"]
    return typed(frame).set_index("step")


def _identity(
    ids: Ids, server: str, names: Names
) -> tuple[str, str, str, int | None, str, str, str]:
    """Return server, database, user, queryid, fingerprint, category and text of a statement."""
    userid, dbid, queryid = ids
    known = None if queryid is None else names.statement((userid, dbid, queryid))
    fingerprint, text = (known.fingerprint, known.text) if known else ("", "")
    return (
        server,
        names.shown_database(dbid),
        names.shown_role(userid),
        queryid,
        fingerprint,
        category_of(ids, names),
        text,
    )
