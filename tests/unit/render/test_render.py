"""Text, CSV and JSON of the same numbers; nothing in a query text ever acts."""

import csv
import io
import json
from dataclasses import replace

import pandas as pd
import pytest
from rich.cells import cell_len
from rich.console import Console

from pgiostat.analysis.notices import Notice
from pgiostat.analysis.rank import By, Ranking, rank
from pgiostat.analysis.server_reads import PerBlock, coverage_of
from pgiostat.escape import terminal
from pgiostat.history.read.window_totals import IntervalStats, WindowTotals
from pgiostat.history.read.windows import Window
from pgiostat.render import markdown, text
from pgiostat.render.columns import in_order
from pgiostat.render.columns import shown as columns_of
from pgiostat.render.csv import CsvWriter, header, heading_of
from pgiostat.render.document import Bound, Document, Table, TableColumn
from pgiostat.render.json import JsonWriter
from pgiostat.render.report import remarks
from pgiostat.statistics.delta import Delta, Earlier
from pgiostat.statistics.difference import diff
from pgiostat.statistics.names import OWN, Names, Statement
from pgiostat.units import format_count
from pgiostat.volume.bucket import Balance
from tests.support.readings import at, reading

HOSTILE = {
    1: "select '\x1b[31mred\x1b]0;title\x07' from t",
    2: "select '[red]markup[/red]' from \"[red]t\"",
    3: '=HYPERLINK(1) select, "quoted",\nnewline 商品 🐘 \u202e from t',
    4: "-1 select \ud800 from t",
}
NAMES = Names(
    statements={
        (10, 5, queryid): Statement(shown, f"1:{queryid:016x}", "other")
        for queryid, shown in HOSTILE.items()
    },
    databases={5: "a,b"},
    roles={10: "@role"},
)


def sample(by: By = By.STATEMENT) -> Ranking:
    """Return a ranking of hostile statements."""
    return rank([DELTA], NAMES, by=by)


DELTA = diff(
    reading(0, databases=[{"datid": 5}]),
    reading(
        10,
        [
            {
                "queryid": queryid,
                "calls": 2,
                "shared_blks_read": 10 * queryid,
                "shared_blks_hit": 5,
                "stats_since": at(1),
            }
            for queryid in HOSTILE
        ],
        databases=[{"datid": 5, "blks_read": 120}],
    ),
)


def drawn(
    ranking: Ranking,
    width: int,
    notices: list[Notice] | None = None,
    since_start: float | None = None,
) -> list[str]:
    """Return an interval's lines on a terminal without colour."""
    out = io.StringIO()
    console = Console(
        file=out, width=width, markup=False, highlight=False, emoji=False, no_color=True
    )
    console.print(
        text.interval(
            DELTA,
            ranking,
            notices or [],
            coverage=coverage_of(DELTA),
            width=console.width,
            since_start=since_start,
        )
    )
    return out.getvalue().splitlines()


def test_an_interval_is_two_header_lines_and_a_table_with_all_parts() -> None:
    assert [line.rstrip() for line in drawn(sample(By.CATEGORY), 100)] == [
        (
            "pgiostat  pgiostat@prod/app  PostgreSQL 18.4 primary  10:00:10Z  10.0 s  ok"
            "  preset general"
        ),
        "read 12 blocks/s  96.0 KiB/s  hit 16.7 %  sessions reading –  coverage 83.3 %",
        "category       share            blocks/s  r_await blocks/call  calls/s      hit volume/s",
        "other         83.3 % ████████▍        10        –        12.5     0.80   16.7 % 80.0 KiB",
        "unattributed  16.7 %                   2                                        16.0 KiB",
        "server       100.0 %                  12                                        96.0 KiB",
    ]


READING = {"calls": 7, "shared_blks_read": 40, "temp_blks_read": 3, "total_exec_time": 5.5}
OWN_NAMES = Names({(10, 5, 1): Statement("/* pgiostat */ select 1", "1:0", OWN)})


def ours() -> Delta:
    """Return an interval in which only we read, on a server that counts operations."""
    io = {"backend_type": "client backend", "object": "relation", "context": "normal"}
    return diff(
        reading(0, databases=[{"datid": 5}], io=[io]),
        reading(
            10,
            [{"queryid": 1, "stats_since": at(1), **READING}],
            databases=[{"datid": 5, "blks_read": 40}],
            io=[io | {"reads": 20, "read_bytes": 40 * 8192}],
        ),
    )


@pytest.mark.parametrize(
    ("width", "told"),
    [
        (80, "pgiostat's own statements: 7 calls, 5.50 ms, 40 blocks, 3 temp blocks read"),
        (60, "pgiostat: 7 calls, 5.50 ms, 40 blocks, 3 temp blocks read"),
    ],
)
def test_what_an_interval_cost_the_server_itself_is_a_line_of_its_own(
    width: int, told: str
) -> None:
    ranking = rank([ours()], OWN_NAMES)
    assert drawn(ranking, width)[-1].rstrip() == told


def test_operations_have_a_column_beside_blocks_where_one_reads_several() -> None:
    ranking = rank([ours()], OWN_NAMES)
    assert ranking.explained.per_block == PerBlock(0.5, None, counted=True)
    assert [metric.title for metric in columns_of(ranking)] == [
        "blocks/s", "read ops/s", "r_await", "blocks/call", "calls/s", "hit", "volume/s",
    ]  # fmt: skip
    alike = [metric.title for metric in in_order(PerBlock(1.0, None, counted=True), By.CATEGORY)]
    assert alike[:7] == [
        "blocks/s", "r_await", "physical/s", "blocks/call", "calls/s", "hit", "read ops/s",
    ]  # fmt: skip
    assert alike[7] == "volume/s"


def test_a_column_has_one_unit_and_one_precision() -> None:
    table = Table(
        [TableColumn("name"), TableColumn("blocks/s", right=True, format=format_count)],
        [["a", 108_400.0], ["b", 90_562.0], ["c", Bound(1.5)], ["d", None], ["e", "never"]],
    )
    assert ["".join(cell for cell, _ in line) for line in text.lines(table, 40)] == [
        "name blocks/s", "a     108,400", "b      90,562", "c          ~2", "d           –",
        "e       never",
    ]  # fmt: skip
    page = io.StringIO()
    markdown.write(Document(tables=[table]), page)
    assert "| c | ~2 |" in page.getvalue()


def test_what_operations_are_known_by_is_told_in_every_form() -> None:
    delta = ours()
    ranking = rank([delta], OWN_NAMES)
    assert drawn(ranking, 120)[1].rstrip() == (
        "read 4 blocks/s  32.0 KiB/s  2 read ops/s by pg_stat_io  hit 0 %  sessions reading –"
        "  coverage 83.3 %"
    )
    out = io.StringIO(newline="")
    CsvWriter(out, By.CATEGORY).write(heading_of(delta, ranking), ranking)
    rows = list(csv.DictReader(io.StringIO(out.getvalue(), newline="")))
    assert [(row["part"], row["operations_by"], row["read_operations_per_s"]) for row in rows] == [
        ("own", "pg_stat_io", "2.0"), ("unattributed", "pg_stat_io", "0.0"),
    ]  # fmt: skip
    out = io.StringIO()
    JsonWriter(out).write(delta, ranking, [])
    JsonWriter(out).write(DELTA, sample(), [])
    known, unknown = map(json.loads, out.getvalue().splitlines())
    assert (known["operations_by"], unknown["operations_by"]) == ("pg_stat_io", None)
    assert {row["operations_by"] for row in csv.DictReader(io.StringIO(written(By.USER)))} == {""}


@pytest.mark.parametrize(
    ("label", "width", "told"),
    [
        ("prod", 80, "pgiostat  pgiostat@prod/app  PostgreSQL 18.4 primary  10:00:10Z  10.0 s  ok"),
        ("prod", 70, "pgiostat  pgiostat@prod/app  PostgreSQL 18.4  10:00:10Z  10.0 s  ok"),
        ("localhost:12411", 80,
         "pgiostat  pgiostat@localhost:12411/app  PostgreSQL 18.4  10:00:10Z  10.0 s  ok"),
        ("db.eu-west-1.example:5432", 80,
         "pgiostat@db.eu-west-1.example:5432/app  PostgreSQL 18.4  10:00:10Z  10.0 s  ok"),
        ("db.eu-west-1.example:5432", 60,
         "pgiostat@db.eu-west-1.example:5432/app  10.0 s  ok"),
        ("prod", 30, "pgiostat@prod/app  10.0 s  ok"),
    ],
)  # fmt: skip
def test_who_and_where_are_the_last_to_give_way(label: str, width: int, told: str) -> None:
    newer = replace(DELTA.newer, server=replace(DELTA.newer.server, label=label))
    line = text.headline(replace(DELTA, newer=newer), 10.0, width)
    assert line.plain == told


def test_coverage_is_of_the_interval_and_since_the_start_where_it_says_so() -> None:
    ranking = sample(By.CATEGORY)
    for width, told in (
        (120, "coverage 83.3 %, 99.96 % since the start"),
        (80, "coverage 83.3 %"),
    ):
        assert drawn(ranking, width, since_start=0.9996)[1].rstrip().endswith(told)
    out = io.StringIO()
    JsonWriter(out).write(DELTA, ranking, [], since_start=0.9996)
    one = json.loads(out.getvalue())
    (row, _) = csv.DictReader(io.StringIO(written(By.CATEGORY), newline=""))
    assert (one["coverage"], one["coverage_since_start"]) == (100 / 120, 0.9996)
    assert float(row["coverage"]) == round(one["coverage"], 6)


@pytest.mark.parametrize("width", [40, 80, 120, 200])
@pytest.mark.parametrize("by", list(By))
def test_no_line_is_wider_than_the_screen_and_rank_and_cost_stay(width: int, by: By) -> None:
    lines = drawn(sample(by), width)
    assert all(cell_len(line) <= width for line in lines)
    assert "blocks/s" in "\n".join(lines)
    if by is not By.RELATION:
        assert "33.3 %" in "\n".join(lines) or "83.3 %" in "\n".join(lines)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_nothing_in_a_query_text_acts_on_the_terminal(width: int) -> None:
    shown = "\n".join(drawn(sample(), width))
    assert not [c for c in shown if ord(c) < 32 and c != "\n"]
    assert "\u202e" not in shown
    shown.encode("utf-8")
    if width == 200:
        # A constant is a placeholder; a name is shown with the codes of its characters.
        assert "t · $" in shown
        assert "商品 🐘 \\u202e" in shown
        assert "[red]t" in shown


def test_what_nested_statements_read_is_told_below_the_sum() -> None:
    ranking = replace(sample(By.CATEGORY), nested=2, nested_blocks=30)
    shown = [line.rstrip() for line in drawn(ranking, 100)]
    assert shown[-2:] == [
        "server       100.0 %                  12                                        96.0 KiB",
        "of it nested  25.0 %                   3                                        24.0 KiB",
    ]


def test_a_notice_has_its_hint_on_a_line_to_copy() -> None:
    lines = drawn(sample(By.CATEGORY), 80, [Notice("x", "Something.", "GRANT this;")])
    assert [line.rstrip() for line in lines[2:4]] == ["! Something.", "  GRANT this;"]


def written(by: By) -> str:
    """Return an interval as CSV."""
    out = io.StringIO(newline="")
    ranking = rank([DELTA], NAMES, by=by)
    CsvWriter(out, by).write(heading_of(DELTA, ranking), ranking)
    return out.getvalue()


def test_csv_survives_newlines_quotes_and_emoji_and_disarms_formulas() -> None:
    rows = list(csv.DictReader(io.StringIO(written(By.STATEMENT), newline="")))
    assert [row["query"] for row in rows] == [
        "'-1 select \\ud800 from t",
        '\'=HYPERLINK(1) select, "quoted",\\u000anewline 商品 🐘 \\u202e from t',
        "select '[red]markup[/red]' from \"[red]t\"",
        "select '\\u001b[31mred\\u001b]0;title\\u0007' from t",
        "unattributed",
    ]
    assert {row["user"] for row in rows} == {"'@role", ""}
    assert {row["database"] for row in rows} == {"a,b", ""}


@pytest.mark.parametrize("by", list(By))
def test_csv_is_read_by_pandas_without_options(by: By) -> None:
    frame = pd.read_csv(io.StringIO(written(by)))
    assert list(frame.columns) == header(by)
    assert frame["blocks_read"].sum() == 120
    assert set(frame["interval_end"]) == {"2026-11-23T10:00:10.000000Z"}


def test_in_csv_unknown_is_empty_and_zero_is_zero() -> None:
    row = next(csv.DictReader(io.StringIO(written(By.CATEGORY), newline="")))
    assert (row["read_time_ms"], row["rd_await_ms"], row["temp_blks_read"]) == ("", "", "0")


def test_csv_lines_end_as_rfc_4180_says() -> None:
    lines = written(By.CATEGORY).split("\r\n")
    assert len(lines) == 4
    assert lines[-1] == ""
    assert not any("\n" in line for line in lines)


def test_json_is_one_object_a_line_with_null_for_unknown() -> None:
    out = io.StringIO()
    JsonWriter(out).write(DELTA, sample(By.CATEGORY), [Notice("slug", "Text.", "Hint.")])
    assert out.getvalue().count("\n") == 1
    told = json.loads(out.getvalue())
    assert told["notices"] == [{"slug": "slug", "text": "Text.", "hint": "Hint."}]
    assert (told["server_blocks_read"], told["unattributed_blocks_read"]) == (120, 20)
    assert (told["qualities"], told["coverage"]) == (["ok"], 100 / 120)
    assert told["in_transit_blocks_read"] is None
    assert told["rows"][0]["read_time_ms"] is None
    assert told["rows"][0]["blocks_read"] == 100


def test_what_is_in_transit_has_a_row_in_every_form() -> None:
    moved = replace(DELTA, in_transit=15, settled_catalogs=0)
    ranking = rank([moved], NAMES, by=By.CATEGORY)
    out = io.StringIO()
    JsonWriter(out).write(moved, ranking, [])
    told = json.loads(out.getvalue())
    assert (told["in_transit_blocks_read"], told["unattributed_blocks_read"]) == (15, 5)
    assert told["coverage"] == 100 / 105
    assert told["ledger"] == [
        {"account": "in_transit", "blocks_read": 15, "causes": []},
        {"account": "unattributed", "blocks_read": 5, "causes": []},
    ]
    text = io.StringIO(newline="")
    CsvWriter(text, By.CATEGORY).write(heading_of(moved, ranking), ranking)
    rows = list(csv.DictReader(io.StringIO(text.getvalue(), newline="")))
    assert [(row["part"], row["category"], row["blocks_read"]) for row in rows[-2:]] == [
        ("in_transit", "in_transit", "15"),
        ("unattributed", "unattributed", "5"),
    ]
    assert {row["coverage"] for row in rows} == {str(round(100 / 105, 6))}
    lines = [line.split()[:4] for line in drawn(ranking, 50)]
    assert lines[-4:] == [
        ["unattributed", "4.8", "%", "0.5"],
        ["total", "100.0", "%", "10.5"],
        ["in", "transit", "1.5"],
        ["server", "12.0"],
    ]


def test_what_was_read_earlier_has_a_row_and_its_time_in_every_form() -> None:
    times = (at(-15), at(-5))
    moved = replace(DELTA, in_transit=-885, settled_catalogs=0, earlier=Earlier(900, 0, *times))
    ranking = rank([moved], NAMES, by=By.CATEGORY)
    out = io.StringIO()
    JsonWriter(out).write(moved, ranking, [])
    told = json.loads(out.getvalue())
    assert (told["earlier_blocks_read"], told["unattributed_blocks_read"]) == (900, 5)
    assert told["coverage"] == 100 / 105
    assert told["ledger"] == [
        {"account": "in_transit", "blocks_read": -885, "causes": []},
        {
            "account": "earlier",
            "blocks_read": 900,
            "causes": [],
            "since": "2026-11-23T09:59:45.000000Z",
            "until": "2026-11-23T09:59:55.000000Z",
        },
        {"account": "unattributed", "blocks_read": 5, "causes": []},
    ]
    text = io.StringIO(newline="")
    CsvWriter(text, By.CATEGORY).write(heading_of(moved, ranking), ranking)
    rows = list(csv.DictReader(io.StringIO(text.getvalue(), newline="")))
    assert [(row["part"], row["share"], row["blocks_read"]) for row in rows[-3:]] == [
        ("in_transit", "", "-885"),
        ("earlier", "", "900"),
        ("unattributed", str(round(5 / 105, 6)), "5"),
    ]
    lines = [line.rstrip() for line in drawn(ranking, 80)]
    assert [line.split()[:4] for line in lines[-4:]] == [
        ["total", "100.0", "%", "10.5"],
        ["in", "transit", "-88.5"],
        ["read", "09:59:45–09:59:55Z", "90.0"],
        ["server", "12.0"],
    ]


def test_json_has_the_burst_balance() -> None:
    out = io.StringIO()
    JsonWriter(out).write(DELTA, sample(By.CATEGORY), [], balance=Balance(0.5, 0.75, 300.0, 250.0))
    assert json.loads(out.getvalue())["burst"] == {
        "low": 0.5, "high": 0.75, "rate": 300.0, "given": 250.0, "over": 0.0, "use": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("statements", "server", "version", "expected"),
    [
        (100_000, 100_000, 130023, []),
        (104_000, 100_000, 130023, []),  # a little: what its sessions have not handed over
        (150_000, 100_000, 180004, ["statements count 50.0 % more blocks than the server"]),
        (200_000, 100_000, 130023, [
            ("statements count 100 % more blocks than the server: before PostgreSQL 14 nested ones"
             " are counted twice if pg_stat_statements.track is all"),
        ]),
        (50_000, 0, 180004, ["the server's own counters did not change: is track_counts off?"]),
    ],
)  # fmt: skip
def test_what_statements_count_more_than_the_server_over_a_window_is_said(
    statements: int, server: int, version: int, expected: list[str]
) -> None:
    sampled = IntervalStats(
        samples=60, seconds=600.0, statement_blocks=statements, server_blocks=server,
        version_num=version,
    )  # fmt: skip
    window = Window(at(0), at(600), "")
    assert (
        list(remarks(WindowTotals(window=window, servers=(), counted={}, sampled=sampled)))
        == expected
    )


@pytest.mark.parametrize(
    "text", ["👩\u200d👩\u200d👧 👍🏽 ❤\ufe0f\u200d🔥", "数据库 नमस्ते a\u200cb"]
)
def test_what_is_drawn_is_as_wide_wherever_it_is_drawn(text: str) -> None:
    shown = terminal(text)
    assert cell_len(shown) == sum(map(cell_len, shown))
