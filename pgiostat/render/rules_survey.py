"""The statements of a server by category, and rules for those that match none."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from rich.console import Group
from rich.text import Text

from pgiostat.analysis.rank import Ranking
from pgiostat.escape import terminal
from pgiostat.queries.rules.suggest import Unclear, UnclearStatement, rule_lines
from pgiostat.queries.short_form import short_form
from pgiostat.render.document import Table, TableColumn
from pgiostat.render.ledger import displayed
from pgiostat.render.table import BAR_WIDTH, bar, one_line
from pgiostat.render.text import drawn, lines
from pgiostat.statistics.snapshot import Snapshot
from pgiostat.units import format_count, format_counted, format_share

__all__ = [
    "HOW",
    "NO_RULE",
    "PROPOSED",
    "Survey",
    "categories_table",
    "counted_of",
    "rules_text",
    "surveyed",
]

FINGERPRINT_WIDTH = 18
NUMBER_WIDTH = 7
LEAST_TEXT = 20
NARROW, WIDE = 70, 110
NAME_WIDTH, RULE_WIDTH = 32, 16
NO_RULE = "statement that matches no rule"
PROPOSED = "Proposed rules, for a rules file:"
HOW = "To see the features of a statement: pgiostat rules test 'SQL'"


@dataclass(frozen=True, slots=True)
class Survey:
    """The statements of a server since the last reset.

    Attributes:
        snapshot: The counters.
        categories: The statements by category.
        examples: The text that reads most, by category.
        unclear: Statements that match no rule, with proposed rules.
    """

    snapshot: Snapshot
    categories: Ranking
    examples: Mapping[str, str]
    unclear: Unclear


def surveyed(survey: Survey, *, width: int) -> Group:
    """Return the categories of statements, then the statements that match no rule."""
    snapshot, unclear = survey.snapshot, survey.unclear
    counted = terminal("  ".join(counted_of(snapshot)))
    headline = Text(terminal(snapshot.server.label), "bold").append(f"  {counted}", "not bold")
    parts = [headline, *drawn(lines(categories_table(survey, width), width))]
    if unclear.statements:
        parts += [Text(), *_unclear(unclear, width), Text(f"\n{PROPOSED}\n")]
    return Group(*parts)


def rules_text(unclear: Unclear) -> str:
    """Return the proposed rules as a rules file has them."""
    return "\n\n".join("\n".join(rule_lines(each)) for each in unclear.rules)


def counted_of(snapshot: Snapshot) -> Iterator[str]:
    """Yield the version of a server, the number of its statements, and since when they count."""
    since = snapshot.markers.statements_reset
    yield f"PostgreSQL {snapshot.server.version}"
    yield format_counted(len(snapshot.statements), "statement")
    if since is not None:
        yield f"since {since.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"


def categories_table(survey: Survey, width: int | None = None) -> Table:
    """Return the categories of a server's statements.

    Args:
        survey: The statements.
        width: Of the screen; None for a page.
    """
    ranking = survey.categories
    columns = [
        TableColumn("category", rest=True),
        _number("share", format_share),
        TableColumn(
            "",
            right=True,
            least=BAR_WIDTH,
            format=lambda n: bar(n).rstrip(),
            style="cyan",
            extra=True,
        ),
        _number("blocks read"),
        _number("calls"),
        _number("statements"),
        TableColumn("statement that reads most", format=str),
    ]
    shown = [*ranking.rows, *([] if ranking.own is None else [ranking.own])]
    numbers = [
        [row.share, row.share, row.cost.blocks, row.cost.calls, row.members] for row in shown
    ]
    names = [displayed(row.name) for row in shown]
    texts = [survey.examples.get(row.name, "") for row in shown]
    kept: Sequence[int] = range(len(columns))
    if width is not None and width >= WIDE:
        named = min(max(map(len, names), default=0), NAME_WIDTH)
        beside = named + sum(max(len(each.heading), each.least) + 2 for each in columns[1:-1])
        columns[0] = TableColumn("category", least=named, most=named)
        columns[-1] = TableColumn(columns[-1].heading, most=width - beside - 2, format=str)
        texts = [one_line(short_form(text), width - beside - 3) for text in texts]
    elif width is not None:
        kept = kept[:-1] if width >= NARROW else (0, 1, 3, 4)
    rows = [[name, *each, text] for name, each, text in zip(names, numbers, texts, strict=True)]
    return Table([columns[n] for n in kept], [[row[n] for n in kept] for row in rows], gap=2)


def _unclear(unclear: Unclear, width: int) -> Iterator[Text]:
    """Return statements that match no rule, as much of their texts as there is room for."""
    columns = [_number("share", format_share), _number("blocks read")]
    columns += [_number("calls")] * (width >= NARROW)
    numbers = len(columns)
    columns += [TableColumn("fingerprint", least=FINGERPRINT_WIDTH)]
    if is_wide := width >= WIDE:
        columns.append(TableColumn("proposed rule", least=RULE_WIDTH, most=RULE_WIDTH, format=str))
    beside = sum(max(len(column.heading), column.least) + 2 for column in columns)
    room = max(width - beside, LEAST_TEXT)
    columns.append(TableColumn(NO_RULE, least=room, most=room, format=str))

    def cells(each: UnclearStatement) -> list[Any]:
        cost = each.row.cost
        known = [each.row.share, cost.blocks, cost.calls][:numbers]
        rule = [one_line(each.rule, RULE_WIDTH)] * is_wide
        return [*known, each.row.fingerprint, *rule, one_line(short_form(each.row.name), room - 1)]

    rows = [cells(each) for each in unclear.statements]
    return drawn(lines(Table(columns, rows, gap=2), width))


def _number(heading: str, words: Callable[[Any], str] = format_count) -> TableColumn:
    """Return a column of numbers, which are never cut."""
    return TableColumn(heading, right=True, least=NUMBER_WIDTH, format=words)
