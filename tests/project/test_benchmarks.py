"""What the benchmarks measure is what a collector would have written."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pytest

from benchmarks import applications, why_desk, why_judge, why_sensors, why_table
from benchmarks.history_load import World, ticks
from benchmarks.why_run import Meta
from pgiostat.analysis.cost import ReadCost
from pgiostat.analysis.rank import RankRow
from pgiostat.analysis.why import Cause, CauseFinding, Certainty, Explanation, WhyOutcome
from pgiostat.analysis.why.evidence import StatementEvidence, Usage
from pgiostat.history.format.encode import encode
from pgiostat.history.format.schema import READS
from pgiostat.lab.faults.library import injections
from pgiostat.queries.describe import describer
from pgiostat.queries.rules import rule_book
from pgiostat.reports.why import ExplainedStatement

BEGIN = datetime(2026, 11, 16, tzinfo=UTC)
MADE_UP = {*READS.values(), "statements", "appeared", "vanished", "unknown", "own_us"}
"""What the generated samples have of any size: no question takes longer for it."""


def test_a_generated_history_has_the_rows_that_a_collector_encodes() -> None:
    world = World(60)
    when = ticks(BEGIN, BEGIN + timedelta(minutes=2), 10, seed=4)

    generated = world.tables(when, seed=5)
    encoded = [encode(delta) for delta in world.deltas(when, seed=5)]

    for name, table in generated.items():
        collected = pa.concat_tables([tables[name] for tables in encoded if name in tables])
        there = [column for column in table.column_names if column not in MADE_UP]
        order = [column for column in there if column != "qualities"]
        rows, expected = (
            sorted(each.select(there).to_pylist(), key=lambda row: [str(row[c]) for c in order])
            for each in (table, collected)
        )
        assert rows == expected, name


def test_a_category_of_another_application_is_a_fault() -> None:
    row = RankRow(("upload",), "upload", ReadCost(1.0, 8192, calls=3), 0.5, "upload")
    found = applications.Measured("shop", "general", reads=0.02, calls=0.0199, rows=(row,))
    assert found.faults == ["shop: 2.00 % of reads in other", "shop: category upload"]


DROPPED = Meta(
    "18.4", "shop", "index dropped", "mild", ("index dropped",), "from items where", "items", "i"
)
VICTIM = "SELECT * FROM items WHERE order_id = $1"
SILENT = Explanation(WhyOutcome.NO_CAUSE)


def _statement(
    text: str, cause: Cause | None, growth: int = 0, *roots: ExplainedStatement
) -> ExplainedStatement:
    """Return a statement that reads more, with a cause or without one."""
    before, after = (Usage(10.0, 100, read=read, touched=1_000) for read in (0, 10 * growth))
    evidence = StatementEvidence(text, text, "", "select", before, after)
    if cause is None:
        return ExplainedStatement(evidence, SILENT, roots)
    finding = CauseFinding(cause, Certainty.LIKELY, ("",))
    return ExplainedStatement(evidence, Explanation(WhyOutcome.FOUND, (), (finding,)), roots)


def test_a_cause_of_the_victim_is_right_and_any_other_is_wrong() -> None:
    victim = _statement(VICTIM, Cause.INDEX_DROPPED, 5)
    assert why_judge.answer(victim, DROPPED).verdict == "right"
    assert why_judge.answer(_statement(VICTIM, Cause.PLAN), DROPPED).verdict == "wrong"
    other = _statement("SELECT 1", Cause.INDEX_DROPPED)
    assert why_judge.answer(other, DROPPED).verdict == "wrong"
    assert why_judge.answer(_statement(VICTIM, None), DROPPED).cause == "no cause found"
    pressed = _statement("SELECT 1", Cause.PRESSURE, 9, victim)
    assert why_judge.answer(pressed, DROPPED).statement == "select * from items where order_id = $1"
    by_victim = _statement("SELECT 1", Cause.PRESSURE, 9, _statement(VICTIM, None))
    assert why_judge.answer(by_victim, DROPPED).verdict == "no cause"
    steady = replace(_statement(VICTIM, None), answer=Explanation(WhyOutcome.NO_GROWTH))
    by_steady = _statement("SELECT 1", Cause.PRESSURE, 9, steady)
    assert why_judge.answer(by_steady, DROPPED).verdict == "wrong"
    by_other = _statement("SELECT 1", Cause.PRESSURE, 9, _statement("SELECT 2", None))
    assert why_judge.answer(by_other, DROPPED).cause == "cache pressure"
    assert why_judge.answer(by_other, DROPPED).verdict == "wrong"


def test_the_top_answer_is_that_of_the_statement_that_grew_most() -> None:
    victim = _statement(VICTIM, Cause.INDEX_DROPPED, 5)
    larger = _statement("SELECT 1", Cause.CALLS, 7)
    assert why_judge.top([victim, _statement("SELECT 2", None, 20)], DROPPED).verdict == "right"
    assert why_judge.top([victim, larger], DROPPED).cause == "more calls"
    assert why_judge.top([_statement(VICTIM, None, 5)], DROPPED).verdict == "no cause"


@pytest.mark.parametrize("system", [why_desk, why_sensors], ids=lambda each: each.NAME)
def test_each_victim_is_a_statement_of_its_system(system: ModuleType) -> None:
    describe = describer(rule_book(preset="auto", by="--preset"))
    texts = [
        describe(query.text.replace("%s", "$1"), user="", database="", queryid=1).text.lower()
        for query in system.QUERIES.values()
    ]
    named = {target.statement for _, _, target in injections(system.TARGETS)}
    assert [each for each in named if not any(each in text for text in texts)] == []


@pytest.mark.parametrize("system", [why_desk, why_sensors], ids=lambda each: each.NAME)
def test_the_traffic_of_each_target_is_a_mode(system: ModuleType) -> None:
    named = {
        traffic
        for _, _, target in injections(system.TARGETS)
        for traffic in (target.traffic, target.healthy)
        if traffic
    }
    assert named == {*system.MODES}


def test_an_effect_is_a_growth_by_a_third() -> None:
    before = Usage(10.0, 100, read=100, touched=1_000)
    assert not why_judge.has_effect(before, Usage(10.0, 120, read=125, touched=1_250))
    assert why_judge.has_effect(before, Usage(10.0, 100, read=100, touched=1_400))
    assert why_judge.has_effect(before, Usage(10.0, 140, read=140, touched=1_400))
    assert why_judge.has_effect(before, Usage(10.0, 100, read=100, touched=1_000, temp=200))
    assert why_judge.has_effect(Usage(10.0), Usage(10.0, 1))


def test_the_tables_of_causes_have_each_answer_that_is_not_right() -> None:
    def result(fault: str, verdict: str, cause: str) -> dict[str, object]:
        found = {"verdict": verdict, "cause": cause, "statement": VICTIM}
        meta = Meta("18.4", "shop", fault, "mild").as_record()
        effect = verdict != "no cause"
        return meta | {"result": {"top": found, "asked": found, "effect": effect}}

    healthy = Meta("18.4", "shop", "none").as_record() | {"result": {"pairs": 4, "alarms": 1}}
    rows = [
        result("index dropped", "right", "index dropped"),
        result("spill", "no cause", "no growth"),
        result("spill", "wrong", "working set"),
        healthy,
    ]
    assert list(why_table.tables(rows)) == [
        (
            "| system, version | runs | top: right | top: no cause | top: wrong | victim: right"
            " | victim: no cause | victim: wrong |"
        ),
        "|---|---:|---:|---:|---:|---:|---:|---:|",
        "| shop, 18 | 3 | 1 (33 %) | 1 (33 %) | 1 (33 %) | 1 (33 %) | 1 (33 %) | 1 (33 %) |",
        "| **all** | 3 | 1 (33 %) | 1 (33 %) | 1 (33 %) | 1 (33 %) | 1 (33 %) | 1 (33 %) |",
        (
            "| **all with an effect** | 2 | 1 (50 %) | 0 (0 %) | 1 (50 %) | 1 (50 %) | 0 (0 %)"
            " | 1 (50 %) |"
        ),
        "",
        "| fault | runs | index dropped | no cause | working set |",
        "|---|---:|---:|---:|---:|",
        "| index dropped | 1 | 1 |  |  |",
        "| spill | 2 |  | 1 | 1 |",
        "",
        "Healthy servers: a cause is named in 1 of 4 pairs of 30-s windows.",
        "",
        "| version | system | fault | severity | top | victim |",
        "|---|---|---|---|---|---|",
        "| 18.4 | shop | spill | mild | no cause (no effect) | no cause (no effect) |",
        f"| 18.4 | shop | spill | mild | working set: `{VICTIM}` | working set: `{VICTIM}` |",
    ]


def test_the_page_on_causes_has_the_tables_of_the_recorded_results() -> None:
    root = Path(__file__).parents[2]
    lines = (root / "benchmarks" / "why_first_looks.jsonl").read_text("utf-8").splitlines()
    page = (root / "docs" / "why-benchmark.md").read_text("utf-8")
    made = "\n".join(why_table.tables([json.loads(line) for line in lines]))
    assert page.partition("<!-- by benchmarks.why table -->\n")[2].strip() == made.strip()
