"""A line of pieces; the least important are left out when space is short."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from pgiostat.render.table import Line, cut

__all__ = ["Piece", "fitted", "sparks"]

SPARKS = "▁▂▃▄▅▆▇█"
LEAST_SPARKS, MOST_SPARKS = 4, 12


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a line, or a sparkline of values, which goes with the piece before it.

    order: the lowest gets room first; 0 always stays, and is cut to fit.
    """

    text: str = ""
    style: str = ""
    order: int = 0
    values: Sequence[float | None] = ()

    @property
    def least(self) -> int:
        """How many cells it needs."""
        return 1 + LEAST_SPARKS if self.values else cell_len(self.text)


def fitted(pieces: Sequence[Piece], width: int) -> Line:
    """Return pieces in a line; what room is left goes to the sparklines.

    >>> fitted([Piece("prod"), Piece(" primary", order=1), Piece(" ok")], 8)
    [('prod', ''), (' ok', '')]
    >>> fitted([Piece("5/s"), Piece(order=1, values=[0, 2, 4])], 20)
    [('5/s', ''), (' ▁▅█', '')]
    """
    there = [number for number, piece in enumerate(pieces) if piece.text or piece.values]
    kept: set[int] = set()
    free = width
    for number in sorted(there, key=lambda number: pieces[number].order):
        piece = pieces[number]
        is_lost = bool(piece.values) and number - 1 not in kept
        if not piece.order or (piece.least <= free and not is_lost):
            kept.add(number)
            free -= piece.least
    return list(_drawn([pieces[number] for number in sorted(kept)], width, max(free, 0)))


def _drawn(pieces: Sequence[Piece], width: int, free: int) -> Iterator[tuple[str, str]]:
    sparklines = sum(bool(piece.values) for piece in pieces)
    for piece in pieces:
        text = piece.text
        if piece.values:
            more = free // sparklines
            text = f" {sparks(piece.values, min(LEAST_SPARKS + more, MOST_SPARKS))}"
        text = cut(text, width)
        width -= cell_len(text)
        yield text, piece.style
        if width <= 0:
            return


def sparks(values: Sequence[float | None], width: int) -> str:
    """Return the last values as bars, from nothing to the highest; what is unknown is blank.

    >>> sparks([0, 1, 2, 4], 3), sparks([], 3), sparks([0, 0], 3), sparks([None, 3], 3)
    ('▃▅█', '', '▁▁', ' █')
    """
    last = values[-width:]
    highest = max((value for value in last if value is not None), default=0.0) or 1.0
    return "".join(
        " " if value is None else SPARKS[min(int(max(value, 0.0) / highest * 8), 7)]
        for value in last
    )
