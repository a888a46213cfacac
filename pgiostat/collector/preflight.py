"""A check before collecting: the history, each server and each device, once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pgiostat.clock import monotonic
from pgiostat.collector.log import error_line
from pgiostat.collector.targets import Plan, Target
from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.escape import line, terminal
from pgiostat.history.format.durable_io import Disk, open_to_others
from pgiostat.history.format.filesystem import UnreadableError, listed
from pgiostat.history.format.layout import Layout
from pgiostat.history.format.root import check as check_layout
from pgiostat.history.format.root import is_free
from pgiostat.history.format.schema import COMPACTED
from pgiostat.history.write.lock import check_free
from pgiostat.postgres.session import connect
from pgiostat.postgres.snapshot_reader import SnapshotReader
from pgiostat.statistics.capabilities import grant, hidden_from
from pgiostat.unexpected import as_error
from pgiostat.units import format_counted
from pgiostat.volume.device.backend_process import Whereabouts
from pgiostat.volume.device.discover import choose

__all__ = ["check"]

AT_ONCE = 8
PROBE = ".pgiostat-check"
PROBE_BYTES = 65_536
"""A full disk still takes an empty file, but not this many bytes."""


def check(plan: Plan, root: Path) -> Iterator[tuple[str, ExitStatus]]:
    """Yield a line and a status for the history, then for each server in order."""
    yield _history(root)
    for target in plan.targets:
        try:
            check_free(Layout(root), target.label)
        except PgiostatError as error:
            yield _failed(target.label, error), ExitStatus.ERROR
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for lines in pool.map(_server, plan.targets):
            yield from lines


def _server(target: Target) -> list[tuple[str, ExitStatus]]:
    try:
        session = connect(target.dsn, label=target.label)
        try:
            collector = SnapshotReader(session)
            snapshot = collector.take()
            # Before the server process of this connection ends: the device is found by it.
            device = _device(target, collector.whereabouts())
        finally:
            session.close()
    except Exception as raised:  # noqa: BLE001 - the others are tried all the same
        return [(_failed(target.label, as_error(raised)), ExitStatus.ERROR)]
    server = snapshot.server
    hidden = ""
    if snapshot.masked:
        what, fix = terminal(hidden_from(server.user)), grant(server.user)
        hidden = f"\n{target.label}: warning: {what} and counted together\nHINT:  {fix}"
    line_of_server = (
        f"{target.label}: PostgreSQL {terminal(server.version)}, pg_stat_statements"
        f" {server.extension_version}, {format_counted(len(snapshot.statements), 'statement')},"
        f" read in {snapshot.own_seconds * 1000:.0f} ms{hidden}"
    )
    return [(line_of_server, ExitStatus.DONE), device]


def _device(target: Target, there: Whereabouts | None) -> tuple[str, ExitStatus]:
    """Return whether the device of a server can be measured: an error only for a named device."""
    what = f"{target.label}: device"
    try:
        source = choose(target.device, there, clock=monotonic)
        if source is not None:
            source.poll()
    except PgiostatError as error:
        if target.device.by_name:
            return _failed(what, error), ExitStatus.ERROR
        return f"{what}: unknown: {line(error_line(error))}", ExitStatus.DONE
    if source is None:
        return f"{what}: none, as configured", ExitStatus.DONE
    return f"{what}: {terminal(source.description)}", ExitStatus.DONE


def _history(root: Path) -> tuple[str, ExitStatus]:
    """Write where the history is, or would be, and remove it."""
    disk, there = Disk(), root
    try:
        new = not Layout(root).format.exists() and is_free(root)
        there = next(place for place in (root, *root.absolute().parents) if place.exists())
        probe = there / PROBE
        if not new:
            layout = check_layout(root)
            for directory in (layout.tmp, layout.lock("x").parent, layout.hot("x").parent):
                listed(directory, root)
            # A foreign file in these directories would stop compaction and retention.
            layout.hot_samples()
            layout.covers()
            for table in ("stmt_1h", *COMPACTED):
                layout.compacted_files(table)
        try:
            disk.write(probe, bytes(PROBE_BYTES))
        finally:
            disk.remove(probe)
    except UnreadableError as error:
        error.hint = "Move it away: it stops compaction and retention."
        return _failed("history", error), ExitStatus.ERROR
    except PgiostatError as error:
        return _failed("history", error), ExitStatus.ERROR
    except OSError as error:
        wrong = PgiostatError(
            f'could not write to "{there}": {error.strerror}',
            hint="Grant the user of this process write permission, and free disk space.",
            slug="history-unwritable",
        )
        return _failed("history", wrong), ExitStatus.ERROR
    if why := open_to_others(root):
        return (
            f"history: {terminal(str(root))}; others can change it: {terminal(why)}",
            ExitStatus.DONE,
        )
    return (
        f"history: {terminal(str(root))}{'; pgiostat collect will create it' if new else ''}",
        ExitStatus.DONE,
    )


def _failed(what: str, error: PgiostatError) -> str:
    return f"{what}: {error.report().removeprefix('pgiostat: ')}"
