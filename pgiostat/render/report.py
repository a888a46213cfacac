"""The report of a ranking over a time window, and the lines about the window in all reports."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC
from typing import Any

from pgiostat.analysis.ledger import LedgerLine
from pgiostat.analysis.notices import renamed, unexplained, unread
from pgiostat.analysis.rank import By, Ranking
from pgiostat.history.read.window_totals import IntervalStats, WindowTotals
from pgiostat.render.csv import header, heading, records
from pgiostat.render.device import cache_sentence
from pgiostat.render.document import Document, Piece, Records, Value
from pgiostat.render.json import row_of
from pgiostat.render.ledger import ledger, own_cost
from pgiostat.render.preset import preset_lines, preset_object
from pgiostat.render.ranking_table import ranking_table, summary
from pgiostat.reports.series import SeriesStep
from pgiostat.reports.steps import SAME_LENGTH
from pgiostat.statistics.delta import Quality
from pgiostat.units import (
    UNKNOWN,
    format_bytes,
    format_count,
    format_counted,
    format_coverage,
    format_duration,
    format_ms,
    format_share,
)
from pgiostat.volume.device.interval import DeviceTotal
from pgiostat.volume.device.page_cache import cached_share

__all__ = [
    "device_lines",
    "document",
    "interval",
    "labels",
    "records_of",
    "remarks",
    "rows_of",
    "span",
    "title",
]

MAX_LAG_SECONDS = 60.0
MAX_COVERAGE = 1.05
MIN_BLOCKS = 1000
NESTED_SINCE = 140000
"""pg_stat_statements 1.9."""
_QUALITIES = {
    "restart": "the server restarted, and counts of statements before the restart may be lost",
    "reset": "statistics were reset, and counts of statements before the reset are lost",
    "gap": "snapshots were missed: the counts are complete, their times within the gap are unknown",
    "evicting": "statements were evicted, and their counts since the last snapshot are lost: raise"
    " pg_stat_statements.max",
    "clock jump": "the server's clock was changed",
}
_CAUSES = {
    Quality.OTHER_SERVER: "another server answered at this address",
    Quality.BASELINE_LOST: "the previous snapshot was damaged",
    Quality.EXTENSION_CHANGED: "pg_stat_statements was updated or created again",
    Quality.PRIVILEGES_CHANGED: "pg_read_all_stats was granted or revoked",
    Quality.RESTART: "the server restarted, and pg_stat_statements began empty",
    Quality.RESET: "pg_stat_statements was reset",
}


def remarks(totals: WindowTotals) -> Iterator[str]:
    """Yield sentences on the quality of a window's numbers."""
    sampled = totals.sampled
    yield from _happened(sampled)
    for cause, seconds in totals.lost_earlier.items():
        yield (
            f"the reads of statements in the first {format_duration(seconds)} are lost as well, in"
            f" a gap that began earlier: {_CAUSES.get(Quality(cause), cause)}"
        )
    if sampled.evicted:
        was = "entry was" if sampled.evicted == 1 else "entries were"
        yield f"at least {format_count(sampled.evicted)} {was} evicted"
    elif sampled.reads.evictions:  # a history of an earlier version
        times = format_counted(sampled.reads.evictions, "time")
        yield f"entries were evicted {times}, several each time"
    yield from _contradictions(sampled)
    if sampled.unknown:
        yield f"{format_counted(sampled.unknown, 'row')} could not be assigned to an interval"
    watched = totals.seconds_by_label
    longest = max(watched.values(), default=0.0)
    for label, seconds in watched.items():
        if seconds < longest * SAME_LENGTH:
            yield (
                f"{label} was observed for {format_duration(seconds)} of"
                f" {format_duration(longest)}: its rates are averaged over all of it"
            )
    earlier = sum(totals.lost_earlier.values())
    known = sampled.seconds + sampled.unwatched_seconds + earlier
    missing = totals.window.seconds * len(watched) - known
    if missing > max(60.0, 0.01 * sampled.seconds):
        why = (
            "nothing was collected"
            if not totals.left_out
            else "nothing was collected, or its files could not be read,"
        )
        yield f"{why} for {format_duration(missing)} of the window"
    if totals.widened:
        yield "part of this time has only hourly totals: the window was widened to whole hours"
    for path in totals.left_out:
        yield f'left out because it could not be read: "{path}"'


def _of_ranking(totals: WindowTotals, ranking: Ranking) -> Iterator[str]:
    """Yield sentences on the quality of a window's numbers and of its ranking."""
    yield from remarks(totals)
    yield from renamed(ranking)
    if ranking.by is By.INDEX and ranking.activity == {}:
        yield (
            "scans and sizes are unknown: no counters of indexes were collected in this window"
            " (collect --tables-interval)"
        )
    for _, sentence in unread(ranking):
        yield sentence.removesuffix(".")
    # Within a minute the server's counters may lag, and a few blocks say nothing.
    left, seconds = ranking.unattributed or 0, totals.sampled.seconds
    is_late = left < 0 and (seconds < MAX_LAG_SECONDS or -left < MIN_BLOCKS)
    for line in ranking.lines:
        is_due = not (is_late and line.account is LedgerLine.UNATTRIBUTED)
        if is_due and (causes := unexplained(ranking, line)) is not None:
            yield causes.removesuffix(".")


def _happened(sampled: IntervalStats) -> Iterator[str]:
    """Yield the events in some intervals; losses first."""
    for cause, meaning in _CAUSES.items():
        if seconds := sampled.lost.get(cause, 0.0):
            yield f"the reads of statements in {format_duration(seconds)} are lost: {meaning}"
    for quality, meaning in _QUALITIES.items():
        count = sampled.qualities.get(quality, 0)
        if count:
            samples = format_counted(sampled.samples, "interval")
            yield f"{format_count(count)} of {samples}: {meaning}"


def _contradictions(sampled: IntervalStats) -> Iterator[str]:
    """Yield why statements count more than the server, where lag is not the reason."""
    blocks, server = sampled.statement_blocks, sampled.settled_blocks
    if sampled.seconds < MAX_LAG_SECONDS or blocks <= server * MAX_COVERAGE + MIN_BLOCKS:
        return
    if not server:
        yield "the server's own counters did not change: is track_counts off?"
        return
    excess = f"statements count {format_share(blocks / server - 1)} more blocks than the server"
    if 0 < sampled.version_num < NESTED_SINCE:
        nested = "nested ones are counted twice if pg_stat_statements.track is all"
        excess += f": before PostgreSQL 14 {nested}"
    yield excess


def labels(totals: WindowTotals) -> str:
    """Return the labels of the servers in a window."""
    return ", ".join(dict.fromkeys(server.label for server in totals.servers))


def title(totals: WindowTotals) -> list[Piece]:
    """Return who and when, as pieces of a line."""
    pieces: list[Piece] = [
        ("pgiostat  ", "bold", 2),
        (labels(totals), "", 0),
        (f"  {span(totals)}", "", 0),
        (f"  {format_counted(totals.sampled.samples, 'interval')}", "dim", 1),
    ]
    return [*pieces, (f"  {_lost(totals)}", "yellow", 0)] if totals.sampled.lost else pieces


def span(totals: WindowTotals) -> str:
    """Return from when to when, in UTC."""
    window = totals.span
    since, until = window.since.astimezone(UTC), window.until.astimezone(UTC)
    return f"{since:%Y-%m-%d %H:%M:%SZ} – {until:%Y-%m-%d %H:%M:%SZ}"


def _lost(totals: WindowTotals) -> str:
    return f"{format_duration(sum(totals.sampled.lost.values()))} lost"


def document(totals: WindowTotals, ranking: Ranking) -> Document:
    """Return the report of a ranking.

    Args:
        totals: The window, and how well it was sampled.
        ranking: Its statements, ranked.
    """
    sampled = totals.sampled
    whole = SeriesStep(totals.span.since, totals.span.until, sampled, ranking)
    own = []
    if ranking.own is not None:
        cost = own_cost(ranking.own.cost.spent(sampled.samples))
        own = [
            (f"pgiostat's own statements, per interval: {cost}", f"pgiostat, per interval: {cost}")
        ]
    return Document(
        subject=labels(totals),
        summary=f"{span(totals)}, {format_counted(sampled.samples, 'interval')}, coverage"
        f" {format_coverage(sampled.coverage)}{f', {_lost(totals)}' if sampled.lost else ''}",
        head=[title(totals), summary(ranking, sampled.coverage)],
        trimmed=True,
        facts=[
            *preset_lines(ranking.preset),
            *device_lines(totals, _server_bytes_per_s(ranking)),
        ],
        warnings=list(_of_ranking(totals, ranking)),
        tables=[ranking_table(ranking, identified=True)],
        notes=own,
        records=records_of(totals, ranking.by, [whole], with_activity=ranking.activity is not None),
        objects=_objects(totals, whole),
    )


def interval(totals: WindowTotals, step: SeriesStep) -> dict[str, Value]:
    """Return the columns that are the same in all rows of a window, or of a step of it."""
    return heading(
        step.since,
        step.until,
        step.ranking,
        server=labels(totals),
        qualities=sorted(step.sampled.qualities),
        coverage=step.sampled.coverage,
    )


def records_of(
    totals: WindowTotals, by: By, steps: Iterable[SeriesStep], *, with_activity: bool = False
) -> Records:
    """Return rankings as records, one step after the other.

    Args:
        totals: The window.
        by: What the rows are.
        steps: Its steps, each ranked.
        with_activity: With what the table or index of a row did, if the rankings have that.
    """
    names = header(by, with_activity=with_activity)
    rows = (
        [record[name] for name in names]
        for step in steps
        for record in records(interval(totals, step), step.ranking)
    )
    return Records(names, rows)


def rows_of(same: Mapping[str, Value], ranking: Ranking) -> list[dict[str, Any]]:
    """Return a ranking's rows for an object that has the columns that are the same in all rows."""
    return [row_of(record, same) for record in records(same, ranking)]


def _objects(totals: WindowTotals, whole: SeriesStep) -> Iterator[dict[str, Any]]:
    sampled, ranking, same = totals.sampled, whole.ranking, interval(totals, whole)
    own = None if ranking.own is None else asdict(ranking.own.cost.spent(sampled.samples))
    yield {
        **same,
        "preset": preset_object(ranking.preset),
        "by": str(ranking.by),
        "sort": str(ranking.sort),
        "samples": sampled.samples,
        "qualities": dict(sampled.qualities),
        "lost_seconds": {str(cause): seconds for cause, seconds in sampled.lost.items()},
        "lost_seconds_earlier": dict(totals.lost_earlier),
        "evicted": sampled.evicted,
        "remarks": list(_of_ranking(totals, ranking)),
        "devices": [_device(totals, each, ranking) for each in totals.devices],
        "server_blocks_read": ranking.server_blocks,
        "statement_blocks_read": ranking.explained.blocks,
        "in_transit_blocks_read": ranking.in_transit,
        "earlier_blocks_read": ranking.earlier_blocks,
        "unattributed_blocks_read": ranking.unattributed,
        "ledger": ledger(ranking),
        "nested_blocks_read": ranking.nested_blocks,
        "own_per_interval": own,
        "rows": rows_of(same, ranking),
    }


def device_lines(totals: WindowTotals, server_bytes_per_s: float | None = None) -> Iterator[str]:
    """Yield a sentence on each device, and one on the operating system's cache.

    Args:
        totals: The window.
        server_bytes_per_s: Bytes per second that the servers read by their own count.
    """
    several = len({each.server for each in totals.devices}) > 1
    for each in totals.devices:
        words = [
            f"{format_count(each.reads.per_second)} read IOPS",
            f"{format_bytes(each.read_bytes.per_second)}/s read",
            f"{format_count(each.writes.per_second)} write IOPS",
            f"r_await {format_ms(each.read_await_ms)}",
        ]
        if each.burst_balance is not None:
            words.append(f"BurstBalance {format_share(each.burst_balance / 100)}")
        if each.known < SAME_LENGTH:
            words.append(f"measured in {format_share(each.known)} of the time")
        rates = _both_rates(totals, each, server_bytes_per_s)
        sentence = cache_sentence(*rates)
        if not sentence:
            words.append(f"OS cache {UNKNOWN}")
        server = f"{each.server}: " if several else ""
        yield f"{server}device {each.name} by {each.source}: {', '.join(words)}"
        if sentence:
            yield sentence


def _both_rates(
    totals: WindowTotals, device: DeviceTotal, server_bytes_per_s: float | None
) -> tuple[float | None, float | None]:
    """Return bytes per second of the server and of its device, if they are of the same time."""
    is_one = len(totals.seconds_by_label) == 1
    server = server_bytes_per_s if is_one and device.known >= SAME_LENGTH else None
    return server, device.read_bytes.per_second


def _server_bytes_per_s(ranking: Ranking) -> float | None:
    blocks = ranking.server_blocks
    return None if blocks is None else ranking.cost_of(blocks).bytes_per_s


def _device(totals: WindowTotals, each: DeviceTotal, ranking: Ranking) -> dict[str, Any]:
    rates = _both_rates(totals, each, _server_bytes_per_s(ranking))
    return {
        "server": each.server,
        "source": str(each.source),
        "name": each.name,
        "known": each.known,
        "reads": each.reads.total,
        "reads_per_s": each.reads.per_second,
        "read_bytes_per_s": each.read_bytes.per_second,
        "writes_per_s": each.writes.per_second,
        "write_bytes_per_s": each.write_bytes.per_second,
        "read_await_ms": each.read_await_ms,
        "burst_balance_percent": each.burst_balance,
        "os_cache_share": cached_share(*rates),
    }
