"""pgiostat ship: uploads compacted files of a history to an object store."""

import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from pgiostat.cli import options
from pgiostat.errors import ExitStatus, PgiostatError

if TYPE_CHECKING:
    from pgiostat.history.format.layout import Layout
    from pgiostat.history.remote.upload import UploadResult

__all__ = ["ship"]


def ship(
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="Where to: s3://bucket/path, gs://…, abfs://… or file:///path.",
            metavar="URI",
        ),
    ],
    history: options.Written = None,
    every: Annotated[
        str | None,
        typer.Option(help="Again and again, until stopped.", metavar="TIME", show_default=False),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            help="Remove here what is older and verified there, as 7d; whole days go.",
            metavar="TIME",
            show_default=False,
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say trouble alone.")] = False,
) -> None:
    """Bring what is sealed of a history to an object store, whole and verified.

    What is there is not brought again, and nothing is removed here that is not there. Reports read
    it as --history URI. Several histories may go to one place.
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
    with progress("shipping") as show:
        outcome = shipped(layout, to, keep=kept, clock=datetime.now(UTC), progress=show)
    if not quiet:
        sys.stdout.write(f"{_summary(outcome)}\n")
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
    """Return what was shipped, in a line."""
    from pgiostat.units import format_bytes, format_count

    files = f"{format_count(outcome.files)} file{'s' * (outcome.files != 1)}"
    parts = [f"shipped {files}, {format_bytes(outcome.bytes)}"]
    if outcome.there:
        parts.append(f"{format_count(outcome.there)} there already")
    if outcome.removed:
        parts.append(f"{format_count(outcome.removed)} removed here")
    return "; ".join(parts)


def _strange(outcome: "UploadResult") -> PgiostatError:
    first, more = outcome.strange[0], len(outcome.strange) - 1
    return PgiostatError(
        f'there is another "{first}" already' + (f", and {more} more like it" if more else ""),
        detail="It is not what this history has under that name, and was left as it is.",
        hint="Two histories have a collector of one name: give each its own --label, or target.",
        slug="ship-strange",
    )
