"""A ranking for people: the line above it, and its table for a page and for a screen."""

from collections.abc import Iterator, Sequence
from typing import Any

from pgiostat.analysis.ledger import LedgerLine
from pgiostat.analysis.rank import By, Ranking, RankRow
from pgiostat.render.columns import KEYS, SORTED_BY, Metric, of_blocks, shown, whole_of
from pgiostat.render.document import Bound, Mark, Piece, Table, TableColumn
from pgiostat.render.ledger import NAMES, NESTED, displayed
from pgiostat.render.table import BAR_WIDTH, bar, one_line
from pgiostat.units import format_bytes, format_count, format_coverage, format_share

__all__ = ["extra_rows", "ranking_table", "summary"]

NARROW, WIDE = 70, 110
LONGEST_TEXT = 400
NUMBER_WIDTH, SHARE_WIDTH, CATEGORY_WIDTH, PLACE_WIDTH = 8, 8, 10, 22
LEAST_NAME, LONGEST_NAME, LEAST_QUERY = 17, 44, 8
QUERY_SHARE = 0.4
_WORDED = (By.STATEMENT, By.FINGERPRINT)
_COLOURS = {"version": "red", "manifest": "yellow", "upload": "green", "download": "blue"}


def summary(
    ranking: Ranking, coverage: float | None, since_start: float | None = None
) -> list[Piece]:
    """Return the reads of all statements, as pieces of a line.

    Args:
        ranking: The statements.
        coverage: The share of the server's reads that they explain, in the time that is ranked.
        since_start: The same over all intervals until now, if there were others.
    """
    cost = ranking.explained
    pieces: list[Piece] = [
        ("read ", "dim", 1),
        (f"{format_count(cost.blocks_per_s)} blocks/s", "bold", 0),
        (f"  {format_bytes(cost.bytes_per_s)}/s", "", 3),
        (f"  hit {format_share(cost.hit_ratio)}", "", 4),
        (f"  coverage {format_coverage(coverage)}", "", 2),
    ]
    if since_start is not None:
        pieces.append((f", {format_coverage(since_start)} since the start", "dim", 7))
    if ranking.by is not By.RELATION:
        pieces.insert(4, (f"  sessions reading {format_count(cost.reading_sessions)}", "", 5))
    if cost.per_block.is_combined:
        operations = f"  {format_count(cost.operations_per_s)} read ops/s"
        pieces[3:3] = [(operations, "", 6), (f" by {cost.operations_by}", "dim", 8)]
    return pieces


def extra_rows(ranking: Ranking) -> list[RankRow]:
    """Return the rows below the ranked ones: the rest as one, and pgiostat."""
    return [row for row in (ranking.rest, ranking.own) if row is not None]


def ranking_table(ranking: Ranking) -> Table:
    """Return the ranking with all its parts, and the server's own count below them."""
    keys, metrics = KEYS[ranking.by], shown(ranking)
    return Table(
        [
            *(TableColumn(key.name) for key in keys),
            TableColumn("share", right=True, format=format_share),
            *(TableColumn(metric.title, right=True, format=metric.shown) for metric in metrics),
        ],
        _page_rows(ranking, metrics),
        fit=lambda width: _for_screen(ranking, width),
    )


def _page_rows(ranking: Ranking, metrics: Sequence[Metric]) -> Iterator[list[Any]]:
    keys, extras = KEYS[ranking.by], extra_rows(ranking)
    for row in (*ranking.rows, *extras):
        names = [displayed(str(key.value(row) or "")) for key in keys]
        if row in extras:
            names[0] = displayed(row.name)
        yield [*names, row.share, *(metric.value(row.cost) for metric in metrics)]
    for name, blocks in _server_lines(ranking):
        known = of_blocks(ranking, blocks)
        numbers = (known.get(metric.name, "") for metric in metrics)
        yield [name, *[""] * (len(keys) - 1), ranking.share(blocks), *numbers]


def _server_lines(ranking: Ranking) -> Iterator[tuple[str, int | None]]:
    """Yield name and blocks of what the server counted and no statement did, and of the whole."""
    yield from ((NAMES[line.account], line.blocks) for line in ranking.lines)
    yield whole_of(ranking.by), ranking.server_blocks
    if ranking.nested:
        # Below the sum, because it is no part of it: it is in its callers' rows.
        yield NESTED, ranking.nested_blocks


def _for_screen(ranking: Ranking, width: int) -> Table:
    """Return the table for a screen. Metrics give way from the right, name and share never do."""
    is_text = ranking.by in _WORDED
    named = LEAST_NAME
    if is_text:
        named = max(LEAST_NAME, int(QUERY_SHARE * width)) + CATEGORY_WIDTH
    with_place = ranking.by is By.STATEMENT and width >= WIDE
    with_bar = width >= NARROW
    named += PLACE_WIDTH * with_place
    room = width - named - SHARE_WIDTH - (BAR_WIDTH + 1) * with_bar
    kept = 2 if SORTED_BY[ranking.sort] else 1  # what it is sorted by is always there
    metrics, room = _fitting(shown(ranking), room, kept)
    name_width = max(room + named, LEAST_NAME + CATEGORY_WIDTH * is_text)
    # Numbers are never cut: what gives way is the text at the end.
    columns = [TableColumn("share", right=True, least=SHARE_WIDTH - 1, format=format_share)]
    columns += [TableColumn("", least=BAR_WIDTH, format=str, extra=True)] * with_bar
    columns += [
        TableColumn(
            metric.title, right=True, least=_room(metric), optional=n >= kept, format=metric.shown
        )
        for n, metric in enumerate(metrics)
    ]
    if is_text:
        query = name_width - CATEGORY_WIDTH - PLACE_WIDTH * with_place
        columns.append(TableColumn("category", least=CATEGORY_WIDTH - 1, most=CATEGORY_WIDTH - 1))
        place = TableColumn("user@database", least=PLACE_WIDTH - 1, most=PLACE_WIDTH - 1)
        columns += [place] * with_place
        columns.append(TableColumn("query", most=max(query, LEAST_QUERY), format=str))
    else:
        most = min(name_width - 1, LONGEST_NAME)
        columns.insert(0, TableColumn(ranking.by.value, most=most, format=str))

    def cells(name: str, words: Sequence[str], share: Any, drawn: Any, numbers: Any) -> list[Any]:
        values = [share, *[drawn] * with_bar, *numbers]
        text = one_line(displayed(name), LONGEST_TEXT)
        return [*values, *words[: 1 + with_place], text] if is_text else [text, *values]

    def ranked(row: RankRow) -> list[Any]:
        share = Bound(row.share) if row.uncertain else row.share
        drawn = Mark(bar(row.share), _COLOURS.get(row.category, "cyan"))
        numbers = (metric.value(row.cost) for metric in metrics)
        return cells(row.name, (row.category, _place(row)), share, drawn, numbers)

    def line(name: str, blocks: int | None) -> list[Any]:
        known = of_blocks(ranking, blocks)
        numbers = (known.get(metric.name, "") for metric in metrics)
        return cells(name, ("", ""), ranking.share(blocks), "", numbers)

    below = [ranked(row) for row in extra_rows(ranking)]
    if not ranking.lines:
        below.append(line(NAMES[LedgerLine.UNATTRIBUTED], None))
    below += [line(*each) for each in _server_lines(ranking)]
    dim = [[v if isinstance(v, Mark) else Mark(v, "dim") for v in row] for row in below]
    return Table(columns, [*map(ranked, ranking.rows), *dim])


def _room(metric: Metric) -> int:
    return max(len(metric.title), NUMBER_WIDTH)


def _fitting(metrics: Sequence[Metric], room: int, kept: int) -> tuple[Sequence[Metric], int]:
    """Return the metrics for which there is room, at least those kept, and the room left."""
    fitting: list[Metric] = []
    for metric in metrics:
        needed = _room(metric) + 1
        if needed > room and len(fitting) >= kept:
            break
        room -= needed
        fitting.append(metric)
    return fitting, room


def _place(row: RankRow) -> str:
    place = f"{row.user}@{row.database}" if row.user or row.database else ""
    return f"{row.server}: {place}" if row.server else place
