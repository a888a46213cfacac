"""What would be read: the range, by hand, and on the command line."""

import csv
import io
import json
from pathlib import Path

import pytest

from pgiostat import open_history
from pgiostat.errors import PgiostatError
from pgiostat.whatif import Had, How, Imagined, Supposed, imagine, parse
from tests.test_cli import pgiostat

SAMPLE = str(Path(__file__).parent.parent / "sample_data" / "history")
HAD = {"version": Had(600, 400), "manifest": Had(300, 700), "upload": Had(100, 100)}


@pytest.mark.parametrize(
    ("supposed", "low", "high"),
    [
        # 600 gone, and with them as large a share of the other 400; or 600 of 800 hits displaced.
        (["--drop version"], 160, 1000),
        # 900 gone; of 100 hits that uploads had all may have been others' doing.
        (["--drop version", "--drop manifest"], 10, 200),
        # Half of 1,000 touched: the 300 read may be among them, or none of them is.
        (["--calls manifest=0.5"], 490, 1000),
        # 900 of 1,000 go, and with them all or, as 100 stay, 200 of what was read; 600 hits left.
        (["--calls manifest=0.1"], 490, 1000),
        (["--reads version=0.5"], 490, 1000),
        (["--calls version=0"], 160, 1000),
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
        asked.append(Supposed(name, How(how), float(factor or 0)))
        assert str(asked[-1]) == each
    found = imagine(HAD, asked)
    assert (found.now, round(found.low, 9), found.high) == (1000, low, high)


def test_few_hits_of_others_make_the_range_narrow() -> None:
    had = {"version": Had(900, 0), "upload": Had(100, 50)}
    found = imagine(had, [Supposed("version", How.DROP)])
    assert (round(found.low, 9), found.high) == (10, 150)
    assert found.width == pytest.approx(0.14)
    assert 150 in found
    assert 151 not in found


def test_nothing_read_is_nothing_saved() -> None:
    found = imagine({"version": Had(0, 5)}, [Supposed("version", How.DROP)])
    assert found == Imagined(0, 0, 0)
    assert found.width is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing is supposed"),
        (["--calls", "manifest"], 'invalid value for --calls: "manifest"'),
        (["--calls", "=1"], 'invalid value for --calls: "=1"'),
        (["--reads", "version=nan"], 'invalid value for --reads: "version=nan"'),
        (["--reads", "version=-1"], 'invalid value for --reads: "version=-1"'),
        (["--drop", "version", "--reads", "version=1"], 'category "version" is named twice'),
        (["--drop", "versions"], 'nothing of category "versions" was called in that time'),
        (["--drop", "version", "--balance", "3"],
         "--instance, --balance and --writes are of a volume"),
    ],
)  # fmt: skip
def test_what_cannot_be_supposed_is_said(arguments: list[str], message: str) -> None:
    done = pgiostat("whatif", "--history", SAMPLE, *arguments)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == f"pgiostat: error: {message}"
    assert "HINT:  " in done.stderr


def test_words_become_what_is_supposed() -> None:
    assert parse(["a=b"], ["c=d=0.5"], []) == [
        Supposed("a=b", How.DROP), Supposed("c=d", How.CALLS, 0.5),
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
        for name in ("now", "at_least", "at_most"):
            assert (float(row[name]) if row[name] else None) == measure[name]
    reads = record["measures"][0]
    assert reads["at_least"] < reads["now"]
    assert reads["at_least"] < reads["at_most"] <= reads["now"]
    ranked = json.loads(pgiostat("report", "--history", SAMPLE, "--format", "json").stdout)
    assert reads["now"] == pytest.approx(ranked["server_blocks_read"] / ranked["seconds"], rel=1e-6)
    text = pgiostat(*asked).stdout
    assert "with no version queries: -" in text
    assert "gp2:500 with the fewest reads: " in text
    assert pgiostat(*asked, "--format", "markdown").stdout.startswith("**demo**, no version")


def test_a_frame_has_the_same_rows() -> None:
    asked = ("whatif", "--history", SAMPLE, "--calls", "manifest=0.3", "--volume", "gp3:100")
    record = json.loads(pgiostat(*asked, "--format", "json").stdout)
    frame = open_history(SAMPLE).whatif(calls={"manifest": 0.3}, volume="gp3:100")
    assert frame["measure"].tolist() == ["reads", "operations", "use of gp3:100"]
    assert frame.to_dict("records") == record["measures"]
    assert [str(kind) for kind in frame.dtypes] == ["string", "string", *["float64"] * 3]
