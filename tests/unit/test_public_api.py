"""The public API: one list, and docstrings that say all that a signature asks for."""

import ast
import dataclasses
import inspect
from pathlib import Path

import pytest

import pgiostat
from tests.support.docstrings import Documented, function_node, is_enum, properties, public

NAMES = {each.name: each for each in public()}


def test_type_checkers_know_the_names_that_can_be_imported() -> None:
    tree = ast.parse(Path(str(pgiostat.__file__)).read_text(encoding="utf-8"))
    imported = {
        f"{node.module}:{alias.asname}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("pgiostat.")
        for alias in node.names
    }
    assert imported == {f"pgiostat.{home}:{name}" for name, home in pgiostat._HOME.items()}
    assert pgiostat.__all__ == list(pgiostat._HOME) == sorted(pgiostat._HOME)


def fields(subject: type) -> list[str]:
    """Return what an instance of a class is described by."""
    if is_enum(subject):
        return list(subject.__members__)  # type: ignore[attr-defined]
    if dataclasses.is_dataclass(subject):
        return [each.name for each in dataclasses.fields(subject) if each.name[0] != "_"]
    return [each for each in inspect.signature(subject).parameters if each != "self"]


@pytest.mark.parametrize("name", [n for n, each in NAMES.items() if inspect.isclass(each.subject)])
def test_a_class_describes_its_fields_and_properties(name: str) -> None:
    each = NAMES[name]
    listed = [*each.items("Args"), *each.items("Attributes")]
    assert listed == fields(each.subject)
    assert [name for name, text in properties(each.subject).items() if not text] == []


def has_raise(each: Documented) -> bool:
    """Return whether a function itself raises something."""
    return any(isinstance(node, ast.Raise) for node in ast.walk(function_node(each.subject)))


@pytest.mark.parametrize("name", [n for n, each in NAMES.items() if each.signature])
def test_a_function_describes_arguments_result_and_errors(name: str) -> None:
    each = NAMES[name]
    node = function_node(each.subject)
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    assert list(each.items("Args")) == [a.arg for a in arguments if a.arg != "self"]
    returned = ast.unparse(node.returns) if node.returns else ""
    wanted = "Yields" if returned.startswith("Iterator[") else "Returns"
    result = each.sections.keys() & {"Returns", "Yields"}
    assert result == (set() if returned == "None" else {wanted})
    assert not has_raise(each) or each.items("Raises")
