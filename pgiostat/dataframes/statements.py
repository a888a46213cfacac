"""What each statement did in each step, as a long frame."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from pgiostat.analysis.cost import FIELDS
from pgiostat.analysis.rank import By, group_of
from pgiostat.dataframes.dtypes import typed
from pgiostat.reports.series import Steps
from pgiostat.statistics.names import Names

__all__ = ["identity", "long"]


def identity(
    ids: tuple[int, int, int | None], server: str, names: Names
) -> tuple[str, str, str, int | None, str, str, str]:
    """Return server, database, user, queryid, fingerprint, category and text of a statement."""
    userid, dbid, queryid = ids
    known = None if queryid is None else names.statement((userid, dbid, queryid))
    category = group_of(By.CATEGORY, ids, names)[-1]
    fingerprint, text = (known.fingerprint, known.text) if known else ("", "")
    named = names.shown_database(dbid), names.shown_role(userid)
    return server, *named, queryid, fingerprint, category, text


def long(steps: Steps, told: Sequence[tuple[Any, ...]], since: datetime) -> pd.DataFrame:
    """Return a row for each statement and step in which it did anything."""
    step, statement = np.nonzero(steps.amounts.any(axis=0).T)
    columns = ["server", "database", "user", "queryid", "fingerprint", "category", "query"]
    frame = pd.DataFrame(told, columns=columns)
    frame["queryid"] = frame["queryid"].astype("Int64")
    frame = frame.iloc[statement].reset_index(drop=True)
    starts = pd.DatetimeIndex([max(start, since) for start in steps.starts], tz="UTC").as_unit("us")
    frame.insert(0, "step", starts[step])
    seconds = np.array([each.seconds for each in steps.sampled], dtype=np.float64)
    frame.insert(1, "seconds", seconds[step])
    for number, name in enumerate(FIELDS):
        frame[name] = steps.amounts[number][statement, step]
    frame["blocks_read"] = frame["shared_blks_read"] + frame["local_blks_read"]
    return typed(frame).set_index("step")
