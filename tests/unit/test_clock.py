"""How long to wait before another attempt."""

from itertools import cycle

import pytest

from pgiostat.clock import Backoff
from pgiostat.collector import schedule
from pgiostat.history.write import background
from pgiostat.postgres.sampler import Sampler
from pgiostat.queries.describe import uncategorized
from pgiostat.volume.device import sampler as device_sampler
from pgiostat.watch import reader


def delays(backoff: Backoff, attempts: int = 8) -> list[float]:
    return [backoff.delay(failures) for failures in range(1, attempts + 1)]


def test_each_delay_is_twice_the_one_before_up_to_the_longest() -> None:
    assert delays(Backoff(first=1.0, longest=30.0)) == [1, 2, 4, 8, 16, 30, 30, 30]
    assert delays(Backoff(first=60.0, longest=60.0), 3) == [60, 60, 60]
    # An interval may be longer than the longest delay.
    assert delays(Backoff(first=86_400.0, longest=30.0), 2) == [30, 30]


def test_failures_without_end_overflow_nothing() -> None:
    assert Backoff(first=0.1, longest=1e9).delay(10**9) == 0.1 * 2**10
    assert Backoff(first=60.0, longest=3600.0).delay(10**9) == 3600


@pytest.mark.parametrize(("chance", "share"), [(0.0, 1.0), (0.5, 0.75), (1.0, 0.5)])
def test_jitter_shortens_a_delay_by_chance(chance: float, share: float) -> None:
    backoff = Backoff(first=1.0, longest=4.0, jitter=0.5, chance=lambda: chance)
    assert delays(backoff, 4) == [share, 2 * share, 4 * share, 4 * share]


def test_a_backoff_has_no_state() -> None:
    chances = cycle([0.0, 1.0])
    backoff = Backoff(first=2.0, longest=8.0, jitter=0.5, chance=lambda: next(chances))
    assert [backoff.delay(2) for _ in range(4)] == [4.0, 2.0, 4.0, 2.0]


def bounds(backoff: Backoff) -> tuple[float, float, float]:
    return backoff.first, backoff.longest, backoff.jitter


def test_the_delays_of_each_loop() -> None:
    assert bounds(reader.RETRY) == (1.0, 30.0, 0.0)
    assert bounds(schedule.RETRY) == (1.0, 60.0, 0.5)
    assert bounds(background.RETRY) == (60.0, 3600.0, 0.0)
    assert bounds(device_sampler.RETRY) == (60.0, 60.0, 0.0)
    sampler = Sampler("", 10.0, uncategorized, lambda _: False)
    for failures, longest in ((1, 10.0), (2, 20.0), (3, 30.0), (50, 30.0)):
        assert longest / 2 <= sampler._retry_delay(failures) <= longest
