"""The report of a volume's burst balance over a time window."""

from collections.abc import Iterator
from datetime import UTC
from typing import Any

from pgiostat.history.read.window_totals import WindowTotals
from pgiostat.render.balance import left
from pgiostat.render.csv import WINDOW, timestamp
from pgiostat.render.document import Document, Records, Table, TableColumn
from pgiostat.render.preset import preset_lines, preset_object
from pgiostat.render.report import labels, remarks, title
from pgiostat.render.table import bar
from pgiostat.units import format_bytes, format_count, format_duration, format_share
from pgiostat.volume.burst import BurstReport, Forecast
from pgiostat.volume.demand import MEANINGS
from pgiostat.volume.models import Volume

__all__ = ["HEADER", "document", "records"]

NAME_WIDTH = 24
_RATES = ("operations", "operations_per_s", "demand_per_s", "over_per_s", "balance", "balance_high")
HEADER = (*WINDOW, "volume", "provenance", "part", *_RATES)


def _volume(volume: Volume) -> str:
    sustained = f"{volume.name}: {format_count(volume.sustained)} {volume.unit}/s for ever"
    if volume.credits is None:
        return f"{sustained}, no bucket"
    limit, total = format_count(volume.ceiling), format_count(volume.credits)
    return f"{sustained}, {limit} while a bucket of {total} lasts"


def _instance(volume: Volume) -> str:
    """Return the limits of an instance, sustained and in a burst; empty if they do not matter."""
    limits = []
    baseline, throughput = volume.instance_baseline, volume.instance_baseline_throughput
    if baseline is not None:
        seconds = format_duration(volume.instance_burst / (volume.ceiling - baseline))
        ceiling = format_count(volume.ceiling)
        sustained = f"{format_count(baseline)} {volume.unit}/s"
        limits.append(f"{sustained} for ever and {ceiling} for {seconds}")
    if throughput is not None:
        burst = volume.instance_burst_throughput / (volume.throughput - throughput)
        limit = f"{format_bytes(volume.throughput)}/s for {format_duration(burst)}"
        limits.append(f"{format_bytes(throughput)}/s for ever and {limit}")
    return f"its instance lets through {'; '.join(limits)}, once it has rested" if limits else ""


def _about(report: BurstReport) -> Iterator[str]:
    """Yield the model of the volume, and the source of its operations in each part of the time."""
    yield _volume(report.volume)
    if instance := _instance(report.volume):
        yield instance
    first, *others = report.sources
    yield f"operations: {MEANINGS[first]}"
    whole = format_duration(sum(report.sources.values()))
    for other in others:
        yield f"in {format_duration(report.sources[other])} of {whole}: {MEANINGS[other]}"


def _sentences(report: BurstReport) -> Iterator[str]:
    """Yield the state of the volume and the forecast."""
    volume, forecast = report.volume, report.forecast
    if volume.credits is not None:
        last, lowest = report.steps[-1].balance, report.lowest
        when = f"{lowest.until.astimezone(UTC):%H:%M:%S} UTC"
        yield (
            f"balance {left(last.low, last.high)} at the end,"
            f" lowest {format_share(lowest.balance.low)} at {when}"
        )
    yield _going(report, forecast)
    if forecast.burst_ends_in is not None:
        seconds, baseline = forecast.burst_ends_in
        rate = f"{format_count(baseline)} {volume.unit}/s"
        if seconds:
            ends = f"ends in {format_duration(seconds)}, what lasts are {rate}"
        else:
            ends = f"has ended: it lets through {rate}"
        yield f"the burst of its instance {ends}"
    if forecast.excess > 0:
        yield _excess(report)
    if report.error is not None:
        measured, model = report.balance_checks[-1]
        yield (
            f"the model is off CloudWatch's BurstBalance by {format_share(report.error)} on"
            f" average, by {format_share(abs(measured - model))} where it was told last"
        )
    if report.over:
        above = f"up to {format_count(report.over)} {volume.unit}/s more than the volume can give"
        cached = "counted: the system's cache answered these, or it is another volume"
        yield f"{above} were {'measured: it is another volume' if report.is_measured else cached}"


def _excess(report: BurstReport) -> str:
    """Return which parts to drop to stay at the baseline."""
    volume, forecast = report.volume, report.forecast
    excess = f"{format_count(forecast.excess)} {volume.unit}/s above the baseline"
    if forecast.must_drop is None:
        return f"{excess}: no part alone, nor all together, make that up"
    *others, last = forecast.must_drop
    names = f"{', '.join(others)} and {last}" if others else last
    end = "to stop the fall" if volume.credits is not None else "to stay below it"
    return f"{excess}: {names} must go {end}"


def _going(report: BurstReport, forecast: Forecast) -> str:
    recent = f"the last {format_duration(forecast.seconds)}"
    recent += " that the device told" if forecast.is_behind else ""
    rate = f"{format_count(forecast.rate)} {report.volume.unit}/s in {recent}"
    if report.volume.credits is None:
        return f"{rate}: {format_share(forecast.use)} of what the volume gives"
    if forecast.to_empty is not None:
        if not forecast.to_empty:
            return f"{rate}: the bucket is empty, the volume is held to its baseline"
        return f"{rate}: empty in {format_duration(forecast.to_empty)}"
    if forecast.to_refill:
        return f"{rate}: full again in {format_duration(forecast.to_refill)}"
    return f"{rate}: below the baseline"


def document(totals: WindowTotals, report: BurstReport) -> Document:
    """Return the report of a volume: its balance, the forecast, and which categories used it.

    Args:
        totals: The window, and how well it was sampled.
        report: The replay of the window against a model of the volume.
    """
    facts = list(_about(report))
    has_bucket = report.volume.credits is not None
    return Document(
        subject=labels(totals),
        summary=facts[0],
        head=[title(totals)],
        facts=[*facts, *preset_lines(report.preset)],
        warnings=list(remarks(totals)),
        findings=list(_sentences(report)),
        curve=[step.balance.low for step in report.steps] if has_bucket else (),
        trimmed=True,
        tables=[_parts(report)],
        records=Records(HEADER, records(totals, report)),
        objects=_objects(totals, report),
    )


def _parts(report: BurstReport) -> Table:
    """Return a row for each part; a screen leaves out those that used nothing."""
    columns = [
        TableColumn("who", most=NAME_WIDTH, rest=True),
        TableColumn("share", right=True, format=format_share),
        TableColumn("", format=bar, style="cyan", extra=True),
        TableColumn("ops/s", right=True, format=format_count),
        TableColumn("lately", right=True, format=format_count),
        TableColumn("burned", right=True, format=format_share),
    ]
    total = report.volume.credits
    shares = [None if total is None else part.burned / total for part in report.parts]
    rows = [
        [part.name, part.share, part.share, part.per_s, part.recent_per_s, burned]
        for part, burned in zip(report.parts, shares, strict=True)
    ]
    used = (row for row, part in zip(rows, report.parts, strict=True) if part.share > 0)
    return Table(columns, rows, fit=lambda _: Table(columns, used))


def _objects(totals: WindowTotals, report: BurstReport) -> Iterator[dict[str, Any]]:
    volume, forecast = report.volume, report.forecast
    last = report.steps[-1].balance
    yield {
        "server": labels(totals),
        "interval_start": timestamp(totals.window.since),
        "interval_end": timestamp(totals.window.until),
        "volume": {
            "name": volume.name,
            "unit": volume.unit,
            "baseline_per_s": volume.baseline,
            "ceiling_per_s": volume.ceiling,
            "credits": volume.credits,
            "lasting_per_s": volume.instance_baseline,
            "throughput_bytes_per_s": volume.throughput,
            "lasting_throughput_bytes_per_s": volume.instance_baseline_throughput,
        },
        "preset": preset_object(report.preset),
        "provenance": str(report.provenance),
        "seconds_by_provenance": {str(each): n for each, n in report.sources.items()},
        "balance": last.low,
        "balance_high": last.high,
        "lowest": report.lowest.balance.low,
        "cloudwatch_balance": report.balance_checks[-1][0] if report.balance_checks else None,
        "model_error": report.error,
        "forecast": {
            "seconds": forecast.seconds,
            "demand_per_s": forecast.rate,
            "to_empty_s": forecast.to_empty,
            "to_refill_s": forecast.to_refill,
            "to_tire_s": None if forecast.burst_ends_in is None else forecast.burst_ends_in[0],
            "excess_per_s": forecast.excess,
            "to_go": None if forecast.must_drop is None else list(forecast.must_drop),
        },
        "parts": [
            {
                "part": part.name,
                "share": part.share,
                "operations_per_s": part.per_s,
                "recent_operations_per_s": part.recent_per_s,
                "burned": part.burned,
            }
            for part in report.parts
        ],
        "remarks": list(remarks(totals)),
    }


def records(totals: WindowTotals, report: BurstReport) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of steps and parts, in the order of HEADER; None is unknown."""
    for step in report.steps:
        balance, seconds = step.balance, step.seconds
        window = (timestamp(step.since), timestamp(step.until), seconds, labels(totals))
        same = (*window, report.volume.name, step.provenance and str(step.provenance))
        whole = sum(step.operations.values()) if step.operations else None
        each = None if whole is None or not seconds else whole / seconds
        yield (*same, "", whole, each, balance.rate, balance.over, balance.low, balance.high)
        for name, operations in step.operations.items():
            rate = operations / seconds if seconds else None
            yield (*same, name, operations, rate, None, None, None, None)
