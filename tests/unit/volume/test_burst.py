"""Volumes and their buckets: the documentation's own examples, and what must always hold."""

import csv
import json
from dataclasses import replace
from io import StringIO
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgiostat.analysis.cost import ReadCost
from pgiostat.analysis.ledger import reconcile
from pgiostat.analysis.rank import By, Ranking, RankRow, Sort
from pgiostat.analysis.server_reads import ServerReads
from pgiostat.cli.burst import burst as command
from pgiostat.errors import PgiostatError
from pgiostat.history.read.window_totals import IntervalStats, WindowTotals
from pgiostat.history.read.windows import Window
from pgiostat.render import render
from pgiostat.render.balance import gauge_line
from pgiostat.render.burst import document
from pgiostat.statistics.difference import diff
from pgiostat.statistics.snapshot import Snapshot
from pgiostat.volume.bucket import Balance, CreditBucket, Load, must_drop, replay
from pgiostat.volume.burst import LoadStep, simulate
from pgiostat.volume.demand import MEANINGS, Demand, Provenance, operations_of
from pgiostat.volume.device.align import align
from pgiostat.volume.device.interval import DeviceInterval, Origin
from pgiostat.volume.instances import LIMITS, Instance, instance_of
from pgiostat.volume.models import KINDS, MIB, Volume, volume_of
from tests.support.program import pgiostat
from tests.support.readings import at, reading

SAMPLE = Path(__file__).parents[3] / "sample_data" / "history"
IOPS = 'the IOPS of volume "{}" are out of range'
THROUGHPUT = 'the throughput of volume "{}" is out of range'
BURSTING = ("gp2:100", "gp2:500", "rds-gp2:400", "st1:500", "sc1:1024")

on_instances = [
    volume_of(text).limited(instance_of(f"db.{name}"))
    for text, name in (
        ("gp2:500", "t3.medium"),
        ("gp2:500", "t3.micro"),
        ("rds-gp2:400", "m5.large"),
    )
]
volumes = st.sampled_from(BURSTING).map(volume_of) | st.sampled_from(on_instances)
shares = st.floats(0, 1)
loads = st.builds(
    Load, st.floats(0.001, 1e5), st.none() | st.floats(0, 1e9), st.none() | st.floats(0, 1e13)
)


# the documentation's figures


@pytest.mark.parametrize(
    ("text", "baseline", "ceiling", "bucket"),
    [
        ("gp2:8", 100, 3000, 5_400_000),  # 33.33 GiB and less have the least
        ("gp2:100", 300, 3000, 5_400_000),
        ("gp2:500", 1500, 3000, 5_400_000),
        ("gp2:1000", 3000, 3000, None),
        ("gp2:5334", 16_000, 16_000, None),
        ("gp3:500", 3000, 3000, None),
        ("gp3:500:6000:250", 6000, 6000, None),
        ("io2:100:20000", 20_000, 20_000, None),
        ("rds-gp2:399", 1197, 3000, 5_400_000),
        ("rds-gp2:400", 1200, 12_000, 4 * 5_400_000),
        ("rds-gp2:4000", 12_000, 12_000, None),
        ("rds-gp3:200", 3000, 3000, None),
        ("rds-gp3:400", 12_000, 12_000, None),
        ("rds-gp3:400:64000:4000", 64_000, 64_000, None),
        ("rds-io1:100:1000", 1000, 1000, None),
        ("rds-io1:399:19950", 19_950, 19_950, None),
        ("rds-io1:5120:256000", 256_000, 256_000, None),
        ("rds-io1:65536:256000", 256_000, 256_000, None),
        ("rds-io2:100:100000", 100_000, 100_000, None),
        ("rds-io2:256:256000", 256_000, 256_000, None),
        ("rds-io2:65536:32768", 32_768, 32_768, None),
        ("st1:1024", 40, 250, 1024 * 1024),
        ("st1:12800", 500, 500, 12.5 * 1024 * 1024),
        ("sc1:1024", 12, 80, 1024 * 1024),
        ("sc1:16384", 192, 250, 16 * 1024 * 1024),
    ],
)
def test_volumes_are_as_documented(
    text: str, baseline: float, ceiling: float, bucket: float | None
) -> None:
    volume = volume_of(text)
    assert (volume.baseline, volume.ceiling, volume.credits) == (baseline, ceiling, bucket)


@pytest.mark.parametrize(
    ("gib", "seconds_of_burst", "seconds_to_fill"),
    # "Burst duration" and "seconds to fill an empty credit balance", General Purpose SSD volumes.
    [(100, 2000, 18_000), (250, 2400, 7200), (334, 2703, 5389),
     (500, 3600, 3600), (750, 7200, 2400)],
)  # fmt: skip
def test_gp2_bursts_for_as_long_as_documented(
    gib: int, seconds_of_burst: int, seconds_to_fill: int
) -> None:
    full = CreditBucket(volume_of(f"gp2:{gib}"))
    found = full.to_empty(3000)
    assert found is not None
    assert round(found) == seconds_of_burst
    assert round(CreditBucket(full.volume, 0.0, 0.0).to_refill(0.0) or 0) == seconds_to_fill
    # And by replaying it.
    gauge, balance = full.advance(Load(found, 3000 * found, 0.0))
    assert balance.low == pytest.approx(0, abs=1e-9)
    gauge, balance = gauge.advance(Load(seconds_to_fill, 0.0, 0.0))
    assert balance.low == pytest.approx(1, abs=1e-4)


def test_an_hdd_counts_bytes_and_each_random_operation_as_a_mib() -> None:
    volume = volume_of("st1:1024")
    # A TiB at 250 MiB/s: 40 come in, 210 go.
    assert CreditBucket(volume).to_empty(250) == 1024 * 1024 / 210
    assert Load(1.0, 100.0, 400.0 * MIB).rate(volume) == 400
    assert Load(1.0, 100.0, 8192.0 * 100).rate(volume) == 100


def test_bytes_limit_a_volume_too() -> None:
    # 1,000 operations of 250 KiB a second are 244 MiB: more than 125, which are 512 of them.
    load = Load(10.0, 10_000.0, 10_000 * 250 * 1024.0)
    volume = volume_of("gp3:500")
    assert load.limit(volume) == pytest.approx(512)
    _, balance = CreditBucket(volume).advance(load)
    told = (balance.rate, balance.admitted, balance.over, balance.use)
    assert told == pytest.approx((1000, 512, 488, 1000 / 512))
    assert load.limit(volume_of("gp3:500:3000:500")) == 3000
    # What a small gp2 cannot give does not burn its credits.
    gauge, balance = CreditBucket(volume_of("gp2:100")).advance(
        Load(60, 60 * 1000.0, 60 * 1000 * 262144.0)
    )
    assert (balance.admitted, gauge.low) == pytest.approx((512, 1 - 212 * 60 / 5_400_000))


@pytest.mark.parametrize(
    ("text", "throughput"),
    [("io1:1000:1000", 250), ("io1:1000:4000", 500), ("io1:1000:32000", 500),
     ("io1:2000:64000", 1000), ("io2:100:20000", 4000), ("io2:100:400", 100),
     ("gp2:100", 128), ("gp2:500", 250), ("gp3:8", 125), ("gp3:500:8000:2000", 2000),
     ("rds-gp2:399", 250), ("rds-gp2:400", 512), ("rds-gp2:1336", 1000),
     ("rds-gp3:399", 125), ("rds-gp3:400", 500), ("rds-gp3:400:12000:3000", 3000),
     ("rds-gp3:400:16000:4000", 4000),
     # "Maximum throughput" in RDS's tables: 500 and 4,000 MiB/s of io1, 4,000 of an io2 volume.
     ("rds-io1:399:19950", 500), ("rds-io1:5120:256000", 4000), ("rds-io1:400:8000", 2000),
     ("rds-io2:399:16000", 4000), ("rds-io2:400:64000", 16_000), ("rds-io2:400:4000", 1000)],
)  # fmt: skip
def test_throughput_is_as_documented(text: str, throughput: float) -> None:
    assert volume_of(text).throughput == throughput * MIB


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("io1:100:6000", IOPS, "Its size allows 100 to 5,000 IOPS."),
        ("io1:2000:64001", IOPS, "Its size allows 100 to 64,000 IOPS."),
        ("io2:4:5000", IOPS, "Its size allows 100 to 4,000 IOPS."),
        ("io2:1000:300000", IOPS, "Its size allows 100 to 256,000 IOPS."),
        ("gp3:8:16000", IOPS, "Its size allows 3,000 to 4,000 IOPS."),
        ("gp3:500:2000", IOPS, "Its size allows 3,000 to 80,000 IOPS."),
        ("gp3:500:80001", IOPS, "Its size allows 3,000 to 80,000 IOPS."),
        ("gp3:500:3000:1000", THROUGHPUT, "Its size and IOPS allow 125 to 750 MiB/s."),
        ("gp3:500:8000:2001", THROUGHPUT, "Its size and IOPS allow 125 to 2,000 MiB/s."),
        ("rds-gp3:200:6000", IOPS, "Its size allows 3,000 IOPS."),
        ("rds-gp3:399:3000:126", THROUGHPUT, "Its size and IOPS allow 125 MiB/s."),
        ("rds-gp3:400:11999", IOPS, "Its size allows 12,000 to 64,000 IOPS."),
        ("rds-gp3:400:64001", IOPS, "Its size allows 12,000 to 64,000 IOPS."),
        ("rds-gp3:400:12000:3001", THROUGHPUT, "Its size and IOPS allow 500 to 3,000 MiB/s."),
        ("rds-gp3:400:64000:4001", THROUGHPUT, "Its size and IOPS allow 500 to 4,000 MiB/s."),
        ("rds-gp3:400:12000:499", THROUGHPUT, "Its size and IOPS allow 500 to 3,000 MiB/s."),
        ("rds-io1:100:999", IOPS, "Its size allows 1,000 to 5,000 IOPS."),
        ("rds-io1:399:19951", IOPS, "Its size allows 1,000 to 19,950 IOPS."),
        ("rds-io1:65536:32767", IOPS, "Its size allows 32,768 to 256,000 IOPS."),
        ("rds-io1:65536:256001", IOPS, "Its size allows 32,768 to 256,000 IOPS."),
        ("rds-io2:100:100001", IOPS, "Its size allows 1,000 to 100,000 IOPS."),
        ("rds-io2:1000:256001", IOPS, "Its size allows 1,000 to 256,000 IOPS."),
        ("rds-io2:4000:1999", IOPS, "Its size allows 2,000 to 256,000 IOPS."),
    ],
)
def test_volumes_that_aws_does_not_offer_are_refused(text: str, message: str, hint: str) -> None:
    with pytest.raises(PgiostatError) as raised:
        volume_of(text)
    assert (raised.value.message, raised.value.hint) == (message.format(text), hint)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rds-io1:99:1000", "a rds-io1 volume has 100 to 65,536 GiB, not 99"),
        ("rds-io2:65537:40000", "a rds-io2 volume has 100 to 65,536 GiB, not 65,537"),
        ("rds-gp3:19", "a rds-gp3 volume has 20 to 65,536 GiB, not 19"),
        ("rds-io1:400", 'invalid volume: "rds-io1:400"'),
        ("rds-io2:400", 'invalid volume: "rds-io2:400"'),
    ],
)
def test_sizes_that_aws_does_not_offer_are_refused(text: str, message: str) -> None:
    with pytest.raises(PgiostatError) as raised:
        volume_of(text)
    assert raised.value.message == message


def test_the_help_names_every_kind_of_volume() -> None:
    volumes = {word.strip(".,") for word in (command.__doc__ or "").split() if ":GIB" in word}
    assert volumes == {form for _, form, _, _ in KINDS.values()}


@given(st.sampled_from(["rds-io1", "rds-io2"]), st.integers(100, 65_536), st.floats(0, 1))
def test_what_rds_allows_is_what_four_volumes_allow(kind: str, gib: int, share: float) -> None:
    least, per_gib = max(1000, gib / 2), {"rds-io1": 50, "rds-io2": 1000}[kind]
    most = min(per_gib * gib, 256_000)
    iops = least + share * (most - least)
    volume = volume_of(f"{kind}:{gib}:{iops}")
    assert volume.ceiling == pytest.approx(iops)
    stripes = 4 if gib >= 400 else 1
    one = volume_of(f"{kind.removeprefix('rds-')}:{gib / stripes}:{iops / stripes}")
    assert volume.throughput == pytest.approx(stripes * one.throughput)


def test_an_instance_lets_through_what_it_can_for_half_an_hour_and_then_what_lasts() -> None:
    volume = volume_of("gp2:500").limited(instance_of("db.t3.medium"))
    assert volume.name == "gp2:500 on t3.medium"
    told = [volume.baseline, volume.ceiling, volume.instance_baseline, volume.instance_burst]
    assert told == [1500, 3000, 2000, 9800 * 1800]
    # 1,000 above its 2,000 leave its burst in 17,640 s: the volume is empty long before.
    assert CreditBucket(volume).to_empty(5000) == 3600
    tired = CreditBucket(volume, instance_left=0.05)
    # 882 s at 3,000 burn 1,323,000, then 500 a second go.
    assert tired.to_empty(5000) == pytest.approx(882 + (5_400_000 - 882 * 1500) / 500)
    gauge, balance = tired.advance(Load(1764, 1764 * 5000.0, 0.0))
    assert balance.low == pytest.approx(1 - (882 * 1500 + 882 * 500) / 5_400_000)
    assert (balance.admitted, balance.over, gauge.instance_left) == (2500, 2000, 0)
    gauge, _ = gauge.advance(Load(882, 0.0, 0.0))
    assert gauge.instance_left == pytest.approx(0.1)


def test_behind_a_small_instance_a_bucket_never_empties() -> None:
    volume = volume_of("gp2:500").limited(instance_of("db.t3.micro"))
    rested, tired = CreditBucket(volume), CreditBucket(volume, instance_left=0.0)
    assert (volume.baseline, volume.instance_baseline) == (1500, 500)
    assert (rested.to_empty(5000), tired.to_empty(5000)) == (3600, None)
    gauge, balance = tired.advance(Load(60, 60 * 5000.0, 0.0))
    assert (gauge.low, balance.admitted) == (1.0, 500)


def test_an_instance_bursts_in_bytes_too() -> None:
    # 4,750 Mbps for half an hour, 650 for ever: 512.5 MB/s beyond that.
    volume = volume_of("gp3:500:6000").limited(instance_of("m5.large"))
    told = [
        volume.ceiling,
        volume.instance_baseline,
        volume.throughput,
        volume.instance_baseline_throughput,
    ]
    assert told == [6000, 3600, 125 * MIB, 81_250_000]
    assert (volume.instance_burst, volume.instance_burst_throughput) == (
        15_150 * 1800,
        512_500_000 * 1800,
    )
    # 500 operations of 256 KiB a second are all that the volume gives of bytes.
    size = 256 * 1024
    tires, lasting = CreditBucket(volume).burst_ends_in(500, size) or (0, 0)
    assert (tires, lasting) == pytest.approx(
        (512_500_000 * 1800 / (125 * MIB - 81_250_000), 81_250_000 / size)
    )
    gauge, balance = CreditBucket(volume).advance(
        Load(2 * tires, 1000 * tires, 1000.0 * tires * size)
    )
    assert balance.admitted == pytest.approx((500 + 81_250_000 / size) / 2)
    assert (gauge.instance_left, gauge.instance_bytes_left) == (1, 0)
    # Of small ones it is operations that tire it.
    assert CreditBucket(volume).burst_ends_in(6000, 8192) == (15_150 * 1800 / 2400, 3600)
    assert CreditBucket(volume).burst_ends_in(3600, 8192) is None


def test_both_bursts_of_an_instance_end_each_in_its_time() -> None:
    volume = volume_of("gp3:500:6000").limited(instance_of("2000:40:6000:100"))
    # 4,000 of 16 KiB: 2,000 operations and 25.5 MB a second too many, of 7,200,000 and 108 GB.
    gauge = CreditBucket(volume)
    tires, lasting = gauge.burst_ends_in(4000, 16_384) or (0, 0)
    assert (tires, lasting) == (3600, 2000)
    after, balance = gauge.advance(Load(7200, 4000 * 7200.0, 4000 * 7200.0 * 16_384))
    assert balance.admitted == 3000
    # In the second hour bytes are less than what lasts: they fill their bucket.
    used = 3600 * (4000 * 16_384 - 40e6)
    filled = 3600 * (40e6 - 2000 * 16_384)
    assert after.instance_bytes_left == pytest.approx(1 - (used - filled) / (60e6 * 1800))


def test_limits_are_given_by_hand_too() -> None:
    assert instance_of("4000:100") == Instance("4000:100", 4000, 100e6, 4000, 100e6)
    volume = volume_of("gp2:500").limited(instance_of("2000:100"))
    assert (volume.name, volume.ceiling, volume.instance_baseline) == (
        "gp2:500 on 2000:100",
        2000,
        None,
    )


def test_names_may_be_written_in_capitals() -> None:
    assert volume_of("GP2:500") == volume_of("gp2:500")
    assert instance_of("DB.M5.Large") == instance_of("m5.large")


@pytest.mark.parametrize(
    ("volume", "instance", "lines"),
    [
        ("gp3:500:6000", "db.m5.large", [
            "gp3:500:6000 on m5.large: 3,600 IOPS sustained, no I/O credits",
            "instance limit: 3,600 IOPS sustained, 6,000 IOPS burst (3 h 9 min from full);",
            "77.5 MiB/s sustained, 125 MiB/s burst (5 h 8 min from full)",
        ]),
        ("gp2:500", "db.t3.micro", [
            "gp2:500 on t3.micro: 500 IOPS sustained, 3,000 IOPS burst while I/O credits last",
            "(5.40 M in a full bucket)",
            "instance limit: 500 IOPS sustained, 3,000 IOPS burst (2 h 15 min from full);",
            "10.4 MiB/s sustained, 249 MiB/s burst (30 min from full)",
        ]),
        ("gp2:500", "9000:600", [
            "gp2:500 on 9000:600: 1,500 IOPS baseline, 3,000 IOPS burst while I/O credits",
            "last (5.40 M in a full bucket)",
        ]),
    ],
)  # fmt: skip
def test_what_lasts_and_what_bursts_are_both_shown(
    volume: str, instance: str, lines: list[str]
) -> None:
    status, out, _ = burst("--volume", volume, "--instance", instance)
    shown = out.splitlines()
    assert (status, shown[1 : 1 + len(lines)]) == (0, lines)
    assert shown[1 + len(lines)].startswith("I/O operations: ")
    assert [line for line in shown if line != line.rstrip()] == []


@pytest.mark.parametrize(
    "option", [("--instance", "db.t3.micro"), ("--balance", "20"), ("--writes", "5")]
)
def test_what_is_about_a_volume_needs_a_volume(option: tuple[str, str]) -> None:
    done = pgiostat("watch", *option)
    assert (done.returncode, done.stderr) == (
        2,
        (
            "pgiostat: error: --instance, --balance and --writes need a volume\n"
            "HINT:  Name it with --volume.\n"
        ),
    )


# what must always hold


@given(volumes, shares, st.lists(loads, max_size=30))
def test_a_balance_is_between_empty_and_full_and_never_made_of_nothing(
    volume: Volume, start: float, asked: list[Load]
) -> None:
    before = CreditBucket(volume, start, start)
    for load, (gauge, balance) in zip(asked, replay(before, asked), strict=True):
        assert 0 <= balance.low <= balance.high <= 1
        assert (gauge.low, gauge.high) == (balance.low, balance.high)
        assert volume.credits is not None
        gained = (gauge.high - before.high) * volume.credits
        assert gained <= volume.baseline * load.seconds * (1 + 1e-9) + 1e-3
        assert balance.over >= 0
        before = gauge


@given(volumes, shares, loads, st.floats(0.01, 0.99))
def test_a_load_in_two_parts_is_the_same_load(
    volume: Volume, start: float, load: Load, cut: float
) -> None:
    def part(share: float) -> Load:
        operations = None if load.operations is None else load.operations * share
        read_bytes = None if load.read_bytes is None else load.read_bytes * share
        return Load(load.seconds * share, operations, read_bytes)

    gauge = CreditBucket(volume, start, start)
    whole, _ = gauge.advance(load)
    first, _ = gauge.advance(part(cut))
    both, _ = first.advance(part(1 - cut))
    assert both.low == pytest.approx(whole.low, abs=1e-6)
    assert both.high == pytest.approx(whole.high, abs=1e-6)


@given(volumes, shares, st.floats(1, 1e4), st.floats(0, 1e6), st.floats(0, 1e6))
def test_who_asks_for_more_is_left_with_no_more(
    volume: Volume, start: float, seconds: float, operations: float, more: float
) -> None:
    gauge = CreditBucket(volume, start, start)
    less, _ = gauge.advance(Load(seconds, operations, 0.0))
    greater, _ = gauge.advance(Load(seconds, operations + more, 0.0))
    assert greater.low <= less.low


def test_an_unknown_demand_leaves_a_range() -> None:
    gauge, balance = CreditBucket(volume_of("gp2:100"), 0.5, 0.5).advance(Load(1000, None, None))
    assert (balance.low, balance.high) == (0.0, 0.5 + 300 * 1000 / 5_400_000)
    assert balance.rate is None
    assert gauge_line(gauge, None) == "gp2:100: burst balance 0 % to 55.6 %"


@given(st.dictionaries(st.text(max_size=3), st.floats(0, 1e6), max_size=6), st.floats(0, 1e6))
def test_what_must_go_is_enough_and_no_part_of_it_could_stay(
    rates: dict[str, float], excess: float
) -> None:
    chosen = must_drop(excess, rates)
    if chosen is None:
        assert sum(sorted(rates.values(), reverse=True)) <= excess * (1 + 1e-9)
        return
    assert sum(rates[name] for name in chosen) >= excess * (1 - 1e-9)
    assert sum(rates[name] for name in chosen[:-1]) <= excess * (1 + 1e-9)


def test_a_gauge_in_a_line() -> None:
    gauge = CreditBucket(volume_of("gp2:500"), 0.5, 0.5)
    assert gauge_line(gauge, 3000) == "gp2:500: burst balance 50.0 %, empty in 30 min"
    assert gauge_line(gauge, 0) == "gp2:500: burst balance 50.0 %, full in 30 min"
    assert gauge_line(gauge, 1500) == "gp2:500: burst balance 50.0 %"
    assert gauge_line(CreditBucket(gauge.volume, 0, 0), 2000) == "gp2:500: burst balance 0 %, empty"
    small = volume_of("gp3:500").limited(instance_of("2000:100:4000:200"))
    told = gauge_line(CreditBucket(small), 3000, 1.0)
    assert told.endswith(": no I/O credits, 100 % of its limit, instance burst ends in 1 h")
    assert gauge_line(CreditBucket(small, instance_left=0.0), 3000, 1.0).endswith(
        "instance burst has ended"
    )
    told = gauge_line(CreditBucket(volume_of("gp3:500")), 750, 0.25)
    assert told == "gp3:500: no I/O credits, 25.0 % of its limit"


# rankings


def step(begin: float, seconds: float, reads: ServerReads, **blocks: int) -> LoadStep:
    """Return a step in which the server counted what it did, and categories read so many blocks."""
    per_block = reads.per_block
    costs = {
        name: ReadCost(seconds, 8192, shared_blks_read=n, per_block=per_block)
        for name, n in blocks.items()
    }
    explained = sum(costs.values(), ReadCost(seconds, 8192, per_block=per_block))
    whole = max(reads.blocks or 0, explained.blocks)
    ranking = Ranking(
        by=By.CATEGORY, sort=Sort.READS, seconds=seconds,
        rows=tuple(
            RankRow((name,), name, cost, cost.blocks / whole if whole else None)
            for name, cost in costs.items()
        ),
        rest=None, own=None, explained=explained, server_blocks=reads.blocks,
        lines=reconcile(explained.blocks, reads),
        absurd_times=0, nested=0, nested_blocks=0,
    )  # fmt: skip
    return LoadStep(at(begin), at(begin + seconds), seconds, ranking, reads)


def usual(begin: float, seconds: float, each: float | None, **blocks: int) -> LoadStep:
    """Return a step of categories that read so many blocks, and autovacuum ten of its own."""
    of_clients = sum(blocks.values())
    reads = ServerReads(blocks=of_clients + 10, autovacuum_blocks=10)
    if each is not None:
        reads = replace(reads, operations=int(of_clients * each), operation_blocks=of_clients)
    return step(begin, seconds, reads, **blocks)


def test_who_burned_what_adds_up_and_a_gap_is_unknown() -> None:
    steps = [
        usual(0, 60, 0.5, version=300_000, upload=59_990),  # 3,000 a second
        usual(60, 60, 0.5, version=100_000, upload=19_990),  # 1,000
        usual(300, 60, 0.5, version=240_000, upload=119_990),  # 3,000 after a gap
    ]
    found = simulate(steps, CreditBucket(volume_of("gp2:500"), 0.5, 0.5))
    assert found.provenance is Provenance.PG_STAT_IO
    assert [(m.seconds, m.balance.rate) for m in found.steps] == [
        (60, 3000), (60, 1000), (180, None), (60, 3000),
    ]  # fmt: skip
    full = 5_400_000
    lows = [0.5 - 90_000 / full]
    lows.append(lows[-1] + 30_000 / full)
    lows.append(lows[-1] - 1500 * 180 / full)
    lows.append(lows[-1] - 90_000 / full)
    assert [m.balance.low for m in found.steps] == pytest.approx(lows)
    assert found.steps[-1].balance.high == pytest.approx(lows[1] + (1500 * 180 - 90_000) / full)
    burned = {part.name: part.burned for part in found.parts}
    assert sum(burned.values()) == pytest.approx(180_000)
    assert burned["version"] == pytest.approx(90_000 * (300_000 + 240_000) / 360_000)
    assert found.forecast.rate == 3000
    assert found.forecast.must_drop == ["version"]
    assert found.forecast.to_empty == pytest.approx(lows[-1] * full / 1500)


def test_without_operations_blocks_are_an_upper_bound_and_writes_burn_too() -> None:
    steps = [usual(0, 10, None, version=19_990)]
    found = simulate(steps, CreditBucket(volume_of("gp2:500")), 500)
    assert found.provenance is Provenance.BLOCKS
    assert found.steps[0].balance == Balance(
        1 - 10_000 / 5_400_000, 1 - 10_000 / 5_400_000, 2500, 2500, 0.0, 2500 / 3000
    )
    assert {part.name: part.per_s for part in found.parts} == {
        "version": 1999, "writes": 500, "autovacuum": 1, "unattributed": 0,
    }  # fmt: skip


@given(
    st.lists(
        st.tuples(*[st.integers(0, 10_000)] * 5, st.booleans()).map(
            lambda n: (
                ServerReads(
                    blocks=n[0] + n[1] + n[2], autovacuum_blocks=n[2], operation_blocks=n[0] + n[1],
                    operations=n[0], rollbacks=int(n[5]),
                ),
                {"version": n[3], "upload": n[4]},
            )
        ),
        min_size=1, max_size=12,
    )
)  # fmt: skip
def test_what_steps_ask_adds_up_to_what_the_server_counted_whenever_statements_were(
    counted: list[tuple[ServerReads, dict[str, int]]],
) -> None:
    steps = [
        step(10.0 * number, 10, reads, **blocks) for number, (reads, blocks) in enumerate(counted)
    ]
    found = simulate(steps, CreditBucket(volume_of("gp2:500")))
    whole = ServerReads.total(reads for reads, _ in counted)
    operations = operations_of(whole, whole.per_block.shared)
    by_step = [sum(moment.operations.values()) for moment in found.steps]
    assert sum(by_step) == pytest.approx(operations)
    assert sum(part.per_s for part in found.parts) * 10 * len(steps) == pytest.approx(operations)
    each = whole.per_block.shared
    assert by_step == pytest.approx([operations_of(reads, each) for reads, _ in counted])
    assert all(n >= 0 for moment in found.steps for n in moment.operations.values())


def test_reads_that_are_counted_twice_burn_once_and_are_of_who_read_them() -> None:
    # A transaction: its scan is counted when it ends, by the server when the transaction does.
    scan = {"version": 4000, "upload": 1000}
    steps = [
        step(0, 2, ServerReads(blocks=0, operations=0, operation_blocks=0), **scan),
        step(2, 2, ServerReads(blocks=5000, operations=350, operation_blocks=5000), version=0),
    ]
    found = simulate(steps, CreditBucket(volume_of("gp2:500")))
    assert [moment.operations for moment in found.steps] == [
        {"version": 0, "upload": 0, "unattributed": 0},
        {"version": 280, "upload": 70, "unattributed": 0},
    ]
    assert found.provenance is Provenance.PG_STAT_IO
    assert {part.name: part.per_s for part in found.parts} == pytest.approx(
        {"version": 70, "upload": 17.5, "unattributed": 0}
    )


def test_what_is_counted_as_blocks_alone_takes_as_many_operations_as_elsewhere() -> None:
    busy = ServerReads(blocks=1000, operations=100, operation_blocks=1000)
    vacuumed = ServerReads(blocks=500, autovacuum_blocks=500, operations=0, operation_blocks=0)
    steps = [step(0, 10, busy, version=1000), step(10, 10, vacuumed)]
    found = simulate(steps, CreditBucket(volume_of("gp2:500")))
    assert found.steps[1].operations == {"version": 0, "autovacuum": 50, "unattributed": 0}


def test_a_live_gauge_goes_by_what_the_server_counted_of_operations() -> None:
    def tick(seconds: float, read: int, clients: tuple[int, int], vacuumed: int) -> Snapshot:
        io = [
            {"backend_type": kind, "object": "relation", "context": "normal",
             "reads": operations, "read_bytes": blocks * 8192}
            for kind, operations, blocks in (
                ("client backend", *clients), ("autovacuum worker", vacuumed, vacuumed),
            )
        ]  # fmt: skip
        statements = [{"queryid": 1, "shared_blks_read": read}]
        return reading(seconds, statements, databases=[{"datid": 5}], io=io)

    ticks = [
        tick(0, 0, (0, 0), 0),
        tick(10, 5000, (0, 0), 0),  # a scan ends, in a transaction that goes on
        tick(20, 5000, (350, 5000), 0),  # and that ends
        tick(30, 5000, (350, 5000), 1000),
    ]
    demand = Demand(writes=10)
    found = [demand.of(diff(older, newer)) for older, newer in pairwise(ticks)]
    assert found == [
        (Load(10, 100, 0), Provenance.PG_STAT_IO),
        (Load(10, 450, 5000 * 8192), Provenance.PG_STAT_IO),
        (Load(10, 170, 1000 * 8192), Provenance.PG_STAT_IO),
    ]


# the command


def burst(*arguments: str) -> tuple[int, str, str]:
    """Run the command on the sample history."""
    ended = pgiostat("burst", *arguments, "--history", str(SAMPLE), COLUMNS="80")
    return ended.returncode, ended.stdout, ended.stderr


def test_forms_say_the_same() -> None:
    status, out, _ = burst("--volume", "gp2:500", "--format", "json")
    told = json.loads(out)
    assert status == 0
    assert told["provenance"] == "pg_stat_io"
    assert (told["balance"], told["lowest"], told["forecast"]["to_go"]) == (
        0,
        0,
        ["manifest", "version"],
    )
    _, out, _ = burst("--volume", "gp2:500", "--format", "csv")
    rows = list(csv.DictReader(StringIO(out)))
    whole = [row for row in rows if not row["part"]]
    assert float(whole[-1]["balance"]) == 0
    assert float(whole[0]["balance"]) == round(1 - 1500 * float(whole[0]["seconds"]) / 5_400_000, 6)
    parts: dict[str, float] = {}
    for row in rows:
        parts[row["part"]] = parts.get(row["part"], 0) + float(row["operations"] or 0)
    assert parts.pop("") == pytest.approx(sum(parts.values()))
    _, out, _ = burst("--volume", "gp2:500", "--format", "markdown")
    assert "| version | 65.8 % | 13,537 |" in out  # as report has it


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (
            ["--volume", "gp9:1"],
            'there is no volume type "gp9"',
            f"Volume types: {', '.join(KINDS)}.",
        ),
        (["--volume", "gp2:x"], 'invalid volume: "gp2:x"', "Write it like gp2:GIB."),
        (["--volume", "gp2"], 'invalid volume: "gp2"', "Write it like gp2:GIB."),
        (["--volume", "io1:50"], 'invalid volume: "io1:50"', "Write it like io1:GIB:IOPS."),
        (["--volume", "gp3:50:0"], 'invalid volume: "gp3:50:0"',
         "Write it like gp3:GIB[:IOPS[:MIB_PER_S]]."),
        (["--volume", "st1:8"], "a st1 volume has 125 to 16,384 GiB, not 8", None),
        (["--volume", "gp2:8", "--balance", "101"], "invalid value for --balance: 101",
         "It must be from 0 to 100."),
        (["--volume", "gp2:8", "--writes", "-1"], "invalid value for --writes: -1",
         "It must be at least 0."),
        (["--volume", "gp2:8", "--instance", "m5.small"],
         'unknown instance type: "m5.small"',
         f"Did you mean m5.metal, m5.large, m5.xlarge? Specify its limits as {LIMITS}."),
        (["--volume", "gp2:8", "--instance", "3600:x"],
         'invalid limits of an instance: "3600:x"', f"Write them like {LIMITS}."),
        (["--volume", "gp2:8", "--instance", "3600:80:6000"],
         'invalid limits of an instance: "3600:80:6000"', f"Write them like {LIMITS}."),
        (["--volume", "gp2:8", "--instance", "3600:80:3000:90"],
         'invalid limits of an instance: "3600:80:3000:90"',
         "The burst is below the baseline."),
    ],
)  # fmt: skip
def test_wrong_input_is_told_in_our_manner(
    arguments: list[str], message: str, hint: str | None
) -> None:
    status, out, err = burst(*arguments)
    said = [f"pgiostat: error: {message}", *([] if hint is None else [f"HINT:  {hint}"])]
    assert (status, out, err.splitlines()) == (2, "", said)


def test_a_volume_that_is_no_number_raises() -> None:
    for text in ("gp2:nan", "gp2:inf", "gp3:100:inf", "gp2:-5", "gp2:5:5"):
        with pytest.raises(PgiostatError):
            volume_of(text)


def test_what_the_device_did_goes_before_estimates_and_a_told_balance_is_held_against_it() -> None:
    steps = [
        usual(0, 60, 0.5, version=100_000, upload=19_990),
        usual(60, 60, 0.5, version=100_000, upload=19_990),
    ]
    devices = [
        DeviceInterval(
            at(0), 60.0, Origin.CLOUDWATCH, "db-1", reads=60_000, writes=60_000,
            read_bytes=60_000 * 8192, write_bytes=0, burst_balance=99.0,
        ),
        # Half of the second minute only: the rest of it is estimated.
        DeviceInterval(at(60), 30.0, Origin.CLOUDWATCH, "db-1", reads=9, writes=9),
    ]  # fmt: skip
    found = simulate(steps, CreditBucket(volume_of("gp2:500")), 0.0, devices)
    # Reads for each that the server counted: in 60 s of the first minute, and half of the second.
    each = 60_009 / (60_000 * 1.5)
    reads, writes = 9 + each * 30_000, 9 + 60_009 / 90 * 30
    assert [m.balance.rate for m in found.steps] == pytest.approx([2000, (reads + writes) / 60])
    assert [m.provenance for m in found.steps] == ["cloudwatch", "estimated"]
    assert found.sources == {Provenance.CLOUDWATCH: 60, Provenance.ESTIMATED: 60}
    assert found.steps[0].operations == {
        "version": pytest.approx(60_000 * 100_000 / 120_000),
        "upload": pytest.approx(60_000 * 19_990 / 120_000),
        "autovacuum": pytest.approx(60_000 * 10 / 120_000), "unattributed": 0.0, "writes": 60_000,
    }  # fmt: skip
    # CloudWatch's balance is that of the middle of its minute.
    model = 1 - 500 * 30 / 5_400_000
    [told] = found.balance_checks
    assert told == pytest.approx((0.99, model))
    assert found.error == pytest.approx(model - 0.99)
    one = simulate(steps[:1], CreditBucket(volume_of("gp2:500")), 0.0, devices)
    assert one.provenance is Provenance.CLOUDWATCH
    assert simulate(steps, CreditBucket(volume_of("gp2:1000")), 0.0, devices).error is None


# what a device did


@given(
    st.floats(0, 10),
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 5000)), min_size=8, max_size=30),
    st.sampled_from([2.0, 3.0, 7.0, 10.0, 60.0]),
)
def test_what_a_device_did_is_spread_over_steps_whatever_the_clock(
    phase: float, amounts: list[tuple[int, int]], length: float
) -> None:
    devices = [
        DeviceInterval(at(phase + 10 * number), 10.0, Origin.DISKSTATS, "sda", reads, None, writes)
        for number, (reads, writes) in enumerate(amounts)
    ]
    count = int((phase + 10 * len(amounts)) // length) + 1
    times = [(at(length * number), at(length * (number + 1))) for number in range(count)]
    found = [each for each in align(devices, times) if each is not None]
    told = [sum(each) for each in zip(*((one.reads, one.writes) for one in found), strict=True)]
    assert told == pytest.approx([sum(each) for each in zip(*amounts, strict=True)])
    assert sum(each.seconds for each in found) == pytest.approx(10 * len(amounts))


@pytest.mark.parametrize("phase", [0.1, 1.9, 2.1, 5, 9])
def test_each_step_has_what_the_device_did_in_it(phase: float) -> None:
    steps = [usual(phase + 10 * number, 10, 1.0, version=99_990) for number in range(6)]
    devices = [
        DeviceInterval(at(phase + 0.02 + 10 * n), 10.0, Origin.DISKSTATS, "sda", 600, 0, 400, 0)
        for n in range(6)
    ]
    found = simulate(steps, CreditBucket(volume_of("gp2:1")), 0.0, devices)
    assert [moment.provenance for moment in found.steps] == ["diskstats"] * 6
    rates = [moment.balance.rate for moment in found.steps]
    assert rates == pytest.approx([100] * 6)
    assert found.over == 0


def test_in_a_gap_that_the_device_was_watched_in_nothing_is_unknown() -> None:
    steps = [usual(0, 60, 1.0, version=990), usual(180, 60, 1.0, version=990)]
    devices = [
        DeviceInterval(at(60 * n), 60.0, Origin.CLOUDWATCH, "db-1", 30_000, 0, 6000, 0)
        for n in range(4)
    ]
    found = simulate(steps, CreditBucket(volume_of("gp2:100")), 0.0, devices)
    assert [(m.seconds, m.balance.rate, m.provenance) for m in found.steps] == [
        (60, 600, "cloudwatch"), (120, 600, "cloudwatch"), (60, 600, "cloudwatch"),
    ]  # fmt: skip
    assert found.steps[1].operations == {"unattributed": 60_000, "writes": 12_000}
    assert found.bucket.low == found.bucket.high == pytest.approx(1 - 300 * 240 / 5_400_000)


def test_what_cloudwatch_has_not_told_yet_is_filled_and_forecasts_go_by_what_it_told() -> None:
    # As many blocks as a scan reads of the system's cache, and 500 + 100 operations of the volume.
    steps = [usual(60 * n, 60, None, version=300_000 + n * 60_000 - 10) for n in range(7)]
    devices = [
        DeviceInterval(
            at(60 * n), 60.0, Origin.CLOUDWATCH, "db-1", 30_000, 30_000 * 8192, 6000, 6000 * 8192,
            burst_balance=80 - 0.333 * n,
        )
        for n in range(4)
    ]  # fmt: skip
    found = simulate(steps, CreditBucket(volume_of("gp2:100"), 0.8, 0.8), 0.0, devices)
    assert [m.provenance for m in found.steps] == ["cloudwatch"] * 4 + ["estimated"] * 3
    each = 120_000 / sum(step.reads.blocks or 0 for step in steps[:4])
    filled = [(step.reads.blocks or 0) * each + 6000 for step in steps[4:]]
    assert [sum(m.operations.values()) for m in found.steps] == pytest.approx([36_000] * 4 + filled)
    forecast = found.forecast
    assert (forecast.rate, forecast.seconds, forecast.is_behind) == (600, 60, True)
    assert forecast.to_empty == pytest.approx(found.bucket.low * 5_400_000 / 300)
    assert {part.name: part.recent_per_s for part in found.parts}["writes"] == 100
    # The steps that are estimated judge no volume.
    assert found.over == 0


def test_the_screen_says_which_part_of_the_time_was_told() -> None:
    steps = [usual(60 * n, 60, None, version=300_000) for n in range(4)]
    devices = [
        DeviceInterval(
            at(60 * n), 60.0, Origin.CLOUDWATCH, "db-1", 30_000, 0, 6000, 0, burst_balance=75.0
        )
        for n in range(3)
    ]  # fmt: skip
    found = simulate(steps, CreditBucket(volume_of("gp2:100"), 0.8, 0.8), 0.0, devices)
    seen = WindowTotals(Window(at(0), at(240)), (), {}, IntervalStats())
    page, out = StringIO(), StringIO()
    render(document(seen, found), "markdown", page)
    lines = page.getvalue().splitlines()
    assert lines[0] == "****, 2026-11-23 10:00:00Z – 2026-11-23 10:04:00Z."
    assert lines[3:8] == [
        f"- I/O operations: {MEANINGS[Provenance.CLOUDWATCH]}, divided in proportion to blocks",
        f"- for 1 min of 4 min: {MEANINGS[Provenance.ESTIMATED]}",
        "- burst balance: 78.7 % at the end, lowest 78.7 % at 10:04:00Z",
        ("- 600 IOPS in the last 1 min measured by the device: the bucket is empty in 3 h 56 min"),
        "- 300 IOPS above the baseline: removing version would stop the drain",
    ]
    assert lines[8] == (
        "- the model differs from CloudWatch's BurstBalance by 4.50 % on average, and by 4.17 % at"
        " its last value"
    )
    render(document(seen, found), "csv", out)
    whole = [row for row in csv.DictReader(StringIO(out.getvalue())) if not row["part"]]
    assert [row["provenance"] for row in whole] == ["cloudwatch"] * 3 + ["estimated"]


def test_steps_do_not_overlap_and_bear_the_times_of_their_readings() -> None:
    _, out, _ = burst("--volume", "gp2:500", "--format", "csv")
    whole = [row for row in csv.DictReader(StringIO(out)) if not row["part"]]
    assert whole[0]["interval_start"] == "2026-11-23T18:18:35.451713Z"
    ends = [row["interval_end"] for row in whole]
    assert [row["interval_start"] for row in whole[1:]] == ends[:-1]
    assert ends[-1] == "2026-11-23T19:18:35.595935Z"
