"""The screen of a state, as lines: drawn from counts alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from math import ceil

from rich.cells import cell_len

from pgiostat.analysis.notices import NoticeKind
from pgiostat.escape import line as message_line
from pgiostat.escape import terminal
from pgiostat.queries.short_form import short_form
from pgiostat.render.balance import gauge_pieces
from pgiostat.render.device import disk_pieces
from pgiostat.render.ledger import own_cost
from pgiostat.render.table import Line, cut, wrapped
from pgiostat.render.text import one_line
from pgiostat.statistics.delta import Quality
from pgiostat.statistics.names import OTHER, preset_of
from pgiostat.units import (
    format_bytes,
    format_count,
    format_coverage,
    format_duration,
    format_share,
)
from pgiostat.volume.device.page_cache import DiskReads
from pgiostat.watch.model.interval import Interval
from pgiostat.watch.screen.breadcrumb import place_lines
from pgiostat.watch.screen.columns import lay_out
from pgiostat.watch.screen.frozen import SessionView, coverage_of
from pgiostat.watch.screen.header_line import Piece, fitted
from pgiostat.watch.screen.notices import Posted, ReplayPosition, SideInfo
from pgiostat.watch.screen.rows import TableRow
from pgiostat.watch.screen.table import ScreenTable, io_cost, total_cost
from pgiostat.watch.screen.top_lines import top_lines
from pgiostat.watch.state import View, ViewState

__all__ = ["ScreenContent", "draw_screen", "heading"]

LEAST_ROWS, ROOMY = 3, 12
BARS = "█▉▊▋▌▍▎▏"
MIN_MESSAGE_ROWS, MESSAGE_SHARE = 3, 4
"""Lines of notices above the table: at least so many, at most such a part of the screen."""
MOST_REMARKS = 2
SHOWN_OTHER = 0.25
"""Share of the reads from which statements of no category have a line."""


@dataclass(frozen=True, slots=True)
class ScreenContent:
    """Lines of a screen.

    rows: the place in the table of the row on each line, None for all others.  headings: the line
    with the headings.  measures: where each column of numbers begins and ends, by its name.
    """

    lines: tuple[Line, ...]
    rows: tuple[int | None, ...]
    headings: int
    measures: tuple[tuple[str, int, int], ...]


def draw_screen(
    state: ViewState,
    session: SessionView,
    table: ScreenTable,
    size: tuple[int, int],
    side: SideInfo,
) -> ScreenContent:
    """Return the screen: the heading, what is to be known, and the table."""
    width, height = size
    interval = session.latest
    top = [*_who(state, session, side, width), _second(state, session, table, side, width)]
    top += _disk(session.disk(whole=state.whole), width)
    top += _messages(session, side, width, max(height // MESSAGE_SHARE, MIN_MESSAGE_ROWS))
    top += place_lines(state, session, table, width)
    is_roomy = height - len(top) > ROOMY
    is_whole = is_roomy and not (state.path or state.filter)
    most = top_lines(side.top, width) if is_whole else []
    running = [*_remarks(state, side, width), *_running(interval, width)] if is_roomy else []
    running += [*_uncategorized(state, table, width), *_own(table, width)] if is_roomy else []
    running += _hint(side.hints, width)
    below = list(table.below)
    room = height - len(top) - 1 - len(below) - len(most) - len(running)
    if room < min(len(table.rows), LEAST_ROWS):
        # On a small screen what adds up gives way to who reads.
        below = below[-1:]
        room = height - len(top) - 1 - len(below) - len(most) - len(running)
    room = max(room, 1)
    begin, rows = _visible(state, table, room)
    if len(rows) > LEAST_ROWS and len(below) > 1:
        fewer = _visible(state, table, room - 1)
        unseen = None if len(rows) == len(table.rows) else table.unseen(fewer[1])
        if unseen is not None:
            (begin, rows), room, below = fewer, room - 1, [unseen, *below]
    lines, measures = lay_out(state, table, [*rows, *below], width)
    headings, *drawn = lines
    chosen = state.row - begin
    if 0 <= chosen < len(rows) and state.chosen in {(), rows[chosen].key}:
        drawn[chosen] = _marked(drawn[chosen], width)
    blank: list[Line] = [[] for _ in range(room - len(rows))]
    # Near the rows, with a blank line between if there is room for it.
    every = [*top, headings, *drawn, *blank[:1], *most, *blank[1:], *running][:height]
    places: list[int | None] = [None] * len(every)
    for number in range(len(rows)):
        if len(top) + 1 + number < len(every):
            places[len(top) + 1 + number] = begin + number
    return ScreenContent(tuple(every), tuple(places), len(top), measures)


def _visible(state: ViewState, table: ScreenTable, room: int) -> tuple[int, Sequence[TableRow]]:
    """Return the rows around the cursor for which there is room, and the place of the first."""
    begin = min(max(state.row - room + 1, 0), max(len(table.rows) - room, 0))
    return begin, table.rows[begin : begin + room]


def _who(state: ViewState, session: SessionView, side: SideInfo, width: int) -> list[Line]:
    """Return the first line, and where a replay is."""
    first = _first(state, session, side, width)
    return [first] if side.played is None else [first, _replayed(session, side.played, width)]


def _first(state: ViewState, session: SessionView, side: SideInfo, width: int) -> Line:
    """Return who, where, version, role, interval and quality."""
    interval = session.latest
    if interval is None or interval.who is None:
        return [("pgiostat  connecting …", "bold")]
    who = interval.who
    seconds = session.seconds if state.whole else interval.seconds
    qualities = session.qualities if state.whole else interval.qualities
    flaws = [each for each in qualities if each is not Quality.OK]
    quality = "+".join(flaws or qualities) or "baseline taken"
    good = not flaws
    if session.trouble is not None:
        quality, good = "not updating", False
    role = "standby" if who.in_recovery else "primary"
    is_live = side.played is None
    preset = preset_of([session.names])
    since = ""
    if state.whole and session.began is not None:
        since = f" since {session.began.astimezone(UTC):%H:%M:%SZ}"
    return fitted(
        [
            Piece("pgiostat  ", "bold", 6),
            Piece(f"{terminal(who.user)}@" if who.user else "", "", 5),
            Piece(terminal(f"{who.label}/{who.dbname}" if who.dbname else who.label), "bold"),
            Piece(f"  PostgreSQL {terminal(who.version)}" if who.version else "", "dim", 4),
            Piece(f" {role}", "dim", 3),
            Piece(f"  {interval.until:%H:%M:%SZ}" if interval.until and is_live else "", "", 2),
            Piece(f"  {format_duration(seconds)}" if seconds else ""),
            Piece(since, "bold cyan", 1),
            Piece("  "),
            Piece("PAUSED " if state.is_paused and is_live else "", "bold reverse"),
            Piece(quality, "green" if good else "bold yellow"),
            Piece(f"  preset {preset.name}" if preset else "", "dim", 7),
            Piece(f": {terminal(preset.reason)}" if preset else "", "dim", 8),
        ],
        width,
    )


def _replayed(session: SessionView, played: ReplayPosition, width: int) -> Line:
    """Return the line of a replay: its time, its place in the history and its mode."""
    until = session.latest.until if session.latest is not None else None
    is_over = played.place == played.count
    mode = "END" if is_over else "▶" if played.is_playing else "PAUSED"
    speed = f"  {format_duration(played.interval)} per interval"
    return fitted(
        [
            Piece("REPLAY", "bold reverse"),
            Piece(f" {mode}", "bold yellow" if is_over or not played.is_playing else "bold green"),
            Piece(" "),
            Piece(f"{until:%Y-}" if until else "", "bold", 1),
            Piece(f"{until:%m-%d %H:%M:%SZ}" if until else "", "bold"),
            Piece("  interval", "dim", 3),
            Piece(f" {played.place}/{played.count}"),
            Piece(speed, "dim", 2),
            Piece("  ←→ seek, g: go to a time", "dim", 4),
        ],
        width,
    )


def _second(
    state: ViewState, session: SessionView, table: ScreenTable, side: SideInfo, width: int
) -> Line:
    """Return the total, hit ratio, coverage and balance, with their last intervals.

    They are the same in every view.
    """
    counted = session.counted(whole=state.whole)
    cost, total = io_cost(counted), total_cost(counted)
    coverage = coverage_of(session, whole=state.whole)
    # Without several blocks in an operation it would be the first number over again.
    operations = total.operations_per_s if session.per_block.is_combined else None
    gauge, balance = session.gauge, session.balance
    volume = words = burst = ""
    if gauge is not None and balance is not None:
        volume, words, burst = gauge_pieces(gauge, balance.rate, balance.use)
        volume = f"  {volume}"
    own = None if table.ranking is None else table.ranking.own
    pulses = side.board.pulses

    def last(name: str) -> list[float | None]:
        values = [getattr(pulse, name) for pulse in pulses]
        return values if any(value is not None for value in values) else []

    return fitted(
        [
            Piece("read ", "dim", 6),
            Piece(f"{format_count(total.blocks_per_s)} blocks/s", "bold"),
            Piece("", "cyan", 5, last("blocks_per_s")),
            Piece(f"  {format_bytes(total.bytes_per_s)}/s", "", 2),
            Piece("" if operations is None else f"  {format_count(operations)} read ops/s", "", 3),
            Piece("", "cyan", 10, last("operations_per_s") if operations is not None else ()),
            Piece(f"  hit {format_share(cost.hit_ratio)}", "", 4),
            Piece("", "cyan", 9, last("hit_ratio")),
            Piece(f"  coverage {format_coverage(coverage)}", "", 1),
            Piece("", "cyan", 8, last("coverage")),
            Piece(volume, "bold magenta"),
            Piece(words, "bold magenta", 6),
            Piece(burst, "bold magenta"),
            Piece("", "magenta", 11, last("balance") if burst else ()),
            Piece(
                "" if own is None else f"  pgiostat {format_count(own.cost.exec_ms_per_s)} ms/s",
                "dim",
                7,
            ),
        ],
        width,
    )


def _disk(disk: DiskReads | None, width: int) -> list[Line]:
    """Return the line of the server's device: what reached it, and its own rates."""
    if disk is None:
        return []
    return [fitted([Piece(*piece) for piece in disk_pieces(disk, width)], width)]


def heading(
    state: ViewState, session: SessionView, size: tuple[int, int], side: SideInfo
) -> list[Line]:
    """Return who is watched, how good that is, and what is wrong."""
    width, height = size
    room = max(height // MESSAGE_SHARE, MIN_MESSAGE_ROWS)
    return [*_who(state, session, side, width), *_messages(session, side, width, room)]


def _messages(session: SessionView, side: SideInfo, width: int, room: int) -> list[Line]:
    """Return problems and hints, in as many whole sentences as fit."""
    messages = [_trouble(session, side, width)]
    messages += [
        _posted(each, width) + _paragraph("  ", "", each.notice.hint, "dim", width)
        for each in side.board.posted
        if each.notice.kind in _ABOVE
    ]
    messages = [lines for lines in messages if lines]
    shown, others = messages[:room], messages[room:]
    lines: list[Line] = []
    spare = room - len(shown)
    for each in shown:
        kept = each[: 1 + spare]
        spare -= len(kept) - 1
        if len(kept) < len(each) or (others and each is shown[-1]):
            kept[-1] = _unfinished(kept[-1], width)
        lines += kept
    return lines


DEMO_ENDED = "the demo has ended; q quits"
_ABOVE = (NoticeKind.HAPPENED, NoticeKind.HOLDS)
_MORE = " ?"


def _unfinished(line: Line, width: int) -> Line:
    """Return a line that says that there is more, and which key tells it."""
    (mark, marked), (text, style) = line
    text = cut(f"{text} …", width - len(mark) - len(_MORE))
    return [(mark, marked), (text, style), (_MORE, "bold")]


def _trouble(session: SessionView, side: SideInfo, width: int) -> list[Line]:
    """Return why nothing is read now."""
    trouble = session.trouble
    if trouble is None or trouble.error is None:
        return []
    if side.has_ended:
        return _paragraph("! ", "bold red", DEMO_ENDED, "bold red", width)
    words, wait = trouble.error.message, side.wait
    if wait is not None:
        words += f", retrying in {ceil(wait)} s" if wait > 0 else ", retrying now"
    if trouble.error.detail:
        words += f": {trouble.error.detail}"
    return _paragraph("! ", "bold red", words, "bold red", width)


def _posted(posted: Posted, width: int) -> list[Line]:
    """Return a notice: when it happened, or until when it held."""
    notice = posted.notice
    text = notice.text
    if notice.kind is NoticeKind.HAPPENED:
        text = f"{posted.at:%H:%M:%SZ} {text}"
    elif notice.kind is NoticeKind.HOLDS and not posted.is_now:
        text += f" (until {posted.at:%H:%M:%SZ})"
    mark, style = ("! ", "") if posted.is_now else ("· ", "dim")
    return _paragraph(mark, "bold yellow", text, style, width)


def _paragraph(mark: str, marked: str, text: str, style: str, width: int) -> list[Line]:
    lines = wrapped(message_line(text), width - len(mark))
    return [
        [(" " * len(mark) if number else mark, marked), (line, style)]
        for number, line in enumerate(lines)
    ]


def _remarks(state: ViewState, side: SideInfo, width: int) -> list[Line]:
    """Return what is to be known of the numbers of the last interval, below them.

    It comes and goes with them, and moves no row.
    """
    passing = [each for each in side.board.posted if each.notice.kind is NoticeKind.PASSING]
    if state.whole:
        return []
    return [line for each in passing[:MOST_REMARKS] for line in _posted(each, width)]


def _running(interval: Interval | None, width: int) -> list[Line]:
    """Return what has been running for longest."""
    lines: list[Line] = []
    for each in (interval.running if interval else ())[:2]:
        head = (
            f"in flight  {format_duration(each.seconds)}  {terminal(each.category)}"
            f"  {terminal(each.waits_for) or 'computing'}  "
        )
        room = max(width - cell_len(head), 1)
        lines.append([(cut(head, width), "dim"), (one_line(short_form(each.text), room), "")])
    return lines


def _uncategorized(state: ViewState, table: ScreenTable, width: int) -> list[Line]:
    """Return what to do about statements that cannot be named, if they read much."""
    if state.view is not View.CATEGORY or table.ranking is None:
        return []
    share = next((row.share for row in table.ranking.rows if row.category == OTHER), None)
    if share is None or share < SHOWN_OTHER:
        return []
    text = f"{format_share(share)} matches no rule: key 2 shows the statements"
    rules = f"{text}; pgiostat rules init writes rules for this application"
    return [[(cut(rules if cell_len(rules) <= width else text, width), "dim")]]


def _own(table: ScreenTable, width: int) -> list[Line]:
    """Return what our own statements cost the server in the time that is shown."""
    ours = None if table.ranking is None else table.ranking.own
    if ours is None:
        return []
    text = f"pgiostat's own statements: {own_cost(ours.cost.spent())}"
    return [[(cut(text, width), "dim")]]


def _hint(hints: tuple[str, ...], width: int) -> list[Line]:
    """Return the longest of the hints that fits, or the start of the shortest."""
    if not hints:
        return []
    fitting = next((hint for hint in hints if cell_len(hint) <= width), hints[-1])
    return [[(cut(terminal(fitting), width), "cyan")]]


def _marked(line: Line, width: int) -> Line:
    """Return the chosen row."""
    filling = " " * max(width - sum(cell_len(text) for text, _ in line), 0)
    # A bar says by its colour what it is of, and by its length how much.
    messages = [
        (text, style if set(text) & set(BARS) else f"{style} reverse".strip())
        for text, style in line
    ]
    return [*messages, (filling, "reverse")]
