"""The format of a column of numbers: one unit and one precision for all its values."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any, TypeAlias

from pgiostat.render.document import Bound, Mark, TableColumn
from pgiostat.units import (
    UNKNOWN,
    format_bytes,
    format_change,
    format_count,
    format_coverage,
    format_ms,
    format_rate,
    format_share,
)

__all__ = ["Format", "column_format", "column_formats", "shown"]

Format: TypeAlias = Callable[[float | None], str]
"""Makes words of a number; None is unknown."""

_Units: TypeAlias = Sequence[tuple[float, str, float]]
"""Units from small to large: factor, suffix, and the number from which the next one is used."""

_COUNTS: _Units = (
    (1.0, "", 999_999.5),
    (1e3, " k", 99_999.5),
    (1e6, " M", 99_999.5),
    (1e9, " G", 99_999.5),
    (1e12, " T", inf),
)
_BYTES: _Units = (
    (1.0, " B", 999.5),
    (2.0**10, " KiB", 999.5),
    (2.0**20, " MiB", 999.5),
    (2.0**30, " GiB", 999.5),
    (2.0**40, " TiB", inf),
)
_MILLISECONDS: _Units = (
    (1e-3, " µs", 999.5),
    (1.0, " ms", 999.5),
    (1e3, " s", 119.5),
    (6e4, " min", 119.5),
    (3.6e6, " h", inf),
)
_WIDEST = 9_999.5
"""A smaller unit that shows the smallest value is used up to this number."""
_TEN, _HUNDRED = 9.995, 99.95
_NEARLY_ALL, _NEARLY_NONE = 0.9995, 0.00995
"""Shares from which one digit shows 100.0 %, and below which it shows one significant digit."""
_FACTOR_FROM = 3.0
"""Four times as much is shown as a factor: as in format_change."""


def column_format(each: Format, values: Iterable[float | None]) -> Format:
    """Return the format of a column.

    Args:
        each: The format of a single value.
        values: The values of the column.

    >>> blocks = [90_562, 108_400, 1.5, 0, None]
    >>> [column_format(format_count, blocks)(value) for value in blocks]
    ['90,562', '108,400', '2', '0', '–']
    >>> times = [8.2, 0.003]
    >>> [column_format(format_ms, times)(value) for value in times]
    ['8,200 µs', '3 µs']
    """
    make = _OF.get(each)
    if make is None:
        return each
    return make([value for value in values if value is not None and isfinite(value)])


def column_formats(
    columns: Sequence[TableColumn], rows: Iterable[Sequence[Any]]
) -> list[Callable[[Any], str] | None]:
    """Return the format of each column of a table; None for a column of names.

    >>> columns = [TableColumn(f"{side}/s", format=format_count, quantity="/s") for side in "ab"]
    >>> a, b = column_formats(columns, [[20_539, 0.5]])
    >>> a(20_539), b(0.5)
    ('20,539', '<1')
    """
    numbers: dict[tuple[Any, str | int], list[float | None]] = {}
    keys = [(column.format, column.quantity or n) for n, column in enumerate(columns)]
    for row in rows:
        for key, cell in zip(keys, row, strict=True):
            number = _number(cell)
            if number is not None:
                numbers.setdefault(key, []).append(number)
    return [each and column_format(each, numbers.get((each, of), ())) for each, of in keys]


def _number(cell: Any) -> float | None:
    """Return the number of a cell; None if it has none, or an unknown one."""
    value = cell.value if isinstance(cell, Mark) else cell
    value = value.value if isinstance(value, Bound) else value
    return value if isinstance(value, int | float) else None


def shown(value: Any, each: Callable[[Any], str]) -> str:
    """Return a value of a column as text: text as it is, and ~ before a bound.

    >>> shown("no room", format_count), shown(Bound(5), format_count), shown(None, format_count)
    ('no room', '~5', '–')
    """
    if isinstance(value, str):
        return value
    return f"~{each(value.value)}" if isinstance(value, Bound) else each(value)


@dataclass(frozen=True, slots=True)
class _Scaled:
    """Numbers in one unit with one precision; what rounds to nothing is less than its last digit.

    >>> [_Scaled(1.0, " B", 1)(value) for value in (0.04, 0.0, -0.04, -0.2, 12.34)]
    ['<0.1 B', '0.0 B', '>-0.1 B', '-0.2 B', '12.3 B']
    """

    factor: float
    suffix: str
    digits: int

    def __call__(self, value: float | None) -> str:
        if value is None:
            return UNKNOWN
        number = round(value / self.factor, self.digits)
        if number:
            return f"{number:,.{self.digits}f}{self.suffix}"
        if value:
            sign = "<" if value > 0 else ">-"
            return f"{sign}{10**-self.digits:.{self.digits}f}{self.suffix}"
        return f"{0:.{self.digits}f}{self.suffix}"


def _digits(greatest: float) -> int:
    return 2 if greatest < _TEN else 1 if greatest < _HUNDRED else 0


def _scaled(units: _Units, values: Sequence[float], more_digits: int = 0) -> _Scaled:
    """Return the unit of the greatest value; a smaller one if that alone shows the smallest.

    Args:
        more_digits: Digits that values keep below the number from which the next unit is used.
    """
    sizes = [abs(value) for value in values if value]
    greatest, least = max(sizes, default=0.0), min(sizes, default=0.0)
    place = next(n for n, (factor, _, end) in enumerate(units) if greatest / factor < end)
    if not sizes:
        place = next(n for n, (factor, _, _) in enumerate(units) if factor == 1.0)
    while True:
        factor, suffix, end = units[place]
        in_unit = greatest / factor
        digits = max(_digits(in_unit), more_digits) if in_unit < end else 0
        is_shown = round(least / factor, digits) > 0
        if is_shown or not sizes or not place or greatest / units[place - 1][0] >= _WIDEST:
            break
        place -= 1
    if factor == 1.0 and all(float(value).is_integer() for value in values):
        digits = 0
    return _Scaled(factor, suffix, digits)


def _counts(values: Sequence[float]) -> Format:
    """Return the format of counts and rates.

    >>> [_counts([45.0, 7.0, 0.1])(value) for value in (45.0, 7.0, 0.1)], _counts([3])(3)
    (['45.0', '7.0', '0.1'], '3')
    >>> [_counts([2.5e6, 400])(value) for value in (2.5e6, 400, 0)]
    ['2,500 k', '400', '0']
    """
    scaled = _scaled(_COUNTS, values)
    if scaled.factor == 1.0:
        return scaled

    def plain_if_small(value: float | None) -> str:
        is_small = value is not None and not round(value / scaled.factor, scaled.digits)
        return format_count(value) if is_small else scaled(value)

    return plain_if_small


def _rates(values: Sequence[float]) -> Format:
    """Return the format of rates of calls and scans: with one decimal below ten.

    >>> [_rates([728.0, 4.96, 0.02])(value) for value in (728.0, 15.2, 4.96, 0.02, 0)]
    ['728', '15', '5.0', '<0.1', '0']
    >>> [_rates([21.5, 5.0])(value) for value in (21.5, 5.0)], _rates([0.25, 3])(0.25)
    (['21.5', '5.0'], '0.25')
    """
    counts = _counts(values)
    greatest = max(map(abs, values), default=0.0)
    if greatest < _HUNDRED:
        return counts

    def with_decimal(value: float | None) -> str:
        return format_rate(value) if value and abs(value) < _TEN else counts(value)

    return with_decimal


def _bytes(values: Sequence[float]) -> Format:
    """Return the format of bytes.

    >>> [_bytes([161 * 2**20, 2**19, 12_288])(value) for value in (161 * 2**20, 2**19, 12_288)]
    ['161.0 MiB', '0.5 MiB', '<0.1 MiB']
    >>> [_bytes([5 * 2**20, 2**10])(value) for value in (5 * 2**20, 2**10)], _bytes([0])(0)
    (['5,120 KiB', '1 KiB'], '0 B')
    """
    return _scaled(_BYTES, values, more_digits=1)


def _milliseconds(values: Sequence[float]) -> Format:
    """Return the format of milliseconds.

    >>> [_milliseconds([0.0028, 0.0302])(value) for value in (0.0028, 0.0302)]
    ['2.8 µs', '30.2 µs']
    >>> _milliseconds([45_000.0])(45_000.0), _milliseconds([450.0])(450.0), _milliseconds([])(0.0)
    ('45.0 s', '450 ms', '0 ms')
    """
    return _scaled(_MILLISECONDS, values)


@dataclass(frozen=True, slots=True)
class _Shares:
    """Shares in per cent; what is not all of it never looks like all.

    >>> [_Shares(1)(value) for value in (None, 1.0, 0.9996, 0.5, 0.0004, -0.00001, -0.2)]
    ['–', '100.0 %', '>99.9 %', '50.0 %', '<0.1 %', '0.0 %', '-20.0 %']
    """

    digits: int

    def __call__(self, value: float | None) -> str:
        if value is not None and 1 - 10.0 ** -(self.digits + 2) / 2 <= value < 1:
            return f">{100 - 10.0**-self.digits:.{self.digits}f} %"
        is_nothing = value is not None and value < 0 and not round(value * 100, self.digits)
        return _Scaled(0.01, " %", self.digits)(0.0 if is_nothing else value)


def _shares(values: Sequence[float]) -> Format:
    """Return the format of shares: with a second digit where nearly all or nearly none is shown.

    >>> [_shares([0.9996, 0.5])(value) for value in (0.9996, 0.5)], _shares([0.004])(0.004)
    (['99.96 %', '50.00 %'], '0.40 %')
    """
    nearly_all = any(_NEARLY_ALL <= value < 1 for value in values)
    nearly_none = 0 < max(map(abs, values), default=0.0) < _NEARLY_NONE
    return _Shares(2 if nearly_all or nearly_none else 1)


def _coverages(values: Sequence[float]) -> Format:
    """Return the format of coverages: statements that lead the server's counters explain all.

    >>> _coverages([1.004, 0.5])(1.004)
    '100.0 %'
    """
    shares = _shares([min(value, 1.0) for value in values])
    return lambda value: shares(None if value is None else min(value, 1.0))


def _changes(_values: Sequence[float]) -> Format:
    return _change


def _change(value: float | None) -> str:
    """Return a change in per cent, or as a factor.

    >>> [_change(value) for value in (None, 0.0, -0.5, 0.004, -0.0001, 4.0, 1500.0, inf)]
    ['–', '0.0 %', '-50.0 %', '+0.4 %', '0.0 %', '× 5.0', '× 1,501', '× ∞']
    """
    if value is None:
        return UNKNOWN
    if value >= _FACTOR_FROM:
        return format_change(value)
    percent = round(value * 100, 1)
    return f"{percent:+.1f} %" if percent else "0.0 %"


_OF: dict[Format, Callable[[Sequence[float]], Format]] = {
    format_count: _counts,
    format_rate: _rates,
    format_bytes: _bytes,
    format_ms: _milliseconds,
    format_share: _shares,
    format_coverage: _coverages,
    format_change: _changes,
}
"""How a column is formatted, by the format of a single value."""
