"""A time of a history, and what it would have read if a class of queries were gone or cheaper."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pgiostat.analysis.rank import Ranking, rank_counted
from pgiostat.analysis.whatif import Had, Imagined, Supposed, imagine
from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.history.read.history import History
from pgiostat.history.read.window_totals import Seen
from pgiostat.reports.burst import burned
from pgiostat.statistics.names import Names
from pgiostat.volume.burst import Burning
from pgiostat.volume.models import Volume

__all__ = ["Foreseen", "foreseen", "had_of"]


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What was read, and the range of what would have been.

    had: by part of the ranking.  burned: a volume now, with the least and with the most reads; None
    if no volume is named.
    """

    ranking: Ranking
    had: Mapping[str, Had]
    supposed: tuple[Supposed, ...]
    imagined: Imagined
    burned: tuple[Burning, Burning, Burning] | None = None

    def operations_per_s(self, blocks: float) -> float | None:
        """Return what so many blocks are in operations, as many for each as now."""
        each = self.ranking.explained.per_block.shared
        if each is None or not self.ranking.seconds:
            return None
        return blocks * each / self.ranking.seconds


def foreseen(
    history: History,
    seen: Seen,
    names: Mapping[int, Names],
    supposed: Sequence[Supposed],
    *,
    volume: Volume | None = None,
    balance: float | None = None,
    writes: float = 0.0,
) -> Foreseen:
    """Return the range of what a time would have read.

    balance, writes: as in burned.
    Raises PgiostatError category-unknown, with those that there are; and what burned raises.
    """
    parts = [(part, names.get(whose, Names())) for whose, part in seen.counted.items()]
    ranking = rank_counted(parts)
    had = had_of(ranking)
    there = [row.name for row in ranking.rows]
    for each in supposed:
        if each.category not in there:
            raise PgiostatError(
                f'nothing of category "{each.category}" was called in that time',
                hint=f"There were: {', '.join(there)}." if there else None,
                slug="category-unknown",
                status=ExitStatus.USAGE,
            )
    found = imagine(had, supposed)
    burning = None
    if volume is not None and found.now:
        now, low, high = (
            burned(
                history, seen, names, volume,
                balance=balance, writes=writes, reads=blocks / found.now,
            )
            for blocks in (found.now, found.low, found.high)
        )  # fmt: skip
        burning = now, low, high
    return Foreseen(ranking, had, tuple(supposed), found, burning)


def had_of(ranking: Ranking) -> dict[str, Had]:
    """Return what each part of a ranking by category read, and found in the cache."""
    rows = [*ranking.rows, *(row for row in (ranking.rest, ranking.own) if row is not None)]
    had = {
        row.name: Had(float(row.cost.blocks), float(row.cost.shared_blks_hit or 0)) for row in rows
    }
    # What no statement explains is read as before, whatever becomes of them.
    return had | {
        line.account.value: Had(float(max(line.blocks, 0)), 0.0) for line in ranking.lines
    }
