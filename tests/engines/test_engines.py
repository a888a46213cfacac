"""Spark and ClickHouse answer what DuckDB answers: the same texts, the same values."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow.fs import LocalFileSystem

from pgiostat import open_history
from pgiostat.analysis.rank import By
from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.export import export
from pgiostat.extras import install_hint
from pgiostat.history.engines import DuckDB, Engine, UnreadableError, text_of
from pgiostat.history.engines import spark as spark_module
from pgiostat.history.engines.spark import Spark
from pgiostat.history.format.filesystem import Filesystem
from pgiostat.history.format.layout import Layout
from pgiostat.history.format.root import check
from pgiostat.history.format.schema import SCHEMAS
from pgiostat.history.read.history import History
from pgiostat.history.read.inventory import inventory
from pgiostat.history.read.plan import PLACES
from pgiostat.history.read.relation_totals import relation_totals
from pgiostat.history.read.window_spec import WindowSpec
from pgiostat.history.read.windows import Window
from pgiostat.history.write.compaction import compact
from pgiostat.queries.describe import describer
from pgiostat.reports.compare import compare_windows
from pgiostat.reports.steps import by_hour
from pgiostat.statistics.difference import diff
from tests.support.disks import small_disk
from tests.support.engines import Both, ClickHouse, spark_cluster
from tests.support.histories import MINUTE, intervals, write
from tests.support.readings import at, reading, server
from tests.support.relation_histories import Shop

SAMPLE = Path(__file__).parents[2] / "sample_data" / "history"
HOUR = 60 * MINUTE


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A history of two servers: sealed and not, old files and new, nested, unknown, negative."""
    root = tmp_path_factory.mktemp("engines") / "a history [1]"
    write(root, intervals(30, 10 * MINUTE, server=server(label="prod")))
    compact(Layout(root), "prod")
    for file in Layout(root).compacted_files("stmt")[:1]:
        # As earlier versions wrote it: two columns came later.
        table = pq.read_table(file.path, partitioning=None)
        pq.write_table(table.drop_columns(["physical_bytes", "traced_blks"]), file.path)
    write(root, intervals(30, 10 * MINUTE, server=server(label="test"))[:9], "test")
    lone = server(label="nested")
    nested = [
        {"queryid": 1, "calls": 1, "shared_blks_read": 50, "stats_since": at(1)},
        {"queryid": 2, "calls": 1, "shared_blks_read": 2**40, "stats_since": at(1),
         "toplevel": False},
        {"queryid": -(2**63), "calls": 1, "shared_blks_read": 30, "stats_since": at(1)},
    ]  # fmt: skip
    write(root, [diff(reading(0, [], server=lone), reading(HOUR, nested, server=lone))], "nested")
    # With tables and indexes.
    Shop(more={"server": server(label="shop")}).write(root, "shop")
    return root


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with spark_cluster(tmp_path_factory.mktemp("spark")) as addresses:
        yield addresses


def tour(root: Path, engine: Engine, out: Path) -> None:
    """Ask a history all that can be asked."""
    describe = describer()
    with closing(History(check(root), engine)) as history:
        servers = history.servers()
        whole = Window(
            min(server.since for server in servers), max(server.until for server in servers)
        )
        edges = Window(whole.since + timedelta(minutes=25), whole.until - timedelta(minutes=7))
        inventory(history, datetime.now(UTC))
        history.totals(edges, By.STATEMENT)
        history.totals(edges, By.RELATION)
        relation_totals(history, edges, history.totals(edges).counted)
        sids = history.facts("stmt", edges, [server.server_id for server in servers])["sid"]
        history.facts("sample", edges, [server.server_id for server in servers])
        known = sorted(set(sids.to_pylist()))[::2]
        for step_us, some in ((60_000_000, known), (3_600_000_000, [])):
            history.samples(whole, servers, step_us)
            places = pa.table([some, [*range(len(some))]], schema=PLACES)
            history.places(edges, servers, places, step_us)
        by_hour(history, history.totals(whole, By.HOUR), history.names(describe))
        longest = max(servers, key=lambda server: server.samples)
        half = longest.since + (longest.until - longest.since) / 2
        before, after = (
            WindowSpec(history, Window(since, until, longest.label))
            for since, until in ((longest.since, half), (half, longest.until))
        )
        compare_windows(before, after, describe, "second")
        export(history, replace(whole, since=whole.until - timedelta(minutes=30)), describe, out)


def texts_asked(engine: Both) -> set[str]:
    """Return the names of the texts that were asked, by their first lines."""
    first = {
        path.name.removesuffix(".sql"): text_of(path.name.removesuffix(".sql")).splitlines()[0]
        for path in files("pgiostat.history").joinpath("sql").iterdir()
    }
    whole = "\n".join(engine.asked)
    return {name for name, line in first.items() if line in whole}


ALL_TEXTS = {path.name.removesuffix(".sql")
             for path in files("pgiostat.history").joinpath("sql").iterdir()}  # fmt: skip


@pytest.mark.engines
@pytest.mark.parametrize(("which", "sample"), [(0, False), (1, True)], ids=["master", "connect"])
def test_spark_gives_the_values_of_duckdb(
    history: Path,
    spark: tuple[str, str],
    tmp_path: Path,
    which: int,
    sample: bool,  # noqa: FBT001
) -> None:
    both = Both(Spark(spark[which]))
    tour(SAMPLE if sample else history, both, tmp_path / "out")
    assert texts_asked(both) == ALL_TEXTS


@pytest.mark.engines
@pytest.mark.parametrize("sample", [False, True], ids=["made", "recorded"])
def test_clickhouse_gives_the_values_of_duckdb(
    history: Path,
    tmp_path: Path,
    sample: bool,  # noqa: FBT001
) -> None:
    both = Both(ClickHouse(tmp_path))
    tour(SAMPLE if sample else history, both, tmp_path / "out")
    assert texts_asked(both) == ALL_TEXTS


@pytest.mark.engines
def test_commands_say_the_same_whoever_reads(spark: tuple[str, str], tmp_path: Path) -> None:
    with closing(History.open(SAMPLE)) as history:
        (server,) = history.servers()
    half = f"{server.since + (server.until - server.since) / 2:%Y-%m-%dT%H:%M:%SZ}"
    before, after = f"{SAMPLE}:demo@..{half}", f"{SAMPLE}:demo@{half}.."
    for command in (
        ("report", "--history", str(SAMPLE), "--format", "json", "--by", "fingerprint"),
        ("compare", before, after, "--format", "json"),
        ("export", "--history", str(SAMPLE), "--last", "10m", "--out"),
    ):
        said = []
        for engine in ("duckdb", spark[1]):
            out = tmp_path / engine.partition(":")[0]
            last = [str(out)] if command[-1] == "--out" else []
            found = pgiostat(*command, *last, "--engine", engine)
            assert (found.returncode, found.stderr) == (0, "")
            files = {path.name: path.read_bytes() for path in out.glob("*")} if last else {}
            said.append((found.stdout.replace(str(out), "out"), files))
        assert said[0] == said[1]


@pytest.mark.engines
def test_what_workers_do_not_see_is_said(spark: tuple[str, str], tmp_path: Path) -> None:
    shutil.copytree(SAMPLE, tmp_path / "history")
    # Each process has a directory of its own there.
    found = pgiostat(
        "report", "--history", "/proc/self/cwd/history", "--engine", spark[0], cwd=tmp_path
    )
    assert found.returncode == ExitStatus.ERROR
    assert re.sub('date=[^"]+', "…", found.stderr) == (
        'pgiostat: error: Spark cannot find "/proc/self/cwd/history/sample/…"\n'
        f"DETAIL:  It exists for this process, but not for what runs at {spark[0]}.\n"
        "HINT:  Every worker must have the history under the same path: on a shared file system,"
        " or in an object store.\n"
    )


@pytest.mark.engines
def test_a_damaged_file_is_named_and_left_out(spark: tuple[str, str], tmp_path: Path) -> None:
    root = tmp_path / "history"
    write(root, intervals(6, HOUR))
    layout = Layout(root)
    bad = layout.sample("prod", 3) / "stmt.parquet"
    bad.write_bytes(bad.read_bytes()[:100])
    window = Window(at(0), at(6 * HOUR))
    with closing(History.open(root, engine=spark[1])) as strict:
        with pytest.raises(UnreadableError) as caught:
            strict.totals(window, By.STATEMENT)
        assert (caught.value.slug, caught.value.path) == ("history-unreadable", bad)
    with closing(History.open(root, engine=spark[1], skip_bad=True)) as opened:
        assert (opened.totals(window, By.STATEMENT).sampled.samples, opened.left_out) == (5, {bad})


def pgiostat(*command: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """Run a command."""
    return subprocess.run(
        [sys.executable, "-m", "pgiostat", *command],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=os.environ | {"SPARK_LOCAL_IP": "127.0.0.1"},
    )


@pytest.mark.engines
def test_why_spark_could_not_answer_is_what_java_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # There is no S3A file system here: Spark does not bring it.
    stored = Filesystem(LocalFileSystem(), "s3")
    asked = Spark("local[1]", stored)
    with closing(asked), pytest.raises(PgiostatError) as caught:
        asked.query("SELECT * FROM facts", {"facts": ([Path("bucket/a.parquet")], SCHEMAS["stmt"])})
    assert (caught.value.slug, caught.value.hint) == (
        "engine-failed",
        "Spark reads object stores with its own packages: see docs/fleet.md.",
    )
    assert caught.value.detail is not None
    assert "S3AFileSystem" in caught.value.detail
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho no such JVM >&2\nexit 1\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    done = pgiostat("report", "--history", str(SAMPLE), "--engine", "local[1]")
    assert done.stderr.startswith("pgiostat: error: Java did not start\nDETAIL:  ")
    assert "no such JVM" in done.stderr


# what needs no Spark


def test_a_question_that_there_is_no_memory_for_is_said(history: Path) -> None:
    window = Window(at(0), at(5 * HOUR))
    with closing(History(check(history), DuckDB("1MB"), skip_bad=True)) as opened:
        with pytest.raises(PgiostatError) as caught:
            opened.totals(window, By.STATEMENT)
        assert (caught.value.slug, opened.left_out) == ("memory-short", set())


NUMBERS = pa.table({"n": pa.array(range(1_000_000), pa.int64())})
EACH = "SELECT n, CAST(SUM(n) AS BIGINT) AS sum FROM facts GROUP BY n ORDER BY n"
"""A million groups, more than fit into the memory that is given here."""


def test_what_does_not_fit_into_memory_is_spilled_and_one_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with closing(DuckDB("40MB")) as small:
        found = small.query(EACH, {"facts": NUMBERS})
        assert [path.name[:9] for path in tmp_path.iterdir()] == ["pgiostat-"]
    assert found["sum"].equals(NUMBERS["n"])
    assert [*tmp_path.iterdir()] == []


def test_a_full_disk_below_what_is_spilled_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", 2) as place:
        monkeypatch.setattr("tempfile.tempdir", str(place))
        with closing(DuckDB("40MB")) as small, pytest.raises(PgiostatError) as caught:
            small.query(EACH, {"facts": NUMBERS})
    assert caught.value.slug in {"memory-short", "spill-failed"}
    assert caught.value.hint is not None
    assert "TMPDIR" in caught.value.hint


@pytest.mark.parametrize(
    "words", ["mysql", "spark://", "spark://host", "local[]", "local[0]", "sc://", ""]
)
def test_an_engine_that_there_is_not(words: str) -> None:
    with pytest.raises(PgiostatError) as caught:
        History.open(SAMPLE, engine=words)
    assert (caught.value.message, caught.value.hint, caught.value.status) == (
        f'invalid value for --engine: "{words}"',
        "It must be duckdb, spark://host:port, sc://host:port or local[N].",
        ExitStatus.USAGE,
    )


def refused(monkeypatch: pytest.MonkeyPatch, engine: str, *modules: str) -> PgiostatError:
    """Return why a Spark cannot be had where some of the modules are installed."""
    monkeypatch.setattr(spark_module, "find_spec", lambda name: name in modules or None)
    with pytest.raises(PgiostatError) as caught, closing(History.open(SAMPLE, engine=engine)) as it:
        it.servers()
    return caught.value


@pytest.mark.parametrize(
    ("engine", "modules"),
    [("local[2]", ()), ("sc://127.0.0.1:1", ("pyspark",)), ("spark://127.0.0.1:1", ("grpc",))],
)
def test_spark_that_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, engine: str, modules: tuple[str, ...]
) -> None:
    error = refused(monkeypatch, engine, *modules)
    assert (error.slug, error.message, error.detail, error.hint) == (
        "spark-missing",
        "Spark is not installed",
        f"--engine {engine} needs the Python package pyspark.",
        install_hint("spark"),
    )


def test_spark_without_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))  # Spark looks no further, whatever is in PATH
    error = refused(monkeypatch, "local[2]", "pyspark")
    assert (error.slug, error.message, error.detail) == (
        "java-missing",
        "Spark needs Java, which is not installed",
        f'JAVA_HOME is "{tmp_path}", and there is no bin/java.',
    )
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(tmp_path))
    error = refused(monkeypatch, "local[2]", "pyspark")
    assert error.detail == "Neither JAVA_HOME nor PATH names a java program."


@pytest.mark.parametrize("engine", ["spark://127.0.0.1:1", "sc://127.0.0.1:1/;token=x"])
def test_spark_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, engine: str
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").touch()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    error = refused(monkeypatch, engine, "pyspark", "grpc")
    assert (error.slug, error.message, error.detail) == (
        "spark-unreachable",
        f"could not reach Spark at {engine.partition('/;')[0]}",
        "127.0.0.1:1: Connection refused.",
    )


# the texts


PORTABLE = {"SUM", "MIN", "MAX", "COUNT", "COALESCE", "NULLIF", "CAST"}
WORDS = {
    "SELECT", "FROM", "AS", "LEFT", "JOIN", "ON", "WHERE", "AND", "OR", "IN", "IS", "NULL", "NOT",
    "GROUP", "ORDER", "BY", "UNION", "ALL", "CASE", "WHEN", "THEN", "ELSE", "END", "BIGINT",
    "NULLS", "FIRST",
}  # fmt: skip
"""What DuckDB, Spark and ClickHouse read alike."""


@pytest.mark.parametrize("name", sorted(ALL_TEXTS))
def test_texts_keep_to_what_all_engines_read_alike(name: str) -> None:
    text = re.sub(r"--.*", "", text_of(name))
    text = re.sub(r"\{[a-z_]+\}|'[^']*'", " ", text)
    assert not re.search(r"::|//|\|\||[~\[\]\"`;%/]|--", text)
    assert {word for word in re.findall(r"\b[A-Z]+\b", text) if word not in PORTABLE} <= WORDS
    assert {word.upper() for word in re.findall(r"(\w+)\(", text)} <= PORTABLE
    # A sum is a whole number of 64 bits everywhere, not of 128 here and 64 there.
    for found in re.finditer(r"\b(SUM|COUNT)\(", text):
        assert text[: found.start()].endswith("CAST("), found
    assert len(re.findall(r"CAST\(", text)) == len(re.findall(r"AS BIGINT\)", text))
    # Rows have one order everywhere.  Parts of other texts have none.
    assert name == "intervals" or "ORDER BY" in text


def test_a_python_session_names_its_engine() -> None:
    frames = open_history(SAMPLE)
    assert frames.history.engine.name == "duckdb"
