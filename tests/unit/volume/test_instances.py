"""The limits of instances: what EC2 publishes, RDS's names, and limits by hand."""

import re
import subprocess
import sys

import pytest

from pgiostat.errors import PgiostatError
from pgiostat.volume.instances import LIMITS, Instance, instance_of, published
from tests.instance_types import TABLE, answered, table

BY_HAND = f"Specify its limits as {LIMITS}."
SHARED = (
    "EC2 publishes no limits: the type is not EBS-optimized, and its volumes share the network with"
    " other traffic."
)
FAMILIES = (
    "t2 t3 t4g m4 r4 m5 m5d r5 r5b r5d m6g m6gd r6g r6gd m6i m6id m6idn m6in r6i r6id r6idn r6in"
    " m7i r7i m7g m7gd r7g r7gd m8g m8gd r8g r8gd m8i r8i x2gd x2idn x2iedn x8g z1d c6gd"
)


def test_the_table_is_what_ec2_publishes() -> None:
    lines = TABLE.read_text("utf-8").splitlines(keepends=True)
    assert "".join(line for line in lines if not line.startswith("#")) == table(answered())
    assert re.fullmatch(
        r"# Limits of Amazon EC2 instance types on the way to their EBS volumes\.\n"
        r"# Source: DescribeInstanceTypes, EbsInfo\.EbsOptimizedInfo, as moto [\d.]+ carries it\.\n"
        r"# Date: \d{4}-\d\d-\d\d\. Written by `make instances`: do not edit\.\n"
        r"# MB are 1,000,000 bytes\. A name alone: EC2 publishes no limits of this type\.\n",
        "".join(line for line in lines if line.startswith("#")),
    )
    assert TABLE.stat().st_size < 100_000


def test_the_table_says_of_every_type_what_ec2_says() -> None:
    answer = answered()
    assert list(published()) == sorted(answer)
    for name, instance in published().items():
        limits = answer[name]["EbsInfo"].get("EbsOptimizedInfo")
        assert instance == (
            None
            if limits is None
            else Instance(
                name,
                limits["BaselineIops"],
                round(limits["BaselineThroughputInMBps"] * 1_000_000),
                limits["MaximumIops"],
                round(limits["MaximumThroughputInMBps"] * 1_000_000),
            )
        )


def test_every_family_that_rds_offers_is_known() -> None:
    assert {name.partition(".")[0] for name in published()} >= set(FAMILIES.split())


@pytest.mark.parametrize(
    ("name", "iops", "mbps", "most_iops", "most_mbps"),
    # Amazon EC2 User Guide, "Amazon EBS-optimized instances": both tables, checked by hand.
    [
        ("m5.large", 3_600, 650, 18_750, 4_750),
        ("r5.24xlarge", 80_000, 19_000, 80_000, 19_000),
        ("r5d.2xlarge", 12_000, 2_300, 18_750, 4_750),
        ("r5d.8xlarge", 30_000, 6_800, 30_000, 6_800),
        ("r5b.large", 5_417, 1_250, 43_333, 10_000),
        ("r5b.2xlarge", 21_667, 5_000, 43_333, 10_000),
        ("r5b.24xlarge", 260_000, 60_000, 260_000, 60_000),
        ("z1d.large", 3_333, 800, 13_333, 3_170),
        ("z1d.3xlarge", 20_000, 4_750, 20_000, 4_750),
        ("c6gd.medium", 2_500, 315, 20_000, 4_750),
        ("c6gd.2xlarge", 12_000, 2_375, 20_000, 4_750),
        ("c6gd.16xlarge", 80_000, 19_000, 80_000, 19_000),
        ("x2g.large", 3_600, 630, 20_000, 4_750),
        ("x2gd.12xlarge", 60_000, 14_250, 60_000, 14_250),
        ("m6g.12xlarge", 50_000, 14_250, 50_000, 14_250),
        ("m6i.4xlarge", 20_000, 5_000, 40_000, 10_000),
        ("r4.4xlarge", 18_750, 3_500, 18_750, 3_500),
        ("m4.16xlarge", 65_000, 10_000, 65_000, 10_000),
        ("x1e.xlarge", 3_700, 500, 3_700, 500),
        ("r5a.2xlarge", 8_333, 1_580, 16_000, 2_880),
        ("t3.small", 1_000, 174, 11_800, 2_085),
    ],
)
def test_limits_are_as_documented(
    name: str, iops: float, mbps: float, most_iops: float, most_mbps: float
) -> None:
    megabit = 1_000_000 / 8
    for text in (name, f"db.{name}", f"DB.{name.upper()}"):
        assert instance_of(text) == Instance(
            name, iops, mbps * megabit, most_iops, most_mbps * megabit
        )


@pytest.mark.parametrize(
    ("name", "most_mbps"),
    # Amazon RDS User Guide, "Hardware specifications for DB instance classes", checked by hand.
    [
        ("m8gd.48xlarge", 40_000), ("m8gd.8xlarge", 10_000),
        ("r8gd.12xlarge", 15_000), ("r8g.24xlarge", 30_000), ("x2idn.32xlarge", 80_000),
        ("x2iedn.8xlarge", 20_000), ("x2g.16xlarge", 19_000), ("x2g.12xlarge", 14_250),
        ("x2g.8xlarge", 9_500), ("x2g.4xlarge", 4_750), ("r7i.48xlarge", 40_000),
    ],
)  # fmt: skip
def test_bandwidths_are_as_rds_documents_them(name: str, most_mbps: float) -> None:
    assert instance_of(f"db.{name}").burst_throughput == most_mbps * 125_000


@pytest.mark.parametrize(
    ("text", "message", "detail", "hint"),
    [
        *(
            (
                name,
                f'the limits of instance type "{name}" are not known',
                SHARED,
                BY_HAND,
            )
            for name in ("db.t2.medium", "t2.nano", "m3.medium", "db.m3.large", "m1.small")
        ),
        ("db.r6g.larg", 'unknown instance type: "db.r6g.larg"', None,
         f"Did you mean r6g.large, r6g.xlarge, r6g.8xlarge? {BY_HAND}"),
        ("x2g.huge", 'unknown instance type: "x2g.huge"', None,
         f"Did you mean x2gd.large, x2gd.xlarge, x2gd.8xlarge? {BY_HAND}"),
        ("r77g.large", 'unknown instance type: "r77g.large"', None,
         f"Did you mean r7g.large, r7gd.large, r7g.xlarge? {BY_HAND}"),
        ("a-box-at-home", 'unknown instance type: "a-box-at-home"', None, BY_HAND),
        ("db.", 'unknown instance type: "db."', None, BY_HAND),
        ("3600:80:6000:x", 'invalid limits of an instance: "3600:80:6000:x"', None,
         f"Write them like {LIMITS}."),
    ],
)  # fmt: skip
def test_what_is_not_known_is_no_number(
    text: str, message: str, detail: str | None, hint: str
) -> None:
    with pytest.raises(PgiostatError) as raised:
        instance_of(text)
    told = raised.value
    assert (told.message, told.detail, told.hint) == (message, detail, hint)


def test_the_table_is_read_when_it_is_needed() -> None:
    program = (
        "import pgiostat.cli.options, pgiostat.volume.models, pgiostat.volume.instances as i;"
        "print(i.published.cache_info().currsize)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "0"
