"""A damaged file of a history gives the same answer or an error by its name, never another one."""

import random
import shutil
from datetime import datetime, timedelta
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from threading import Event
from typing import Any

import pyarrow.parquet as pq
import pytest

from pgiostat.collector.recorder import Recorder
from pgiostat.collector.schedule import Schedule
from pgiostat.collector.targets import Target
from pgiostat.errors import PgiostatError
from pgiostat.history.format import checkpoint
from pgiostat.history.format.checksum import check_content
from pgiostat.history.format.covers import cover_bytes, cover_of
from pgiostat.history.format.filesystem import UnreadableError
from pgiostat.history.format.layout import Layout
from pgiostat.history.format.schema import SCHEMAS
from pgiostat.history.format.validation import Validator
from pgiostat.history.read.history import History
from pgiostat.history.read.windows import Window
from pgiostat.history.write.compaction import compact
from pgiostat.history.write.writer import Writer
from pgiostat.queries.describe import uncategorized
from pgiostat.statistics.delta import Quality
from pgiostat.statistics.difference import diff
from tests.support.damaged import KINDS, TEXTS, answer, answered, counted, damaged, flipped, made
from tests.support.readings import Unsynced, at, said_to, server

pytestmark = pytest.mark.long

DAMAGES = 120
FLIPS = 3000


@pytest.mark.parametrize("part", range(4))
def test_damage_anywhere_is_exact_or_reported_by_the_name_of_the_file(
    tmp_path: Path, part: int
) -> None:
    rng = random.Random(f"damage {part}")  # noqa: S311 - nothing secret
    root = made(tmp_path / "history")
    whole, _ = answer(root)
    files = sorted(path for path in root.rglob("*") if path.suffix in {".parquet", ".json"})
    assert {path.relative_to(root).parts[0] for path in files} >= {
        "format.json", "hot", "stmt", "stmt_1h", "sample", "database", "io", "relation", "dim",
    }  # fmt: skip
    refused = 0
    for number in range(DAMAGES // 4):
        path = rng.choice(files)
        good = path.read_bytes()
        path.write_bytes(damaged(rng, rng.choice((*KINDS, "flip", "flip")), good))
        outcome = answered(root)
        if outcome != whole:
            refused += 1
            # A history of a later format is told by its directory.
            assert (path.name if path.suffix == ".parquet" else str(root)) in str(outcome)
            if path.suffix == ".parquet" and number % 3 == 0:
                assert answered(root, skip_bad=True) in ({path}, None)
        path.write_bytes(good)
    assert refused > DAMAGES // 8
    assert answered(root) == whole


@pytest.mark.parametrize(
    "table",
    [
        "stmt_1h", "database", "io", "relation",
        "hot/stmt", "hot/database", "hot/relation", "hot/sample",
    ],
)  # fmt: skip
def test_a_file_that_is_missing_is_reported_by_its_name(tmp_path: Path, table: str) -> None:
    root = made(tmp_path / "history", step=1_000)
    whole = answered(root)
    pattern = f"hot/prod/*7/{table[4:]}.parquet" if table.startswith("hot/") else f"{table}/*/*"
    path = min(root.glob(pattern))
    path.rename(tmp_path / "aside")
    assert answered(root) == (
        f'could not read "{path}" of the history'
        " It is missing, but other files of the history refer to it."
    )
    assert answered(root, skip_bad=True) == {path}
    (tmp_path / "aside").rename(path)
    assert answered(root) == whole


def test_the_newest_sample_without_its_first_file_is_reported_by_name(tmp_path: Path) -> None:
    root = made(tmp_path / "history", step=1_000)
    path = max(root.glob("hot/prod/*/sample.parquet"))
    path.unlink()
    assert answered(root) == (
        f'could not read "{path}" of the history'
        " It is missing, but other files of the history refer to it."
    )
    assert answered(root, skip_bad=True) == {path}


def test_a_flipped_bit_of_the_baseline_is_the_same_reading_or_none() -> None:
    rng = random.Random("flips")  # noqa: S311 - nothing secret
    good = checkpoint.dump(counted(123, 10.0))
    for _ in range(FLIPS):
        with pytest.raises(ValueError, match="these bytes are not a snapshot"):
            checkpoint.load(flipped(good, rng.randrange(len(good)), rng.randrange(8)))
    for _ in range(FLIPS // 10):
        bad = damaged(rng, rng.choice((*KINDS, "flip", "flip")), good)
        if bad != good:
            with pytest.raises(ValueError, match="these bytes are not a snapshot"):
                checkpoint.load(bad)


def test_a_baseline_of_an_earlier_version_is_read() -> None:
    content = checkpoint.dump(counted(123, 10.0))
    loaded = checkpoint.load(content[len(b"pgiostat") + 4 :])
    assert loaded.statements["shared_blks_read"].tolist() == [123, 246]


def test_a_flipped_bit_of_a_cover_is_the_same_cover_or_none() -> None:
    cover = {"db0": (1, 50), "db1": (7, 7)}
    good = cover_bytes("2026-11-23", cover)
    assert cover_of(good) == ("2026-11-23", cover)
    for place in range(len(good)):
        for bit in range(8):
            with pytest.raises(ValueError, match=r"."):
                cover_of(flipped(good, place, bit))


@pytest.mark.parametrize("where", ["checksum", "place"])
def test_a_file_that_lost_its_checksum_is_no_file_of_an_earlier_version(
    tmp_path: Path, where: str
) -> None:
    path = next(made(tmp_path / "history").glob("sample/*/*.parquet"))
    content = path.read_bytes()
    mark = {"checksum": b"pgiostat checksum", "place": b"pgiostat.place"}[where]
    assert content.count(mark) == 1
    path.write_bytes(content.replace(mark, bytes(len(mark))))
    with pytest.raises(UnreadableError) as raised:
        Validator().check([path], SCHEMAS["sample"])
    assert raised.value.detail == "Its checksum does not match its content: it is damaged."


def test_a_file_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    root = made(tmp_path / "history")
    whole, _ = answer(root)
    for path in root.rglob("*.parquet"):
        rows = pq.read_table(path, partitioning=None).replace_schema_metadata(None)
        pq.write_table(rows, path)
        assert not check_content(BytesIO(path.read_bytes()))
    assert answer(root)[0] == whole


@pytest.mark.parametrize(
    ("table", "source", "target"),
    [
        ("stmt", "stmt/date=2026-11-23/*", "stmt/date=2026-11-24/{name}"),
        ("stmt", "hot/prod/000000000007/stmt.parquet", "hot/prod/000000000008/stmt.parquet"),
        ("stmt", "hot/prod/000000000007/stmt.parquet", "hot/prod/000000000009/stmt.parquet"),
        ("io", "io/*/*", "io/date=2026-11-23/000000000900-000000000901-prod.parquet"),
    ],
)  # fmt: skip
def test_a_copy_of_a_file_is_refused(tmp_path: Path, table: str, source: str, target: str) -> None:
    root = made(tmp_path / "history")
    (path,) = root.glob(source)
    copy = root / target.format(name=path.name)
    copy.parent.mkdir(exist_ok=True)
    shutil.copy(path, copy)
    with pytest.raises(UnreadableError) as raised:
        Validator().check([copy], SCHEMAS[table])
    assert raised.value.detail == f'It is a copy of "{path.relative_to(root)}".'


def test_a_collector_whose_baseline_is_damaged_records_what_is_lost(tmp_path: Path) -> None:
    root = tmp_path / "history"
    writer = Writer.open(root, "prod", Unsynced())
    writer.append(diff(counted(0, 0), counted(10, 10)), TEXTS)
    writer.close()
    (path,) = root.glob("hot/prod/*/baseline")
    path.write_bytes(flipped(path.read_bytes(), 40, 3))
    lines: list[str] = []
    target, schedule = Target("", "prod"), Schedule(Event())
    recorder = Recorder(target, root, uncategorized, schedule, said_to(lines))
    writer = Writer.open(root, "prod", Unsynced())
    assert (writer.resume(), writer.ends) == (None, at(10))
    recorder._committer._writer = writer
    recorder._sampler = type("Sampled", (), {"names": TEXTS, "whereabouts": lambda _: None})()
    recorder._committer.broken_off = writer.ends
    assert recorder._accept(diff(None, counted(90, 70)))
    assert recorder._accept(diff(counted(90, 70), counted(95, 80)))
    writer.close()
    rows = sampled(root)
    assert [(r["ts"], r["dur_us"], r["qualities"], r["lost_us"]) for r in rows] == [
        (at(0), 10_000_000, "ok", 0),
        (at(10), 0, "baseline lost", 60_000_000),
        (at(70), 10_000_000, "ok", 0),
    ]
    assert [r["server_blocks"] for r in rows] == [30, None, 15]


def sampled(root: Path) -> list[dict[str, Any]]:
    """Return the samples of a history by time."""
    history = History.open(root)
    ids = [each.server_id for each in history.servers()]
    window = Window(at(-86_400 * 20_000), at(86_400 * 20_000))
    rows: list[dict[str, Any]] = history.facts("sample", window, ids).to_pylist()
    history.close()
    return sorted(rows, key=lambda row: row["ts"])


# --- clocks ------------------------------------------------------------------------------

YEARS = 3650 * 86_400


@pytest.mark.parametrize("off", [YEARS, -YEARS, 2 * 86_400], ids=["ahead", "behind", "two days"])
@pytest.mark.parametrize("readings", [1, 4])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_clock_that_was_wrong_for_a_time_puts_no_interval_elsewhere(
    tmp_path: Path, off: int, readings: int, *, restarted: bool
) -> None:
    def now() -> datetime:
        return at(300)

    root = tmp_path / "history"
    clock = [10.0 * n + (off if 10 <= n < 10 + readings else 0) for n in range(20)]
    taken = [counted(n, clock[n], clock=10.0 * n) for n in range(20)]
    writer = Writer.open(root, "prod", Unsynced(), now=now)
    for n in range(1, 20):
        writer.append(diff(taken[n - 1], taken[n]), TEXTS)
        if restarted and n == 10:
            writer.close()
            writer = Writer.open(root, "prod", Unsynced(), now=now)
            assert writer.ends == at(100)
    writer.close()
    rows = sampled(root)
    assert [(row["ts"], row["dur_us"]) for row in rows] == [
        (at(10 * n), 10_000_000) for n in range(19)
    ]
    assert [n for n, row in enumerate(rows) if row["qualities"] != "ok"] == [
        9, *range(10, 9 + readings), 9 + readings,
    ]  # fmt: skip
    assert {row["qualities"] for row in rows} == {"ok", "clock jump"}
    assert sum(row["statement_blocks"] for row in rows) == 3 * 19


@pytest.mark.parametrize("set_while", ["stopped", "running"])
@pytest.mark.parametrize("off", [YEARS, -YEARS, -5])
def test_after_a_restart_a_clock_that_was_set_gives_our_own_length(
    tmp_path: Path, off: int, set_while: str
) -> None:
    now = {"at": at(20)}

    def clock() -> datetime:
        return now["at"]

    root = tmp_path / "history"
    writer = Writer.open(root, "prod", Unsynced(), now=clock)
    before = off if set_while == "running" else 0
    after = off if set_while == "stopped" else 0
    writer.append(diff(counted(0, 0), counted(5, 10)), TEXTS)
    writer.append(diff(counted(5, 10), counted(6, 20 + before, clock=20.0)), TEXTS)
    writer.close()
    now["at"] = at(50)
    writer = Writer.open(root, "prod", Unsynced(), now=clock)
    writer.append(diff(writer.resume(), counted(9, 50 + after)), TEXTS)
    writer.close()
    rows = sampled(root)
    assert [row["statement_blocks"] for row in rows] == [15, 3, 9]
    ends = [row["ts"] + timedelta(microseconds=row["dur_us"]) for row in rows]
    # A clock that was set by seconds cannot be told from the time that passed.
    assert at(15) <= rows[-1]["ts"] <= at(20)
    assert at(45) <= ends[-1] <= at(50)


def test_the_length_of_lost_time_is_bounded_by_our_own_clock(tmp_path: Path) -> None:
    root = tmp_path / "history"
    writer = Writer.open(root, "prod", Unsynced(), now=lambda: at(60))
    writer.append(diff(counted(0, 0), counted(5, 10)), TEXTS)
    clone = server(system_identifier=2)
    other = diff(counted(5, 10, session=0), counted(900, YEARS, server=clone))
    assert other.lost is not None
    assert other.lost.seconds == YEARS - 10
    writer.append(other, TEXTS)
    writer.close()
    assert [(row["ts"], row["dur_us"], row["lost_us"]) for row in sampled(root)] == [
        (at(0), 10_000_000, 0), (at(10), 0, 50_000_000),
    ]  # fmt: skip


def test_a_server_whose_clock_is_years_ahead_is_recorded_by_ours(tmp_path: Path) -> None:
    root = tmp_path / "history"
    writer = Writer.open(root, "prod", Unsynced(), now=lambda: at(60))
    for n in range(1, 4):
        pair = [counted(m, YEARS + 10.0 * m, clock=10.0 * m) for m in (n - 1, n)]
        writer.append(diff(*pair), TEXTS)
    writer.close()
    assert [row["ts"] for row in sampled(root)] == [at(50), at(60), at(70)]


def test_last_counts_from_the_interval_that_was_committed_last(tmp_path: Path) -> None:
    """A history of an earlier version has an interval of a clock that was years ahead."""
    root = tmp_path / "history"
    future = at(YEARS * 2)
    clock = [10.0 * n + (YEARS if n == 3 else 0) for n in range(8)]
    taken = [counted(n, clock[n], clock=10.0 * n) for n in range(8)]
    writer = Writer.open(root, "prod", Unsynced(), now=lambda: future)
    for n in range(1, 8):
        writer.ends = None
        writer.append(diff(taken[n - 1], taken[n]), TEXTS)
    writer.close()
    for compacted in (False, True):
        if compacted:
            compact(Layout(root), "prod", Unsynced())
        history = History.open(root)
        assert max(each.until for each in history.servers()) == at(YEARS + 40)
        assert history.newest(history.servers(), at(100)) == at(70)
        history.close()
    sealed = {path.parent.name for path in root.glob("sample/*/*.parquet")}
    assert len(sealed) == 2


def test_a_server_that_is_an_hour_ahead_has_a_last_minute(tmp_path: Path) -> None:
    from pgiostat.history.read.window_spec import window  # noqa: PLC0415 - beside what it is about

    root = made(tmp_path / "history")
    history = History.open(root)
    found = window(history, at(-3600), last="30s")
    # Half an interval more: one of which most lies in the last 30 seconds is in it.
    assert (found.since, found.until) == (at(45), at(80))
    assert window(history, at(-3600), since="-10m").until == at(80)
    with pytest.raises(PgiostatError, match="begins in the future"):
        window(history, at(-3600), since=at(90))
    history.close()


def test_other_servers_time_is_lost_and_not_part_of_any_rate(tmp_path: Path) -> None:
    root = tmp_path / "history"
    clone = server(system_identifier=2)
    taken = [counted(10, 0), counted(20, 10), counted(500, 22, server=clone, clock=22.0),
             counted(530, 32, server=clone, clock=32.0)]  # fmt: skip
    writer = Writer.open(root, "prod", Unsynced())
    for older, newer in pairwise(taken):
        writer.append(diff(older, newer), TEXTS)
    writer.close()
    history = History.open(root)
    seen = history.totals(Window(at(0), at(32)))
    assert (seen.sampled.seconds, seen.sampled.lost) == (20.0, {"other server": 12.0})
    assert seen.sampled.unwatched_seconds == 12.0
    assert sum(int(part.statement_amounts.sum()) > 0 for part in seen.counted.values()) == 2
    assert seen.sampled.statement_blocks == 3 * 10 + 3 * 30
    assert {row["server_id"]: row["qualities"] for row in sampled(root) if row["lost_us"]} == {
        history.servers()[0].server_id: Quality.OTHER_SERVER
    }
    history.close()


def test_the_end_of_a_sample_of_an_earlier_version_is_known(tmp_path: Path) -> None:
    root = made(tmp_path / "history", 2, 3)
    (path,) = [p for p in root.glob("hot/prod/*/sample.parquet") if p.parent.name.endswith("2")]
    rows = pq.read_table(path, partitioning=None).replace_schema_metadata(None)
    pq.write_table(rows.drop_columns(["lost_us"]), path)
    writer = Writer.open(root, "prod", Unsynced(), now=lambda: at(100))
    assert writer.ends == at(20)
    writer.close()
    assert History.open(root).totals(Window(at(0), at(20))).sampled.lost == {}
