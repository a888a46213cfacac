"""Totals of one server over a time window: the input of a ranking."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt

from pgiostat.analysis.cost import FIELDS, blocks_of, relation_amounts, statement_amounts
from pgiostat.analysis.server_reads import ServerReads, reads_of
from pgiostat.statistics.columnar import Counts
from pgiostat.statistics.delta import Delta
from pgiostat.statistics.row_deltas import Basis

__all__ = ["EvictedTotals", "Totals"]


def _nothing() -> Counts:
    return np.zeros((len(FIELDS), 0), dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class EvictedTotals:
    """Totals of what has left the server, of which single entries are not kept.

    Attributes:
        statements: (userid, dbid, category) of each group of evicted statements.
        statement_amounts: A matrix (FIELDS, groups).
        statement_uncertain: Whether any amount of a group is a lower bound.
        relations: (relid of the table if that still exists, part) of each group of dropped ones.
    """

    statements: Sequence[tuple[int, int, str]] = ()
    sizes: Sequence[int] = ()
    statement_amounts: Counts = field(default_factory=_nothing)
    statement_uncertain: Sequence[bool] = ()
    relations: Sequence[tuple[int | None, str]] = ()
    relation_amounts: Counts = field(default_factory=_nothing)
    relation_uncertain: Sequence[bool] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Totals:
    """Totals of one server over a time window.

    Attributes:
        dbid: The connected database, of which the relations are.
        since: When the first interval began; None if unknown.
        recent: Counts of possible causes in the time before the window; empty if unknown.
        database_blocks: The connected database's own count; None if part of it was lost.
        statements: (userid, dbid, queryid or None if hidden) of those that clients sent.
        statement_amounts: A matrix (FIELDS, statements).
        statement_uncertain: Whether any amount is a lower bound.
        relation_amounts: A matrix (FIELDS, relations).
        nested: Statements that others called, and count too.
    """

    seconds: float
    block_size: int
    reads: ServerReads = field(default_factory=ServerReads)
    recent: ServerReads = field(default_factory=ServerReads)
    database_blocks: int | None = None
    statements: Sequence[tuple[int, int, int | None]] = ()
    statement_amounts: Counts = field(default_factory=_nothing)
    statement_uncertain: Sequence[bool] = ()
    relations: Sequence[int] = ()
    relation_amounts: Counts = field(default_factory=_nothing)
    relation_uncertain: Sequence[bool] = ()
    absurd_times: int = 0
    nested: int = 0
    nested_blocks: int = 0
    evicted: EvictedTotals = field(default_factory=EvictedTotals)
    server: str = ""
    server_id: int = 0
    dbid: int = 0
    hour: datetime | None = None
    since: datetime | None = None

    @classmethod
    def of(cls, delta: Delta) -> "Totals":
        """Return the totals of an interval."""
        amounts, absurd = statement_amounts(delta)
        top = delta.toplevel
        rows = delta.statements.rows.take(top)
        queryids = zip(rows["queryid"].tolist(), rows["masked"].tolist(), strict=True)
        reads = reads_of(delta)
        nested = amounts[:, ~top]
        return cls(
            seconds=delta.seconds or 0.0,
            block_size=delta.settings.block_size,
            dbid=delta.newer.server.dbid,
            since=delta.since,
            statements=list(
                zip(
                    rows["userid"].tolist(),
                    rows["dbid"].tolist(),
                    [None if masked else queryid for queryid, masked in queryids],
                    strict=True,
                )
            ),
            statement_amounts=amounts[:, top],
            statement_uncertain=_uncertain(delta.statements.basis[top]),
            relations=delta.relations.rows["relid"].tolist(),
            relation_amounts=relation_amounts(delta.relations),
            relation_uncertain=_uncertain(delta.relations.basis),
            reads=reads,
            recent=ServerReads().with_causes(delta.recent_causes),
            database_blocks=_database_blocks(delta),
            absurd_times=absurd,
            nested=nested.shape[1],
            nested_blocks=int(blocks_of(nested).sum()),
        )


def _uncertain(basis: npt.NDArray[np.uint8]) -> list[bool]:
    known = np.isin(basis, [Basis.PREVIOUS, Basis.NEW], invert=True)
    listed: list[bool] = known.tolist()
    return listed


def _database_blocks(delta: Delta) -> int | None:
    """Return the connected database's own count; None if part of it was lost."""
    if not delta.is_complete:
        return None
    rows = delta.databases.rows
    here = np.isin(rows["datid"], [delta.newer.server.dbid])
    return int(rows["blks_read"][here].sum())
