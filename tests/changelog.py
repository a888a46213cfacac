"""Move the fragments of changelog.d into CHANGELOG.md, below "Unreleased": `make changelog`."""

import textwrap
from pathlib import Path

ROOT = Path(__file__).parent.parent
SECTIONS = ("security", "added", "changed", "deprecated", "removed", "fixed")
UNRELEASED = "## Unreleased\n"
WIDTH = 100


def fragments(directory: Path) -> dict[str, list[Path]]:
    """Return the fragments of each section, by name.

    Raises:
        SystemExit: A file is none, or is empty.
    """
    found: dict[str, list[Path]] = {}
    for path in sorted(directory.iterdir()):
        if path.name == "README.md":
            continue
        name, _, section = path.name.removesuffix(".md").rpartition(".")
        if not name or section not in SECTIONS or path.suffix != ".md":
            raise SystemExit(
                f"{path.name} is no fragment: <name>.<section>.md, of {', '.join(SECTIONS)}"
            )
        if not path.read_text("utf-8").strip():
            raise SystemExit(f"{path.name} is empty")
        found.setdefault(section, []).append(path)
    return found


def merged(changelog: str, lines: dict[str, list[str]]) -> str:
    """Return the changelog with lines in the sections of its unreleased part, the newest last."""
    before, mark, after = changelog.partition(UNRELEASED)
    if not mark:
        raise SystemExit(f'CHANGELOG.md has no line "{UNRELEASED.strip()}"')
    unreleased, released, rest = after.partition("\n## ")
    for section in SECTIONS:
        for line in lines.get(section, []):
            unreleased = _added(unreleased, section, _bullet(line))
    text = unreleased.strip()
    return before + mark + (f"\n{text}\n" if text else "") + released + rest


def _bullet(line: str) -> str:
    return textwrap.fill(
        " ".join(line.split()), WIDTH, initial_indent="- ", subsequent_indent="  ",
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _added(unreleased: str, section: str, bullet: str) -> str:
    """Add a bullet at the end of a section, which is made if it is not there."""
    title = f"**{section.capitalize()}**"
    begin = unreleased.find(title)
    if begin < 0:
        return f"{unreleased.rstrip()}\n\n{title}\n\n{bullet}\n"
    end = unreleased.find("\n**", begin + len(title))
    end = len(unreleased) if end < 0 else end
    return f"{unreleased[:end].rstrip()}\n{bullet}\n{unreleased[end:]}"


def main() -> None:
    """Move them all."""
    found = fragments(ROOT / "changelog.d")
    lines = {
        section: [path.read_text("utf-8") for path in paths] for section, paths in found.items()
    }
    changelog = ROOT / "CHANGELOG.md"
    changelog.write_text(merged(changelog.read_text("utf-8"), lines), "utf-8")
    for paths in found.values():
        for path in paths:
            path.unlink()


if __name__ == "__main__":
    main()
