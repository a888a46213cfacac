"""A time of a history, and what it would have read if a class of queries were gone or cheaper."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pgiostat.analysis.rank import Ranking, rank_totals
from pgiostat.analysis.whatif import Amounts, Assumption, Estimate, estimate
from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.history.read.history import History
from pgiostat.history.read.window_totals import WindowTotals
from pgiostat.reports.burst import burst_report
from pgiostat.statistics.names import Names
from pgiostat.volume.burst import BurstReport
from pgiostat.volume.models import Volume

__all__ = ["WhatIfReport", "amounts_of", "whatif_report"]


@dataclass(frozen=True, slots=True)
class WhatIfReport:
    """What was read, and the range of what would have been.

    had: by part of the ranking.  burned: a volume now, with the least and with the most reads; None
    if no volume is named.
    """

    ranking: Ranking
    had: Mapping[str, Amounts]
    supposed: tuple[Assumption, ...]
    imagined: Estimate
    burned: tuple[BurstReport, BurstReport, BurstReport] | None = None

    def operations_per_s(self, blocks: float) -> float | None:
        """Return what so many blocks are in operations, as many for each as now."""
        each = self.ranking.explained.per_block.shared
        if each is None or not self.ranking.seconds:
            return None
        return blocks * each / self.ranking.seconds


def whatif_report(
    history: History,
    seen: WindowTotals,
    names: Mapping[int, Names],
    supposed: Sequence[Assumption],
    *,
    volume: Volume | None = None,
    balance: float | None = None,
    writes: float = 0.0,
) -> WhatIfReport:
    """Return the range of what a time would have read.

    balance, writes: as in burned.
    Raises PgiostatError category-unknown, with those that there are; and what burned raises.
    """
    parts = [(part, names.get(whose, Names())) for whose, part in seen.counted.items()]
    ranking = rank_totals(parts)
    had = amounts_of(ranking)
    there = [row.name for row in ranking.rows]
    for each in supposed:
        if each.category not in there:
            raise PgiostatError(
                f'nothing of category "{each.category}" was called in that time',
                hint=f"There were: {', '.join(there)}." if there else None,
                slug="category-unknown",
                status=ExitStatus.USAGE,
            )
    found = estimate(had, supposed)
    burning = None
    if volume is not None and found.now:
        now, low, high = (
            burst_report(
                history, seen, names, volume,
                balance=balance, writes=writes, reads=blocks / found.now,
            )
            for blocks in (found.now, found.low, found.high)
        )  # fmt: skip
        burning = now, low, high
    return WhatIfReport(ranking, had, tuple(supposed), found, burning)


def amounts_of(ranking: Ranking) -> dict[str, Amounts]:
    """Return what each part of a ranking by category read, and found in the cache."""
    rows = [*ranking.rows, *(row for row in (ranking.rest, ranking.own) if row is not None)]
    had = {
        row.name: Amounts(float(row.cost.blocks), float(row.cost.shared_blks_hit or 0))
        for row in rows
    }
    # What no statement explains is read as before, whatever becomes of them.
    return had | {
        line.account.value: Amounts(float(max(line.blocks, 0)), 0.0) for line in ranking.lines
    }
