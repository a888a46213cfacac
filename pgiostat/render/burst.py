"""The report of a volume's burst balance over a time window."""

from collections.abc import Iterator
from datetime import UTC
from typing import Any

from pgiostat.history.read.window_totals import WindowTotals
from pgiostat.render.balance import left, rate_text
from pgiostat.render.csv import WINDOW, timestamp
from pgiostat.render.document import Document, Records, Table, TableColumn
from pgiostat.render.ledger import displayed
from pgiostat.render.preset import preset_lines, preset_object
from pgiostat.render.report import labels, remarks, span, title
from pgiostat.render.table import bar
from pgiostat.units import format_bytes, format_count, format_duration, format_share
from pgiostat.volume.burst import BurstPart, BurstReport, Forecast
from pgiostat.volume.demand import DIVIDED, MEANINGS, MEANINGS_OF_DIVISION
from pgiostat.volume.models import Volume

__all__ = ["HEADER", "document", "records"]

NAME_WIDTH = 24
_RATES = ("operations", "operations_per_s", "demand_per_s", "over_per_s", "balance", "balance_high")
_DIVISION = ("divided_by", "operations_low", "operations_high")
HEADER = (*WINDOW, "volume", "provenance", "part", *_RATES, *_DIVISION)


def _volume(volume: Volume) -> str:
    """Return the baseline of a volume, and its burst."""
    if volume.credits is None:
        return f"{volume.name}: {rate_text(volume, volume.sustained)} sustained, no I/O credits"
    # An instance may sustain less than the baseline of its volume.
    word = "baseline" if volume.sustained == volume.baseline else "sustained"
    return (
        f"{volume.name}: {rate_text(volume, volume.sustained)} {word},"
        f" {rate_text(volume, volume.ceiling)} burst while I/O credits last"
        f" ({format_count(volume.credits)} in a full bucket)"
    )


def _instance(volume: Volume) -> str:
    """Return the limits of an instance, sustained and in a burst; empty if they do not matter."""
    limits = []
    baseline, throughput = volume.instance_baseline, volume.instance_baseline_throughput
    if baseline is not None:
        seconds = format_duration(volume.instance_burst / (volume.ceiling - baseline))
        sustained, burst = rate_text(volume, baseline), rate_text(volume, volume.ceiling)
        limits.append(f"{sustained} sustained, {burst} burst ({seconds} from full)")
    if throughput is not None:
        seconds = format_duration(
            volume.instance_burst_throughput / (volume.throughput - throughput)
        )
        sustained, burst = f"{format_bytes(throughput)}/s", f"{format_bytes(volume.throughput)}/s"
        limits.append(f"{sustained} sustained, {burst} burst ({seconds} from full)")
    return f"instance limit: {'; '.join(limits)}" if limits else ""


def _about(report: BurstReport) -> Iterator[str]:
    """Yield the model of the volume, and the source of its operations in each part of the time."""
    yield _volume(report.volume)
    if instance := _instance(report.volume):
        yield instance
    first, *others = report.sources
    divided = [MEANINGS_OF_DIVISION[each] for each in report.divisions]
    meaning = [MEANINGS[first], *(divided[:1] if first in DIVIDED else [])]
    yield f"I/O operations: {', '.join(meaning)}"
    whole = format_duration(sum(report.sources.values()))
    for other in others:
        yield f"for {format_duration(report.sources[other])} of {whole}: {MEANINGS[other]}"
    for by, how in zip(list(report.divisions)[1:], divided[1:], strict=True):
        yield f"for {format_duration(report.divisions[by])} of {whole}: {how}"


def _sentences(report: BurstReport) -> Iterator[str]:
    """Yield the state of the volume and the forecast."""
    volume, forecast = report.volume, report.forecast
    if volume.credits is not None:
        last, lowest = report.steps[-1].balance, report.lowest
        when = f"{lowest.until.astimezone(UTC):%H:%M:%SZ}"
        yield (
            f"burst balance: {left(last.low, last.high)} at the end,"
            f" lowest {format_share(lowest.balance.low)} at {when}"
        )
    yield _going(report, forecast)
    if forecast.burst_ends_in is not None:
        seconds, baseline = forecast.burst_ends_in
        rate = rate_text(volume, baseline)
        if seconds:
            yield f"the instance burst ends in {format_duration(seconds)}; its baseline is {rate}"
        else:
            yield f"the instance burst has ended; its baseline is {rate}"
    if forecast.excess > 0:
        yield _excess(report)
    if report.error is not None:
        measured, model = report.balance_checks[-1]
        yield (
            f"the model differs from CloudWatch's BurstBalance by {format_share(report.error)} on"
            f" average, and by {format_share(abs(measured - model))} at its last value"
        )
    if report.over:
        above = f"up to {rate_text(volume, report.over)} above the limit of the volume"
        cause = "served by the OS page cache, or --volume does not match"
        if report.is_measured:
            cause = "measured, so --volume does not match"
        yield f"{above}: {cause}"


def _excess(report: BurstReport) -> str:
    """Return which parts to drop to stay at the baseline."""
    volume, forecast = report.volume, report.forecast
    excess = f"{rate_text(volume, forecast.excess)} above the baseline"
    if forecast.must_drop is None:
        return f"{excess}: removing all categories would not be enough"
    *others, last = map(displayed, forecast.must_drop)
    names = f"{', '.join(others)} and {last}" if others else last
    end = "stop the drain" if volume.credits is not None else "keep it below the baseline"
    return f"{excess}: removing {names} would {end}"


def _going(report: BurstReport, forecast: Forecast) -> str:
    recent = f"the last {format_duration(forecast.seconds)}"
    recent += " measured by the device" if forecast.is_behind else ""
    rate = f"{rate_text(report.volume, forecast.rate)} in {recent}"
    if report.volume.credits is None:
        return f"{rate}: {format_share(forecast.use)} of the limit of the volume"
    if forecast.to_empty is not None:
        if not forecast.to_empty:
            return f"{rate}: the bucket is empty, and the volume is limited to its baseline"
        return f"{rate}: the bucket is empty in {format_duration(forecast.to_empty)}"
    if forecast.to_refill:
        return f"{rate}: the bucket is full in {format_duration(forecast.to_refill)}"
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
        summary=span(totals),
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
    has_ranges = any(part.range_per_s is not None for part in report.parts)
    columns = [
        TableColumn("category", most=NAME_WIDTH, rest=True),
        TableColumn("share", right=True, format=format_share),
        TableColumn("", format=bar, style="cyan", extra=True),
        TableColumn("IOPS", right=True, format=format_count, quantity="IOPS"),
        *(
            [TableColumn("95 % interval", right=True, format=_range, optional=True)]
            if has_ranges
            else []
        ),
        TableColumn("recent IOPS", right=True, format=format_count, quantity="IOPS"),
        TableColumn("credits used", right=True, format=format_share),
    ]
    rows = [
        list(_cells(part, report.volume.credits, has_ranges=has_ranges)) for part in report.parts
    ]
    used = (row for row, part in zip(rows, report.parts, strict=True) if part.share > 0)
    return Table(columns, rows, fit=lambda _: Table(columns, used))


def _cells(part: BurstPart, full: float | None, *, has_ranges: bool) -> Iterator[Any]:
    """Yield the cells of a part: a number with too wide an interval is unknown."""
    yield displayed(part.name)
    shown = [part.share, part.share, part.per_s]
    yield from shown if part.is_known else [None] * len(shown)
    if has_ranges:
        yield part.range_per_s
    yield part.recent_per_s if part.is_known else None
    yield part.burned / full if full is not None and part.is_known else None


def _range(ends: tuple[float, float] | None) -> str:
    return "–" if ends is None else f"{format_count(ends[0])}–{format_count(ends[1])}"


def _objects(totals: WindowTotals, report: BurstReport) -> Iterator[dict[str, Any]]:
    volume, forecast = report.volume, report.forecast
    last = report.steps[-1].balance
    yield {
        "server": labels(totals),
        "interval_start": timestamp(totals.span.since),
        "interval_end": timestamp(totals.span.until),
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
        "seconds_by_division": {str(each): n for each, n in report.divisions.items()},
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
                "operations_per_s_low": None if part.range_per_s is None else part.range_per_s[0],
                "operations_per_s_high": None if part.range_per_s is None else part.range_per_s[1],
                "is_known": part.is_known,
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
        by = step.divided_by and str(step.divided_by)
        state = (balance.rate, balance.over, balance.low, balance.high)
        yield (*same, "", whole, each, *state, by, None, None)
        ranges = step.ranges or {}
        for name, operations in step.operations.items():
            rate = operations / seconds if seconds else None
            ends = ranges.get(name, (None, None))
            yield (*same, name, operations, rate, None, None, None, None, by, *ends)
