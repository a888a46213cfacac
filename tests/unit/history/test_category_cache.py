"""Categories that were found before are found again, until what they follow from changes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pgiostat.history.read.category_cache import (
    MOST_FILES,
    cached_categories,
    digest,
    found_before,
)
from pgiostat.statistics.names import Describe, Statement
from tests.support.histories import MINUTE, intervals, write


class Counting:
    """Describes statements, and counts how often it was made and asked."""

    def __init__(self) -> None:
        self.made = 0
        self.asked: list[str] = []

    def make(self) -> Describe:
        self.made += 1
        return self.describe

    def describe(self, text: str | bytes, *, user: str, database: str, queryid: int) -> Statement:
        self.asked.append(str(text))
        return Statement(str(text), f"{user}/{database}/{queryid}", f"of {user}")


def categories(directory: Path, counting: Counting, *asked: tuple[str, str]) -> list[str]:
    """Return the categories of texts by users."""
    with cached_categories(counting.make, directory, "rules") as describe:
        return [
            describe(text, user=user, database="app", queryid=1).category for text, user in asked
        ]


def test_what_was_found_is_not_looked_for_again(tmp_path: Path) -> None:
    first, second = Counting(), Counting()
    asked = [("select 1", "api"), ("select 2", "api"), ("select 1", "web"), ("select 1", "api")]
    expected = ["of api", "of api", "of web", "of api"]
    assert categories(tmp_path, first, *asked) == expected
    assert (first.made, first.asked) == (1, ["select 1", "select 2", "select 1"])
    assert categories(tmp_path, second, *asked) == expected
    assert (second.made, second.asked) == (0, [])


def test_the_categories_of_the_last_reports_are_listed(tmp_path: Path) -> None:
    assert found_before(tmp_path) == set()
    categories(tmp_path, Counting(), ("select 1", "api"), ("select 2", "web"))
    assert found_before(tmp_path) == {"of api", "of web"}
    (tmp_path / "rules.json").write_text("damaged")
    assert found_before(tmp_path) == set()


def test_cursors_are_always_looked_for(tmp_path: Path) -> None:
    for _ in range(2):
        counting = Counting()
        assert categories(tmp_path, counting, ("declare c cursor for select ?", "api")) == [
            "of api"
        ]
        assert counting.made == 1


def test_a_category_in_a_damaged_file_is_looked_for_again(tmp_path: Path) -> None:
    assert categories(tmp_path, Counting(), ("select 1", "api")) == ["of api"]
    path = tmp_path / "rules.json"
    good = path.read_bytes()
    assert good.count(b"of api") == 1
    for bad in (good.replace(b"of api", b"of apj"), good.replace(b"\n", b"")):
        path.write_bytes(bad)
        again = Counting()
        assert categories(tmp_path, again, ("select 1", "api")) == ["of api"]
        assert again.asked == ["select 1"]


@pytest.mark.parametrize("content", ["", "no json", "[1, 2]"])
def test_a_damaged_file_is_no_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "rules.json").write_text(content)
    assert categories(tmp_path, Counting(), ("select 1", "api")) == ["of api"]
    _, told = (tmp_path / "rules.json").read_text().splitlines()
    assert list(json.loads(told).values()) == [["of api", "", ""]]


def test_where_nothing_can_be_kept_nothing_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert categories(tmp_path / "file", Counting(), ("select 1", "api")) == ["of api"]


def test_old_files_go(tmp_path: Path) -> None:
    for number in range(MOST_FILES + 3):
        with cached_categories(Counting().make, tmp_path, f"rules{number}") as describe:
            describe("select 1", user="", database="", queryid=1)
    assert len(list(tmp_path.iterdir())) == MOST_FILES
    assert (tmp_path / f"rules{MOST_FILES + 2}.json").exists()


def test_other_rules_and_other_code_have_another_name() -> None:
    names = [digest(rules, version) for rules in (b"", b"schema = 1") for version in (1, 2, 1)]
    assert len(set(names)) == 4


def test_a_report_imports_no_pandas(tmp_path: Path) -> None:
    write(tmp_path / "history", intervals(2, MINUTE))
    script = (
        "import sys\n"
        "from pgiostat.cli import main, process\n"
        "process.leave = sys.exit\n"
        "sys.argv = ['pgiostat', 'report', '--history', sys.argv[1]]\n"
        "try: main()\n"
        "except SystemExit as end: print(end.code, 'pandas' in sys.modules)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "history")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 False"
