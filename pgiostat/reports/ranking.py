"""The ranking of a window of a history: queries by reads."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from pgiostat.analysis.rank import By, Ranking, Sort, rank_totals, with_queryids
from pgiostat.history.read.history import History
from pgiostat.history.read.window_totals import WindowTotals
from pgiostat.history.read.windows import Window
from pgiostat.reports.relation_activity import with_activity
from pgiostat.reports.steps import by_hour
from pgiostat.statistics.names import Describe, Names

__all__ = ["RankingReport", "rank_window", "ranking_report", "reading_names"]


@dataclass(frozen=True, slots=True)
class RankingReport:
    """The ranking of a window.

    Attributes:
        totals: What each server counted in the window, and how good that count is.
        ranking: Its rows; their parts add up to the servers' own count.
    """

    totals: WindowTotals
    ranking: Ranking


def ranking_report(
    history: History,
    window: Window,
    describe: Describe,
    *,
    by: By = By.CATEGORY,
    sort: Sort = Sort.READS,
    top: int | None = None,
    queryids: bool = False,
) -> RankingReport:
    """Rank what read in a window.

    Args:
        history: Where the intervals are.
        window: From when to when, and of which label.
        describe: Returns the category of a statement, by the current rules.
        by: What a row is.
        sort: What rows are ordered by, the greatest first.
        top: Number of rows; the rest is one row. None for all.
        queryids: Whether rows by fingerprint have the queryids of their entries.

    Raises:
        PgiostatError: window-empty, label-unknown, history-empty, history-unreadable.
    """
    with reading_names(history, window, describe) as names:

        def answer() -> RankingReport:
            totals = history.totals(window, by)
            known = names()
            found = rank_window(history, totals, known, by=by, sort=sort, top=top)
            if queryids:
                found = with_queryids(found, totals.parts(known))
            return RankingReport(totals, with_activity(history, totals, known, found))

        return history.consistent(answer)


def rank_window(
    history: History,
    totals: WindowTotals,
    names: Mapping[int, Names],
    *,
    by: By = By.CATEGORY,
    sort: Sort = Sort.READS,
    top: int | None = None,
) -> Ranking:
    """Return the ranking of a window that was read before; by hour it is read again in steps."""
    parts = by_hour(history, totals, names) if by is By.HOUR else totals.parts(names)
    return rank_totals(parts, by=by, sort=sort, top=top)


@contextmanager
def reading_names(
    history: History, window: Window, describe: Describe
) -> Iterator[Callable[[], Mapping[int, Names]]]:
    """Read names in a second thread, and yield a function that waits for them.

    The engine needs no Python while it reads the counts: together they take as long as one.
    """
    with ThreadPoolExecutor(1) as executor:
        yield executor.submit(history.names, describe, window).result
