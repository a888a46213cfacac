"""Say which kinds of query cost a PostgreSQL server its reads, and how sure that is.

    session  = connect("postgresql://pgiostat@db/app")      libpq's conventions
    snapshot = SnapshotReader(session).take()                    one reading, nothing subtracted
    delta    = diff(older, newer)                           what happened, its basis and quality
    ranking  = rank.rank([delta], names, by=By.CATEGORY)    who read, adding up to the server's own

    server ──take──▶ Snapshot ──diff──▶ Delta ──▶ rank ──▶ screen · CSV · JSON · notebook

One direction, pure in the middle, impure at the two ends. `Sampler` is the loop around it: an
interval, names for what appears, and a way back when the server is gone.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pgiostat.analysis.cost import ReadCost
    from pgiostat.analysis.rank import By, Ranking, Sort
    from pgiostat.dataframes import Frames, open_history
    from pgiostat.errors import PgiostatError
    from pgiostat.postgres.connection import connect
    from pgiostat.postgres.sampler import Sampler, Tick
    from pgiostat.postgres.snapshot_reader import SnapshotReader
    from pgiostat.queries.describe import describer
    from pgiostat.statistics.capabilities import Capability
    from pgiostat.statistics.delta import Basis, Delta, Quality, diff
    from pgiostat.statistics.names import Names
    from pgiostat.statistics.snapshot import Snapshot

__version__ = "0.1.0"

__all__ = [
    "Basis",
    "By",
    "Capability",
    "Delta",
    "Frames",
    "Names",
    "PgiostatError",
    "Quality",
    "Ranking",
    "ReadCost",
    "Sampler",
    "Snapshot",
    "SnapshotReader",
    "Sort",
    "Tick",
    "connect",
    "describer",
    "diff",
    "open_history",
]

_HOME = {
    "Basis": "statistics.delta",
    "By": "analysis.rank",
    "Capability": "statistics.capabilities",
    "Delta": "statistics.delta",
    "Frames": "dataframes",
    "Names": "statistics.names",
    "PgiostatError": "errors",
    "Quality": "statistics.delta",
    "Ranking": "analysis.rank",
    "ReadCost": "analysis.cost",
    "Sampler": "postgres.sampler",
    "Snapshot": "statistics.snapshot",
    "SnapshotReader": "postgres.snapshot_reader",
    "Sort": "analysis.rank",
    "Tick": "postgres.sampler",
    "connect": "postgres.connection",
    "describer": "queries.describe",
    "diff": "statistics.delta",
    "open_history": "dataframes",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is asked for: `pgiostat --help` needs none of them."""
    home = _HOME.get(name)
    if home is None:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{home}"), name)
