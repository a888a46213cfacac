"""Say which kinds of query cost a PostgreSQL server its reads, and how sure that is.

    session  = connect("postgresql://pgiostat@db/app")      libpq's conventions
    snapshot = Collector(session).take()                    one reading, nothing subtracted
    delta    = diff(older, newer)                           what happened, its basis and quality
    ranking  = rank.rank([delta], names, by=By.CATEGORY)    who read, adding up to the server's own

    server ──take──▶ Snapshot ──diff──▶ Delta ──▶ rank ──▶ screen · CSV · JSON · notebook

One direction, pure in the middle, impure at the two ends. `Sampler` is the loop around it: an
interval, names for what appears, and a way back when the server is gone.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pgiostat.capabilities import Capability
    from pgiostat.collect import Sampler, Tick
    from pgiostat.collector import Collector
    from pgiostat.cost import ReadCost
    from pgiostat.delta import Basis, Delta, Quality, diff
    from pgiostat.describe import describer
    from pgiostat.errors import PgiostatError
    from pgiostat.frames import Frames, open_history
    from pgiostat.names import Names
    from pgiostat.rank import By, Ranking, Sort
    from pgiostat.server import connect
    from pgiostat.snapshot import Snapshot

__version__ = "0.1.0"

__all__ = [
    "Basis",
    "By",
    "Capability",
    "Collector",
    "Delta",
    "Frames",
    "Names",
    "PgiostatError",
    "Quality",
    "Ranking",
    "ReadCost",
    "Sampler",
    "Snapshot",
    "Sort",
    "Tick",
    "connect",
    "describer",
    "diff",
    "open_history",
]

_HOME = {
    "Basis": "delta",
    "By": "rank",
    "Capability": "capabilities",
    "Collector": "collector",
    "Delta": "delta",
    "Frames": "frames",
    "Names": "names",
    "PgiostatError": "errors",
    "Quality": "delta",
    "Ranking": "rank",
    "ReadCost": "cost",
    "Sampler": "collect",
    "Snapshot": "snapshot",
    "Sort": "rank",
    "Tick": "collect",
    "connect": "server",
    "describer": "describe",
    "diff": "delta",
    "open_history": "frames",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is asked for: `pgiostat --help` needs none of them."""
    home = _HOME.get(name)
    if home is None:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{home}"), name)
