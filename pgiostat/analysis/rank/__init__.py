"""Which queries cause the reads: rank(deltas, by=...) -> rows, shares, and unattributed reads.

The parts of a ranking add up to the server's own total: rows + rest + pgiostat itself + the lines
of the ledger.

May import `analysis.cost`, `analysis.ledger` and what `analysis` may import.
"""

from pgiostat.analysis.rank.dimension import OF_RELATIONS, By
from pgiostat.analysis.rank.entries import (
    places_of,
    queryids_of,
    with_databases,
    with_queryids,
)
from pgiostat.analysis.rank.groups import group_of
from pgiostat.analysis.rank.index_groups import index_key
from pgiostat.analysis.rank.lazy_sequence import LazySequence
from pgiostat.analysis.rank.ranking import Ranking, RankRow, rank, rank_totals, server_prefix
from pgiostat.analysis.rank.sort import Sort
from pgiostat.analysis.rank.totals import EvictedTotals, Totals

__all__ = [
    "OF_RELATIONS",
    "By",
    "EvictedTotals",
    "LazySequence",
    "RankRow",
    "Ranking",
    "Sort",
    "Totals",
    "group_of",
    "index_key",
    "places_of",
    "queryids_of",
    "rank",
    "rank_totals",
    "server_prefix",
    "with_databases",
    "with_queryids",
]
