"""The version of the code that determines categories, and the digest that guards it."""

from pgiostat.queries.version import SOURCES
from tests.queries_version import digest, tokens

SOURCE = '''
"""A module."""

LIMIT = 3
"""A constant."""


def shown(text: str) -> str:
    """Return a text."""  # as it is
    return f"{text:>{LIMIT}} of {'text' + 's'}" "and" """more"""
'''


def test_a_change_of_what_determines_categories_raises_the_version() -> None:
    assert digest() == SOURCES, "run python -m tests.queries_version; its docstring says more"


def test_the_digest_is_of_code_alone() -> None:
    code = "LIMIT = 3 def shown ( text : str ) -> str : return"
    strings = ["f\"{text:>{LIMIT}} of {'text' + 's'}\"", '"and"', '"""more"""']
    assert list(tokens(SOURCE)) == [*code.split(), *strings]


def test_a_string_over_several_lines_is_one_token() -> None:
    source = 'shown(f"""{one}\n  {two}\nthree""")\n'
    assert list(tokens(source)) == ["shown", "(", 'f"""{one}\n  {two}\nthree"""', ")"]
