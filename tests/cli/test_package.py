"""The package as it is imported."""

import subprocess
import sys
from importlib.metadata import version

import pytest

import pgiostat

HEAVY = ("numpy", "pandas", "psycopg", "rich", "sqlparse", "platformdirs")


@pytest.mark.parametrize("name", pgiostat.__all__)
def test_every_public_name_can_be_had(name: str) -> None:
    assert getattr(pgiostat, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'pgiostat' has no attribute 'nothing'"):
        pgiostat.nothing  # noqa: B018 - asking is the test


def test_the_version_is_that_of_the_distribution() -> None:
    assert pgiostat.__version__ == version("pgiostat")


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("pgiostat.cli", HEAVY),
        # Each of these would be some of a collector's memory, and it never asks for them.
        ("pgiostat.collector.service", ("pandas", "duckdb", "pyarrow.compute", "rich", "sqlparse")),
    ],
)
def test_nothing_is_imported_that_is_not_needed(module: str, heavy: tuple[str, ...]) -> None:
    asked = f"import sys, {module}; print([m for m in {heavy!r} if m in sys.modules])"
    with_none = f"from pgiostat.history.without_pandas import block_pandas; block_pandas(); {asked}"
    shown = subprocess.run(
        [sys.executable, "-c", with_none], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "[]"
