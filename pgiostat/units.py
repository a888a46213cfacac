"""Units: all conversions, and single numbers as text; `render.column_format` does columns."""

import re
from datetime import timedelta
from enum import StrEnum

__all__ = [
    "MICROSECOND",
    "UNKNOWN",
    "Unit",
    "blocks_to_bytes",
    "format_await",
    "format_bytes",
    "format_change",
    "format_count",
    "format_counted",
    "format_coverage",
    "format_duration",
    "format_ms",
    "format_rate",
    "format_share",
    "format_version",
    "milliseconds_to_us",
    "per_second",
    "us_to_milliseconds",
]

UNKNOWN = "–"
"""How an unknown value is shown. Unknown is not zero."""

US_PER_MS = 1000
MICROSECOND = timedelta(microseconds=1)


class Unit(StrEnum):
    """What a number counts; the value is the suffix of a CSV header."""

    NONE = ""
    CALLS = "calls"
    ROWS = "rows"
    BLOCKS = "blocks"
    BYTES = "bytes"
    OPERATIONS = "operations"
    MILLISECONDS = "ms"
    FILES = "files"
    TRANSACTIONS = "transactions"
    SCANS = "scans"
    RUNS = "runs"
    PERCENT = "%"


def blocks_to_bytes(blocks: int, block_size: int) -> int:
    """Return bytes; block_size is the server's own setting (8192 unless built otherwise).

    >>> blocks_to_bytes(3, 8192)
    24576
    """
    return blocks * block_size


_SETTING = re.compile(r"(\d+)(B|kB|MB|GB|TB)")


def bytes_of_setting(text: str) -> int | None:
    """Return the bytes of a setting as SHOW writes it; None if it is no size.

    >>> bytes_of_setting("128kB"), bytes_of_setting("16GB"), bytes_of_setting("on")
    (131072, 17179869184, None)
    """
    found = _SETTING.fullmatch(text)
    if found is None:
        return None
    return int(found[1]) << 10 * ("B", "kB", "MB", "GB", "TB").index(found[2])


def milliseconds_to_us(milliseconds: float) -> int:
    """Return whole microseconds: sums of integers do not depend on their order.

    >>> milliseconds_to_us(1.2346)
    1235
    """
    return round(milliseconds * US_PER_MS)


def us_to_milliseconds(us: float) -> float:
    """Return milliseconds, the unit of PostgreSQL's own time columns.

    >>> us_to_milliseconds(1235)
    1.235
    """
    return us / US_PER_MS


def per_second(amount: float | None, seconds: float) -> float | None:
    """Return a rate over the measured time, or None where there is none.

    >>> per_second(5, 10.0)
    0.5
    >>> per_second(5, 0.0) is None
    True
    """
    if amount is None or seconds <= 0:
        return None
    return amount / seconds


_ONE_DECIMAL_BELOW = 9.995
_TEN = 9.995
_HUNDRED = 99.95
_THOUSAND = 999.5
_WHOLE_BELOW = 99_999.5


def _digits(value: float) -> str:
    """Return three significant digits below a thousand, without trailing noise."""
    size = abs(value)
    if size == 0:
        return "0"
    if size < _TEN:
        return f"{value:.2f}"
    if size < _HUNDRED:
        return f"{value:.1f}"
    return f"{value:.0f}"


def format_count(value: float | None) -> str:
    """Return a count or a rate as a person reads it.

    >>> [format_count(x) for x in (None, 0, 0.5, 12.34, 842, 842.4, 68_473, 1_234_567, 5.1e9)]
    ['–', '0', '0.50', '12.3', '842', '842', '68,473', '1.23 M', '5.10 G']
    >>> format_count(3e15), format_count(2e5), format_count(0.0)
    ('3e+15', '200 k', '0')
    >>> format_count(-4277)
    '-4,277'
    """
    if value is None:
        return UNKNOWN
    size = abs(value)
    if size < _THOUSAND:
        return _whole_or_digits(value)
    if size < _WHOLE_BELOW:
        return f"{value:,.0f}"
    for factor, suffix in ((1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T")):
        if size < _THOUSAND * factor:
            return f"{_digits(value / factor)} {suffix}"
    return f"{value:.3g}"


def format_rate(value: float | None) -> str:
    """Return a rate of calls or scans per second: with one decimal below ten, and never 0 if any.

    >>> [format_rate(x) for x in (None, 0, 3, 0.004, 0.05, 0.96, 7.54, 9.96, 21.5, 153.2, 68_473)]
    ['–', '0', '3', '<0.1', '0.1', '1.0', '7.5', '10.0', '21.5', '153', '68,473']
    """
    if value is None or float(value).is_integer() or abs(value) >= _ONE_DECIMAL_BELOW:
        return format_count(value)
    return f"{value:.1f}" if abs(value) >= 0.05 else "<0.1" if value > 0 else ">-0.1"  # noqa: PLR2004 - rounds to nothing


def format_counted(count: float, noun: str) -> str:
    """Return a number of things, the noun in its form.

    >>> format_counted(1, "call"), format_counted(1234, "call"), format_counted(2, "entry")
    ('1 call', '1,234 calls', '2 entries')
    """
    if count != 1:
        noun = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{format_count(count)} {noun}"


def _whole_or_digits(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else _digits(value)


def format_bytes(value: float | None) -> str:
    """Return bytes in binary units.

    >>> [format_bytes(x) for x in (None, 0, 512, 8192, 68_473 * 8192, 3 * 2**40)]
    ['–', '0 B', '512 B', '8.00 KiB', '535 MiB', '3.00 TiB']
    """
    if value is None:
        return UNKNOWN
    size = float(value)
    for suffix in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(size) < _THOUSAND or suffix == "TiB":
            break
        size /= 1024
    return f"{_whole_or_digits(size) if suffix == 'B' else _digits(size)} {suffix}"


def format_ms(value: float | None) -> str:
    """Return milliseconds, in the unit that suits them.

    >>> [format_ms(x) for x in (None, 0, 0.0042, 0.15, 12.0, 45_000.0, 360_000.0, 7_200_000.0)]
    ['–', '0 ms', '4.20 µs', '0.15 ms', '12.0 ms', '45.0 s', '6.00 min', '2.00 h']
    """
    if value is None:
        return UNKNOWN
    size = abs(value)
    if size == 0:
        return "0 ms"
    if size < 0.1:  # noqa: PLR2004 - below a tenth of a millisecond microseconds read better
        return f"{_digits(value * 1000)} µs"
    if size < _THOUSAND:
        return f"{_digits(value)} ms"
    for factor, limit, suffix in ((1e3, 120, "s"), (6e4, 120, "min"), (3.6e6, 1e9, "h")):
        if size < limit * factor:
            return f"{_digits(value / factor)} {suffix}"
    return f"{value:.3g} ms"


def format_await(value: float | None) -> str:
    """Return the mean time of a read in milliseconds, whatever it is: a screen keeps its unit.

    >>> [format_await(x) for x in (None, 0, 0.0042, 0.15, 12.0, 99.996, 2_500.0)]
    ['–', '0.00 ms', '<0.01 ms', '0.15 ms', '12.00 ms', '100.0 ms', '2,500 ms']
    """
    if value is None:
        return UNKNOWN
    if 0 < value < 0.005:  # noqa: PLR2004 - rounds to nothing
        return "<0.01 ms"
    digits = 2 if value < 99.995 else 1 if value < 999.95 else 0  # noqa: PLR2004 - eight cells
    return f"{value:,.{digits}f} ms"


def format_duration(seconds: float | None) -> str:
    """Return the length of an interval.

    >>> [format_duration(x) for x in (None, 0.25, 2.004, 61, 120, 3700, 7200)]
    ['–', '0.25 s', '2.0 s', '1 min 1 s', '2 min', '1 h 1 min', '2 h']
    """
    if seconds is None:
        return UNKNOWN
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    first, second = ((hours, "h"), (minutes, "min")) if hours else ((minutes, "min"), (rest, "s"))
    return " ".join(f"{number} {unit}" for number, unit in (first, second) if number)


def format_share(share: float | None) -> str:
    """Return a share of the whole in per cent.

    >>> [format_share(x) for x in (None, 0, 0.00004, 0.0123, 0.5, 0.99964, 1, -0.00001, -0.2)]
    ['–', '0 %', '<0.01 %', '1.23 %', '50.0 %', '99.96 %', '100 %', '0.00 %', '-20.0 %']
    """
    if share is None:
        return UNKNOWN
    percent = share * 100
    if percent in (0, 100):
        return f"{percent:.0f} %"
    if abs(percent) < 0.005 or 0 < percent < 0.01:  # noqa: PLR2004 - two decimals show none of it
        return "<0.01 %" if percent > 0 else "0.00 %"
    if 99.9 <= percent < 100:  # noqa: PLR2004 - where the missing part is the news
        return f"{min(percent, 99.99):.2f} %"
    return f"{_digits(percent)} %"


def format_coverage(coverage: float | None) -> str:
    """Return what share of the server's reads statements explain, at most all of them.

    Statements that lead the server's counters, which come up to 10 s later, explain all.

    >>> [format_coverage(x) for x in (None, 0.5, 1.004)]
    ['–', '50.0 %', '100 %']
    """
    return format_share(None if coverage is None else min(coverage, 1.0))


def format_change(change: float | None) -> str:
    """Return how much more or less in per cent; many times as much as a factor.

    >>> [format_change(x) for x in (None, 0, -0.5, 0.123, 0.004, -0.0001, 4.0, 15.2, float("inf"))]
    ['–', '0 %', '-50 %', '+12 %', '+0.4 %', '-0.01 %', '× 5.0', '× 16', '× ∞']
    >>> format_change(-0.00002), format_change(0.00002)
    ('0.00 %', '0.00 %')
    """
    if change is None:
        return UNKNOWN
    if change == float("inf"):
        return "× ∞"
    if change >= 3:  # noqa: PLR2004 - four times as much is read better than +300 %
        factor = change + 1
        return f"× {factor:.1f}" if factor < 10 else f"× {factor:,.0f}"  # noqa: PLR2004
    percent = change * 100
    if not percent:
        return "0 %"
    if abs(percent) < 0.1:  # noqa: PLR2004
        # A sign may be all that two decimals leave of it.
        return f"{percent:+.2f} %" if abs(percent) >= 0.005 else "0.00 %"  # noqa: PLR2004
    return f"{percent:+.1f} %" if abs(percent) < 10 else f"{percent:+.0f} %"  # noqa: PLR2004


def format_version(version_num: int) -> str:
    """Return a server's version from its server_version_num.

    >>> format_version(180004), format_version(130023)
    ('18.4', '13.23')
    """
    return f"{version_num // 10_000}.{version_num % 10_000}"
