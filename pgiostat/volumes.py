"""What volumes can do: baseline, burst and bucket of each type, as their documentation has it.

Sources: Amazon EBS User Guide, "Amazon EBS volume types" (General Purpose SSD, Provisioned IOPS
SSD, Throughput Optimized HDD and Cold HDD volumes; "I/O characteristics" for the size of an
operation); Amazon RDS User Guide, "Amazon RDS DB instance storage" (striping); Amazon EC2 User
Guide, "Amazon EBS-optimized instance types" (bursts of instances), and what EC2 itself answers to
DescribeInstanceTypes (EbsOptimizedInfo: limits of instances).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches

from pgiostat.errors import ExitStatus, PgiostatError

__all__ = ["INSTANCES", "KINDS", "LIMITS", "Instance", "Volume", "instance_of", "volume_of"]

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
GP2_LEAST, GP2_MOST = 100, 16_000
GP2_SLOW_GIB = 170
GP3_PER_GIB = 500
GP3_MIB_PER_OPERATION = 0.25
RDS_STRIPED_GIB = 400
"""From this size on RDS for PostgreSQL stripes over four volumes."""
RDS_STRIPES = 4

SPRINT_SECONDS = 1_800
"""For so long an instance bursts, at least once in 24 hours."""


@dataclass(frozen=True, slots=True)
class Volume:
    """What a volume gives, in operations a second (SSD) or MiB a second (HDD).

    baseline: for ever, and what the bucket is filled with.  ceiling: while there are credits.
    credits: what a full bucket holds, None where there is no bucket.  throughput: bytes a second
    at most.  counts_bytes: an HDD, whose credits are MiB.
    lasting: what its instance lets through for ever, None if that is no less than the ceiling.
    sprint: what the instance lets through beyond that, once it has rested.  lasting_throughput,
    byte_sprint: the same in bytes.
    """

    name: str
    baseline: float
    ceiling: float
    credits: float | None
    throughput: float
    counts_bytes: bool = False
    lasting: float | None = None
    sprint: float = 0.0
    lasting_throughput: float | None = None
    byte_sprint: float = 0.0

    @property
    def for_ever(self) -> float:
        """What is given for ever: no more than the instance lets through."""
        lasting = self.ceiling if self.lasting is None else self.lasting
        return min(self.baseline, self.ceiling, lasting)

    @property
    def unit(self) -> str:
        """What is counted a second."""
        return "MiB" if self.counts_bytes else "operations"

    def demand(self, operations: float, read_bytes: float) -> float:
        """Return how much operations of so many bytes together ask of it.

        >>> volume_of("gp2:100").demand(10, 10 * 8192), volume_of("gp2:100").demand(1, 1024 * 1024)
        (10, 4.0)
        >>> volume_of("st1:500").demand(3, 8192)
        3.0
        """
        if self.counts_bytes:
            return max(operations * HDD_OPERATION, read_bytes) / MIB
        return max(operations, read_bytes / SSD_OPERATION)

    def most(self, operations: float, read_bytes: float, seconds: float) -> float:
        """Return what it gives a second, at most, of operations of so many bytes together.

        >>> round(volume_of("gp3:500:6000:125").most(6000, 6000 * 131072, 1.0))
        1000
        """
        wanted = read_bytes / seconds
        if self.counts_bytes or wanted <= self.throughput:
            return self.ceiling
        return min(self.ceiling, self.demand(operations, read_bytes) / seconds
                   * self.throughput / wanted)  # fmt: skip

    def limited(self, instance: "Instance") -> "Volume":
        """Return what is left of it on an instance; its bucket is filled all the same.

        An instance that bursts does so for half an hour at least once a day.  As of a volume, it
        is taken for a bucket: what is not used of its baseline fills it.
        """
        name = f"{self.name} on {instance.name}"
        throughput = min(self.throughput, instance.burst_throughput)
        limited = replace(self, name=name, throughput=throughput)
        if instance.throughput < throughput:
            bytes_more = (instance.burst_throughput - instance.throughput) * SPRINT_SECONDS
            limited = replace(
                limited, lasting_throughput=instance.throughput, byte_sprint=bytes_more
            )
        if self.counts_bytes:
            return replace(limited, ceiling=min(self.ceiling, throughput / MIB))
        limited = replace(limited, ceiling=min(self.ceiling, instance.burst_iops))
        if instance.iops >= limited.ceiling:
            return limited
        sprint = (instance.burst_iops - instance.iops) * SPRINT_SECONDS
        return replace(limited, lasting=instance.iops, sprint=sprint)


def _gp2(name: str, gib: float, *_: float) -> Volume:
    """Return a gp2 volume: 3 IOPS for each GiB, bursts below 1,000 GiB."""
    baseline = min(max(GP2_PER_GIB * gib, GP2_LEAST), GP2_MOST)
    bursts = baseline < GP2_BURST
    throughput = (128 if gib <= GP2_SLOW_GIB else 250) * MIB
    ceiling = GP2_BURST if bursts else baseline
    return Volume(name, baseline, ceiling, GP2_CREDITS if bursts else None, throughput)


def _rds_gp2(name: str, gib: float, *_: float) -> Volume:
    """Return gp2 storage of RDS: from 400 GiB on four volumes of a fourth of the size."""
    if gib < RDS_STRIPED_GIB:
        return _gp2(name, gib)
    one = _gp2(name, gib / RDS_STRIPES)
    bucket = None if one.credits is None else one.credits * RDS_STRIPES
    return Volume(name, one.baseline * RDS_STRIPES, one.ceiling * RDS_STRIPES, bucket,
                  one.throughput * RDS_STRIPES)  # fmt: skip


def _gp3(name: str, gib: float, iops: float = 3000, mib: float = 125) -> Volume:
    """Return a gp3 volume: what was provisioned, 3,000 and 125 MiB/s if nothing was."""
    _bounds(name, "IOPS", iops, 3000, min(max(GP3_PER_GIB * gib, 3000), 80_000))
    _bounds(name, "MiB/s", mib, 125, min(max(iops * GP3_MIB_PER_OPERATION, 125), 2000))
    return Volume(name, iops, iops, None, mib * MIB)


def _rds_gp3(name: str, gib: float, iops: float = 0, mib: float = 0) -> Volume:
    """Return gp3 storage of RDS: 12,000 and 500 MiB/s are included from 400 GiB on.

    Below that nothing can be provisioned.
    """
    striped = gib >= RDS_STRIPED_GIB
    included, most = ((12_000, 500), (64_000, 4_000)) if striped else ((3_000, 125), (3_000, 125))
    iops, mib = iops or included[0], mib or included[1]
    _bounds(name, "IOPS", iops, included[0], most[0])
    _bounds(name, "MiB/s", mib, included[1], most[1])
    return Volume(name, iops, iops, None, mib * MIB)


def _io1(name: str, gib: float, iops: float = 0) -> Volume:
    """Return an io1 volume: 50 IOPS for each GiB at most.

    256 KiB for each operation, but up to 32,000 IOPS at most 500 MiB/s; above, 16 KiB for each.
    """
    _bounds(name, "IOPS", iops, 100, min(max(50 * gib, 100), 64_000))
    throughput = max(min(iops * SSD_OPERATION, 500 * MIB), iops * 16 * KIB)
    return Volume(name, iops, iops, None, throughput)


def _io2(name: str, gib: float, iops: float = 0) -> Volume:
    """Return an io2 Block Express volume: 256 KiB for each operation, at most 4,000 MiB/s."""
    _bounds(name, "IOPS", iops, 100, min(max(1000 * gib, 100), 256_000))
    return Volume(name, iops, iops, None, min(iops * SSD_OPERATION, 4000 * MIB))


def _bounds(name: str, what: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        allowed = f"{least:,g}" if least == most else f"{least:,g} to {most:,g}"
        raise _wrong(f'no volume is like "{name}"', f"Of its size it has {allowed} {what}.")


def _hdd(per_tib: float, burst_per_tib: float, most: float, most_burst: float) -> "_Make":
    """Return what makes volumes whose credits are MiB: a bucket holds a TiB for each TiB."""

    def make(name: str, gib: float, *_: float) -> Volume:
        tib = gib / GIB_PER_TIB
        baseline, ceiling = min(per_tib * tib, most), min(burst_per_tib * tib, most_burst)
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
}
"""How each type is made, written and how large it may be, and how many numbers may follow."""
_NEEDS_IOPS = ("io1", "io2")
_MOST = 1_000_000
"""No volume does as many operations or MiB a second."""


def volume_of(text: str) -> Volume:
    """Return a volume by its description, as gp2:500 or gp3:500:6000:250.

    Raises PgiostatError option-invalid.
    """
    text = text.lower()
    kind, *words = text.split(":")
    if kind not in KINDS:
        raise _wrong(f'there is no volume type "{kind}"', f"There are: {', '.join(KINDS)}.")
    make, form, (least, most), more = KINDS[kind]
    try:
        gib, *numbers = (float(word) for word in words)
    except ValueError:
        raise _wrong(f'invalid volume: "{text}"', f"Write it like {form}.") from None
    missing = kind in _NEEDS_IOPS and not numbers
    if len(numbers) > more or missing or not all(0 < number < _MOST for number in numbers):
        raise _wrong(f'invalid volume: "{text}"', f"Write it like {form}.")
    if not least <= gib <= most:
        raise _wrong(f"a {kind} volume has {least:,g} to {most:,g} GiB, not {gib:,g}", "")
    return make(text, gib, *numbers)


def _wrong(message: str, hint: str) -> PgiostatError:
    return PgiostatError(message, hint=hint or None, slug="option-invalid", status=ExitStatus.USAGE)


@dataclass(frozen=True, slots=True)
class Instance:
    """What an instance can do with its volumes: for ever, and for half an hour a day.

    iops, throughput (bytes a second): baseline.  burst_iops, burst_throughput: at most.
    """

    name: str
    iops: float
    throughput: float
    burst_iops: float
    burst_throughput: float


_MEGABIT = 1_000_000 / 8
_MEGABYTE = 1_000_000
_LARGE = (
    ("8xlarge", 10_000, 40_000, 10_000, 40_000), ("12xlarge", 15_000, 60_000, 15_000, 60_000),
    ("16xlarge", 20_000, 80_000, 20_000, 80_000),
)  # fmt: skip
_SMALL = (
    ("xlarge", 1_250, 6_000, 10_000, 40_000), ("2xlarge", 2_500, 12_000, 10_000, 40_000),
    ("4xlarge", 5_000, 20_000, 10_000, 40_000),
)  # fmt: skip
_INTEL = (("large", 650, 3_600, 10_000, 40_000), *_SMALL, *_LARGE)
_GRAVITON = (
    ("medium", 315, 2_500, 10_000, 40_000), ("large", 630, 3_600, 10_000, 40_000), *_SMALL, *_LARGE,
)  # fmt: skip
_LARGEST = (
    ("24xlarge", 30_000, 120_000, 30_000, 120_000), ("48xlarge", 40_000, 240_000, 40_000, 240_000),
)  # fmt: skip
_SIZES: Mapping[str, tuple[tuple[str, int, int, int, int], ...]] = {
    # size: baseline Mbps, baseline IOPS, most Mbps, most IOPS
    "t3 t4g": (
        ("micro", 87, 500, 2_085, 11_800), ("small", 174, 1_000, 2_085, 11_800),
        ("medium", 347, 2_000, 2_085, 11_800), ("large", 695, 4_000, 2_780, 15_700),
        ("xlarge", 695, 4_000, 2_780, 15_700), ("2xlarge", 695, 4_000, 2_780, 15_700),
    ),
    "m4": (
        ("large", 450, 3_600, 450, 3_600), ("xlarge", 750, 6_000, 750, 6_000),
        ("2xlarge", 1_000, 8_000, 1_000, 8_000), ("4xlarge", 2_000, 16_000, 2_000, 16_000),
        ("10xlarge", 4_000, 32_000, 4_000, 32_000), ("16xlarge", 10_000, 65_000, 10_000, 65_000),
    ),
    "r4": (
        ("large", 425, 3_000, 425, 3_000), ("xlarge", 850, 6_000, 850, 6_000),
        ("2xlarge", 1_700, 12_000, 1_700, 12_000), ("4xlarge", 3_500, 18_750, 3_500, 18_750),
        ("8xlarge", 7_000, 37_500, 7_000, 37_500), ("16xlarge", 14_000, 75_000, 14_000, 75_000),
    ),
    "m5 r5 m5d": (
        ("large", 650, 3_600, 4_750, 18_750), ("xlarge", 1_150, 6_000, 4_750, 18_750),
        ("2xlarge", 2_300, 12_000, 4_750, 18_750), ("4xlarge", 4_750, 18_750, 4_750, 18_750),
        ("8xlarge", 6_800, 30_000, 6_800, 30_000), ("12xlarge", 9_500, 40_000, 9_500, 40_000),
        ("16xlarge", 13_600, 60_000, 13_600, 60_000),
        ("24xlarge", 19_000, 80_000, 19_000, 80_000),
    ),
    "m6g r6g m6gd r6gd": (
        ("medium", 315, 2_500, 4_750, 20_000), ("large", 630, 3_600, 4_750, 20_000),
        ("xlarge", 1_188, 6_000, 4_750, 20_000), ("2xlarge", 2_375, 12_000, 4_750, 20_000),
        ("4xlarge", 4_750, 20_000, 4_750, 20_000), ("8xlarge", 9_500, 40_000, 9_500, 40_000),
        ("12xlarge", 14_250, 50_000, 14_250, 50_000),
        ("16xlarge", 19_000, 80_000, 19_000, 80_000),
    ),
    "m6i r6i m6id r6id": (
        *_INTEL,
        ("24xlarge", 30_000, 120_000, 30_000, 120_000),
        ("32xlarge", 40_000, 160_000, 40_000, 160_000),
    ),
    "m7i r7i": (*_INTEL, *_LARGEST),
    "m7g r7g m7gd r7gd": _GRAVITON,
    "m8g r8g": (*_GRAVITON, *_LARGEST),
}  # fmt: skip
INSTANCES: Mapping[str, Instance] = {
    f"{family}.{size}": Instance(
        f"{family}.{size}", iops, mbps * _MEGABIT, most, most_mbps * _MEGABIT
    )
    for families, sizes in _SIZES.items()
    for family in families.split()
    for size, mbps, iops, most_mbps, most in sizes
}
LIMITS = "IOPS:MB_PER_S[:MOST_IOPS:MOST_MB_PER_S]"
"""How limits of an instance are given by hand: those for ever, and those of its burst."""
_LIMITS = 4


def instance_of(text: str) -> Instance:
    """Return an instance by its type, with or without RDS's "db.", or by its limits as in LIMITS.

    Raises PgiostatError option-invalid.

    >>> instance_of("db.m5.large") == replace(
    ...     instance_of("3600:81.25:18750:593.75"), name="m5.large"
    ... )
    True
    """
    bare = text.lower().removeprefix("db.")
    if bare in INSTANCES:
        return INSTANCES[bare]
    if ":" in bare:
        return _by_hand(text)
    near = get_close_matches(bare, INSTANCES, n=5) or list(INSTANCES)[:5]
    raise _wrong(
        f'the limits of instance type "{text}" are not known',
        f"Near to it: {', '.join(near)}. Or give its limits as {LIMITS}.",
    )


def _by_hand(text: str) -> Instance:
    """Return an instance by its limits."""
    try:
        numbers = [float(word) for word in text.split(":")]
    except ValueError:
        numbers = []
    if len(numbers) == _LIMITS // 2:
        numbers *= 2  # no burst
    if len(numbers) != _LIMITS or not all(0 < n < _MOST for n in numbers):
        raise _wrong(f'invalid limits of an instance: "{text}"', f"Write them like {LIMITS}.")
    iops, megabytes, most, most_megabytes = numbers
    if most < iops or most_megabytes < megabytes:
        raise _wrong(
            f'invalid limits of an instance: "{text}"',
            "What is given at most is less than for ever.",
        )
    return Instance(text, iops, megabytes * _MEGABYTE, most, most_megabytes * _MEGABYTE)
