"""Completion of values in a shell: labels, categories, measures, volumes, and words of a list.

A completion asks no server and reads no data: it lists a directory or a table of the program. It
proposes nothing where that fails.
"""

import os
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import typer

__all__ = [
    "among",
    "anchors",
    "categories",
    "changes",
    "engines",
    "instances",
    "labels",
    "rules",
    "themes",
    "volumes",
]

Values: TypeAlias = dict[str, Any]
"""Values of parameters by name; "left" are the words that are not parsed yet."""
Completion: TypeAlias = Callable[[typer.Context, str], list[str]]


def among(*words: str) -> Completion:
    """Return the completion of an option that takes one of a few words."""
    return _completion(lambda _: words)


def _completion(proposed: Callable[[Values], Iterable[str]]) -> Completion:
    """Return a completion that proposes what begins with the word, and never fails."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        # Whatever is wrong with a file or a directory, a shell must not show it at a key press.
        with suppress(Exception):
            values = {**ctx.params, "left": ctx.args}
            return sorted(
                _as_typed(each) for each in proposed(values) if each.startswith(incomplete)
            )
        return []

    return complete


class _Quoted(str):
    """A value with the characters escaped that end a word; what it begins with is not escaped.

    typer compares the beginning with what has been typed, from which the shell's quoting is gone.
    """

    __slots__ = ("value",)
    value: str

    def startswith(self, prefix: Any, *bounds: Any) -> bool:
        return self.value.startswith(prefix, *bounds)


def _as_typed(value: str) -> str:
    """Return a value as bash must insert it: other shells quote what they insert."""
    if os.environ.get("_PGIOSTAT_COMPLETE") != "complete_bash":
        return value
    words, number = os.environ["COMP_WORDS"].split("\n"), int(os.environ["COMP_CWORD"])
    if len(words) > number and words[number].startswith(("'", '"')):
        return value  # bash closes the quotation marks that are open
    quoted = _Quoted(re.sub(r"([^\w@%+=:,./-])", r"\\\1", value))
    quoted.value = value
    return quoted


def _labels(values: Values) -> list[str]:
    """Return the names of the collectors that a history has a directory for."""
    options = [values.get(name) for name in ("directory", "history", "replay")]
    # Arguments before an option without its value are not parsed yet.
    words = [*options, *(values.get("sides") or ()), *values["left"]]
    roots = [Path(word) for word in words if word and (Path(word) / "hot").is_dir()]
    if not roots:
        import platformdirs

        roots = [platformdirs.user_data_path("pgiostat") / "history"]
    return [each.name for each in (roots[0] / "hot").iterdir() if each.is_dir()]


def _categories(values: Values) -> set[str]:
    from pgiostat.cli.histories import categories_directory
    from pgiostat.history.read.category_cache import found_before
    from pgiostat.queries.rules import rule_book

    book = rule_book(values.get("rules"), values.get("preset") or "auto")
    books = [book.rules] if book.if_sync is None else [book.rules, book.if_sync]
    named = {category for rules in books for category in rules.categories}
    # Automatic categories depend on the statements: those that the last reports found.
    named |= found_before(categories_directory())
    return {category for category in named if "{" not in category}


def _rules(_values: Values) -> list[str]:
    from pgiostat.queries.rules import builtin

    known = builtin()
    return [*(rule.name for rule in known.rules), *(f"@{name}" for name in known.vocabulary.lists)]


def _volumes(_values: Values) -> list[str]:
    from pgiostat.volume.models import KINDS

    return [f"{kind}:" for kind in KINDS]


def _instances(_values: Values) -> list[str]:
    from pgiostat.volume.instances import published

    return [name for known in published() for name in (known, f"db.{known}")]


def _themes(_values: Values) -> list[str]:
    from textual.theme import BUILTIN_THEMES

    return list(BUILTIN_THEMES)


labels = _completion(_labels)
categories = _completion(_categories)
changes = _completion(lambda values: [f"{each}=" for each in _categories(values)])
anchors = _completion(
    lambda values: [
        "second",
        "call",
        *(f"{each}:calls" for each in _categories(values)),
    ]
)
rules = _completion(_rules)
volumes = _completion(_volumes)
instances = _completion(_instances)
themes = _completion(_themes)
engines = among("duckdb", "spark://", "sc://", "local[")
