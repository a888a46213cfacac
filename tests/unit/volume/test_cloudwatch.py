"""CloudWatch, asked over HTTP: late points, missing metrics, and all that it may refuse."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from pgiostat.errors import PgiostatError
from pgiostat.extras import install_hint
from pgiostat.volume.device import cloudwatch
from pgiostat.volume.device.cloudwatch import CloudWatch, CloudWatchMetric, MetricSeries, complete
from pgiostat.volume.device.interval import DeviceInterval, Origin
from pgiostat.volume.device.rds import RdsPlace
from tests.support.clouds import REGION, Cloud, cloud
from tests.support.readings import at

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
"""Nobody tells CloudWatch of other times than these."""


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


@pytest.fixture
def there() -> Iterator[Cloud]:
    with cloud() as made:
        yield made


class Asked:
    """CloudWatch at a time that is set."""

    def __init__(self, place: RdsPlace = RdsPlace(REGION, "db-1")) -> None:  # noqa: B008 - frozen
        self.later = 0.0
        self.source = CloudWatch(place, lambda: ago(-self.later))

    def told(self, name: str = "reads") -> list[tuple[float, object]]:
        """Return what is new: how many minutes ago it began, and how much it was."""
        return [
            ((NOW - each.begin).total_seconds() / 60, getattr(each, name))
            for each in self.source.poll()
        ]


def test_a_minute_is_told_in_operations_bytes_and_shares(there: Cloud) -> None:
    for metric, value in {
        "ReadIOPS": 123.45, "ReadThroughput": 1_000_000.5, "WriteIOPS": 2.0,
        "WriteThroughput": 0.0, "BurstBalance": 99.87, "EBSIOBalance%": 50.0,
        "EBSByteBalance%": 12.5,
    }.items():  # fmt: skip
        there.tell(metric, {ago(3): value})
    assert Asked().source.poll() == [
        DeviceInterval(
            begin=ago(3), seconds=60.0, source=Origin.CLOUDWATCH, name="db-1", reads=7407,
            read_bytes=60_000_030, writes=120, write_bytes=0, read_time=None, burst_balance=99.87,
            io_balance=50.0, byte_balance=12.5,
        )
    ]  # fmt: skip


def test_a_minute_is_taken_once_and_a_late_one_when_it_comes(there: Cloud) -> None:
    asked = Asked()
    assert asked.told() == []
    there.tell("ReadIOPS", {ago(4): 1.0, ago(2): 2.0})
    assert asked.told() == [(4, 60), (2, 120)]
    asked.later = 5
    there.tell("ReadIOPS", {ago(3): 3.0, ago(-4): 4.0, ago(-5): 5.0})
    assert asked.told() == [(3, 180), (-4, 240)]  # the last one is not over
    assert asked.told() == []


def test_a_minute_waits_for_all_its_metrics_but_not_for_ever(there: Cloud) -> None:
    asked = Asked()
    there.tell("ReadIOPS", {ago(n): 1.0 for n in (3, 2, 1)})
    there.tell("BurstBalance", {ago(3): 90.0})
    assert asked.told("burst_balance") == [(3, 90.0)]
    there.tell("BurstBalance", {ago(1): 80.0})
    assert asked.told("burst_balance") == [(1, 80.0)]
    asked.later = 9
    assert asked.told() == [(2, 60)]
    assert asked.told() == []


def test_an_answer_in_pages_is_read_to_its_end(there: Cloud) -> None:
    there.paged = True
    there.tell("ReadIOPS", {ago(n): float(n) for n in range(5, 1, -1)})
    assert Asked().told() == [(5, 300), (4, 240), (3, 180), (2, 120)]
    assert there.asked == 2


def test_a_collector_that_was_stopped_asks_for_hours(there: Cloud) -> None:
    there.tell("ReadIOPS", {ago(150): 1.0, ago(200): 1.0})
    assert Asked().told() == [(150, 60)]


def test_after_a_failure_all_that_was_missed_is_asked_for(there: Cloud) -> None:
    asked = Asked()
    assert asked.told() == []
    there.refusals = [(400, "Throttling")] * 2
    asked.later = 40
    with pytest.raises(PgiostatError):
        asked.told()
    asked.later = 80
    there.tell("ReadIOPS", {ago(-2): 1.0, ago(20): 1.0, ago(40): 1.0})
    assert asked.told() == [(20, 60), (-2, 60)]


@pytest.mark.parametrize(
    ("status", "code", "slug", "detail"),
    [
        (400, "Throttling", "cloudwatch-failed", "Throttling: Throttling it is"),
        (403, "AccessDenied", "cloudwatch-denied", "AccessDenied it is"),
        (403, "ExpiredToken", "cloudwatch-failed", "ExpiredToken: ExpiredToken it is"),
        (500, "InternalFailure", "cloudwatch-failed", "InternalFailure: InternalFailure it is"),
    ],
)
def test_what_it_refuses_is_said_in_its_words(
    there: Cloud, status: int, code: str, slug: str, detail: str
) -> None:
    there.refusals = [(status, code)] * 2
    with pytest.raises(PgiostatError) as raised:
        Asked().source.poll()
    assert (raised.value.slug, raised.value.detail) == (slug, detail)
    assert there.asked <= 2


def test_throttling_that_passes_is_not_noticed(there: Cloud) -> None:
    there.tell("ReadIOPS", {ago(2): 1.0})
    there.refusals = [(400, "Throttling")]
    assert Asked().told() == [(2, 60)]


def test_without_credentials_it_is_said(there: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(PgiostatError) as raised:
        Asked().source.poll()
    assert (raised.value.slug, raised.value.detail) == (
        "cloudwatch-failed",
        "Unable to locate credentials",
    )
    assert there.asked == 0


def test_nobody_who_answers_costs_seconds_at_most(
    there: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloudwatch, "READ_SECONDS", 0.2)
    there.heard.clear()
    with pytest.raises(PgiostatError) as raised:
        Asked().source.poll()
    assert raised.value.slug == "cloudwatch-failed"
    assert "Read timeout" in (raised.value.detail or "")


@pytest.mark.parametrize(
    ("status", "slug"),
    [("Forbidden", "cloudwatch-denied"), ("InternalError", "cloudwatch-failed")],
)
def test_a_refusal_within_an_answer_is_one_too(status: str, slug: str) -> None:
    result = {"StatusCode": status, "Messages": [{"Code": status, "Value": "not you"}]}
    with pytest.raises(PgiostatError) as raised:
        cloudwatch._check_status(result)
    assert raised.value.slug == slug
    assert (raised.value.detail or "").endswith("not you")
    cloudwatch._check_status({"StatusCode": "PartialData"})


def test_without_boto3_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3.session", None)
    with pytest.raises(PgiostatError) as raised:
        CloudWatch(RdsPlace(REGION, "db-1"))
    assert (raised.value.slug, raised.value.hint) == (
        "aws-missing",
        install_hint("aws"),
    )


def test_of_a_cluster_its_writer_and_its_volume_are_told(there: Cloud) -> None:
    cluster = ("DBClusterIdentifier", "app")
    five = NOW.replace(minute=NOW.minute // 5 * 5) - timedelta(minutes=10)
    there.tell("VolumeReadIOPs", {five: 13_686.0}, [cluster])
    there.tell("ReadIOPS", {ago(3): 2.0}, [cluster, ("Role", "WRITER")])
    found = Asked(RdsPlace(REGION, cluster="app", writer=True)).source.poll()
    assert found == [
        DeviceInterval(ago(3), 60.0, Origin.CLOUDWATCH, "app writer", 120),
        DeviceInterval(five, 300.0, Origin.CLOUDWATCH, "app volume", 13_686),
    ]
    readers = Asked(RdsPlace(REGION, cluster="app")).source
    assert [each.name for each in readers.poll()] == ["app volume"]
    assert readers.description == f"cluster app in {REGION}, by CloudWatch"


def test_what_is_not_told_is_unknown_and_not_zero() -> None:
    series = MetricSeries(
        "db-1",
        (),
        (CloudWatchMetric("A", "reads", rate=True), CloudWatchMetric("B", "burst_balance")),
    )
    assert list(complete(series, {}, at(0))) == []
    told = {"B": {at(0): 5.0}}
    assert list(complete(series, told, at(60))) == [
        DeviceInterval(at(0), 60.0, Origin.CLOUDWATCH, "db-1", burst_balance=5.0)
    ]
