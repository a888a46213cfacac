"""watch on a terminal: the application, until it is left."""

import gc
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pgiostat.cli import options

if TYPE_CHECKING:
    from rich.console import RenderableType

    from pgiostat.analysis.rank import RankRow
    from pgiostat.queries.rules import Rules
    from pgiostat.statistics.names import Describe
    from pgiostat.watch.app import WatchApp
    from pgiostat.watch.options import Options
    from pgiostat.watch.screen.statement_page import Judge
    from pgiostat.watch.state import ViewState

__all__ = ["judge_by", "on_screen", "replayed"]


GARBAGE_AFTER = 50_000
"""Objects made and not gone again before circles are looked for; Python's own is 700."""


def on_screen(
    dsn: str, asked: "Options", rules: Path | None, record: Path | None, theme: str = ""
) -> None:
    """Watch a server on this terminal; raises PgiostatError for what ends it."""
    _collect_rarely()
    from pgiostat.watch.app import WatchApp
    from pgiostat.watch.screen.themes import Themes
    from pgiostat.watch.sources.live import LiveSource

    def describer(known: "Rules | None") -> "Describe":
        from pgiostat.queries.describe import describer

        return describer(known)

    # A mistake in rules is told at once; what they are made into comes after the first screen.
    known = None if rules is None else options.rules_of(rules)
    feed = LiveSource(
        dsn,
        lambda: describer(known),
        asked.interval,
        label=asked.label,
        gauge=asked.gauge,
        writes=asked.writes,
        record=record,
    )
    _run(WatchApp(feed, _state(asked), judge=judge_by(rules), themes=Themes(_kept(), theme)))


def replayed(
    place: Path,
    asked: "Options",
    rules: Path | None,
    words: Sequence[str | None],
    theme: str = "",
) -> None:
    """Replay a history on this terminal; words: since, until and last."""
    _collect_rarely()
    from pgiostat.history.read.history import History
    from pgiostat.history.read.window_spec import window
    from pgiostat.watch.app import WatchApp
    from pgiostat.watch.screen.themes import Themes
    from pgiostat.watch.sources.replay import ReplaySource

    with closing(History.open(place)) as opened, options.describing(rules) as describe:
        since, until, last = words
        now = datetime.now().astimezone()
        span = window(opened, now, label=asked.label, since=since, until=until, last=last)
        feed = ReplaySource(opened, describe, span, interval=asked.interval, gauge=asked.gauge)
        _run(WatchApp(feed, _state(asked), judge=judge_by(rules), themes=Themes(_kept(), theme)))


def _kept() -> Path:
    """Return where a theme that was chosen is kept."""
    import platformdirs

    return platformdirs.user_state_path("pgiostat") / "theme"


def _state(asked: "Options") -> "ViewState":
    from pgiostat.render.columns import SORTED_BY
    from pgiostat.watch.state import View, ViewState

    return ViewState(view=View(asked.by.value), sort=SORTED_BY[asked.sort], top=asked.top)


def _collect_rarely() -> None:
    # What an import makes stays, and the rows of an update go again by themselves: to look for
    # circles among them takes a tenth of the time to the first screen, and as long as to make them.
    gc.set_threshold(GARBAGE_AFTER, 20, 100)


def _run(app: "WatchApp") -> None:
    gc.freeze()
    try:
        app.run()
    finally:
        # What is frozen is not taken apart at the end, and libraries that count on it complain.
        gc.unfreeze()
    if app.error is not None:
        raise app.error
    if app.return_code:
        raise typer.Exit(app.return_code)


def judge_by(rules: Path | None) -> "Judge":
    """Return what says why a statement is of its category; nothing is loaded before it is asked."""

    def judge(row: "RankRow") -> "RenderableType":
        from pgiostat.queries.rules import Classifier, Subject
        from pgiostat.render import rules as render

        known = options.rules_of(rules)
        found = Classifier(known).classify(row.text, user=row.user, database=row.database)
        normalized = found.normalized
        subject = Subject(
            found.features, normalized.fingerprint, normalized.text, row.user, row.database
        )
        return render.judged(found, subject, known.verdicts(subject), with_text=False)

    return judge
