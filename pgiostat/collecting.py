"""Many servers, a thread each: one's trouble never delays another's."""

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Event, Lock, Thread
from typing import TextIO

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from pgiostat.collector import Collector
from pgiostat.describe import describer
from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.record import Recorder
from pgiostat.rules import load
from pgiostat.server import connect
from pgiostat.watch.batch import stopping

__all__ = ["Target", "check", "run", "targets"]


DEFAULT_PORT = "5432"
LONGEST_LABEL = 60


@dataclass(frozen=True, slots=True)
class Target:
    """A server to collect from; label: its name in the history, and its collector's id."""

    dsn: str
    label: str


def targets(dsns: Sequence[str], labels: Sequence[str]) -> list[Target]:
    """Return what to collect from.

    Raises PgiostatError option-invalid if labels and servers do not go together.
    """
    if labels and len(labels) != len(dsns):
        raise PgiostatError(
            f"{len(dsns)} servers and {len(labels)} labels were given",
            hint="Give a --label for each DSN, in their order, or none.",
            slug="option-invalid",
            status=ExitStatus.USAGE,
        )
    given = list(labels) or [_label(dsn) for dsn in dsns]
    repeated = {label for label in given if given.count(label) > 1}
    if repeated:
        raise PgiostatError(
            f'two servers would have the label "{min(repeated)}"',
            hint="Give a --label for each DSN, in their order.",
            slug="option-invalid",
            status=ExitStatus.USAGE,
        )
    return [Target(dsn, label) for dsn, label in zip(dsns, given, strict=True)]


def _label(dsn: str) -> str:
    """Return a name made of a server's address, of letters that a file name may have."""
    try:
        given = conninfo_to_dict(dsn)
    except ProgrammingError:
        given = {}  # connecting says what is wrong with it
    host = str(given.get("host") or os.environ.get("PGHOST") or "local").strip("/")
    port = str(given.get("port") or os.environ.get("PGPORT") or DEFAULT_PORT)
    name = host if port == DEFAULT_PORT else f"{host}_{port}"
    return re.sub(r"[^A-Za-z0-9_.]", "_", name)[:LONGEST_LABEL].strip("_.") or "server"


def check(chosen: Sequence[Target], out: TextIO) -> ExitStatus:
    """Read each server once and say how it went; ERROR if one could not be read."""
    status = ExitStatus.DONE
    for target in chosen:
        try:
            session = connect(target.dsn, label=target.label)
            try:
                reading = Collector(session).take()
            finally:
                session.close()
        except PgiostatError as error:
            status = ExitStatus.ERROR
            print(f"{target.label}: {error.report()}", file=out)
        else:
            server = reading.server
            print(
                f"{target.label}: PostgreSQL {server.version}, pg_stat_statements"
                f" {server.extension_version}, {len(reading.statements)} statements,"
                f" read in {reading.own_seconds * 1000:.0f} ms",
                file=out,
            )
    return status


def run(
    chosen: Sequence[Target],
    root: Path,
    *,
    interval: float,
    ends: float | None,
    rules: Path | None,
    out: TextIO,
) -> ExitStatus:
    """Collect from all servers until the time is over or a signal comes.

    Raises PgiostatError for rules with a mistake; a server's trouble is said and tried again.
    """
    ruled = None if rules is None else load(rules)
    stop, speaking = Event(), Lock()
    failed: list[str] = []

    def say(label: str, line: str) -> None:
        with speaking:
            print(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {label}: {line}", file=out, flush=True)

    def collect(recorder: Recorder) -> None:
        try:
            recorder.run()
        except PgiostatError as error:
            failed.append(recorder.label)
            say(recorder.label, error.report().replace("\n", " "))
        else:
            say(recorder.label, f"{recorder.samples} samples committed")

    with stopping(stop):
        threads = []
        for target in chosen:
            recorder = Recorder(
                target.dsn,
                target.label,
                root,
                describer(ruled),
                stop,
                partial(say, target.label),
                interval=interval,
                ends=ends,
            )
            threads.append(Thread(target=collect, args=(recorder,), name=target.label))
        say("pgiostat", f"collecting into {root}, every {interval:g} s")
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    sys.stdout.flush()
    return ExitStatus.ERROR if failed else ExitStatus.DONE
