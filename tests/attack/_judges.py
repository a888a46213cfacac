"""What reads an output, and says what acts in it: by Unicode's categories and parsers of others.

None of these knows how pgiostat escapes. Each takes an output of one form apart into units, such as
cells, strings or lines, and yields each with what is wrong with it; empty if nothing is.
"""

import csv
import io
import json
import re
import tomllib
import unicodedata
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from prometheus_client.parser import text_string_to_metric_families

__all__ = [
    "JUDGES",
    "PAGE",
    "Unit",
    "acts_in_a_spreadsheet",
    "acts_on_a_page",
    "hidden",
    "is_visible",
]

Unit = tuple[str, str]
"""A part of an output, and what is wrong with it."""

SIGNS = ("=", "+", "-", "@", "\u2212")
PAGE = MarkdownIt("gfm-like", {"linkify": True, "html": True, "breaks": True})
INERT = {"text", "code_inline", "text_special"}
OURS = {"strong_open", "strong_close"}
BLOCKS = {
    "bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close", "paragraph_open",
    "paragraph_close", "inline", "table_open", "table_close", "thead_open", "thead_close",
    "tbody_open", "tbody_close", "tr_open", "tr_close", "th_open", "th_close", "td_open",
    "td_close",
}  # fmt: skip
ON_A_SITE = re.compile(
    r"@\w|#\d|GH-\d|:[a-z_]+:|\$|\b(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{7,40}\b|www\.|://|\S@\S",
    re.IGNORECASE,
)
"""What sites look for in the text of a page, but not in code."""
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
FORGED = re.compile(r"2026-01-01T|<\d>|forged|schema = 9|\[\[?rule|HINT:  forged")
"""How lines begin that no output has: names of the attack go on so behind a line break."""


def is_visible(character: str) -> bool:
    """Tell whether a character is one that is to be seen, by its category."""
    category = unicodedata.category(character)
    return character == " " or category not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"}


def hidden(text: str) -> str:
    """Return what is wrong with the characters of a text."""
    found = sorted({f"U+{ord(each):04X}" for each in text if not is_visible(each)})
    if found:
        return f"not visible: {', '.join(found)}"
    return "marks grow out of the line" if re.search("[\u0300-\u036f]{4}", text) else ""


def acts_in_a_spreadsheet(cell: str) -> bool:
    """Judge a cell as the most lenient of spreadsheets: of any width, behind blanks and quotes."""
    for part in cell.split(";"):
        told = unicodedata.normalize("NFKC", part)
        shown = "".join(each for each in told if is_visible(each))
        if shown.lstrip(' "`').startswith(SIGNS) or part[:1] in {"\t", "\r", "\n"}:
            return True
    return not all(map(is_visible, cell))


def acts_on_a_page(inline: Token) -> str:
    """Return what acts in a cell or line of Markdown."""
    parts = inline.children or []
    if others := {part.type for part in parts} - INERT - OURS:
        return f"acts: {', '.join(sorted(others))}"
    plain = "".join(part.content for part in parts if part.type not in {"code_inline", *OURS})
    found = ON_A_SITE.search(plain)
    return f"sites act on {found[0]!r}" if found else ""


def _lines(output: str) -> Iterator[Unit]:
    for line in output.split("\n"):
        yield line, "a forged line" if FORGED.match(line) else hidden(line)


def _csv(output: str) -> Iterator[Unit]:
    header, *rows = csv.reader(io.StringIO(output, newline=""))
    for row in rows:
        if len(row) != len(header):
            yield ",".join(row), "a row of other columns"
        for cell in row:
            is_number = re.fullmatch(r"-?\d+(\.\d+)?(e[+-]?\d+)?", cell) is not None
            acts = not is_number and acts_in_a_spreadsheet(cell)
            yield cell, "a formula" if acts else hidden(cell)


def _json(output: str) -> Iterator[Unit]:
    for line in output.splitlines():
        told = json.loads(line, parse_constant=_refused)
        yield "", hidden(_STRING.sub("", line))
        for written in _STRING.findall(line):
            yield json.loads(written), hidden(written)
        for path, value in _leaves("", told):
            if path.endswith("queryid") and not isinstance(value, str | None):
                yield str(value), "an id that is a number"


def _refused(constant: str) -> Any:
    raise ValueError(constant)


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from chain.from_iterable(
            _leaves(f"{path}.{key}", each) for key, each in value.items()
        )
        yield from ((path, key) for key in value)
    elif isinstance(value, list):
        yield from chain.from_iterable(_leaves(path, each) for each in value)
    else:
        yield path, value


def _markdown(output: str) -> Iterator[Unit]:
    for line in output.split("\n"):
        yield "", hidden(line)
    tokens = PAGE.parse(output)
    for token in tokens:
        if token.type not in BLOCKS:
            yield token.content, f"a block: {token.type}"
        if token.type == "inline":
            yield "".join(part.content for part in token.children or []), acts_on_a_page(token)
    if output.startswith("**") and tokens[0].type != "paragraph_open":
        yield "", "the heading is none"


def _rules(rules: list[dict[str, Any]]) -> Iterator[Unit]:
    """Judge rules of a file: a forged one has a number for its name."""
    for rule in rules:
        is_ours = set(rule) == {"name", "category", "when"} and isinstance(rule["name"], str)
        yield "", "" if is_ours else f"a rule that is forged: {rule}"
        yield from ((value, "") for _, value in _leaves("", rule) if isinstance(value, str))


def _survey(output: str) -> Iterator[Unit]:
    """Judge categories of a server, below which there are rules to copy into a file."""
    above, _, below = output.partition("Proposed rules, for a rules file:\n")
    rules, _, rest = below.partition("\nTo see the features")
    yield from chain(_lines(above), _lines(rest))
    yield from _rules(tomllib.loads(rules).get("rule", []))
    yield from (("", hidden(line)) for line in rules.split("\n"))


def _toml(output: str) -> Iterator[Unit]:
    told = tomllib.loads(output)
    for name, values in told.get("vocab", {}).items():
        is_ours = name in {"synced", "versions", "changed", "keys", "caches"}
        for value in values:
            yield value, "" if is_ours else f"a key that is forged: {name}"
    yield (
        "",
        ""
        if set(told) <= {"schema", "vocab", "rule"} and told["schema"] == 1
        else ("forged tables"),
    )
    yield from _rules(told.get("rule", []))
    for line in output.split("\n"):
        yield line.partition("#")[2], hidden(line)


def _metrics(output: str) -> Iterator[Unit]:
    yield "", hidden(output.replace("\n", ""))
    for family in text_string_to_metric_families(output):
        for sample in family.samples:
            for value in sample.labels.values():
                yield value, hidden(value)


JUDGES: dict[str, Callable[[str], Iterator[Unit]]] = {
    "text": _lines,
    "CSV": _csv,
    "JSON": _json,
    "Markdown": _markdown,
    "rules file": _toml,
    "survey": _survey,
    "metrics": _metrics,
    "log, errors": _lines,
}
"""By the form of an output."""
