"""Demand of reads on a volume: operations by the server's own count, split over categories."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from pgiostat.analysis.ledger import LedgerLine
from pgiostat.analysis.operations import DividedBy, Division
from pgiostat.analysis.rank import Ranking
from pgiostat.analysis.server_reads import ServerReads, reads_of
from pgiostat.statistics.delta import Delta
from pgiostat.units import blocks_to_bytes
from pgiostat.volume.bucket import Load

__all__ = [
    "DIVIDED",
    "MEANINGS",
    "MEANINGS_OF_DIVISION",
    "Demand",
    "Provenance",
    "Range",
    "attribute_blocks",
    "load_of",
    "operations_of",
    "provenance_of",
    "ranges_of",
    "split_operations",
]


class Provenance(StrEnum):
    """Source of a number of operations."""

    DISKSTATS = "diskstats"
    CLOUDWATCH = "cloudwatch"
    PG_STAT_IO = "pg_stat_io"
    BLOCKS = "blocks"
    ESTIMATED = "estimated"

    @property
    def is_measured(self) -> bool:
        """Whether the device itself was measured."""
        return self in {Provenance.DISKSTATS, Provenance.CLOUDWATCH}


MEANINGS = {
    Provenance.DISKSTATS: "reads and writes of the device by /proc/diskstats",
    Provenance.CLOUDWATCH: "reads and writes of the volume by CloudWatch",
    Provenance.PG_STAT_IO: "reads by pg_stat_io",
    Provenance.BLOCKS: "blocks read, an upper bound: one operation may read several, and the"
    " operating system's cache serves some",
    Provenance.ESTIMATED: "not measured: as many operations for each block of the server as in the"
    " measured time",
}

MEANINGS_OF_DIVISION = {
    DividedBy.REGRESSION: "divided by regression",
    DividedBy.BLOCKS: "divided in proportion to blocks",
}
DIVIDED = (Provenance.DISKSTATS, Provenance.CLOUDWATCH, Provenance.PG_STAT_IO)
"""Sources that count operations of the whole alone, which are divided."""

Range = tuple[float, float]
"""Both ends of a 95 % interval."""

_UNEXPLAINED = (LedgerLine.UNATTRIBUTED, LedgerLine.CATALOGS)
"""Lines that hold a remainder, in the order in which a later count consumes them."""


def operations_of(reads: ServerReads, each: float | None) -> float:
    """Return the read operations of an interval, by the server's own count.

    The counts of statements would not do: a statement counts its reads at another instant than the
    server, so that a short interval of one may hold reads that the other counts in the next.

    Args:
        each: Operations for each block without a count of its operations (of processes that serve
            no client, or on an older server); None if unknown: then each block is one.

    >>> operations_of(ServerReads(blocks=120, operations=10, operation_blocks=100), 0.1)
    12.0
    """
    counted = (reads.operations or 0) + (reads.local_operations or 0)
    return counted + _uncounted(reads) * (1.0 if each is None else each)


def provenance_of(reads: ServerReads, each: float | None) -> Provenance:
    """Return the source of `operations_of` the same arguments."""
    if each is not None or (reads.operations is not None and not _uncounted(reads)):
        return Provenance.PG_STAT_IO
    return Provenance.BLOCKS


def _uncounted(reads: ServerReads) -> int:
    """Return the blocks without a count of their operations."""
    counted = (reads.operation_blocks or 0) + (reads.local_operation_blocks or 0)
    return max((reads.blocks or 0) - counted, 0)


def load_of(
    reads: ServerReads, seconds: float, block_size: int, each: float | None, writes: float = 0.0
) -> tuple[Load, Provenance]:
    """Return the demand of an interval on a volume, and the source of its operations.

    Args:
        each: As in `operations_of`: the mean of as long a time as possible. That is the whole time
            window of a report (`step_demands`), and all intervals up to now of a live server
            (`Demand`).
        writes: Known write operations per second.
    """
    operations = operations_of(reads, each) + writes * seconds
    read_bytes = float(blocks_to_bytes(reads.blocks or 0, block_size))
    return Load(seconds, operations, read_bytes), provenance_of(reads, each)


@dataclass(slots=True)
class Demand:
    """Demand of a live server on a volume, interval by interval.

    Attributes:
        writes: Known write operations per second.
    """

    writes: float = 0.0
    _reads: ServerReads = field(default_factory=ServerReads)

    def of(self, delta: Delta) -> tuple[Load, Provenance]:
        """Return the demand of the next interval, and the source of its operations."""
        reads = reads_of(delta)
        if reads.blocks is None:
            # The server's own count was lost: the reads of statements are a lower bound.
            reads = replace(reads, blocks=delta.statement_blocks)
        self._reads = ServerReads.total([self._reads, reads])
        each = self._reads.per_block.shared
        return load_of(reads, delta.seconds or 0.0, delta.settings.block_size, each, self.writes)


def attribute_blocks(steps: Iterable[Ranking]) -> Iterator[dict[str, float]]:
    """Yield the blocks of each part in each step; a step's parts add up to the server's count.

    Reads that statements counted before the server did are carried to the step in which the server
    counts them: the device is busy then. This carry answers another question than the ledger's line
    of blocks in transit, which has neither categories nor steps: to which category an operation of
    a step belongs. A time limit would take operations from the categories with the largest lag.
    """
    ahead: dict[str, float] = {}
    for ranking in steps:
        lines = _of_step(ranking)
        behind = sum(ahead.values())
        for account in _UNEXPLAINED:
            taken = min(lines.get(account, 0.0), behind)
            if taken:
                lines[account] -= taken
                behind -= taken
        rows = [row for row in (*ranking.rows, ranking.rest, ranking.own) if row is not None]
        parts = dict(ahead)
        for row in rows:
            parts[row.name] = parts.get(row.name, 0.0) + row.cost.blocks
        claimed = sum(parts.values())
        whole = ranking.explained.blocks if ranking.server_blocks is None else ranking.server_blocks
        room = max(whole - sum(lines.values()), 0.0)
        share = min(room / claimed, 1.0) if claimed else 0.0
        ahead = {name: blocks * (1.0 - share) for name, blocks in parts.items()}
        yield {name: blocks * share for name, blocks in parts.items()} | {
            account.value: blocks for account, blocks in lines.items()
        }


def _of_step(ranking: Ranking) -> dict[LedgerLine, float]:
    """Return the blocks of a step that no statement explains, in the step in which they were read.

    What is in transit now and what settled from earlier steps become one remainder.
    """
    lines = {line.account: line.blocks for line in ranking.lines}
    settled = lines.pop(LedgerLine.CATALOGS, 0)
    rest = lines.pop(LedgerLine.UNATTRIBUTED, 0) + lines.pop(LedgerLine.IN_TRANSIT, 0)
    catalogs = min(settled, max(settled + rest, 0))
    if catalogs:
        lines[LedgerLine.CATALOGS] = catalogs
    if ranking.lines:
        lines[LedgerLine.UNATTRIBUTED] = max(settled + rest - catalogs, 0)
    return {account: float(blocks) for account, blocks in lines.items()}


def split_operations(
    operations: float, blocks: Mapping[str, float], division: Division | None = None
) -> dict[str, float]:
    """Return operations by part; unattributed without blocks.

    Args:
        operations: The whole: the parts add up to it.
        blocks: Blocks of each part.
        division: Operations for each block of each part; None divides in proportion to blocks.

    >>> split_operations(10, {"version": 30, "upload": 10}), split_operations(10, {"version": 0})
    ({'version': 7.5, 'upload': 2.5}, {'version': 0.0, 'unattributed': 10})
    """
    weights = blocks
    if division is not None:
        weights = {name: n * division.of(name).value for name, n in blocks.items()}
    whole = sum(weights.values())
    if whole:
        return {name: operations * n / whole for name, n in weights.items()}
    unattributed = {LedgerLine.UNATTRIBUTED.value: operations} if operations else {}
    return dict.fromkeys(blocks, 0.0) | unattributed


def ranges_of(operations: Mapping[str, float], division: Division) -> dict[str, Range]:
    """Return the 95 % interval of the operations of each part that has one.

    >>> from datetime import UTC, datetime
    >>> from pgiostat.analysis.operations import PerBlockRange
    >>> at, each = datetime(2026, 1, 1, tzinfo=UTC), PerBlockRange(0.5, 0.4, 0.75)
    >>> ranges_of({"version": 10.0}, Division(at, at, {"version": each}, 1.0))
    {'version': (8.0, 15.0)}
    """
    found = {}
    for name, n in operations.items():
        each = division.of(name)
        if each.low < each.high:
            scale = n / each.value
            found[name] = (scale * each.low, scale * each.high)
    return found
