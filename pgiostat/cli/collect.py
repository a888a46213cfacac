"""pgiostat collect: intervals of servers into a history."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgiostat.cli import options
from pgiostat.errors import ExitStatus

if TYPE_CHECKING:
    from pgiostat.collector.targets import Plan

__all__ = ["collect"]


def collect(
    dsn: Annotated[
        list[str] | None,
        typer.Argument(help="Servers, each as for psql.", metavar="DSN...", show_default=False),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            callback=options.no_secret,
            help="File with a table for each server; read again at SIGHUP.",
            metavar="FILE",
            readable=False,  # the reader's own error is better
            show_default=False,
        ),
    ] = None,
    interval: Annotated[
        str | None,
        typer.Option(
            "--interval",
            "-i",
            help="Between readings; 10s if nothing else is said.",
            metavar="TIME",
            show_default=False,
        ),
    ] = None,
    ends: Annotated[
        str | None,
        typer.Option(
            "--for", help="Collect so long, then end.", metavar="TIME", show_default=False
        ),
    ] = None,
    history: options.Written = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            "--label",
            help="A server's name in the history; one for each DSN, in their order. Made of host"
            " and port if not given.",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            "--keep",
            help="Remove rows that are older, as 30d; whole days go.",
            metavar="TIME",
            show_default=False,
        ),
    ] = None,
    keep_hours: Annotated[
        str | None,
        typer.Option(
            "--keep-hours",
            help="Keep what statements did by the hour for longer, as 400d.",
            metavar="TIME",
            show_default=False,
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            "--device",
            help="Block device of the server's data, as nvme0n1; found if it can be; or none.",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    cloudwatch: Annotated[
        str | None,
        typer.Option(
            "--cloudwatch",
            help="RDS instance, as eu-west-1/db-1; told by the host name; or none.",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            help="Serve a page for Prometheus there; for this machine alone if no host is given.",
            metavar="[HOST:]PORT",
            show_default=False,
        ),
    ] = None,
    rules: Annotated[
        Path | None,
        typer.Option(
            "--rules",
            callback=options.no_secret,
            help="Rules file for the categories of that page; a history has none.",
            metavar="FILE",
            readable=False,
            show_default=False,
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            help="Of all servers those of one of several processes, as 2/8.",
            metavar="N/M",
            show_default=False,
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say trouble alone.")] = False,
    log_format: Annotated[
        str | None,
        typer.Option(
            help="Format of the log: text, journald or json. Default: journald if the log goes"
            " there, else text.",
            metavar="FORMAT",
            show_default=False,
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Try each server and the history once, and end."),
    ] = False,
) -> None:
    """Collect intervals of servers into a history, until stopped.

    Each interval is committed whole. What cannot be written is part of the next one; a collector
    that is started anew goes on where it ended. SIGTERM ends after one more reading. Nothing is
    written to a server, and nothing on it is reset.
    """
    from pgiostat.cli.histories import local_root, rules_of
    from pgiostat.collector import config as file
    from pgiostat.collector import service, targets
    from pgiostat.collector.log import LogFormat, configure
    from pgiostat.collector.metrics_server import parse_address
    from pgiostat.collector.preflight import check as tried
    from pgiostat.history.write.retention import Keep
    from pgiostat.queries.describe import describer
    from pgiostat.timespec import duration
    from pgiostat.volume.device.discover import device_option

    if config is not None and (dsn or label):
        options.refuse(
            "--config cannot be used together with servers or labels",
            hint="Write them into the file, each as a table: [servers.prod].",
        )
    if config is not None and (device or cloudwatch):
        options.refuse(
            "--config cannot be used together with --device or --cloudwatch",
            hint="Write them into the table of their server.",
        )
    measured = device_option(device, cloudwatch)
    page = None if metrics is None else parse_address(metrics)
    if rules is not None and page is None:
        options.refuse(
            "--rules is for the page of --metrics",
            hint="A history has no categories: give the rules to report.",
        )

    def plan() -> "Plan":
        if config is None:
            there = targets.targets(dsn or [""], label or [], interval or "10s", measured)
            return targets.Plan(tuple(there), history, Keep.of(keep, keep_hours))
        return file.read(config, history=history, every=interval, keep=keep, keep_hours=keep_hours)

    def ours() -> "Plan":
        return targets.share(plan(), shard)

    # An invalid option is an error of --check as well.
    seconds = None if ends is None else duration(ends)
    describe = None if page is None else describer(rules_of(rules))
    form = None if log_format is None else options.choice("log-format", log_format, LogFormat)
    logger = configure(sys.stderr, form, quiet=quiet)
    first = ours()
    root = local_root(first.history)
    if check:
        status = ExitStatus.DONE
        for line, went in tried(first, root):
            sys.stdout.write(f"{line}\n")
            status = max(status, went)
        raise typer.Exit(status)
    status = service.run(
        first,
        root,
        logger,
        ends=seconds,
        page=page,
        describe=describe,
        reread=None if config is None else ours,
    )
    raise typer.Exit(status)
