"""No text acts in any output: each form, tried on all of Unicode and judged by what reads it."""

import ast
import csv
import io
import json
import logging
import math
import os
import re
import sys
import tomllib
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.cells import cell_len

from pgiostat.collector.log import LineHandler, LogFormat
from pgiostat.errors import PgiostatError
from pgiostat.escape import (
    code_of,
    identifier,
    line,
    literal,
    original,
    pasted,
    terminal,
    toml,
)
from pgiostat.history.format.root import _COLLECTOR, check_collector
from pgiostat.queries.rules.names import Globs, NameLists
from pgiostat.queries.rules.rules_file import parse
from pgiostat.queries.rules.suggest import (
    CatalogTable,
    MeasuredRule,
    SuggestedLists,
    SuggestedRule,
    Suggestions,
    category_named,
    glob_of,
    rules_file,
    suggest,
)
from pgiostat.render import markdown
from pgiostat.render.csv import text_cell
from pgiostat.render.json import dumps, row_of
from pgiostat.render.table import TableColumn, cut, lay
from tests.attack._judges import PAGE, acts_in_a_spreadsheet, acts_on_a_page, is_visible
from tests.support.servers import Server

ROOT = Path(__file__).parents[2]


def _unicode() -> list[int]:
    """Return all characters, and of those that nobody assigned one in 97 and the edges.

    All of these have one category, by which they are escaped. They are four fifths of all; `make
    fuzz` tries each of them.
    """
    alike = {"Cn", "Co"}
    category = list(map(unicodedata.category, map(chr, range(sys.maxunicode + 1))))
    return [
        code
        for code, (before, this, after) in enumerate(
            zip([None, *category[:-1]], category, [*category[1:], None], strict=True)
        )
        if this not in alike or not before == this == after or not code % 97
    ]


UNICODE = range(sys.maxunicode + 1) if "FUZZ_EXAMPLES" in os.environ else _unicode()
BLANK = (
    0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x2800, 0x3164,
    *range(0xFE00, 0xFE10), 0xFFA0, 0x16FE4, 0x1D159, *range(0x1F1E6, 0x1F200),
    *range(0x1F3FB, 0x1F400), *range(0xE0100, 0xE01F0),
)  # fmt: skip
SURROGATES = range(0xD800, 0xE000)
NAMES = (
    "\x1b]52;c;aGk=\x07A", "\x9b31mB", "C\u202egnp.exe", "D\u200b\u2066E", "a\nb\r", "=1+1|cmd",
    "\t=1+1", "[bold red]F[/]", "![i](http://e/x.png)", "<img src=x onerror=alert(1)>", "`a`|b",
    "www.example.com", "a@b.example", "@here", "#1", "GH-1", ":smile:", "&lt;b&gt;", "**b**",
    "$`x`$", "$x$", "~~s~~", "[^1]", "# h", "1. l", "- l", "--- |", "\\|", "\\\\|x", "a\\", "``",
    "\u2028L", "\ufeff=1", "\uff1d1+1", " =1+1", "'=1", '"=1+1', "a;=1", "\U000e0041tag",
    "a" + "\u0300" * 8, "\U0001f468\u200d\U0001f469", "\u3164", "\\u202e", '"""', "x]]\nkey = 1",
    "!x", "@synced", "a*b?[c]", "", " ", "  a  ", "\x7f", "\ue000", "\u0378", "数据库", "🐘",
)  # fmt: skip
TEXTS = st.text(st.characters(exclude_categories=[])) | st.text(
    "\\uU0a;='\" `|*\u0300\u202e", max_size=12
)


# --- terminals ---------------------------------------------------------------------------


def test_each_character_is_visible_alone_and_between_others() -> None:
    for code in UNICODE:
        character = chr(code)
        alone, between = terminal(character), terminal(f"x{character}y")
        assert all(map(is_visible, alone + between)), hex(code)
        assert cell_len(alone) >= 1, hex(code)
        assert between[0] + between[-1] == "xy"
        assert original(alone) == character
        assert original(between) == f"x{character}y"


def test_what_has_a_category_of_its_own_stays_and_all_else_is_a_code() -> None:
    shown = {chr(code): terminal(f"x{chr(code)}")[1:] for code in UNICODE}
    kept = {character for character, each in shown.items() if each == character}
    assert {each for each in kept if not is_visible(each)} == set()
    blank = {each for each in shown if is_visible(each)} - kept
    # What Unicode calls ignorable though it is a letter or a mark, flags, skin tones, braille.
    assert blank == set(map(chr, BLANK))
    assert {shown[each] for each in set(shown) - kept} == {
        code_of(ord(each)) for each in set(shown) - kept
    }


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "\\u001b[2J"),
        ("C\u202egnp", "C\\u202egnp"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("a\u00a0b\u3000c", "a\\u00a0b\\u3000c"),
        ("\\u202e", "\\\\u202e"),
        ("\\x \\", "\\x \\"),
        ("\\\u202e", "\\\\\\u202e"),
        ("e\u0301 数据库 🐘 नमस्ते", "e\u0301 数据库 🐘 नमस्ते"),
        ("a" + "\u0300" * 5, "a" + "\u0300" * 3 + "\\u0300" * 2),
        ("\u0300a \u0300", "\\u0300a \\u0300"),
        ("👍🏽", "👍\\U0001f3fd"),
    ],
)
def test_a_character_that_is_not_visible_is_shown_by_its_code(text: str, shown: str) -> None:
    assert terminal(text) == shown
    assert original(shown) == text


@given(TEXTS)
@example("\\\u202e")
@example("\\\\u")
def test_texts_that_differ_are_shown_as_they_differ(text: str) -> None:
    shown = terminal(text)
    assert original(shown) == text
    assert all(map(is_visible, shown))
    assert not re.search(r"[\u0300-\u036f]{4}", shown)


@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_what_is_drawn_is_as_wide_as_its_characters(texts: list[str]) -> None:
    rows = [[(cut(terminal(text), 12), ""), ("1", "")] for text in texts]
    for drawn in lay([TableColumn("name", least=12, most=12), TableColumn("n")], rows, 80):
        assert cell_len("".join(text for text, _ in drawn)) == 14
        assert sum(cell_len(letter) for text, _ in drawn for letter in text) == 14


@given(TEXTS)
def test_what_is_copied_is_no_key_of_the_terminal_it_is_pasted_into(text: str) -> None:
    copied = pasted(text)
    assert all(map(is_visible, copied))
    assert [each for each in text if each.isalnum() and each.isascii()] == [
        each for each in copied if each.isalnum() and each.isascii()
    ]


# --- logs and errors ---------------------------------------------------------------------


def said(label: str, words: str, form: LogFormat) -> str:
    out = io.StringIO()
    created = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    record = {"server": label, "msg": words, "created": created}
    level = {"levelno": logging.WARNING, "levelname": "WARNING"}
    LineHandler(out, form).handle(logging.makeLogRecord(record | level))
    return out.getvalue()


@pytest.mark.parametrize(
    ("form", "begin"), [(LogFormat.TEXT, "2026-01-01T00:00:00Z "), (LogFormat.JOURNALD, "<4>")]
)
def test_a_record_of_the_log_is_one_line_whatever_is_in_it(form: LogFormat, begin: str) -> None:
    assert said("db\n<0>x", 'user "a\r\n<3>b\x1b[2J"', form) == (
        f'{begin}db <0>x: user "a <3>b\\u001b[2J"\n'
    )
    for name in NAMES:
        (record,) = said(name, f"{name} and {name}", form).splitlines()
        assert record.startswith(begin)
        assert all(map(is_visible, record))


def test_a_record_of_the_log_as_json_is_one_line_and_has_all_that_is_in_it() -> None:
    for name in (*NAMES, 'a"\r\n<3>b\x1b[2J', "\U0001f418<0>" * 50_000):
        (record,) = said(name, f"{name} and {name}", LogFormat.JSON).splitlines()
        assert all(map(is_visible, record))
        assert json.loads(record) == {
            "time": "2026-01-01T00:00:00.000000Z",
            "level": "warning",
            "server": name,
            "message": f"{name} and {name}",
        }


def test_a_line_is_not_so_long_that_journald_divides_it() -> None:
    record = said("db", "\U0001f418<0>" * 50_000, LogFormat.JOURNALD)
    assert len(record.encode()) < 48 * 1024
    assert record.endswith("…\n")


def test_an_error_has_three_lines_at_most_and_nothing_in_them_acts() -> None:
    error = PgiostatError(
        "no \x1b[2Jtable\nHINT:  run me", slug="x", detail="a\u2028b\x85c", hint="d\r\npgiostat: e"
    )
    expected = [
        "pgiostat: error: no \\u001b[2Jtable HINT:  run me",
        "DETAIL:  a\\u2028b\\u0085c",
        "HINT:  d pgiostat: e",
    ]
    assert error.report() == "\n".join(expected)
    assert (str(error), error.__notes__) == (
        expected[0].removeprefix("pgiostat: error: "),
        expected[1:],
    )
    assert error.message == "no \x1b[2Jtable\nHINT:  run me"


@given(TEXTS)
def test_a_message_is_one_line(text: str) -> None:
    assert len(line(text).splitlines()) <= 1


# --- JSON --------------------------------------------------------------------------------


def test_json_of_each_character_is_visible_and_reads_as_it_was() -> None:
    for chunk in chunks(UNICODE, "x"):
        written = dumps(chunk)
        assert all(map(is_visible, written))
        assert json.loads(written) == chunk


@given(TEXTS.filter(lambda text: not re.search("[\ud800-\udbff][\udc00-\udfff]", text)))
def test_json_reads_as_it_was(text: str) -> None:
    assert json.loads(dumps({text: [text]})) == {text: [text]}


def test_json_has_no_number_that_json_does_not_have() -> None:
    told = {"a": [math.inf, -math.inf, math.nan, 1.5], "b": ({"c": math.nan},), "d": 2**60}
    assert (
        dumps(told)
        == '{"a": [null, null, null, 1.5], "b": [{"c": null}], "d": 1152921504606846976}'
    )


def test_an_id_of_64_bits_is_a_string_in_json() -> None:
    record = {"queryid": -(2**63), "calls": 2**63 - 1, "part": "row", "server": "db"}
    assert row_of(record, {"server"}) == {
        "queryid": "-9223372036854775808", "calls": 9223372036854775807, "part": "row",
    }  # fmt: skip
    assert row_of({"queryid": None}) == {"queryid": None}


def chunks(codes: Sequence[int], between: str) -> Iterator[str]:
    """Yield all characters, each after another text, in texts of some thousand."""
    for begin in range(0, len(codes), 4096):
        yield between + between.join(map(chr, codes[begin : begin + 4096])) + between


# --- CSV ---------------------------------------------------------------------------------


def as_documented() -> Callable[[str], str]:
    """Return what docs/output.md reads a text of CSV with."""
    page = (ROOT / "docs" / "output.md").read_text("utf-8")
    found: dict[str, Callable[[str], str]] = {}
    exec(page.partition("```python\n")[2].partition("\n\n\nframe")[0], found)  # noqa: S102 - it is ours
    return found["original"]


read = as_documented()


def test_no_character_begins_a_formula_and_all_come_back_through_pandas() -> None:
    texts = [f"{chr(code)}=1" for code in UNICODE if code not in SURROGATES]
    texts += [f"{before}{chr(code)}" for before in ("", "a;", ' "') for code in range(0x3000)]
    texts += NAMES
    cells = [text_cell(text) for text in texts]
    assert [cell for cell in cells if acts_in_a_spreadsheet(cell)] == []
    out = io.StringIO(newline="")
    csv.writer(out).writerows([["text"], *([cell] for cell in cells)])
    frame = pd.read_csv(
        io.StringIO(out.getvalue()), dtype=str, keep_default_na=False, skip_blank_lines=False
    )
    assert [read(cell) for cell in frame["text"]] == texts


@given(TEXTS)
@example("'=1")
@example("''")
@example("; '\"=1")
def test_a_cell_of_csv_is_no_formula_and_comes_back(text: str) -> None:
    cell = text_cell(text)
    assert not acts_in_a_spreadsheet(cell)
    assert read(cell) == text


def test_a_text_that_begins_no_formula_stays() -> None:
    assert [text_cell(each) for each in ("select a - b", "a=b", "1", "prod-1", "a@b")] == [
        "select a - b", "a=b", "1", "prod-1", "a@b",
    ]  # fmt: skip


# --- TOML --------------------------------------------------------------------------------


def test_toml_of_each_character_is_visible_and_reads_as_it_was() -> None:
    for chunk in chunks([code for code in UNICODE if code not in SURROGATES], "x"):
        written = toml(chunk)
        assert all(map(is_visible, written))
        assert tomllib.loads(f"a = {written}") == {"a": chunk}


@given(st.text())
def test_toml_reads_as_it_was(text: str) -> None:
    assert tomllib.loads(f"a = [{toml(text)}]") == {"a": [text]}


@given(st.lists(st.text(min_size=1), min_size=1, max_size=5, unique=True))
@example(list(filter(None, NAMES)))
def test_a_rules_file_of_a_hostile_catalog_has_its_names_and_nothing_else(names: list[str]) -> None:
    whys = {name: f"why\n[vocab2]\n{name}\x1b" for name in names}
    found = SuggestedLists(whys, {}, {}, {}, {})
    category = category_named(names[0])
    group = SuggestedRule(names[0], category, {"table": list(map(glob_of, names))}, whys[names[0]])
    made = Suggestions(found, is_sync=True, tables=(MeasuredRule(group, (), None),))
    text = rules_file(made, path="x\n[rule]\n.toml", server="db\nschema = 2")
    assert all(each == "\n" or is_visible(each) for each in text)
    globs = [glob_of(name) for name in names]
    assert tomllib.loads(text) == {"schema": 1, "vocab": {"synced": globs}}
    rule = {"name": names[0], "category": category, "when": {"table": globs}}
    text = rules_file(replace(made, is_sync=False), path="x", server="db\nschema = 2")
    assert all(each == "\n" or is_visible(each) for each in text)
    assert tomllib.loads(text) == {"schema": 1, "rule": [rule]}
    assert [each.category for each in parse("x", text).compile(NameLists({}))] == [category]


def test_the_glob_of_a_name_matches_that_name_alone() -> None:
    others = [name.replace(".", "") for name in NAMES if name]
    for name in others:
        assert [each for each in others if Globs([glob_of(name)]).match(each)] == [name]


def test_names_of_a_catalog_reach_the_rules_file() -> None:
    table = CatalogTable(
        "s\n", 'customer"\n[x]', 1, ("id\n",), ("version",), ("id\n",), published=True
    )
    found = Suggestions(suggest([table]), is_sync=True)
    told = tomllib.loads(rules_file(found, path="r.toml"))
    assert told["vocab"]["synced"] == ['customer"\n[[]x]']
    assert told["vocab"]["keys"] == ["id\n"]


# --- SQL ---------------------------------------------------------------------------------


def test_a_name_in_sql_stays_as_it_is_on_a_terminal() -> None:
    for chunk in [*chunks(UNICODE, "\\"), *NAMES]:
        for written in (identifier(chunk), literal(chunk)):
            assert terminal(written) == written


@pytest.mark.once
def test_a_server_reads_names_and_literals_as_they_were(server: Server) -> None:
    codes = [code for code in UNICODE if code and code not in SURROGATES]
    with server.connect() as connection:
        for chunk in chunks(codes, "'\\"):
            found = connection.execute(f"SELECT {literal(chunk)}").fetchone()
            assert found == (chunk,)
        for name in filter(None, NAMES):
            cursor = connection.execute(f"SELECT 1 AS {identifier(name)}")
            assert cursor.description is not None
            assert cursor.description[0].name == name


# --- Markdown ----------------------------------------------------------------------------


def shown_by(inline: Token) -> str:
    """Return what a page shows of a cell or line, in which nothing may act."""
    assert acts_on_a_page(inline) == "", inline.content
    return "".join(part.content for part in inline.children or [])


def cells_of(texts: Sequence[str], write: Callable[..., str]) -> list[list[str]]:
    """Return the cells of a table, each between two others, as a page shows them."""
    lines = ["| a | b | c |", "|---|---|---|"]
    lines += [f"| 1 | {write(text, cell=True)} | 2 |" for text in texts]
    tokens = PAGE.parse("\n".join(lines))
    assert [token.type for token in tokens].count("table_open") == 1
    assert tokens[-1].type == "table_close"
    inlines = [shown_by(token) for token in tokens if token.type == "inline"]
    return [inlines[n : n + 3] for n in range(3, len(inlines), 3)]


@pytest.mark.parametrize("write", [markdown.name, markdown.code])
def test_nothing_acts_in_a_cell_of_a_table(write: Callable[..., str]) -> None:
    ascii_only = [chr(code) for code in range(0x20, 0x7F)]
    texts = [name for name in NAMES if name.strip()]
    texts += [f"{a}{b}" for a in ascii_only for b in ascii_only if a + b != "  "]
    texts += [f"{a}x{a}" for a in ascii_only] + [chr(code) for code in range(0x80, 0x3000)]
    found = cells_of(texts, write)
    assert {(a, b) for a, _, b in found} == {("1", "2")}
    assert [original(shown) for _, shown, _ in found] == texts


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", "`a\\|b`"),
        # Some parsers take the two backslashes for a pair, others the last one and the bar.
        ("a\\|b", "`a\\u005c\\|b`"),
        ("a\\", "`a\\`"),
        ("`", "`\\u0060`"),
        ("  ", "`  `"),
        (" a ", "`  a  `"),
    ],
)
def test_a_bar_ends_no_cell_for_any_parser(text: str, shown: str) -> None:
    assert markdown.code(text, cell=True) == shown


def test_nothing_acts_for_a_parser_that_knows_no_tables() -> None:
    begins = re.compile(r"!\[|\]\(|://|www\.|<[a-z/!]|&\w+;|\*\*|~~", re.IGNORECASE)
    for name in filter(str.strip, NAMES):
        written = markdown.name(name, cell=True)
        assert not begins.search(written)
        tokens = MarkdownIt("commonmark").parse(f"x {written} x")
        types = {part.type for token in tokens for part in token.children or []}
        assert types <= {"text", "code_inline"}


def test_beyond_ascii_letters_and_digits_stay_and_all_else_is_code() -> None:
    for code in UNICODE[0x80:]:
        text = f"x{chr(code)}"
        shown = terminal(text)
        is_plain = shown.isalnum() or shown[1:] in {"”", "…"}
        assert markdown.name(text) == (shown if is_plain else f"`{shown}`")


@given(TEXTS.filter(str.strip))
@example("a\\\\|b")
@example("`|`` \\|")
def test_nothing_acts_in_any_cell(text: str) -> None:
    ((_, cell, _),) = cells_of([text], markdown.code)
    # A parser may take blanks away from the ends of a cell, never anything else.
    assert original(cell).strip() == text.strip()


@given(st.lists(st.sampled_from([*NAMES, "raise", "pg_stat_statements.max", "5.0 %"]), min_size=1))
def test_nothing_acts_in_a_sentence(words: list[str]) -> None:
    text = " ".join(["x", *words])
    tokens = PAGE.parse(f"- {markdown.sentence(text)}\n\n**{markdown.sentence(text)}**")
    inline = [token for token in tokens if token.type == "inline"]
    assert {acts_on_a_page(token) for token in inline} <= {""}
    blocks = [token.type for token in tokens]
    assert set(blocks) <= {
        "bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close",
        "paragraph_open", "paragraph_close", "inline",
    }  # fmt: skip
    assert blocks.count("bullet_list_open") == 1


@pytest.mark.parametrize(
    "sentence",
    [
        "A: 3 of 60 intervals: statistics were reset",
        "1.2 k blocks/s, 30.5 % of all (the server's own); it isn't 10:00:05 UTC",
        "reads against baseline: both -40 %, table_added +32 %",
    ],
)
def test_a_plain_sentence_stays(sentence: str) -> None:
    assert markdown.sentence(sentence) == sentence


# --- names of files ----------------------------------------------------------------------


def is_label(name: str) -> bool:
    try:
        check_collector(name)
    except PgiostatError:
        return False
    return True


def test_a_label_is_a_name_of_a_file_everywhere() -> None:
    letters = {chr(code) for code in UNICODE if _COLLECTOR.fullmatch(f"a{chr(code)}")}
    assert letters == set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.")
    first = {chr(code) for code in UNICODE if _COLLECTOR.fullmatch(chr(code))}
    assert first == letters - set("_.")
    assert [name for name in NAMES if is_label(name)] == ["www.example.com"]
    assert is_label("a" * 63)
    assert not is_label("a" * 64)
    assert not is_label("a\n")


# --- nothing goes past them --------------------------------------------------------------

WRITE_STATE = {"history", "lab/workload/trace.py", "lab/environment.py", "lab/experiments/run.py"}
"""Where files are written that pgiostat alone reads."""


def calls(name: str) -> Iterator[tuple[str, ast.Call]]:
    """Yield all calls of a function in the package, with the file it is in."""
    for path in sorted((ROOT / "pgiostat").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split("(")[0] == name:
                yield path.relative_to(ROOT / "pgiostat").as_posix(), node


def test_json_is_written_in_one_place() -> None:
    there = {path for path, _ in calls("json.dumps")}
    others = {path for path in there if not {path, path.split("/")[0]} & WRITE_STATE}
    assert others == {
        "render/json.py",
        "postgres/connection.py",
    }  # settings, as the server reads them


def test_no_console_reads_markup_or_emoji() -> None:
    for path, call in [*calls("Console"), *calls("console.Console")]:
        given = {each.arg: ast.unparse(each.value) for each in call.keywords}
        assert (path, given.get("markup"), given.get("emoji")) == (path, "False", "False")
    for path, call in calls("TextColumn"):
        given = {each.arg: ast.unparse(each.value) for each in call.keywords}
        assert (path, given.get("markup")) == (path, "False")


def test_each_row_of_csv_is_made_of_cells() -> None:
    writers = ("writer.writerow", "writer.writerows", "csv.writer(text).writerows")
    rows = [each for name in writers for each in calls(name)]
    for path, call in rows:
        written = ast.unparse(call.args[0])
        is_ours = written in {"HEADER", "COLUMNS", "rows", "[*EXPORTED, *names]"}
        assert is_ours or "cell(" in written or "exact(" in written, path
