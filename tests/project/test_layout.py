"""The layout of the project: where tests are, and how large the parts of the package may become."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]
PACKAGE = TESTS.parent / "pgiostat"

MAX_MODULE_LINES = 400
MAX_CLASS_LINES = 250
MAX_FORMAT_SKIPS = 10
MAX_ROOT_MODULES = 10
MAX_PACKAGES = 14

LARGER: dict[str, str] = {}
"""Modules ("room/module.py") and classes ("room/module.py:Class") above the limit, with the reason.

An entry that is no longer needed makes the test fail.
"""


def imported(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports, and the names that it imports from them."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{each.name}" for each in node.names)


def test_no_file_imports_a_test() -> None:
    found = [
        f"{path.relative_to(TESTS)} imports {name}"
        for path in sorted(TESTS.rglob("*.py"))
        for name in imported(path)
        if name.startswith("tests.") and any(part.startswith("test_") for part in name.split("."))
    ]
    assert found == []


def test_each_directory_of_unit_tests_is_a_package() -> None:
    rooms = {path.name for path in (TESTS / "unit").iterdir() if list(path.glob("test_*.py"))}
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert rooms - packages == set()


def test_no_test_is_beside_the_directories() -> None:
    assert list(TESTS.glob("test_*.py")) == []


def lengths(path: Path, name: str) -> Iterator[tuple[str, int, int]]:
    """Yield name, length in lines and limit of a module and of each of its classes."""
    text = path.read_text("utf-8")
    yield name, len(text.splitlines()), MAX_MODULE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef):
            last = node.end_lineno or node.lineno
            yield f"{name}:{node.name}", last - node.lineno + 1, MAX_CLASS_LINES


def format_skips(text: str) -> list[str]:
    """Return the reason of each place that the formatter leaves as it is; empty without one."""
    return [found[1].strip(" #") for found in re.finditer(r"# *fmt: *(?:skip|off)\b([^\n]*)", text)]


def test_lengths_are_those_of_a_module_and_of_its_classes(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text("import x\n\n\n@x.y\nclass A:\n    b = 1\n")
    assert list(lengths(path, "m.py")) == [("m.py", 6, 400), ("m.py:A", 2, 250)]


def test_no_module_and_no_class_is_larger_than_its_limit() -> None:
    found = {
        name
        for path in PACKAGE.rglob("*.py")
        for name, length, limit in lengths(path, str(path.relative_to(PACKAGE)))
        if length > limit
    }
    assert found == set(LARGER)
    assert all(LARGER.values())


def test_reasons_of_format_skips_are_found() -> None:
    mark = "# fmt:"
    text = f"a = 1  {mark} skip\nb = 2  {mark} skip # a table\n{mark} off\n{mark} on\n"
    assert format_skips(text) == ["", "a table", ""]


def test_few_places_are_not_formatted_and_each_has_a_reason() -> None:
    found = {
        f"{path.relative_to(PACKAGE)}:{number}": reason
        for path in sorted(PACKAGE.rglob("*.py"))
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        for reason in format_skips(line)
    }
    assert [place for place, reason in found.items() if not reason] == []
    assert len(found) <= MAX_FORMAT_SKIPS


def test_the_root_of_the_package_stays_small() -> None:
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert len(modules) <= MAX_ROOT_MODULES, modules
    assert len(packages) <= MAX_PACKAGES, packages


def classes(tree: ast.Module) -> list[str]:
    """Return the names of the classes of a module, without those that are private to it."""
    found = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    return [name for name in found if not name.startswith("_")]


def test_private_classes_are_left_out() -> None:
    assert classes(ast.parse("class A:\n    pass\n\nclass _B:\n    pass\n")) == ["A"]


def test_each_class_has_a_name_of_its_own() -> None:
    found = Counter(
        name
        for path in PACKAGE.rglob("*.py")
        for name in classes(ast.parse(path.read_text("utf-8")))
    )
    assert [name for name, count in found.items() if count > 1] == []
