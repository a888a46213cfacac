"""An interval of tables and indexes as totals: their reads are of the time of their scans."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np

from pgiostat.analysis.cost import FIELDS
from pgiostat.analysis.rank import Totals
from pgiostat.statistics.columnar import Array
from pgiostat.statistics.relation_changes import RelationInterval
from pgiostat.statistics.relation_stats import RelationRead, joined
from pgiostat.statistics.row_deltas import Basis, RowDeltas
from pgiostat.watch.model.recent_reads import together

__all__ = ["ServerReadsBetween", "TableWindow"]

SLACK_SECONDS, SLACK_SHARE = 0.5, 0.05
"""Tables are read after the snapshot: both intervals are of the same time within this."""
_READ, _HIT = FIELDS.index("shared_blks_read"), FIELDS.index("shared_blks_hit")


@dataclass(frozen=True, slots=True)
class ServerReadsBetween:
    """What the server counted since the last read of tables.

    Attributes:
        counted: Without statements and relations; None before the first interval.
        has_baseline: Whether a baseline was set in this time.
    """

    counted: Totals | None = None
    has_baseline: bool = False

    @property
    def seconds(self) -> float:
        """Its length in seconds."""
        return 0.0 if self.counted is None else self.counted.seconds

    def after(self, counted: Totals | None) -> "ServerReadsBetween":
        """Return what was counted after one more interval; None if counting begins here."""
        if counted is None:
            return ServerReadsBetween()
        alone = _of_server(counted)
        whole = alone if self.counted is None else together(self.counted, alone)
        return replace(self, counted=whole)

    def within(self, seconds: float) -> Totals | None:
        """Return what was counted if that is of an interval of tables; else None.

        Args:
            seconds: The length of that interval.
        """
        slack = SLACK_SECONDS + SLACK_SHARE * seconds
        return self.counted if abs(self.seconds - seconds) <= slack else None


@dataclass(frozen=True)
class TableWindow:
    """What tables and indexes counted between two of their reads.

    Attributes:
        interval: Their counters.
        server: What the server counted in the same time; None if that is unknown.
    """

    interval: RelationInterval
    server: Totals | None = None

    @property
    def dbid(self) -> int:
        """The database."""
        return self.interval.dbid

    @property
    def seconds(self) -> float:
        """Its length in seconds."""
        return self.interval.seconds

    @property
    def until(self) -> datetime:
        """Its end."""
        return self.interval.since + timedelta(seconds=self.interval.seconds)

    @cached_property
    def relids(self) -> frozenset[int]:
        """Oids of all tables and indexes that counted anything."""
        tables, indexes = self.interval.tables.rows, self.interval.indexes.rows
        return frozenset([*tables["relid"].tolist(), *indexes["indexrelid"].tolist()])

    def joined(self, later: "TableWindow") -> "TableWindow":
        """Return this one and a later one of the same database as one."""
        server = None
        if self.server is not None and later.server is not None:
            server = together(self.server, later.server)
        return TableWindow(joined(self.interval, later.interval), server)

    def totals(self, counted: Totals, known: RelationRead | None) -> Totals:
        """Return the reads of tables and indexes.

        Args:
            counted: What snapshots counted of them, over about the same time: dropped ones are
                in no interval of tables.
            known: All that exist; None if that is unknown.

        Returns:
            Totals of the length of the interval. The database's own count is that of the same
            time, or unknown.
        """
        tables, indexes = self.interval.tables, self.interval.indexes
        relids = [tables.rows["relid"], indexes.rows["indexrelid"]]
        amounts = [_amounts(tables, "heap"), _amounts(indexes, "idx")]
        uncertain = [_uncertain(tables), _uncertain(indexes)]
        gone = _dropped(counted, self.relids, known)
        relids.append(np.array([counted.relations[place] for place in gone], dtype=np.int64))
        amounts.append(counted.relation_amounts[:, gone])
        uncertain.append(np.array([counted.relation_uncertain[n] for n in gone], dtype=bool))
        unknown = replace(_of_server(counted), database_blocks=None)
        return replace(
            unknown if self.server is None else self.server,
            seconds=self.seconds,
            evicted=counted.evicted,
            relations=np.concatenate(relids).tolist(),
            relation_amounts=np.concatenate(amounts, axis=1),
            relation_uncertain=np.concatenate(uncertain).tolist(),
        )


def _of_server(counted: Totals) -> Totals:
    """Return totals without statements and relations."""
    none = np.zeros((len(FIELDS), 0), dtype=np.int64)
    return replace(
        counted,
        statements=(),
        statement_amounts=none,
        statement_uncertain=(),
        relations=(),
        relation_amounts=none,
        relation_uncertain=(),
    )


def _amounts(deltas: RowDeltas, part: str) -> Array:
    """Return the blocks of rows as a matrix of FIELDS."""
    amounts = np.zeros((len(FIELDS), len(deltas)), dtype=np.int64)
    amounts[_READ] = deltas.rows[f"{part}_blks_read"]
    amounts[_HIT] = deltas.rows[f"{part}_blks_hit"]
    return amounts


def _uncertain(deltas: RowDeltas) -> Array:
    return np.isin(deltas.basis, (Basis.PREVIOUS, Basis.NEW), invert=True)


def _dropped(counted: Totals, there: frozenset[int], known: RelationRead | None) -> list[int]:
    """Return the places of relations that no interval of tables has, because they were dropped."""
    if known is None:
        return []
    exist = {*known.tables["relid"].tolist(), *known.indexes["indexrelid"].tolist()}
    return [
        place
        for place, relid in enumerate(counted.relations)
        if relid not in there and relid not in exist
    ]
