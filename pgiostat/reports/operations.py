"""Operations for each block of categories in a window of a history, by a regression.

A regression needs the intervals one by one, so a long window is not read as a whole: chunks of a
quarter of an hour, evenly spread, are enough for its operations for each block.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from pgiostat.analysis.ledger import LedgerLine
from pgiostat.analysis.operations import Division, PerBlockRange, estimate, parts_of
from pgiostat.history.read.history import History
from pgiostat.history.read.window_totals import WindowTotals
from pgiostat.history.read.windows import Window
from pgiostat.reports.operation_intervals import Chunk, ServerSettings, intervals_of
from pgiostat.reports.steps import category_of
from pgiostat.statistics.definitions import Kind
from pgiostat.statistics.names import Names
from pgiostat.units import bytes_of_setting

__all__ = ["chunks", "divisions", "nearest"]

CHUNK = timedelta(minutes=15)
MOST_CHUNKS = 8
FIRST_VERSION = 180000
"""PostgreSQL 18 is the first that counts operations: 16 and 17 count blocks."""


def divisions(history: History, totals: WindowTotals, names: Mapping[int, Names]) -> list[Division]:
    """Return the operations for each block of categories, in chunks of a window.

    Args:
        history: Where the window was read.
        totals: The window.
        names: By server_id, what ids mean.

    Returns:
        A division for each chunk in which a regression is possible. None is before PostgreSQL 18,
        without the counters of tables, and where single intervals are not kept any more.
    """
    [server_id, *others] = totals.counted or [0]
    if others or totals.sampled.version_num < FIRST_VERSION:
        return []
    known = names.get(server_id, Names())
    settings = _settings(history, server_id)
    if settings is None:
        return []
    found = []
    for since, until in chunks(totals.span):
        window = Window(since, until, totals.window.label)
        chunk = Chunk.read(history, window, server_id, totals.sampled.dbid)
        if (parts := _parts(chunk, known, settings)) is not None:
            found.append(Division(since, until, *parts))
    return found


def chunks(window: Window) -> Iterator[tuple[datetime, datetime]]:
    """Yield begin and end of the chunks of a window, evenly spread over a long one."""
    length = window.until - window.since
    count = max(-(-length // CHUNK), 1)
    if count <= MOST_CHUNKS:
        for i in range(count):
            yield window.since + length * i / count, window.since + length * (i + 1) / count
        return
    room = length / MOST_CHUNKS
    for i in range(MOST_CHUNKS):
        since = window.since + room * i + (room - CHUNK) / 2
        yield since, since + CHUNK


def _settings(history: History, server_id: int) -> ServerSettings | None:
    """Return the newest settings of a server; None if they were not recorded."""
    newest: dict[str, int] = {}
    for row in sorted(history.dimension("definition"), key=lambda row: row["since"]):
        is_ours = row["server_id"] == server_id and row["kind"] == Kind.SETTING
        of_all = not row["dbid"] and not row["oid"] and not row["owner"]
        if is_ours and of_all and (value := bytes_of_setting(row["text"] or "")) is not None:
            newest[row["name"]] = value
    if not {"shared_buffers", "io_combine_limit"} <= newest.keys():
        return None
    return ServerSettings(newest["shared_buffers"], newest["io_combine_limit"])


def _parts(
    chunk: Chunk, names: Names, settings: ServerSettings
) -> tuple[dict[str, PerBlockRange], float] | None:
    """Return the operations for each block of parts and of all reads; None if unknown."""
    found = intervals_of(chunk, names, settings)
    if found is None:
        return None
    intervals, ids = found
    estimated = estimate(intervals)
    if estimated is None:
        return None
    usual = intervals.operations / intervals.blocks
    rest = usual
    if estimated.rest_blocks >= 1:
        rest = estimated.rest_operations / estimated.rest_blocks
    parts = parts_of(estimated, [category_of(each, names) for each in ids])
    for line in (LedgerLine.CATALOGS, LedgerLine.UNATTRIBUTED):
        parts[line.value] = PerBlockRange(rest, rest, rest)
    return parts, usual


def nearest(divided: Sequence[Division], at: datetime) -> Division | None:
    """Return the division of the time that is nearest to an instant; None without any."""
    return min(divided, key=lambda each: max(each.since - at, at - each.until), default=None)
