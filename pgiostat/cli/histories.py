"""The history and the rules of a command: found, opened and closed."""

import re
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pgiostat.cli import process
from pgiostat.cli.console import working
from pgiostat.cli.options import Directory, LocalDirectory, PresetName, RulesFile, refuse
from pgiostat.cli.parameters import Command, with_parameters
from pgiostat.escape import terminal

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from pgiostat.history.read.history import History
    from pgiostat.history.read.windows import Window
    from pgiostat.queries.rules import PresetChoice, RuleBook
    from pgiostat.statistics.names import Describe

__all__ = [
    "DEFAULT_RULES",
    "RulesChoice",
    "Span",
    "categories_directory",
    "categorizes",
    "describe",
    "describing",
    "history_root",
    "local_root",
    "open_history",
    "open_window",
    "reading",
    "reads_history",
    "rules_of",
    "uploads_history",
    "warn_left_out",
    "window_of",
]


def _with_one_history(command: Command, values: dict[str, Any]) -> None:
    """Run a command with the argument in place of the option; refuse both."""
    directory = values.pop("directory")
    if directory is not None and values["history"] is not None:
        refuse("the history is specified twice: as an argument and with --history")
    if directory is not None:
        values["history"] = directory
    command(**values)


reads_history = with_parameters({"directory": (Directory, None)}, _with_one_history, first=True)
"""Gives a command that has --history the same as an argument."""
uploads_history = with_parameters(
    {"directory": (LocalDirectory, None)}, _with_one_history, first=True
)
"""The same for a command that needs the directory."""


class Span(NamedTuple):
    """The options that select a window: label, from when to when, or how long."""

    label: str
    since: str | None
    until: str | None
    last: str | None


class RulesChoice(NamedTuple):
    """The options that select rules: a file of the user, a preset, and what fixes that one."""

    path: Path | None = None
    preset: "PresetChoice" = "auto"
    by: str = "--preset"


DEFAULT_RULES = RulesChoice()


def _with_rules(command: Command, values: dict[str, Any]) -> None:
    values["rules"] = RulesChoice(values["rules"], values.pop("preset"))
    command(**values)


categorizes = with_parameters(
    {"rules": (RulesFile, None), "preset": (PresetName, "auto")}, _with_rules
)
"""Gives a command --rules and --preset, and their values as `rules`, a `RulesChoice`."""


def history_root(argument: str | None) -> Path | str:
    """Return the history to read: a directory, or a URI."""
    if argument is not None and "://" in argument:
        return argument
    return local_root(None if argument is None else Path(argument))


def local_root(argument: Path | None) -> Path:
    """Return the directory of a history to write.

    Raises PgiostatError option-invalid for an object store.
    """
    if argument is not None:
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:/", str(argument)):  # a path keeps one slash of two
            from pgiostat.uris import shown

            refuse(
                f'"{shown(str(argument))}" is not a directory',
                hint="Collect into a directory; pgiostat ship uploads it to an object store.",
            )
        return argument
    import platformdirs

    return platformdirs.user_data_path("pgiostat") / "history"


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Show that a history is being read, as `working` does; the process does nothing else."""
    process.only_reads()
    with working(what):
        yield


def open_history(
    argument: str | None, *, skip_bad: bool = False, engine: str = "duckdb"
) -> "AbstractContextManager[History]":
    """Return the history of --history, opened; the end of the block closes it."""
    from pgiostat.history.read.history import History

    return closing(History.open(history_root(argument), skip_bad=skip_bad, engine=engine))


def window_of(opened: "History", span: Span) -> "Window":
    """Return the window that options select."""
    from pgiostat.history.read.window_spec import window

    label, since, until, last = span
    now = datetime.now().astimezone()
    return window(opened, now, label=label, since=since, until=until, last=last)


@contextmanager
def open_window(
    argument: str | None,
    span: Span,
    rules: RulesChoice,
    *,
    skip_bad: bool = False,
    engine: str = "duckdb",
) -> Iterator[tuple["History", "Window", "Describe"]]:
    """Yield a history, a window of it, and what describes its statements."""
    with (
        reading("reading the history"),
        describing(rules) as described,
        open_history(argument, skip_bad=skip_bad, engine=engine) as opened,
    ):
        yield opened, window_of(opened, span), described


def warn_left_out(opened: "History") -> None:
    """Name on standard error the files that could not be read."""
    for bad in sorted(opened.left_out):
        sys.stderr.write(
            f'pgiostat: left out, because it could not be read: "{terminal(str(bad))}"\n'
        )


def rules_of(choice: RulesChoice) -> "RuleBook":
    """Return the rules in force."""
    from pgiostat.queries.rules import rule_book

    return rule_book(choice.path, choice.preset, by=choice.by)


def describe(choice: RulesChoice, book: "RuleBook | None" = None) -> "Describe":
    """Return what describes statements by the rules in force; book: these, if they are read."""
    from pgiostat.queries.describe import describer

    return describer(book or rules_of(choice))


def categories_directory() -> Path:
    """Return the directory of cached categories."""
    import platformdirs

    return platformdirs.user_cache_path("pgiostat") / "categories"


@contextmanager
def describing(choice: RulesChoice) -> Iterator["Describe"]:
    """Yield what describes statements, with the cached categories of earlier reports."""
    from pgiostat.history.read.category_cache import cached_categories, digest
    from pgiostat.queries.rules import fixed_preset
    from pgiostat.queries.version import VERSION

    # An error in the rules is raised even if every category is cached.
    book = None if choice.path is None else rules_of(choice)
    fixed = fixed_preset(choice.preset, choice.by) if book is None else book.fixed
    content = b"" if choice.path is None else choice.path.read_bytes()
    key = digest(b"%b\0%b" % (choice.preset.encode(), content), VERSION)
    make = partial(describe, choice, book)
    with cached_categories(make, categories_directory(), key, fixed) as found:
        yield found
