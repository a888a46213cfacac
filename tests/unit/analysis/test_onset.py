"""Since when a rate is as high as it is."""

import pytest

from pgiostat.analysis.onset import COMPARED, Onset, find_onset


@pytest.mark.parametrize(
    ("rates", "onset"),
    [
        ([], None),
        ([5], None),
        ([5, 5, 5, 6, 4], None),
        ([0, 0, 0], None),
        ([10, 10, 10, 0], None),  # it ended
        ([1, 1, 1, 10, 10, 10], Onset(3, 1.0)),
        ([1, 1, 1, 10], Onset(3, 1.0)),  # at once
        ([0, 0, 10, 1, 10, 10, 9], Onset(2, 0.0)),  # one low interval is no end
        ([10, 10, 1, 1, 10, 11, 9], Onset(4, 5.5)),  # the last rise, not the first
        ([3, 10, 10, 10], None),  # a single low interval
        ([3, 3, 10, 10, 10], Onset(2, 3.0)),
        ([6, 6, 10, 10, 10], None),  # less than twice as much
    ],
)
def test_the_last_rise_to_the_rate_of_now(rates: list[float], onset: Onset | None) -> None:
    assert find_onset(rates, [2.0] * len(rates)) == onset


def test_intervals_weigh_as_much_as_they_are_long() -> None:
    assert find_onset([0, 4, 40, 40, 40], [1, 3, 1, 1, 1]) == Onset(2, 3.0)


def test_the_mean_before_is_of_the_last_intervals_before_it() -> None:
    rates = [9.0] * 100 + [1.0] * COMPARED + [20.0] * 5
    assert find_onset(rates, [1.0] * len(rates)) == Onset(100 + COMPARED, 1.0)
