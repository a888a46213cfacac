"""Prose that people read: plain words and short sentences. tests/cli/test_help.py has the help."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgiostat.statistics.names import OWN
from tests.support.prose import continued, forbidden, long_sentences, messages, plain, sentences

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "pgiostat"

LONG_SENTENCES_ALLOWED = {"docs/accuracy.md", "docs/benchmarks.md"}
"""Pages of measurements, where a condition belongs to its figure."""

WORDS_LEFT: dict[str, str] = {}
"""Files that still have forbidden words, and what is left there. An entry goes with its cause."""

PAGES = (
    "*.md",
    "docs/**/*.md",
    "changelog.d/*.md",
    "sample_data/**/*.md",
    "tests/*.md",
    "notebooks/*.ipynb",
)


def pages() -> Iterator[str]:
    """Yield the names of all pages, from the root of the project."""
    for pattern in PAGES:
        yield from (path.relative_to(ROOT).as_posix() for path in sorted(ROOT.glob(pattern)))


def modules() -> Iterator[str]:
    yield from (path.relative_to(ROOT).as_posix() for path in sorted(PACKAGE.rglob("*.py")))


def text_of(name: str) -> str:
    """Return the text of a file; of a notebook the Markdown."""
    text = (ROOT / name).read_text("utf-8")
    if not name.endswith(".ipynb"):
        return text
    cells = json.loads(text)["cells"]
    return "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


def others() -> Iterator[str]:
    """Yield the names of other files with texts for people."""
    yield "Makefile"
    found = (path for path in sorted((ROOT / "contrib").iterdir()) if path.is_file())
    yield from (path.relative_to(ROOT).as_posix() for path in found)


def words_of(name: str) -> list[str]:
    """Return the faults of a text, or of the messages of a module."""
    if name.endswith((".md", ".ipynb")):
        return forbidden(plain(text_of(name)))
    if not name.endswith(".py"):
        return forbidden(text_of(name))
    texts = (text for text in messages(ast.parse(text_of(name))) if text != OWN)
    return [fault for text in texts for fault in forbidden(text)]


@pytest.mark.parametrize("name", [*pages(), *others(), *modules()])
def test_a_text_has_plain_words(name: str) -> None:
    faults = words_of(name)
    if name in WORDS_LEFT:
        assert faults, f"{name} is clean: take it out of WORDS_LEFT"
    else:
        assert faults == []


@pytest.mark.parametrize("name", sorted(set(pages()) - LONG_SENTENCES_ALLOWED))
def test_a_page_has_short_sentences(name: str) -> None:
    assert long_sentences(text_of(name)) == []


@pytest.mark.parametrize("name", [*pages()])
def test_no_sentence_of_a_page_continues_after_code(name: str) -> None:
    assert continued(text_of(name)) == []


def test_a_sentence_that_continues_after_code_is_found() -> None:
    assert continued("```sh\npgiostat\n```\n\nserves a page.\n") == ["serves a page."]
    assert continued("```sh\npgiostat\n```\n\nIt serves a page.\n\nand\n") == []


def test_the_list_of_what_is_left_names_files() -> None:
    assert set(WORDS_LEFT) - {*pages(), *modules()} == set()


@pytest.mark.parametrize(
    "text",
    [
        "The server told us.",
        "Each reading of the volume lasts for ever.",
        "Which hours Who Reads what in.",
        "Rates in a time of a history.",
        "A file is sealed.",
        "So many rows are kept.",
        "The time of its begin.",
        "A text that is no SQL.",
        "A server of yours.",
        "Names, as `orders`.",
        "Remove rows that are older, as 30d.",
    ],
)
def test_a_planted_word_is_found(text: str) -> None:
    assert forbidden(plain(text))


@pytest.mark.parametrize(
    "text",
    [
        "One at a time, and a time window.",
        "`told` and ``who `reads` `` are code.",
        "```sql\nSELECT said FROM told\n```\n",
        "<!-- asked -->as long as so many as",
        "stolen, attended, unforgiven, ticket",
    ],
)
def test_code_and_other_words_pass(text: str) -> None:
    assert forbidden(plain(text)) == []


def test_a_planted_message_is_found_and_docstrings_and_sql_are_not() -> None:
    tree = ast.parse(
        '"""The module told."""\n'
        "def f(x):\n"
        '    """Told you so."""\n'
        '    raise Error(f"nothing told by {x}" " at all", hint="Mend it now.")\n'
        'SQL = "SELECT told FROM said"\n'
        'KEY = "told"\n'
    )
    assert sorted(messages(tree)) == ["Mend it now.", "nothing told by … at all"]


def test_sentences_end_at_full_stops_and_cells_and_items_are_texts_of_their_own() -> None:
    assert sentences("One of 0.5 s. Two (of e.g. three). Three?") == [
        "One of 0.5 s.",
        "Two (of e.g. three).",
        "Three?",
    ]
    long = " ".join(["word"] * 36)
    assert long_sentences(f"{long}.") == [f"{long}."]
    assert long_sentences(f"{long[:-10]} `of code`.") == [f"{long[:-10]} CODE CODE."]
    assert long_sentences(f"- {long[:90]}\n- {long[90:]}\n\n| {long[:90]} | {long[90:]} |") == []
