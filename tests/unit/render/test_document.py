"""One document in every form."""

import json
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest

from pgiostat.render import render
from pgiostat.render.document import Curve, Document, Mark, Records, Table, TableColumn
from pgiostat.render.text import lines
from pgiostat.units import format_share

HOSTILE = "=1 | [l](http://e/) \x1b[31m"


def document() -> Document:
    """Return a document that has all parts."""
    columns = [
        TableColumn("category", most=12, rest=True),
        TableColumn("share", right=True, format=format_share),
        TableColumn("", format=lambda share: "#" * round(share * 8), style="cyan", extra=True),
        TableColumn("more", format=str, extra=True, from_width=80),
    ]
    rows: list[list[Any]] = [["version", 0.5, 0.5, "a"], [HOSTILE, None, 0.25, "b"]]
    curves = Table(
        [TableColumn("name"), TableColumn("reads", extra=True)],
        [["version", Curve([0, 4, None, 8])], [Mark("server", "dim"), Curve([1, 1])]],
        apart=True, extra=True, legend=[("the server is last", "dim")],
    )  # fmt: skip
    return Document(
        subject=HOSTILE,
        summary="2 intervals",
        head=[[("pgiostat  ", "bold", 2), (HOSTILE, "", 0), ("  2 intervals", "dim", 1)]],
        facts=["a fact"],
        warnings=["a warning"],
        findings=["a finding"],
        conclusion=("B reads less.", "blocks read by second"),
        curve=[1.0, 0.5],
        tables=[Table(columns, rows), curves],
        notes=[("pgiostat itself: 7 calls", "itself: 7 calls")],
        records=Records(("category", "share"), (row[:2] for row in rows)),
        objects=({"category": row[0], "share": row[1]} for row in rows),
    )


def written(form: str, made: Document) -> str:
    """Return a document in a form."""
    out = StringIO(newline="")
    render(made, form, out)
    return out.getvalue()


def test_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    assert [line.rstrip() for line in written("text", document()).splitlines()] == [
        "=1 | [l](http://e/) \\u001b[31m  2 intervals",
        "a fact",
        "! a warning",
        "a finding",
        "B reads less.",
        "blocks read by second",
        "█▅",
        "category      share",
        "version      50.0 % ####",
        "=1 | [l](ht…      – ##",
        "",
        "name    reads",
        "version ▁▅ █",
        "server  ██",
        "the server is last",
        "pgiostat itself: 7 calls",
    ]


def test_markdown() -> None:
    assert written("markdown", document()).splitlines() == [
        "**`=1 | [l]\\u0028http\\u003a//e/) \\u001b[31m`**, 2 intervals.",
        "",
        "- a fact",
        "- a finding",
        "- a warning",
        "- pgiostat itself: 7 calls",
        "",
        "**B reads less.** (blocks read by second)",
        "",
        "| category | share |",
        "|---|---:|",
        "| version | 50.0 % |",
        "| `=1 \\| [l]\\u0028http\\u003a//e/) \\u001b[31m` | – |",
    ]


def test_csv() -> None:
    made = document()
    assert written("csv", made) == (
        "category,share\r\nversion,0.5\r\n'=1 | [l](http://e/) \\u001b[31m,\r\n"
    )
    exact = Records(("share",), [[1 / 3]], exact=True)
    assert written("csv", replace(made, records=exact)) == f"share\n{1 / 3}\n"
    assert written("csv", replace(made, records=replace(exact, exact=False))) == (
        "share\r\n0.333333\r\n"
    )


def test_json() -> None:
    assert [json.loads(line) for line in written("json", document()).splitlines()] == [
        {"category": "version", "share": 0.5},
        {"category": HOSTILE, "share": None},
    ]


@pytest.mark.parametrize("form", ["csv", "json"])
def test_long_tables_are_written_as_they_come(form: str) -> None:
    """A row is on its way before the next one is made."""
    out = StringIO()
    before: list[int] = []

    def values() -> Iterator[int]:
        for n in range(3):
            before.append(out.getvalue().count(f"{n - 1}") if n else 1)
            yield n

    records = Records(("n",), ([n] for n in values()))
    render(Document(records=records, objects=({"n": n} for n in values())), form, out)
    assert before == [1, 1, 1]


def test_a_table_fits_a_screen_by_its_own_rule() -> None:
    narrow = Table([TableColumn("n", format=str)], [[1]])
    table = Table(
        [TableColumn("name")], [["long"]], fit=lambda width: narrow if width < 9 else table
    )
    assert [line[0][0] for line in lines(narrow, 8)] == ["n", "1"]
    assert [line[0][0] for line in lines(table, 8)] == ["n", "1"]
