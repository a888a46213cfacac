"""The reads of a window if a category were gone or cheaper."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pgiostat.analysis.rank import Ranking
from pgiostat.analysis.whatif import Amounts, Assumption, Estimate, estimate
from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.history.read.history import History
from pgiostat.history.read.window_totals import WindowTotals
from pgiostat.history.read.windows import Window
from pgiostat.reports.burst import load_in
from pgiostat.reports.ranking import rank_window, reading_names
from pgiostat.statistics.names import Describe
from pgiostat.volume.burst import BurstReport
from pgiostat.volume.models import Volume

__all__ = ["WhatIfReport", "amounts_of", "whatif_report"]


@dataclass(frozen=True, slots=True)
class WhatIfReport:
    """What was read in a window, and the range of what would have been.

    Attributes:
        totals: What each server counted in the window, and how good that count is.
        ranking: Its ranking by category.
        amounts: What each part of the ranking read, by its name.
        assumptions: The changes.
        estimate: Blocks read now, at least and at most.
        bursts: The volume as it was, with the least and with the most reads; None without a
            volume.
    """

    totals: WindowTotals
    ranking: Ranking
    amounts: Mapping[str, Amounts]
    assumptions: tuple[Assumption, ...]
    estimate: Estimate
    bursts: tuple[BurstReport, BurstReport, BurstReport] | None = None

    def operations_per_s(self, blocks: float) -> float | None:
        """Return the operations per second of blocks, as many per block as now."""
        each = self.ranking.explained.per_block.shared
        if each is None or not self.ranking.seconds:
            return None
        return blocks * each / self.ranking.seconds


def whatif_report(
    history: History,
    window: Window,
    describe: Describe,
    assumptions: Sequence[Assumption],
    *,
    volume: Volume | None = None,
    balance: float | None = None,
    writes: float = 0.0,
) -> WhatIfReport:
    """Return the range of what a window would have read.

    Args:
        history: Where the intervals are.
        window: From when to when, and of which label.
        describe: Returns the category of a statement, by the current rules.
        assumptions: The changes.
        volume: A model to replay the window against, or None.
        balance: Its balance at the start, 0 to 1; CloudWatch's if None, or full without it.
        writes: Known write operations per second.

    Raises:
        PgiostatError: category-unknown, with the categories there are; option-invalid,
            window-empty, label-unknown, history-empty, history-unreadable.
    """
    with reading_names(history, window, describe) as names:

        def answer() -> WhatIfReport:
            totals = history.totals(window)
            ranking = rank_window(history, totals, names())
            _check(assumptions, ranking)
            amounts = amounts_of(ranking)
            found = estimate(amounts, assumptions)
            bursts = None
            if volume is not None and found.now:
                load = load_in(history, totals, names(), volume, writes)
                now, low, high = (
                    load.replay(balance, blocks / found.now)
                    for blocks in (found.now, found.low, found.high)
                )
                bursts = now, low, high
            return WhatIfReport(totals, ranking, amounts, tuple(assumptions), found, bursts)

        return history.consistent(answer)


def _check(assumptions: Sequence[Assumption], ranking: Ranking) -> None:
    there = [row.name for row in ranking.rows]
    for each in assumptions:
        if each.category not in there:
            raise PgiostatError(
                f'no statement of category "{each.category}" was called in this window',
                hint=f"Categories there: {', '.join(there)}." if there else None,
                slug="category-unknown",
                status=ExitStatus.USAGE,
            )


def amounts_of(ranking: Ranking) -> dict[str, Amounts]:
    """Return the blocks that each part of a ranking by category read, and its cache hits."""
    rows = [*ranking.rows, *(row for row in (ranking.rest, ranking.own) if row is not None)]
    had = {
        row.name: Amounts(float(row.cost.blocks), float(row.cost.shared_blks_hit or 0))
        for row in rows
    }
    # No change reaches what no statement explains.
    return had | {
        line.account.value: Amounts(float(max(line.blocks, 0)), 0.0) for line in ranking.lines
    }
