"""Limits of AWS instances for their volumes: the baseline, and a burst of half an hour a day.

Sources: EC2's DescribeInstanceTypes (EbsInfo.EbsOptimizedInfo), in instances.csv, which
`make instances` writes; Amazon EC2 User Guide, "Amazon EBS-optimized instance types" (the
burst); Amazon RDS User Guide, "Hardware specifications for DB instance classes" (RDS's names).
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from importlib.resources import files

from pgiostat.errors import invalid_option

__all__ = ["LIMITS", "Instance", "instance_of", "published"]

LIMITS = "IOPS:MB_PER_S[:MOST_IOPS:MOST_MB_PER_S]"
"""Syntax of limits by hand: the baseline, then the burst."""
COLUMNS = ("instance", "iops", "mb_per_s", "most_iops", "most_mb_per_s")
"""The columns of instances.csv; a type without published limits has its name alone."""

_MEGABYTE = 1_000_000
_LIMITS = 4
_MAX_NUMBER = 1_000_000
"""A bound above all IOPS and MB/s of an instance: a larger number is a typing error."""
_RDS_NAMES = {"x2g": "x2gd"}
"""Families under a name of RDS's own, and EC2's names of them."""
_SUGGESTIONS = 3


@dataclass(frozen=True, slots=True)
class Instance:
    """Limits of an instance for all its volumes.

    Attributes:
        throughput: Baseline, in bytes per second.
        burst_iops: While it bursts.
        burst_throughput: While it bursts, in bytes per second.
    """

    name: str
    iops: float
    throughput: float
    burst_iops: float
    burst_throughput: float


@cache
def published() -> Mapping[str, Instance | None]:
    """Return the limits of each instance type that EC2 lists; None where it publishes no limits.

    >>> published()["t3.micro"]
    Instance(name='t3.micro', iops=500.0, throughput=10875000.0, burst_iops=11800.0, \
burst_throughput=260625000.0)
    >>> published()["t2.micro"] is None
    True
    """
    text = files("pgiostat.volume").joinpath("instances.csv").read_text("utf-8")
    return dict(_rows(text.splitlines()))


def _rows(lines: Iterable[str]) -> Iterator[tuple[str, Instance | None]]:
    for row in csv.DictReader(line for line in lines if not line.startswith("#")):
        name, *limits = (row[column] for column in COLUMNS)
        yield name, _instance(name, *map(float, limits)) if all(limits) else None


def _instance(
    name: str, iops: float, megabytes: float, burst_iops: float, burst_megabytes: float
) -> Instance:
    return Instance(name, iops, megabytes * _MEGABYTE, burst_iops, burst_megabytes * _MEGABYTE)


def instance_of(text: str) -> Instance:
    """Return an instance by its type, with or without RDS's "db.", or by its limits as in LIMITS.

    Raises:
        PgiostatError: option-invalid, for an unknown type, and for one without published limits.

    >>> instance_of("db.m5.large").iops, instance_of("3600:81.25:18750:593.75").iops
    (3600.0, 3600.0)
    """
    if ":" in text:
        return _by_hand(text)
    bare = text.lower().removeprefix("db.")
    known, ec2_name = published(), _ec2_name(bare)
    if ec2_name not in known:
        raise invalid_option(f'unknown instance type: "{text}"', hint=_hint(_near(ec2_name)))
    found = known[ec2_name]
    if found is None:
        raise invalid_option(
            f'the limits of instance type "{text}" are not known',
            detail="EC2 publishes no limits: the type is not EBS-optimized, and its volumes share"
            " the network with other traffic.",
            hint=_hint([]),
        )
    return found if ec2_name == bare else replace(found, name=bare)


def _ec2_name(bare: str) -> str:
    family, dot, size = bare.partition(".")
    return f"{_RDS_NAMES.get(family, family)}{dot}{size}"


def _near(name: str) -> list[str]:
    """Return the most similar names: of the same family if there is one, otherwise of all."""
    family, _, _ = name.partition(".")
    relatives = [known for known in published() if known.startswith(f"{family}.")]
    if relatives:
        return get_close_matches(name, relatives, n=_SUGGESTIONS, cutoff=0.0)
    return get_close_matches(name, published(), n=_SUGGESTIONS)


def _hint(near: list[str]) -> str:
    by_hand = f"Specify its limits as {LIMITS}."
    return f"Did you mean {', '.join(near)}? {by_hand}" if near else by_hand


def _by_hand(text: str) -> Instance:
    try:
        numbers = [float(word) for word in text.split(":")]
    except ValueError:
        numbers = []
    if len(numbers) == _LIMITS // 2:
        numbers *= 2  # no burst
    if len(numbers) != _LIMITS or not all(0 < n < _MAX_NUMBER for n in numbers):
        raise invalid_option(
            f'invalid limits of an instance: "{text}"', hint=f"Write them like {LIMITS}."
        )
    iops, megabytes, burst_iops, burst_megabytes = numbers
    if burst_iops < iops or burst_megabytes < megabytes:
        raise invalid_option(
            f'invalid limits of an instance: "{text}"', hint="The burst is below the baseline."
        )
    return _instance(text, *numbers)
