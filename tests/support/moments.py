"""Intervals of a session made by hand."""

import numpy as np

from pgiostat.analysis.cost import FIELDS
from pgiostat.analysis.rank import Totals
from pgiostat.analysis.server_reads import ServerReads
from pgiostat.watch.model.interval import Interval, Who
from tests.support.readings import at

__all__ = ["STATEMENTS", "moment"]

STATEMENTS = 200


def moment(number: int, statements: int = STATEMENTS) -> Interval:
    """Return a second in which each statement read as many blocks as its number says."""
    amounts = np.zeros((len(FIELDS), statements), dtype=np.int64)
    amounts[FIELDS.index("shared_blks_read")] = np.arange(statements)
    amounts[FIELDS.index("calls")] = 2
    whole = int(np.arange(statements).sum())
    counted = Totals(
        1.0, 8192, ServerReads(blocks=whole + 10),
        statements=[(10, 5, queryid) for queryid in range(statements)],
        statement_amounts=amounts, statement_uncertain=[False] * statements,
    )  # fmt: skip
    return Interval(Who("prod"), at(number), at(number + 1), (), counted, whole, counted.reads)
