"""Rules as documents, for a page or an issue: those in force, and the category of a statement."""

from collections.abc import Iterator, Sequence
from typing import TextIO

from pgiostat.queries.rules import Classified, RuleBook, Rules, RuleVerdict, Subject
from pgiostat.render import markdown
from pgiostat.render.document import Document, Table, TableColumn
from pgiostat.render.rules import (
    IF_SYNC,
    ORDER,
    TRUNCATED,
    feature_rows,
    runners_up,
    when,
    winner_of,
    winner_text,
)
from pgiostat.render.rules_survey import (
    NO_RULE,
    PROPOSED,
    Survey,
    categories_table,
    counted_of,
    rules_text,
)
from pgiostat.units import format_count, format_counted, format_share

__all__ = ["fenced", "judged", "listed", "write_survey"]


def fenced(text: str, language: str) -> str:
    """Return a text as a block of code, which no line of it ends.

    >>> print(fenced("a = 1", "toml"))
    ```toml
    a = 1
    ```
    """
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text}\n{fence}"


def listed(book: RuleBook) -> Document:
    """Return the rules in the order in which they are tried."""
    tables = [_table(book.rules)]
    notes = [[ORDER]]
    if book.if_sync is not None:
        tables.append(_table(book.if_sync))
        notes.append([f"Second table. {IF_SYNC.removesuffix(':')}."])
    lists = ", ".join(f"@{name}" for name in sorted(book.rules.vocabulary.lists))
    return Document(
        subject=format_counted(len(book.rules.rules), "rule"),
        summary="in the order in which they are tried",
        notes=[*notes, [f"Lists: {lists}"]],
        tables=tables,
    )


def _table(rules: Rules) -> Table:
    columns = [
        TableColumn("place", right=True, format=str),
        TableColumn("rule"),
        TableColumn("category"),
        TableColumn("when"),
    ]
    return Table(
        columns,
        [
            [place, rule.name, rule.category, when(rule)]
            for place, rule in enumerate(rules.rules, 1)
        ],
    )


def judged(found: Classified, subject: Subject, verdicts: Sequence[RuleVerdict]) -> Document:
    """Return the category of a statement, its features, and the runners-up."""
    winner = winner_of(verdicts)
    nearest, rest = runners_up(verdicts, winner)
    features = [TableColumn("feature"), TableColumn("value")]
    losing = [TableColumn("runner-up"), TableColumn("category"), TableColumn("why it lost")]
    return Document(
        subject=found.category,
        summary=winner_text(winner, verdicts),
        warnings=[TRUNCATED] if found.normalized.truncated else [],
        notes=[[rest]] if rest else [],
        tables=[
            Table(features, list(_features(found, subject))),
            Table(losing, [[rule.name, rule.category, why] for rule, why in nearest]),
        ],
    )


def _features(found: Classified, subject: Subject) -> Iterator[tuple[str, str]]:
    yield "text", found.normalized.text
    yield "fingerprint", found.normalized.fingerprint
    for is_within, key, value in feature_rows(subject):
        yield f"block: {key}" if is_within else key, value


def write_survey(survey: Survey, out: TextIO) -> None:
    """Write the categories of a server's statements, and rules for those that match no rule."""
    columns = [
        TableColumn("share", right=True, format=format_share),
        TableColumn("blocks read", right=True, format=format_count),
        TableColumn("calls", right=True, format=format_count),
        TableColumn("fingerprint"),
        TableColumn("proposed rule"),
        TableColumn(NO_RULE, rest=True),
    ]
    rows = [
        [
            each.row.share,
            each.row.cost.blocks,
            each.row.cost.calls,
            each.row.fingerprint,
            each.rule,
            each.row.name,
        ]
        for each in survey.unclear.statements
    ]
    page = Document(
        subject=survey.snapshot.server.label,
        summary=", ".join(counted_of(survey.snapshot)),
        tables=[categories_table(survey), *([Table(columns, rows)] if rows else [])],
    )
    markdown.write(page, out)
    if rows:
        out.write(f"\n{PROPOSED}\n\n{fenced(rules_text(survey.unclear), 'toml')}\n")
