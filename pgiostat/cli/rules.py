"""pgiostat rules: write a rules file, show the active rules, and test them."""

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from pgiostat.cli import completion, options
from pgiostat.cli.connection import connects, is_database
from pgiostat.cli.console import console
from pgiostat.cli.histories import DEFAULT_RULES, RulesChoice, categorizes, rules_of
from pgiostat.cli.next_command import next_line
from pgiostat.errors import PgiostatError
from pgiostat.escape import terminal

if TYPE_CHECKING:
    from pgiostat.queries.rules import PresetChoice, RuleBook
    from pgiostat.queries.rules.suggest import Suggestions

__all__ = ["app"]

app = typer.Typer(
    rich_markup_mode=None,
    help="Write, show and test the rules that assign categories.",
)

TOP_OTHERS = 10
COMMANDS = frozenset({
    "ABORT", "ALTER", "ANALYSE", "ANALYZE", "BEGIN", "CALL", "CHECKPOINT", "CLOSE", "CLUSTER",
    "COMMENT", "COMMIT", "COPY", "CREATE", "DEALLOCATE", "DECLARE", "DELETE", "DISCARD", "DO",
    "DROP", "END", "EXECUTE", "EXPLAIN", "FETCH", "GRANT", "IMPORT", "INSERT", "LISTEN", "LOAD",
    "LOCK", "MERGE", "MOVE", "NOTIFY", "PREPARE", "REASSIGN", "REFRESH", "REINDEX", "RELEASE",
    "RESET", "REVOKE", "ROLLBACK", "SAVEPOINT", "SECURITY", "SELECT", "SET", "SHOW", "START",
    "TABLE", "TRUNCATE", "UNLISTEN", "UPDATE", "VACUUM", "VALUES", "WITH",
})  # fmt: skip # a list in alphabetical order
"""The words that begin a statement of PostgreSQL."""
_LEAD = re.compile(r"(?:[\s(]+|--[^\n]*(?:\n|$)|/\*.*?\*/)*", re.DOTALL)
"""What may precede the first word: comments and parentheses."""


@app.command()
@connects()
def init(
    dsn: Annotated[
        str | None,
        typer.Argument(
            help='Server to find groups and keys on; "" is the one that PG* variables name.',
            metavar="[DBNAME|DSN]",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            callback=options.no_secret,
            help="File to write, or - for standard output.",
            metavar="FILE",
        ),
    ] = Path("rules.toml"),
    preset: options.PresetName = "auto",
) -> None:
    """Write a rules file to start from.

    With a server it has rules for groups of tables: schemas, names that begin with the same word,
    foreign keys, partitions and job queues; and for functions and procedures. Comments give each
    rule's share of reads and its statement with the most reads, and suggest rules by role and by
    tag. The vocabulary of the preset sync comes from primary keys and from columns that look like
    versions; it is in force where the statements show that tables are synchronized, or with
    --preset sync.
    """
    from pgiostat.queries.rules.suggest import rules_file

    found, label = None, ""
    if dsn is not None:
        from pgiostat.cli.rules_server import suggest_for

        label, found = suggest_for(dsn, rules_of(RulesChoice(None, cast("PresetChoice", preset))))
    to_file = str(out) != "-"
    text = rules_file(found, path=str(out) if to_file else "rules.toml", server=label)
    if not to_file:
        print(text, end="")  # noqa: T201 - the answer
        return
    _write(out, text)
    print(f"wrote {terminal(str(out))}{_contents(found)}")  # noqa: T201 - what was done
    print(_next(str(out), dsn))  # noqa: T201 - how to go on


def _next(out: str, dsn: str | None) -> str:
    """Return the line that names the next command, with the server but without its secrets."""
    from pgiostat.postgres.dsn import shown

    return next_line("rules init", rules=out, server=shown(dsn) if dsn else "DBNAME")


def _contents(found: "Suggestions | None") -> str:
    """Return what a rules file holds, in a few words."""
    from pgiostat.units import format_share

    if found is None:
        return ""
    lists = found.lists
    if found.is_sync:
        columns = len(lists.versions) + len(lists.changed)
        return (
            f": {_count(len(lists.synced), 'synced table')}, {_count(columns, 'version column')},"
            f" {_count(len(lists.caches), 'version cache')}"
        )
    share = "" if found.share is None else f" for {format_share(found.share)} of reads"
    return (
        f": {_count(len(found.tables), 'rule')}{share}, keys of"
        f" {_count(found.with_keys, 'table')}; no table is synchronized"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _write(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise PgiostatError(
            f'rules file "{path}" exists already',
            hint="Name another file with --out, or remove this one.",
            slug="rules-file-exists",
        ) from None
    except OSError as error:
        raise PgiostatError(
            f'could not write rules file "{path}": {error.strerror}', slug="rules-file"
        ) from None


@app.command()
@categorizes
def show(
    name: Annotated[
        str | None,
        typer.Argument(
            help="A rule, or a list of the vocabulary (@LIST).",
            autocompletion=completion.rules,
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    rules: RulesChoice = DEFAULT_RULES,
    output: Annotated[str, options.format_option("text", "markdown")] = "text",
) -> None:
    """Show the rules in force, in the order in which they are tried."""
    from pgiostat.render import markdown, rules_markdown
    from pgiostat.render import rules as render

    book = rules_of(rules)
    is_page = _is_page(output)
    if name is None:
        if is_page:
            markdown.write(rules_markdown.listed(book), sys.stdout)
        else:
            console().print(render.listed(book))
        return
    is_list = name.startswith("@")
    find = render.list_text if is_list else render.rule_text
    found = find(book.rules, name.removeprefix("@"))
    if found is None and book.if_sync is not None:
        found = find(book.if_sync, name)
    if found is None:
        raise PgiostatError(
            f'there is no {"list" if is_list else "rule"} "{name}"',
            hint="pgiostat rules show lists them all.",
            slug="rule-missing",
        )
    text = rules_markdown.fenced(found, "toml") if is_page else found
    console().print(text, soft_wrap=True)


def _is_page(output: str) -> bool:
    """Return whether the answer is Markdown."""
    form = options.choice("format", output, options.Form, options.Form.CSV, options.Form.JSON)
    return form is options.Form.MARKDOWN


def _is_database(text: str) -> bool:
    return is_database(text) and text.upper() not in COMMANDS


@app.command("test")
@connects("subject", _is_database)
@categorizes
def try_(
    subject: Annotated[
        str | None,
        typer.Argument(
            help='A statement, or a server as for watch; "" is the one that PG* variables name.',
            metavar="[SQL|DBNAME|DSN]",
            show_default=False,
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            "-f",
            callback=options.no_secret,
            help="File with statements that end with semicolons, or - for standard input.",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    rules: RulesChoice = DEFAULT_RULES,
    top: Annotated[
        int, typer.Option(help="Number of statements to show that match no rule.", metavar="N")
    ] = TOP_OTHERS,
    output: Annotated[str, options.format_option("text", "markdown")] = "text",
) -> None:
    """Show the category of a statement, or those of a server's statements.

    For a statement: its features, the rule that wins, and the runners-up with the reason why each
    lost. For a server: all of pg_stat_statements by category, the statements with the most reads
    that no rule matches, and a proposed rule for each.
    """
    if (subject is None) == (file is None):
        options.refuse(
            "no statement, no server and no -f FILE"
            if file is None
            else "-f cannot be used together with a statement or a server",
            hint="Try: pgiostat rules test 'SELECT max(version) FROM customer'",
        )
    from pgiostat.postgres.dsn import is_dsn

    book, is_page = rules_of(rules), _is_page(output)
    if file is not None:
        _test_texts(book, _statements(_read(file)), is_page=is_page)
    elif subject is not None and (not subject.strip() or is_dsn(subject)):
        _test_server(book, subject, top, is_page=is_page)
    elif subject is not None:
        _test_texts(book, _statements(subject), is_page=is_page)


def _read(path: Path) -> str:
    try:
        raw = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise PgiostatError(
            f'could not read "{path}": {error.strerror}', slug="file-unreadable"
        ) from None
    return raw.decode("utf-8", "replace")


def _statements(text: str) -> list[str]:
    from pgiostat.queries.fingerprint import split

    found = split(text)
    if not found:
        raise PgiostatError("the text has no statement", slug="no-statement")
    for number, each in enumerate(found, 1):
        if not _begins(each):
            raise PgiostatError(
                f"statement {number} of {len(found)} does not begin with an SQL command",
                detail="It is not shown, because it may be a connection string or a part of one.",
                hint="Pass SQL, or a connection string alone. The rows of COPY ... FROM stdin are"
                " not SQL.",
                slug="no-statement",
            )
    return found


def _begins(text: str) -> bool:
    """Return whether a text begins as a statement of PostgreSQL does, after comments.

    >>> _begins("/* a */ (SELECT 1)"), _begins("psql postgresql://u:s3cret@h"), _begins("{}")
    (True, False, False)
    """
    word = re.match(r"[A-Za-z]+(?![\w=])", _LEAD.sub("", text, count=1))
    return word is not None and word[0].upper() in COMMANDS


def _test_texts(book: "RuleBook", texts: list[str], *, is_page: bool) -> None:
    from pgiostat.queries.describe import describer
    from pgiostat.queries.rules import Classifier, Subject
    from pgiostat.render import markdown, rules_markdown
    from pgiostat.render import rules as render
    from pgiostat.statistics.names import Names

    describe, names = describer(book), Names()
    for number, text in enumerate(texts):
        names.add((0, 0, number), describe(text, user="", database="", queryid=number))
    rules, otherwise = book.rules, book.if_sync
    if names.is_sync and book.if_sync is not None:
        rules, otherwise = book.if_sync, None
    screen = console()
    classifier = Classifier(rules, otherwise)
    for number, text in enumerate(texts):
        found = classifier.classify(text)
        normalized = found.normalized
        subject = Subject(found.features, normalized.fingerprint, normalized.text)
        verdicts = rules.verdicts(subject)
        if is_page:
            sys.stdout.write("\n" * (number > 0))
            markdown.write(rules_markdown.judged(found, subject, verdicts), sys.stdout)
            continue
        if number:
            screen.rule(style="dim")
        screen.print(render.judged(found, subject, verdicts))


def _test_server(book: "RuleBook", dsn: str, top: int, *, is_page: bool) -> None:
    from rich.text import Text

    from pgiostat.cli.rules_server import survey_of
    from pgiostat.render import rules_markdown, rules_survey

    survey, texts_error = survey_of(dsn, book, top)
    if is_page:
        rules_markdown.write_survey(survey, sys.stdout)
    else:
        screen = console()
        screen.print(rules_survey.surveyed(survey, width=screen.width))
        if survey.unclear.statements:
            # A line that is wrapped is no comment of TOML any more.
            screen.print(Text(rules_survey.rules_text(survey.unclear)), soft_wrap=True)
            screen.print(Text(f"\n{rules_survey.HOW}", "dim"))
        from pgiostat.cli.next_command import show_next

        show_next("rules test", "text")
    if texts_error is not None:
        raise texts_error
