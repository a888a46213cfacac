"""Find the queries that cause disk reads on a PostgreSQL server, by category, with error bounds.

    session  = connect("postgresql://pgiostat@db/app")   libpq's conventions
    snapshot = SnapshotReader(session).take()            one snapshot, nothing subtracted
    delta    = diff(older, newer)                        what happened, its basis and quality
    ranking  = rank([delta], names, by=By.CATEGORY)      adds up to the server's count

    server ──take──▶ Snapshot ──diff──▶ Delta ──▶ rank ──▶ screen · CSV · JSON · notebook

One direction, pure in the middle, impure at the two ends. `Sampler` is the loop around it: an
interval, names for what appears, and a reconnect when the server is gone.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pgiostat.analysis.cost import ReadCost as ReadCost
    from pgiostat.analysis.rank import By as By
    from pgiostat.analysis.rank import Ranking as Ranking
    from pgiostat.analysis.rank import RankRow as RankRow
    from pgiostat.analysis.rank import Sort as Sort
    from pgiostat.analysis.rank import rank as rank
    from pgiostat.dataframes import Frames as Frames
    from pgiostat.dataframes import open_history as open_history
    from pgiostat.errors import PgiostatError as PgiostatError
    from pgiostat.postgres.sampler import IntervalResult as IntervalResult
    from pgiostat.postgres.sampler import Sampler as Sampler
    from pgiostat.postgres.session import connect as connect
    from pgiostat.postgres.snapshot_reader import SnapshotReader as SnapshotReader
    from pgiostat.queries.describe import describer as describer
    from pgiostat.statistics.capabilities import Capability as Capability
    from pgiostat.statistics.delta import Delta as Delta
    from pgiostat.statistics.delta import Quality as Quality
    from pgiostat.statistics.difference import diff as diff
    from pgiostat.statistics.names import Names as Names
    from pgiostat.statistics.row_deltas import Basis as Basis
    from pgiostat.statistics.snapshot import Snapshot as Snapshot

__version__ = "0.2.0"

_HOME = {
    "Basis": "statistics.row_deltas",
    "By": "analysis.rank",
    "Capability": "statistics.capabilities",
    "Delta": "statistics.delta",
    "Frames": "dataframes",
    "IntervalResult": "postgres.sampler",
    "Names": "statistics.names",
    "PgiostatError": "errors",
    "Quality": "statistics.delta",
    "RankRow": "analysis.rank",
    "Ranking": "analysis.rank",
    "ReadCost": "analysis.cost",
    "Sampler": "postgres.sampler",
    "Snapshot": "statistics.snapshot",
    "SnapshotReader": "postgres.snapshot_reader",
    "Sort": "analysis.rank",
    "connect": "postgres.session",
    "describer": "queries.describe",
    "diff": "statistics.difference",
    "open_history": "dataframes",
    "rank": "analysis.rank",
}
"""The public API: each name, and the module that it is imported from when it is first used.

The imports for type checkers above repeat it; a test compares the two.
"""

__all__ = list(_HOME)


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: `pgiostat --help` needs none of them."""
    home = _HOME.get(name)
    if home is None:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{home}"), name)
