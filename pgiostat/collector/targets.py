"""The collected servers, their intervals, and the retention of a history."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path

from pgiostat.errors import invalid_option
from pgiostat.history.format.root import check_collector
from pgiostat.history.write.retention import Keep
from pgiostat.postgres.dsn import check_dsn, label_of
from pgiostat.postgres.relation_options import RelationOptions, relation_options
from pgiostat.timespec import duration, written
from pgiostat.units import format_counted
from pgiostat.volume.device.discover import AUTOMATIC, DeviceOption

__all__ = [
    "INTERVAL_SECONDS",
    "SHORTEST_INTERVAL_SECONDS",
    "TABLES_INTERVAL",
    "Plan",
    "Target",
    "interval",
    "may_be_label",
    "shard_of",
    "share",
    "targets",
]

_SHARD = re.compile(r"(\d{1,4})/(\d{1,4})")

SHORTEST_INTERVAL_SECONDS = 0.1
LONGEST_INTERVAL_SECONDS = 86_400.0
TABLES_INTERVAL = "60s"
INTERVAL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Target:
    """A server to collect from.

    Attributes:
        dsn: The connection string.
        label: The name of the server and of its collector in the history.
        interval: Seconds between snapshots.
        device: The device that is measured beside it.
        relations: Which tables and indexes are read, and how often.
    """

    dsn: str = field(repr=False)
    label: str
    interval: float = INTERVAL_SECONDS
    device: DeviceOption = AUTOMATIC
    relations: RelationOptions = field(default_factory=lambda: relation_options(TABLES_INTERVAL))


@dataclass(frozen=True, slots=True)
class Plan:
    """What to collect, and where to.

    Attributes:
        targets: The servers.
        history: The directory of the history; None is that of the command line, or the default.
        keep: How long the history keeps it.
    """

    targets: tuple[Target, ...]
    history: Path | None = None
    keep: Keep = field(default_factory=Keep)


def interval(text: str) -> float:
    """Return the seconds of an interval between snapshots.

    Raises:
        PgiostatError: time-invalid, or option-invalid if it is too short or too long.
    """
    seconds = duration(text)
    if not SHORTEST_INTERVAL_SECONDS <= seconds <= LONGEST_INTERVAL_SECONDS:
        raise invalid_option(
            f'invalid interval: "{text}"',
            hint=f"It must be from {written(SHORTEST_INTERVAL_SECONDS)} to"
            f" {written(LONGEST_INTERVAL_SECONDS)}.",
        )
    return seconds


def share(plan: Plan, shard: str | None) -> Plan:
    """Return a plan with the servers of one shard.

    Each server is in exactly one shard, by its label alone. With a ninth shard about one server in
    nine moves, into the ninth.

    Args:
        plan: All servers.
        shard: As 2/8: the second of eight; None for all.

    Raises:
        PgiostatError: option-invalid.
    """
    if shard is None:
        return plan
    found = _SHARD.fullmatch(shard)
    number, count = map(int, found.groups()) if found else (0, 0)
    if not 1 <= number <= count:
        raise invalid_option(
            f'invalid shard: "{shard}"', hint="Write it like 2/8: the second of eight."
        )
    ours = tuple(each for each in plan.targets if shard_of(each.label, count) == number)
    if not ours:
        raise invalid_option(
            f"none of {format_counted(len(plan.targets), 'server')} is in shard {shard}",
            hint="There may be more shards than servers.",
        )
    return replace(plan, targets=ours)


def shard_of(label: str, count: int) -> int:
    """Return the shard of a server, from 1 to count: the one with the highest hash of the label.

    >>> [shard_of("prod", count) for count in (1, 2, 3, 4)]
    [1, 1, 1, 1]
    """
    return max(
        range(1, count + 1),
        key=lambda number: blake2b(f"{number}/{label}".encode(), digest_size=8).digest(),
    )


def targets(
    dsns: Sequence[str],
    labels: Sequence[str],
    every: str = "10s",
    device: DeviceOption = AUTOMATIC,
    relations: RelationOptions | None = None,
) -> list[Target]:
    """Return the servers of the command line.

    Args:
        dsns: Connection strings.
        labels: One for each, or none.
        every: The interval between snapshots.
        device: The device that is measured beside a single server.
        relations: Which tables and indexes are read; the default if None.

    Raises:
        PgiostatError: dsn-invalid, time-invalid, or option-invalid if the labels or the device do
            not fit the servers.
    """
    if device.by_name and len(dsns) > 1:
        raise invalid_option(
            f"one device was named for {len(dsns)} servers",
            hint="Set the device of each server in a configuration file: see --config.",
        )
    if labels and len(labels) != len(dsns):
        raise invalid_option(
            f"number of labels ({len(labels)}) differs from number of servers ({len(dsns)})",
            hint="Specify --label once for each server, in their order.",
        )
    for dsn in dsns:
        check_dsn(dsn)
    names = list(labels) or [label_of(dsn) for dsn in dsns]
    for label in names:
        if not may_be_label(label):
            raise invalid_option(
                'a label has a ":", "=", ";" or "@" in it',
                hint="Letters, digits, _ and . only. A connection string is an argument,"
                " without --label.",
            )
        check_collector(label)
    twice = next((label for label in names if names.count(label) > 1), None)
    if twice is not None:
        raise invalid_option(
            f'two servers would have the label "{twice}"',
            hint="Specify a --label for each server.",
        )
    seconds = interval(every)
    of_tables = relations or relation_options(TABLES_INTERVAL)
    return [
        Target(dsn, label, seconds, device, of_tables)
        for dsn, label in zip(dsns, names, strict=True)
    ]


def may_be_label(text: str) -> bool:
    """Return whether a text, valid or not, is no part of a connection string.

    >>> may_be_label("a b"), may_be_label("host=db"), may_be_label("db:5432:app:me:s3cret")
    (True, False, False)
    """
    return re.search("[:=;@]", text) is None
