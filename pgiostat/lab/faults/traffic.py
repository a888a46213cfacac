"""Faults of the traffic: more calls, other calls, other rows."""

from pgiostat.analysis.why import Cause
from pgiostat.lab.faults.fault import InjectableFault

__all__ = [
    "CALLS_TRIPLED",
    "MORE_ROWS",
    "REPORT_STARTED",
    "SKIP_BUG",
    "TABLE_ADDED",
    "WORKING_SET_OUTGROWN",
]

CALLS_TRIPLED = InjectableFault("calls tripled", "a statement is called more often", (Cause.CALLS,))
MORE_ROWS = InjectableFault("more rows", "a call has more rows than before", (Cause.MORE_ROWS,))
REPORT_STARTED = InjectableFault(
    "report started",
    "a report reads a large table again and again, and takes the cache",
    (Cause.NEW_STATEMENT,),
)
SKIP_BUG = InjectableFault("skip bug", "calls that should be skipped are made", (Cause.CALLS,))
TABLE_ADDED = InjectableFault(
    "table added", "the application reads one table more", (Cause.NEW_STATEMENT,)
)
WORKING_SET_OUTGROWN = InjectableFault(
    "working set outgrown", "the application reads rows of more keys", (Cause.WORKING_SET,)
)
