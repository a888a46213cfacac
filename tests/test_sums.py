"""What is added up since a baseline, and what is forgotten of it."""

import numpy as np

from pgiostat.analysis.cost import FIELDS
from pgiostat.watch.model.running_totals import KEPT_GONE, SPARE, RunningTotals

READ = FIELDS.index("shared_blks_read")


def read(*blocks: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    amounts = np.zeros((len(FIELDS), len(blocks)), dtype=np.int64)
    amounts[READ] = blocks
    return amounts


def filled(count: int) -> RunningTotals[int]:
    """Return amounts of so many, each of which read as many blocks as its number says."""
    sums = RunningTotals[int]()
    sums.add(range(count), read(*range(count)), [False] * count)
    return sums


def test_what_was_handed_out_does_not_change_when_more_is_added() -> None:
    sums = filled(3)
    keys, amounts, uncertain = sums.keys, sums.amounts, sums.uncertain
    sums.add([2, 7, 7], read(5, 1, 1), [True, False, False])
    assert (keys, amounts[READ].tolist(), uncertain) == ([0, 1, 2], [0, 1, 2], [False] * 3)
    assert (sums.keys, sums.amounts[READ].tolist()) == ([0, 1, 2, 7], [0, 1, 7, 2])
    assert sums.uncertain == [False, False, True, False]


def test_of_what_has_gone_those_that_read_least_are_forgotten() -> None:
    count = KEPT_GONE + SPARE + 1
    sums = filled(count)
    assert sums.is_full
    keys, amounts, uncertain = sums.forget({0, 1})
    assert sorted(keys) == list(range(2, count - KEPT_GONE))
    assert (amounts[READ].tolist(), any(uncertain)) == (keys, False)
    assert sums.keys == [0, 1, *range(count - KEPT_GONE, count)]
    assert sums.amounts[READ].tolist() == sums.keys
    assert not sums.is_full


def test_one_that_comes_back_after_it_was_forgotten_is_a_lower_bound() -> None:
    sums = filled(KEPT_GONE + SPARE + 1)
    sums.forget(())
    sums.add([5, -1], read(1, 1), [False, False])
    assert (sums.keys[-2:], sums.uncertain[-2:]) == ([5, -1], [True, False])


def test_nothing_is_forgotten_while_all_live() -> None:
    sums = filled(KEPT_GONE + SPARE + 1)
    keys, _, _ = sums.forget(set(sums.keys))
    assert (keys, len(sums), sums.is_full) == ([], KEPT_GONE + SPARE + 1, False)
