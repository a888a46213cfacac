"""The manual pages of the command line, one for each command, in the macros of man(7)."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import pgiostat
from pgiostat.cli.commands import COMMANDS, Commands
from pgiostat.errors import ExitStatus

__all__ = ["manual_pages"]

_SECTION = 1


def manual_pages(root: Any) -> dict[str, str]:
    """Return the text of each page by file name, such as pgiostat-watch.1.

    Args:
        root: The command of the whole command line.
    """
    paths = [*_paths(root, ["pgiostat"], None)]
    names = {"-".join(context.command_path.split()): command for context, command in paths}
    return {
        f"{name}.{_SECTION}": "\n".join(_page(name, context, command, [*names])) + "\n"
        for (context, command), name in zip(paths, names, strict=True)
    }


def _paths(command: Any, path: list[str], parent: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the context of a command and of all below it, with the command."""
    settings = command.context_settings
    context = command.context_class(command, info_name=path[-1], parent=parent, **settings)
    yield context, command
    if isinstance(command, Commands):
        for name in COMMANDS:
            command.load(name)
    for name, below in getattr(command, "commands", {}).items():
        yield from _paths(below, [*path, name], context)


def _page(name: str, context: Any, command: Any, names: list[str]) -> Iterator[str]:
    summary, _, rest = inspect.cleandoc(command.help or "").partition("\n\n")
    yield f'.TH {_text(name.upper())} {_SECTION} "" "pgiostat {pgiostat.__version__}"'
    yield ".SH NAME"
    yield f"{_text(name)} \\- {_text(_line(summary)).rstrip('.')}"
    yield ".SH SYNOPSIS"
    pieces = " ".join(command.collect_usage_pieces(context))
    yield f"\\fB{_text(context.command_path)}\\fR {_text(pieces)}"
    if rest:
        yield ".SH DESCRIPTION"
        for number, paragraph in enumerate(rest.split("\n\n")):
            if number:
                yield ".PP"
            yield _text(_line(paragraph))
    records = [record for param in command.params if (record := param.get_help_record(context))]
    help_option = command.get_help_option(context)
    if help_option is not None and help_option not in command.params:
        records.append(help_option.get_help_record(context))
    yield from _list("OPTIONS", records)
    below = getattr(command, "commands", {})
    yield from _list(
        "COMMANDS", [(key, each.get_short_help_str(500)) for key, each in below.items()]
    )
    yield ".SH EXIT STATUS"
    for status in ExitStatus:
        yield from (".TP", f".B {status.value}", status.name.capitalize().replace("_", " ") + ".")
    yield ".SH SEE ALSO"
    others = [each for each in names if each != name and _is_near(each, name)]
    yield ", ".join(f"\\fB{_text(each)}\\fR({_SECTION})" for each in [*others, "psql"])


def _is_near(other: str, name: str) -> bool:
    """Return whether a page is above, below or beside another one."""
    return name.startswith(f"{other}-") or other.rpartition("-")[0] in {
        name,
        name.rpartition("-")[0],
    }


def _list(title: str, records: list[tuple[str, str]]) -> Iterator[str]:
    if records:
        yield f".SH {title}"
    for term, meaning in records:
        yield from (".TP", f"\\fB{_text(term)}\\fR", _text(_line(meaning)) or "\\&")


def _line(text: str) -> str:
    return " ".join(text.split())


def _text(text: str) -> str:
    """Return a text in which nothing acts as a request or an escape of troff."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("~", "\\(ti")
    return re.sub(r"^([.'])", r"\\&\1", escaped)
