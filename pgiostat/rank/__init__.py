"""Who costs the reads: rank(deltas, by=...) -> rows, shares, and what remains unattributed.

The same ranking serves screen, CSV and notebook, so that they cannot disagree.  Its parts add up
to the server's own total: rows + rest + pgiostat itself + the lines of the ledger.
"""

from pgiostat.rank.counted import Counted, Gone
from pgiostat.rank.groups import By, group_of
from pgiostat.rank.lazily import Lazily
from pgiostat.rank.ranking import Ranking, RankRow, Sort, rank, rank_counted

__all__ = [
    "By",
    "Counted",
    "Gone",
    "Lazily",
    "RankRow",
    "Ranking",
    "Sort",
    "group_of",
    "rank",
    "rank_counted",
]
