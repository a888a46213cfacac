"""What a time did to a volume's burst balance, for people and programs."""

import csv
from collections.abc import Iterator
from datetime import UTC
from textwrap import wrap
from typing import Any, TextIO

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pgiostat.escape import terminal
from pgiostat.history.read.window_totals import WindowTotals
from pgiostat.render import markdown
from pgiostat.render.balance import left
from pgiostat.render.csv import cell, timestamp
from pgiostat.render.json import dumps
from pgiostat.render.report import labels, remarks, title, warnings
from pgiostat.render.series import sparkline
from pgiostat.render.text import bar
from pgiostat.units import format_bytes, format_count, format_duration, format_share
from pgiostat.volume.burst import BurstReport, Forecast
from pgiostat.volume.demand import MEANINGS
from pgiostat.volume.models import Volume

__all__ = ["HEADER", "as_json", "as_markdown", "as_text", "records", "write_csv"]

NAME_WIDTH = 24
HEADER = (
    "interval_start", "interval_end", "seconds", "server", "volume", "provenance", "part",
    "operations", "operations_per_s", "demand_per_s", "over_per_s", "balance", "balance_high",
)  # fmt: skip


def _volume(burning: BurstReport) -> str:
    volume = burning.volume
    told = f"{volume.name}: {format_count(volume.sustained)} {volume.unit}/s for ever"
    if volume.credits is None:
        return f"{told}, no bucket"
    return (
        f"{told}, {format_count(volume.ceiling)} while a bucket of"
        f" {format_count(volume.credits)} lasts"
    )


def _instance(volume: Volume) -> str:
    """Return what an instance lets through for ever, and for a time; nothing if it is no limit."""
    told = []
    if volume.instance_baseline is not None:
        seconds = volume.instance_burst / (volume.ceiling - volume.instance_baseline)
        told.append(
            f"{format_count(volume.instance_baseline)} {volume.unit}/s for ever and"
            f" {format_count(volume.ceiling)} for {format_duration(seconds)}"
        )
    if volume.instance_baseline_throughput is not None:
        seconds = volume.instance_burst_throughput / (
            volume.throughput - volume.instance_baseline_throughput
        )
        told.append(
            f"{format_bytes(volume.instance_baseline_throughput)}/s for ever and"
            f" {format_bytes(volume.throughput)}/s for {format_duration(seconds)}"
        )
    return f"its instance lets through {'; '.join(told)}, once it has rested" if told else ""


def _about(burning: BurstReport) -> Iterator[str]:
    """Yield what the volume is, and how operations are known; of which part of the time."""
    yield _volume(burning)
    if instance := _instance(burning.volume):
        yield instance
    first, *others = burning.sources
    yield f"operations: {MEANINGS[first]}"
    whole = format_duration(sum(burning.sources.values()))
    for other in others:
        yield f"in {format_duration(burning.sources[other])} of {whole}: {MEANINGS[other]}"


def _sentences(burning: BurstReport) -> Iterator[str]:
    """Yield what to know and to do."""
    volume, forecast = burning.volume, burning.forecast
    if volume.credits is not None:
        last, lowest = burning.moments[-1].balance, burning.lowest
        when = f"{lowest.until.astimezone(UTC):%H:%M:%S} UTC"
        yield (
            f"balance {left(last.low, last.high)} at the end,"
            f" lowest {format_share(lowest.balance.low)} at {when}"
        )
    yield _going(burning, forecast)
    if forecast.burst_ends_in is not None:
        seconds, lasting = forecast.burst_ends_in
        yield (
            (
                f"the burst of its instance ends in {format_duration(seconds)}, what lasts are"
                f" {format_count(lasting)} {volume.unit}/s"
            )
            if seconds
            else (
                f"the burst of its instance has ended: it lets through {format_count(lasting)}"
                f" {volume.unit}/s"
            )
        )
    if forecast.excess > 0:
        yield _excess(burning)
    if burning.error is not None:
        told, model = burning.warning[-1]
        yield (
            f"the model is off CloudWatch's BurstBalance by {format_share(burning.error)} on"
            f" average, by {format_share(abs(told - model))} where it was told last"
        )
    if burning.over:
        above = f"up to {format_count(burning.over)} {volume.unit}/s more than the volume can give"
        if burning.is_measured:
            yield f"{above} were measured: it is another volume"
        else:
            why = "the system's cache answered these, or it is another volume"
            yield f"{above} were counted: {why}"


def _excess(burning: BurstReport) -> str:
    """Return what has to go."""
    volume, forecast = burning.volume, burning.forecast
    told = f"{format_count(forecast.excess)} {volume.unit}/s above the baseline"
    end = "to stop the fall" if volume.credits is not None else "to stay below it"
    names = forecast.must_drop
    if names is None:
        return f"{told}: no part alone, nor all together, make that up"
    if len(names) == 1:
        return f"{told}: {names[0]} must go {end}"
    return f"{told}: {', '.join(names[:-1])} and {names[-1]} must go {end}"


def _going(burning: BurstReport, forecast: Forecast) -> str:
    lately = f"the last {format_duration(forecast.seconds)}"
    if forecast.is_behind:
        lately += " that the device told"
    rate = f"{format_count(forecast.rate)} {burning.volume.unit}/s in {lately}"
    if burning.volume.credits is None:
        return f"{rate}: {format_share(forecast.use)} of what the volume gives"
    if forecast.to_empty is not None:
        if not forecast.to_empty:
            return f"{rate}: the bucket is empty, the volume is held to its baseline"
        return f"{rate}: empty in {format_duration(forecast.to_empty)}"
    if forecast.to_refill:
        return f"{rate}: full again in {format_duration(forecast.to_refill)}"
    return f"{rate}: below the baseline"


def as_text(seen: WindowTotals, burning: BurstReport, *, width: int) -> RenderableType:
    """Return the story of a volume: balance, forecast, and who burned it."""
    notes = [Text(_wrapped(line, width)) for line in _sentences(burning)]
    known = [Text(_wrapped(line, width), "dim") for line in _about(burning)]
    curve: list[RenderableType] = []
    if burning.volume.credits is not None:
        lows = [moment.balance.low for moment in burning.moments]
        curve = [Text(sparkline([*lows, 1.0], max(width - 10, 8))[:-1], "cyan")]
    return Group(title(seen, width), *known, *warnings(seen), *notes, *curve, _table(burning))


def _wrapped(line: str, width: int) -> str:
    """Return a line in lines of the screen, none of which ends in a blank."""
    return "\n".join(wrap(terminal(line), width, break_on_hyphens=False))


def _table(burning: BurstReport) -> Table:
    grid = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", pad_edge=False)
    grid.add_column("who", no_wrap=True, overflow="ellipsis", max_width=NAME_WIDTH)
    for heading in ("share", "", "ops/s", "lately", "burned"):
        grid.add_column(heading, justify="left" if not heading else "right", no_wrap=True)
    for part in burning.parts:
        if part.share <= 0:
            continue
        burned = None if burning.volume.credits is None else part.burned / burning.volume.credits
        grid.add_row(
            Text(terminal(part.name)), format_share(part.share), Text(bar(part.share), "cyan"),
            format_count(part.per_s), format_count(part.recent_per_s), format_share(burned),
        )  # fmt: skip
    return grid


def as_markdown(seen: WindowTotals, burning: BurstReport) -> str:
    """Return the same for a page or an issue."""
    volume, *known = _about(burning)
    lines = [f"**{markdown.name(labels(seen))}**, {markdown.sentence(volume)}.", ""]
    told = (*known, *_sentences(burning), *remarks(seen))
    lines += [f"- {markdown.sentence(line)}" for line in told]
    lines += ["", "| who | share | ops/s | lately | burned |", "|---|---:|---:|---:|---:|"]
    for part in burning.parts:
        burned = None if burning.volume.credits is None else part.burned / burning.volume.credits
        cells = (
            markdown.name(part.name, cell=True), format_share(part.share), format_count(part.per_s),
            format_count(part.recent_per_s), format_share(burned),
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def as_json(seen: WindowTotals, burning: BurstReport) -> str:
    """Return the same as one JSON object."""
    volume, forecast = burning.volume, burning.forecast
    last = burning.moments[-1].balance
    told: dict[str, Any] = {
        "server": labels(seen),
        "interval_start": timestamp(seen.window.since),
        "interval_end": timestamp(seen.window.until),
        "volume": {
            "name": volume.name, "unit": volume.unit, "baseline_per_s": volume.baseline,
            "ceiling_per_s": volume.ceiling, "credits": volume.credits,
            "lasting_per_s": volume.instance_baseline, "throughput_bytes_per_s": volume.throughput,
            "lasting_throughput_bytes_per_s": volume.instance_baseline_throughput,
        },
        "provenance": str(burning.provenance),
        "seconds_by_provenance": {str(each): n for each, n in burning.sources.items()},
        "balance": last.low,
        "balance_high": last.high,
        "lowest": burning.lowest.balance.low,
        "cloudwatch_balance": burning.warning[-1][0] if burning.warning else None,
        "model_error": burning.error,
        "forecast": {
            "seconds": forecast.seconds, "demand_per_s": forecast.rate,
            "to_empty_s": forecast.to_empty, "to_refill_s": forecast.to_refill,
            "to_tire_s": None if forecast.burst_ends_in is None else forecast.burst_ends_in[0],
            "excess_per_s": forecast.excess,
            "must_drop": None if forecast.must_drop is None else list(forecast.must_drop),
        },
        "parts": [
            {"part": part.name, "share": part.share, "operations_per_s": part.per_s,
             "recent_operations_per_s": part.recent_per_s, "burned": part.burned}
            for part in burning.parts
        ],
        "remarks": list(remarks(seen)),
    }  # fmt: skip
    return dumps(told)


def write_csv(seen: WindowTotals, burning: BurstReport, out: TextIO) -> None:
    """Write a row for each step and part; the part that is empty is the volume as a whole."""
    writer = csv.writer(out)
    writer.writerow(HEADER)
    for row in records(seen, burning):
        writer.writerow([cell(value) for value in row])


def records(seen: WindowTotals, burning: BurstReport) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of steps and parts, in the order of HEADER; None is unknown."""
    for moment in burning.moments:
        balance, seconds = moment.balance, moment.seconds
        same = (timestamp(moment.since), timestamp(moment.until), seconds, labels(seen),
                burning.volume.name, moment.provenance and str(moment.provenance))  # fmt: skip
        whole = sum(moment.operations.values()) if moment.operations else None
        each = None if whole is None or not seconds else whole / seconds
        yield (*same, "", whole, each, balance.rate, balance.over, balance.low, balance.high)
        for name, operations in moment.operations.items():
            rate = operations / seconds if seconds else None
            yield (*same, name, operations, rate, None, None, None, None)
