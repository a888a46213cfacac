"""pgiostat demo: watch on a local PostgreSQL with a workload."""

import shutil
import sys
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from pgiostat.cli import completion, options
from pgiostat.cli.next_command import next_line, show_next
from pgiostat.errors import choice

if TYPE_CHECKING:
    from rich.console import Console

    from pgiostat.lab.demo.control import DemoControl
    from pgiostat.lab.demo.scenarios import Scenario
    from pgiostat.lab.postgres.cluster import Cluster

__all__ = ["demo", "program"]

SCENARIOS = ("sync", "shop")
"""The names of the scenarios; importing them would slow --help."""


def demo(
    scenario: Annotated[
        str | None,
        typer.Option(
            help="Application: sync, the story of the lab, or shop, a web shop on SQLAlchemy;"
            " default sync.",
            metavar="NAME",
            show_default=False,
            autocompletion=completion.among(*SCENARIOS),
        ),
    ] = None,
    attach: Annotated[
        bool, typer.Option("--attach", help="Join a demo that runs in another terminal.")
    ] = False,
    dsn: Annotated[
        bool, typer.Option("--dsn", help="Print the connection string of a demo that runs.")
    ] = False,
    clean: Annotated[
        bool, typer.Option("--clean", help="Remove the servers of the demo and their data.")
    ] = False,
    seconds: Annotated[
        str, typer.Option(help="Time to run without a terminal.", metavar="DURATION")
    ] = "20s",
    out: Annotated[
        Path | None,
        typer.Option(
            callback=options.no_secret,
            help="Directory for the CSV files, which are written without a terminal only.",
            metavar="DIR",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Start a local PostgreSQL with a workload, and watch it.

    On a terminal it is the application of watch: ! causes an incident, to be found on the screen,
    and takes it back. The data and the sync workload are those of the lab.
    """
    lasts = options.length("seconds", seconds, 1, options.LONGEST_INTERVAL_SECONDS)
    if scenario is not None:
        scenario = choice("scenario", scenario, SCENARIOS)
    if sum((attach, dsn, clean)) > 1:
        options.refuse("--attach, --dsn and --clean cannot be used together")
    if clean:
        _clean()
    elif dsn:
        _print_dsn(scenario)
    elif attach:
        _attach(scenario, lasts)
    else:
        _run(scenario or SCENARIOS[0], lasts, out)


def _clean() -> None:
    from pgiostat.lab.demo.server import remove

    console = _console()
    removed = remove()
    for directory in removed:
        console.print(f"Removed {directory}.")
    if not removed:
        console.print("There is no demo to remove.")


def _print_dsn(scenario: str | None) -> None:
    from pgiostat.lab.demo.server import observer_uri

    found, cluster = _running(scenario)
    typer.echo(observer_uri(cluster, found.database))


def _attach(scenario: str | None, seconds: float) -> None:
    found, cluster = _running(scenario)
    control = _control(found, cluster)
    if _is_terminal():
        _watch(found, cluster, control)
        show_next("demo --attach", "text")
    else:
        _stream(found, cluster, seconds)


def _running(name: str | None) -> "tuple[Scenario, Cluster]":
    from pgiostat.lab.demo.scenarios import scenario_of
    from pgiostat.lab.demo.server import running

    found, cluster = running([name] if name else list(SCENARIOS))
    return scenario_of(found), cluster


def _run(name: str, seconds: float, out: Path | None) -> None:
    from pgiostat.lab.demo.scenarios import scenario_of

    scenario = scenario_of(name)
    if _is_terminal():
        _on_terminal(scenario)
    else:
        _report(scenario, seconds, out)


def _on_terminal(scenario: "Scenario") -> None:
    """Watch the server until the user quits, also by Ctrl-C before the first screen."""
    from pgiostat.lab.demo.server import serving
    from pgiostat.lab.demo.traffic import working

    console = _console()
    try:
        with serving(scenario, console) as cluster, working(cluster, scenario):
            control = _control(scenario, cluster)
            console.print(_is_running(scenario, cluster))
            console.print(control.from_another_terminal)
            _watch(scenario, cluster, control)
    except KeyboardInterrupt:
        pass
    console.print("The server and the workload of the demo have stopped; the data are kept.")
    show_next("demo", "text", other=_other(scenario))


def _watch(scenario: "Scenario", cluster: "Cluster", control: "DemoControl") -> None:
    from pgiostat.cli.histories import RulesChoice
    from pgiostat.cli.watch_screen import on_screen
    from pgiostat.lab.demo.server import reader_dsn
    from pgiostat.watch.options import Options

    rules = RulesChoice(preset=scenario.preset, by="the demo")
    on_screen(reader_dsn(cluster, scenario.database), Options(), rules, None, incidents=control)


def _report(scenario: "Scenario", seconds: float, out: Path | None) -> None:
    from threading import Event

    from pgiostat.lab.demo.report import INTERVAL_SECONDS, report
    from pgiostat.lab.demo.scenarios import directory_of
    from pgiostat.lab.demo.server import csv_directory, serving
    from pgiostat.signals import stop_on_signals

    console = _console()
    stop = Event()
    with stop_on_signals(stop) as interrupted:
        with serving(scenario, console) as cluster:
            if not stop.is_set():
                console.print(
                    f"{_is_running(scenario, cluster)}"
                    f" Taking a snapshot every {INTERVAL_SECONDS:g} s …"
                )
                console.print(_control(scenario, cluster).from_another_terminal)
                out_dir = out or csv_directory(directory_of(scenario.name))
                report(cluster, scenario, stop, seconds=seconds, out_dir=out_dir)
        if interrupted:
            console.print("The server and the workload of the demo have stopped.")
            raise typer.Exit(interrupted[0])
    console.print(next_line("demo", other=_other(scenario)))


def _is_running(scenario: "Scenario", cluster: "Cluster") -> str:
    return f"{scenario.what} is running on PostgreSQL {cluster.version}."


def _other(scenario: "Scenario") -> str:
    """Return the name of another scenario, to try next."""
    return next(each for each in SCENARIOS if each != scenario.name)


def _stream(scenario: "Scenario", cluster: "Cluster", seconds: float) -> None:
    """Append intervals to standard output for some time."""
    from threading import Event

    from pgiostat.cli.histories import RulesChoice, describe
    from pgiostat.lab.demo.server import reader_dsn
    from pgiostat.signals import stop_on_signals
    from pgiostat.watch import stream
    from pgiostat.watch.options import Options

    interval = Options().interval
    wanted = Options(count=max(1, round(seconds / interval)), top=options.TOP_ON_SCREEN)
    rules = describe(RulesChoice(preset=scenario.preset, by="the demo"))
    stop = Event()
    with stop_on_signals(stop) as interrupted:
        stream.run(reader_dsn(cluster, scenario.database), wanted, rules, stop=stop)
    if interrupted:
        raise typer.Exit(interrupted[0])


def _control(scenario: "Scenario", cluster: "Cluster") -> "DemoControl":
    from pgiostat.lab.demo.control import DemoControl
    from pgiostat.lab.demo.scenarios import command_of
    from pgiostat.lab.demo.server import incident_file, observer_uri, workload_log

    words, pid = command_of(scenario.name), cluster.pid
    return DemoControl(
        scenario.incidents,
        incident_file(cluster),
        workload_log(cluster),
        command=f"{program(sys.argv[0])} {words}",
        short=f"pgiostat {words}",
        uri=observer_uri(cluster, scenario.database),
        is_running=lambda: cluster.pid == pid,
    )


def program(argument: str) -> str:
    """Return the words that run this program again in another terminal.

    Args:
        argument: The name that it was run by, as in sys.argv.
    """
    run_as = Path(argument)
    if run_as.name == "__main__.py":
        return f"{quote(sys.executable)} -m pgiostat"
    found = shutil.which("pgiostat")
    # Another terminal has no virtual environment activated.
    is_activated = sys.prefix != sys.base_prefix and found == str(
        Path(sys.prefix, "bin", "pgiostat")
    )
    if found is not None and not is_activated and Path(found).resolve() == run_as.resolve():
        return "pgiostat"
    return quote(str(run_as.absolute()))


def _is_terminal() -> bool:
    """Return whether somebody can press keys."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _console() -> "Console":
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)
