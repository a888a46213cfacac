"""pgiostat ship: uploads compacted files of a history to an object store."""

import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from pgiostat.cli import options
from pgiostat.cli.histories import uploads_history
from pgiostat.cli.next_command import show_next
from pgiostat.errors import ExitStatus, PgiostatError

if TYPE_CHECKING:
    from pgiostat.history.format.layout import Layout
    from pgiostat.history.remote.upload import UploadResult

__all__ = ["ship"]


@uploads_history
def ship(
    *,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="Destination: s3://bucket/path, gs://…, abfs://… or file:///path.",
            metavar="URI",
        ),
    ],
    history: options.Written = None,
    every: Annotated[
        str | None,
        typer.Option(
            help="Upload again at this interval, until stopped.",
            metavar="DURATION",
            show_default=False,
        ),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            help="Remove local days older than this, such as 7d, once their upload is verified.",
            metavar="DURATION",
            show_default=False,
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print errors only.")] = False,
) -> None:
    """Upload compacted history files to an object store; verify them.

    A file that is there already is not uploaded again, and no local file is removed before its
    upload is verified. Reports read the result as --history URI. Several histories may share a
    destination.
    """
    from pgiostat.cli.console import progress
    from pgiostat.cli.histories import local_root
    from pgiostat.history.format.root import check
    from pgiostat.history.remote.upload import upload as shipped
    from pgiostat.history.write.retention import Keep
    from pgiostat.timespec import duration

    layout = check(local_root(history))
    kept = Keep.of(keep, None).rows
    if every is not None:
        raise typer.Exit(_again(layout, to, duration(every), kept, quiet=quiet))
    with progress("uploading") as show:
        outcome = shipped(layout, to, keep=kept, clock=datetime.now(UTC), progress=show)
    if not quiet:
        sys.stdout.write(f"{_summary(outcome)}\n")
        if sys.stdout.isatty():
            show_next("ship", "text", to=to)
    if outcome.strange:
        raise _strange(outcome)


def _again(
    layout: "Layout", to: str, seconds: float, keep: timedelta | None, *, quiet: bool
) -> ExitStatus:
    from threading import Event

    from pgiostat.clock import monotonic
    from pgiostat.collector.incidents import IncidentLog
    from pgiostat.collector.log import configure, server_log
    from pgiostat.history.remote.upload import upload as shipped
    from pgiostat.signals import Wake, stop_on_signals

    wake, stop = Wake(), Event()
    log = server_log(configure(sys.stderr, quiet=quiet), "ship")
    trouble = IncidentLog(log, monotonic)
    with wake.by_signals(), stop_on_signals(stop):
        while not stop.is_set():
            try:
                outcome = shipped(layout, to, keep=keep, clock=datetime.now(UTC))
                if outcome.strange:
                    raise _strange(outcome)
                trouble.end("ship")
                if outcome.files or outcome.removed:
                    log.info(_summary(outcome))
            except PgiostatError as error:
                trouble.begin("ship", error.message, error.detail, error.hint)
            due = monotonic() + seconds
            while not stop.is_set() and (left := due - monotonic()) > 0:
                wake.wait(left)
    return ExitStatus.DONE


def _summary(outcome: "UploadResult") -> str:
    """Return a line on what was uploaded."""
    from pgiostat.units import format_bytes, format_count, format_counted

    files = format_counted(outcome.files, "file")
    parts = [f"uploaded {files}, {format_bytes(outcome.bytes)}"]
    if outcome.there:
        parts.append(f"{format_count(outcome.there)} already there")
    if outcome.removed:
        parts.append(f"{format_count(outcome.removed)} removed locally")
    if not outcome.files and not outcome.there:
        parts.append("the history has no compacted file yet")
    return "; ".join(parts)


def _strange(outcome: "UploadResult") -> PgiostatError:
    first, more = outcome.strange[0], len(outcome.strange) - 1
    return PgiostatError(
        f'the destination has another "{first}"'
        + (f", and {more} more such files" if more else ""),
        detail="Its content differs from this history's file of that name. It was left as it is.",
        hint="Two histories have a collector of the same name: give each its own --label, or"
        " destination.",
        slug="ship-strange",
    )
