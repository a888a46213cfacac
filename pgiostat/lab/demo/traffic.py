"""The workload of the demo, in another process."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pgiostat.errors import PgiostatError
from pgiostat.lab.demo.scenarios import Scenario
from pgiostat.lab.demo.server import application_dsn, incident_file, workload_log
from pgiostat.lab.postgres.cluster import Cluster
from pgiostat.lab.postgres.files import last_lines

__all__ = ["working"]


@contextmanager
def working(cluster: Cluster, scenario: Scenario, *mix: int) -> Iterator[None]:
    """Run the workload in another process, which ends with its standard input and so with this one.

    Args:
        cluster: The server.
        scenario: The application.
        mix: Versions, manifests and uploads per second of the sync system.

    Raises:
        PgiostatError: workload-failed, at the end of the block.
    """
    log = workload_log(cluster)
    command = [
        sys.executable,
        "-m",
        "pgiostat.lab.workload.worker",
        scenario.name,
        application_dsn(cluster, scenario),
        "--admin",
        cluster.dsn(scenario.database),
        "--incident",
        str(incident_file(cluster)),
        *(["--mix", *map(str, mix)] if mix else []),
    ]
    with log.open("wb") as errors:
        worker = subprocess.Popen(  # noqa: S603 - our own module, with our own connection string
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,  # the terminal belongs to the screen
            start_new_session=True,  # Ctrl-C is for this process alone
        )
    try:
        yield
    finally:
        has_ended = worker.poll() is not None
        if worker.stdin is not None:
            worker.stdin.close()
        try:
            worker.wait(timeout=10)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
    if has_ended:
        raise _failed(log)


def _failed(log: Path) -> PgiostatError:
    return PgiostatError(
        "the workload of the demo ended early",
        detail=last_lines(log.read_text("utf-8", "replace")) or None,
        hint=f'Its output is in "{log}".',
        slug="workload-failed",
    )
