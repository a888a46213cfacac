"""pgiostat collect: intervals of servers into a history."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgiostat.cli import completion, options
from pgiostat.cli.connection import connects
from pgiostat.cli.histories import DEFAULT_RULES, RulesChoice, categorizes
from pgiostat.errors import ExitStatus

if TYPE_CHECKING:
    from pgiostat.collector.targets import Plan

__all__ = ["collect"]


@connects(several=True)
@categorizes
def collect(
    dsn: Annotated[
        list[str] | None,
        typer.Argument(
            help="Servers, each a database name or connection string, as for psql.",
            metavar="[DBNAME|DSN]...",
            show_default=False,
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            callback=options.no_secret,
            help="Configuration file with a table per server; SIGHUP reloads it.",
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
            help="Interval between snapshots. Default: 10s.",
            metavar="DURATION",
            show_default=False,
        ),
    ] = None,
    tables_interval: Annotated[
        str,
        typer.Option(
            "--tables-interval",
            help="Interval between reads of tables and indexes, or off.",
            metavar="DURATION",
        ),
    ] = "60s",
    databases: Annotated[
        str | None,
        typer.Option(
            "--databases",
            help="Read tables and indexes of other databases too: all, or names with commas.",
            metavar="NAMES",
            show_default=False,
        ),
    ] = None,
    ends: Annotated[
        str | None,
        typer.Option("--for", help="Exit after this time.", metavar="DURATION", show_default=False),
    ] = None,
    history: options.Written = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            "--label",
            help="Label of a server, one per server in their order. Default: from host and port.",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            "--keep",
            help="Remove rows older than this, for example 30d, by whole days.",
            metavar="DURATION",
            show_default=False,
        ),
    ] = None,
    keep_hours: Annotated[
        str | None,
        typer.Option(
            "--keep-hours",
            help="Keep the hourly rollup of statements for longer, for example 400d.",
            metavar="DURATION",
            show_default=False,
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            "--device",
            help="Block device of the server's data (such as nvme0n1), or none. Default: detected.",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    cloudwatch: Annotated[
        str | None,
        typer.Option(
            "--cloudwatch",
            help="RDS instance (such as eu-west-1/db-1), or none. Default: from the host name.",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            help="Serve metrics for Prometheus on this port. Default host: 127.0.0.1.",
            metavar="[HOST:]PORT",
            show_default=False,
        ),
    ] = None,
    rules: RulesChoice = DEFAULT_RULES,
    shard: Annotated[
        str | None,
        typer.Option(
            help="Collect only the servers of one shard: 2/8 is the second of eight.",
            metavar="N/M",
            show_default=False,
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Log warnings and errors only.")] = False,
    log_format: Annotated[
        str | None,
        typer.Option(
            help="Log format: text, journald or json. Default: journald in the journal, or text.",
            metavar="FORMAT",
            show_default=False,
            autocompletion=completion.among("text", "journald", "json"),
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Check each server and the history once, then exit."),
    ] = False,
) -> None:
    """Record intervals of servers into a history until stopped.

    Each interval is committed whole. An interval that cannot be written becomes part of the next
    one. A restarted collector continues where it stopped. SIGTERM ends it after one more snapshot.
    collect writes nothing to a server and resets nothing on it.
    """
    from pgiostat.cli.histories import local_root, rules_of
    from pgiostat.collector import config as file
    from pgiostat.collector import service, targets
    from pgiostat.collector.log import LogFormat, configure
    from pgiostat.collector.metrics_server import parse_address
    from pgiostat.collector.preflight import check as tried
    from pgiostat.history.write.retention import Keep
    from pgiostat.postgres.relation_options import relation_options
    from pgiostat.queries.describe import describer
    from pgiostat.timespec import duration
    from pgiostat.volume.device.discover import device_option

    if config is not None and (dsn or label):
        options.refuse(
            "--config cannot be used together with servers or labels",
            hint="Write each server into the file as a table: [servers.prod].",
        )
    if config is not None and (device or cloudwatch):
        options.refuse(
            "--config cannot be used together with --device or --cloudwatch",
            hint="Write them into the table of their server.",
        )
    if config is not None and databases:
        options.refuse(
            "--config cannot be used together with --databases",
            hint="Write databases into the file, for all servers or in the table of one.",
        )
    measured = device_option(device, cloudwatch)
    relations = relation_options(tables_interval, databases)
    page = None if metrics is None else parse_address(metrics)
    if rules != DEFAULT_RULES and page is None:
        options.refuse(
            "--rules and --preset need --metrics",
            hint="A history stores no categories: pass them to pgiostat report.",
        )

    def plan() -> "Plan":
        if config is None:
            there = targets.targets(
                dsn or [""], label or [], interval or "10s", measured, relations
            )
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
    _require_packages(first, page)
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


def _require_packages(plan: "Plan", page: object) -> None:
    """Check that the packages which options need are installed, before anything begins."""
    from pgiostat.extras import require
    from pgiostat.volume.device.discover import NONE

    if page is not None:
        require("prometheus_client")
    if any(target.device.cloudwatch not in {"", NONE} for target in plan.targets):
        require("boto3")
