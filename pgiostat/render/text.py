"""Text for a terminal or a pipe: documents, and the live interval, with rich."""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any, TextIO

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.text import Text

from pgiostat.analysis.cost import Overhead
from pgiostat.analysis.notices import Notice
from pgiostat.analysis.rank import Ranking
from pgiostat.errors import PgiostatError
from pgiostat.escape import line as message_line
from pgiostat.escape import terminal
from pgiostat.queries.short_form import short_form
from pgiostat.render.column_format import Format, column_formats
from pgiostat.render.column_format import shown as shown_value
from pgiostat.render.device import disk_pieces
from pgiostat.render.document import Curve, Document, Mark, Piece, Table, TableColumn
from pgiostat.render.ledger import own_cost
from pgiostat.render.ranking_table import ranking_table, summary
from pgiostat.render.table import Cell, Line, bar, cut, lay, one_line, sparkline
from pgiostat.statistics.delta import Delta, Quality
from pgiostat.statistics.preset import PresetInForce
from pgiostat.units import format_bytes, format_duration
from pgiostat.volume.device.page_cache import DiskReads

if TYPE_CHECKING:
    from pgiostat.postgres.activity import Running

__all__ = [
    "Piece",
    "bar",
    "console",
    "drawn",
    "failure",
    "fitted",
    "headline",
    "interval",
    "lines",
    "notice_lines",
    "one_line",
    "own",
    "trimmed",
    "write",
]

PIPE_WIDTH = 120
SHOWN_RUNNING = 3
BESIDE_CURVE = 42
LEAST_CURVE = 8


# --- documents ---------------------------------------------------------------------------


def console(out: TextIO | None = None) -> Console:
    """Return a console; a pipe has no width of its own, so COLUMNS or a default applies."""
    made = Console(file=out, highlight=False, markup=False, emoji=False)
    if not made.is_terminal:
        made.width = shutil.get_terminal_size((PIPE_WIDTH, 0)).columns
    return made


def write(document: Document, out: TextIO) -> None:
    """Write a document as text."""
    to = console(out)
    to.print(Group(*_parts(document, to.width)))


def _parts(document: Document, width: int) -> Iterator[RenderableType]:
    yield from (_head(pieces, width) for pieces in document.head)
    fold = trimmed if document.trimmed else lambda line, _: terminal(line)
    yield from (Text(fold(line, width), "dim") for line in document.facts)
    yield from (Text(f"! {terminal(line)}", "yellow") for line in document.warnings)
    yield from (Text(fold(line, width)) for line in document.findings)
    if document.conclusion is not None:
        found, how = document.conclusion
        yield from (Text(terminal(found), "bold"), Text(terminal(how), "dim"))
    if document.curve:
        # A last value of 1 makes the scale that of shares; it is not drawn.
        curve = sparkline([*document.curve, 1.0], max(width - 10, LEAST_CURVE))
        yield Text(curve[:-1], "cyan")
    for table in (each if each.fit is None else each.fit(width) for each in document.tables):
        shown = lines(table, width)
        if table.apart and shown:
            yield Text("")
        yield from drawn(shown)
        yield from (Text(cut(terminal(text), width), style) for text, style in table.legend)
    yield from (_note(note, width) for note in document.notes)


def _head(pieces: Sequence[Piece], width: int) -> Text:
    """Return pieces in a line; where none may give way it may be several."""
    shown = [(terminal(text), style, rank) for text, style, rank in pieces]
    if any(rank for _, _, rank in pieces):
        return fitted(shown, width)
    return Text.assemble(*((text, style) for text, style, _ in shown))


def trimmed(line: str, width: int) -> str:
    """Return a line in lines of the screen, none of which ends in a blank.

    What follows an indented line is indented by two more.
    """
    indent = len(line) - len(line.lstrip(" "))
    after = " " * (indent + 2 if indent else 0)
    shown = terminal(line)
    return "\n".join(wrap(shown, width, break_on_hyphens=False, subsequent_indent=after))


def _note(note: Sequence[str], width: int) -> Text:
    """Return the longest wording that fits, in one line."""
    shown = next((each for each in note if len(each) <= width), note[-1])
    return Text(shown, "dim", no_wrap=True, overflow="ellipsis")


def lines(table: Table, width: int) -> list[Line]:
    """Return a table as lines of a screen of a width in characters."""
    table = table if table.fit is None else table.fit(width)
    room = max(width - BESIDE_CURVE, LEAST_CURVE)
    shown = [n for n, column in enumerate(table.columns) if column.from_width <= width]
    columns = [table.columns[n] for n in shown]
    values = [[row[n] for n in shown] for row in table.rows]
    cells = list(zip(columns, column_formats(columns, values), strict=True))
    rows = [[_cell(v, *cell, room) for v, cell in zip(row, cells, strict=True)] for row in values]
    if table.apart and not rows:
        return []
    headings, *others = lay(columns, rows, width, table.gap)
    return [[(text, "bold") for text, _ in headings], *others]


def _cell(value: Any, column: TableColumn, each: Format | None, room: int) -> Cell:
    style = column.style
    if isinstance(value, Mark):
        value, style = value.value, value.style
    if isinstance(value, Curve):
        return sparkline(value.values, room), style
    return terminal(value) if each is None else shown_value(value, each), style


def drawn(lines: Iterable[Line]) -> Iterator[Text]:
    """Yield lines for a console, none of which ends in blanks."""
    for line in lines:
        text = Text.assemble(*line, no_wrap=True, overflow="crop")
        text.rstrip()
        yield text


def fitted(pieces: Sequence[Piece], width: int) -> Text:
    """Return pieces in a line; the highest ranks give way until it fits."""
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


# --- one interval of a live server -------------------------------------------------------


def headline(
    delta: Delta, seconds: float | None, width: int, preset: PresetInForce | None = None
) -> Text:
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
            (f"  preset {preset.name}" if preset else "", "dim", 6),
            (f": {terminal(preset.reason)}" if preset else "", "dim", 7),
        ],
        width,
    )


def notice_lines(notices: Sequence[Notice]) -> Iterable[Text]:
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
    disk: DiskReads | None = None,
) -> RenderableType:
    """Return one interval as text.

    coverage: of the time that is ranked.  since_start: of all intervals until now, if there were
    others.  disk: the reads of the server's device.
    """
    if delta.seconds is None:
        return Group(
            headline(delta, None, width),
            *notice_lines(notices),
            Text("baseline taken; the first interval follows", "dim"),
        )
    return Group(
        headline(delta, ranking.seconds, width, ranking.preset),
        fitted(summary(ranking, coverage, since_start), width),
        *([] if disk is None else [fitted(disk_pieces(disk, width), width)]),
        *([Text(burst, "bold", no_wrap=True, overflow="ellipsis")] if burst else []),
        *notice_lines(notices),
        *drawn(lines(ranking_table(ranking), width)),
        *([] if ranking.own is None else [own(ranking.own.cost.spent(), width)]),
        *in_flight(running, width),
    )


def own(spent: Overhead, width: int) -> Text:
    """Return the cost of pgiostat's own statements, in a line."""
    cost = own_cost(spent)
    return _note((f"pgiostat's own statements: {cost}", f"pgiostat: {cost}"), width)


def in_flight(running: Sequence["Running"], width: int) -> Iterator[Text]:
    """Yield a line for each of the statements that have been running for longest."""
    for each in running[:SHOWN_RUNNING]:
        read = f"  {format_bytes(each.read_bytes)} so far" if each.read_bytes else ""
        head = (
            f"in flight  {format_duration(each.seconds)}  {terminal(each.category)}"
            f"  {terminal(each.waits_for) or 'computing'}{read}  "
        )
        line = Text(head, "dim", no_wrap=True, overflow="ellipsis")
        yield line.append(
            one_line(short_form(each.text), max(width - cell_len(head), 1)), "not dim"
        )
    if len(running) > SHOWN_RUNNING:
        yield Text(f"in flight  {len(running) - SHOWN_RUNNING} more", "dim")


def failure(error: PgiostatError, retry_seconds: float | None) -> Text:
    """Return why there is nothing new, and when it is tried again."""
    line = Text("! ", "bold red")
    line.append(message_line(error.message))
    if error.detail:
        line.append(f": {message_line(error.detail)}")
    if retry_seconds is not None:
        line.append(f"  retrying in {format_duration(retry_seconds)}", "dim")
    return line
