"""Which servers are collected, how often, and for how long it is kept."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path

from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.history.format.layout import check_collector
from pgiostat.history.write.retention import Keep
from pgiostat.postgres.dsn import check_dsn, label_of
from pgiostat.timespec import duration
from pgiostat.volume.device.discover import AUTOMATIC, DeviceOption

__all__ = [
    "INTERVAL_SECONDS",
    "SHORTEST_INTERVAL_SECONDS",
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
INTERVAL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Target:
    """A server to collect from; label: its name in the history, and its collector's id.

    interval: seconds between readings.  device: what is measured beside it.
    """

    dsn: str = field(repr=False)
    label: str
    interval: float = INTERVAL_SECONDS
    device: DeviceOption = AUTOMATIC


@dataclass(frozen=True, slots=True)
class Plan:
    """What to collect, and where to; None is what the command line or a default says."""

    targets: tuple[Target, ...]
    history: Path | None = None
    keep: Keep = field(default_factory=Keep)


def interval(text: str) -> float:
    """Return seconds between readings.

    Raises PgiostatError time-invalid, and option-invalid for one that is too short or too long.
    """
    seconds = duration(text)
    if not SHORTEST_INTERVAL_SECONDS <= seconds <= LONGEST_INTERVAL_SECONDS:
        raise _wrong(
            f'invalid interval: "{text}"',
            f"It must be from {SHORTEST_INTERVAL_SECONDS:g}s to"
            f" {LONGEST_INTERVAL_SECONDS / 86_400:g}d.",
        )
    return seconds


def share(plan: Plan, shard: str | None) -> Plan:
    """Return a plan with the servers of one shard, as 2/8: the second of eight.

    Each server is in exactly one of them, by its label alone; with a ninth shard an eighth or so of
    the servers moves, all of it there.  Raises PgiostatError option-invalid.
    """
    if shard is None:
        return plan
    found = _SHARD.fullmatch(shard)
    number, count = map(int, found.groups()) if found else (0, 0)
    if not 1 <= number <= count:
        raise _wrong(f'invalid shard: "{shard}"', "Write it like 2/8: the second of eight.")
    ours = tuple(each for each in plan.targets if shard_of(each.label, count) == number)
    if not ours:
        raise _wrong(
            f"none of {len(plan.targets)} servers is in shard {shard}",
            "There may be more shards than servers.",
        )
    return replace(plan, targets=ours)


def shard_of(label: str, count: int) -> int:
    """Return in which of so many shards a server is, from 1: that which wants its label most.

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
) -> list[Target]:
    """Return what to collect from.

    Raises PgiostatError dsn-invalid, time-invalid, and option-invalid if labels or the device and
    servers do not go together.
    """
    if device.by_name and len(dsns) > 1:
        raise _wrong(
            f"one device was named, and {len(dsns)} servers",
            "Give each server its own in a file: see --config.",
        )
    if labels and len(labels) != len(dsns):
        raise _wrong(
            f"the number of labels, {len(labels)}, is not that of servers, {len(dsns)}",
            "Give --label once for each server, in their order.",
        )
    for dsn in dsns:
        check_dsn(dsn)
    given = list(labels) or [label_of(dsn) for dsn in dsns]
    for label in given:
        if not may_be_label(label):
            raise _wrong(
                'a label has a ":", "=", ";" or "@" in it',
                "Letters, digits, _ and . only. A connection string is given as a server,"
                " without --label.",
            )
        check_collector(label)
    twice = next((label for label in given if given.count(label) > 1), None)
    if twice is not None:
        raise _wrong(
            f'two servers would have the label "{twice}"',
            "Tell them apart by --label, one for each.",
        )
    seconds = interval(every)
    return [Target(dsn, label, seconds, device) for dsn, label in zip(dsns, given, strict=True)]


def may_be_label(text: str) -> bool:
    """Return whether a text, right or wrong, is no part of a connection string.

    >>> may_be_label("a b"), may_be_label("host=db"), may_be_label("db:5432:app:me:s3cret")
    (True, False, False)
    """
    return re.search("[:=;@]", text) is None


def _wrong(message: str, hint: str) -> PgiostatError:
    return PgiostatError(message, hint=hint, slug="option-invalid", status=ExitStatus.USAGE)
