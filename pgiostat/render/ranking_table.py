"""A ranking for people: the line above it, and its table for a page and for a screen."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rich.cells import cell_len

from pgiostat.analysis.ledger import LedgerLine
from pgiostat.analysis.rank import OF_RELATIONS, By, Ranking, RankRow
from pgiostat.escape import terminal
from pgiostat.render.activity_columns import (
    ActivityMetric,
    Column,
    shown_columns,
    shown_number,
)
from pgiostat.render.columns import KEYS, OF_TEXTS, SORTED_BY, Key, of_blocks
from pgiostat.render.document import Bound, Mark, Piece, Table, TableColumn
from pgiostat.render.ledger import NAMES, AccountLine, account_lines, displayed
from pgiostat.render.statement_names import (
    database_sign,
    distinct,
    distinguishable,
    marks_of,
    need_column,
    screen_name,
    shown_category,
)
from pgiostat.render.table import BAR_WIDTH, bar
from pgiostat.units import format_bytes, format_count, format_coverage, format_share

__all__ = ["extra_rows", "ranking_table", "summary"]

NARROW, WIDE = 70, 110
NUMBER_WIDTH, SHARE_WIDTH, PLACE_WIDTH = 8, 8, 22
WORD_WIDTH = len("primary key")
LONGEST_CATEGORY = 24
LEAST_INDEX, LONGEST_INDEX, BAR_OF_INDEX = 30, 72, 140
MOST_QUERYIDS = 3
"""Queryids of a row; before PostgreSQL 18 each length of an IN list has its own."""
LEAST_NAME, LEAST_TEXT, LONGEST_NAME, LEAST_QUERY = 17, 26, 44, 8
QUERY_SHARE, CATEGORISED_SHARE = 0.4, 0.26
_COLOURS = {"version": "red", "manifest": "yellow", "upload": "green", "download": "blue"}


def summary(
    ranking: Ranking, coverage: float | None, since_start: float | None = None
) -> list[Piece]:
    """Return the total of the reads, and numbers of all statements, as pieces of a line.

    Args:
        ranking: The statements.
        coverage: The share of the server's reads that they explain, in the time that is ranked.
        since_start: The same over all intervals until now, if there were others.
    """
    cost, total = ranking.explained, ranking.cost_of(ranking.total)
    pieces: list[Piece] = [
        ("read ", "dim", 1),
        (f"{format_count(total.blocks_per_s)} blocks/s", "bold", 0),
        (f"  {format_bytes(total.bytes_per_s)}/s", "", 3),
        (f"  hit {format_share(cost.hit_ratio)}", "", 4),
        (f"  coverage {format_coverage(coverage)}", "", 2),
    ]
    if since_start is not None:
        pieces.append((f", {format_coverage(since_start)} since the start", "dim", 7))
    if ranking.by not in OF_RELATIONS:
        pieces.insert(4, (f"  sessions reading {format_count(cost.reading_sessions)}", "", 5))
    if cost.per_block.is_combined:
        operations = f"  {format_count(total.operations_per_s)} read ops/s"
        pieces[3:3] = [(operations, "", 6), (f" by {cost.operations_by}", "dim", 8)]
    return pieces


def extra_rows(ranking: Ranking) -> list[RankRow]:
    """Return the rows below the ranked ones: the rest as one, and pgiostat."""
    return [row for row in (ranking.rest, ranking.own) if row is not None]


def ranking_table(ranking: Ranking, *, identified: bool = False) -> Table:
    """Return the ranking with all its parts, and the server's own count below them.

    Args:
        ranking: The ranking.
        identified: On a screen, the rows of statements are numbered, and below the table each
            number has its queryid and fingerprint.
    """
    keys, metrics = _keys(ranking), shown_columns(ranking)
    is_text = ranking.by in OF_TEXTS
    return Table(
        [
            *(TableColumn(key.name) for key in keys),
            TableColumn("share", right=True, format=format_share),
            *(
                TableColumn(metric.title, right=not _is_text(metric), format=metric.shown)
                for metric in metrics
            ),
        ],
        _page_rows(ranking, metrics),
        fit=lambda width: (
            _statements_for_screen(ranking, width, identified=identified)
            if is_text
            else _for_screen(ranking, width)
        ),
    )


def _keys(ranking: Ranking) -> tuple[Key, ...]:
    """Return the columns of a page that say what a row is."""
    with_queryids = any(row.queryids for row in ranking.rows)
    return (*[_QUERYIDS] * with_queryids, *KEYS[ranking.by])


def _page_rows(ranking: Ranking, metrics: Sequence[Column]) -> Iterator[list[Any]]:
    keys, extras = _keys(ranking), extra_rows(ranking)
    for row in (*ranking.rows, *extras):
        names = [displayed(str(key.value(row) or "")) for key in keys]
        if row in extras:
            names[0] = displayed(row.name)
        yield [*names, row.share, *(shown_number(metric, ranking, row) for metric in metrics)]
    for each in account_lines(ranking):
        known = of_blocks(ranking, each.blocks)
        numbers = (known.get(metric.name, "") for metric in metrics)
        yield [each.name, *[""] * (len(keys) - 1), _share(ranking, each), *numbers]


def _share(ranking: Ranking, line: AccountLine) -> float | str | None:
    return ranking.share(line.blocks) if line.has_share else ""


def _for_screen(ranking: Ranking, width: int) -> Table:
    """Return the table for a screen. Metrics give way from the right, name and share never do."""
    is_index = ranking.by is By.INDEX
    with_bar = width >= (BAR_OF_INDEX if is_index else NARROW)
    least, longest = (LEAST_INDEX, LONGEST_INDEX) if is_index else (LEAST_NAME, LONGEST_NAME)
    # The time of reads is never cut.
    least = max(least, *(len(line.name) + 1 for line in account_lines(ranking)))
    room = width - least - SHARE_WIDTH - (BAR_WIDTH + 1) * with_bar
    metrics, room = _fitting(shown_columns(ranking), room, _kept(ranking))
    most = min(max(room + least, least) - 1, longest)
    named = TableColumn(ranking.by.value, most=most, format=str)
    columns = [named, *_number_columns(metrics, _kept(ranking), with_bar=with_bar)]

    # Names of indexes of one table begin alike.
    texts = [_named_within(row, most) for row in ranking.rows]
    keys = [row.key for row in ranking.rows]
    names = dict(zip(keys, distinguishable(texts, most) if is_index else texts, strict=True))

    def named_cells(row: RankRow | None, name: str) -> tuple[list[Any], list[Any]]:
        return [names.get(row.key if row else (), terminal(displayed(name)))], []

    return Table(columns, _screen_rows(ranking, metrics, named_cells, with_bar=with_bar))


def _named_within(row: RankRow, width: int) -> str:
    """Return the name of a row; of an index with its table only where there is room for both."""
    name = terminal(displayed(row.name))
    if not row.relation or cell_len(name) <= width:
        return name
    return name.removesuffix(f" on {terminal(displayed(row.relation))}")


def _statements_for_screen(ranking: Ranking, width: int, *, identified: bool) -> Table:
    """Return the table of statements for a screen: the text at the end gives way, no number."""
    with_bar, with_place = width >= WIDE, ranking.by is By.STATEMENT and width >= WIDE
    categories = [terminal(shown_category(row)) for row in ranking.rows]
    longest = max(map(cell_len, categories)) if need_column(categories) else 0
    category = min(longest, LONGEST_CATEGORY)
    if category:
        category = max(category, len("category"))
    digits = len(str(len(ranking.rows))) if identified else 0
    taken = SHARE_WIDTH + (BAR_WIDTH + 1) * with_bar + PLACE_WIDTH * with_place
    taken += category + (category > 0) + digits + (digits > 0)
    share = CATEGORISED_SHARE if category else QUERY_SHARE
    least = max(LEAST_TEXT, int(share * width))
    metrics, room = _fitting(shown_columns(ranking), width - taken - least, _kept(ranking))
    query = max(room + least, LEAST_QUERY)
    columns = [TableColumn("#", right=True, least=digits, format=str)] * (digits > 0)
    columns += _number_columns(metrics, _kept(ranking), with_bar=with_bar)
    columns += [TableColumn("category", least=category, most=category)] * (category > 0)
    place = TableColumn("user@database", least=PLACE_WIDTH - 1, most=PLACE_WIDTH - 1)
    columns += [place] * with_place
    columns.append(TableColumn("query", most=query, format=str))
    names = distinct(
        [screen_name(row) for row in ranking.rows],
        [marks_of(row) for row in ranking.rows],
        query,
        [_place(row) for row in ranking.rows] if with_place else [],
        [database_sign(row) if len(row.databases) > 1 else "" for row in ranking.rows],
    )
    numbers = {row.key: number for number, row in enumerate(ranking.rows)}

    def named_cells(row: RankRow | None, name: str) -> tuple[list[Any], list[Any]]:
        number = None if row is None else numbers.get(row.key)
        text = terminal(displayed(name)) if number is None else names[number]
        words = ["" if row is None else shown_category(row)] * (category > 0)
        words += ["" if row is None else _place(row)] * with_place
        return ["" if number is None else str(number + 1)] * (digits > 0), [*words, text]

    rows = _screen_rows(ranking, metrics, named_cells, with_bar=with_bar)
    legend = [("", ""), *_identities(ranking)] if identified and ranking.rows else []
    return Table(columns, rows, legend=legend)


def _identities(ranking: Ranking) -> Iterator[tuple[str, str]]:
    """Yield a line for each statement: its number in the table, and what identifies it."""
    digits = len(str(len(ranking.rows)))
    for number, row in enumerate(ranking.rows, 1):
        words = [f"{number:>{digits}}"]
        words += [f"queryid {_queryids(row)}"] if _queryids(row) else []
        words += [f"fingerprint {row.fingerprint}"] if row.fingerprint else []
        yield "  ".join(filter(None, [*words, _place(row)])), "dim"


def _queryids(row: RankRow) -> str:
    """Return the queryids of a statement, those with the most reads first; the rest as a count."""
    known = row.queryids if row.queryid is None else (row.queryid,)
    listed = [*map(str, known[:MOST_QUERYIDS])]
    more = len(known) - MOST_QUERYIDS
    return ", ".join(listed + [f"{more} more"] * (more > 0))


_QUERYIDS = Key("queryid", "the server's hashes of the statement", _queryids)


def _kept(ranking: Ranking) -> int:
    """Return how many metrics are always there: the first, and what the ranking is sorted by."""
    return 2 if SORTED_BY[ranking.sort] else 1


def _number_columns(metrics: Sequence[Column], kept: int, *, with_bar: bool) -> list[TableColumn]:
    """Return the columns of numbers, which are never cut."""
    columns = [TableColumn("share", right=True, least=SHARE_WIDTH - 1, format=format_share)]
    columns += [TableColumn("", least=BAR_WIDTH, format=str, extra=True)] * with_bar
    return columns + [
        TableColumn(
            metric.title,
            right=not _is_text(metric),
            least=_room(metric),
            optional=n >= kept,
            format=metric.shown,
        )
        for n, metric in enumerate(metrics)
    ]


NamedCells = Callable[[RankRow | None, str], tuple[list[Any], list[Any]]]
"""Returns the words of a row before and after its numbers, by the row or its name alone."""


def _screen_rows(
    ranking: Ranking, metrics: Sequence[Column], named: NamedCells, *, with_bar: bool
) -> list[list[Any]]:
    """Return the rows of a screen, and below them those that no statement explains."""

    def ranked(row: RankRow) -> list[Any]:
        before, after = named(row, row.name)
        share = Bound(row.share) if row.uncertain else row.share
        drawn = Mark(bar(row.share), _COLOURS.get(row.category, "cyan"))
        numbers = (shown_number(metric, ranking, row) for metric in metrics)
        return [*before, share, *[drawn] * with_bar, *numbers, *after]

    def line(each: AccountLine) -> list[Any]:
        before, after = named(None, each.name)
        known = of_blocks(ranking, each.blocks)
        numbers = (known.get(metric.name, "") for metric in metrics)
        return [*before, _share(ranking, each), *[""] * with_bar, *numbers, *after]

    below = [ranked(row) for row in extra_rows(ranking)]
    if not ranking.lines:
        below.append(line(AccountLine(NAMES[LedgerLine.UNATTRIBUTED], None)))
    below += map(line, account_lines(ranking))
    dim = [[v if isinstance(v, Mark) else Mark(v, "dim") for v in row] for row in below]
    return [*map(ranked, ranking.rows), *dim]


def _room(metric: Column) -> int:
    return max(len(metric.title), WORD_WIDTH if _is_text(metric) else NUMBER_WIDTH)


def _is_text(metric: Column) -> bool:
    return isinstance(metric, ActivityMetric) and metric.is_text


def _fitting(metrics: Sequence[Column], room: int, kept: int) -> tuple[Sequence[Column], int]:
    """Return the metrics for which there is room, at least those kept, and the room left."""
    fitting: list[Column] = []
    for metric in metrics:
        needed = _room(metric) + 1
        if needed > room and len(fitting) >= kept:
            break
        room -= needed
        fitting.append(metric)
    return fitting, room


def _place(row: RankRow) -> str:
    place = f"{row.user}@{row.database}" if row.user or row.database else database_sign(row)
    return f"{row.server}: {place}" if row.server else place
