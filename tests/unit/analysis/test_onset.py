"""Since when a rate is as high as it is."""

import pytest

from pgiostat.analysis.onset import COMPARED, Onset, find_onset


@pytest.mark.parametrize(
    ("rates", "onset"),
    [
        ([], None),
        ([5], None),
        ([5, 5, 5, 6, 4, 5, 6], None),
        ([0] * 8, None),
        ([10] * 8 + [0], None),  # it ended
        ([1] * 6 + [10] * 3, Onset(6, 1.0)),
        ([1] * 6 + [10], Onset(6, 1.0)),  # at once
        ([1] * 6 + [3], None),  # one interval, and not so much more
        ([1] * 6 + [3, 3], None),
        ([1] * 6 + [3, 3, 3], Onset(6, 1.0)),
        ([1] * 4 + [10] * 4, None),  # too little is known of before
        ([0] * 6 + [10, 1, 10, 10, 9], Onset(6, 0.0)),  # one low interval is no end
        ([10] * 6 + [1] * 15 + [10, 11, 9], Onset(21, 1.0)),  # the last rise
        ([10] * 6 + [1] * 3 + [10, 11, 9], None),  # a pause of three intervals
        ([1] * 5 + [9] + [1] * 4 + [10] * 4, Onset(10, 1.8)),  # one that is high before it
        ([6] * 6 + [10] * 4, None),  # less than twice as much
        ([0, 9_150, 0, 8_976, 12_000, 0, 0, 11_000, 9_000, 0, 10_000, 12_000], None),  # bursts
    ],
)
def test_the_last_rise_to_the_rate_of_now(rates: list[float], onset: Onset | None) -> None:
    assert find_onset(rates, [2.0] * len(rates)) == onset


def test_a_rise_stays_where_it_is() -> None:
    rates = [4.0, 5.0, 3.0, 4.0, 6.0, 5.0, 4.0] + [30.0, 24.0, 36.0, 28.0, 33.0, 20.0] * 20
    places = {
        onset.place
        for end in range(9, len(rates))
        if (onset := find_onset(rates[:end], [2.0] * end)) is not None
    }
    assert places == {7}


def test_intervals_weigh_as_much_as_they_are_long() -> None:
    rates = [0, 0, 0, 0, 0, 4, 40, 40, 40]
    assert find_onset(rates, [1, 1, 1, 1, 1, 15, 1, 1, 1]) == Onset(6, 3.0)


def test_the_mean_before_is_of_the_last_intervals_before_it() -> None:
    rates = [9.0] * 100 + [1.0] * COMPARED + [20.0] * 5
    assert find_onset(rates, [1.0] * len(rates)) == Onset(100 + COMPARED, 1.0)
