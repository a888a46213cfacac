"""The document of one interval of a live server."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pgiostat.analysis.notices import Notice
from pgiostat.analysis.rank import Ranking
from pgiostat.render.document import Document
from pgiostat.render.ranking_table import ranking_table, summary
from pgiostat.render.text import headline, in_flight, own
from pgiostat.statistics.delta import Delta

if TYPE_CHECKING:
    from pgiostat.postgres.activity import Running

__all__ = ["document"]

UNLIMITED = 10_000
"""A width at which no piece of a line gives way."""


def document(
    delta: Delta,
    ranking: Ranking,
    notices: Sequence[Notice],
    *,
    coverage: float | None,
    since_start: float | None = None,
    running: Sequence["Running"] = (),
    burst: str = "",
) -> Document:
    """Return an interval as a document.

    Args:
        delta: The interval.
        ranking: The ranking of the interval.
        notices: What is wrong with its numbers.
        coverage: The coverage of the interval.
        since_start: The coverage of all intervals up to now, if there were others.
        running: The statements in flight.
        burst: The line on the burst balance, if a volume is modelled.
    """
    figures = "".join(text for text, _, _ in summary(ranking, coverage, since_start))
    cost = [] if ranking.own is None else [own(ranking.own.cost.spent(), UNLIMITED).plain]
    in_work = [line.plain for line in in_flight(running, UNLIMITED)]
    return Document(
        facts=[_joined(headline(delta, ranking.seconds, UNLIMITED).plain), _joined(figures)],
        findings=[burst] if burst else [],
        warnings=[f"{each.text}: {each.hint}" if each.hint else each.text for each in notices],
        notes=[[line] for line in (*cost, *in_work)],
        tables=[ranking_table(ranking)],
    )


def _joined(line: str) -> str:
    """Return a line of a screen, with commas where it has room between its pieces.

    >>> _joined("reads 12 blocks/s  96.0 KiB/s  hit 0 %")
    'reads 12 blocks/s, 96.0 KiB/s, hit 0 %'
    """
    return ", ".join(part.strip() for part in line.split("  ") if part.strip())
