"""Our lexer cuts as PostgreSQL's scanner does; libpg_query, which contains it, is the judge.

From the first string on that standard_conforming_strings = off would end elsewhere, all is one
string to us.
"""

import re
from itertools import zip_longest

import pytest
from hypothesis import assume, example, given, settings

from benchmarks.scanner import ours, theirs
from tests.support.scanning import constants_and_comments
from tests.support.soup import EXAMPLES, SOUP, TEXTS

HARD = [
    "a--b\n-c",
    "a+-1, a<-1, a@-1, a*-b, 1 - -1, a->>'b'#>'{c}'",
    "select 1.5e-3.5, .5, 5., 1..2, 0x1F, 0b11, 0o17, 1_000, $1",
    "a := 1, b => 2, a[1:2], a::int[], x.*, operator(pg_catalog.+)",
    r"E'a\'b''c' 'a\\' b, B'1', X'1F', N'n', U&'d\0061' uescape '!', " + 'U&"q"',
    r"E'a\'b''c' 'a\' b, B'1', X'1F', N'n', U&'d\0061' uescape '\', " + 'U&"q"',
    r"select N'a\\', '\\\', 'b'",
    "$$a$b$$ $a$ $$ $a$ $1$2",
    "/* a /* b */ c */ x /**/ y -- z",
    "*/*x*/* a?b a?|b @-@ @@ !=-1 <>- 1 ||/ 27",
    'größe é "Ä" \u00a0b',
    "'a'\n'b' 'c' 'd' -- e\n'f'",
]
CONTROLS = frozenset(map(chr, [*range(0x20), 0x7F])) - frozenset("\t\n\f\r")


def agreed(text: str, tokens: list[str]) -> list[str]:
    """Return tokens up to the first string that the two settings end differently, and the rest."""
    on, off = (constants_and_comments(text, conforming=each) for each in (True, False))
    differs = next((one[0] for one, other in zip_longest(on, off) if one and one != other), None)
    position = 0
    for number, token in enumerate(tokens):
        start = text.index(token, position)
        position = start + len(token)
        if start == differs:
            return [*tokens[:number], text[start:]]
    return tokens


@pytest.mark.parametrize("text", HARD)
def test_hard_texts_are_cut_alike(text: str) -> None:
    expected = theirs(text)
    assert expected is not None
    assert ours(text) == agreed(text, expected)


@settings(deadline=None, max_examples=EXAMPLES)
@given(SOUP | TEXTS)
@example("a*/*b*/c")
def test_any_text_is_cut_alike_that_the_scanner_accepts(text: str) -> None:
    assume(not CONTROLS.intersection(text))  # blanks to us; to PostgreSQL tokens that mean nothing
    assume(not re.search("@[1-9]", text))  # a table's alias in a text that is normalized
    text = text.rstrip(" \t\n\f\r")  # a comment at the end loses its blanks
    expected = theirs(text)
    assume(expected is not None)
    assert expected is not None
    assert ours(text) == agreed(text, expected)
