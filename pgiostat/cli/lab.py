"""pgiostat lab: the whole investigation on a PostgreSQL of its own."""

import sys
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from pgiostat.cli import options
from pgiostat.cli.options import Form
from pgiostat.errors import PgiostatError
from pgiostat.escape import terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pgiostat.lab.environment import Environment
    from pgiostat.lab.experiments.outcome import Outcome
    from pgiostat.lab.workload.schema import Progress

__all__ = ["app"]

VOLUME = "gp2:80"
QUICK = (240.0, 3)
FULL = (900.0, 5)
"""Seconds of traffic, and repetitions."""

app = typer.Typer(help="The whole investigation, reproduced on a PostgreSQL of its own.")

Name = Annotated[str, typer.Argument(help="Of the environment.", metavar="NAME")]
Out = Annotated[
    Path | None,
    typer.Option(
        callback=options.no_secret,
        help="Directory of the experiments; in the user's data directory if not given.",
        metavar="DIR",
        show_default=False,
    ),
]
Volume = Annotated[
    str, typer.Option("--volume", help="That the traffic would burn.", metavar="VOLUME")
]
Seed = Annotated[int, typer.Option(help="Of what chance decides.", metavar="N")]
Check = Annotated[
    bool,
    typer.Option("--check", help="End with status 1 if the story, or whatif, does not hold."),
]
Dsn = Annotated[
    str,
    typer.Option(
        help="Somebody else's server; all is in a schema pgiostat_lab of its own.",
        metavar="DSN",
        show_default=False,
    ),
]


@app.command()
def up(name: Name = "prod", dsn: Dsn = "") -> None:
    """Make an environment with the sync system's data, or start it."""
    from pgiostat.lab.environment import SIZE, Lab
    from pgiostat.postgres.dsn import shown

    with _loading(SIZE.total) as told:
        made = Lab().up(name, SIZE, dsn, told)
    _say(f"{made.name} is up.")
    for what, each in zip(("sync API", "watch"), made.dsns(), strict=True):
        _say(f"  {what}: {shown(each)}")


@app.command()
def down(
    name: Annotated[
        str, typer.Argument(help="All if not given.", metavar="NAME", show_default=False)
    ] = "",
    remove: Annotated[bool, typer.Option("--remove", help="Remove its data as well.")] = False,
) -> None:
    """Stop environments."""
    from pgiostat.lab.environment import Lab

    lab = Lab()
    for each in [lab.get(name)] if name else lab.environments():
        lab.down(each.name, remove=remove)
        if each.dsn and not remove:
            _say(
                f"{each.name} goes on: its server is not the lab's. --remove drops the lab's schema"
                " there."
            )
        else:
            _say(f"{each.name} is {'removed' if remove else 'down'}.")


@app.command()
def status() -> None:
    """Say which environments there are."""
    from pgiostat.lab.environment import Lab
    from pgiostat.postgres.dsn import shown

    there = Lab().environments()
    if not there:
        _say("There is no environment. Make one with: pgiostat lab up")
        return
    console = options.console()
    from pgiostat.render.table import Column, lay
    from pgiostat.render.text import drawn

    rows = [
        [
            (terminal(each.name), "bold"),
            ("up", "green") if each.is_running() else ("down", ""),
            (f"{each.size.total:,}", ""),
            (terminal(each.origin), ""),
        ]
        for each in there
    ]
    columns = [Column("name"), Column("is"), Column("rows", right=True), Column("clone of")]
    console.print(*drawn(lay(columns, rows, console.width)), sep="\n")
    # Whole, however narrow the screen: they are there to be copied.
    for each in there:
        if each.dsn or each.is_running():
            _say(f"  watch {each.name}: {shown(each.dsns()[1])}")


@app.command()
def clone(
    names: Annotated[
        list[str], typer.Argument(help="SOURCE as TARGET, or SOURCE TARGET.", metavar="NAMES")
    ],
) -> None:
    """Make an environment from the files of another one: pgiostat lab clone prod as perf.

    The other one is stopped meanwhile, so that both begin with the same pages and counters.
    """
    from pgiostat.lab.environment import Lab
    from pgiostat.postgres.dsn import shown

    given = [name for n, name in enumerate(names) if not (n == 1 and name == "as")]
    if len(given) != 2:  # noqa: PLR2004 - from one to the other
        options.refuse("two names are needed", hint="Try: pgiostat lab clone prod as perf")
    made = Lab().clone(*given)
    _say(f"{made.name} is up, as {made.origin} was; nothing of it is cached.")
    _say(f"  watch: {shown(made.dsns()[1])}")


@app.command()
def trace(
    out: Annotated[
        Path,
        typer.Argument(callback=options.no_secret, help="File to write.", metavar="FILE"),
    ],
    seconds: Annotated[float, typer.Option(help="How long it lasts.", metavar="S")] = 240.0,
    seed: Seed = 1,
) -> None:
    """Write the traffic of a time as JSON lines; the same seed gives the same file."""
    from pgiostat.lab.environment import SIZE
    from pgiostat.lab.workload.trace import generate, write

    options.within("seconds", seconds, 1, 1e7)
    made = generate(SIZE, seconds, seed)
    write(made, out)
    _say(f"{out}: {len(made.events):,} events in {seconds:g} s")


@app.command()
def replay(
    path: Annotated[
        Path,
        typer.Argument(
            callback=options.no_secret, help="Of a trace.", metavar="TRACE", readable=False
        ),
    ],
    to: Annotated[list[str], typer.Option(help="Environment; may be given again.", metavar="NAME")],
    speed: Annotated[
        float, typer.Option(help="Times the trace's pace; 0 as fast as it goes.", metavar="N")
    ] = 1.0,
    off: Annotated[
        list[str] | None,
        typer.Option(
            help="Requests that are not sent: version, manifest, fetch or upload.", metavar="CLASS"
        ),
    ] = None,
    cache: Annotated[
        str, typer.Option(help="Cache versions: update or invalidate.", metavar="DESIGN")
    ] = "",
    fixed: Annotated[bool, typer.Option("--fixed", help="Skip tables that are identical.")] = False,
    capture: Annotated[
        Path | None,
        typer.Option(
            callback=options.no_secret,
            help="Write what the first environment was asked as a trace.",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Send a trace to environments, to all at once and in the same order."""
    from dataclasses import replace

    from pgiostat.errors import choice
    from pgiostat.lab.environment import Lab
    from pgiostat.lab.replay import ReplayTarget, Setup
    from pgiostat.lab.replay import replay as send
    from pgiostat.lab.workload.api import REQUESTED
    from pgiostat.lab.workload.client import Skipping
    from pgiostat.lab.workload.schema import TABLES
    from pgiostat.lab.workload.trace import read, write
    from pgiostat.lab.workload.version_cache import Design
    from pgiostat.signals import stop_on_signals

    options.within("speed", speed, 0)
    twice = next((name for name in to if to.count(name) > 1), None)
    if twice is not None:
        options.refuse(f'environment "{twice}" is named twice', hint="Each is sent the trace once.")
    setup = Setup(
        TABLES,
        frozenset(choice("--off", each, REQUESTED) for each in off or ()),
        choice("--cache", cache, Design) if cache else None,
        Skipping(bug=not fixed),
    )
    traffic, lab = read(path), Lab()
    targets = [ReplayTarget(name, _fitting(lab.get(name), traffic.size), setup) for name in to]
    stop = Event()
    with stop_on_signals(stop) as happened, options.progress("replaying") as told:
        count = max(len(traffic.events), 1)
        sent = send(
            traffic, targets, speed=speed, stop=stop,
            done=lambda events: told(f"{events:,} of {count:,} events", events / count),
        )  # fmt: skip
    for each in sent:
        asked = ", ".join(
            f"{n:,} {name}{' not sent' * (name in setup.off)}"
            for name, n in sorted(each.requests.items())
        )
        late = sorted(each.late)
        behind = f"; late by {late[len(late) // 2]:.3f} s, at most {late[-1]:.3f} s" if late else ""
        _say(f"{each.name}: {each.events:,} events in {each.seconds:.1f} s{behind}")
        _say(f"  {asked or 'nothing was asked'}")
    if capture is not None:
        write(replace(traffic, events=tuple(sent[0].captured)), capture)
    if happened:
        raise typer.Exit(happened[0])


def _fitting(environment: "Environment", size: object) -> str:
    """Return where traffic goes, if it is about that environment's data."""
    if environment.size != size:
        raise PgiostatError(
            f'the trace was made for other data than environment "{environment.name}" has',
            detail=f"It was made for {size}, and there is {environment.size}.",
            hint="Make one with: pgiostat lab trace",
            slug="trace-invalid",
        )
    return environment.dsns()[0]


@app.command()
def run(
    quick: Annotated[
        bool, typer.Option("--quick", help="Four minutes of traffic, three times.")
    ] = False,
    seconds: Annotated[
        float | None,
        typer.Option(
            help="Of traffic in each run; 900 if not given.", metavar="S", show_default=False
        ),
    ] = None,
    repeats: Annotated[
        int | None,
        typer.Option(
            help="Of each experiment, from other seeds; 5 if not given.", metavar="N",
            show_default=False,
        ),
    ] = None,
    seed: Seed = 1,
    out: Out = None,
    again: Annotated[
        bool, typer.Option("--again", help="In place of what was measured there before.")
    ] = False,
    volume: Volume = VOLUME,
    dsn: Dsn = "",
    output: Annotated[str, options.format_option(*Form)] = "text",
    check: Check = False,
) -> None:  # fmt: skip
    """Run all experiments, measure them into a history, and say what came of them."""
    from pgiostat.lab.environment import SIZE, lab_directory
    from pgiostat.lab.experiments.run import check_free, run_all
    from pgiostat.lab.experiments.stage import Stage
    from pgiostat.signals import stop_on_signals
    from pgiostat.volume.models import volume_of

    options.choice("format", output, Form)
    volume_of(volume)
    preset = QUICK if quick else FULL
    lasts = preset[0] if seconds is None else seconds
    times = preset[1] if repeats is None else repeats
    options.within("seconds", lasts, 40, 86_400)
    options.within("repeats", times, 1, 100)
    place = _experiments(out)
    if not again:
        check_free(place)
    stage = Stage(lab_directory() / "experiments", SIZE, dsn)
    stop = Event()
    with stop_on_signals(stop), stage.alone():
        with _loading(SIZE.total) as loaded:
            stage.prepare(loaded)
        try:
            with options.progress("experiments") as told:
                run_all(
                    stage, place,
                    seconds=lasts, repeats=times, seed=seed, again=again, progress=told, stop=stop,
                )  # fmt: skip
        finally:
            if dsn:
                stage.remove()
    found = _outcomes(place, volume)
    _show(found, volume, output)
    _say(f"Measured into {place}; its history: --history {place / 'history'}", error=True)
    if check:
        _judge(found)


@app.command()
def report(
    out: Out = None,
    volume: Volume = VOLUME,
    output: Annotated[str, options.format_option(*Form)] = "text",
    check: Check = False,
) -> None:
    """Say what came of experiments that were run before."""
    options.choice("format", output, Form)
    with options.reading("reading the history"):
        found = _outcomes(_experiments(out), volume)
    _show(found, volume, output)
    if check:
        _judge(found)


def _experiments(given: Path | None) -> Path:
    if given is not None:
        return given
    import platformdirs

    return platformdirs.user_data_path("pgiostat") / "lab"


def _outcomes(place: Path, volume: str) -> "list[Outcome]":
    from pgiostat.lab.experiments.results import outcomes
    from pgiostat.volume.models import volume_of

    return outcomes(place, volume_of(volume))


def _show(found: "list[Outcome]", volume: str, output: str) -> None:
    from pgiostat.lab.experiments import render as told
    from pgiostat.volume.models import volume_of

    model, form = volume_of(volume), options.choice("format", output, Form)
    if form is Form.TEXT:
        console = options.console()
        console.print(told.as_text(found, model, width=console.width))
    elif form is Form.CSV:
        told.write_csv(found, model, sys.stdout)
    else:
        as_told = (
            told.as_json(found, model) if form is Form.JSON else told.as_markdown(found, model)
        )
        sys.stdout.write(as_told + "\n")


def _judge(found: "list[Outcome]") -> None:
    """Raise PgiostatError lab-story if what was measured is not what the story tells."""
    from pgiostat.lab.experiments.hypotheses import story

    wrong = [f"not that {point.sentence}" for point in story(found) if not point.holds]
    wrong += [f"not whatif's range of {each.name}" for each in found if each.held is False]
    if wrong:
        raise PgiostatError(
            "what was measured is not what the story tells",
            detail=f"It bears out: {'; '.join(wrong)}.",
            hint="Runs of less than some minutes leave much to chance.",
            slug="lab-story",
        )


@contextmanager
def _loading(rows: int) -> "Iterator[Progress]":
    """Yield what is told of rows as they come."""
    with options.progress("loading") as told:
        came = 0

        def some(count: int) -> None:
            nonlocal came
            came += count
            told(f"{came:,} of {rows:,} rows", came / rows)

        yield some


def _say(line: str, *, error: bool = False) -> None:
    typer.echo(terminal(line), err=error)
