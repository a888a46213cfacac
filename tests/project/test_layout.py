"""Where tests stand: in the room of what they test, with their helpers in tests/support."""

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]
PACKAGE = TESTS.parent / "pgiostat"


def imported(path: Path) -> Iterator[str]:
    """Yield the names of the modules that a file imports, and of what it imports from them."""
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


def test_each_room_of_unit_tests_is_a_package() -> None:
    rooms = {path.name for path in (TESTS / "unit").iterdir() if list(path.glob("test_*.py"))}
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert rooms - packages == set()


def test_no_test_stands_beside_the_rooms() -> None:
    assert list(TESTS.glob("test_*.py")) == []
