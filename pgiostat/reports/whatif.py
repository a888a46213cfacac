"""The reads of a window if a category or some statements were gone or cheaper."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pgiostat.analysis.rank import Ranking
from pgiostat.analysis.whatif import Assumption, ChangeKind, Estimate, estimate_between
from pgiostat.analysis.whatif.layouts import SupposedLayout
from pgiostat.history.read.history import History
from pgiostat.history.read.window_totals import WindowTotals
from pgiostat.history.read.windows import Window
from pgiostat.reports.burst import load_in
from pgiostat.reports.ranking import rank_window, reading_names
from pgiostat.reports.whatif_layouts import LayoutEffect, layout_effects, sources_of
from pgiostat.reports.whatif_parts import Parts, counted_statements, parts_of
from pgiostat.reports.why import server_of
from pgiostat.statistics.names import Describe, Names
from pgiostat.volume.burst import BurstReport
from pgiostat.volume.models import Volume

__all__ = ["WhatIfReport", "whatif_report"]


@dataclass(frozen=True, slots=True)
class WhatIfReport:
    """What was read in a window, and the point and range of what would have been.

    Attributes:
        totals: What each server counted in the window, and how good that count is.
        ranking: Its ranking by category.
        parts: What each category and each chosen statement read.
        layouts: What supposed indexes and orders of rows do to statements.
        assumptions: The changes.
        estimate: Blocks read now, at least, at most, and expected.
        bursts: The volume as it was, with the least, the most, and the expected reads; None without
            a volume.
    """

    totals: WindowTotals
    ranking: Ranking
    parts: Parts
    assumptions: tuple[Assumption, ...]
    layouts: tuple[LayoutEffect, ...]
    estimate: Estimate
    bursts: tuple[BurstReport, BurstReport, BurstReport, BurstReport] | None = None

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
    layouts: Sequence[SupposedLayout] = (),
    volume: Volume | None = None,
    balance: float | None = None,
    writes: float = 0.0,
) -> WhatIfReport:
    """Return the point and the range of what a window would have read.

    Args:
        history: Where the intervals are.
        window: From when to when, and of which label.
        describe: Returns the category of a statement, by the current rules.
        assumptions: The changes, each of a category, fingerprint, queryid or part of a text.
        layouts: Supposed indexes and orders of rows.
        volume: A model to replay the window against, or None.
        balance: Its balance at the start, 0 to 1; CloudWatch's if None, or full without it.
        writes: Known write operations per second.

    Raises:
        PgiostatError: category-unknown, with the categories there are; relation-unknown, with the
            tables, columns or indexes; option-invalid, window-empty, label-unknown, history-empty,
            history-unreadable.
    """
    with reading_names(history, window, describe) as names:

        def answer() -> WhatIfReport:
            totals = history.totals(window)
            ranking = rank_window(history, totals, names())
            statements = counted_statements(totals.parts(names()))
            effects = _effects(history, totals, names(), layouts)
            changed = _changed(effects)
            targets = [each.category for each in assumptions]
            parts = parts_of(ranking, statements, [*targets, *changed])
            least, expected, most = (
                [*assumptions, *(_fewer_blocks(key, each[n]) for key, each in changed.items())]
                for n in range(3)
            )
            found = estimate_between(parts.amounts, least, expected, most, parts.touches)
            bursts = None
            if volume is not None and found.now:
                load = load_in(history, totals, names(), volume, writes)
                now, low, high, point = (
                    load.replay(balance, blocks / found.now)
                    for blocks in (found.now, found.low, found.high, found.point)
                )
                bursts = now, low, high, point
            return WhatIfReport(
                totals, ranking, parts, tuple(assumptions), tuple(effects), found, bursts
            )

        return history.consistent(answer)


def _effects(
    history: History,
    totals: WindowTotals,
    names: Mapping[int, Names],
    layouts: Sequence[SupposedLayout],
) -> list[LayoutEffect]:
    if not layouts:
        return []
    server = server_of(None, totals)
    sources = sources_of(history, server, names.get(server, Names()), totals)
    return layout_effects(sources, layouts)


def _changed(effects: Sequence[LayoutEffect]) -> dict[str, tuple[float, float, float]]:
    """Return the factors of each statement; if several layouts change it, those of the best."""
    found: dict[str, tuple[float, float, float]] = {}
    for effect in effects:
        for each in effect.statements:
            if each.factors is not None:
                known = found.get(each.key, each.factors)
                found[each.key] = min(known, each.factors, key=lambda factors: factors[1])
    return found


def _fewer_blocks(key: str, factor: float) -> Assumption:
    return Assumption(key, ChangeKind.CALLS, factor)
