"""The tables of hard cases: tests/unit/queries/cases/*.toml, which read as documentation."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from pgiostat.queries.fingerprint import fingerprint, normalize
from pgiostat.queries.rules import Classifier, builtin
from pgiostat.statistics.names import OTHER

SYNC = ("version", "manifest", "upload", "download")
"""Categories of a synchronization API; what is in none of them is named after what it does."""

CASES = Path(__file__).parent / "cases"


def cases(name: str) -> pytest.MarkDecorator:
    """Mark a test to be run for each case of a file."""
    found: list[dict[str, Any]] = tomllib.loads((CASES / name).read_text("utf-8"))["case"]
    return pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in found])


@cases("categories.toml")
def test_a_hard_case_is_of_its_category(case: dict[str, str]) -> None:
    found = Classifier(builtin("sync")).classify(case["sql"])
    category = found.category if found.category in SYNC else OTHER
    assert category == case["expected"], f"{found.match.rule}: {case['why']}"


@cases("fingerprints.toml")
def test_a_hard_case_has_its_fingerprint(case: dict[str, Any]) -> None:
    text = case["sql"]
    assert normalize(text).text == case["expected"], case["why"]
    assert [fingerprint(same) == fingerprint(text) for same in case["same"]] == [True] * len(
        case["same"]
    ), case["why"]
    assert [fingerprint(other) == fingerprint(text) for other in case["unlike"]] == [False] * len(
        case["unlike"]
    ), case["why"]
