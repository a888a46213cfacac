"""Volume models: baseline, burst and credit bucket of each type, from AWS's documentation.

Sources: Amazon EBS User Guide, "Amazon EBS volume types" (General Purpose SSD, Provisioned IOPS
SSD, Throughput Optimized HDD and Cold HDD volumes; "I/O characteristics" for the size of an
operation); EC2 API, CreateVolume (ranges of size, IOPS and throughput); Amazon RDS User Guide,
"Amazon RDS DB instance storage" (striping and the ranges of RDS).  docs/burst.md has the figures
with their dates.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pgiostat.errors import invalid_option

if TYPE_CHECKING:
    from pgiostat.volume.instances import Instance

__all__ = ["KINDS", "Volume", "volume_of"]

KIB = 1024
MIB = 1024 * KIB
GIB_PER_TIB = 1024
SSD_OPERATION = 256 * KIB
"""A larger operation of an SSD counts as several of this size."""
HDD_OPERATION = MIB
"""Sequential operations of an HDD are merged up to this size; a random one counts as all of it."""

GP2_CREDITS = 5_400_000
GP2_BURST = 3_000
GP2_PER_GIB = 3
GP2_MIN, GP2_MAX = 100, 16_000
GP2_SLOW_GIB = 170
GP3_PER_GIB = 500
GP3_MIB_PER_OPERATION = 0.25
"""Highest throughput of a gp3 for each of its IOPS, on EBS and on RDS."""
IO1_PER_GIB = 50
IO2_PER_GIB = 1_000
RDS_STRIPED_GIB = 400
"""From this size on RDS for PostgreSQL stripes over four volumes."""
RDS_STRIPES = 4
RDS_PROVISIONED = (1_000, 256_000)
"""The IOPS of RDS io1 and io2."""
RDS_MIN_PER_GIB = 0.5
"""Fewest IOPS of RDS io1 and io2 for each GiB."""

INSTANCE_BURST_SECONDS = 1_800
"""Length of an instance's burst, at least once in 24 hours."""


@dataclass(frozen=True, slots=True)
class Volume:
    """Limits of a volume; its unit is the operation (SSD) or the MiB (HDD).

    Attributes:
        baseline: Sustained units per second, and the rate at which the bucket fills.
        ceiling: Units per second while credits are left.
        credits: Units in a full bucket; None without a bucket.
        throughput: Highest bytes per second.
        counts_bytes: Whether credits are MiB (an HDD).
        instance_baseline: Sustained rate of its instance; None if no less than the ceiling.
        instance_burst: Units above that rate in one full burst of the instance.
        instance_baseline_throughput: The sustained rate in bytes per second; None as above.
        instance_burst_throughput: Bytes above that rate in one full burst.
    """

    name: str
    baseline: float
    ceiling: float
    credits: float | None
    throughput: float
    counts_bytes: bool = False
    instance_baseline: float | None = None
    instance_burst: float = 0.0
    instance_baseline_throughput: float | None = None
    instance_burst_throughput: float = 0.0

    @property
    def sustained(self) -> float:
        """Sustained units per second: no more than the instance's baseline."""
        instance = self.ceiling if self.instance_baseline is None else self.instance_baseline
        return min(self.baseline, self.ceiling, instance)

    @property
    def unit(self) -> str:
        """The unit of its rates and credits."""
        return "MiB" if self.counts_bytes else "operations"

    def demand(self, operations: float, read_bytes: float) -> float:
        """Return the units that operations of some bytes together take.

        >>> volume_of("gp2:100").demand(10, 10 * 8192), volume_of("gp2:100").demand(1, 1024 * 1024)
        (10, 4.0)
        >>> volume_of("st1:500").demand(3, 8192)
        3.0
        """
        if self.counts_bytes:
            return max(operations * HDD_OPERATION, read_bytes) / MIB
        return max(operations, read_bytes / SSD_OPERATION)

    def limit(self, operations: float, read_bytes: float, seconds: float) -> float:
        """Return the most units per second that it admits of operations of some bytes together.

        >>> round(volume_of("gp3:500:6000:125").limit(6000, 6000 * 131072, 1.0))
        1000
        """
        wanted = read_bytes / seconds
        if self.counts_bytes or wanted <= self.throughput:
            return self.ceiling
        rate = self.demand(operations, read_bytes) / seconds
        return min(self.ceiling, rate * self.throughput / wanted)

    def limited(self, instance: "Instance") -> "Volume":
        """Return the volume on an instance; that does not change how the bucket fills.

        AWS promises half an hour of burst at least once a day.  The model is a bucket, like that
        of a volume: the unused part of the instance's baseline fills it.
        """
        name = f"{self.name} on {instance.name}"
        throughput = min(self.throughput, instance.burst_throughput)
        limited = replace(self, name=name, throughput=throughput)
        if instance.throughput < throughput:
            bytes_more = (instance.burst_throughput - instance.throughput) * INSTANCE_BURST_SECONDS
            limited = replace(
                limited,
                instance_baseline_throughput=instance.throughput,
                instance_burst_throughput=bytes_more,
            )
        if self.counts_bytes:
            return replace(limited, ceiling=min(self.ceiling, throughput / MIB))
        limited = replace(limited, ceiling=min(self.ceiling, instance.burst_iops))
        if instance.iops >= limited.ceiling:
            return limited
        burst = (instance.burst_iops - instance.iops) * INSTANCE_BURST_SECONDS
        return replace(limited, instance_baseline=instance.iops, instance_burst=burst)


def _gp2(name: str, gib: float, *_: float) -> Volume:
    """Return a gp2 volume: 3 IOPS for each GiB, bursts below 1,000 GiB."""
    baseline = min(max(GP2_PER_GIB * gib, GP2_MIN), GP2_MAX)
    bursts = baseline < GP2_BURST
    throughput = (128 if gib <= GP2_SLOW_GIB else 250) * MIB
    ceiling = GP2_BURST if bursts else baseline
    return Volume(name, baseline, ceiling, GP2_CREDITS if bursts else None, throughput)


def _striped(make: "_Make", name: str, gib: float, *numbers: float) -> Volume:
    """Return storage of RDS: from 400 GiB on four volumes, each with a fourth of everything."""
    if gib < RDS_STRIPED_GIB:
        return make(name, gib, *numbers)
    one = make(name, gib / RDS_STRIPES, *(number / RDS_STRIPES for number in numbers))
    return Volume(
        name,
        baseline=one.baseline * RDS_STRIPES,
        ceiling=one.ceiling * RDS_STRIPES,
        credits=None if one.credits is None else one.credits * RDS_STRIPES,
        throughput=one.throughput * RDS_STRIPES,
    )


def _rds_gp2(name: str, gib: float, *_: float) -> Volume:
    return _striped(_gp2, name, gib)


def _gp3(name: str, gib: float, iops: float = 3000, mib: float = 125) -> Volume:
    """Return a gp3 volume as provisioned, by default with 3,000 IOPS and 125 MiB/s."""
    _iops_within(name, iops, 3000, min(max(GP3_PER_GIB * gib, 3000), 80_000))
    _mib_within(name, mib, 125, min(iops * GP3_MIB_PER_OPERATION, 2000))
    return Volume(name, iops, iops, None, mib * MIB)


def _rds_gp3(name: str, gib: float, iops: float = 0, mib: float = 0) -> Volume:
    """Return gp3 storage of RDS: 12,000 and 500 MiB/s are included from 400 GiB on.

    Below that nothing can be provisioned.  RDS allows 500 IOPS for each GiB too, which is more
    than 64,000 wherever anything can be provisioned.
    """
    striped = gib >= RDS_STRIPED_GIB
    included, limits = ((12_000, 500), (64_000, 4_000)) if striped else ((3_000, 125), (3_000, 125))
    iops, mib = iops or included[0], mib or included[1]
    _iops_within(name, iops, included[0], limits[0])
    _mib_within(name, mib, included[1], min(iops * GP3_MIB_PER_OPERATION, limits[1]))
    return Volume(name, iops, iops, None, mib * MIB)


def _io1(name: str, gib: float, iops: float = 0) -> Volume:
    """Return an io1 volume: 50 IOPS for each GiB at most.

    Each operation may have 256 KiB, but up to 32,000 IOPS no more than 500 MiB/s together; above
    that number each may have 16 KiB.
    """
    _iops_within(name, iops, 100, min(max(IO1_PER_GIB * gib, 100), 64_000))
    throughput = max(min(iops * SSD_OPERATION, 500 * MIB), iops * 16 * KIB)
    return Volume(name, iops, iops, None, throughput)


def _io2(name: str, gib: float, iops: float = 0) -> Volume:
    """Return an io2 Block Express volume: 256 KiB for each operation, at most 4,000 MiB/s."""
    _iops_within(name, iops, 100, min(max(IO2_PER_GIB * gib, 100), 256_000))
    return Volume(name, iops, iops, None, min(iops * SSD_OPERATION, 4000 * MIB))


def _rds_io1(name: str, gib: float, iops: float = 0) -> Volume:
    _rds_provisioned(name, gib, iops, IO1_PER_GIB)
    return _striped(_io1, name, gib, iops)


def _rds_io2(name: str, gib: float, iops: float = 0) -> Volume:
    _rds_provisioned(name, gib, iops, IO2_PER_GIB)
    return _striped(_io2, name, gib, iops)


def _rds_provisioned(name: str, gib: float, iops: float, max_per_gib: float) -> None:
    low, high = RDS_PROVISIONED
    _iops_within(name, iops, max(low, RDS_MIN_PER_GIB * gib), min(max_per_gib * gib, high))


def _iops_within(name: str, iops: float, low: float, high: float) -> None:
    if not low <= iops <= high:
        raise invalid_option(
            f'the IOPS of volume "{name}" are out of range',
            hint=f"Its size allows {_range(low, high)} IOPS.",
        )


def _mib_within(name: str, mib: float, low: float, high: float) -> None:
    if not low <= mib <= high:
        raise invalid_option(
            f'the throughput of volume "{name}" is out of range',
            hint=f"Its size and IOPS allow {_range(low, high)} MiB/s.",
        )


def _range(low: float, high: float) -> str:
    return f"{low:,g}" if low == high else f"{low:,g} to {high:,g}"


def _hdd(per_tib: float, burst_per_tib: float, max_rate: float, max_burst: float) -> "_Make":
    """Return a constructor of volumes with credits in MiB: one TiB of credits per TiB of size."""

    def make(name: str, gib: float, *_: float) -> Volume:
        tib = gib / GIB_PER_TIB
        baseline, ceiling = min(per_tib * tib, max_rate), min(burst_per_tib * tib, max_burst)
        bucket = tib * MIB  # MiB in a TiB, as many as bytes in a MiB
        return Volume(name, baseline, ceiling, bucket, ceiling * MIB, counts_bytes=True)

    return make


_Make = Callable[..., Volume]

KINDS: Mapping[str, tuple[_Make, str, tuple[float, float], int]] = {
    "gp2": (_gp2, "gp2:GIB", (1, 16_384), 0),
    "gp3": (_gp3, "gp3:GIB[:IOPS[:MIB_PER_S]]", (1, 65_536), 2),
    "io1": (_io1, "io1:GIB:IOPS", (4, 16_384), 1),
    "io2": (_io2, "io2:GIB:IOPS", (4, 65_536), 1),
    "st1": (_hdd(40, 250, 500, 500), "st1:GIB", (125, 16_384), 0),
    "sc1": (_hdd(12, 80, 192, 250), "sc1:GIB", (125, 16_384), 0),
    "rds-gp2": (_rds_gp2, "rds-gp2:GIB", (20, 65_536), 0),
    "rds-gp3": (_rds_gp3, "rds-gp3:GIB[:IOPS[:MIB_PER_S]]", (20, 65_536), 2),
    "rds-io1": (_rds_io1, "rds-io1:GIB:IOPS", (100, 65_536), 1),
    "rds-io2": (_rds_io2, "rds-io2:GIB:IOPS", (100, 65_536), 1),
}
"""Of each type: constructor, syntax, range of sizes in GiB, and how many numbers may follow."""
_NEEDS_IOPS = ("io1", "io2", "rds-io1", "rds-io2")
_MAX_NUMBER = 1_000_000
"""A bound above all IOPS and MiB/s of a volume: a larger number is a typing error."""


def volume_of(text: str) -> Volume:
    """Return a volume by its description, for example gp2:500 or gp3:500:6000:250.

    Raises:
        PgiostatError: option-invalid, for an unknown type, a wrong syntax or a number out of range.
    """
    kind, *words = text.lower().split(":")
    if kind not in KINDS:
        raise invalid_option(
            f'there is no volume type "{text.partition(":")[0]}"',
            hint=f"Volume types: {', '.join(KINDS)}.",
        )
    make, syntax, (low, high), optional = KINDS[kind]
    try:
        gib, *numbers = (float(word) for word in words)
    except ValueError:
        raise invalid_option(f'invalid volume: "{text}"', hint=f"Write it like {syntax}.") from None
    missing = kind in _NEEDS_IOPS and not numbers
    if (
        len(numbers) > optional
        or missing
        or not all(0 < number < _MAX_NUMBER for number in numbers)
    ):
        raise invalid_option(f'invalid volume: "{text}"', hint=f"Write it like {syntax}.")
    if not low <= gib <= high:
        raise invalid_option(f"a {kind} volume has {low:,g} to {high:,g} GiB, not {gib:,g}")
    return make(text.lower(), gib, *numbers)
