"""pgiostat lab: the whole investigation on a local PostgreSQL."""

from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from pgiostat.cli import options
from pgiostat.cli.console import console, progress
from pgiostat.cli.lab_experiments import report, run
from pgiostat.cli.lab_output import Dsn, Seed, loading, say
from pgiostat.errors import PgiostatError
from pgiostat.escape import terminal

if TYPE_CHECKING:
    from pgiostat.lab.environment import Environment

__all__ = ["app"]

app = typer.Typer(help="Reproduce the whole investigation on a local PostgreSQL.")

Name = Annotated[str, typer.Argument(help="Name of the environment.", metavar="[NAME]")]


@app.command()
def up(name: Name = "prod", dsn: Dsn = "") -> None:
    """Create an environment with the sync system's data, or start it."""
    from pgiostat.lab.environment import SIZE, Lab
    from pgiostat.postgres.dsn import shown

    with loading(SIZE.total) as show:
        made = Lab().up(name, SIZE, dsn, show)
    say(f"{made.name} is up.")
    for what, each in zip(("sync API", "watch"), made.dsns(), strict=True):
        say(f"  {what}: {shown(each)}")


@app.command()
def down(
    name: Annotated[
        str,
        typer.Argument(
            help="Name of the environment. Default: all.", metavar="[NAME]", show_default=False
        ),
    ] = "",
    remove: Annotated[bool, typer.Option("--remove", help="Remove its data as well.")] = False,
) -> None:
    """Stop environments."""
    from pgiostat.lab.environment import Lab

    lab = Lab()
    for each in [lab.get(name)] if name else lab.environments():
        lab.down(each.name, remove=remove)
        if each.dsn and not remove:
            say(
                f"{each.name} keeps running: its server is not the lab's. --remove drops the lab's"
                " schema there."
            )
        else:
            say(f"{each.name} is {'removed' if remove else 'down'}.")


@app.command()
def status() -> None:
    """List the environments."""
    from pgiostat.lab.environment import Lab
    from pgiostat.postgres.dsn import shown

    there = Lab().environments()
    if not there:
        say("There is no environment. Create one with: pgiostat lab up")
        return
    from pgiostat.render.table import TableColumn, lay
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
    columns = [
        TableColumn("name"),
        TableColumn("state"),
        TableColumn("rows", right=True),
        TableColumn("clone of"),
    ]
    screen = console()
    screen.print(*drawn(lay(columns, rows, screen.width)), sep="\n")
    # Whole, however narrow the screen: they are there to be copied.
    for each in there:
        if each.dsn or each.is_running():
            say(f"  watch {each.name}: {shown(each.dsns()[1])}")


@app.command()
def clone(
    names: Annotated[
        list[str], typer.Argument(help="SOURCE as TARGET, or SOURCE TARGET.", metavar="NAMES")
    ],
) -> None:
    """Create an environment from the files of another.

    For example: pgiostat lab clone prod as perf. The source is stopped while it is copied, so that
    both start with the same pages and counters.
    """
    from pgiostat.lab.environment import Lab
    from pgiostat.postgres.dsn import shown

    words = [name for n, name in enumerate(names) if not (n == 1 and name == "as")]
    if len(words) != 2:  # noqa: PLR2004 - from one to the other
        options.refuse("clone takes two names", hint="Try: pgiostat lab clone prod as perf")
    made = Lab().clone(*words)
    say(f"{made.name} is up, with the files of {made.origin} and a cold cache.")
    say(f"  watch: {shown(made.dsns()[1])}")


@app.command()
def trace(
    out: Annotated[
        Path,
        typer.Argument(callback=options.no_secret, help="File to write.", metavar="FILE"),
    ],
    seconds: Annotated[str, typer.Option(help="Length of the trace.", metavar="DURATION")] = "240s",
    seed: Seed = 1,
) -> None:
    """Generate traffic as JSON lines; equal seeds give equal files."""
    from pgiostat.lab.environment import SIZE
    from pgiostat.lab.workload.trace import generate, write

    lasts = options.length("seconds", seconds, 1, 1e7)
    made = generate(SIZE, lasts, seed)
    write(made, out)
    say(f"{out}: {len(made.events):,} events in {lasts:g} s")


@app.command()
def replay(
    path: Annotated[
        Path,
        typer.Argument(
            callback=options.no_secret, help="Trace file to send.", metavar="TRACE", readable=False
        ),
    ],
    to: Annotated[list[str], typer.Option(help="Environment; repeat for more.", metavar="NAME")],
    speed: Annotated[
        float,
        typer.Option(help="Speed relative to the trace; 0 is as fast as possible.", metavar="N"),
    ] = 1.0,
    off: Annotated[
        list[str] | None,
        typer.Option(
            help="Do not send these requests: version, manifest, fetch or upload.", metavar="CLASS"
        ),
    ] = None,
    cache: Annotated[
        str, typer.Option(help="Design of a version cache: update or invalidate.", metavar="DESIGN")
    ] = "",
    fixed: Annotated[bool, typer.Option("--fixed", help="Skip tables that are identical.")] = False,
    capture: Annotated[
        Path | None,
        typer.Option(
            callback=options.no_secret,
            help="Write the requests sent to the first environment as a trace.",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Send a trace to environments, to all at once and in one order."""
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
        options.refuse(
            f'environment "{twice}" is specified twice', hint="Specify each environment once."
        )
    setup = Setup(
        TABLES,
        frozenset(choice("--off", each, REQUESTED) for each in off or ()),
        choice("--cache", cache, Design) if cache else None,
        Skipping(bug=not fixed),
    )
    traffic, lab = read(path), Lab()
    targets = [ReplayTarget(name, _fitting(lab.get(name), traffic.size), setup) for name in to]
    stop = Event()
    with stop_on_signals(stop) as happened, progress("replaying") as show:
        count = max(len(traffic.events), 1)
        sent = send(
            traffic,
            targets,
            speed=speed,
            stop=stop,
            done=lambda events: show(f"{events:,} of {count:,} events", events / count),
        )
    for each in sent:
        sent_by_class = ", ".join(
            f"{n:,} {name}{' not sent' * (name in setup.off)}"
            for name, n in sorted(each.requests.items())
        )
        late = sorted(each.late)
        behind = f"; late by {late[len(late) // 2]:.3f} s, at most {late[-1]:.3f} s" if late else ""
        say(f"{each.name}: {each.events:,} events in {each.seconds:.1f} s{behind}")
        say(f"  {sent_by_class or 'no requests were sent'}")
    if capture is not None:
        write(replace(traffic, events=tuple(sent[0].captured)), capture)
    if happened:
        raise typer.Exit(happened[0])


def _fitting(environment: "Environment", size: object) -> str:
    """Return the DSN to send traffic to, if the trace fits the environment's data."""
    if environment.size != size:
        raise PgiostatError(
            f'the trace does not fit the data of environment "{environment.name}"',
            detail=f"The trace is for {size}; the environment has {environment.size}.",
            hint="Generate another with: pgiostat lab trace",
            slug="trace-invalid",
        )
    return environment.dsns()[0]


app.command()(run)
app.command()(report)
