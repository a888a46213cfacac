"""Blocks in transit: what returns is no loss, and a loss settles in time."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgiostat.analysis.in_transit import InTransit, Settlement
from pgiostat.analysis.ledger import LedgerLine, reconcile, total_of
from pgiostat.analysis.server_reads import ServerReads, reads_of
from pgiostat.statistics.delta import Delta, Earlier
from pgiostat.statistics.difference import diff
from tests.support.readings import WITHOUT_TOPLEVEL, at, reading, settings

RATE = 1000


def settled(
    intervals: Sequence[tuple[int, int]],
    *,
    seconds: float = 1.0,
    counts: dict[int, dict[str, int]] | None = None,
    transactions: dict[int, float] | None = None,
) -> Iterator[tuple[int, int, int]]:
    """Yield blocks in transit, of catalogs and unattributed of intervals.

    intervals: Blocks of statements and of the server.  counts: others of the server, by interval.
    transactions: Ages of the oldest transaction.
    """
    state = InTransit()
    for number, (explained, blocks) in enumerate(intervals):
        more: dict[str, Any] = dict((counts or {}).get(number, {}))
        reads = replace(ServerReads(blocks=blocks, autovacuum_blocks=0), **more)
        age = (transactions or {}).get(number, 0.0)
        left = blocks - explained
        state, found = state.note(seconds, age, explained, reads).settle(left)
        yield found.in_transit, found.catalogs, left - found.in_transit - found.catalogs


def lagging(count: int, lag: float, spread: float, seed: int = 1) -> list[tuple[int, int]]:
    """Return intervals of a steady load, of which the server counts parts later."""
    chance = random.Random(seed)  # noqa: S311 - a load, no secret
    owed, found = 0, []
    for _ in range(count):
        explained = RATE + chance.randrange(-200, 200)
        late = round(RATE * chance.uniform(lag - spread, lag + spread))
        counted = max(0, owed + explained - late)
        owed += explained - counted
        found.append((explained, counted))
    return found


@pytest.mark.parametrize(
    ("lag", "spread"), [(0.5, 0.5), (0.2, 0.2), (9, 2), (0.0, 0.3)],
)  # fmt: skip
def test_a_steady_load_is_never_unattributed(lag: float, spread: float) -> None:
    load = lagging(600, lag, spread)
    # The first intervals are of a server that worked before.
    found = list(settled(load[50:]))
    for (_, blocks), (_, _, unattributed) in zip(load[50:], found, strict=True):
        assert -0.01 * blocks <= unattributed <= 0.02 * blocks


@pytest.mark.parametrize("lag", [0.5, 9])
def test_a_failed_statement_is_shown_when_no_lag_can_explain_it(lag: float) -> None:
    load = lagging(200, lag, lag / 3)
    explained, blocks = load[100]
    load[100] = (explained, blocks + 50_000)
    found = [unattributed for *_, unattributed in settled(load, counts={100: {"failures": 1}})]
    shown = next(n for n in range(100, 200) if sum(found[100:n]) > 40_000)
    assert 112 <= shown <= 115
    # What is early at that moment hides as much of the loss.
    assert 50_000 - (2 + 4 / 3 * lag) * RATE <= sum(found) <= 52_000


def test_a_session_that_idles_reports_within_ten_seconds() -> None:
    load = [(RATE, RATE)] * 40 + [(20_000, 300)] + [(0, 0)] * 9 + [(0, 19_700)] + [(0, 0)] * 30
    found = list(settled(load))
    assert [(each, *others) for each, *others in found if each] == [
        (-19_700, 0, 0), (19_700, 0, 0),
    ]  # fmt: skip


def test_a_parallel_scan_is_counted_by_the_server_first() -> None:
    load = [(RATE, RATE)] * 40 + [(RATE, 9 * RATE)] * 5 + [(41 * RATE, RATE)] + [(RATE, RATE)] * 40
    assert all(unattributed == 0 for *_, unattributed in settled(load))


def test_what_was_read_before_the_first_interval_is_no_loss() -> None:
    found = list(settled([(RATE, RATE)] * 5 + [(RATE, 30_000)] + [(RATE, RATE)] * 60))
    assert all(unattributed == 0 for *_, unattributed in found)
    assert sum(in_transit for in_transit, *_ in found) == 29_000


def test_a_transaction_of_before_the_first_interval_is_waited_for() -> None:
    load = [(RATE, RATE)] * 70 + [(RATE, 30_000)] + [(RATE, RATE)] * 40
    old = {n: 100.0 + n for n in range(70)}
    assert all(unattributed == 0 for *_, unattributed in settled(load, transactions=old))
    assert sum(unattributed for *_, unattributed in settled(load)) == 29_000


def test_a_failure_beside_a_transaction_of_before_the_first_interval_is_shown() -> None:
    load = [(RATE, RATE)] * 50 + [(RATE, 50_000 + RATE)] + [(RATE, RATE)] * 40
    counts = {50: {"failures": 1}}
    for age, expected in ((2.0, 50_000), (100.0, 0)):
        old = {n: age + n for n in range(91)}
        found = settled(load, transactions=old, counts=counts)
        assert sum(unattributed for *_, unattributed in found) == expected


def test_a_large_failure_is_shown_in_the_first_seconds() -> None:
    load = [(RATE, RATE)] * 3 + [(RATE, 50_000 + RATE)] + [(RATE, RATE)] * 30
    found = [unattributed for *_, unattributed in settled(load, counts={3: {"failures": 1}})]
    assert (found.index(50_000), sum(found)) == (15, 50_000)


def test_a_transaction_may_hold_its_reads_for_as_long_as_it_runs() -> None:
    load = [(RATE, RATE)] * 40 + [(RATE, 0)] * 200 + [(RATE, 201 * RATE)] + [(RATE, RATE)] * 40
    ages = {40 + n: float(n) for n in range(200)}
    assert all(unattributed == 0 for *_, unattributed in settled(load, transactions=ages))


def test_counts_that_never_agree_are_unattributed_after_the_longest_lag() -> None:
    """Relations that are dropped with their reads: the server never counts a tenth."""
    found = list(settled([(RATE, 900)] * 3000))
    assert [unattributed for *_, unattributed in found[-100:]] == [-100] * 100
    assert -sum(in_transit for in_transit, *_ in found) <= 61 * RATE


def test_catalogs_take_what_lasts_up_to_their_own_reads() -> None:
    load = [(RATE, RATE + 10)] * 200
    counts = {n: {"catalog_blocks": 12} for n in range(200)}
    found = list(settled(load, counts=counts))
    assert all(unattributed == 0 for *_, unattributed in found)
    assert [catalogs for _, catalogs, _ in found[60:]] == [10] * 140


@pytest.mark.parametrize(
    ("cause", "expected"),
    [({}, 0), ({"failures": 1}, 700), ({"evictions": 1}, 700)],
)
def test_a_cause_lets_a_small_difference_settle_at_once(
    cause: dict[str, int], expected: int
) -> None:
    load = [(RATE, RATE)] * 60 + [(RATE, RATE + 700)] + [(RATE, RATE)] * 13
    found = [unattributed for *_, unattributed in settled(load, counts={60: cause})]
    # Without a cause a minute of reads is the measure: 700 of 60,000.
    assert max(found) == (expected or 11)


DRIFTS = ["each second", "each ten seconds", "failed", "evicted"]
LAGS = [(0.5, 0.5), (0.2, 0.2), (0.0, 0.3)]


def losing(
    lag: float, spread: float, drift: float, kind: str
) -> tuple[list[tuple[int, int]], dict[int, dict[str, int]]]:
    """Return a lagging load that loses a share of its reads, and the causes in its intervals."""
    chance = random.Random(7)  # noqa: S311 - a load, no secret
    load, counts, due = lagging(900, lag, spread, seed=5), {}, 0.0
    for number, (explained, blocks) in enumerate(load):
        due += drift * explained
        if kind == "each second" or chance.random() < 0.1:
            load[number] = (explained, blocks + round(due))
            due = 0.0
            counts[number] = {
                "failures": int(kind == "failed"),
                "evictions": int(kind == "evicted"),
            }
    return load, counts


@pytest.mark.parametrize("kind", DRIFTS)
@pytest.mark.parametrize(("lag", "spread"), LAGS)
def test_a_steady_small_loss_settles_as_it_comes(lag: float, spread: float, kind: str) -> None:
    outside = intervals = 0
    for drift in (0.003, 0.006, 0.009):
        load, counts = losing(lag, spread, drift, kind)
        found = [each for *_, each in settled(load, counts=counts)]
        shares = [
            each / blocks for (_, blocks), each in zip(load, found, strict=True) if blocks > 100
        ]
        outside += sum(not -0.01 <= share <= 0.02 for share in shares)
        intervals += len(shares)
        # The last minutes have the loss as it is, but for what is in transit.
        read = sum(blocks for _, blocks in load[-300:])
        assert sum(found[-300:]) / read == pytest.approx(drift, rel=0.35)
    assert outside <= intervals / 1000


@pytest.mark.parametrize("drift", [0.03, 0.05])
def test_a_large_steady_loss_has_no_lumps(drift: float) -> None:
    load, counts = losing(0.5, 0.3, drift, "each second")
    found = [each for *_, each in settled(load, counts=counts)]
    assert max(found) <= 2 * drift * RATE
    for start in range(300, 900, 60):
        assert sum(found[start : start + 60]) / 60 == pytest.approx(drift * RATE, rel=0.35)


def test_a_loss_beside_a_steady_loss_is_shown_at_once_and_alone() -> None:
    load, counts = losing(0.5, 0.3, 0.01, "each second")
    plain = [each for *_, each in settled(load, counts=counts)]
    explained, blocks = load[500]
    load[500] = (explained, blocks + 50_000)
    counts[500] = {"failures": 1}
    found = [each for *_, each in settled(load, counts=counts)]
    more = [a - b for a, b in zip(found, plain, strict=True)]
    # The interval with the loss has a larger part of what rises slowly.
    assert max(map(abs, more[:512])) <= 300
    assert 48_000 <= sum(more[512:515]) <= 50_000


@given(
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 5000)), min_size=1, max_size=150),
    st.sampled_from([0.5, 1.0, 10.0, 60.0]),
)
def test_the_parts_add_up_and_what_is_early_is_bounded(
    load: list[tuple[int, int]], seconds: float
) -> None:
    counts = {n: {"catalog_blocks": n % 7} for n in range(len(load))}
    found = list(settled(load, seconds=seconds, counts=counts))
    for (explained, blocks), parts in zip(load, found, strict=True):
        assert sum(parts) == blocks - explained
        assert parts[1] >= 0


def delta(seconds: float, read: int, blocks: int, **changes: str) -> Delta:
    """Return an interval of ten seconds."""
    first, last = (
        reading(
            seconds + 10 * n,
            [{"queryid": 1, "calls": n, "shared_blks_read": read * n}],
            databases=[{"datid": 5, "blks_read": blocks * n}],
            relations=[{"relid": 1259, "blks_read": 5 * n}],
            settings=settings(**changes),
        )
        for n in (1, 2)
    )
    return diff(first, last)


def test_an_interval_gets_its_settlement() -> None:
    state, found = InTransit().advance(delta(0, 70, 100))
    assert found == Settlement(
        30,
        0,
        {
            "rollbacks": 0, "failures": None, "evictions": 0, "utility_untracked": 0,
            "held_cursors": None, "blocks_added": 0,
        },
    )  # fmt: skip
    assert found is not None
    applied = found.applied(delta(0, 70, 100))
    assert (applied.in_transit, applied.settled_catalogs) == (30, 0)
    assert state != InTransit()
    assert state.advance(diff(None, reading(0))) == (InTransit(), None)
    assert state.advance(delta(20, 70, 0, track_counts="off")) == (InTransit(), None)


def test_nested_statements_that_are_counted_twice_are_not_in_transit() -> None:
    once = delta(0, 150, 100, pg_stat_statements__track="all")
    twice = replace(
        once,
        newer=replace(
            once.newer, statements=reading(0, [{"queryid": 1}], table=WITHOUT_TOPLEVEL).statements
        ),
    )
    assert InTransit().advance(twice) == (InTransit(), Settlement(0, 0, {}))


def test_the_age_of_a_transaction_is_that_at_the_end_of_an_interval() -> None:
    held = delta(0, 100, 0)
    markers = replace(held.newer.markers, oldest_transaction=at(-400))
    old = replace(held, newer=replace(held.newer, markers=markers))
    noted = InTransit().note(10.0, 420.0, 100, reads_of(old), (at(10), at(20)))
    assert InTransit().advance(old) == noted.settle(-100)
    assert InTransit().advance(held) != noted.settle(-100)


def test_ticks_add_up_to_their_window() -> None:
    load = lagging(100, 0.5, 0.5)
    parts = [
        ServerReads(
            blocks=blocks, autovacuum_blocks=0, in_transit_blocks=in_transit,
            settled_catalog_blocks=catalogs,
        )
        for (_, blocks), (in_transit, catalogs, _) in zip(load, settled(load), strict=True)
    ]  # fmt: skip
    ticks: dict[LedgerLine, int] = {}
    for (explained, _), part in zip(load, parts, strict=True):
        for line in reconcile(explained, part):
            ticks[line.account] = ticks.get(line.account, 0) + line.blocks
    window = reconcile(sum(explained for explained, _ in load), ServerReads.total(parts))
    assert {line.account: line.blocks for line in window} == ticks


def settlements(
    load: Sequence[tuple[int, int]], counts: dict[int, dict[str, int]] | None = None
) -> list[Settlement]:
    """Return the settlements of intervals of a second each, the first of which begins at 0."""
    state, found = InTransit(), []
    for number, (explained, blocks) in enumerate(load):
        more: dict[str, Any] = dict((counts or {}).get(number, {}))
        reads = replace(ServerReads(blocks=blocks, autovacuum_blocks=0), **more)
        times = (at(number), at(number + 1))
        state, settlement = state.note(1.0, 0.0, explained, reads, times).settle(blocks - explained)
        found.append(settlement)
    return found


def total(load: tuple[int, int], settlement: Settlement) -> int:
    """Return the reads of an interval."""
    earlier = settlement.earlier or Earlier(0)
    return total_of(
        load[0],
        ServerReads(
            blocks=load[1],
            in_transit_blocks=settlement.in_transit,
            earlier_blocks=earlier.blocks,
        ),
    )


@pytest.mark.parametrize("count", [1, 8])
def test_a_loss_is_of_the_time_of_its_reads_and_no_part_of_the_interval_that_settles_it(
    count: int,
) -> None:
    load = [(RATE, RATE)] * 120
    for number in range(60, 60 + count):
        load[number] = (RATE, RATE + 40_000 // count)
    found = settlements(load, {59 + count: {"failures": 1}})
    shown = {n: each.earlier for n, each in enumerate(found) if each.earlier is not None}
    # Each second of it settles after twelve seconds.
    assert shown == {
        72 + n: Earlier(40_000 // count, 0, at(60 + n), at(61 + n)) for n in range(count)
    }
    assert {total(*each) for each in zip(load, found, strict=True)} == {RATE}


def test_a_loss_of_many_busy_sessions_is_found_by_its_mean() -> None:
    load = lagging(300, 0.6, 0.5, seed=3)
    explained, blocks = load[150]
    load[150] = (explained, blocks + RATE)
    found = settlements(load, {150: {"failures": 1}})
    shown = {n: each.earlier for n, each in enumerate(found) if each.earlier is not None}
    (number,) = shown
    assert 150 + 12 <= number <= 150 + 13
    assert 0.7 * RATE <= shown[number].blocks <= 1.3 * RATE
    assert shown[number].since == at(150)
    # Without a failure as much is the variation of the load, or settles slowly.
    assert all(each.earlier is None for each in settlements(load))


def test_losses_that_come_again_and_again_are_of_their_intervals() -> None:
    load = [(RATE, RATE)] * 60 + [(RATE, RATE + 300)] * 600
    found = settlements(load, {n: {"evictions": 1} for n in range(60, 660)})
    last = {n for n, settlement in enumerate(found) if settlement.earlier is not None}
    assert 72 <= min(last) <= max(last) <= 132
    late = list(zip(load, found, strict=True))[-120:]
    assert sum(total(*each) for each in late) == pytest.approx(120 * (RATE + 300), rel=0.02)


def test_catalogs_that_were_read_at_once_are_of_that_time() -> None:
    load = [(RATE, RATE)] * 60 + [(RATE, RATE + 5000)] + [(RATE, RATE)] * 60
    found = settlements(load, {60: {"catalog_blocks": 6000}})
    earlier = {n: each.earlier for n, each in enumerate(found) if each.earlier is not None}
    ((number, line),) = earlier.items()
    assert number == 72
    assert line == Earlier(5000, found[number].catalogs, at(60), at(61))
    assert line.catalogs >= 4900
    assert {total(*each) for each in zip(load, found, strict=True)} <= set(range(RATE, RATE + 20))


def test_reads_that_the_server_never_counted_are_of_the_time_of_the_statements() -> None:
    load = [(RATE, RATE)] * 40 + [(50_000, 0)] + [(10, 10)] * 100
    found = settlements(load)
    earlier = {n: each.earlier for n, each in enumerate(found) if each.earlier is not None}
    assert earlier != {}
    assert all(each.blocks < 0 for each in earlier.values())
    assert all(total(*each) >= 0 for each in zip(load, found, strict=True))


@given(
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 5000)), min_size=1, max_size=150),
    st.sets(st.integers(0, 150)),
)
def test_what_is_earlier_was_counted_before(load: list[tuple[int, int]], failed: set[int]) -> None:
    found = settlements(load, {n: {"failures": 1, "catalog_blocks": 9 * n} for n in failed})
    for number, settlement in enumerate(found):
        line = settlement.earlier
        if line is not None and line.blocks > 0:
            assert line.since is not None
            assert line.until is not None
            assert line.since < line.until <= at(number)
            assert line.catalogs <= settlement.catalogs
