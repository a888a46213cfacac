"""No constant and no comment of a statement is shown, and no word that stands for a value."""

import os
import random
import re
import time
from itertools import chain
from typing import Any

import postgast
import pytest
from hypothesis import assume, given, settings

from pgiostat.queries.describe import describer, uncategorized
from pgiostat.queries.features.comments_and_cursors import pseudonym
from pgiostat.queries.fingerprint import normalize
from tests.support.scanning import constants_and_comments
from tests.support.secret_texts import (
    CONTROL,
    KEPT,
    LITERALS,
    PLACES,
    SECRET,
    in_places,
    leaked,
    spelled,
)
from tests.support.soup import EXAMPLES, FRAGMENTS, SECRETS, joined
from tests.support.workloads import client

TEXTS = int(os.environ.get("FUZZ_TEXTS", "3000"))
"""So many texts are read beside PostgreSQL's scanner; make fuzz takes a million."""


@pytest.mark.parametrize(("text", "shown"), [*chain.from_iterable(PLACES.values())])
def test_what_stands_for_a_value_is_hidden(text: str, shown: str) -> None:
    assert normalize(spelled(text)).text == shown


@pytest.mark.parametrize(("text", "shown"), [*chain.from_iterable(LITERALS.values())])
def test_constants_and_comments_are_hidden(text: str, shown: str) -> None:
    assert normalize(spelled(text)).text == shown


@pytest.mark.parametrize(("text", "shown"), KEPT)
def test_names_stay(text: str, shown: str) -> None:
    assert normalize(text).text == shown


def test_values_are_hidden_however_they_are_written_and_wherever_they_stand() -> None:
    for text, shown in in_places():
        assert normalize(text).text == shown
        found = normalize(f"BEGIN; -- {SECRET}\n{text} /* {SECRET} */; SELECT '{SECRET}'; {text}")
        assert found.text == f"begin; {shown}; select ?; {shown}"
        again = normalize(found.text)
        assert (again.text, again.fingerprint) == (found.text, found.fingerprint)


def test_values_are_hidden_in_texts_that_are_cut() -> None:
    for text, _ in chain.from_iterable([*PLACES.values(), *LITERALS.values()]):
        whole = spelled(text)
        shown = [normalize(whole[:end]).text for end in range(len(whole))]
        assert [each for each in shown if SECRET[:4].lower() in each.lower()] == []


KINDS = {
    **dict.fromkeys(["SCONST", "USCONST", "BCONST", "XCONST"], "constant"),
    **dict.fromkeys(["C_COMMENT", "SQL_COMMENT"], "comment"),
}
"""What PostgreSQL's scanner calls constants and comments."""


def _name(token: Any) -> str:
    names = token.DESCRIPTOR.fields_by_name["token"].enum_type.values_by_number
    return str(names[token.token].name)


READINGS = [
    (r"'a\'z'", [(0, 4), (5, 6)], [(0, 6)]),
    (r"'a\\'z'", [(0, 5), (6, 7)], [(0, 5), (6, 7)]),
    ("E'a'\n'z\\'c' d", [(0, 11)], [(0, 11)]),
    ("E'a' -- z'\n'z\\'c' d", [(0, 17)], [(0, 17)]),
    (r"N'a\'z', X'1\'", [(0, 5), (6, 11), (13, 14)], [(0, 7), (9, 14)]),
]


@pytest.mark.parametrize(("text", "on", "off"), READINGS)
def test_a_backslash_is_read_as_the_setting_says(
    text: str, on: list[tuple[int, int]], off: list[tuple[int, int]]
) -> None:
    found = [
        [(start, end) for start, end, _ in constants_and_comments(text, conforming=conforming)]
        for conforming in (True, False)
    ]
    assert found == [on, off]


@settings(deadline=None, max_examples=EXAMPLES)
@given(SECRETS)
def test_the_scanner_beside_which_texts_are_read_is_postgresqls(text: str) -> None:
    text = text.rstrip(" \t\n\f\r\v")
    assume(not re.search(r"'[ \t\f\v\n\r]*--", text))  # libpg_query ends a string at a comment
    try:
        tokens = postgast.scan(text).tokens
    except postgast.PgQueryError:
        return
    raw = text.encode()
    expected = [
        (raw[token.start : token.end].decode(), KINDS[name])
        for token in tokens
        if (name := _name(token)) in KINDS
    ]
    found = [
        (text[start:end].removeprefix("N") if kind == "constant" else text[start:end], kind)
        for start, end, kind in constants_and_comments(text, conforming=True)
    ]
    assert found == expected


def exposed(text: str) -> set[str]:
    """Return the secrets that are shown of a text, and stand in a constant or comment of it."""
    shown = normalize(text)
    again = normalize(shown.text)
    assert (again.text, again.fingerprint) == (shown.text, shown.fingerprint)
    assert CONTROL.search(shown.text) is None
    return leaked(text, shown.text)


@settings(deadline=None, max_examples=EXAMPLES)
@given(SECRETS)
def test_no_constant_and_no_comment_is_shown_under_either_setting(text: str) -> None:
    assert exposed(text) == set()


def test_nor_is_it_in_many_texts() -> None:
    draw = random.Random(TEXTS)  # noqa: S311 - nobody is to be surprised
    for _ in range(TEXTS):
        parts = draw.choices(FRAGMENTS, k=draw.randint(1, 14))
        text = joined(part + draw.choice(["", "", " ", "\n"]) for part in parts)
        assert (exposed(text), text) == (set(), text)


@pytest.mark.parametrize(
    "text", ["fetch (listen@ ] ", "fetch+prepare+\nE'\\a. 'b", "+uescape 'a' n$1"]
)
def test_what_no_server_accepts_is_normalized_once_too(text: str) -> None:
    assert exposed(text) == set()


OFF = [
    r"SELECT 'a\'b' AS x, E'c\'d' AS y, 'e\\' AS z, $$f\$$ AS u, B'1' AS v",
    "SELECT 'a'\n'b\\'c' AS x, E'd'\n'e\\'f' AS y, 'g' -- h'i\n'\\'j' AS z",
    "SELECT E'k' -- l'm\n -- n\n 'o\\'p' AS x, B'1'\n'0' AS y",
    r"SELECT 'a\'' AS x, '\'\'' AS y, '''' AS z, '\\\'' AS u",
]


@pytest.mark.pg("< 19")  # which always conforms to the standard
@pytest.mark.parametrize("text", OFF)
def test_a_server_reads_backslashes_as_we_do_where_they_escape(database: str, text: str) -> None:
    with client(database) as other:
        other.execute("SET standard_conforming_strings = off")
        other.execute("SET escape_string_warning = off")
        other.execute("SELECT pg_stat_statements_reset()")
        other.execute(text.encode())
        found = other.execute(
            "SELECT query FROM pg_stat_statements WHERE query LIKE 'SELECT $1 AS x%'"
        ).fetchall()
    expected = ""
    after = 0
    stretches = constants_and_comments(text, conforming=False)
    for number, (start, end, _) in enumerate(stretches, 1):
        expected += f"{text[after:start]}${number}"
        after = end
    assert [" ".join(query.split()) for (query,) in found] == [
        " ".join((expected + text[after:]).split())
    ]


def test_a_cursor_is_kept_under_a_pseudonym() -> None:
    name = pseudonym("of bob")
    assert (pseudonym(name), pseudonym(""), "bob" in name) == (name, "", False)
    texts = [
        'DECLARE "of bob" CURSOR FOR SELECT 1; SELECT a',
        ';FETCH 9 FROM "of bob"; SELECT a',
        f'FETCH 9 FROM "{name}"',
    ]
    for describe in (describer(), uncategorized):
        found = [describe(text, user="u", database="d", queryid=1) for text in texts]
        assert [(each.declares_cursor, each.uses_cursor) for each in found] == [
            (name, ""),
            ("", name),
            ("", name),
        ]
        assert [each for each in found if "bob" in str(each)] == []


SLOW = {
    "settings": "CREATE FUNCTION f() RETURNS int " + "SET jit = on " * 8_000,
    "settings without values": "CREATE FUNCTION f() RETURNS int " + "SET a.b SET " * 8_000,
    "lists of settings": "CREATE FUNCTION f() SET a = " + "b, " * 30_000,
    "passwords": "ALTER ROLE bob " + "PASSWORD a " * 9_000,
    "definitions": "ALTER TABLE t " + "SET (a = b, c d), " * 6_000,
    "open definitions": "CREATE TYPE t " + "(a = " * 20_000,
    "open options": "CREATE TABLE t " + "WITH (a " * 12_000,
    "names with dots": "CREATE TABLE t (" + "a." * 50_000,
    "dots in parentheses": "CREATE TABLE t " + "(a.b.c" * 16_000,
    "executes": "CREATE TRIGGER x " + "EXECUTE FUNCTION f(a " * 5_000,
    "explanations": "EXPLAIN " * 12_000,
    "explained options": "EXPLAIN (a) " * 8_000,
    "statements": "SET a TO b;" * 9_000,
    "semicolons": ";" * 100_000,
    "continued strings": "SELECT E'a'" + "\n'b'" * 20_000,
    "blanks after strings": "SELECT " + ("E'a'" + " " * 50 + "\n") * 1_800,
    "comments after strings": "SELECT " + "E'a' -- b\n-- c\n" * 6_000,
    "backslashes": "SELECT '" + "\\" * 100_000,
    "escaped quotes": "SELECT " + "'\\'" * 30_000,
    "databases": "CREATE DATABASE d " + "connection limit = 1 " * 5_000,
    "labels": "COMMENT ON COLUMN " + "is " * 30_000,
    "cursors": "UPDATE t SET a = 1 WHERE CURRENT OF c " * 2_500,
}
"""Texts of 100,000 characters that a careless rule reads again and again."""


@pytest.mark.parametrize("what", SLOW)
def test_time_is_linear_in_the_text(what: str) -> None:
    whole = SLOW[what]
    short = min(_seconds(whole[: len(whole) // 4]) for _ in range(3))
    assert any(_seconds(whole) < 10 * short + 0.05 for _ in range(3))


def _seconds(text: str) -> float:
    began = time.process_time()
    normalize(text)
    return time.process_time() - began
