"""CSV (RFC 4180): documents, and rankings with a row for each key and interval."""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from io import StringIO
from typing import TextIO

from pgiostat.analysis.rank import By, Ranking, RankRow
from pgiostat.analysis.server_reads import coverage_of
from pgiostat.escape import code_of, terminal
from pgiostat.render.activity_columns import columns_of, number
from pgiostat.render.columns import KEYS, of_blocks
from pgiostat.render.document import Document, Value
from pgiostat.statistics.delta import Delta
from pgiostat.volume.bucket import Balance

__all__ = [
    "BALANCE",
    "WINDOW",
    "CsvWriter",
    "balance_of",
    "cell",
    "exact",
    "header",
    "heading",
    "heading_of",
    "records",
    "text_cell",
    "timestamp",
    "write",
]

WINDOW = ("interval_start", "interval_end", "seconds", "server")
"""The first columns of the records of every report of a window."""
_INTERVAL = (*WINDOW, "quality", "coverage", "operations_by")
DECIMALS = 6
FORMULA = (
    "=+\\-@\u207a\u207b\u207c\u208a\u208b\u208c\u2212\u2a75\u2a76\ufb29"
    "\ufe62\ufe63\ufe66\ufe6b\uff0b\uff0d\uff1d\uff20"
)
"""What a spreadsheet may take for the beginning of a formula: also what is like = + - and @."""
_BEFORE = " \"'`\u1fef\uff02\uff07\uff40"
"""What it may overlook before one."""
_IS_FORMULA = re.compile(f"'|[{_BEFORE}]*[{FORMULA}]")
_AFTER_SEPARATOR = re.compile(f"(;[{_BEFORE}]*)([{FORMULA}])")


def write(document: Document, out: TextIO) -> None:
    """Write the records of a document, row by row."""
    found = document.records
    as_cell = exact if found.exact else cell
    writer = csv.writer(out, lineterminator="\n" if found.exact else "\r\n")
    writer.writerow([text_cell(name) for name in found.names])
    writer.writerows([as_cell(value) for value in row] for row in found.rows)


def timestamp(instant: datetime | None) -> str | None:
    """Return ISO-8601 in UTC, to the microsecond.

    >>> timestamp(datetime(2026, 11, 23, 10, 0, tzinfo=UTC))
    '2026-11-23T10:00:00.000000Z'
    """
    if instant is None:
        return None
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def header(by: By, *, with_activity: bool = False) -> list[str]:
    """Return the names of the columns.

    Args:
        by: What a row is.
        with_activity: With what the table or index of a row did, at the end.

    part tells rows of the ranking from `residuals`, `own` (pgiostat itself) and the lines of the
    ledger: over an interval blocks_read of all parts adds up to the server's own count.
    """
    keys = [key.name for key in KEYS[by]]
    interval = [name for name in _INTERVAL if name not in keys]
    numbers = [column.name for column in columns_of(by, with_activity=with_activity)]
    return [*interval, "part", "rank", *keys, "share", *numbers]


def heading(
    since: datetime | None,
    until: datetime | None,
    ranking: Ranking,
    *,
    server: str,
    qualities: Iterable[str],
    coverage: float | None,
) -> dict[str, Value]:
    """Return the columns that are the same in all rows of an interval."""
    window = (timestamp(since), timestamp(until), ranking.seconds, server)
    values = (*window, "+".join(qualities), coverage, ranking.explained.operations_by)
    return dict(zip(_INTERVAL, values, strict=True))


def heading_of(delta: Delta, ranking: Ranking) -> dict[str, Value]:
    """Return the columns that are the same in all rows between two snapshots."""
    return heading(
        delta.since,
        delta.until,
        ranking,
        server=delta.newer.server.label,
        qualities=delta.qualities,
        coverage=coverage_of(delta),
    )


BALANCE = {
    "burst_balance": "burst balance at the end, as a share of a full bucket: lower bound",
    "burst_balance_high": "upper bound; differs after time without collection",
    "burst_demand_per_s": "demand on the volume per second, in its units",
}
"""The columns of an interval if a volume is named, and their meanings."""


def balance_of(balance: Balance | None) -> dict[str, Value]:
    """Return the columns of BALANCE; unknown before the first interval."""
    values = (None,) * 3 if balance is None else (balance.low, balance.high, balance.rate)
    return dict(zip(BALANCE, values, strict=True))


def records(interval: Mapping[str, Value], ranking: Ranking) -> Iterator[dict[str, Value]]:
    """Yield the rows of one interval, by column name; None is unknown."""
    with_activity = ranking.activity is not None
    columns = columns_of(ranking.by, with_activity=with_activity)

    def record(part: str, place: int | None, row: RankRow) -> dict[str, Value]:
        keys = {key.name: key.value(row) for key in KEYS[ranking.by]}
        numbers = {column.name: number(column, ranking, row) for column in columns}
        found = {**interval, "part": part, "rank": place, **keys, "share": row.share, **numbers}
        return found | {"server": row.server} if row.server else found

    for place, row in enumerate(ranking.rows, start=1):
        yield record("row", place, row)
    for part, extra in (("rest", ranking.rest), ("own", ranking.own)):
        if extra is not None:
            yield record(part, None, extra)
    name = KEYS[ranking.by][0].name if ranking.by is not By.STATEMENT else "query"
    for line in ranking.lines:
        yield {
            **dict.fromkeys(header(ranking.by, with_activity=with_activity)),
            **interval,
            "part": line.account.value,
            name: line.account.value,
            # What belongs to other intervals is no part of the total.
            "share": ranking.share(line.blocks) if line.is_of_interval else None,
            **of_blocks(ranking, line.blocks),
        }


class CsvWriter:
    """Writes intervals to a stream; the header once, at once.

    more: columns at the end, which intervals have besides.
    """

    def __init__(self, out: TextIO, by: By, more: Sequence[str] = ()) -> None:
        self._out = out
        self._names = [*header(by), *more]
        self._write([self._names])

    def write(self, interval: Mapping[str, Value], ranking: Ranking) -> None:
        """Write the rows of one interval and flush them."""
        found = records(interval, ranking)
        self._write([[cell(record[name]) for name in self._names] for record in found])

    def _write(self, rows: Sequence[Sequence[Value]]) -> None:
        # Whole rows at once: a program that reads meanwhile never gets half a row.
        text = StringIO()
        csv.writer(text).writerows(rows)
        self._out.write(text.getvalue())
        self._out.flush()


def cell(value: Value) -> Value:
    """Return a cell: a number of so many decimals, or a text as text_cell has it."""
    return round(value, DECIMALS) if isinstance(value, float) else exact(value)


def exact(value: Value) -> Value:
    """Return a cell with all digits of a number."""
    return text_cell(value) if isinstance(value, str) else value


def text_cell(text: str) -> str:
    r"""Return a text for a cell of CSV, which no spreadsheet takes for a formula.

    Where one would, an apostrophe comes first; so it does where the text itself begins with one.
    Spreadsheets of half of Europe divide cells at semicolons: behind one the first character of a
    formula is shown by its code. `original` returns the text, less one apostrophe at its beginning.

    >>> print(text_cell("=1+1"), text_cell("'=1"), text_cell("a;=1"), text_cell("a = b"))
    '=1+1 ''=1 a;\u003d1 a = b
    """
    shown = _AFTER_SEPARATOR.sub(lambda found: found[1] + code_of(ord(found[2])), terminal(text))
    return f"'{shown}" if _IS_FORMULA.match(shown) else shown
