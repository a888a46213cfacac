"""Frames of a history have the dtypes and units that are stated, and the report's numbers."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import pgiostat
from pgiostat.errors import PgiostatError
from pgiostat.frames import Frames
from tests.test_compare_command import HALVES, record
from tests.test_history_reader import MINUTE, intervals, write


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
    "read_time_ms": "float64", "rd_await_ms": "float64", "reading_sessions": "float64",
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
        "seconds": "float64", "coverage": "float64", "part": "string", "rank": "Int64",
        "category": "string", "share": "float64",
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
        "blocks_read": "Int64",
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
        "read_time": "float64", "hits": "Int64", "basis": "Int64",
    }  # fmt: skip
    assert found.attrs["units"]["read_time"] == "ms"


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
