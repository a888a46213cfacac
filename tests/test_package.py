"""The package as it is imported."""

import subprocess
import sys
from importlib.metadata import version

import pytest

import pgiostat

QUICK = "import sys, pgiostat.cli; print([m for m in {heavy!r} if m in sys.modules])"
HEAVY = ("numpy", "pandas", "psycopg", "rich", "sqlparse", "platformdirs")


@pytest.mark.parametrize("name", pgiostat.__all__)
def test_every_public_name_can_be_had(name: str) -> None:
    assert getattr(pgiostat, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'pgiostat' has no attribute 'nothing'"):
        pgiostat.nothing  # noqa: B018 - asking is the test


def test_the_version_is_that_of_the_distribution() -> None:
    assert pgiostat.__version__ == version("pgiostat")


def test_the_command_line_imports_nothing_heavy() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", QUICK.format(heavy=HEAVY)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.strip() == "[]"
