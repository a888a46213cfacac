"""Pages about the code are true. --update-gold writes outputs and screens into docs/."""

import asyncio
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

import pgiostat
from pgiostat.queries.rules import load
from pgiostat.queries.rules.conditions import BLOCK_KEYS, STATEMENT_KEYS
from tests.conftest import CompareGold
from tests.support.servers import MATRIX

ROOT = Path(__file__).parents[2]
CODE = [path for path in (ROOT / "pgiostat").rglob("*.py") if path.name != "errors.py"]


def test_every_error_is_on_the_page_of_errors_and_no_other() -> None:
    code = "\n".join(path.read_text("utf-8") for path in CODE)
    raised = set(re.findall(r'(?:slug=|Mistake\(\s*)"([a-z-]+)"', code))
    page = (ROOT / "docs" / "errors.md").read_text("utf-8")
    documented = set(re.findall(r"^\| ([a-z-]+) \|", page, re.MULTILINE)) - {"name"}
    assert documented == raised


def test_links_between_pages_lead_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8"))
        if not (page.parent / target).exists()
    ]
    assert broken == []


def test_the_output_of_the_demo_on_the_first_page_is_a_real_one() -> None:
    sample = (ROOT / "sample_data" / "ranking.txt").read_text("utf-8")
    assert f"```text\n{sample}```" in (ROOT / "docs" / "index.md").read_text("utf-8")


def test_the_picture_in_the_readme_is_a_screen_that_is_drawn() -> None:
    shots = runpy.run_path(str(ROOT / "docs" / "screens.py"))["SHOTS"]
    found = re.findall(r"\(docs/watch-(\w+)\.svg\)", (ROOT / "README.md").read_text("utf-8"))
    assert found == ["category"]
    assert set(found) <= set(shots)


def test_each_target_of_make_that_a_page_names_exists() -> None:
    pages = (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "tests" / "README.md")
    named = {
        target
        for page in pages
        for target in re.findall(
            r"(?:`|^)make ([a-z][a-z-]*)", page.read_text("utf-8"), re.MULTILINE
        )
    }
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert {"site", "changelog", "demo", "test"} <= named
    assert named - targets == set()


def test_the_versions_of_postgresql_in_the_matrix_are_those_of_the_tests() -> None:
    page = (ROOT / "docs" / "support.md").read_text("utf-8")
    tested = re.findall(r"^\| (\d+) \| tested\b", page, re.MULTILINE)
    assert sorted(map(int, tested)) == MATRIX
    (each_change,) = re.findall(r"integration runs ([\d, and]+) for each change", page)
    ci = (ROOT / ".ci" / "run").read_text("utf-8")
    assert set(re.findall(r"\d+", each_change)) == {*re.findall(r"\bpg(\d+)\b", ci), "18"}


CATEGORIES = (ROOT / "docs" / "categories.md").read_text("utf-8")


def test_the_rules_on_the_page_of_categories_are_rules(tmp_path: Path) -> None:
    found = re.findall(r"```toml\n(.*?)```", CATEGORIES, re.DOTALL)
    for number, text in enumerate(found):
        path = tmp_path / f"{number}.toml"
        path.write_text(text if text.startswith("schema") else f"schema = 1\n{text}", "utf-8")
        load(path)
    assert len(found) == 5


def test_the_page_of_categories_has_each_key_of_rules_and_no_other() -> None:
    _, _, keys = CATEGORIES.partition("### Keys of `when`")
    statement, _, block = keys.partition("### Keys of `block`")
    assert documented_keys(statement) == {*STATEMENT_KEYS, "block", "not"}
    assert documented_keys(block) == set(BLOCK_KEYS)


def documented_keys(text: str) -> set[str]:
    """Return the names in the first column of a table."""
    cells = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


SAMPLE = ROOT / "sample_data" / "history"
HISTORY = (ROOT / "docs" / "history.md").read_text("utf-8")


def blocks(kind: str, page: str = HISTORY) -> list[str]:
    """Return the blocks of a language on a page, with the sample history for the one in it."""
    found = re.findall(rf"```{kind}\n(.*?)```", page, re.DOTALL)
    return [block.replace("/var/lib/pgiostat", str(SAMPLE)) for block in found]


def compacted_reads() -> int:
    """Return the blocks read by the count of compacted files."""
    paths = sorted(SAMPLE.glob("stmt/*/*.parquet"))
    tables = [pq.ParquetFile(path).read(["shared_blks_read"]) for path in paths]
    return sum(sum(table["shared_blks_read"].to_pylist()) for table in tables)


def test_duckdb_alone_reads_compacted_files_as_on_the_page() -> None:
    by_hour, by_text, ddl = blocks("sql")
    assert "'projection.enabled' = 'true'" in ddl
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        inner = by_hour.strip().removesuffix(";")
        hours = connection.execute(f"SELECT SUM(blocks) FROM ({inner})").fetchall()
        texts = connection.execute(by_text).fetchall()
    assert hours == [(compacted_reads(),)]
    assert texts[0][0].startswith("select max(row_version) from ")
    assert sum(blocks for _, blocks, _ in texts) <= compacted_reads()


def test_pandas_reads_compacted_files_as_on_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(blocks("python")[0], "docs/history.md", "exec"), {})  # noqa: S102 - our own page
    shown = capsys.readouterr().out.splitlines()[1:-1]
    assert sum(int(line.split()[-1]) for line in shown) == compacted_reads()


def test_the_calls_for_frames_on_the_page_work() -> None:
    calls = re.findall(r"history\.(\w+)\(([^)]*)\)", blocks("python")[2])
    frames = pgiostat.open_history(SAMPLE)
    assert len(calls) == 11
    for name, arguments in calls:
        # Neither a device nor tables were measured in the sample.
        if name not in {"compare", "device", "tables", "definitions"}:
            assert len(eval(f"frames.{name}({arguments})", {"frames": frames}))  # noqa: S307 - our own page


def test_the_contents_of_a_history_on_its_page_are_real() -> None:
    shown = re.findall(r"pgiostat history --h.*?\n```\n\n```text\n(.*?)```", HISTORY, re.DOTALL)[0]
    found = "\n".join(ran("pgiostat history --history sample_data/history"))
    # The age, and the size of a file on this disk, vary.
    now, page = (
        re.sub(r"newest .* ago|[\d.]+ [KM]?i?B\b", "", text).split() for text in (found, shown)
    )
    assert sorted(now) == sorted(page)


def ran(command: str) -> list[str]:
    """Run a command of a page; return its lines."""
    done = subprocess.run(
        [sys.executable, "-m", *command.split()], capture_output=True, text=True, check=True,
        cwd=ROOT, env={**os.environ, "COLUMNS": "98"},
    )  # fmt: skip
    return [line.rstrip() for line in done.stdout.splitlines()]


OUTPUT = re.compile(
    r"(```sh\n(pgiostat [^\n]*sample_data/history[^\n]*)\n```\n\n```text\n)(.*?)```", re.DOTALL
)
"""A command on the sample history, and its output."""


@pytest.mark.parametrize(("name", "outputs"), [("compare", 1), ("whatif", 1), ("burst", 2)])
def test_the_outputs_on_a_page_are_real_ones(
    name: str, outputs: int, compare_gold: CompareGold
) -> None:
    path = ROOT / "docs" / f"{name}.md"
    page = path.read_text("utf-8")
    assert len(OUTPUT.findall(page)) == outputs
    compare_gold(path, OUTPUT.sub(lambda found: f"{found[1]}{output(found[2])}```", page))


def output(command: str) -> str:
    return "".join(f"{line}\n" for line in ran(command))


def test_the_investigation_on_its_page_was_measured() -> None:
    text, _ = runpy.run_path(str(ROOT / "docs" / "investigation.py"))["made"]()
    assert (ROOT / "docs" / "investigation.md").read_text("utf-8") == text
    for name in ("reads", "whatif"):
        assert (ROOT / "docs" / f"investigation-{name}.svg").read_text("utf-8").startswith("<svg")


@pytest.mark.parametrize(
    "name", ["category", "statement", "detail", "relation", "io", "total", "light", "help"]
)
def test_the_screens_of_watch_are_what_it_draws(name: str, compare_gold: CompareGold) -> None:
    made = runpy.run_path(str(ROOT / "docs" / "screens.py"))
    drawn = asyncio.run(made["shot"](*made["SHOTS"][name]))
    compare_gold(ROOT / "docs" / f"watch-{name}.svg", drawn)
