"""The words of the code: PostgreSQL's and those of the glossary, in identifiers and docstrings."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "pgiostat"

AVOIDED = {
    "told", "said", "asked", "seen", "given", "whose", "anew", "far", "lately", "mend", "stood",
}  # fmt: skip
"""Words that say nothing about a database; `tests.support.prose` has those of prose."""

DOCSTRINGS_LEFT: set[str] = set()
"""Packages whose docstrings still use them. A package leaves this set, and none enters it."""


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE), ast.parse(path.read_text("utf-8"))


def identifiers(tree: ast.Module) -> Iterator[str]:
    """Yield all names that a module gives: to definitions, parameters, variables and attributes."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.arg():
                yield node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.attr
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name


def words(name: str) -> set[str]:
    """Return the words of a name in snake case, camel case or capitals."""
    return set(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().split("_"))


def docstrings(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


def test_words_of_names() -> None:
    assert words("_TOLD_BY_THE_SERVER") == {"", "told", "by", "the", "server"}
    assert words("StepDemand") == {"step", "demand"}


def test_no_identifier_has_a_word_to_be_avoided() -> None:
    found = {
        f"{path}: {name}"
        for path, tree in sources()
        for name in identifiers(tree)
        if words(name) & AVOIDED
    }
    assert found == set()


def test_docstrings_of_a_package_stay_free_of_them() -> None:
    found = {
        path.parts[0]
        for path, tree in sources()
        if len(path.parts) > 1
        for text in docstrings(tree)
        if AVOIDED & set(re.findall(r"[a-z]+", text.lower()))
    }
    assert found == DOCSTRINGS_LEFT
