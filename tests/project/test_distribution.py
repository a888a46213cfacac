"""What the wheel and the source distribution contain, and what their metadata say."""

import re
import tarfile
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

import pgiostat
from tests.support.distributions import ROOT, build

VERSION = pgiostat.__version__


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    return zipfile.ZipFile(build(tmp_path_factory.mktemp("wheel"), "wheel"))


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    return message_from_bytes(wheel.read(f"pgiostat-{VERSION}.dist-info/METADATA"))


def test_the_wheel_has_each_file_of_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    package = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "pgiostat").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    info = f"pgiostat-{VERSION}.dist-info"
    expected = package | {
        f"{info}/{name}"
        for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
    }
    data = f"pgiostat-{VERSION}.data/data/share/man/man1"
    expected |= {f"{data}/{path.name}" for path in (ROOT / "contrib" / "man").glob("*.1")}
    assert "pgiostat/py.typed" in package
    assert f"{data}/pgiostat-watch.1" in expected
    assert set(wheel.namelist()) == expected


def test_the_source_distribution_builds_tests_and_documents(tmp_path: Path) -> None:
    with tarfile.open(build(tmp_path, "sdist")) as source:
        names = {name.partition("/")[2] for name in source.getnames()}
    assert {
        "CHANGELOG.md",
        "Containerfile",
        "LICENSE",
        "Makefile",
        "PKG-INFO",
        "README.md",
        "docs/command-line.md",
        "pgiostat/py.typed",
        "pyproject.toml",
        "requirements/dev.txt",
        "sample_data/ranking.txt",
        "tests/conftest.py",
    } <= names
    hidden = {name.partition("/")[0] for name in names if name.startswith(".")}
    assert hidden == {".github", ".gitignore"}
    assert [name for name in names if re.search(r"__pycache__|\.pyc$", name)] == []


def test_the_core_needs_no_package_of_an_extra(metadata: Message) -> None:
    required = metadata.get_all("Requires-Dist", [])
    core = {re.match(r"[\w-]+", line)[0] for line in required if "extra ==" not in line}  # type: ignore[index]
    assert core == {
        "numpy",
        "platformdirs",
        "psycopg",
        "rich",
        "sqlparse",
        "textual",
        "textual-plotext",
        "typer",
    }
    assert set(metadata.get_all("Provides-Extra", [])) == {
        "all",
        "aws",
        "demo",
        "fleet",
        "history",
        "metrics",
        "notebook",
        "spark",
    }


def test_the_metadata_lead_to_the_project(metadata: Message) -> None:
    urls = dict(line.split(", ") for line in metadata.get_all("Project-URL", []))
    assert set(urls) == {"Homepage", "Documentation", "Source", "Issues", "Changelog"}
    assert metadata["Version"] == VERSION
    assert metadata["License-Expression"] == "PostgreSQL"
    assert metadata["Requires-Python"] == ">=3.11"


def test_each_link_of_the_description_leads_out_of_it(metadata: Message) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    described = metadata.get_payload()
    assert isinstance(described, str)
    targets = re.findall(r"\]\(([^)]+)\)", described)
    assert [target for target in targets if not target.startswith(("https://", "#"))] == []
    assert len(targets) == len(re.findall(r"\]\(([^)]+)\)", readme))
    tag = f"https://github.com/pgiostat/pgiostat/blob/v{VERSION}"
    assert f"]({tag}/docs/accuracy.md)" in described


def test_the_changelog_has_a_section_for_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert re.fullmatch(rf"{re.escape(VERSION)} \(\d{{4}}-\d\d-\d\d\)", headings[1])
