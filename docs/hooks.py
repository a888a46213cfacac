"""Hooks of the site (mkdocs.yml): pages from the root, links out of docs/, and llms.txt."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.nav import Navigation, Section
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
SOURCE = PROJECT["urls"]["Source"]
FROM_ROOT = {
    "contributing.md": "CONTRIBUTING.md",
    "security.md": "SECURITY.md",
    "changelog.md": "CHANGELOG.md",
}
"""Pages of the site that stand in the root of the repository, where readers of code look."""

_LINK = re.compile(r"\]\(([^)\s:#]+)(#[^)\s]*)?\)")
_DIAGRAM = re.compile(r"```mermaid\nflowchart TD\n(.*?)```", re.DOTALL)
_LAYER = re.compile(r'subgraph L\d+\[" "\]\n +direction LR\n(.*?)\n +end', re.DOTALL)

_pages: list[tuple[str, Page]] = []


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that stand in the root."""
    for name, source in FROM_ROOT.items():
        text = (ROOT / source).read_text("utf-8")
        files.append(File.generated(config, name, content=_from_root(text)))
    return files


def _from_root(text: str) -> str:
    """Rewrite the links of a page in the root: what is in docs/ lies beside it on the site."""
    return _LINK.sub(lambda link: f"]({_beside(link[1])}{link[2] or ''})", text)


def _beside(target: str) -> str:
    names = {source: name for name, source in FROM_ROOT.items()}
    inside = target.removeprefix("docs/")
    return names.get(target, inside if inside != target else f"../{target}")


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Rewrite what only a repository can show: links to its files, and Mermaid's diagrams."""
    up = "../" * page.file.src_uri.count("/")
    names = {source: name for name, source in FROM_ROOT.items()}

    def inside(link: re.Match[str]) -> str:
        target = link[1].removeprefix(f"{up}../")
        if target == link[1]:
            return link[0]
        if target in names:
            return f"]({up}{names[target]}{link[2] or ''})"
        return f"]({SOURCE}/blob/main/{target}{link[2] or ''})"

    return _DIAGRAM.sub(lambda found: _layers(found[1]), _LINK.sub(inside, markdown))


def _layers(diagram: str) -> str:
    """Return the layers of a diagram as a table: Mermaid's script would come from elsewhere."""
    rows = (" · ".join(f"`{room.strip()}`" for room in layer.splitlines()) for layer in
            _LAYER.findall(diagram))  # fmt: skip
    return "\n".join(["| layers, the highest first |", "|---|", *(f"| {row} |" for row in rows)])


def on_nav(nav: Navigation, **_: object) -> None:
    """Keep the pages in their order, for llms.txt."""
    _pages[:] = [(item.title or "", page) for item in nav.items for page in _below(item)]


def _below(item: object) -> Iterator[Page]:
    if isinstance(item, Page):
        yield item
    elif isinstance(item, Section):
        for child in item.children:
            yield from _below(child)


def on_post_build(config: MkDocsConfig) -> None:
    """Write llms.txt, an index for language models, and llms-full.txt, the text of all pages."""
    site = Path(config.site_dir)
    index = [f"# {config.site_name}", "", f"> {config.site_description}"]
    section = None
    for name, page in _pages:
        if name != section:
            section = name
            index += ["", f"## {name}", ""]
        index.append(f"- [{page.title}]({page.file.dest_uri}): {_summary(page.markdown or '')}")
    (site / "llms.txt").write_text("\n".join(index) + "\n", "utf-8")
    texts = (f"<!-- {page.file.src_uri} -->\n\n{page.markdown}\n" for _, page in _pages)
    (site / "llms-full.txt").write_text("\n".join(texts), "utf-8")


def _summary(markdown: str) -> str:
    """Return the first sentence of a page's first paragraph, without markup."""
    for paragraph in markdown.split("\n\n"):
        if re.match(r"(?!```)[\w`*\[\"]", paragraph):
            plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", " ".join(paragraph.split()))
            return re.split(r"(?<=[.?!])\s", plain)[0]
    return ""
