"""Everything that collecting needs, tried once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pgiostat.collecting.targets import Plan, Target
from pgiostat.collector import Collector
from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.history.layout import check as check_layout
from pgiostat.server import connect

__all__ = ["check"]

AT_ONCE = 8


def check(plan: Plan, root: Path) -> Iterator[tuple[str, ExitStatus]]:
    """Yield how it went with the history and with each server, a line each, in their order."""
    yield _history(root)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(_server, plan.targets)


def _server(target: Target) -> tuple[str, ExitStatus]:
    try:
        session = connect(target.dsn, label=target.label)
        try:
            reading = Collector(session).take()
        finally:
            session.close()
    except PgiostatError as error:
        return f"{target.label}: {error.report()}", ExitStatus.ERROR
    server = reading.server
    return (
        f"{target.label}: PostgreSQL {server.version}, pg_stat_statements"
        f" {server.extension_version}, {len(reading.statements)} statements,"
        f" read in {reading.own_seconds * 1000:.0f} ms"
    ), ExitStatus.DONE


def _history(root: Path) -> tuple[str, ExitStatus]:
    """Try to write where the history is, or would be; nothing is left behind."""
    there = next(place for place in (root, *root.absolute().parents) if place.exists())
    probe = there / ".pgiostat-check"
    try:
        if there == root:
            probe = check_layout(root).tmp / "check"
        probe.write_bytes(b"")
        probe.unlink()
    except PgiostatError as error:
        return f"history: {error.report()}", ExitStatus.ERROR
    except OSError as error:
        told = f'could not write to "{there}": {error.strerror}'
        return f"history: pgiostat: error: {told}", ExitStatus.ERROR
    return f"history: {root}{'' if there == root else ', which will be made'}", ExitStatus.DONE
