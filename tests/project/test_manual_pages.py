"""Manual pages render, and no text of a command acts in them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.distributions import ROOT
from tests.support.manual_pages import _text

PAGES = sorted((ROOT / "contrib" / "man").glob("*.1"))


def test_requests_and_escapes_in_a_text_are_shown() -> None:
    assert _text(".SH x") == "\\&.SH x"
    assert _text("'a") == "\\&'a"
    assert _text("\\fB --since ~") == "\\efB \\-\\-since \\(ti"


@pytest.mark.skipif(shutil.which("man") is None, reason="needs man")
@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_each_page_renders_without_a_warning(page: Path) -> None:
    done = subprocess.run(
        ["man", "--warnings=w", "-l", str(page)],
        env=os.environ | {"LC_ALL": "C.UTF-8", "MANWIDTH": "90", "MANPAGER": "cat"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    for section in ("NAME", "SYNOPSIS", "OPTIONS", "EXIT STATUS", "SEE ALSO"):
        assert f"\n{section}\n" in done.stdout
