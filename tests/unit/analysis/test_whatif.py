"""What would be read: the range, by hand, and on the command line."""

import csv
import io
import json
from math import exp, log
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from benchmarks.whatif import POLICIES, case, drops, range_of_0_1
from benchmarks.whatif_systems import judge, runs
from pgiostat import open_history
from pgiostat.analysis.whatif import (
    Amounts,
    Assumption,
    ChangeKind,
    Estimate,
    Touches,
    estimate,
    parse,
)
from pgiostat.errors import PgiostatError
from tests.support.program import pgiostat

SAMPLE = str(Path(__file__).parents[3] / "sample_data" / "history")
HAD = {"version": Amounts(600, 400), "manifest": Amounts(300, 700), "upload": Amounts(100, 100)}


# Of version 400 of 1,000 touches are hits, so it is touched ln(1000 / 600) = 0.51 times in a life.
# Both sums are 2,200 touches and 1,000 reads.


@pytest.mark.parametrize(
    ("supposed", "low", "high"),
    [
        # 400 are left, of 1,200 touches.  Space of (1000 - 600) / 0.51 = 783 blocks, each of which
        # saves ln(1200 / 400) = 1.10 at most, is enough for all of them.  Of 800 hits 600 go.
        (["--drop version"], 0, 1000),
        (["--calls version=0"], 0, 1000),
        # 900 are left, of 2,000 touches.  Space of (200 - 100) / ln 2 = 144, each saves ln(20 / 9).
        (["--drop upload"], 900 - 100 / log(2) * log(20 / 9), 1000),
        # 900 are gone, of 2,000 touches; of 100 hits that uploads had all may be others' doing.
        (["--drop version", "--drop manifest"], 0, 200),
        # Half of 1,000 touches stay: the 300 read may be among them, or none of them is.  Space of
        # (500 - 150) / ln(10 / 3) goes, and each saves ln(1700 / 700).  Where the category touches
        # x times in a life and others y times, with x + y = ln(10 / 3), it keeps at most 0.3605 of
        # its touches warm for others (at y = 1.1): of 500 touches 180.23.
        (["--calls manifest=0.5"], 700 - 350 / log(10 / 3) * log(17 / 7), 1180.234892),
        # 900 of 1,000 go, and all reads may be theirs, or 100 stay, and are all read.
        (["--calls manifest=0.1"], 700 - 630 / log(10 / 3) * log(13 / 7), 1124.422805),
        (["--reads version=0.5"], 700 - 200 / log(10 / 6) * log(17 / 7), 1000),
        # Twice the calls: all found, or 1,000 more read that push 1,000 of 1,200 hits out.
        (["--calls version=2"], 1000, 3000),
        (["--reads version=1.5"], 1000, 1600),
    ],
)
def test_the_range_is_what_it_says(supposed: list[str], low: float, high: float) -> None:
    asked = []
    for each in supposed:
        how, _, what = each.removeprefix("--").partition(" ")
        name, _, factor = what.partition("=")
        asked.append(Assumption(name, ChangeKind(how), float(factor or 0)))
        assert str(asked[-1]) == each
    found = estimate(HAD, asked)
    assert found.now == 1000
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-6)


def test_a_category_that_only_finds_frees_space_and_kept_blocks_warm() -> None:
    found = estimate(
        {"a": Amounts(0, 5000), "b": Amounts(1000, 3000)}, [Assumption("a", ChangeKind.DROP)]
    )
    # 4,999 / ln 5000 blocks of space, each of which saves ln 4 reads.
    assert found.low == pytest.approx(1000 - 4999 / log(5000) * log(4))
    # Others touch a block 1.16 times in a life, the category 7.36 times: 0.04939 of its touches.
    assert found.high == pytest.approx(1000 + 0.0493949 * 5000, abs=1e-2)
    for blocks in (900, 920, 1000, 1050):
        assert blocks in found


def test_few_hits_of_others_bound_what_they_may_miss() -> None:
    had = {"version": Amounts(900, 0), "upload": Amounts(100, 50)}
    found = estimate(had, [Assumption("version", ChangeKind.DROP)])
    # Space of 900 blocks, each of which saves ln 1.5 reads, is enough for the 100 that are left.
    assert found == Estimate(1000, 0, 150, found.point)
    assert found.point == pytest.approx(1.2838, abs=1e-4)
    assert found.width == pytest.approx(0.15)
    assert 150 in found
    assert 151 not in found


def test_few_hits_of_all_make_the_range_narrow() -> None:
    found = estimate(
        {"a": Amounts(1000, 10), "b": Amounts(9000, 10)}, [Assumption("a", ChangeKind.DROP)]
    )
    # 1 - 1 / 10 of the 9,000 by what is pushed out; others found 10 at most because a read them.
    assert found == Estimate(10_000, 8100, 9010, found.point)
    assert found.point == pytest.approx(8998.88, abs=0.01)


def _touched(had: dict[str, Amounts], table: str = "t") -> list[Touches]:
    return [Touches(name, (table,), amounts) for name, amounts in had.items()]


def test_the_largest_follower_misses_where_the_first_toucher_is_gone() -> None:
    had = {"version": Amounts(600, 400), "manifest": Amounts(300, 700)}
    drop = [Assumption("version", ChangeKind.DROP)]
    # 0.6 of visits miss: manifest makes 300 / 0.6 = 500 of them, and 500 more without version.
    # It is alone with the table: lifetimes grow as visits become fewer, and as many of them miss.
    assert estimate(had, drop, _touched(had)).point == pytest.approx(600)
    # With half of the calls of version left, it makes half of those 500.
    half = [Assumption("version", ChangeKind.CALLS, 0.5)]
    assert estimate(had, half, _touched(had)).point == pytest.approx(0.6 * (500 + 500 + 250))
    # Without manifest, nothing follows: its own visits go.
    other = [Assumption("manifest", ChangeKind.DROP)]
    assert estimate(had, other, _touched(had)).point == pytest.approx(600)
    # It touches more than version: it followed it 400 times at most, not 500.
    had = {"version": Amounts(600, 400), "manifest": Amounts(300, 950)}
    followed = (1250 - 500) * 1000 / 1250
    assert estimate(had, drop, _touched(had)).point == pytest.approx(0.6 * (500 + followed))


def test_space_is_filled_by_other_tables() -> None:
    had = {"a": Amounts(500, 500), "b": Amounts(500, 500)}
    apart = [Touches(name, (name,), amounts) for name, amounts in had.items()]
    drop = [Assumption("a", ChangeKind.DROP)]
    # The scale is 0.5 ** (-1 / 1.2) - 1 = 0.7818. Both hold blocks in proportion to
    # 1 - 1.7818 ** -0.2 = 0.10914; alone, b holds twice that: (1 + 0.7818 L) ** -0.2 = 0.78172.
    expected = 1000 * (1 - 2 * (1 - 1.7818**-0.2)) ** 6
    assert estimate(had, drop, apart).point == pytest.approx(expected, rel=1e-3)
    # What has no known table is a table of its own; half of a join counts for each table.
    assert estimate(had, drop).point == estimate(had, drop, apart).point
    joins = [Touches("a", ("x", "y"), had["a"]), Touches("b", ("z",), had["b"])]
    assert estimate(had, drop, joins).point == pytest.approx(expected, rel=1e-3)
    # Twice the calls touch twice the blocks.
    one = {"a": Amounts(500, 500)}
    twice = [Assumption("a", ChangeKind.CALLS, 2.0)]
    expected = 2000 * (1 - (1 - 1.7818**-0.2) / 2) ** 6
    assert estimate(one, twice).point == pytest.approx(expected, rel=1e-3)


def test_what_only_finds_frees_space_in_the_point_too() -> None:
    had = {"a": Amounts(0, 5000), "b": Amounts(1000, 3000)}
    found = estimate(had, [Assumption("a", ChangeKind.DROP)])
    assert 0.9 * found.now < found.point < found.now
    assert found.low < found.point < found.high


def test_the_point_lies_in_the_range() -> None:
    had = {"a": Amounts(100, 0), "b": Amounts(900, 0)}
    found = estimate(had, [Assumption("a", ChangeKind.DROP)], _touched(had))
    assert found.low <= found.point <= found.high
    assert estimate({}, []) == Estimate(0, 0, 0, 0)


def test_points_are_near_in_simulated_systems() -> None:
    """A few of the runs; docs/whatif.md has the rates of many."""
    row = judge("all", list(runs(200, 9)))
    assert row.runs >= 8
    assert row.held >= row.runs - 1
    assert row.within >= row.runs - 2


CHANCE = 0.01
"""By so much of all reads a short simulation may miss a range."""
rates = st.floats(0.0, 6.0)


@given(
    st.lists(st.tuples(rates, rates, st.integers(1, 50)), min_size=1, max_size=12),
    st.floats(0.0, 0.9),
)
@example([(5.0, 1.0, 1)], 0.0)  # it only finds, and keeps warm what others seldom touch
@example([(8.0, 0.0, 50), (0.0, 0.5, 50)], 0.0)  # it only finds, in blocks of its own
@example([(1.0, 0.0, 50), (0.0, 1.0, 50)], 0.0)  # the rest fits into what it leaves
def test_the_range_holds_wherever_touches_are_independent(
    blocks: list[tuple[float, float, int]], factor: float
) -> None:
    """By Che's approximation: a block that is touched y times in a life is missed with exp(-y).

    blocks: touches of the category and of others in a life, and how many blocks there are.  The
    same space is left when fewer calls are made, so that lives are longer.
    """
    scale = 1e6
    ours = Amounts(*(scale * each for each in _che(blocks, 1.0, 1.0, of=0)))
    theirs = Amounts(*(scale * each for each in _che(blocks, 1.0, 1.0, of=1)))
    if ours.reads < 1 or theirs.reads < 1:
        return
    how = (
        Assumption("ours", ChangeKind.CALLS, factor)
        if factor
        else Assumption("ours", ChangeKind.DROP)
    )
    found = estimate({"ours": ours, "theirs": theirs}, [how])
    size = _resident(blocks, 1.0, 1.0)
    life = _life(blocks, factor, size)
    after = scale * sum(_che(blocks, factor, life, of=each)[0] for each in (0, 1))
    slack = 1e-3 * found.now
    assert found.low - slack <= after <= found.high + slack


def _che(
    blocks: list[tuple[float, float, int]], factor: float, life: float, *, of: int
) -> tuple[float, float]:
    """Return the reads and hits of the category (0) or of others (1)."""
    reads = hits = 0.0
    for ours, theirs, count in blocks:
        mine = (ours * factor, theirs)[of]
        missed = exp(-(ours * factor + theirs) * life)
        reads += count * mine * missed
        hits += count * mine * (1 - missed)
    return reads, hits


def _resident(blocks: list[tuple[float, float, int]], factor: float, life: float) -> float:
    return sum(n * (1 - exp(-(ours * factor + theirs) * life)) for ours, theirs, n in blocks)


def _life(blocks: list[tuple[float, float, int]], factor: float, size: float) -> float:
    """Return how long a block stays that nobody touches, if the cache has that size."""
    short, long = 1.0, 1e6
    for _ in range(100):
        middle = (short + long) / 2
        if _resident(blocks, factor, middle) < size:
            short = middle
        else:
            long = middle
    return long


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("kind", ["finds", "warms"])
def test_the_range_holds_in_caches_where_that_of_0_1_0_does_not(kind: str, policy: str) -> None:
    found = [
        each
        for seed in range(500, 512)
        for each in drops(kind, policy, seed, case(kind, seed, 40_000), 15_000)
    ]
    assert len(found) >= 4
    assert [each for each in found if _outside(each.said, each.after) > CHANCE] == []
    assert any(_outside(range_of_0_1(each), each.after) > 2 * CHANCE for each in found)


def _outside(said: Estimate, blocks: float) -> float:
    """Return by how much of all reads a range was missed."""
    return max(said.low - blocks, blocks - said.high, 0.0) / said.now


def test_nothing_read_is_nothing_saved() -> None:
    found = estimate({"version": Amounts(0, 5)}, [Assumption("version", ChangeKind.DROP)])
    assert found == Estimate(0, 0, 0, 0)
    assert found.width is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no change is specified"),
        (["--calls", "manifest"], 'invalid value for --calls: "manifest"'),
        (["--calls", "=1"], 'invalid value for --calls: "=1"'),
        (["--reads", "version=nan"], 'invalid value for --reads: "version=nan"'),
        (["--reads", "version=-1"], 'invalid value for --reads: "version=-1"'),
        (["--drop", "version", "--reads", "version=1"], 'category "version" is specified twice'),
        (["--drop", "versions"],
         'no category or statement "versions" was called in this window'),
        (["--drop", "version", "--drop", "max(row_version)"],
         'a statement of "max(row_version)" is also one of "version"'),
        (["--drop", "from price", "--drop", "max(row_version)"],
         'a statement of "max(row_version)" is also one of "from price"'),
        (["--drop", "version", "--balance", "3"],
         "--instance, --balance and --writes need a volume"),
    ],
)  # fmt: skip
def test_what_cannot_be_supposed_is_said(arguments: list[str], message: str) -> None:
    done = pgiostat("whatif", "--history", SAMPLE, *arguments)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == f"pgiostat: error: {message}"
    assert "HINT:  " in done.stderr


def test_words_become_what_is_supposed() -> None:
    assert parse(["a=b"], ["c=d=0.5"], []) == [
        Assumption("a=b", ChangeKind.DROP), Assumption("c=d", ChangeKind.CALLS, 0.5),
    ]  # fmt: skip
    with pytest.raises(PgiostatError):
        parse([], [], ["x=1e9"])


def test_all_forms_say_the_same() -> None:
    asked = ("whatif", "--history", SAMPLE, "--drop", "version", "--volume", "gp2:500")
    (record,) = [json.loads(pgiostat(*asked, "--format", "json").stdout)]
    rows = list(csv.DictReader(io.StringIO(pgiostat(*asked, "--format", "csv").stdout)))
    assert [row["measure"] for row in rows] == [
        "reads", "operations", "balance of gp2:500", "gp2:500 empty in",
    ]  # fmt: skip
    for row, measure in zip(rows, record["measures"], strict=True):
        for name in ("now", "at_least", "at_most", "expected"):
            assert (float(row[name]) if row[name] else None) == measure[name]
    reads = record["measures"][0]
    assert reads["at_least"] < reads["now"]
    assert reads["at_least"] < reads["expected"] < reads["at_most"] <= reads["now"]
    assert record["model"] == "first toucher"
    ranked = json.loads(pgiostat("report", "--history", SAMPLE, "--format", "json").stdout)
    assert reads["now"] == pytest.approx(ranked["server_blocks_read"] / ranked["seconds"], rel=1e-6)
    text = pgiostat(*asked).stdout
    assert "without version queries: blocks read change by -" in text
    assert "gp2:500 with the fewest reads: " in text
    page = pgiostat(*asked, "--format", "markdown").stdout
    assert page.startswith(
        "**demo**, 2026-11-23 18:18:35Z – 2026-11-23 19:18:35Z, without version queries.\n"
    )
    assert "| version | 13,538 | 3.7 % | `--drop version` |" in page


def test_statements_are_named_by_fingerprint_or_text() -> None:
    asked = ("whatif", "--history", SAMPLE, "--format", "json")
    by_text = json.loads(pgiostat(*asked, "--drop", "MAX(row_version) from price").stdout)
    (supposed,) = by_text["supposed"]
    (fingerprint,) = supposed["fingerprints"]
    by_key = json.loads(pgiostat(*asked, "--drop", fingerprint).stdout)
    assert by_key["measures"] == by_text["measures"]
    (measure, *_) = by_text["measures"]
    # Nothing else of version goes, and its name has what is left.
    of = {each["category"]: each["blocks_read_per_s"] for each in by_text["categories"]}
    whole = json.loads(pgiostat(*asked, "--drop", "version").stdout)
    (version,) = (each for each in whole["categories"] if each["category"] == "version")
    chosen = of["MAX(row_version) from price"]
    assert of["version"] + chosen == pytest.approx(version["blocks_read_per_s"])
    assert 0 < chosen < of["version"]
    assert measure["expected"] == pytest.approx(measure["now"] - chosen, rel=0.01)
    text = pgiostat(*asked[:-2], "--calls", f"{fingerprint}=0.5").stdout
    assert f'with calls of statements of "{fingerprint}" scaled by 0.5: ' in " ".join(text.split())
    assert f'statements of "{fingerprint}": {fingerprint}' in " ".join(text.split())


def test_a_frame_has_the_same_rows() -> None:
    asked = ("whatif", "--history", SAMPLE, "--calls", "manifest=0.3", "--volume", "gp3:100")
    record = json.loads(pgiostat(*asked, "--format", "json").stdout)
    frame = open_history(SAMPLE).whatif(calls={"manifest": 0.3}, volume="gp3:100")
    assert frame["measure"].tolist() == ["reads", "operations", "use of gp3:100"]
    assert frame.to_dict("records") == record["measures"]
    assert [str(kind) for kind in frame.dtypes] == ["string", "string", *["float64"] * 4]
