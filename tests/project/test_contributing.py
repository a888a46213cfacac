"""The tests that CONTRIBUTING names exist."""

import re
import shlex
import subprocess
import sys

import pytest

from tests.support.pages import ROOT

EXAMPLE = re.compile(r"^\.venv/bin/python -m pytest (.+)$", re.MULTILINE)
EXAMPLES = EXAMPLE.findall((ROOT / "CONTRIBUTING.md").read_text("utf-8"))


def collect(arguments: str) -> int:
    """Return the exit status of collecting: 5 if nothing is selected."""
    words = [*shlex.split(arguments), "--collect-only", "-q", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode


def test_contributing_has_examples() -> None:
    assert len(EXAMPLES) == 3


@pytest.mark.parametrize("arguments", EXAMPLES)
def test_an_example_selects_tests(arguments: str) -> None:
    assert collect(arguments) == 0


def test_an_example_that_selects_nothing_is_found() -> None:
    assert collect("-n 0 tests/unit/test_escape.py -k markdown") == 5
