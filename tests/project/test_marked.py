"""The judge of tests.attack.faults: what it takes for exact, for reported and for wrong."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.attack._marked import Execution, Figures, Interval, judged

BEGIN = datetime(2026, 11, 23, 10, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


EXECUTIONS = [Execution(at(second + 0.5), 100) for second in range(6)]
"""One each second, in the middle of an interval."""


def figures(*calls: int, loses: int = -1, lost: int = -1) -> Figures:
    """Return what a reader said, second by second; loses, lost: intervals that it reports."""
    intervals = [
        Interval(at(n), at(n + 1), loses=n == loses, calls=each, blocks=100 * each)
        for n, each in enumerate(calls)
        if n != lost
    ]
    return Figures(intervals, [(at(lost), at(lost + 1))] if lost >= 0 else [])


@pytest.mark.parametrize(
    ("said", "loses", "cell", "is_wrong"),
    [
        (figures(1, 1, 1, 1, 1, 1), False, "exact", False),
        (figures(1, 1, 1, 1, 1, 1), True, "exact", False),
        (figures(1, 1, 1, 1, 1, 1, loses=2), True, "reported", False),
        (figures(1, 1, 0, 1, 1, 1, loses=2), True, "reported", False),
        (figures(1, 1, 0, 1, 1, 1, lost=2), True, "reported", False),
        # Reported, but there was no need to lose anything.
        (figures(1, 1, 0, 1, 1, 1, loses=2), False, "reported", True),
        # Not reported, or not where it was lost.
        (figures(1, 1, 0, 1, 1, 1), True, "wrong", True),
        (figures(1, 1, 0, 1, 1, 1, loses=4), True, "wrong", True),
        (figures(1, 0, 0, 1, 1, 1, lost=2), True, "wrong", True),
        # Counted twice, also where something is reported as lost.
        (figures(1, 2, 1, 1, 1, 1), True, "wrong", True),
        (figures(1, 1, 9, 1, 1, 1, loses=2), True, "wrong", True),
    ],
)
def test_figures_are_judged_by_the_times_that_are_reported_as_lost(
    said: Figures, *, loses: bool, cell: str, is_wrong: bool
) -> None:
    verdict = judged(said, EXECUTIONS, loses=loses)
    assert (verdict.cell, bool(verdict.wrong)) == (cell, is_wrong)


def test_an_execution_whose_connection_ended_may_be_counted_or_not() -> None:
    uncertain = [*EXECUTIONS, Execution(at(5.6), 100, certain=False)]
    assert [
        judged(figures(1, 1, 1, 1, 1, last), uncertain, loses=False).cell for last in (0, 1, 2, 3)
    ] == ["wrong", "exact", "exact", "wrong"]


def test_blocks_are_judged_as_calls_are() -> None:
    interval = Interval(at(0), at(6), loses=False, calls=6, blocks=601)
    assert judged(Figures([interval]), EXECUTIONS, loses=True).cell == "wrong"
