"""Tags in comments of statements: ranked live, and never kept in a history."""

import json
from pathlib import Path
from threading import Event

import pyarrow.parquet as pq

from pgiostat.analysis.rank import By, Ranking, rank
from pgiostat.history.write.writer import Writer
from pgiostat.postgres.sampler import Sampler
from pgiostat.queries.describe import describer
from pgiostat.statistics.delta import Delta
from tests.support.program import run_program
from tests.support.workloads import client, fill, run

TAG = "/*controller='basket_of_7',token='s3cret'*/"


def sampled(dsn: str, key: str) -> tuple[Delta, Sampler]:
    """Return an interval with tagged statements, and the sampler that has their names."""
    with client(dsn) as setup:
        fill(setup, "basket", 100)
    sampler = Sampler(dsn, 0.1, describer(tag=key), Event().wait)
    results = sampler.intervals()
    assert next(results).error is None
    with client(dsn) as other:
        run(other, f"SELECT count(*) FROM basket {TAG}", 2)
        run(other, "SELECT count(*) FROM basket /*controller='second'*/", 3)
        run(other, "SELECT max(id) FROM basket -- controller=orders")
        run(other, "SELECT min(id) FROM basket")
        other.execute("BEGIN")
        other.execute(f"DECLARE page CURSOR FOR SELECT id FROM basket {TAG}".encode())
        other.execute("FETCH 10 FROM page")
        other.execute("COMMIT")
    delta = next(results).delta
    assert delta is not None
    results.close()  # type: ignore[attr-defined]
    return delta, sampler


def calls_of(ranking: Ranking) -> dict[str, int | None]:
    """Return the calls of each value of a tag that may be that of the application's statements."""
    return {row.name: row.cost.calls for row in ranking.rows if row.name != "(no tag)"}


def test_a_ranking_by_tag_has_a_row_for_each_value(database: str) -> None:
    delta, sampler = sampled(database, "controller")
    ranking = rank([delta], sampler.names, by=By.TAG)
    # The server keeps the first text of an entry: three calls of another tag count there. The
    # FETCH has the tag of its DECLARE.
    assert calls_of(ranking) == {"basket_of_7": 2 + 3 + 1 + 1, "orders": 1}
    assert {row.name: row.cost.calls for row in ranking.rows}["(no tag)"] == 3
    statements = rank([delta], sampler.names, by=By.STATEMENT).rows
    assert {row.text: row.tag_group for row in statements} == {
        "select count(*) from basket": "basket_of_7",
        "select max(id) from basket": "orders",
        "select min(id) from basket": "(no tag)",
        "begin": "(no tag)",
        "declare ? cursor for select id from basket": "basket_of_7",
        "fetch ? from ?": "basket_of_7",
        "commit": "(no tag)",
    } | {row.text: "(no tag)" for row in statements if "pg_" in row.text}


def test_a_history_keeps_no_tag(database: str, tmp_path: Path) -> None:
    delta, sampler = sampled(database, "controller")
    writer = Writer.open(tmp_path, "here")
    writer.append(delta, sampler.names)
    writer.close()
    files = sorted(tmp_path.rglob("*.parquet"))
    kept = " ".join(str(pq.read_table(file).to_pylist()) for file in files)
    assert "select count(*) from basket" in kept
    assert not [word for word in ("basket_of_7", "s3cret", "controller") if word in kept]


def test_watch_states_what_a_tag_is_of(database: str) -> None:
    done = run_program("watch", database, "--by", "tag:controller", "--once", "-i", "0.1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "! A tag is that of the first text of an entry of pg_stat_statements" in done.stdout
    records = run_program(
        "watch", database, "--by", "tag:controller", "--once", "-i", "0.1", "--format", "json"
    )
    interval = json.loads(records.stdout)
    assert interval["by"] == "tag"
    assert [notice["slug"] for notice in interval["notices"]].count("tags-first") == 1
    assert all("tag" in row for row in interval["rows"])


def test_a_value_that_may_be_a_secret_is_hidden() -> None:
    text = "SELECT 1 /*route='postgresql://u:s3cret@h/d',job='export'*/"
    tags = {
        key: describer(tag=key)(text, user="", database="", queryid=1).tag
        for key in ("route", "job", "action", "")
    }
    assert tags == {"route": "***", "job": "export", "action": "", "": ""}
