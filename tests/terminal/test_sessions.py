"""Whole sessions of watch as text: the keys that are pressed, and the screen after them.

A file of tests/terminal/sessions begins with the size of the terminal. Each line after "> " names
one key or several. The lines below it are the whole screen, without empty lines at its end.
--update-gold writes the screens; look at them before you commit them.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot

from pgiostat.watch.app import WatchApp
from tests.conftest import CompareGold
from tests.support.screens import Told, play, screen

SESSIONS = sorted((Path(__file__).parent / "sessions").glob("*.txt"))


def steps(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield keys and the screen that the file has after them."""
    keys, lines = "", list[str]()
    for line in text.splitlines()[1:]:
        if line.startswith("> "):
            if keys:
                yield keys, lines
            keys, lines = line.removeprefix("> "), []
        else:
            lines.append(line)
    yield keys, lines


@pytest.mark.parametrize("path", SESSIONS, ids=lambda path: path.stem)
def test_a_session_shows_the_screens_of_its_file(path: Path, compare_gold: CompareGold) -> None:
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
    compare_gold(path, "\n".join(found) + "\n")
