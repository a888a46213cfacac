"""Rules files: TOML, schema 1. A mistake is an error that names the file, the line and the key."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgiostat.errors import PgiostatError
from pgiostat.queries.rules.conditions import STATEMENT_KEYS, Condition, allow, conditions
from pgiostat.queries.rules.folding import check_placeholders
from pgiostat.queries.rules.names import NameLists
from pgiostat.queries.rules.rule_errors import Mistake
from pgiostat.statistics.names import HIDDEN, OWN, UNREAD, UNREADABLE

__all__ = ["PRESETS", "RESERVED", "SCHEMA", "Rule", "RulesFile", "parse", "read"]

SCHEMA = 1

_AT = re.compile(r"\(at line (\d+), column \d+\)")
_FILE_KEYS = ("schema", "preset", "vocab", "rule")
PRESETS = ("sync", "general", "none")
"""Names of presets; a rules file may fix one."""
RESERVED = (OWN, HIDDEN, UNREAD, UNREADABLE)
"""Categories that no rule can give."""
_RULE_KEYS = ("name", "category", "when")


@dataclass(frozen=True, slots=True)
class Rule:
    """A compiled rule.

    Attributes:
        category: What it gives a statement; with the placeholders of `folding`.
        source: The name of its file.
    """

    name: str
    category: str
    conditions: tuple[Condition, ...]
    source: str


@dataclass(frozen=True, slots=True)
class RulesFile:
    """A parsed rules file, with its text to find the line of a mistake.

    preset: The one that it fixes, if any.
    """

    name: str
    text: str
    vocab: dict[str, list[str]]
    rules: list[dict[str, Any]]
    preset: str = ""

    def compile(self, vocabulary: NameLists) -> list[Rule]:
        """Return the rules.

        Raises:
            PgiostatError: A rule has a mistake.
        """
        compiled: list[Rule] = []
        for index, table in enumerate(self.rules):
            try:
                compiled.append(self._rule(table, vocabulary))
            except Mistake as mistake:
                raise self.error(mistake, index) from None
        return compiled

    def _rule(self, table: dict[str, Any], vocabulary: NameLists) -> Rule:
        allow(table, _RULE_KEYS, "a rule")
        for key in ("name", "category"):
            if not isinstance(table.get(key), str) or not table[key]:
                raise Mistake("rules-value", f'a rule needs "{key}", a string', key=key)
        if table["category"] in RESERVED or not table["category"].isprintable():
            raise Mistake(
                "rules-value",
                f'a rule cannot use the category "{table["category"]}"',
                key="category",
                hint=f"Reserved are {', '.join(RESERVED)}.",
            )
        check_placeholders(table["category"])
        when = conditions("when", table.get("when"), STATEMENT_KEYS, vocabulary)
        return Rule(table["name"], table["category"], when, self.name)

    def error(self, mistake: Mistake, rule: int | None = None) -> PgiostatError:
        """Return the error for a mistake, with its line."""
        line = _line(self.text, mistake.key, rule)
        return PgiostatError(
            f"{self.name}, line {line}: {mistake.message}", slug=mistake.slug, hint=mistake.hint
        )


def _line(text: str, key: str, rule: int | None) -> int:
    """Return the line of a key, in the rule of an index; the rule's own if the key has none."""
    lines = text.splitlines()
    starts = [n for n, line in enumerate(lines) if line.replace(" ", "").startswith("[[rule]]")]
    first, last = 0, len(lines)
    if rule is not None and rule < len(starts):
        first = starts[rule]
        last = starts[rule + 1] if rule + 1 < len(starts) else last
    wanted = re.compile(rf"(?<![\w-])[\"']?{re.escape(key)}[\"']?\s*(?:=|\.)")
    for number, line in enumerate(lines[first:last], first + 1):
        if key and wanted.search(line):
            return number
    return first + 1


def read(path: str | Path) -> RulesFile:
    """Return a rules file.

    Raises:
        PgiostatError: rules-file if it cannot be read, and those of `parse`.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        message = f'could not read rules file "{path}": {reason}'
        raise PgiostatError(message, slug="rules-file") from None
    return parse(str(path), text)


def parse(name: str, text: str) -> RulesFile:
    """Return a rules file from its text; each rule is checked when it is compiled.

    Raises:
        PgiostatError: rules-toml, rules-schema, rules-key and rules-value.
    """
    file = RulesFile(name, text, {}, [])
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _AT.search(str(error))
        where = f"{name}, line {place[1]}" if place else name
        message = _AT.sub("", str(error)).strip()
        raise PgiostatError(f"{where}: {message}", slug="rules-toml") from None
    try:
        _check(tables)
    except Mistake as mistake:
        raise file.error(mistake) from None
    vocab, rules = tables.get("vocab", {}), tables.get("rule", [])
    return RulesFile(name, text, vocab, rules, tables.get("preset", ""))


def _check(tables: dict[str, Any]) -> None:
    allow(tables, _FILE_KEYS, "a rules file")
    if tables.get("schema") is not SCHEMA:
        hint = f"The first line of a rules file must be: schema = {SCHEMA}"
        raise Mistake("rules-schema", f"schema is not {SCHEMA}", key="schema", hint=hint)
    if tables.get("preset", PRESETS[0]) not in PRESETS:
        hint = f"Presets are {', '.join(PRESETS)}."
        raise Mistake(
            "rules-value", '"preset" is not the name of a preset', key="preset", hint=hint
        )
    vocab, rules = tables.get("vocab", {}), tables.get("rule", [])
    if not isinstance(vocab, dict):
        raise Mistake("rules-value", '"vocab" must be a table, [vocab]', key="vocab")
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        raise Mistake("rules-value", "each rule must be a table, [[rule]]", key="rule")
    for key, value in vocab.items():
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise Mistake("rules-value", f'"{key}" must be a list of names', key=key)
