"""Fragments of the changelog."""

from pathlib import Path

import pytest

from tests.changelog import ROOT, fragments, merged

BEFORE = """# Changelog

## Unreleased

**Added** (see there)

- One.

**Fixed**

- Two.

## 0.1.0

- Old.
"""
AFTER = """# Changelog

## Unreleased

**Added** (see there)

- One.
- Three.

**Fixed**

- Two.
- Four, which is so long a line that it does not fit into one of a hundred characters, and is broken
  here.

**Security**

- Five.

## 0.1.0

- Old.
"""


def test_lines_go_to_the_end_of_their_sections() -> None:
    long = (
        "Four, which is so long a line that it does not fit into one\n"
        "of a hundred characters, and is broken here.\n"
    )
    assert merged(BEFORE, {"added": ["Three.\n"], "fixed": [long], "security": ["Five."]}) == AFTER


def test_the_first_lines_after_a_release() -> None:
    empty = "# Changelog\n\n## Unreleased\n\n## 0.2.0\n\n- Old.\n"
    assert merged(empty, {"added": ["New."]}) == (
        "# Changelog\n\n## Unreleased\n\n**Added**\n\n- New.\n\n## 0.2.0\n\n- Old.\n"
    )


def test_without_fragments_nothing_changes() -> None:
    assert merged(BEFORE, {}) == BEFORE


def test_a_changelog_without_its_mark_is_refused() -> None:
    with pytest.raises(SystemExit, match='has no line "## Unreleased"'):
        merged("# Changelog\n", {})


def test_fragments_are_found_by_section(tmp_path: Path) -> None:
    for name in ("b.fixed.md", "a.fixed.md", "c.two.added.md", "README.md"):
        (tmp_path / name).write_text("x\n", "utf-8")
    found = fragments(tmp_path)
    assert {section: [path.name for path in paths] for section, paths in found.items()} == {
        "fixed": ["a.fixed.md", "b.fixed.md"],
        "added": ["c.two.added.md"],
    }


@pytest.mark.parametrize("name", ["a.md", "a.new.md", "a.fixed.txt", ".fixed.md"])
def test_another_file_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("x\n", "utf-8")
    with pytest.raises(SystemExit, match="is no fragment"):
        fragments(tmp_path)


def test_an_empty_fragment_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.fixed.md").write_text("\n", "utf-8")
    with pytest.raises(SystemExit, match="is empty"):
        fragments(tmp_path)


def test_all_that_is_in_the_directory_are_fragments() -> None:
    fragments(ROOT / "changelog.d")
