"""Whole sittings, as text: keys that are pressed, and the screen after them.

A file of tests/sittings begins with the size; each line after "> " is a key or several, and what
follows is the whole screen, with the line that is typed in, what is said, and the keys of the
moment; without empty lines at its end.  WRITE_SITTINGS=1 writes the screens anew,
to be looked at before they are committed.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot

from pgiostat.watch.app import WatchApp
from tests.test_app import Told, play, screen

SITTINGS = sorted((Path(__file__).parent / "sittings").glob("*.txt"))


def steps(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield keys and the screen that is expected after them."""
    keys, lines = "", list[str]()
    for line in text.splitlines()[1:]:
        if line.startswith("> "):
            if keys:
                yield keys, lines
            keys, lines = line.removeprefix("> "), []
        else:
            lines.append(line)
    yield keys, lines


@pytest.mark.parametrize("path", SITTINGS, ids=lambda path: path.stem)
def test_a_sitting_shows_what_is_written(path: Path) -> None:
    text = path.read_text("utf-8")
    columns, lines = map(int, text.splitlines()[0].split("×"))
    found = [text.splitlines()[0]]

    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        for keys, _ in steps(text):
            # Not the first: the screen as it comes.
            if keys != "(nothing)":
                await pilot.press(*keys.split())
            await pilot.pause()
            found.append(f"> {keys}")
            lines = screen(app)
            while lines and not lines[-1]:
                lines.pop()
            found.extend(lines)

    play(script, (columns, lines), Told())
    if os.environ.get("WRITE_SITTINGS"):
        path.write_text("\n".join(found) + "\n", "utf-8")
    assert "\n".join(found) + "\n" == text
