"""Frames of a history have the dtypes and units that are stated, and the report's numbers."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import pgiostat
from pgiostat.dataframes import Frames
from pgiostat.errors import PgiostatError
from tests.support.halves import HALVES, record
from tests.support.histories import MINUTE, intervals, write

SAMPLE = Path(__file__).parents[3] / "sample_data" / "history"


@pytest.fixture
def frames(tmp_path: Path) -> Frames:
    """Return the frames of two hours of ten-minute intervals."""
    write(tmp_path / "history", intervals(12, 10 * MINUTE))
    return pgiostat.open_history(tmp_path / "history")


def dtypes(frame: pd.DataFrame) -> dict[str, str]:
    """Return the dtype of each column."""
    return {str(name): str(kind) for name, kind in frame.dtypes.items()}


NUMBERS = {
    "blocks_read": "Int64", "blocks_read_per_s": "float64", "read_operations_per_s": "float64",
    "bytes_read_per_s": "float64",
    "read_time_ms": "float64", "rd_await_ms": "float64", "physical_bytes_per_s": "float64",
    "physical_share": "float64", "reading_sessions": "float64",
    "blocks_read_per_call": "float64", "calls": "Int64", "calls_per_s": "float64",
    "rows": "Int64", "hit_ratio": "float64", "shared_blks_hit": "Int64",
    "shared_blks_read": "Int64", "local_blks_read": "Int64", "temp_blks_read": "Int64",
    "total_exec_time_ms": "float64", "mean_exec_time_ms": "float64",
}  # fmt: skip


def test_a_ranking_is_the_reports(frames: Frames) -> None:
    found = frames.ranking()
    assert dtypes(found) == {
        "part": "string", "rank": "Int64", "category": "string", "share": "float64",
    } | NUMBERS  # fmt: skip
    assert found[["part", "category", "blocks_read"]].to_numpy().tolist() == [
        ["row", "manifest", 720], ["row", "version", 144], ["own", "pgiostat itself", 576],
        ["unattributed", "unattributed", 156],
    ]  # fmt: skip
    assert found.attrs["units"]["blocks_read_per_s"] == "blocks/s"
    assert found.attrs["coverage"] == 1440 / 1596
    assert found.attrs["remarks"] == []
    by_hour = frames.ranking("hour")
    assert by_hour["blocks_read"].tolist() == [216, 648, 576, 156]
    relation = frames.ranking("relation", last="1h")
    assert relation["heap_blks_read"].tolist() == [648, pd.NA]


def test_steps_are_indexed_by_time_in_utc(frames: Frames) -> None:
    found = frames.categories(every="1h")
    assert str(found.index.dtype) == "datetime64[us, UTC]"
    assert found.index.name == "step"
    assert dtypes(found) == {
        "seconds": "float64", "coverage": "float64", "server": "string", "part": "string",
        "rank": "Int64", "category": "string", "share": "float64",
    } | NUMBERS  # fmt: skip
    version = found[found["category"] == "version"]
    assert version["blocks_read"].tolist() == [36, 108]
    assert version["seconds"].tolist() == [3600.0, 3600.0]
    assert frames.categories().attrs["step_seconds"] == 600
    assert frames.categories(every="1h", since="2026-11-23T11:00Z").index.tolist() == (
        [pd.Timestamp("2026-11-23T11:00Z")] * 4
    )


def test_statements_have_a_row_for_each_step_in_which_they_ran(frames: Frames) -> None:
    found = frames.statements(every="1h")
    assert dtypes(found) == {
        "seconds": "float64", "server": "string", "database": "string", "user": "string",
        "queryid": "Int64", "fingerprint": "string", "category": "string", "query": "string",
        "calls": "Int64", "rows": "Int64", "shared_blks_hit": "Int64",
        "shared_blks_read": "Int64", "local_blks_read": "Int64", "temp_blks_read": "Int64",
        "total_exec_us": "Int64", "read_us": "Int64", "timed_blocks": "Int64",
        "physical_bytes": "Int64", "traced_blocks": "Int64", "blocks_read": "Int64",
    }  # fmt: skip
    assert len(found) == 8
    one = found[found["queryid"] == 2]
    assert one["blocks_read"].tolist() == [72, 216]
    assert set(one["query"]) == {"select id, rev from t where id between ? and ?"}
    assert found.attrs["units"]["total_exec_us"] == "µs"


def test_samples_tell_how_good_each_interval_is(frames: Frames) -> None:
    found = frames.samples(last="30m")
    assert len(found) == 3
    assert str(found.index.dtype) == "datetime64[us, UTC]"
    first = found.iloc[0]
    told = {name: first[name] for name in ("seconds", "server", "quality", "server_blocks")}
    assert told == {"seconds": 600.0, "server": "prod", "quality": "ok", "server_blocks": 210}
    assert first["coverage"] == 190 / 210
    assert dtypes(found)["dealloc"] == "Int64"
    assert dtypes(found)["coverage"] == "float64"


def test_io_is_empty_where_there_is_none_with_the_same_columns(frames: Frames) -> None:
    found = frames.io()
    assert len(found) == 0
    assert dtypes(found) == {
        "seconds": "float64", "server": "string", "backend_type": "string", "object": "string",
        "context": "string", "reads": "Int64", "read_bytes": "Int64", "op_bytes": "Int64",
        "read_time_ms": "float64", "hits": "Int64", "basis": "string",
    }  # fmt: skip
    assert found.attrs["units"]["read_time_ms"] == "ms"


def test_windows_are_compared_as_on_the_command_line(tmp_path: Path) -> None:
    record(tmp_path / "history", half=(1.0, 0.5))
    frames = pgiostat.open_history(str(tmp_path / "history"))
    found = frames.compare(*HALVES)
    assert found["verdict"].tolist()[:3] == ["better", "better", "no change"]
    assert found["key"].tolist()[:3] == ["total", "version", "manifest"]
    assert (found.attrs["judged"], found.attrs["reasons"]) == (True, [])
    kinds = dtypes(found)
    assert {kinds[name] for name in ("a", "b", "change", "change_low")} == {"float64"}
    assert {kinds[name] for name in ("calls_a", "blocks_read_b")} == {"Int64"}
    assert found.attrs["a"] | {"seconds": 0, "samples": 0} == {
        "server": "prod", "since": "2026-11-23T10:00:00.000000Z",
        "until": "2026-11-23T10:30:00.000000Z", "seconds": 0, "samples": 0, "coverage": 1.0,
        "in_transit_blocks_read": None,
        "qualities": {"ok": 60}, "version_num": 180004, "remarks": [],
    }  # fmt: skip
    assert found.attrs["units"]["a"] == found.attrs["units"]["b"] == "blocks/s"
    assert found.attrs["units"]["change_low"] == "ratio"
    per_call = frames.compare(*HALVES, per="call")
    assert per_call.attrs["units"]["b"] == "blocks/call"
    with pytest.raises(PgiostatError, match="the two windows overlap"):
        frames.compare("prod", "prod")


def test_rules_may_be_given_and_errors_are_ours(tmp_path: Path) -> None:
    write(tmp_path / "history", intervals(2, MINUTE))
    rules = tmp_path / "rules.toml"
    rules.write_text(
        'schema = 1\n[[rule]]\nname = "mine"\ncategory = "mine"\nwhen = { statement = "select" }\n'
    )
    found: Any = pgiostat.open_history(tmp_path / "history", rules=rules).ranking()
    assert "mine" in set(found["category"])
    with pytest.raises(PgiostatError, match="there is no history"):
        pgiostat.open_history(tmp_path / "nowhere")
    with pytest.raises(PgiostatError, match="invalid time"):
        pgiostat.open_history(tmp_path / "history").samples(since="then")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("servers", []),
        ("samples", []),
        ("io", []),
        ("ranking", ["statement"]),
        ("categories", []),
        ("statements", []),
        ("compare", ["@..2026-11-23T18:48Z", "@2026-11-23T18:48Z.."]),
    ],
)
def test_each_frame_goes_into_parquet_and_back_with_all_that_it_tells(
    tmp_path: Path, name: str, arguments: list[str]
) -> None:
    frame = getattr(pgiostat.open_history(SAMPLE), name)(*arguments)
    assert len(frame)
    frame.to_parquet(tmp_path / "frame.parquet")
    back = pd.read_parquet(tmp_path / "frame.parquet")
    pd.testing.assert_frame_equal(back, frame, check_index_type=False)  # of texts, pandas 3
    assert back.attrs == frame.attrs


def test_rows_of_pg_stat_io_say_what_they_are(frames: Frames) -> None:
    found = pgiostat.open_history(SAMPLE).io()
    assert set(found["basis"]) <= {"previous", "new", "reset"}
    assert found.attrs["remarks"] == []
    assert found.attrs["servers"] == ["demo"]
    assert frames.samples().attrs["coverage"] == 1440 / 1596


NOON = datetime(2026, 11, 23, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    "window",
    [
        {"since": NOON},
        {"since": pd.Timestamp(NOON), "until": pd.Timestamp("2026-11-23T12:00Z")},
        {"since": NOON.astimezone().replace(tzinfo=None)},
        {"last": timedelta(hours=1)},
        {"last": pd.Timedelta("1h")},
        {"last": "1h"},
    ],
    ids=str,
)
def test_times_are_words_or_those_of_python_and_pandas(
    frames: Frames, window: dict[str, Any]
) -> None:
    found = frames.ranking(**window)
    assert found["blocks_read"].sum() == 1194
    assert found.attrs["since"] == "2026-11-23T11:00:00.000000Z"
    steps = frames.categories(timedelta(minutes=30), **window)
    assert steps.attrs["step_seconds"] == 1800
    assert frames.samples(since=date(2026, 11, 23))["seconds"].count() == 12


@pytest.mark.parametrize(
    ("ask", "told", "hint"),
    [
        (lambda f: f.ranking(by="foo"), 'invalid value for by: "foo"',
         ("Allowed are category, verb, table, fingerprint, statement, relation, index, database,"
         " user, server, hour.")),
        (lambda f: f.ranking(sort="foo"), 'invalid value for sort: "foo"',
         "Allowed are reads, time, temp, calls, per-call."),
        (lambda f: f.ranking(top=0), "invalid value for top: 0", "It must be at least 1."),
        (lambda f: f.categories("0s"), 'invalid value for every: "0s"',
         "A step must be 1s or longer."),
        (lambda f: f.statements(timedelta(0)), 'invalid value for every: "0:00:00"',
         "A step must be 1s or longer."),
        (lambda f: f.samples(since=pd.NaT), "invalid time: NaT",
         'Use text such as "-2h", a datetime or a timedelta.'),
        (lambda f: f.samples(last=60), "invalid time: 60",
         'Use text such as "-2h", a datetime or a timedelta.'),
    ],
    ids=["by", "sort", "top", "zero words", "zero", "NaT", "number"],
)  # fmt: skip
def test_what_cannot_be_asked_is_said_with_what_can(
    frames: Frames, ask: Callable[[Frames], pd.DataFrame], told: str, hint: str
) -> None:
    with pytest.raises(PgiostatError) as raised:
        ask(frames)
    assert (raised.value.message, raised.value.hint) == (told, hint)


def test_categories_of_several_servers_are_rows_of_their_own(tmp_path: Path) -> None:
    record(tmp_path, intervals=20)
    record(tmp_path, label="perf", half=(2.0, 2.0), first=77, intervals=20)
    frames = pgiostat.open_history(tmp_path)
    found = frames.categories("10m")
    assert found.attrs["servers"] == ["perf", "prod"]
    assert found.index.tolist() == [pd.Timestamp("2026-11-23T10:00Z")] * 8
    for label in ("perf", "prod"):
        alone = frames.categories("10m", label=label)
        pd.testing.assert_frame_equal(found[found["server"] == label], alone)


def test_a_history_says_what_it_is_in_a_line(frames: Frames, tmp_path: Path) -> None:
    assert repr(frames) == (
        f'<history "{tmp_path / "history"}": prod, 2026-11-23 10:00:00Z – 2026-11-23 12:00:00Z>'
    )


def test_ids_of_64_bits_are_what_they_are_beside_rows_that_have_none() -> None:
    history = pgiostat.open_history(SAMPLE)
    ranked = history.ranking(by="statement")
    assert ranked["queryid"].isna().any()
    there = set(history.statements()["queryid"].dropna().tolist())
    found = set(ranked["queryid"].dropna().tolist())
    assert found <= there
    assert max(map(abs, found)) > 2**53
