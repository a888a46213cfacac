"""Ledger of a server's reads; its lines add up to the server's own count.

Reads of statements are those of pg_stat_statements.  Other lines come from pg_stat_io and from the
statistics of the catalogs.  What the server and its statements count at different times has a line
of its own, as `in_transit.InTransit` finds it, and so has a loss of earlier intervals that settles
now.  The last line is the unattributed rest, with possible causes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from pgiostat.analysis.server_reads import ServerReads, settled_blocks

__all__ = [
    "CAUSES",
    "MEANINGS",
    "NOTED",
    "LedgerLine",
    "Line",
    "reconcile",
    "total_of",
    "unexplained_blocks",
    "whole_of",
]

LATE = "sessions that have not reported their reads yet"
FORGOTTEN = "reads of temporary and dropped tables, which pg_stat_database loses"
NESTED_TWICE = "nested statements, which are counted twice"
HELD = "cursors WITH HOLD, which COMMIT fills"
MOST_EXCESS = 1.05
"""Blocks of statements as a multiple of the total, up to which shares are of the total."""
ADDED = "blocks added to tables, which PostgreSQL 13 to 15 count as read"


class LedgerLine(StrEnum):
    """A line of the ledger that belongs to no statement."""

    AUTOVACUUM = "autovacuum"
    WALSENDER = "walsender"
    PROCESSES = "processes"
    CATALOGS = "catalogs"
    IN_TRANSIT = "in_transit"
    EARLIER = "earlier"
    UNATTRIBUTED = "unattributed"


MEANINGS = {
    LedgerLine.AUTOVACUUM: "autovacuum, by pg_stat_io",
    LedgerLine.WALSENDER: "walsenders, by pg_stat_io",
    LedgerLine.PROCESSES: "checkpointer, startup and other processes, by pg_stat_io",
    LedgerLine.CATALOGS: "the catalogs, for connecting, parsing and planning",
    LedgerLine.IN_TRANSIT: "reads that the server and a statement count at different times:"
    " negative if the statement was first, positive if the server counts them now",
    LedgerLine.EARLIER: "reads of before the interval that settle in it: the server counted them,"
    " and no statement did; negative the other way round",
    LedgerLine.UNATTRIBUTED: "unexplained reads, with possible causes, after the time in which both"
    " counts must agree; negative if statements counted more than the server",
}
"""Meaning of each line, for documentation."""


@dataclass(frozen=True, slots=True)
class Line:
    """Blocks of an account.

    Attributes:
        blocks: Negative in transit, earlier and unattributed, if statements counted more than the
            server.
        causes: Possible causes of unattributed blocks; the share of each is unknown.
        since: When the first blocks of earlier intervals were counted; None if unknown.
        until: When the last of them were counted.
    """

    account: LedgerLine
    blocks: int
    causes: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_of_interval(self) -> bool:
        """Whether its blocks are part of the reads of the interval."""
        return self.account not in OF_OTHER_INTERVALS


OF_OTHER_INTERVALS = frozenset({LedgerLine.IN_TRANSIT, LedgerLine.EARLIER})
"""Lines of blocks that belong to other intervals: the total is without them."""


def unexplained_blocks(explained: int, reads: ServerReads) -> int | None:
    """Return the server's blocks that neither statements nor other processes explain.

    Args:
        explained: Blocks of statements, those of pgiostat among them.
        reads: The server's own counts.

    Returns:
        Blocks; negative if statements counted more, None if the server's own count was lost.
    """
    if reads.blocks is None:
        return None
    return reads.blocks - explained - sum(line.blocks for line in _process_lines(reads))


def _process_lines(reads: ServerReads) -> Iterator[Line]:
    for account, blocks in (
        (LedgerLine.AUTOVACUUM, reads.autovacuum_blocks),
        (LedgerLine.WALSENDER, reads.walsender_blocks),
        (LedgerLine.PROCESSES, reads.process_blocks),
    ):
        if blocks:
            yield Line(account, blocks)


def reconcile(
    explained: int, reads: ServerReads, recent: ServerReads | None = None
) -> tuple[Line, ...]:
    """Distribute the server's blocks that statements do not explain over accounts.

    Blocks in transit and those of the catalogs are settled interval by interval, and add up. Where
    they are not known, the line of the catalogs is at most the remainder, because statements read
    catalogs too. The rest is unattributed.

    Args:
        explained: Blocks of statements, those of pgiostat among them.
        reads: The server's own counts.
        recent: Counts of possible causes in the time before: they may settle only now.

    Returns:
        Lines that add up to the difference exactly; none if the server's own count was lost.
    """
    left = unexplained_blocks(explained, reads)
    if left is None:
        return ()
    in_transit = reads.in_transit_blocks
    if in_transit is None:
        moved: tuple[Line, ...] = ()
        catalogs = min(reads.catalog_blocks or 0, max(left, 0))
    else:
        earlier = _earlier(reads, recent or ServerReads())
        moved = (Line(LedgerLine.IN_TRANSIT, in_transit), *earlier)
        catalogs = (reads.settled_catalog_blocks or 0) - (reads.earlier_catalog_blocks or 0)
    rest = left - catalogs - sum(line.blocks for line in moved)
    return (
        *_process_lines(reads),
        *((Line(LedgerLine.CATALOGS, catalogs),) if catalogs else ()),
        *moved,
        Line(LedgerLine.UNATTRIBUTED, rest, _causes(reads, rest, recent or ServerReads())),
    )


def _earlier(reads: ServerReads, recent: ServerReads) -> Iterator[Line]:
    if blocks := reads.earlier_blocks:
        if reads.rollbacks or recent.rollbacks:
            # A client may roll back the transaction of a failed statement: no counter tells them
            # apart from others. So much at once is no part of what varies.
            recent = replace(recent, failures=1)
        causes = _causes(reads, blocks - (reads.earlier_catalog_blocks or 0), recent)
        times = (reads.earlier_since, reads.earlier_until)
        yield Line(LedgerLine.EARLIER, blocks, causes, *times)


def total_of(explained: int, reads: ServerReads) -> int:
    """Return the reads of an interval, which all lines of the interval add up to: 100 %.

    Blocks in transit belong to other intervals: their statements count them there. So do blocks of
    a loss that settles only now: the server counted them earlier. Without the server's own count
    the reads are those of statements.

    Args:
        explained: Blocks of statements.
        reads: The server's own counts.

    >>> total_of(46, ServerReads(blocks=123, in_transit_blocks=77)), total_of(46, ServerReads())
    (46, 46)
    >>> total_of(46, ServerReads(blocks=123, in_transit_blocks=-900, earlier_blocks=977))
    46
    """
    settled = settled_blocks(reads)
    return explained if settled is None else settled


def whole_of(explained: int, reads: ServerReads) -> int:
    """Return the blocks of which shares are: the total, which is 100 %.

    If statements counted a twentieth more, as where the server lost counts, theirs: then no row
    has more than all.

    Args:
        explained: Blocks of statements.
        reads: The server's own counts.

    >>> whole_of(46, ServerReads(45)), whole_of(46, ServerReads(40)), whole_of(0, ServerReads())
    (45, 46, 0)
    """
    total = total_of(explained, reads)
    return total if explained <= total * MOST_EXCESS else explained


CAUSES: Mapping[str, str] = {
    "failures": "failed or cancelled statements",
    "evictions": "evicted statements",
    "utility_untracked": "statements that are not tracked",
    "held_cursors": HELD,
    "blocks_added": ADDED,
}
"""Counts of ServerReads that are possible causes of unattributed blocks."""
NOTED = ("rollbacks", *CAUSES)
"""Counts of the time before an interval that say why blocks settle in it."""


def _causes(reads: ServerReads, left: int, recent: ServerReads) -> tuple[str, ...]:
    """Return the possible causes of the unattributed blocks."""
    if left < 0:
        # pg_stat_database counts by relation, and loses the counts of a dropped one.
        by_relation = reads.blocks is not None and reads.autovacuum_blocks is None
        found = (
            (reads.nested_twice, NESTED_TWICE),
            (reads.in_transit_blocks is None, LATE),
            (by_relation, FORGOTTEN),
        )
        return tuple(cause for holds, cause in found if holds)
    if left == 0:
        return ()
    return tuple(
        cause for name, cause in CAUSES.items() if getattr(reads, name) or getattr(recent, name)
    )
