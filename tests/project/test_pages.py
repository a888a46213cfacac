"""Each code block of README and of the pages for users runs, and shows what it shows there.

--update-gold writes the outputs into the pages; look at them before you commit them.
"""

from pathlib import Path

import pytest

from tests.conftest import CompareGold, MakeServer
from tests.support.pages import ROOT, PageError, PageRun, blocks
from tests.support.servers import Server

CONNECT = ROOT / "docs" / "start" / "connect.md"
README = ROOT / "README.md"
PREPARES = {README, CONNECT}
"""Pages that make the role and the extension themselves."""
PAGES = [
    README,
    *(ROOT / "docs").glob("start/*.md"),
    *(ROOT / "docs").glob("tasks/*.md"),
]

pytestmark = [pytest.mark.server, pytest.mark.once, pytest.mark.long]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_each_block_of_a_page_runs_and_its_output_is_on_the_page(
    path: Path, tmp_path: Path, make_server: MakeServer, compare_gold: CompareGold
) -> None:
    def bare() -> Server:
        return make_server(shared_preload_libraries="", track_io_timing=False)

    prepares = path in PREPARES
    run = PageRun(tmp_path, bare if prepares else make_server, prepares)
    compare_gold(path, run.run(path.read_text("utf-8")))


def never() -> Server:
    raise AssertionError("this page needs no server")


def test_an_output_that_differs_is_replaced_and_all_else_stays(tmp_path: Path) -> None:
    page = (
        "a\n\n```sh\necho 1\n```\n\n```text\n2\n```\n\n```sh\necho 3\n```\n\n```text\n3\n```\nb\n"
    )
    assert PageRun(tmp_path, never).run(page) == page.replace("2", "1")


@pytest.mark.parametrize(
    "block",
    [
        "sh\nfalse",
        "sh\npgiostat report --history none",
        "sh\npgiostat watch --replay none",
        "sh\npip install '.[none]'",
        "sh\nmake none",
        "python\nraise SystemExit(1)",
        "text\nnobody runs this",
        "toml\nno = 'name'",
    ],
)
def test_a_block_that_does_not_run_fails(block: str, tmp_path: Path) -> None:
    with pytest.raises(PageError):
        PageRun(tmp_path, never).run(f"```{block}\n```\n")


def test_a_block_has_its_language_its_title_and_its_text() -> None:
    (found,) = blocks('x\n```toml title="a.toml"\nb = 1\n```\n')
    assert (found.language, found.title, found.text) == ("toml", "a.toml", "b = 1\n")
