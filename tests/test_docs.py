"""Pages that speak of the code are true."""

import re
from pathlib import Path

from pgiostat.rules import load
from pgiostat.rules.conditions import BLOCK_KEYS, STATEMENT_KEYS

ROOT = Path(__file__).parent.parent
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
        for page in (ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md"))
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8"))
        if not (page.parent / target).exists()
    ]
    assert broken == []


def test_the_output_in_the_readme_is_a_real_one() -> None:
    sample = (ROOT / "sample_data" / "ranking.txt").read_text("utf-8")
    assert f"```text\n{sample}```" in (ROOT / "README.md").read_text("utf-8")


CATEGORIES = (ROOT / "docs" / "categories.md").read_text("utf-8")


def test_the_rules_on_the_page_of_categories_are_rules(tmp_path: Path) -> None:
    found = re.findall(r"```toml\n(.*?)```", CATEGORIES, re.DOTALL)
    for number, text in enumerate(found):
        path = tmp_path / f"{number}.toml"
        path.write_text(text if text.startswith("schema") else f"schema = 1\n{text}", "utf-8")
        load(path)
    assert len(found) == 3


def test_the_page_of_categories_has_each_key_of_rules_and_no_other() -> None:
    _, _, keys = CATEGORIES.partition("### Keys of `when`")
    statement, _, block = keys.partition("### Keys of `block`")
    assert documented_keys(statement) == {*STATEMENT_KEYS, "block", "not"}
    assert documented_keys(block) == set(BLOCK_KEYS)


def documented_keys(text: str) -> set[str]:
    """Return the names in the first column of a table."""
    cells = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
