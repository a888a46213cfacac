"""An export holds all of a window, once, with each column told in its dictionary."""

from pathlib import Path

import pandas as pd
import pytest

from pgiostat.errors import PgiostatError
from pgiostat.export import export
from pgiostat.export.tables import TABLES
from pgiostat.history.format.layout import Layout
from pgiostat.history.read.history import History
from pgiostat.history.read.windows import Window
from pgiostat.history.write.compaction import compact
from pgiostat.history.write.writer import Writer
from pgiostat.queries.describe import describer
from pgiostat.statistics.names import Names, Statement
from tests.support.histories import MINUTE, intervals, write
from tests.support.program import pgiostat
from tests.support.readings import at, server

FILES = [*(f"{table.name}.csv" for table in TABLES), "README.md"]
WHOLE = Window(at(0), at(240 * MINUTE))


def exported(root: Path, out: Path, window: Window = WHOLE) -> dict[str, pd.DataFrame]:
    """Return the files of an export as pandas reads them without options."""
    written = export(History.open(root), window, describer(), out)
    assert [path.name for path in written] == FILES
    return {path.stem: pd.read_csv(path) for path in written if path.suffix == ".csv"}


@pytest.mark.parametrize("sealed", [False, True])
def test_all_rows_are_there_once_in_order_of_time(tmp_path: Path, sealed: bool) -> None:  # noqa: FBT001
    root = tmp_path / "history"
    write(root, intervals(24, 10 * MINUTE))
    if sealed:
        compact(Layout(root), "prod")
    found = exported(root, tmp_path / "out")
    assert {name: len(frame) for name, frame in found.items()} == {
        "samples": 24, "categories": 3 * 24, "statements": 4 * 24, "databases": 2 * 24,
        "relations": 2 * 24, "tables": 0, "indexes": 0, "io": 0, "devices": 0,
        "definitions": 0, "texts": 4,
    }  # fmt: skip
    statements = found["statements"]
    assert statements["interval_start"].is_monotonic_increasing
    assert statements["interval_start"][0] == "2026-11-23T10:00:00.000000Z"
    assert set(statements["schema_version"]) == {1}
    by_category = statements.groupby("category")["shared_blks_read"].sum().to_dict()
    assert by_category == {"version": 576, "manifest": 5 * 576, "pgiostat itself": 4 * 576}
    again = found["categories"].groupby("category")["shared_blks_read"].sum().to_dict()
    assert again == by_category
    first = statements.iloc[0].to_dict()
    assert {name: first[name] for name in ("seconds", "server", "database", "user", "basis")} == {
        "seconds": 600.0, "server": "prod", "database": "app", "user": "api", "basis": "previous",
    }  # fmt: skip
    assert sorted(set(found["relations"]["relation"])) == ["public.t"]
    assert sorted(set(found["relations"]["part"])) == ["heap", "idx"]
    assert found["texts"]["query"].tolist() == [
        "select max(rev) from t",
        "select id, rev from t where id between ? and ?",
        "fetch ? from ?",
        "select ours",
    ]


def test_a_window_of_one_server_is_exported_alone(tmp_path: Path) -> None:
    root = tmp_path / "history"
    write(root, intervals(6, 10 * MINUTE))
    write(root, intervals(6, 10 * MINUTE, server=server(label="perf", address="x")), "perf")
    window = Window(at(15 * MINUTE), at(45 * MINUTE), "perf")
    found = exported(root, tmp_path / "out", window)
    assert set(found["statements"]["server"]) == {"perf"}
    assert found["samples"]["interval_start"].tolist() == [
        "2026-11-23T10:20:00.000000Z", "2026-11-23T10:30:00.000000Z", "2026-11-23T10:40:00.000000Z",
    ]  # fmt: skip
    assert set(found["texts"]["server"]) == {"perf"}


def test_texts_do_not_act_in_a_spreadsheet_or_a_terminal(tmp_path: Path) -> None:
    root = tmp_path / "history"
    evil = Names(
        {(10, 5, 1): Statement("=cmd()|'/c calc'!a1 \x1b[2J", "1:a", "other")}, {5: "@app"}, {}
    )
    writer = Writer.open(root, "prod")
    writer.append(intervals(1, MINUTE)[0], evil)
    writer.close()
    found = exported(root, tmp_path / "out")
    assert found["texts"]["query"].tolist() == ["'=cmd()|'/c calc'!a1 \\u001b[2J"]
    assert set(found["statements"]["database"]) == {"'@app"}


def test_the_dictionary_tells_every_column(tmp_path: Path) -> None:
    root = tmp_path / "history"
    write(root, intervals(2, MINUTE))
    found = exported(root, tmp_path / "out")
    told: dict[str, list[str]] = {}
    for line in (tmp_path / "out" / "README.md").read_text("utf-8").splitlines():
        if line.startswith("## "):
            columns = told.setdefault(line[3:].removesuffix(".csv"), [])
        elif line.startswith("| ") and not line.startswith("| column"):
            name, _, meaning = (cell.strip() for cell in line.strip("| ").split(" | "))
            assert meaning
            columns.append(name)
    assert told == {name: list(frame.columns) for name, frame in found.items()}


def test_nothing_that_is_there_is_overwritten(tmp_path: Path) -> None:
    root, out = tmp_path / "history", tmp_path / "out"
    write(root, intervals(2, MINUTE))
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    with pytest.raises(PgiostatError) as raised:
        export(History.open(root), WHOLE, describer(), out)
    assert raised.value.slug == "export-exists"
    assert [path.name for path in out.iterdir()] == ["mine.txt"]
    with pytest.raises(PgiostatError) as raised:
        export(History.open(root), WHOLE, describer(), out / "mine.txt" / "below")
    assert raised.value.slug == "output-unwritable"


def test_an_export_that_fails_leaves_nothing(tmp_path: Path) -> None:
    root, out = tmp_path / "history", tmp_path / "out"
    write(root, intervals(2, MINUTE))
    bad = Layout(root).sample("prod", 2) / "relation.parquet"
    bad.write_bytes(bad.read_bytes()[:100])
    for made in (False, True):
        with pytest.raises(PgiostatError) as raised:
            export(History.open(root), WHOLE, describer(), out)
        assert raised.value.slug == "history-unreadable"
        assert out.exists() == made
        out.mkdir(exist_ok=True)
    export(History.open(root, skip_bad=True), WHOLE, describer(), out)
    assert sorted(path.name for path in out.iterdir()) == sorted(FILES)


def test_an_export_that_fails_removes_nothing_that_it_did_not_write(tmp_path: Path) -> None:
    root, out = tmp_path / "history", tmp_path / "out"
    write(root, intervals(2, MINUTE))

    def told(_name: str, _share: float) -> None:
        (out / "theirs").write_text("kept", "utf-8")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(History.open(root), WHOLE, describer(), out, told)
    assert {path.name: path.read_text("utf-8") for path in out.iterdir()} == {"theirs": "kept"}


def test_the_command_says_what_it_wrote(tmp_path: Path) -> None:
    root, out = tmp_path / "history", tmp_path / "new" / "out"
    write(root, intervals(3, MINUTE))
    done = pgiostat("export", "--history", str(root), "--out", str(out), "--last", "2m")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [str(out / name) for name in FILES]
    assert len(pd.read_csv(out / "samples.csv")) == 2
