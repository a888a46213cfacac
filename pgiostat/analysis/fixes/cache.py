"""The cache: what takes it, and its size."""

from pgiostat.analysis.fixes.model import Fix, FixKind
from pgiostat.analysis.fixes.table_facts import TableFacts

__all__ = ["after_pressure", "after_restart", "after_vacuum", "after_working_set"]

_DEPENDS = "how many reads the cache saves is not known from counters"


def after_pressure(_: TableFacts) -> list[Fix]:
    """Return another time or place for the statement that takes the cache."""
    return [
        _cache("run the other statement at another time or on a replica, or make it touch less")
    ]


def after_restart(_: TableFacts) -> list[Fix]:
    """Return warming."""
    return [_cache("nothing: the cache fills by itself; pg_prewarm.autoprewarm restores it sooner")]


def after_working_set(_: TableFacts) -> list[Fix]:
    """Return a larger cache."""
    return [_cache("larger shared_buffers, or fewer blocks for each call")]


def after_vacuum(_: TableFacts) -> list[Fix]:
    """Return a slower vacuum."""
    return [
        _cache(
            "nothing, if it is rare; else a higher autovacuum_vacuum_cost_delay, or VACUUM (FREEZE)"
            " at a quiet time"
        )
    ]


def _cache(sentence: str) -> Fix:
    return Fix(FixKind.CACHE, sentence, unpredicted=_DEPENDS)
