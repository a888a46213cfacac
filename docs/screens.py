"""Draw the screenshots of the pages: a replay of sample_data/history, key by key.

python docs/screens.py
"""

import asyncio
import re
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from pgiostat.cli.histories import DEFAULT_RULES
from pgiostat.cli.watch_screen import judge_by
from pgiostat.history.read.history import History
from pgiostat.history.read.windows import Window
from pgiostat.queries.describe import describer
from pgiostat.watch.app import WatchApp
from pgiostat.watch.screen.themes import Themes
from pgiostat.watch.sources.replay import ReplaySource

HERE = Path(__file__).parent
SAMPLE = HERE.parent / "sample_data" / "history"
SHOTS: dict[str, tuple[tuple[int, int], list[str]] | tuple[tuple[int, int], list[str], str]] = {
    "category": ((90, 18), []),
    "statement": ((130, 24), ["2"]),
    "detail": ((110, 44), ["enter", "enter"]),
    "relation": ((110, 20), ["3"]),
    "io": ((110, 12), ["6", "a"]),
    "total": ((110, 20), ["a"]),
    "light": ((90, 18), [], "textual-light"),
    "help": ((110, 44), ["question_mark"]),
}
"""The size of each screen in columns and rows, the keys that lead to it, and its theme."""
_FONT = re.compile(r" *@font-face \{.*?\}\n", re.DOTALL)
SHOWN = 30
SETTLED = 5


async def shot(size: tuple[int, int], keys: list[str], theme: str = "") -> str:
    """Return the picture of a screen after keys."""
    with closing(History.open(SAMPLE)) as history:
        (server,) = history.servers()
        window = Window(server.since, server.since + timedelta(seconds=SHOWN * 10))
        feed = ReplaySource(history, describer(), window, interval=0.0)
        app = WatchApp(feed, judge=judge_by(DEFAULT_RULES), themes=Themes(requested=theme))
        async with app.run_test(size=size) as pilot:
            while app.watch_session.shown < feed.position[1]:
                await pilot.pause(0.05)
            await pilot.press(*keys)
            for _ in range(SETTLED):
                await pilot.pause()
            # The fonts would come from elsewhere; without them a picture has the reader's own.
            return _FONT.sub("", app.export_screenshot(title="pgiostat watch"))


def main() -> None:
    """Draw them all."""
    for name, screen in SHOTS.items():
        (HERE / f"watch-{name}.svg").write_text(asyncio.run(shot(*screen)), "utf-8")


if __name__ == "__main__":
    main()
