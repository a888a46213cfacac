"""A window of a history for people and programs: text, Markdown, CSV, JSON."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from pgiostat.analysis.cost import Overhead
from pgiostat.analysis.notices import renamed, unexplained, unread
from pgiostat.analysis.rank import Ranking, RankRow
from pgiostat.escape import terminal
from pgiostat.history.read.window_totals import IntervalStats, WindowTotals
from pgiostat.render import markdown
from pgiostat.render.columns import KEYS, Metric, Value, of_blocks, whole_of
from pgiostat.render.columns import shown as metrics_shown
from pgiostat.render.csv import heading, records
from pgiostat.render.json import dumps, row_of
from pgiostat.render.ledger import NAMES, NESTED, ledger, own_cost
from pgiostat.render.text import drawn, fitted, own, summary, table
from pgiostat.statistics.delta import Quality
from pgiostat.statistics.names import OWN
from pgiostat.units import (
    format_bytes,
    format_count,
    format_coverage,
    format_duration,
    format_ms,
    format_share,
)
from pgiostat.volume.device.interval import DeviceTotal

__all__ = [
    "as_csv_heading",
    "as_json",
    "as_markdown",
    "as_text",
    "labels",
    "lost_of",
    "remarks",
    "title",
]

LONGEST_LAG_SECONDS = 60.0
MOST_COVERAGE = 1.05
LEAST_BLOCKS = 1000
TELLS_NESTED = 140000
"""pg_stat_statements 1.9."""
SAME_LENGTH = 0.95
_QUALITIES = {
    "restart": "the server was restarted, and what statements did in them before may be lost",
    "reset": "statistics were reset, and what statements did in them before is lost",
    "gap": "longer than asked for: what happened in them is known, when is not",
    "evicting": "statements were evicted, and what they did since is lost: raise"
    " pg_stat_statements.max",
    "clock jump": "the server's clock was set",
}
_CAUSES = {
    Quality.OTHER_SERVER: "another server answered at that address",
    Quality.BASELINE_LOST: "the reading that they were to be subtracted from was damaged",
    Quality.EXTENSION_CHANGED: "pg_stat_statements was updated or created again",
    Quality.PRIVILEGES_CHANGED: "pg_read_all_stats was granted or revoked",
    Quality.RESTART: "the server restarted, and pg_stat_statements began empty",
    Quality.RESET: "pg_stat_statements was reset",
}


def remarks(seen: WindowTotals) -> Iterator[str]:
    """Yield what is to be known of a window's numbers."""
    sampled = seen.sampled
    yield from _happened(sampled)
    for cause, seconds in seen.lost_earlier.items():
        yield (
            f"what statements read in the first {format_duration(seconds)} is lost as well, in a"
            f" lost time that began before: {_CAUSES.get(Quality(cause), cause)}"
        )
    if sampled.evicted:
        yield f"at least {format_count(sampled.evicted)} entries were evicted"
    elif sampled.reads.evictions:  # a history of an earlier version
        times = format_count(sampled.reads.evictions)
        yield f"entries were evicted {times} times, several at each"
    yield from _contradictions(sampled)
    if sampled.unknown:
        yield f"{format_count(sampled.unknown)} rows could not be assigned to an interval"
    watched = seen.seconds_by_label
    longest = max(watched.values(), default=0.0)
    for label, seconds in watched.items():
        if seconds < longest * SAME_LENGTH:
            yield (
                f"{label} was watched for {format_duration(seconds)} of"
                f" {format_duration(longest)}: its rates are means over all of it"
            )
    earlier = sum(seen.lost_earlier.values())
    known = sampled.seconds + sampled.unwatched_seconds + earlier
    missing = seen.window.seconds * len(watched) - known
    if missing > max(60.0, 0.01 * sampled.seconds):
        why = (
            "nothing was collected"
            if not seen.left_out
            else ("nothing was collected, or none of it could be read,")
        )
        yield f"{why} for {format_duration(missing)} of the window"
    if seen.widened:
        yield "of part of this time whole hours are all that is kept: it was widened to them"
    for path in seen.left_out:
        yield f'left out, because it could not be read: "{path}"'


def _of_ranking(seen: WindowTotals, ranking: Ranking) -> Iterator[str]:
    """Yield what a reader must know of a window's numbers and of its ranking."""
    yield from remarks(seen)
    yield from renamed(ranking)
    for _, sentence in unread(ranking):
        yield sentence.removesuffix(".")
    # Within a minute the server may just be late, and a few blocks tell nothing.
    left, seconds = ranking.unattributed or 0, seen.sampled.seconds
    is_late = left < 0 and (seconds < LONGEST_LAG_SECONDS or -left < LEAST_BLOCKS)
    if not is_late and (causes := unexplained(ranking)) is not None:
        yield causes.removesuffix(".")


def _happened(sampled: IntervalStats) -> Iterator[str]:
    """Yield what happened in some intervals, beginning with what is lost."""
    for cause, meaning in _CAUSES.items():
        if seconds := sampled.lost.get(cause, 0.0):
            yield f"what statements read in {format_duration(seconds)} is lost: {meaning}"
    for quality, meaning in _QUALITIES.items():
        count = sampled.qualities.get(quality, 0)
        if count:
            yield f"{format_count(count)} of {format_count(sampled.samples)} intervals: {meaning}"


def _contradictions(sampled: IntervalStats) -> Iterator[str]:
    """Yield why statements count more than the server did, where lag cannot be it."""
    blocks, server = sampled.statement_blocks, sampled.server_blocks
    if sampled.seconds < LONGEST_LAG_SECONDS or blocks <= server * MOST_COVERAGE + LEAST_BLOCKS:
        return
    if not server:
        yield "the server's own counters stood still: is track_counts off?"
        return
    told = f"statements count {format_share(blocks / server - 1)} more than the server does"
    if 0 < sampled.version_num < TELLS_NESTED:
        told += ": before PostgreSQL 14 nested ones are counted twice if"
        told += " pg_stat_statements.track is all"
    yield told


def lost_of(sampled: IntervalStats) -> dict[str, float]:
    """Return for how many seconds statements were not counted, by cause."""
    return {str(cause): seconds for cause, seconds in sampled.lost.items()}


def labels(seen: WindowTotals) -> str:
    """Return the labels of the servers seen."""
    return ", ".join(dict.fromkeys(server.label for server in seen.servers))


def title(seen: WindowTotals, width: int) -> Text:
    """Return who and when in a line."""
    since, until = (moment.astimezone(UTC) for moment in (seen.window.since, seen.window.until))
    return fitted(
        [
            ("pgiostat  ", "bold", 2),
            (terminal(labels(seen)), "", 0),
            (f"  {since:%Y-%m-%d %H:%M:%S} – {until:%Y-%m-%d %H:%M:%S} UTC", "", 0),
            (f"  {format_count(seen.sampled.samples)} intervals", "dim", 1),
            (f"  {_lost(seen)}", "yellow", 0) if seen.sampled.lost else ("", "", 3),
        ],
        width,
    )


def _lost(seen: WindowTotals) -> str:
    return f"{format_duration(sum(seen.sampled.lost.values()))} lost" if seen.sampled.lost else ""


def warnings(seen: WindowTotals) -> list[Text]:
    """Return what is to be known as lines of a screen."""
    return _warnings(remarks(seen))


def _warnings(lines: Iterable[str]) -> list[Text]:
    return [Text(f"! {terminal(line)}", "yellow") for line in lines]


def as_text(seen: WindowTotals, ranking: Ranking, *, width: int) -> RenderableType:
    """Return a window as watch shows an interval."""
    notes = _warnings(_of_ranking(seen, ranking))
    head = summary(ranking, seen.sampled.coverage, width)
    below = [Text(terminal(line), "dim") for line in device_lines(seen)]
    ours = [] if ranking.own is None else [own(_spent(seen, ranking.own), width, "an interval")]
    lines = drawn(table(ranking, width=width))
    return Group(title(seen, width), head, *below, *notes, *lines, *ours)


def _spent(seen: WindowTotals, row: RankRow) -> Overhead:
    """Return what an interval of the window cost the server, on average."""
    return row.cost.spent(seen.sampled.samples)


def device_lines(seen: WindowTotals) -> Iterator[str]:
    """Yield what each device did in a line."""
    several = len({each.server for each in seen.devices}) > 1
    for each in seen.devices:
        told = [
            f"{format_count(each.reads.per_second)} reads/s",
            f"{format_bytes(each.read_bytes.per_second)}/s",
            f"{format_count(each.writes.per_second)} writes/s",
            f"r_await {format_ms(each.read_await_ms)}",
        ]
        if each.burst_balance is not None:
            told.append(f"BurstBalance {format_share(each.burst_balance / 100)}")
        if each.known < SAME_LENGTH:
            told.append(f"of {format_share(each.known)} of the time")
        whose = f"{each.server}: " if several else ""
        yield f"{whose}device {each.name} by {each.source}: {', '.join(told)}"


def as_csv_heading(seen: WindowTotals, ranking: Ranking) -> dict[str, Value]:
    """Return what is the same for all rows of a window in CSV."""
    return heading(
        seen.window.since,
        seen.window.until,
        seconds=ranking.seconds,
        server=labels(seen),
        quality="+".join(sorted(seen.sampled.qualities)),
        coverage=seen.sampled.coverage,
        operations_by=ranking.explained.operations_by,
    )


def as_json(seen: WindowTotals, ranking: Ranking) -> str:
    """Return a window as one JSON object, null where a number is unknown."""
    told: dict[str, Any] = as_csv_heading(seen, ranking)
    skipped = told.keys()
    found = records(told, ranking)
    rows = [row_of(record, skipped) for record in found]
    whole = {
        **told,
        "by": str(ranking.by),
        "sort": str(ranking.sort),
        "samples": seen.sampled.samples,
        "qualities": dict(seen.sampled.qualities),
        "lost_seconds": lost_of(seen.sampled),
        "lost_seconds_earlier": dict(seen.lost_earlier),
        "evicted": seen.sampled.evicted,
        "remarks": list(_of_ranking(seen, ranking)),
        "devices": [_device(each) for each in seen.devices],
        "server_blocks_read": ranking.server_blocks,
        "statement_blocks_read": ranking.explained.blocks,
        "unattributed_blocks_read": ranking.unattributed,
        "ledger": ledger(ranking),
        "nested_blocks_read": ranking.nested_blocks,
        "own_per_interval": None if ranking.own is None else asdict(_spent(seen, ranking.own)),
        "rows": rows,
    }
    return dumps(whole)


def _device(each: DeviceTotal) -> dict[str, Any]:
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
    }


def as_markdown(seen: WindowTotals, ranking: Ranking) -> str:
    """Return a window as a table for a page or an issue."""
    return "\n".join(_markdown(seen, ranking))


def _markdown(seen: WindowTotals, ranking: Ranking) -> Iterator[str]:
    window = seen.window
    shown = metrics_shown(ranking)
    keys = KEYS[ranking.by]
    since, until = (moment.astimezone(UTC) for moment in (window.since, window.until))
    sampled = seen.sampled
    yield (
        f"**{markdown.name(labels(seen))}**,"
        f" {since:%Y-%m-%d %H:%M:%S} – {until:%Y-%m-%d %H:%M:%S} UTC,"
        f" {format_count(sampled.samples)} intervals, coverage {format_coverage(sampled.coverage)}"
        f"{', ' if sampled.lost else ''}{_lost(seen)}."
    )
    yield ""
    told = [*device_lines(seen), *_of_ranking(seen, ranking)]
    if ranking.own is not None:
        told.append(f"{OWN}, an interval: {own_cost(_spent(seen, ranking.own))}")
    for line in told:
        yield f"- {markdown.sentence(line)}"
    if told:
        yield ""
    names = [*(key.name for key in keys), "share", *(metric.title for metric in shown)]
    yield f"| {' | '.join(names)} |"
    yield f"|{'---|' * len(keys)}{'---:|' * (len(shown) + 1)}"
    extras = [row for row in (ranking.rest, ranking.own) if row is not None]
    for each in (*ranking.rows, *extras):
        cells = [markdown.name(str(key.value(each) or ""), cell=True) for key in keys]
        if each in extras:
            cells[0] = each.name
        yield f"| {' | '.join([*cells, format_share(each.share), *_numbers(each, shown)])} |"
    blanks = [""] * (len(keys) - 1)
    ledger_lines = [(NAMES[line.account], line.blocks) for line in ranking.lines]
    whole = [(whole_of(ranking.by), ranking.server_blocks)]
    nested = [(NESTED, ranking.nested_blocks)] if ranking.nested else []
    for name, blocks in (*ledger_lines, *whole, *nested):
        known = of_blocks(ranking, blocks)
        told = [each.shown(known[each.name]) if each.name in known else "" for each in shown]
        rest = [format_share(ranking.share(blocks)), *told]
        yield f"| {' | '.join([name, *blanks, *rest])} |"


def _numbers(row: RankRow, shown: Sequence[Metric]) -> list[str]:
    return [metric.shown(metric.value(row.cost)) for metric in shown]
