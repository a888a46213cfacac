"""The plots of a statement: rates of the last minutes, with round numbers at the axes."""

from itertools import pairwise
from math import ceil, floor, log10

from textual_plotext import PlotextPlot

from pgiostat.render.column_format import column_format
from pgiostat.units import format_count
from pgiostat.watch.model.session import RateHistory

__all__ = ["plot", "round_ticks", "time_ticks"]

LEAST_GAP_SECONDS = 0.5
MOST_STEPS = 5
_STEPS = (1.0, 2.0, 5.0, 10.0)
_SECONDS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600)


def round_ticks(highest: float) -> list[float]:
    """Return round numbers at equal distances, from 0 to the first that is not below the highest.

    >>> round_ticks(1934.0), round_ticks(0.7)
    ([0.0, 500.0, 1000.0, 1500.0, 2000.0], [0.0, 0.2, 0.4, 0.6, 0.8])
    >>> round_ticks(100.0), round_ticks(0.0)
    ([0.0, 20.0, 40.0, 60.0, 80.0, 100.0], [0.0, 1.0])
    """
    if highest <= 0:
        return [0.0, 1.0]
    power = 10.0 ** floor(log10(highest / MOST_STEPS))
    step = next(each * power for each in _STEPS if ceil(highest / (each * power)) <= MOST_STEPS)
    return [float(f"{number * step:.6g}") for number in range(ceil(highest / step) + 1)]


def time_ticks(seconds: float) -> list[float]:
    """Return round numbers of seconds at equal distances, from 0 to the last within a length.

    >>> time_ticks(287.0), time_ticks(3.0)
    ([0, 60, 120, 180, 240], [0, 1, 2, 3])
    >>> time_ticks(0.0)
    [0.0]
    """
    fitting = (each for each in _SECONDS if seconds / each <= MOST_STEPS)
    step = next(fitting, _SECONDS[-1])
    return [round(number * step, 1) for number in range(floor(seconds / step) + 1)]


def plot(on: PlotextPlot, past: RateHistory, values: tuple[float, ...], title: str) -> None:
    """Draw rates over the seconds before now."""
    plt = on.plt
    plt.clear_data()
    plt.title(title)
    plt.xlabel("seconds ago")
    for first, last in _stretches(past):
        ago = [(past.ends[-1] - end).total_seconds() for end in past.ends[first:last]]
        plt.plot([-each for each in ago], list(values[first:last]), marker="braille")
    if past.ends:
        ticks = time_ticks((past.ends[-1] - past.ends[0]).total_seconds())
        plt.xticks([-tick for tick in ticks], [f"{tick:g}" for tick in ticks])
        heights = round_ticks(max(values, default=0.0))
        plt.ylim(0, heights[-1])
        plt.yticks(heights, list(map(column_format(format_count, heights), heights)))
    on.refresh()


def _stretches(past: RateHistory) -> list[tuple[int, int]]:
    """Return the places of intervals that follow each other: nothing is known between them."""
    gaps = [
        place
        for place in range(1, len(past.ends))
        if (past.begins[place] - past.ends[place - 1]).total_seconds() > LEAST_GAP_SECONDS
    ]
    edges = [0, *gaps, len(past.ends)]
    return list(pairwise(edges)) if past.ends else []
