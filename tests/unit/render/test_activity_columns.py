"""Reports by index, relation and table, with what tables and indexes did, in every form."""

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from pgiostat.statistics.definitions import Definition
from tests.support.program import run_program
from tests.support.relation_histories import (
    CUSTOMER,
    DEFINITIONS,
    NAMES,
    PKEY,
    TABLE,
    Shop,
    orders,
)

HOSTILE = "=1|<b>`x`\x1b[31m\u202e"


def report(root: Path, *arguments: str, width: int = 120) -> str:
    environment = {"COLUMNS": str(width), "HOME": str(root), "PATH": ""}
    found = run_program("report", root, *arguments, environment=environment)
    assert found.returncode == 0, found.stderr
    return found.stdout


def table(root: Path, *arguments: str, width: int = 120) -> list[str]:
    """Return the lines of the table."""
    lines = [line.rstrip() for line in report(root, *arguments, width=width).splitlines()]
    first = next(n for n, line in enumerate(lines) if " share" in line)
    return lines[first : next(n for n, line in enumerate(lines) if line.startswith("Next"))]


def records(root: Path, by: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(report(root, "--by", by, "--format", "csv"))))


def test_indexes_have_scans_rows_blocks_and_size(tmp_path: Path) -> None:
    Shop().write(tmp_path)
    assert table(tmp_path, "--by", "index", width=150) == [
        (
            "index                                            share            blocks/s      hit"
            "  scans/s rows/scan blocks/scan      size key          volume/s"
        ),
        (
            "(tables and TOAST tables)                       66.0 % ██████▋          66   50.0 %"
            "        –         –           –         –             528.0 KiB"
        ),
        (
            "public.orders_customer on public.orders         20.0 % ██               20   50.0 %"
            "        1        40          20 160.0 KiB             160.0 KiB"
        ),
        (
            "public.orders_pkey on public.orders             10.0 % █                10   50.0 %"
            "       20         1           2  80.0 KiB primary key  80.0 KiB"
        ),
        (
            "pg_toast.pg_toast_20100_index on public.orders   4.0 % ▍                 4   50.0 %"
            "        2         1           2  16.0 KiB –            32.0 KiB"
        ),
        (
            "unattributed                                     0.0 %                   0"
            "                                                                 0.0 KiB"
        ),
        (
            "database                                       100.0 %                 100"
            "                                                               800.0 KiB"
        ),
    ]
    assert table(tmp_path, "--by", "index", width=80)[:4] == [
        "index                           share blocks/s      hit  scans/s rows/scan",
        "(tables and TOAST tables)      66.0 %       66   50.0 %        –         –",
        "public.orders_customer         20.0 %       20   50.0 %        1        40",
        "public.orders_pkey             10.0 %       10   50.0 %       20         1",
    ]


def test_relations_and_tables_have_scans_rows_blocks_size_and_dead_rows(tmp_path: Path) -> None:
    Shop().write(tmp_path)
    assert table(tmp_path, "--by", "relation")[:2] == [
        (
            "relation        share            blocks/s      hit    seq/s    idx/s rows/scan b"
            "locks/row     size dead rows"
        ),
        (
            "public.orders 100.0 % ██████████      100   50.0 %     0.10       21      6.00  "
            "     0.53 1.56 MiB       100"
        ),
    ]
    assert table(tmp_path, "--by", "relation", width=80)[:2] == [
        "relation        share            blocks/s      hit    seq/s    idx/s",
        "public.orders 100.0 % ██████████      100   50.0 %     0.10       21",
    ]
    assert table(tmp_path, "--by", "table")[:2] == [
        (
            "table          share            blocks/s blocks/call  calls/s      hit    seq/s "
            "   idx/s rows/scan blocks/row"
        ),
        (
            "orders       100.0 % ██████████      100         200     0.50    0.0 %     0.10 "
            "      21      6.00       0.53"
        ),
    ]
    page = report(tmp_path, "--by", "table", "--format", "markdown").splitlines()
    assert [line for line in page if line.startswith("| orders")] == [
        (
            "| orders | 100.0 % | 100 | 200 | 0.50 | 0.0 % | 0.10 | 21 | 6.00 | 0.53 | 1.56 M"
            "iB | 100 | – | 800.0 KiB |"
        )
    ]


def test_programs_get_counters_and_what_is_derived_from_them(tmp_path: Path) -> None:
    Shop().write(tmp_path)
    of_index = "scans_per_s rows_per_scan blocks_per_scan size_bytes constraint idx_scan"
    names = [*of_index.split(), "idx_tup_read", "idx_tup_fetch", "definition"]
    found = records(tmp_path, "index")
    assert list(found[0])[-len(names) :] == names
    assert [[row[name] for name in ("index", *names)] for row in found] == [
        ["(tables and TOAST tables)", *[""] * 9],
        [
            "public.orders_customer on public.orders", "1.0", "40.0", "20.0", "163840", "", "60",
            "2400", "300", DEFINITIONS[1].text,
        ],
        [
            "public.orders_pkey on public.orders", "20.0", "1.0", "2.0", "81920", "primary key",
            "1200", "1200", "1200", DEFINITIONS[0].text,
        ],
        [
            "pg_toast.pg_toast_20100_index on public.orders", "2.0", "1.0", "2.0", "16384", "",
            "120", "120", "120", "",
        ],
        ["unattributed", *[""] * 9],
    ]  # fmt: skip
    of_table = {
        "seq_scans_per_s": 0.1, "idx_scans_per_s": 21.0, "rows_per_scan": 7600 / 1266,
        "blocks_per_row": 4000 / 7600, "size_bytes": 1_638_400, "dead_rows": 100,
        "rows_per_seq_scan": 1000.0, "rows_per_idx_scan": 1600 / 1260, "dead_share": 100 / 5100,
        "seq_scan": 6, "seq_tup_read": 6000, "idx_scan": 1260, "idx_tup_fetch": 1600,
    }  # fmt: skip
    for by in ("relation", "table"):
        one = json.loads(report(tmp_path, "--by", by, "--format", "json"))["rows"]
        assert {name: one[0][name] for name in of_table} == of_table
        assert {name: one[1][name] for name in of_table} == dict.fromkeys(of_table)
        (row, _) = records(tmp_path, by)
        assert list(row)[-len(of_table) :] == list(of_table)
        shown = {name: float(row[name]) for name in of_table}
        assert shown == {name: round(value, 6) for name, value in of_table.items()}


def test_other_dimensions_and_steps_have_the_columns_that_they_had(tmp_path: Path) -> None:
    Shop().write(tmp_path)
    assert list(records(tmp_path, "category")[0])[-1] == "mean_exec_time_ms"
    steps = report(tmp_path, "--by", "table", "--series", "10s", "--format", "csv")
    assert steps.splitlines()[0].split(",")[-1] == "mean_exec_time_ms"
    (row, *_) = json.loads(
        report(tmp_path, "--by", "table", "--series", "10s", "--format", "json").splitlines()[0]
    )["rows"]
    assert list(row)[-1] == "mean_exec_time_ms"
    environment = {"HOME": str(tmp_path), "PATH": ""}
    refused = run_program(
        "report", tmp_path, "--by", "index", "--series", "10s", environment=environment
    )
    assert refused.returncode == 2
    assert "--series and --by index cannot be used together" in refused.stderr


def test_what_is_unknown_is_no_zero_and_what_is_uncertain_is_marked(tmp_path: Path) -> None:
    counted = [replace(orders(n), until=until) for n, until in ((2, 0), (3, 30), (1, 60))]
    Shop(moved=counted, definitions=()).write(tmp_path)
    pkey = next(line for line in table(tmp_path, "--by", "index") if "orders_pkey" in line)
    assert pkey.split()[-9:-2] == ["%", "~20", "~1", "~2", "80.0", "KiB", "–"]
    old = tmp_path / "old"
    Shop(moved=()).write(old)
    text = report(old, "--by", "index", width=200)
    assert (
        "! scans and sizes are unknown: no counters of indexes were collected in this window"
        " (collect --tables-interval)" in text
    )
    assert "scans/s" not in text
    first, second, *_ = records(old, "index")
    assert (first["blocks_read"], second["scans_per_s"]) == ("3960", "")


@pytest.mark.parametrize("width", [80, 120, 200])
def test_a_hostile_name_of_an_index_does_nothing_in_any_form(tmp_path: Path, width: int) -> None:
    names = replace(
        NAMES,
        relations={
            **NAMES.relations,
            TABLE: (TABLE, "public", HOSTILE, "heap"),
            PKEY: (TABLE, "", HOSTILE, "idx"),
        },
        index_names={**NAMES.index_names, PKEY: HOSTILE, CUSTOMER: "plain"},
    )
    hostile = Definition(5, "index", PKEY, TABLE, HOSTILE, f"{HOSTILE} x", HOSTILE)
    Shop(names=names, definitions=(hostile,)).write(tmp_path)
    text = report(tmp_path, "--by", "index", width=width)
    page = report(tmp_path, "--by", "index", "--format", "markdown")
    sheet = report(tmp_path, "--by", "index", "--format", "csv")
    objects = report(tmp_path, "--by", "index", "--format", "json")
    for shown in (text, page, sheet, objects):
        assert "\x1b" not in shown
        assert "\u202e" not in shown
    lines = table(tmp_path, "--by", "index", width=width)
    assert all(len(line) <= width for line in lines)
    assert "=1|<b>`x`\\u001b[31m\\u202e" in text
    cells = [line for line in page.splitlines() if "=1" in line]
    assert cells
    for line in cells:
        assert "<b>" not in re.sub(r"`[^`]*`", "", line)
        assert len(re.findall(r"(?<!\\)\|", line)) == 12
    (row,) = [each for each in csv.DictReader(io.StringIO(sheet)) if each["definition"]]
    assert row["index"] == "'=1|<b>`x`\\u001b[31m\\u202e on =1|<b>`x`\\u001b[31m\\u202e"
    assert row["definition"] == "'=1|<b>`x`\\u001b[31m\\u202e x"
    # What is no word of ours is not known.
    assert row["constraint"] == ""
    (one,) = [each for each in json.loads(objects)["rows"] if each["definition"]]
    assert one["definition"] == f"{HOSTILE} x"
    assert one["constraint"] is None
