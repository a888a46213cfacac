"""Run commands of pgiostat without a terminal, each in a process of its own.

A fork server holds the modules that commands import, so that a command costs what it does and not
its imports, which are most of half a second of CPU time. `main` runs there as `python -m pgiostat`
runs it. Tests of start-up, streams, signals and terminals start the interpreter themselves.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import IO

TIMEOUT_SECONDS = 60.0
_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.support.program_modules"])


def run_program(
    *arguments: str | Path,
    environment: Mapping[str, str] | None = None,
    stdin: str = "",
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run one command.

    Args:
        arguments: Those of the command line.
        environment: The whole environment; None is this process's.
        stdin: The text on standard input.
        cwd: The directory that the command starts in; None is this process's.

    Returns:
        The exit status and what the command wrote.

    Raises:
        subprocess.TimeoutExpired: It ran for longer than TIMEOUT_SECONDS, and was killed.
    """
    words = [str(word) for word in arguments]
    given = dict(os.environ if environment is None else environment)
    with (
        tempfile.NamedTemporaryFile() as out,
        tempfile.NamedTemporaryFile() as err,
        tempfile.NamedTemporaryFile("w", encoding="utf-8") as source,
    ):
        source.write(stdin)
        source.flush()
        streams = (source.name, out.name, err.name)
        child = _CONTEXT.Process(target=_main, args=(words, given, str(cwd or Path.cwd()), streams))
        child.start()
        child.join(TIMEOUT_SECONDS)
        if child.exitcode is None:
            child.kill()
            child.join()
            raise subprocess.TimeoutExpired(words, TIMEOUT_SECONDS, _text(out), _text(err))
        return subprocess.CompletedProcess(words, child.exitcode, _text(out), _text(err))


def pgiostat(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command without PostgreSQL's variables, 80 columns wide.

    Args:
        arguments: Those of the command line.
        variables: More variables of the environment.

    Returns:
        The exit status and what the command wrote.
    """
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return run_program(*arguments, environment=clean | {"COLUMNS": "80"} | variables)


def watch_once(dsn: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Watch for one short interval."""
    return pgiostat("watch", dsn, "--once", "--interval", "0.2", *arguments, **variables)


@contextmanager
def shipper(root: Path, target: str) -> Iterator[tuple[BaseProcess, Connection]]:
    """Yield a process that ships a history once, to be killed, and what it reports.

    It sends once before it ships and once after it.
    """
    ours, theirs = _CONTEXT.Pipe(duplex=False)
    process = _CONTEXT.Process(target=_ship, args=(root, target, dict(os.environ), theirs))
    process.start()
    theirs.close()
    with ours:
        yield process, ours
    process.join()


def _ship(root: Path, target: str, environment: dict[str, str], progress: Connection) -> None:
    from pgiostat.history.format.layout import Layout  # noqa: PLC0415 - the parent needs none
    from pgiostat.history.remote.upload import upload  # noqa: PLC0415

    _take(environment)
    progress.send("begins")
    upload(Layout(root), target, clock=datetime.now(UTC))
    progress.send("shipped")


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


def _main(
    arguments: list[str], environment: dict[str, str], cwd: str, streams: tuple[str, str, str]
) -> None:
    """Become the command, in the child."""
    for number, (path, flags) in enumerate(
        zip(streams, (os.O_RDONLY, os.O_WRONLY, os.O_WRONLY), strict=True)
    ):
        opened = os.open(path, flags | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as the process
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(  # noqa: SIM115
        2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False
    )
    _take(environment)
    os.chdir(cwd)
    sys.argv = ["pgiostat", *arguments]
    from pgiostat.cli import main  # noqa: PLC0415 - the parent needs none of it

    main()


def _take(environment: dict[str, str]) -> None:
    """Replace the fork server's environment, which is of the time when it was started."""
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
