"""Reads of a session, of which statements explain a share."""

from dataclasses import dataclass, field
from datetime import datetime

from pgiostat.analysis.server_reads import ServerReads, coverage

__all__ = ["CoveredReads"]


@dataclass(slots=True)
class CoveredReads:
    """Reads of intervals with a known count of the server, added up.

    Attributes:
        since: When the first of them began; None if unknown.
        statement_blocks: Blocks of statements.
        reads: The server's own counts.
    """

    since: datetime | None = None
    statement_blocks: int = 0
    reads: ServerReads = field(default_factory=lambda: ServerReads(blocks=0))

    def add(self, statement_blocks: int, reads: ServerReads, since: datetime | None) -> None:
        """Add an interval, which began then."""
        if reads.blocks is None:
            return
        self.since = self.since or since
        self.statement_blocks += statement_blocks
        self.reads = ServerReads.total((self.reads, reads), self.since)

    @property
    def coverage(self) -> float | None:
        """Share of the server's settled reads that statements explain, over all of them."""
        return coverage(self.statement_blocks, self.reads)
