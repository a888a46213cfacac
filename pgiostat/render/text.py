"""Rankings for people: two header lines and a table, with rich."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.text import Text

from pgiostat.analysis.cost import Overhead
from pgiostat.analysis.ledger import Account
from pgiostat.analysis.notices import Notice
from pgiostat.analysis.rank import By, Ranking, RankRow
from pgiostat.errors import PgiostatError
from pgiostat.escape import line as message_line
from pgiostat.escape import terminal
from pgiostat.render.columns import SORTED_BY, Metric, of_blocks, whole_of
from pgiostat.render.columns import shown as metrics_shown
from pgiostat.render.ledger import NAMES, NESTED, own_cost
from pgiostat.render.table import Cell, Column, Line, cut, lay
from pgiostat.statistics.delta import Delta, Quality
from pgiostat.statistics.names import OWN
from pgiostat.units import (
    format_bytes,
    format_count,
    format_coverage,
    format_duration,
    format_share,
)

if TYPE_CHECKING:
    from pgiostat.postgres.activity import Running

__all__ = [
    "Piece",
    "drawn",
    "failure",
    "fitted",
    "headline",
    "interval",
    "own",
    "said",
    "summary",
    "table",
]

BAR_WIDTH = 10
NARROW = 70
LONGEST_TEXT = 400
NUMBER_WIDTH = 8
SHARE_WIDTH = 8
SHOWN_RUNNING = 3
CATEGORY_WIDTH = 10
PLACE_WIDTH = 22
WIDE = 110
LEAST_NAME = 17
LONGEST_NAME = 44
QUERY_SHARE = 0.4
_WORDED = (By.STATEMENT, By.FINGERPRINT)
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_COLOURS = {"version": "red", "manifest": "yellow", "upload": "green", "download": "blue"}


def bar(share: float | None, width: int = BAR_WIDTH) -> str:
    """Return a bar of a share's length.

    >>> bar(0.55, 4), bar(None, 4), bar(1, 4), bar(-0.2, 4)
    ('██▎ ', '    ', '████', '    ')
    """
    eighths = round(min(max(share or 0.0, 0.0), 1.0) * width * 8)
    full, part = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[part] if part else "")).ljust(width)


Piece = tuple[str, str, int]
"""Text, its style, and its place in the order in which pieces give way; 0 stays."""


def fitted(pieces: Sequence[Piece], width: int) -> Text:
    """Return pieces in a line; the highest places give way until it fits."""
    left = list(pieces)
    while sum(cell_len(text) for text, _, _ in left) > width:
        last = max(left, key=lambda piece: piece[2])
        if not last[2]:
            break
        left.remove(last)
    line = Text(no_wrap=True, overflow="ellipsis")
    for text, style, _ in left:
        line.append(text, style)
    return line


def headline(delta: Delta, seconds: float | None, width: int) -> Text:
    """Return who, where, version, role, interval and quality; seconds: of what is shown."""
    server = delta.newer.server
    is_standby = delta.newer.markers.in_recovery
    role = "standby" if is_standby else "primary"
    good = delta.qualities == (Quality.OK,)
    return fitted(
        [
            ("pgiostat  ", "bold", 4),
            (f"{terminal(server.user)}@", "", 1),
            (f"{terminal(server.label)}/{terminal(server.dbname)}", "", 0),
            (f"  PostgreSQL {terminal(server.version)}", "dim", 3),
            (f" {role}", "dim", 2 if is_standby else 5),
            (f"  {delta.until:%H:%M:%SZ}", "", 2),
            (f"  {format_duration(seconds)}  ", "", 0),
            ("+".join(delta.qualities), "green" if good else "bold yellow", 0),
        ],
        width,
    )


def summary(
    ranking: Ranking, coverage: float | None, width: int, *, since_start: float | None = None
) -> Text:
    """Return the reads of all statements in a line.

    coverage: of the time that is ranked, as the table below has it.  since_start: of all intervals
    so far, if there were others.
    """
    cost = ranking.explained
    pieces: list[Piece] = [
        ("reads ", "dim", 1),
        (f"{format_count(cost.blocks_per_s)} blocks/s", "bold", 0),
        (f"  {format_bytes(cost.bytes_per_s)}/s", "", 3),
        (f"  hit {format_share(cost.hit_ratio)}", "", 4),
        (f"  coverage {format_coverage(coverage)}", "", 2),
    ]
    if since_start is not None:
        pieces.append((f", {format_coverage(since_start)} since the start", "dim", 7))
    if ranking.by is not By.RELATION:
        pieces.insert(4, (f"  sessions reading {format_count(cost.reading_sessions)}", "", 5))
    if cost.operations_by is not None:
        operations = f"  {format_count(cost.operations_per_s)} reads/s"
        pieces[3:3] = [(operations, "", 6), (f" by {cost.operations_by}", "dim", 8)]
    return fitted(pieces, width)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Which columns fit: what is left out goes from the right, never the name or the share.

    kept: how many metrics are never left out.
    """

    by: By
    metrics: tuple[Metric, ...]
    kept: int
    with_bar: bool
    with_place: bool
    name_width: int

    @classmethod
    def fitting(cls, ranking: Ranking, width: int) -> "_Layout":
        by, metrics = ranking.by, metrics_shown(ranking)
        named = LEAST_NAME
        if by in _WORDED:
            named = max(LEAST_NAME, int(QUERY_SHARE * width)) + CATEGORY_WIDTH
        with_place = by is By.STATEMENT and width >= WIDE
        if with_place:
            named += PLACE_WIDTH
        room = width - named - SHARE_WIDTH
        with_bar = width >= NARROW
        if with_bar:
            room -= BAR_WIDTH + 1
        shown: list[Metric] = []
        kept = 2 if SORTED_BY[ranking.sort] else 1  # what it is sorted by is always there
        for metric in metrics:
            needed = max(len(metric.title), NUMBER_WIDTH) + 1
            if needed > room and len(shown) >= kept:
                break
            room -= needed
            shown.append(metric)
        name_width = max(room + named, LEAST_NAME + CATEGORY_WIDTH * (by in _WORDED))
        return cls(by, tuple(shown), kept, with_bar, with_place, name_width)

    @property
    def worded(self) -> bool:
        return self.by in _WORDED

    def columns(self) -> list[Column]:
        """Return the columns of the table."""
        # Numbers are never cut: what gives way is the text at the end.
        columns = [Column("share", right=True, least=SHARE_WIDTH - 1)]
        if self.with_bar:
            columns.append(Column("", least=BAR_WIDTH))
        for place, metric in enumerate(self.metrics):
            room = max(len(metric.title), NUMBER_WIDTH)
            columns.append(
                Column(metric.title, right=True, least=room, optional=place >= self.kept)
            )
        if not self.worded:
            most = min(self.name_width - 1, LONGEST_NAME)
            return [Column(self.by.value, most=most), *columns]
        columns.append(Column("category", least=CATEGORY_WIDTH - 1, most=CATEGORY_WIDTH - 1))
        query = self.name_width - CATEGORY_WIDTH
        if self.with_place:
            query -= PLACE_WIDTH
            columns.append(Column("user@database", least=PLACE_WIDTH - 1, most=PLACE_WIDTH - 1))
        return [*columns, Column("query", most=max(query, 8))]

    def cells(self, row: RankRow) -> list[Cell]:
        """Return the cells of a row; ~ marks what was counted since a reset, or is a bound."""
        share = ("~" if row.uncertain else "") + format_share(row.share)
        numbers = [metric.shown(metric.value(row.cost)) for metric in self.metrics]
        drawn = (bar(row.share), _COLOURS.get(row.category, "cyan"))
        place = f"{row.user}@{row.database}" if row.user or row.database else ""
        if row.server:
            place = f"{row.server}: {place}"
        return self._ordered(row.name, (row.category, place), share, drawn, numbers)

    def plain(self, ranking: Ranking, name: str, blocks: int | None) -> list[Cell]:
        """Return the cells of what is known by its blocks alone."""
        known = of_blocks(ranking, blocks)
        numbers = [
            metric.shown(known[metric.name]) if metric.name in known else ""
            for metric in self.metrics
        ]
        share = format_share(ranking.share(blocks))
        return self._ordered(name, ("", ""), share, ("", ""), numbers)

    def _ordered(
        self, name: str, kind: tuple[str, str], share: str, drawn: Cell, numbers: list[str]
    ) -> list[Cell]:
        cells = [(share, ""), *([drawn] if self.with_bar else []), *((n, "") for n in numbers)]
        shown = (one_line(name, LONGEST_TEXT), "")
        if not self.worded:
            return [shown, *cells]
        told = [(terminal(each), "") for each in kind[: 1 + self.with_place]]
        return [*cells, *told, shown]


def table(ranking: Ranking, *, width: int) -> list[Line]:
    """Return the ranking with all its parts, and the server's own count below them."""
    layout = _Layout.fitting(ranking, width)
    rows = [layout.cells(row) for row in ranking.rows]
    below = [layout.cells(extra) for extra in (ranking.rest, ranking.own) if extra is not None]
    below += [layout.plain(ranking, NAMES[line.account], line.blocks) for line in ranking.lines]
    if not ranking.lines:
        below.append(layout.plain(ranking, NAMES[Account.UNATTRIBUTED], None))
    whole = whole_of(ranking.by)
    below.append(layout.plain(ranking, whole, ranking.server_blocks))
    if ranking.nested:
        # Below the sum, because it is no part of it: it is in its callers' rows.
        below.append(layout.plain(ranking, NESTED, ranking.nested_blocks))
    rows += [[(text, style or "dim") for text, style in cells] for cells in below]
    headings, *lines = lay(layout.columns(), rows, width)
    return [[(text, "bold") for text, _ in headings], *lines]


def drawn(lines: Iterable[Line]) -> Iterator[Text]:
    """Yield lines for a console."""
    for line in lines:
        yield Text.assemble(*line, no_wrap=True, overflow="crop")


def one_line(text: str, cells: int) -> str:
    """Return a statement in one line of at most so many cells, nothing in it acting."""
    return cut(terminal(text), cells)


def said(notices: Sequence[Notice]) -> Iterable[Text]:
    """Yield a line for each notice."""
    for notice in notices:
        yield Text("! ", "bold yellow").append(message_line(notice.text), "not bold default")
        if notice.hint:
            # On a line of its own: it may be a statement to copy.
            yield Text(f"  {message_line(notice.hint)}", "dim")


def interval(
    delta: Delta,
    ranking: Ranking,
    notices: Sequence[Notice],
    *,
    coverage: float | None,
    width: int,
    since_start: float | None = None,
    running: Sequence["Running"] = (),
    burst: str = "",
) -> RenderableType:
    """Return one interval as it is shown.

    coverage: of the time that is ranked.  since_start: of all intervals so far, if of others too.
    """
    if delta.seconds is None:
        return Group(
            headline(delta, None, width),
            *said(notices),
            Text("baseline taken; the first interval follows", "dim"),
        )
    return Group(
        headline(delta, ranking.seconds, width),
        summary(ranking, coverage, width, since_start=since_start),
        *([Text(burst, "bold", no_wrap=True, overflow="ellipsis")] if burst else []),
        *said(notices),
        *drawn(table(ranking, width=width)),
        *([] if ranking.own is None else [own(ranking.own.cost.spent(), width)]),
        *in_flight(running, width),
    )


def own(spent: Overhead, width: int, of: str = "") -> Text:
    """Return what our own statements cost the server, in a line; of: what of, if not all shown."""
    told = own_cost(spent)
    named = f"{OWN}, {of}: {told}" if of else f"{OWN}: {told}"
    line = named if len(named) <= width else f"itself: {told}"
    return Text(line, "dim", no_wrap=True, overflow="ellipsis")


def in_flight(running: Sequence["Running"], width: int) -> Iterator[Text]:
    """Yield a line for each of the statements that have been running for longest."""
    for each in running[:SHOWN_RUNNING]:
        read = f"  {format_bytes(each.read_bytes)} so far" if each.read_bytes else ""
        head = (
            f"in flight  {format_duration(each.seconds)}  {terminal(each.category)}"
            f"  {terminal(each.waits_for) or 'computing'}{read}  "
        )
        line = Text(head, "dim", no_wrap=True, overflow="ellipsis")
        yield line.append(one_line(each.text, max(width - cell_len(head), 1)), "not dim")
    if len(running) > SHOWN_RUNNING:
        yield Text(f"in flight  {len(running) - SHOWN_RUNNING} more", "dim")


def failure(error: PgiostatError, retry_seconds: float | None) -> Text:
    """Return why there is nothing new, and when it is tried again."""
    line = Text("! ", "bold red")
    line.append(message_line(error.message))
    if error.detail:
        line.append(f": {message_line(error.detail)}")
    if retry_seconds is not None:
        line.append(f"  trying again in {format_duration(retry_seconds)}", "dim")
    return line
