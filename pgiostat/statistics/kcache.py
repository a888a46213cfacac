"""Physical reads of statements: rows of pg_stat_kcache beside those of pg_stat_statements."""

import numpy as np

from pgiostat.statistics.columnar import Rows
from pgiostat.statistics.keyed import Keyed

__all__ = ["PHYSICAL", "TRACED", "beside"]

PHYSICAL = "exec_reads"
"""The counter that statements get: bytes that their processes had read from storage."""
TRACED = "traced"
"""The mark of statements with a count."""


def beside(statements: Rows, kcache: Rows) -> Rows:
    """Return statements with the physical reads of each, and a mark where these were counted.

    Joined by (userid, dbid, queryid, top): pg_stat_kcache keeps nested statements apart as
    pg_stat_statements does, from 2.2 on; before, it tracked only those that clients sent.
    """
    place = _keyed(statements, "toplevel").places_in(_keyed(kcache, "top"))
    traced = (place >= 0) & ~statements["masked"]
    read = np.zeros(len(statements), dtype=np.int64)
    read[traced] = kcache[PHYSICAL][place[traced]]
    return statements.beside(PHYSICAL, read, {TRACED: traced})


def _keyed(rows: Rows, flag: str) -> Keyed:
    top = rows.get(flag)
    sent = np.ones(len(rows), dtype=np.int64) if top is None else top.astype(np.int64)
    return Keyed(rows, (rows["queryid"], rows["dbid"] << 32 | rows["userid"], sent))
