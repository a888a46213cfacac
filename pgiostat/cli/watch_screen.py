"""watch on a terminal: the application, until it ends."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pgiostat.cli.histories import RulesChoice, Span, describing, rules_of, window_of
from pgiostat.cli.process import collect_rarely, frozen_imports

if TYPE_CHECKING:
    from rich.console import RenderableType

    from pgiostat.analysis.rank import RankRow
    from pgiostat.statistics.names import Describe
    from pgiostat.watch.app import WatchApp
    from pgiostat.watch.options import Options
    from pgiostat.watch.screen.incident_page import IncidentControl
    from pgiostat.watch.screen.statement_page import Judge
    from pgiostat.watch.state import ViewState

__all__ = ["judge_by", "on_screen", "replayed"]


def on_screen(
    dsn: str,
    wanted: "Options",
    rules: RulesChoice,
    record: Path | None,
    theme: str = "",
    *,
    incidents: "IncidentControl | None" = None,
) -> None:
    """Watch a server on this terminal; raises PgiostatError for an error that ends it.

    incidents: those of the demo.
    """
    collect_rarely()
    from pgiostat.watch.app import WatchApp
    from pgiostat.watch.screen.themes import Themes
    from pgiostat.watch.sources.live import LiveSource

    def describer() -> "Describe":
        from pgiostat.queries.describe import describer

        return describer(known or rules_of(rules), tag=wanted.tag)

    if record is not None:
        # The writer is imported by the thread that reads, after the first screen.
        from pgiostat.extras import require

        require("pyarrow")
    # An error in the rules is raised at once; they are compiled after the first screen.
    known = None if rules.path is None else rules_of(rules)
    feed = LiveSource(
        dsn,
        describer,
        wanted.interval,
        label=wanted.label,
        gauge=wanted.gauge,
        writes=wanted.writes,
        record=record,
        tables_interval=wanted.tables_interval,
    )
    app = WatchApp(
        feed,
        _state(wanted),
        judge=judge_by(rules),
        themes=Themes(_kept(), theme),
        incidents=incidents,
    )
    _run(app)


def replayed(
    place: Path,
    wanted: "Options",
    rules: RulesChoice,
    words: tuple[str | None, str | None, str | None],
    theme: str = "",
) -> None:
    """Replay a time window of a history on this terminal; words: since, until and last."""
    collect_rarely()
    from pgiostat.history.read.history import History
    from pgiostat.watch.app import WatchApp
    from pgiostat.watch.screen.themes import Themes
    from pgiostat.watch.sources.replay import ReplaySource

    with closing(History.open(place)) as opened, describing(rules) as describe:
        window = window_of(opened, Span(wanted.label, *words))
        feed = ReplaySource(opened, describe, window, interval=wanted.interval, gauge=wanted.gauge)
        _run(WatchApp(feed, _state(wanted), judge=judge_by(rules), themes=Themes(_kept(), theme)))


def _kept() -> Path:
    """Return the file that keeps the chosen theme."""
    import platformdirs

    return platformdirs.user_state_path("pgiostat") / "theme"


def _state(wanted: "Options") -> "ViewState":
    from pgiostat.render.columns import SORTED_BY
    from pgiostat.watch.state import View, ViewState

    return ViewState(
        view=View(wanted.by.value), sort=SORTED_BY[wanted.sort], top=wanted.top, tag=wanted.tag
    )


def _run(app: "WatchApp") -> None:
    with frozen_imports():
        app.run()
    if app.error is not None:
        raise app.error
    if app.return_code:
        raise typer.Exit(app.return_code)


def judge_by(rules: RulesChoice) -> "Judge":
    """Return the function that explains the category of a statement; it loads rules when called."""

    def judge(row: "RankRow") -> "RenderableType":
        from pgiostat.queries.rules import Classifier, Subject
        from pgiostat.render import rules as render

        book = rules_of(rules)
        # The category of the row shows which preset is in force.
        for known in filter(None, (book.if_sync, book.rules)):
            found = Classifier(known).classify(row.text, user=row.user, database=row.database)
            if found.category == row.category:
                break
        normalized = found.normalized
        subject = Subject(
            found.features, normalized.fingerprint, normalized.text, row.user, row.database
        )
        return render.judged(found, subject, known.verdicts(subject), with_text=False)

    return judge
