"""The site is built strictly, loads nothing from elsewhere, and is searched without a server."""

import json
import os
import re
import runpy
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
LOADS = {"script": "src", "img": "src", "iframe": "src", "link": "href"}
NOT_LOADED = {"canonical", "next", "prev"}
"""Links of a page's head that a browser only knows of."""


class Loaded(HTMLParser):
    """Collects what a browser loads for a page."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag in LOADS and found.get("rel") not in NOT_LOADED and found.get(LOADS[tag]):
            self.urls.append(str(found[LOADS[tag]]))


def built(configuration: Path, to: Path) -> subprocess.CompletedProcess[str]:
    """Build the site as `make site` does."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", configuration,
         "--site-dir", to],
        capture_output=True, text=True, check=False, cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    to: Path = tmp_path_factory.mktemp("site")
    done = built(ROOT / "mkdocs.yml", to)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return to


def test_a_link_that_leads_nowhere_is_an_error(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "index.md").write_text("[nowhere](nowhere.md)\n", "utf-8")
    whole = (ROOT / "mkdocs.yml").read_text("utf-8")
    alone = re.sub(r"hooks:.*\n|nav:\n(.*\n)*", "", whole).replace("docs_dir: docs\n", "")
    (tmp_path / "mkdocs.yml").write_text(alone, "utf-8")
    done = built(tmp_path / "mkdocs.yml", tmp_path / "site")
    assert done.returncode == 1
    assert "'nowhere.md', but the target is not found" in done.stderr


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    elsewhere = set()
    for page in pages:
        loaded = Loaded()
        loaded.feed(page.read_text("utf-8"))
        assert loaded.urls
        elsewhere |= {url for url in loaded.urls if re.match(r"(\w+:)?//", url)}
    assert elsewhere == set()
    pictures = [path for path in site.rglob("*.svg") if "http" in _loads_of(path)]
    assert pictures == []


def _loads_of(picture: Path) -> str:
    """Return what a picture loads: all but names of namespaces and comments."""
    text = picture.read_text("utf-8")
    return re.sub(r'xmlns(:\w+)?="[^"]*"|<!--.*?-->|(https?://www\.w3\.org)[^"]*', "", text)


def test_the_search_finds_burst_without_a_server(site: Path) -> None:
    script = (site / "search" / "search_index.js").read_text("utf-8")
    index = json.loads(script.removeprefix("var __index = "))
    found = {entry["location"] for entry in index["docs"] if "burst" in entry["title"].lower()}
    assert {"burst.html", "tasks/burst.html", "glossary.html#burst-balance"} <= found
    assert (site / "assets" / "iframe-worker.js").exists()


def test_the_navigation_has_five_parts(site: Path) -> None:
    parts = re.findall(r"^## (.*)$", (site / "llms.txt").read_text("utf-8"), re.MULTILINE)
    assert parts == ["Start", "Tasks", "Concepts", "Reference", "Project"]


def test_llms_txt_has_each_page_with_its_title_and_a_sentence(site: Path) -> None:
    text = (site / "llms.txt").read_text("utf-8")
    entries = re.findall(r"^- \[(.+?)\]\((.+?)\): (.+)$", text, re.MULTILINE)
    assert {target for _, target, _ in entries} == {
        path.relative_to(site).as_posix() for path in site.rglob("*.html")
    } - {"404.html"}
    assert len(entries) == text.count("\n- ")
    whole = (site / "llms-full.txt").read_text("utf-8")
    assert all(
        f"\n<!-- {target.removesuffix('.html')}.md -->\n" in f"\n{whole}"
        for _, target, _ in entries
    )


def test_pages_of_the_root_and_links_to_the_repository_are_rewritten(site: Path) -> None:
    hooks = runpy.run_path(str(ROOT / "docs" / "hooks.py"))
    assert hooks["_from_root"]("[a](docs/b.md#c) [d](SECURITY.md) [e](LICENSE)") == (
        "[a](b.md#c) [d](security.md) [e](../LICENSE)"
    )
    trust = (site / "trust.html").read_text("utf-8")
    assert 'href="security.html"' in trust
    burst = (site / "burst.html").read_text("utf-8")
    source = "https://github.com/pgiostat/pgiostat/blob/main"
    assert f'href="{source}/pgiostat/volume/instances.csv"' in burst


def test_the_diagram_of_the_architecture_is_a_table(site: Path) -> None:
    page = (site / "architecture.html").read_text("utf-8")
    assert "mermaid" not in page
    assert "<td><code>history</code> · <code>postgres</code></td>" in page


def test_the_gallery_has_each_screen_that_is_drawn() -> None:
    shots = runpy.run_path(str(ROOT / "docs" / "screens.py"))["SHOTS"]
    gallery = (ROOT / "docs" / "gallery.md").read_text("utf-8")
    assert set(re.findall(r"\(watch-(\w+)\.svg\)", gallery)) == set(shots)


@pytest.mark.parametrize("name", ["bug.yml", "idea.yml", "question.yml"])
def test_a_template_of_an_issue_asks_for_what_is_needed(name: str) -> None:
    form = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / name).read_text("utf-8"))
    assert {"name", "description", "body"} <= set(form)
    asked = {item["id"]: item for item in form["body"] if "id" in item}
    required = {each for each, item in asked.items() if item.get("validations", {}).get("required")}
    if name == "bug.yml":
        assert {"version", "doctor", "steps", "expected"} <= required
        assert "pgiostat --version" in asked["version"]["attributes"]["description"]
        assert "pgiostat doctor --format json" in asked["doctor"]["attributes"]["description"]
    assert required
