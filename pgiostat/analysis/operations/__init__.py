"""Read operations of statements, by a regression on the server's own counts.

PostgreSQL 18 counts the read operations of the server, not of a statement. A sequential scan reads
up to sixteen blocks in one operation, an index scan one. From interval to interval statements read
different amounts: a regression of the server's operations on these amounts finds their operations
for each block. Three facts make it precise. pg_stat_io counts large sequential scans apart (context
bulkread). Counters of tables show which statements use bitmap heap scans or plain index scans. A
plain index scan reads one block in each operation.

    intervals      the input: counts of consecutive intervals
    alignment      what statements counted, when the server counts it
    least_squares  the regression: bounded, robust, with priors
    evidence       how a statement reads, by the counters of its tables
    priors         what to expect of that
    lumping        the statements that read least, as one
    context_fit    the operations in one context of pg_stat_io
    estimate       one piece of time
    pieces         a time window
    division       operations for each block of categories
"""

from pgiostat.analysis.operations.division import (
    DividedBy,
    Division,
    PerBlockRange,
    is_known,
    parts_of,
)
from pgiostat.analysis.operations.evidence import AccessKind
from pgiostat.analysis.operations.intervals import (
    Context,
    Intervals,
    StatementCounts,
    TableCounts,
)
from pgiostat.analysis.operations.pieces import Operations, WindowEstimate, estimate

__all__ = [
    "AccessKind",
    "Context",
    "DividedBy",
    "Division",
    "Intervals",
    "Operations",
    "PerBlockRange",
    "StatementCounts",
    "TableCounts",
    "WindowEstimate",
    "estimate",
    "is_known",
    "parts_of",
]
