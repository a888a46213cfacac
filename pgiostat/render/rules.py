"""Rules for people: the active ones, and the reason for a statement's category."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from pgiostat.analysis.rank import Ranking, RankRow
from pgiostat.escape import terminal
from pgiostat.escape import toml as toml_text
from pgiostat.queries.rules import (
    Classified,
    Condition,
    Rule,
    RuleBook,
    Rules,
    RuleVerdict,
    Subject,
    observed,
)
from pgiostat.render.document import Table, TableColumn
from pgiostat.render.ledger import displayed
from pgiostat.render.sql import statement
from pgiostat.render.table import BAR_WIDTH, bar, one_line
from pgiostat.render.text import drawn, lines
from pgiostat.statistics.snapshot import Snapshot
from pgiostat.units import format_count, format_share

__all__ = [
    "IF_SYNC",
    "NO_RULE",
    "ORDER",
    "TRUNCATED",
    "categories_table",
    "counted_of",
    "feature_rows",
    "judged",
    "list_text",
    "listed",
    "rule_text",
    "runners_up",
    "surveyed",
    "when",
    "winner_of",
    "winner_text",
]

FINGERPRINT_WIDTH = 18
NUMBER_WIDTH = 7
LEAST_TEXT = 20
NARROW = 70
NEAREST = 5
"""How many losing rules are explained."""
ORDER = "The first that matches wins; a statement that none matches is named after what it does."
IF_SYNC = (
    "The preset sync is in force instead where the statements read the newest version and a"
    " manifest of one table:"
)
NO_RULE = "statement that matches no rule"
TRUNCATED = "The text is cut off: the end of the statement is unknown."


def toml(value: object) -> str:
    """Return a value as a rules file has it, on one line.

    >>> toml({"reads": "@synced", "block": {"newest": ["a", "b"], "limit": True}})
    '{ reads = "@synced", block = { newest = ["a", "b"], limit = true } }'
    """
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {toml(item)}' for key, item in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    return toml_text(value) if isinstance(value, str) else str(value).lower()


def shown_value(value: Any) -> str:
    """Return what a statement shows of a key.

    >>> [shown_value(each) for each in (frozenset({"b", "a"}), (), None, True, 3)]
    ['a, b', 'none', 'unknown, because of *', 'true', '3']
    """
    if value is None:
        return "unknown, because of *"
    if isinstance(value, frozenset | tuple | set):
        names = sorted(value) if not isinstance(value, tuple) else value
        return ", ".join(names) or "none"
    return str(value).lower() if isinstance(value, bool | int) else str(value)


def shown_value_of(key: str, value: Any) -> str:
    """Return what a statement shows of a key; ? for a cursor's name and comments.

    >>> shown_value_of("tag", frozenset({"job=export"})), shown_value_of("tag", frozenset())
    ('?', 'none')
    """
    return "?" if value and key in _HIDDEN else shown_value(value)


_HIDDEN = frozenset({"cursor", "tag"})


def when(rule: Rule) -> str:
    """Return the conditions of a rule."""
    return toml({condition.key: condition.value for condition in rule.conditions})


# --- rules show --------------------------------------------------------------------------


def listed(book: RuleBook) -> RenderableType:
    """Return the rules in the order in which they are tried."""
    lists = ", ".join(f"@{name}" for name in sorted(book.rules.vocabulary.lists))
    parts: list[RenderableType] = [_listed(book.rules)]
    if book.if_sync is not None:
        parts += [Text(f"\n{IF_SYNC}\n"), _listed(book.if_sync)]
    return Group(
        *parts,
        Text(f"\n{ORDER}"),
        Text(f"Lists: {terminal(lists)}", "dim"),
        Text("pgiostat rules show NAME, or '@LIST', shows one of them in full.", "dim"),
    )


def _listed(rules: Rules) -> Grid:
    grid = Grid(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    grid.add_column("", justify="right", style="dim")
    grid.add_column("rule", no_wrap=True)
    grid.add_column("category", no_wrap=True)
    grid.add_column("when")
    for place, rule in enumerate(rules.rules, 1):
        cells = (Text(terminal(rule.category)), Text(when(rule)))
        grid.add_row(str(place), _name(rule), *cells)
    return grid


def _name(rule: Rule) -> Text:
    return Text(terminal(rule.name), "" if _is_builtin(rule) else "bold")


def _is_builtin(rule: Rule) -> bool:
    return rule.source.startswith("preset ")


def rule_text(rules: Rules, name: str) -> str | None:
    """Return a rule, or all of that name, as a file has it; None if there is none."""
    found = [
        line
        for place, rule in enumerate(rules.rules, 1)
        if rule.name == name
        for line in (
            f"# {place} of {len(rules.rules)}, {terminal(rule.source)}",
            "[[rule]]",
            f"name = {toml(rule.name)}",
            f"category = {toml(rule.category)}",
            *_when_lines(rule),
        )
    ]
    return "\n".join(found) if found else None


def _when_lines(rule: Rule) -> Iterator[str]:
    yield "[rule.when]"
    nested = [condition for condition in rule.conditions if condition.inner]
    for condition in rule.conditions:
        if condition not in nested:
            yield f"{condition.key} = {toml(condition.value)}"
    for condition in nested:
        yield f"[rule.when.{condition.key}]"
        for inner in condition.inner:
            yield f"{inner.key} = {toml(inner.value)}"


def list_text(rules: Rules, name: str) -> str | None:
    """Return a list of the vocabulary as a file has it; None if there is none."""
    values = rules.vocabulary.lists.get(name)
    return None if values is None else f"{terminal(name)} = {toml(values)}"


# --- rules test SQL ----------------------------------------------------------------------


def judged(
    found: Classified, subject: Subject, verdicts: Sequence[RuleVerdict], *, with_text: bool = True
) -> RenderableType:
    """Return where a statement falls, by which rule, what its features are, and the runners-up.

    with_text: with the statement itself, if it is not shown already.
    """
    winner = winner_of(verdicts)
    headline = Text(terminal(found.category), "bold")
    headline.append(f"  {terminal(winner_text(winner, verdicts))}", "not bold")
    headline.append(f"  {found.normalized.fingerprint}", "not bold dim")
    parts: list[RenderableType] = [headline]
    if found.if_sync is not None and found.if_sync.category != found.category:
        parts.append(Text(f"With --preset sync: {terminal(found.if_sync.category)}", "dim"))
    parts.append("")
    if with_text:
        parts += [statement(found.normalized.text), ""]
    if found.normalized.truncated:
        parts.append(Text(f"{TRUNCATED}\n"))
    return Group(*parts, _features(subject), "", _runners_up(verdicts, winner))


def winner_of(verdicts: Sequence[RuleVerdict]) -> RuleVerdict | None:
    """Return the first rule that matches, None if none does."""
    return next((verdict for verdict in verdicts if not verdict.failed), None)


def winner_text(winner: RuleVerdict | None, verdicts: Sequence[RuleVerdict]) -> str:
    """Return which rule gives a statement its category."""
    if winner is None:
        return "named after what it does: no rule matches"
    rule = winner.rule
    return f"by {rule.name} ({rule.source}, {winner.place} of {len(verdicts)})"


def _features(subject: Subject) -> Grid:
    grid = Grid(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False)
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for is_within, key, value in feature_rows(subject):
        grid.add_row("  " * is_within + key, Text(terminal(value)))
    return grid


def feature_rows(subject: Subject) -> Iterator[tuple[bool, str, str]]:
    """Yield the features of a statement: whether it is one of a query block, its key and value."""
    for key, value in observed(subject).items():
        if key not in _SHOWN_ABOVE:
            yield False, key, shown_value_of(key, value)
    for block in subject.features.blocks:
        yield False, "block", block.verb
        for key, value in observed(block).items():
            yield True, key, shown_value(value)


_SHOWN_ABOVE = frozenset({"fingerprint", "text_regex"})


def _runners_up(verdicts: Sequence[RuleVerdict], winner: RuleVerdict | None) -> RenderableType:
    nearest, rest = runners_up(verdicts, winner)
    grid = Grid(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    grid.add_column("runner-up", no_wrap=True)
    grid.add_column("category", no_wrap=True)
    grid.add_column("why not", overflow="fold")
    for rule, why in nearest:
        grid.add_row(_name(rule), Text(terminal(rule.category)), Text(terminal(why)))
    return Group(grid, Text(rest, "dim"))


def runners_up(
    verdicts: Sequence[RuleVerdict], winner: RuleVerdict | None
) -> tuple[list[tuple[Rule, str]], str]:
    """Return the rules that come nearest to a statement with why each lost, and on the others."""
    losing = [verdict for verdict in verdicts if verdict is not winner]
    nearest = sorted(losing, key=lambda verdict: (-verdict.held, verdict.place))[:NEAREST]
    reasons = [
        (each.rule, "; ".join(_reason(condition, value) for condition, value in each.failed))
        for each in nearest
    ]
    rest = len(losing) - len(nearest)
    return (
        [(rule, why or "it matches too, but a rule before it decides") for rule, why in reasons],
        f"{rest} more rules match less." if rest else "",
    )


def _reason(condition: Condition, value: Any) -> str:
    if condition.key == "not":
        return f"excluded by not = {toml(condition.value)}"
    if condition.key == "block":
        return "there is no query block"
    shown = shown_value_of(condition.key, value)
    return f"{condition.key} is {shown}, not {toml(condition.value)}"


# --- rules test DSN ----------------------------------------------------------------------


def surveyed(
    snapshot: Snapshot, categories: Ranking, others: Sequence[RankRow], *, width: int
) -> RenderableType:
    """Return how a server's statements fall into categories, then the biggest of no rule's."""
    counted = terminal("  ".join(counted_of(snapshot)))
    headline = Text(terminal(snapshot.server.label), "bold").append(f"  {counted}", "not bold")
    parts: list[RenderableType] = [headline, *_categories(categories, width)]
    if not others:
        return Group(*parts)
    how = Text(
        '\nTo name one: a rule of your own, or when = { fingerprint = ["2:…"] };'
        "\nTo see the features of a statement: pgiostat rules test 'SQL'",
        "dim",
    )
    return Group(*parts, "", *_unknown(others, width), how)


def counted_of(snapshot: Snapshot) -> Iterator[str]:
    """Yield the version of a server, the number of its statements, and since when they count."""
    since = snapshot.markers.statements_reset
    yield f"PostgreSQL {snapshot.server.version}"
    yield f"{len(snapshot.statements)} statements"
    if since is not None:
        yield f"since {since.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"


def _categories(ranking: Ranking, width: int) -> Iterator[Text]:
    return drawn(lines(categories_table(ranking, is_wide=width >= NARROW), width))


def categories_table(ranking: Ranking, *, is_wide: bool = True) -> Table:
    """Return the categories of a server's statements."""
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
    ]
    rows = [
        [displayed(row.name), row.share, row.share, row.cost.blocks, row.cost.calls, row.members]
        for row in (*ranking.rows, *([] if ranking.own is None else [ranking.own]))
    ]
    kept = range(len(columns)) if is_wide else (0, 1, 3, 4)
    chosen = [[row[n] for n in kept] for row in rows]
    return Table([columns[n] for n in kept], chosen, gap=2)


def _unknown(others: Sequence[RankRow], width: int) -> Iterator[Text]:
    """Return statements of no category, as much of their texts as there is room for."""
    columns = [_number("share", format_share), _number("blocks read")]
    columns += [_number("calls")] * (width >= NARROW)
    beside = sum(max(len(column.heading), NUMBER_WIDTH) + 2 for column in columns)
    room = max(width - FINGERPRINT_WIDTH - 2 - beside, LEAST_TEXT)
    columns += [
        TableColumn("fingerprint", least=FINGERPRINT_WIDTH),
        TableColumn(NO_RULE, least=room, most=room, format=str),
    ]
    rows = []
    for row in others:
        numbers = [row.share, row.cost.blocks, row.cost.calls][: len(columns) - 2]
        rows.append([*numbers, row.fingerprint, one_line(row.name, room - 1)])
    return drawn(lines(Table(columns, rows, gap=2), width))


def _number(heading: str, words: Callable[[Any], str] = format_count) -> TableColumn:
    """Return a column of numbers, which are never cut."""
    return TableColumn(heading, right=True, least=NUMBER_WIDTH, format=words)
