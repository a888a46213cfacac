"""The lines of the statement with the most reads: what it is, what it reads, since when."""

from dataclasses import dataclass

from pgiostat.escape import terminal
from pgiostat.render.statement_names import screen_name
from pgiostat.render.table import Line, cut
from pgiostat.units import format_count, format_share
from pgiostat.watch.model.top_reader import Since, TopReader
from pgiostat.watch.screen.header_line import Piece, fitted

__all__ = ["Top", "top_lines"]

LEAST_SHARE = 0.1
"""Share of the reads below which no single statement matters."""


@dataclass(frozen=True, slots=True)
class Top:
    """The statement with the most reads, and since when it reads as much."""

    reader: TopReader
    since: Since | None


def top_lines(top: Top | None, width: int) -> list[Line]:
    """Return two lines; none if no statement has a considerable share of the reads."""
    if top is None or (top.reader.row.share or 0.0) < LEAST_SHARE:
        return []
    reader = top.reader
    share = f"{format_share(reader.row.share)} of reads  "
    name = cut(screen_name(reader.row), max(width - len(share), 1))
    part = f" ({terminal(reader.part)})" if reader.part else ""
    others = f" +{len(reader.places) - 1}" if len(reader.places) > 1 else ""
    place = f"  by {terminal(reader.places[0])}{others}" if reader.places else ""
    return [
        [(share, "bold"), (name, "")],
        fitted(
            [
                Piece(f"  from {terminal(reader.table)}" if reader.table else "  from no table"),
                Piece(part, "", 1),
                Piece(*_since(top.since)),
                Piece(_before(top.since), "dim", 2),
                Piece(place, "", 3),
            ],
            width,
        ),
    ]


def _since(since: Since | None) -> tuple[str, str]:
    if since is None:
        return "", ""
    if since.before is None:
        return f"  since before {since.at:%H:%M:%SZ}", ""
    return f"  since {since.at:%H:%M:%SZ}", "bold yellow"


def _before(since: Since | None) -> str:
    if since is None or since.before is None:
        return ""
    return f" (before: {format_count(since.before)} blocks/s)"
