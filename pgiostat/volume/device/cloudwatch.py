"""CloudWatch's metrics of an RDS instance's volume, by the minute, some minutes late.

The metrics: "Amazon CloudWatch metrics for Amazon RDS" and "… for Amazon Aurora" of Amazon's
documentation.  Credentials use boto3's default chain.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pgiostat.errors import PgiostatError
from pgiostat.extras import install_hint
from pgiostat.volume.device.interval import DeviceInterval, Origin
from pgiostat.volume.device.rds import RdsPlace

__all__ = ["CloudWatch", "CloudWatchMetric", "MetricSeries", "complete", "series_of"]

POLL_SECONDS = 300.0
"""AWS charges for each metric of a request, however many minutes the answer has."""
FIRST_LOOK = timedelta(hours=3)
"""A collector that was stopped for less has no gap."""
LOOK_BACK = timedelta(minutes=30)
PATIENCE = timedelta(minutes=10)
"""Age at which a minute is complete, even if it lacks a metric that other minutes have."""
CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 5, 10, 2
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_FAILED = frozenset({"InternalError", "Forbidden"})

Point = tuple[str, datetime]


@dataclass(frozen=True, slots=True)
class CloudWatchMetric:
    """A metric of AWS/RDS and its name here; rate: its values are means per second."""

    metric: str
    name: str
    rate: bool = False


_OF_INSTANCE = (
    CloudWatchMetric("ReadIOPS", "reads", rate=True),
    CloudWatchMetric("ReadThroughput", "read_bytes", rate=True),
    CloudWatchMetric("WriteIOPS", "writes", rate=True),
    CloudWatchMetric("WriteThroughput", "write_bytes", rate=True),
    CloudWatchMetric("BurstBalance", "burst_balance"),
    CloudWatchMetric("EBSIOBalance%", "io_balance"),
    CloudWatchMetric("EBSByteBalance%", "byte_balance"),
)
_OF_VOLUME = (CloudWatchMetric("VolumeReadIOPs", "reads"),)
"""Operations of all instances of a cluster in five minutes, as they are billed."""
_MINUTE, _FIVE_MINUTES = timedelta(minutes=1), timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class MetricSeries:
    """Metrics of one instance or volume; name: of it.  period: of a point."""

    name: str
    dimensions: tuple[tuple[str, str], ...]
    metrics: tuple[CloudWatchMetric, ...]
    period: timedelta = _MINUTE


def series_of(place: RdsPlace) -> list[MetricSeries]:
    """Return the series of an instance, or of a cluster's volume and its writer."""
    if place.instance:
        return [
            MetricSeries(place.instance, (("DBInstanceIdentifier", place.instance),), _OF_INSTANCE)
        ]
    cluster = (("DBClusterIdentifier", place.cluster),)
    volume = MetricSeries(f"{place.cluster} volume", cluster, _OF_VOLUME, _FIVE_MINUTES)
    if not place.writer:
        return [volume]
    writer = MetricSeries(f"{place.cluster} writer", (*cluster, ("Role", "WRITER")), _OF_INSTANCE)
    return [writer, volume]


def complete(
    series: MetricSeries, points: Mapping[str, Mapping[datetime, float]], now: datetime
) -> Iterator[DeviceInterval]:
    """Yield the intervals that have all their metrics, or are too old to get another one.

    Args:
        points: Values of each metric by the start of their period. A metric without any value is
            one that this volume does not have.
    """
    published = [metric for metric in series.metrics if points.get(metric.metric)]
    for begin in sorted({begin for metric in published for begin in points[metric.metric]}):
        end = begin + series.period
        known = [metric for metric in published if begin in points[metric.metric]]
        if end > now or (len(known) < len(published) and now < end + PATIENCE):
            continue
        seconds = series.period.total_seconds()
        amounts: dict[str, Any] = {
            metric.name: _amount(metric, points[metric.metric][begin], seconds) for metric in known
        }
        yield DeviceInterval(begin, seconds, Origin.CLOUDWATCH, series.name, **amounts)


def _amount(metric: CloudWatchMetric, value: float, seconds: float) -> float | int:
    """Return the total of a period; a balance as it is."""
    if metric.name.endswith("_balance"):
        return value
    return round(value * seconds) if metric.rate else round(value)


@dataclass(slots=True)
class CloudWatch:
    """The device source of one instance or cluster."""

    place: RdsPlace
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    every: float | None = POLL_SECONDS
    _taken: set[Point] = field(default_factory=set)
    _client: Any = None
    _polled_at: datetime | None = None

    def __post_init__(self) -> None:
        """Make the client.

        Raises:
            PgiostatError: aws-missing if boto3 is not installed.
        """
        self._client = _client(self.place.region)

    @property
    def description(self) -> str:
        """The instance, and the source."""
        return f"{self.place}, by CloudWatch"

    def poll(self) -> list[DeviceInterval]:
        """Return the intervals that became complete since the last poll, each once.

        Raises:
            PgiostatError: cloudwatch-denied, cloudwatch-failed.
        """
        now = self.now()
        back = FIRST_LOOK
        if self._polled_at is not None:
            back = min(FIRST_LOOK, now - self._polled_at + LOOK_BACK)
        listed = series_of(self.place)
        answers = self._query(listed, _floor(now - back), now)
        found = [
            each
            for series, points in zip(listed, answers, strict=True)
            for each in complete(series, points, now)
            if (each.name, each.begin) not in self._taken
        ]
        self._polled_at = now
        oldest = now - 2 * FIRST_LOOK
        self._taken = {point for point in self._taken if point[1] >= oldest}
        self._taken.update((each.name, each.begin) for each in found)
        return found

    def _query(
        self, listed: Sequence[MetricSeries], since: datetime, until: datetime
    ) -> list[dict[str, dict[datetime, float]]]:
        """Return the points of each series by metric."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - an extra

        answers: list[dict[str, dict[datetime, float]]] = [{} for _ in listed]
        requested = {
            f"m{number}_{place}": (number, metric)
            for number, series in enumerate(listed)
            for place, metric in enumerate(series.metrics)
        }
        queries = [_query(key, listed[n], metric) for key, (n, metric) in requested.items()]
        try:
            pages = self._client.get_paginator("get_metric_data").paginate(
                MetricDataQueries=queries,
                StartTime=since,
                EndTime=until,
                ScanBy="TimestampAscending",
            )
            for page in pages:
                for result in page["MetricDataResults"]:
                    _check_status(result)
                    number, metric = requested[result["Id"]]
                    points = answers[number].setdefault(metric.metric, {})
                    times = (time.astimezone(UTC) for time in result["Timestamps"])
                    points.update(zip(times, result["Values"], strict=True))
        except ClientError as error:
            raise _api_error(error.response.get("Error", {})) from None
        except BotoCoreError as error:
            raise _failed(str(error)) from None
        return answers


def _client(region: str) -> Any:
    try:
        from boto3.session import Session  # noqa: PLC0415 - an extra, and slow to import
        from botocore.config import Config  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415
    except ImportError:
        raise PgiostatError(
            "CloudWatch cannot be queried: boto3 is not installed",
            hint=install_hint("aws"),
            slug="aws-missing",
        ) from None
    patience = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    )
    try:
        return Session().client("cloudwatch", region_name=region, config=patience)
    except BotoCoreError as error:
        raise _failed(str(error)) from None


def _query(key: str, series: MetricSeries, metric: CloudWatchMetric) -> dict[str, Any]:
    dimensions = [{"Name": name, "Value": value} for name, value in series.dimensions]
    return {
        "Id": key,
        "MetricStat": {
            "Metric": {
                "Namespace": "AWS/RDS",
                "MetricName": metric.metric,
                "Dimensions": dimensions,
            },
            "Period": round(series.period.total_seconds()),
            "Stat": "Average",
        },
    }


def _floor(when: datetime) -> datetime:
    """Return the start of an instant's five minutes, to which CloudWatch aligns its points."""
    return when.replace(minute=when.minute // 5 * 5, second=0, microsecond=0)


def _check_status(result: Mapping[str, Any]) -> None:
    status = result.get("StatusCode", "Complete")
    if status in _FAILED:
        words = "; ".join(message.get("Value", "") for message in result.get("Messages") or [])
        code = "AccessDenied" if status == "Forbidden" else status
        raise _api_error({"Code": code, "Message": words})


def _api_error(error: Mapping[str, str]) -> PgiostatError:
    """Return the error that CloudWatch answered with."""
    code, words = error.get("Code", "unknown error"), error.get("Message", "")
    if code in _DENIED:
        return PgiostatError(
            "CloudWatch refuses: cloudwatch:GetMetricData is not allowed",
            detail=words or None,
            hint="Allow it for the role or user of the credentials that boto3 finds.",
            slug="cloudwatch-denied",
        )
    return _failed(f"{code}: {words}" if words else code)


def _failed(detail: str) -> PgiostatError:
    return PgiostatError("CloudWatch cannot be queried", detail=detail, slug="cloudwatch-failed")
