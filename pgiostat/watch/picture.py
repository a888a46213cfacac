"""What a state shows, as lines: drawn from what was counted, and from nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from pgiostat.delta import Quality
from pgiostat.render.columns import printable
from pgiostat.render.gauge import gauge_line
from pgiostat.render.grid import Line, cut
from pgiostat.render.text import one_line
from pgiostat.units import (
    format_bytes,
    format_count,
    format_duration,
    format_share,
)
from pgiostat.watch.layout import laid
from pgiostat.watch.moment import Moment
from pgiostat.watch.rows import Table
from pgiostat.watch.state import State
from pgiostat.watch.still import Sight

__all__ = ["Picture", "heading", "picture"]

NARROW = 70
LEAST_ROWS, ROOMY = 3, 12
SPARKS = "▁▂▃▄▅▆▇█"
SPARK_WIDTH = 12
BARS = "█▉▊▋▌▍▎▏"
MOST_NOTICES = 3


@dataclass(frozen=True, slots=True)
class Picture:
    """Lines of a screen.

    rows: the place in the table of the row on each line, None for all others.  headings: the line
    with the headings.  measures: where each column of numbers begins and ends, by its name.
    """

    lines: tuple[Line, ...]
    rows: tuple[int | None, ...]
    headings: int
    measures: tuple[tuple[str, int, int], ...]


def picture(state: State, sitting: Sight, table: Table, width: int, height: int) -> Picture:
    """Return the screen: two lines of heading, what is to be known, and the table."""
    moment = sitting.latest
    top: list[Line] = [_first(state, sitting, moment, width), _second(sitting, table, width)]
    top += _told(state, sitting, moment, width)
    if state.path or state.filter:
        top.append(_where(state, table, width))
    running = _running(moment, width) if height - len(top) > ROOMY else []
    below = list(table.below)
    room = height - len(top) - 1 - len(below) - len(running)
    if room < min(len(table.rows), LEAST_ROWS):
        # On a small screen what adds up gives way to who reads.
        below = below[-1:]
        room = height - len(top) - 1 - len(below) - len(running)
    room = max(room, 1)
    begin = min(max(state.row - room + 1, 0), max(len(table.rows) - room, 0))
    rows = table.rows[begin : begin + room]
    lines, measures = laid(state, table, [*rows, *below], width)
    headings, *drawn = lines
    chosen = state.row - begin
    if 0 <= chosen < len(rows) and state.chosen in {(), rows[chosen].key}:
        drawn[chosen] = _marked(drawn[chosen], width)
    blank: list[Line] = [[] for _ in range(room - len(rows))]
    every = [*top, headings, *drawn, *blank, *running][:height]
    places: list[int | None] = [None] * len(every)
    for number in range(len(rows)):
        if len(top) + 1 + number < len(every):
            places[len(top) + 1 + number] = begin + number
    return Picture(tuple(every), tuple(places), len(top), measures)


def _fitted(pieces: Sequence[tuple[str, str, int]], width: int) -> Line:
    """Return pieces in a line; those with the highest numbers give way until it fits."""
    left = [piece for piece in pieces if piece[0]]
    while sum(cell_len(text) for text, _, _ in left) > width:
        last = max(left, key=lambda piece: piece[2])
        if not last[2]:
            break
        left.remove(last)
    line: Line = []
    room = width
    for text, style, _ in left:
        line.append((cut(text, room), style))
        room -= cell_len(text)
        if room <= 0:
            break
    return line


def _first(state: State, sitting: Sight, moment: Moment | None, width: int) -> Line:
    """Return who, where, version, role, interval and quality."""
    if moment is None or moment.who is None:
        return [("pgiostat  connecting …", "bold")]
    who = moment.who
    seconds = sitting.seconds if state.whole else moment.seconds
    qualities = sitting.qualities if state.whole else moment.qualities
    flaws = [each for each in qualities if each is not Quality.OK]
    quality = "+".join(flaws or qualities) or "baseline taken"
    good = not flaws
    if sitting.trouble is not None:
        quality, good = "not read now", False
    role = "standby" if who.in_recovery else "primary"
    mode = "PAUSED " if state.is_paused else ""
    return _fitted(
        [
            ("pgiostat  ", "bold", 6),
            (f"{printable(who.user)}@" if who.user else "", "", 5),
            (printable(f"{who.label}/{who.dbname}" if who.dbname else who.label), "bold", 0),
            (f"  PostgreSQL {who.version}" if who.version else "", "dim", 4),
            (f" {role}", "dim", 3),
            (f"  {moment.until:%H:%M:%SZ}" if moment.until else "", "", 2),
            (f"  {format_duration(seconds)}" if seconds else "", "", 0),
            (
                f" since {sitting.began:%H:%M:%S}" if state.whole and sitting.began else "",
                "bold cyan",
                1,
            ),
            ("  ", "", 0),
            (mode, "bold reverse", 0),
            (quality, "green" if good else "bold yellow", 0),
        ],
        width,
    )


def _second(sitting: Sight, table: Table, width: int) -> Line:
    """Return reads of all statements, hit ratio, coverage and balance, with their last minutes."""
    if table.ranking is None:
        return [("pg_stat_io: all processes, all databases", "dim")]
    cost = table.ranking.explained
    past = sitting.past()
    coverage = None if sitting.coverage is None else min(sitting.coverage, 1.0)
    operations = cost.operations_per_s
    gauge, balance = sitting.gauge, sitting.balance
    burst = ""
    if gauge is not None and balance is not None:
        burst = f"  {gauge_line(gauge, balance.rate, balance.use)}"
    own = table.ranking.own
    return _fitted(
        [
            ("reads ", "dim", 5),
            (f"{format_count(cost.blocks_per_s)} blocks/s ", "bold", 0),
            (sparks(past.blocks_per_s), "cyan", 6),
            (f" {format_bytes(cost.bytes_per_s)}/s", "", 2),
            ("" if operations is None else f"  {format_count(operations)} reads/s", "", 3),
            (f"  hit {format_share(cost.hit_ratio)}", "", 4),
            (f"  coverage {format_share(coverage)}", "", 1),
            (burst, "bold magenta", 0),
            (
                "" if own is None else f"  itself {format_count(own.cost.exec_ms_per_s)} ms/s",
                "dim",
                7,
            ),
        ],
        width,
    )


def sparks(values: Sequence[float], width: int = SPARK_WIDTH) -> str:
    """Return the last values as bars, from nothing to the highest.

    >>> sparks([0, 1, 2, 4], 3), sparks([], 3), sparks([0, 0], 3)
    ('▃▅█', '', '▁▁')
    """
    last = values[-width:]
    highest = max(last, default=0.0)
    if not highest:
        return SPARKS[0] * len(last)
    return "".join(SPARKS[min(int(value / highest * 8), 7)] for value in last)


def heading(state: State, sitting: Sight, width: int) -> list[Line]:
    """Return who is watched, how good that is, and what is wrong."""
    moment = sitting.latest
    return [_first(state, sitting, moment, width), *_told(state, sitting, moment, width)]


def _told(state: State, sitting: Sight, moment: Moment | None, width: int) -> list[Line]:
    """Return what is wrong, and what to do."""
    lines: list[Line] = []
    which = "last interval: " if state.whole else ""
    trouble = sitting.trouble
    if trouble is not None and trouble.error is not None:
        words = trouble.error.message
        if trouble.error.detail:
            words += f": {trouble.error.detail}"
        again = ""
        if trouble.retry_seconds is not None:
            again = f"  trying again in {format_duration(trouble.retry_seconds)}"
        words = cut(printable(words), width - 2 - len(again))
        lines.append([("! ", "bold red"), (words, "bold red"), (again, "dim")])
    for notice in (moment.notices if moment else ())[:MOST_NOTICES]:
        words = cut(which + printable(notice.text), width - 2)
        lines.append([("! ", "bold yellow"), (words, "")])
        if notice.hint and width >= NARROW:
            lines.append([(f"  {cut(printable(notice.hint), width - 2)}", "dim")])
    return lines


def _where(state: State, table: Table, width: int) -> Line:
    """Return what was gone into, and what is filtered."""
    steps = " > ".join(one_line(drill.name, 40) for drill in state.path)
    kept = len(table.rows)
    pieces = [(steps, "bold cyan", 1), ("  " if steps else "", "", 1)]
    if state.filter:
        pieces.append((f"filter “{printable(state.filter)}” ", "bold yellow", 0))
    pieces.append((f"{format_count(kept)} of {format_count(kept + table.hidden)} rows", "dim", 2))
    return _fitted(pieces, width)


def _running(moment: Moment | None, width: int) -> list[Line]:
    """Return what has been running for longest."""
    lines: list[Line] = []
    for each in (moment.running if moment else ())[:2]:
        head = (
            f"in flight  {format_duration(each.seconds)}  {each.category}"
            f"  {each.waits_for or 'computing'}  "
        )
        lines.append(
            [(cut(head, width), "dim"), (one_line(each.text, max(width - len(head), 1)), "")]
        )
    return lines


def _marked(line: Line, width: int) -> Line:
    """Return the chosen row."""
    filling = " " * max(width - sum(cell_len(text) for text, _ in line), 0)
    # A bar says by its colour what it is of, and by its length how much.
    told = [
        (text, style if set(text) & set(BARS) else f"{style} reverse".strip())
        for text, style in line
    ]
    return [*told, (filling, "reverse")]
