"""Operations of statements: the regression, its parts, and its properties."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgiostat.analysis.operations import (
    AccessKind,
    Context,
    Intervals,
    Operations,
    StatementCounts,
    WindowEstimate,
    estimate,
)
from pgiostat.analysis.operations.alignment import align
from pgiostat.analysis.operations.estimate import PieceEstimate
from pgiostat.analysis.operations.evidence import evidence_of
from pgiostat.analysis.operations.least_squares import Prior, fit, solve_bounded
from pgiostat.analysis.operations.lumping import lump
from tests.support.synthetic_reads import CLASSES, SyntheticClass, synthetic_reads

SEEDS = st.integers(0, 10_000)


def server_operations(intervals: Intervals) -> float:
    """Return all operations of a server."""
    return float(intervals.bulk.operations.sum() + intervals.normal.operations.sum())


def estimated(intervals: Intervals) -> WindowEstimate:
    """Return the estimate, which there must be."""
    found = estimate(intervals)
    assert found is not None
    return found


def test_blocks_are_carried_until_the_server_counts_them() -> None:
    parts = np.array([[10.0, 0.0], [0.0, 10.0], [0.0, 0.0]])
    server = np.array([4.0, 8.0, 20.0])
    assert align(parts, server).tolist() == [[4.0, 0.0], [3.0, 5.0], [3.0, 5.0]]


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_aligned_blocks_exceed_neither_count(seed: int) -> None:
    dice = np.random.default_rng(seed)
    parts = dice.integers(0, 100, size=(20, 3)).astype(float)
    server = dice.integers(0, 300, size=20).astype(float)
    aligned = align(parts, server)
    assert (aligned.sum(axis=1) <= server + 1e-9).all()
    assert (np.cumsum(aligned, axis=0) <= np.cumsum(parts, axis=0) + 1e-9).all()


@given(SEEDS)
@settings(max_examples=60, deadline=None)
def test_a_bounded_minimum_cannot_be_improved(seed: int) -> None:
    dice = np.random.default_rng(seed)
    k = int(dice.integers(1, 9))
    root = dice.normal(size=(k + 2, k))
    normal = root.T @ root + np.eye(k) * 1e-3
    target = dice.normal(size=k) * 10
    low, high = np.zeros(k), np.full(k, 2.0)
    found = solve_bounded(normal, target, low, high)
    slope = normal @ found - target
    inside = (found > low) & (found < high)
    assert ((found >= low) & (found <= high)).all()
    assert np.abs(slope[inside]).max(initial=0.0) < 1e-4
    assert (slope[found <= low] > -1e-4).all()
    assert (slope[found >= high] < 1e-4).all()


def test_a_fit_finds_the_operations_for_each_block() -> None:
    dice = np.random.default_rng(1)
    design = dice.integers(0, 1000, size=(200, 2)).astype(float)
    prior = Prior(np.full(2, 0.9), np.full(2, 0.35), np.full(2, 1 / 16), np.ones(2))
    found = fit(design, design @ [0.25, 0.75], prior)
    assert np.round(found.values, 3).tolist() == [0.25, 0.75]
    assert (np.sqrt(found.covariance.diagonal()) < 0.01).all()


def test_without_blocks_a_fit_is_its_prior() -> None:
    prior = Prior(np.array([0.9]), np.array([0.35]), np.zeros(1), np.ones(1))
    found = fit(np.zeros((5, 1)), np.zeros(5), prior)
    assert found.values.tolist() == [0.9]
    assert found.covariance.tolist() == [[pytest.approx(0.1225)]]


def test_an_outlier_does_not_move_a_fit() -> None:
    dice = np.random.default_rng(2)
    design = dice.integers(100, 1000, size=(100, 1)).astype(float)
    observed = design[:, 0] * 0.5 + dice.normal(size=100)
    observed[7] += 5_000
    prior = Prior(np.array([0.9]), np.array([0.35]), np.array([1 / 16]), np.ones(1))
    assert fit(design, observed, prior).values[0] == pytest.approx(0.5, abs=0.01)


def test_kinds_follow_from_the_counters_of_tables() -> None:
    found = estimated(synthetic_reads(3).intervals)
    assert dict(zip([each.name for each in CLASSES], found.kinds, strict=True)) == {
        "scan": AccessKind.BULK,
        "med": AccessKind.BULK,
        "small": AccessKind.SMALL_SCAN,
        "lookup": AccessKind.INDEX,
        "range": AccessKind.INDEX,
        "bitmap": AccessKind.STREAM,
        "dense": AccessKind.STREAM,
    }


def test_packed_and_scattered_bitmap_scans_differ_in_rows_of_a_block() -> None:
    evidence = evidence_of(synthetic_reads(3).intervals)
    packed = dict(zip([each.name for each in CLASSES], evidence.packed, strict=True))
    assert packed["bitmap"] == pytest.approx(1.1 / 8, abs=0.02)
    assert packed["dense"] == pytest.approx(7.0 / 8, abs=0.05)


def test_without_counters_of_tables_all_kinds_are_open() -> None:
    intervals = replace(synthetic_reads(3).intervals, tables=None)
    assert estimated(intervals).kinds == (AccessKind.OPEN,) * len(CLASSES)


def test_many_lookups_of_a_large_table_are_no_scan() -> None:
    # A call touches more blocks than the table has, and another statement scans that table.
    nested = SyntheticClass("nested", 1, 0.5, 6_000, 0.2, 1.0, index_rows=0.4)
    scan = SyntheticClass("scan", 1, 0.3, 1_500, 0.9, 0.17, scans=1)
    reads = synthetic_reads(4, classes=(nested, scan))
    found = estimated(reads.intervals)
    assert found.kinds == (AccessKind.INDEX, AccessKind.BULK)
    assert found.of_statements().operations == pytest.approx(reads.truth, rel=0.05)


def test_a_limit_that_ends_large_scans_is_part_of_bulkread() -> None:
    page = SyntheticClass("page", 0, 0.8, 1_500, 0.9, 0.2, scans=1)
    lookup = SyntheticClass("lookup", 0, 4.0, 300, 0.35, 1.0, index_rows=0.4)
    reads = synthetic_reads(5, classes=(page, lookup))
    found = estimated(reads.intervals).of_statements()
    assert found.operations == pytest.approx(reads.truth, rel=0.05)
    assert found.is_known.tolist() == [True, True]


@given(SEEDS)
@settings(max_examples=15, deadline=None)
def test_operations_add_up_to_the_server_and_stay_within_bounds(seed: int) -> None:
    intervals = synthetic_reads(seed, seconds=120).intervals
    found = estimated(intervals)
    each = found.of_statements()
    assert each.operations.sum() + found.rest_operations == pytest.approx(
        server_operations(intervals), rel=1e-12
    )
    assert (each.operations >= each.blocks / intervals.combine - 1e-6).all()
    assert (each.operations <= each.blocks + 1e-6).all()
    assert ((each.low <= each.operations) & (each.operations <= each.high)).all()
    assert found.rest_operations >= -1e-6


@given(SEEDS)
@settings(max_examples=10, deadline=None)
def test_the_order_of_statements_does_not_matter(seed: int) -> None:
    intervals = synthetic_reads(seed, seconds=120).intervals
    order = np.random.default_rng(seed).permutation(len(CLASSES))
    assert intervals.tables is not None
    other = replace(
        intervals,
        statements=intervals.statements.of(order),
        tables=replace(intervals.tables, touches=intervals.tables.touches[order]),
    )
    first, second = estimated(intervals), estimated(other)
    assert [first.kinds[i] for i in order] == list(second.kinds)
    for name in ("operations", "low", "high"):
        expected = getattr(first.of_statements(), name)[order]
        assert getattr(second.of_statements(), name) == pytest.approx(expected, rel=1e-4)


def test_intervals_hold_the_truth() -> None:
    held, known, near = [], [], []
    for seed in range(40):
        reads = synthetic_reads(seed)
        found = estimated(reads.intervals).of_statements()
        held.append((found.low <= reads.truth) & (reads.truth <= found.high))
        known.append(found.is_known)
        near.append(np.abs(found.operations / reads.truth - 1.0) <= 0.25)
    assert np.mean(held) >= 0.95
    assert np.mean(known) >= 0.6
    assert np.mean(np.array(near)[np.array(known)]) >= 0.99


def test_a_group_is_surer_than_its_statements() -> None:
    found = estimated(synthetic_reads(6).intervals)
    names = [each.name for each in CLASSES]
    group = np.array([[float(name in {"small", "dense"}) for name in names]])
    each, together = found.of_statements(), found.grouped(group)
    members = group[0] > 0
    assert together.operations[0] == pytest.approx(each.operations[members].sum())
    assert together.blocks[0] == pytest.approx(each.blocks[members].sum())
    width = together.high - together.low
    assert width[0] < (each.high - each.low)[members].sum()


def test_groups_of_one_are_the_statements() -> None:
    found = estimated(synthetic_reads(6).intervals)
    each, grouped = found.of_statements(), found.grouped(np.eye(len(CLASSES)))
    for name in ("blocks", "operations", "low", "high"):
        assert getattr(grouped, name) == pytest.approx(getattr(each, name))


def test_statements_that_read_least_are_fitted_as_one() -> None:
    intervals = synthetic_reads(7).intervals
    fitted, lumped = lump(intervals, most=4)
    blocks = intervals.statements.blocks
    largest = np.argsort(-blocks.sum(axis=0), kind="stable")
    assert lumped.places[largest].tolist() == [0, 1, 2, 3, 4, 4, 4]
    assert fitted.statements.blocks.shape == (300, 5)
    assert fitted.statements.blocks.sum() == blocks.sum()
    assert lumped.shares(blocks.sum(axis=0))[largest[4:]].sum() == pytest.approx(1.0)


def test_hundreds_of_statements_add_up() -> None:
    classes = tuple(replace(CLASSES[i % 7], calls=0.3, name=str(i)) for i in range(300))
    intervals = synthetic_reads(8, classes=classes, seconds=60).intervals
    found = estimated(intervals)
    each = found.of_statements()
    assert len(each.operations) == 300
    assert each.operations.sum() + found.rest_operations == pytest.approx(
        server_operations(intervals)
    )
    assert not each.is_known[
        [i for i, kind in enumerate(found.kinds) if kind is AccessKind.OPEN]
    ].any()


@pytest.mark.parametrize(("seconds", "pieces"), [(120, 1), (300, 1), (340, 2), (900, 3)])
def test_a_long_window_is_cut_into_pieces(seconds: int, pieces: int) -> None:
    found = estimated(synthetic_reads(9, seconds=seconds).intervals)
    assert len(found.pieces) == pieces


def piece(blocks: float, operations: float, variance: float) -> PieceEstimate:
    """Return a piece with one statement."""
    return PieceEstimate(
        blocks=np.array([blocks]),
        operations=np.array([operations]),
        places=np.array([0]),
        shares=np.ones(1),
        covariance=np.array([[variance]]),
        variance=np.zeros(1),
        edges=np.array([1.0]),
        combine=16,
        rest_blocks=2.0,
        rest_operations=1.0,
    )


def test_half_widths_of_pieces_are_added() -> None:
    found = WindowEstimate((AccessKind.OPEN,), (piece(1000, 500, 100.0), piece(2000, 700, 400.0)))
    # 1.96 * 1.25 * (10 + 20), two per cent of 1,200, and one operation at the edges of each.
    half = 73.5 + 24.0 + 2.0
    each = found.of_statements()
    assert (each.blocks.tolist(), each.operations.tolist()) == ([3000.0], [1200.0])
    assert each.low.tolist() == [pytest.approx(1200 - half)]
    assert each.high.tolist() == [pytest.approx(1200 + half)]
    assert (found.rest_blocks, found.rest_operations) == (4.0, 2.0)


def test_an_interval_stays_within_what_is_possible() -> None:
    each = WindowEstimate((AccessKind.OPEN,), (piece(1600, 800, 1e6),)).of_statements()
    assert (each.low.tolist(), each.high.tolist()) == ([100.0], [1633.0])


def test_a_number_is_known_if_its_interval_is_narrow() -> None:
    operations = np.full(4, 100.0)
    low = np.array([70.0, 69.0, 90.0, 100.0])
    high = np.array([130.0, 110.0, 131.0, 100.0])
    found = Operations(operations, operations, low, high)
    assert found.is_known.tolist() == [True, False, False, True]


def test_few_intervals_are_not_enough() -> None:
    intervals = synthetic_reads(10, seconds=300).intervals
    assert estimate(intervals.part(0, 11)) is None
    assert estimate(intervals.part(0, 12)) is not None


def test_a_server_that_reads_nothing_has_no_estimate() -> None:
    nothing = np.zeros((30, 1))
    idle = Context(np.zeros(30), np.zeros(30))
    counts = StatementCounts(nothing, nothing, nothing)
    assert estimate(Intervals(np.ones(30), counts, idle, idle, 2048, 16)) is None


def test_reads_that_no_statement_counts_are_the_rest() -> None:
    nothing = np.zeros((30, 1))
    others = Context(np.full(30, 5.0), np.full(30, 5.0))
    idle = Context(np.zeros(30), np.zeros(30))
    counts = StatementCounts(nothing, nothing, nothing)
    found = estimated(Intervals(np.ones(30), counts, idle, others, 2048, 16))
    assert (found.rest_blocks, found.rest_operations) == (150.0, 150.0)
    assert found.of_statements().operations.tolist() == [0.0]
