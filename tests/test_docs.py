"""Pages that speak of the code are true."""

import re
from pathlib import Path

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
