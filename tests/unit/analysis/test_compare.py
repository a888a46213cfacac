"""What changed between two windows is found, what did not is not, and doubt is said."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from pgiostat.analysis.compare.comparability import MIN_STEPS, SteppedWindow
from pgiostat.analysis.compare.compare import Comparison, FingerprintPair, Per, compare, shown
from pgiostat.analysis.compare.significance import Verdict, change_of, quantity, student
from pgiostat.analysis.cost import FIELDS

WORK = {"version": (120, 2000.0), "manifest": (90, 760.0), "upload": (450, 30.0), "rare": (1, 4.0)}
"""Calls in a step, and blocks that each of them reads."""
GROUPS = [FingerprintPair(name, f"select {name}", (name, name)) for name in WORK]
TRIALS = 100
HALF = 40


def run(
    seed: int, steps: int = HALF, *, factor: Mapping[str, float] | None = None, alike: float = 0.3
) -> SteppedWindow:
    """Return a run under a load that wanders: calls come by chance, and each reads as it may."""
    dice = np.random.default_rng(seed)
    amounts = np.zeros((len(FIELDS), len(WORK), steps), dtype=np.int64)
    load = np.zeros(steps)
    for step in range(steps):
        before = load[step - 1] if step else dice.normal()
        load[step] = alike * before + np.sqrt(1 - alike**2) * dice.normal()
    for group, (name, (calls, blocks)) in enumerate(WORK.items()):
        called = dice.poisson(calls * np.exp(0.2 * load))
        each = blocks * (factor or {}).get(name, 1.0)
        read = dice.gamma(np.maximum(called, 1e-9) * 2, each / 2)
        amounts[FIELDS.index("calls"), group] = called
        amounts[FIELDS.index("shared_blks_read"), group] = read
        amounts[FIELDS.index("shared_blks_hit"), group] = read / 10
        amounts[FIELDS.index("timed_blocks"), group] = read
        amounts[FIELDS.index("read_us"), group] = read * dice.gamma(50, 0.04, steps)
    return SteppedWindow(np.full(steps, 10.0), amounts, 8192, 0.99)


def halves(side: SteppedWindow) -> tuple[SteppedWindow, SteppedWindow]:
    """Return the first and the second half of a run."""
    middle = len(side.seconds) // 2
    first, second = (
        replace(side, seconds=side.seconds[part], amounts=side.amounts[:, :, part])
        for part in (slice(None, middle), slice(middle, None))
    )
    return first, second


def verdicts(found: Comparison) -> dict[str, str]:
    """Return the verdict of the total and of each category."""
    return {row.name: str(row.reads.verdict) for row in (found.total, *found.categories)}


@pytest.mark.parametrize("per", [Per.SECOND, Per.CALL, Per.ANCHOR])
@pytest.mark.parametrize("alike", [0.0, 0.5])
def test_two_halves_of_a_steady_run_are_seldom_told_apart(per: Per, alike: float) -> None:
    alarms = 0
    for seed in range(TRIALS):
        found = compare(*halves(run(seed, 2 * HALF, alike=alike)), GROUPS, per, [2])
        rows = [found.total, *found.categories, *found.groups]
        quiet = {Verdict.SAME, Verdict.UNSURE, Verdict.NOT_JUDGED}
        alarms += any(row.reads.verdict not in quiet for row in rows)
    assert alarms < 5, f"{alarms} of {TRIALS}"


def test_a_fifth_more_reads_are_found() -> None:
    found: Counter[str] = Counter()
    for seed in range(TRIALS):
        after = run(1000 + seed, factor={"manifest": 1.2})
        told = verdicts(compare(run(seed), after, GROUPS, Per.CALL))
        found.update(f"{name} {told[name]}" for name in WORK)
    assert found["manifest worse"] == TRIALS
    assert found["version worse"] + found["version better"] < 5
    assert found["rare not judged"] == TRIALS


def test_unequal_traffic_is_made_equal_by_an_anchor() -> None:
    mirrored = run(2)
    mirrored = replace(mirrored, amounts=mirrored.amounts // 2)
    whole, half = run(1), mirrored
    assert verdicts(compare(whole, half, GROUPS)) == {
        "total": "better", "version": "better", "manifest": "better", "upload": "better",
        "rare": "not judged",
    }  # fmt: skip
    assert verdicts(compare(whole, half, GROUPS, Per.ANCHOR, [2])) == {
        "total": "no change", "version": "no change", "manifest": "no change",
        "upload": "no change", "rare": "not judged",
    }  # fmt: skip


def without(side: SteppedWindow, group: int) -> SteppedWindow:
    """Return a side in which a group is never called."""
    amounts = side.amounts.copy()
    amounts[:, group] = 0
    return replace(side, amounts=amounts)


def test_what_is_called_on_one_side_alone_vanished_or_appeared() -> None:
    whole, less = run(1), without(run(2), 1)
    assert verdicts(compare(whole, less, GROUPS))["manifest"] == "vanished"
    assert verdicts(compare(less, whole, GROUPS))["manifest"] == "appeared"
    seldom = without(whole, 1)
    for field in ("calls", "shared_blks_read"):
        seldom.amounts[FIELDS.index(field), 1, 5:9] = 40_000
    assert verdicts(compare(seldom, less, GROUPS))["manifest"] == "unsure"


def test_what_is_called_and_reads_no_more_got_better() -> None:
    cached = run(2)
    cached.amounts[FIELDS.index("shared_blks_read"), 0] = 0
    found = compare(run(1), cached, GROUPS)
    version = next(row for row in found.categories if row.name == "version")
    assert (version.reads.change, version.reads.verdict) == (-1.0, Verdict.BETTER)
    back = compare(cached, run(1), GROUPS)
    version = next(row for row in back.categories if row.name == "version")
    assert (version.reads.change, version.reads.verdict) == (None, Verdict.WORSE)


def test_a_statement_of_another_category_is_counted_where_it_is_on_each_side() -> None:
    groups = [replace(GROUPS[0], categories=("version", "other")), *GROUPS[1:]]
    found = compare(run(1), run(1), groups)
    assert [row.key for row in found.groups if row.moved] == ["version"]
    told = {row.name: [cost.calls for cost in row.costs] for row in found.categories}
    calls = int(run(1).amounts[FIELDS.index("calls"), 0].sum())
    assert (told["version"], told["other"]) == ([calls, 0], [0, calls])


def cooling(side: SteppedWindow, what: str, by: float) -> SteppedWindow:
    """Return a side in which something falls evenly from its beginning to its end."""
    amounts = side.amounts.copy()
    row = FIELDS.index(what)
    amounts[row] = amounts[row] * np.linspace(1, 1 - by, amounts.shape[2])
    return replace(side, amounts=amounts)


def slow(side: SteppedWindow, times: float = 100) -> SteppedWindow:
    """Return a side whose blocks come from storage: they take so many times as long."""
    amounts = side.amounts.copy()
    amounts[FIELDS.index("read_us")] = amounts[FIELDS.index("read_us")] * times
    return replace(side, amounts=amounts)


def hits(side: SteppedWindow, times: float) -> SteppedWindow:
    """Return a side with many more hits than reads."""
    amounts = side.amounts.copy()
    amounts[FIELDS.index("shared_blks_hit")] = amounts[FIELDS.index("calls")] * times
    return replace(side, amounts=amounts)


WARM = (
    "B is still warming up: {} fell by {} % from its first third to its last; compare a later"
    " window"
)
MISSES = "the share of blocks not found in shared_buffers"


@pytest.mark.parametrize(
    ("b", "told"),
    [
        (run(2, MIN_STEPS - 1), ["B has 11 steps; 12 are needed to estimate the variance"]),
        (replace(run(2), lost=0.25), ["counts of B are incomplete in 25 % of its time"]),
        (replace(run(2), coverage=0.5), ["statements explain only 50 % of the reads of B"]),
        (cooling(hits(run(2), 2000), "shared_blks_read", 0.6), [WARM.format(MISSES, 42)]),
        (cooling(slow(run(2)), "read_us", 0.6), [WARM.format("the time to read a block", 51)]),
        # Two microseconds at first: no storage is so quick, and one cache for another is no warmth.
        (cooling(run(2), "read_us", 0.6), []),
        (run(2), []),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_is_not(b: SteppedWindow, told: Sequence[str]) -> None:
    found = compare(run(1), b, GROUPS)
    assert list(found.reasons) == told
    judged = {row.reads.verdict for row in found.categories} != {Verdict.NOT_JUDGED}
    assert judged == (not told)
    assert (found.total.reads.low is None) == bool(told)


def test_two_sides_that_warm_up_alike_are_judged() -> None:
    a, b = (cooling(slow(run(seed)), "read_us", 0.6) for seed in (1, 2))
    assert compare(a, b, GROUPS).reasons == ()


def test_a_rate_is_as_sure_as_its_steps_agree() -> None:
    same = quantity(np.full(20, 30.0), np.full(20, 10.0))
    assert (same.value, same.spread) == (3.0, (0.0, 19.0))
    assert quantity(np.zeros(3), np.zeros(3)).value is None
    one = quantity(np.array([5.0]), np.array([2.0]))
    assert (one.value, one.spread) == (2.5, (float("inf"), 1.0))
    even = quantity(np.array([1.0, 3.0] * 10), np.full(20, 1.0))
    drifting = quantity(np.repeat([1.0, 3.0], 10), np.full(20, 1.0))
    assert even.value == drifting.value == 2.0
    assert drifting.spread[0] > 5 * even.spread[0]
    assert drifting.spread[1] < even.spread[1]


def day(seed: int, factor: float = 1.0) -> SteppedWindow:
    """Return a day of which the afternoon has many times the load of the night."""
    rhythm = 1 + 0.9 * np.sin(np.linspace(0, 2 * np.pi, 48, endpoint=False))
    side = run(seed, 48, alike=0.0)
    amounts = (side.amounts * rhythm * factor).astype(np.int64)
    return replace(side, amounts=amounts, places=tuple(range(48)))


def test_a_rhythm_that_both_have_is_no_doubt() -> None:
    alarms = 0
    for seed in range(TRIALS):
        found = verdicts(compare(day(seed), day(500 + seed), GROUPS))
        alarms += bool({"better", "worse"} & set(found.values()))
    assert alarms < 5
    assert verdicts(compare(day(1), day(2), GROUPS))["total"] == "no change"
    assert verdicts(compare(day(1), day(2, 1.2), GROUPS))["total"] == "worse"
    apart = [replace(day(seed), places=()) for seed in (1, 2)]
    assert verdicts(compare(apart[0], apart[1], GROUPS))["total"] == "unsure"


def gaps(side: SteppedWindow, seed: int) -> SteppedWindow:
    """Return a side of which some steps have no interval."""
    dice = np.random.default_rng(seed)
    left = np.flatnonzero(dice.random(len(side.seconds)) > 0.05)
    return replace(
        side,
        seconds=side.seconds[left],
        amounts=side.amounts[:, :, left],
        places=tuple(left.tolist()),
    )


def test_steps_that_one_side_lacks_are_left_out_of_both() -> None:
    alarms = 0
    for seed in range(TRIALS):
        a, b = gaps(day(seed), 2 * seed), gaps(day(500 + seed), 2 * seed + 1)
        found = compare(a, b, GROUPS)
        common = set(a.places) & set(b.places)
        assert found.paired
        assert found.left_out == (len(a.places) - len(common), len(b.places) - len(common))
        alarms += bool({"better", "worse"} & set(verdicts(found).values()))
    assert alarms < 5
    found = compare(gaps(day(1), 1), gaps(day(2, 1.2), 2), GROUPS)
    assert verdicts(found)["total"] == "worse"


def test_a_step_that_reaches_into_a_gap_has_no_partner() -> None:
    a, b = day(1), day(2)
    seconds = b.seconds.copy()
    seconds[7] *= 3
    found = compare(a, replace(b, seconds=seconds), GROUPS)
    assert (found.paired, found.left_out) == (True, (1, 1))


def test_sides_with_few_steps_in_common_are_compared_as_wholes() -> None:
    a, b = day(1), replace(day(2), places=tuple(range(20, 68)))
    found = compare(a, b, GROUPS)
    assert (found.paired, found.left_out) == (False, (0, 0))
    assert found.total.costs[1].calls == int(b.amounts[FIELDS.index("calls")].sum())


def test_what_surely_changed_most_is_first_by_what_is_measured() -> None:
    a = run(1)
    b = run(2, factor={"upload": 2.0, "manifest": 1.2})
    b.amounts[FIELDS.index("calls"), 3] *= 50  # seldom called, and hardly read
    per_call = compare(a, b, GROUPS, Per.CALL)
    assert [row.key for row in per_call.groups] == ["manifest", "upload", "version", "rare"]
    first, rest = shown(per_call, 1)
    assert [row.key for row in first] == ["manifest"]
    assert rest is not None
    others = per_call.groups[1:]
    assert rest.costs[0].calls == sum(row.costs[0].calls or 0 for row in others)
    assert rest.reads.a == rest.costs[0].blocks_per_call
    assert (rest.name, rest.reads.verdict) == ("3 others", Verdict.NOT_JUDGED)
    assert shown(per_call, 4)[1] is None
    assert shown(per_call, None) == (per_call.groups, None)
    anchored = shown(compare(a, b, GROUPS, Per.ANCHOR, [2]), 2)[1]
    assert anchored is not None
    calls = a.amounts[FIELDS.index("calls"), 2].sum()
    assert anchored.reads.a == anchored.costs[0].blocks / calls


def test_an_interval_holds_what_it_says() -> None:
    missed = 0
    for seed in range(400):
        a, b = run(seed, alike=0.0), run(5000 + seed, factor={"version": 1.5}, alike=0.0)
        rates = [
            quantity(side.amounts[3, 0].astype(float), side.amounts[0, 0].astype(float))
            for side in (a, b)
        ]
        found = change_of(rates[0], rates[1], 0.05)
        assert found.low is not None
        assert found.high is not None
        missed += not found.low <= 0.5 <= found.high
    assert 5 <= missed <= 35  # 20 of 400 are meant


@pytest.mark.parametrize(
    ("probability", "freedom", "table"),
    [(0.975, 5, 2.571), (0.995, 7, 3.499), (0.9995, 7, 5.408), (0.9995, 30, 3.646),
     (0.995, 120, 2.617), (0.99, 3, 4.541)],
)  # fmt: skip
def test_quantiles_are_those_of_the_tables(
    probability: float, freedom: float, table: float
) -> None:
    assert student(probability, freedom) == pytest.approx(table, rel=0.02)
