"""What is acknowledged is there once, whatever happens to the process, the disk or the power."""

import contextlib
import errno
import json
import os
import random
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from threading import Thread
from typing import Any

import pyarrow.parquet as pq
import pytest

from pgiostat.errors import PgiostatError
from pgiostat.history.format import checkpoint
from pgiostat.history.format.durable_io import Disk
from pgiostat.history.format.encode import server_id, sids
from pgiostat.history.format.file_index import files
from pgiostat.history.format.layout import Layout
from pgiostat.history.format.root import check
from pgiostat.history.write.compaction import compact, compact_shared
from pgiostat.history.write.writer import Writer
from pgiostat.queries.describe import describer, uncategorized
from pgiostat.statistics.delta import Delta, Quality
from pgiostat.statistics.difference import diff
from pgiostat.statistics.names import OWN, Names, Statement
from pgiostat.statistics.row_deltas import Basis
from pgiostat.statistics.snapshot import Snapshot
from tests.support.readings import (
    MODERN,
    WITHOUT_SINCE,
    WITHOUT_TOPLEVEL,
    Unsynced,
    at,
    reading,
    server,
)

pytestmark = pytest.mark.long

TEXTS = Names({(10, 5, 1): Statement("select a", "1:aa", "version")}, {5: "app"}, {10: "api"})


def counted(reads: int, seconds: float, **more: Any) -> Snapshot:
    """Return a reading in which statement 1 has read so many blocks."""
    row = {"queryid": 1, "calls": reads, "shared_blks_read": reads}
    return reading(seconds, [row], databases=[{"datid": 5, "blks_read": reads}], **more)


def intervals(count: int) -> list[Delta]:
    """Return intervals of 10 s, the nth of which read n blocks."""
    totals = [n * (n + 1) // 2 for n in range(count + 1)]
    readings = [counted(total, 10.0 * n) for n, total in enumerate(totals)]
    return [diff(a, b) for a, b in pairwise(readings)]


def read_blocks(root: Path) -> list[int]:
    """Return the blocks read in each interval that a reader sees, in order of time."""
    found: list[tuple[object, int]] = []
    for path in files(Layout(root), "stmt").paths:
        table = pq.ParquetFile(path).read(["ts", "shared_blks_read"])
        found += zip(table["ts"].to_pylist(), table["shared_blks_read"].to_pylist(), strict=True)
    return [blocks for _, blocks in sorted(found)]


def test_an_interval_is_kept_as_it_was_counted(tmp_path: Path) -> None:
    root = tmp_path / "history"
    writer = Writer.open(root, "prod")
    delta = intervals(1)[0]
    writer.append(delta, TEXTS)
    directory = Layout(root).sample("prod", 1)
    assert sorted(path.name for path in directory.iterdir()) == [
        "baseline", "database.parquet", "name.parquet", "sample.parquet", "statement.parquet",
        "stmt.parquet",
    ]  # fmt: skip
    whose = server_id(server())
    row = pq.read_table(directory / "stmt.parquet").to_pylist()[0]
    expected = {
        "sid": sids(whose, delta.statements.rows)[0],
        "server_id": whose,
        "ts": at(0),
        "dur_us": 10_000_000,
        "userid": 10,
        "dbid": 5,
        "queryid": 1,
        "masked": False,
        "toplevel": True,
        "calls": 1,
        "shared_blks_read": 1,
        "basis": Basis.PREVIOUS,
    }
    assert {name: row[name] for name in expected} == expected
    assert {row[name] for name in row.keys() - expected.keys()} == {0}
    assert pq.read_table(directory / "statement.parquet").to_pylist() == [
        {
            "server_id": whose,
            "userid": 10,
            "dbid": 5,
            "queryid": 1,
            "text": "select a",
            "fingerprint": "1:aa",
            "cursor": "",
            "own": False,
            "first_seen": at(0),
            "unread": None,
        }
    ]
    sample = pq.read_table(directory / "sample.parquet").to_pylist()[0]
    told = {"qualities": "ok", "statement_blocks": 1, "server_blocks": 1, "statements": 1}
    assert {name: sample[name] for name in told} == told
    writer.close()


def test_what_a_server_does_not_count_is_null_not_zero(tmp_path: Path) -> None:
    writer = Writer.open(tmp_path / "history", "old")
    older = counted(1, 0, table=WITHOUT_TOPLEVEL)
    writer.append(diff(older, counted(4, 10, table=WITHOUT_TOPLEVEL)), Names())
    row = pq.read_table(writer.layout.sample("old", 1) / "stmt.parquet").to_pylist()[0]
    assert [row[n] for n in ("toplevel", "local_blk_read_time", "temp_blk_read_time")] == [None] * 3
    assert row["shared_blks_read"] == 3
    writer.close()


def test_a_text_is_written_once(tmp_path: Path) -> None:
    writer = Writer.open(tmp_path / "history", "prod")
    for delta in intervals(3):
        writer.append(delta, TEXTS)
    written = files(writer.layout, "statement").paths
    assert written == [writer.layout.sample("prod", 1) / "statement.parquet"]
    writer.close()


@pytest.mark.parametrize("table", [MODERN, WITHOUT_SINCE, WITHOUT_TOPLEVEL])
def test_a_reading_comes_back_from_disk_as_it_was(table: object) -> None:
    before = counted(5, 0, table=table, io=[{"backend_type": "client backend", "reads": 3}])
    after = counted(9, 10, table=table, io=[{"backend_type": "client backend", "reads": 4}])
    loaded = checkpoint.load(checkpoint.dump(before))
    assert (loaded.server, loaded.markers, loaded.settings) == (
        before.server, before.markers, before.settings,
    )  # fmt: skip
    direct, resumed = diff(before, after), diff(loaded, after)
    assert resumed.qualities == (Quality.GAP,)  # another process took it
    assert resumed.statements.rows.counters.tolist() == direct.statements.rows.counters.tolist()
    assert resumed.statements.basis.tolist() == direct.statements.basis.tolist()
    assert resumed.io is not None
    assert resumed.io.rows["reads"].tolist() == [1]


def test_a_restart_goes_on_from_the_last_sample(tmp_path: Path) -> None:
    root = tmp_path / "history"
    first = Writer.open(root, "prod")
    first.append(diff(counted(0, 0), counted(5, 10)), TEXTS)
    first.append(diff(counted(5, 10), counted(7, 20)), TEXTS)
    first.close()
    second = Writer.open(root, "prod")
    older = second.resume()
    assert older is not None
    second.append(diff(older, counted(20, 500)), TEXTS)
    assert read_blocks(root) == [5, 2, 13]
    assert len(list(root.glob("hot/prod/*/baseline"))) == 1
    second.close()


class FullDisk(Disk):
    """A disk on which nothing can be written from the nth operation on."""

    def __init__(self) -> None:
        self.left: float = float("inf")

    def write(self, path: Path, content: bytes | memoryview) -> None:
        self._use(path)
        super().write(path, content)

    def sync(self, directory: Path) -> None:
        self._use(directory)
        super().sync(directory)

    def rename(self, source: Path, target: Path) -> None:
        self._use(target)
        super().rename(source, target)

    def _use(self, path: Path) -> None:
        self.left -= 1
        if self.left < 0:
            if path.suffix == ".parquet":
                path.write_bytes(b"half")  # what a full disk leaves
            raise OSError(28, os.strerror(28))


def committed(writer: Writer, delta: Delta) -> bool:
    """Tell whether an interval could be written."""
    try:
        writer.append(delta, TEXTS)
    except PgiostatError:
        return False
    return True


@pytest.mark.parametrize("operations", range(12))
def test_a_full_disk_costs_resolution_but_no_count(tmp_path: Path, operations: int) -> None:
    disk = FullDisk()
    root = tmp_path / "history"
    writer = Writer.open(root, "prod", disk)
    older = counted(0, 0)
    total = 0
    for n in range(1, 5):
        total += n
        newer = counted(total, 10 * n)
        disk.left = operations if n == 2 else float("inf")
        if committed(writer, diff(older, newer)):
            older = newer  # what is not committed is no baseline
        assert list((root / "tmp").iterdir()) == []
    assert sum(read_blocks(root)) == 10
    assert len(read_blocks(root)) in {3, 4}
    writer.close()


class DoneButError(Unsynced):
    """A disk of which the nth operation is done, and reports an error all the same."""

    def __init__(self, *, can_look: bool = True) -> None:
        self.left: float = float("inf")
        self.can_look = can_look

    def make(self, directory: Path) -> None:
        super().make(directory)
        self._report(directory)

    def write(self, path: Path, content: bytes | memoryview) -> None:
        super().write(path, content)
        self._report(path)

    def sync(self, directory: Path) -> None:
        super().sync(directory)
        self._report(directory)

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        self._report(target)

    def remove(self, path: Path) -> None:
        super().remove(path)
        self._report(path)

    def _has_moved(self, before: os.stat_result, draft: Path, target: Path) -> bool:
        return self.can_look and super()._has_moved(before, draft, target)

    def _report(self, path: Path) -> None:
        self.left -= 1
        if self.left == 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))


@pytest.mark.parametrize("can_look", [True, False])
@pytest.mark.parametrize("operation", range(1, 19))
def test_an_operation_that_was_done_but_reported_an_error_loses_and_doubles_nothing(
    tmp_path: Path, operation: int, *, can_look: bool
) -> None:
    disk = DoneButError(can_look=can_look)
    root = tmp_path / "history"
    writer = Writer.open(root, "prod", disk)
    older, outcomes = counted(0, 0), []
    for n in range(1, 6):
        newer = counted(10 * n, 10 * n)
        if n == 2:
            disk.left = operation
        outcomes.append(committed(writer, diff(older, newer)))
        older = newer if outcomes[-1] else older
        # Of an interval whose commit reported an error nobody may know whether it is there.
        there = {10 * n} if outcomes[-1] else {10 * (n - 1), *([] if can_look else [10 * n])}
        assert sum(read_blocks(root)) in there
    assert outcomes.count(False) <= 1
    assert sum(read_blocks(root)) == 50
    writer.close()
    again = Writer.open(root, "prod", Unsynced())
    assert committed(again, diff(again.resume(), counted(60, 60)))
    assert sum(read_blocks(root)) == 60
    again.close()


@pytest.mark.parametrize("operation", range(1, 12))
def test_a_new_history_is_made_although_an_operation_reported_an_error(
    tmp_path: Path, operation: int
) -> None:
    disk, root = DoneButError(), tmp_path / "history"
    disk.left = operation
    opened = None
    with contextlib.suppress(PgiostatError):
        opened = Writer.open(root, "prod", disk)
    if opened is not None:
        opened.close()
    writer = Writer.open(root, "prod", Unsynced())
    assert committed(writer, diff(counted(0, 0), counted(7, 10)))
    writer.close()
    assert read_blocks(root) == [7]


@pytest.mark.parametrize("operation", range(1, 60))
def test_compaction_goes_on_after_an_operation_that_reported_an_error(
    tmp_path: Path, operation: int
) -> None:
    disk, root = DoneButError(), tmp_path / "history"
    writer = Writer.open(root, "prod", Unsynced())
    for delta in intervals(4):
        writer.append(delta, TEXTS)
    writer.close()
    disk.left = operation
    with contextlib.suppress(OSError):
        compact(Layout(root), "prod", disk)
    assert read_blocks(root) == [1, 2, 3, 4]
    compact(Layout(root), "prod", Unsynced())
    assert read_blocks(root) == [1, 2, 3, 4]
    assert [path.name for path in Layout(root).hot("prod").iterdir()] == ["000000000004"]


# --- power loss --------------------------------------------------------------------------


@dataclass
class Recorded(Disk):
    """A disk that notes what it does; `acknowledged` is noted in between."""

    root: Path
    done: list[tuple[str, Path, object]] = field(default_factory=list)
    forgets: frozenset[str] = frozenset()

    def make(self, directory: Path) -> None:
        missing = [path for path in (directory, *directory.parents) if not path.exists()]
        super().make(directory)
        self.done += [("make", path, None) for path in reversed(missing)]

    def write(self, path: Path, content: bytes | memoryview) -> None:
        super().write(path, content)
        self.done.append(("write", path, bytes(content)))

    def sync(self, directory: Path) -> None:
        if directory.name not in self.forgets:
            self.done.append(("sync", directory, None))

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        self.done.append(("rename", source, target))

    def remove(self, path: Path) -> None:
        super().remove(path)
        self.done.append(("remove", path, None))


def after_power_loss(
    done: Iterable[tuple[str, Path, object]], root: Path, target: Path, choose: Callable[[], bool]
) -> None:
    """Make the state that a medium may be in: a name not synced may be there, or may not.

    Contents are there when write() has returned; names of new, renamed and removed entries when
    their directory was synced.
    """
    operations = list(done)
    last_sync = {path: n for n, (what, path, _) in enumerate(operations) if what == "sync"}
    for n, (what, path, more) in enumerate(operations):
        concerned = [path, more] if isinstance(more, Path) else [path]
        durable = any(last_sync.get(each.parent, -1) > n for each in concerned)
        if what == "sync" or not (durable or choose()):
            continue
        there = [target / each.relative_to(root.parent) for each in concerned]
        if all(each.parent.exists() for each in there):
            repeat(what, there, more)


def repeat(what: str, there: list[Path], more: object) -> None:
    """Do an operation again, as far as what it is done to is there."""
    path = there[0]
    if what == "make":
        path.mkdir(exist_ok=True)
    elif what == "write" and isinstance(more, bytes):
        path.write_bytes(more)
    elif what == "rename" and path.exists():
        path.rename(there[1])
    elif what == "remove" and path.exists():
        Disk().remove(path)


class SealedMeanwhile(Recorded):
    """A disk on which samples are sealed as soon as the third is seen."""

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        if target.parent == Layout(self.root).hot("prod") and int(target.name) == 3:
            compact(Layout(self.root), "prod", self)


class SealedTogetherMeanwhile(Recorded):
    """The same, where several collectors share files."""

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        if target.parent == Layout(self.root).hot("prod") and int(target.name) == 3:
            compact_shared(Layout(self.root), "+fleet", ["other", "prod"], self)


def bad_states(
    tmp_path: Path,
    forgets: frozenset[str] = frozenset(),
    kind: type[Recorded] = Recorded,
    guesses: int = 4,
) -> tuple[int, int]:
    """Return in how many states after a power loss an acknowledged interval is not there once.

    guesses: how many states are made at random of each instant, beside the two extremes.
    """
    root = tmp_path / "history"
    disk = kind(root, forgets=forgets)
    acknowledged: list[tuple[int, int]] = []  # (operations done by then, blocks)
    writer = Writer.open(root, "prod", disk)
    for n, delta in enumerate(intervals(4), 1):
        writer.append(delta, TEXTS)
        acknowledged.append((len(disk.done), n))
    writer.close()
    dice = random.Random(7)  # noqa: S311 - the same states in each run
    choices: list[Callable[[], bool]] = [
        lambda: False,
        lambda: True,
        *[lambda: dice.random() < 0.5] * guesses,
    ]
    bad = states = 0
    first = acknowledged[0][0]
    for end in range(first, len(disk.done) + 1):
        promised = [blocks for by, blocks in acknowledged if by <= end]
        for choose in choices:
            target = tmp_path / "after"
            target.mkdir()
            after_power_loss(disk.done[:end], root, target, choose)
            states += 1
            bad += not is_whole(target / "history", promised)
            shutil.rmtree(target)
    return bad, states


def blocks_of_hours(root: Path) -> int:
    """Return the blocks read in all hours, and in what is not sealed yet."""
    paths = files(Layout(root), "stmt_1h", hot="stmt").paths
    tables = [pq.ParquetFile(path).read(["shared_blks_read"]) for path in paths]
    return sum(sum(table["shared_blks_read"].to_pylist()) for table in tables)


def is_whole(root: Path, promised: list[int]) -> bool:
    """Tell whether a history has what was promised, at most one more, and can be gone on with."""
    try:
        check(root)
        found = read_blocks(root)
        writer = Writer.open(root, "prod", Recorded(root))  # which need not wait for the medium
        resumed = writer.resume()
        writer.close()
        rolled = blocks_of_hours(root)
    except (PgiostatError, OSError, ValueError):
        return False
    if rolled != sum(found):
        return False
    whole = found in (promised, [*promised, len(promised) + 1])
    return whole and resumed is not None and int(resumed.statements["calls"][0]) == sum(found)


@pytest.mark.exhaustive
def test_no_loss_of_power_loses_or_doubles_what_was_acknowledged(tmp_path: Path) -> None:
    bad, states = bad_states(tmp_path)
    assert (bad, states > 150) == (0, True)


@pytest.mark.exhaustive
@pytest.mark.parametrize("kind", [SealedMeanwhile, SealedTogetherMeanwhile])
def test_no_loss_of_power_during_a_seal_loses_or_doubles_anything(
    tmp_path: Path, kind: type[Recorded]
) -> None:
    bad, states = bad_states(tmp_path, kind=kind, guesses=1)
    assert (bad, states > 150) == (0, True)


@pytest.mark.exhaustive
@pytest.mark.parametrize("forgotten", ["tmp", "prod"])
def test_the_simulation_notices_a_directory_that_is_not_synced(
    tmp_path: Path, forgotten: str
) -> None:
    bad, _ = bad_states(tmp_path, frozenset({forgotten}))
    assert bad > 0


# --- kill -9 -----------------------------------------------------------------------------


def test_one_collector_at_a_time_writes_under_an_id(tmp_path: Path) -> None:
    root = tmp_path / "history"
    held = Writer.open(root, "prod")
    script = (
        "import sys; from pathlib import Path; from pgiostat.history.write.writer import Writer\n"
        "from pgiostat.errors import PgiostatError\n"
        "try: Writer.open(Path(sys.argv[1]), 'prod')\n"
        "except PgiostatError as error: print(error.report())\n"
    )
    command = [sys.executable, "-c", script, str(root)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert told.splitlines() == [
        f'pgiostat: error: a collector "prod" is already writing to "{root}"',
        f"DETAIL:  Its process is {os.getpid()}.",
        "HINT:  Use another --label for this collector.",
    ]
    Writer.open(root, "other").close()
    held.close()
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == ""


@pytest.mark.parametrize(
    ("made", "slug"),
    [
        (lambda _: None, "history-missing"),
        (lambda root: root.mkdir(), "not-a-history"),
        (lambda root: write(root, "{"), "history-unreadable"),
        (lambda root: write(root, json.dumps({"format": 2})), "history-newer"),
    ],
    ids=["nothing", "empty", "no JSON", "newer"],
)
def test_what_is_no_history_of_ours_is_refused(
    tmp_path: Path, made: Callable[[Path], object], slug: str
) -> None:
    root = tmp_path / "history"
    made(root)
    with pytest.raises(PgiostatError) as raised:
        check(root)
    assert raised.value.slug == slug


def write(root: Path, text: str) -> None:
    """Write the file that says what a directory is."""
    root.mkdir()
    (root / "format.json").write_text(text)


def test_a_directory_of_other_files_is_not_made_a_history(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("")
    with pytest.raises(PgiostatError, match="is not a history"):
        Writer.open(tmp_path, "prod")
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


class Beginning(Disk):
    """A disk on which something happens before the first file is written."""

    def __init__(self, happens: Callable[[], object]) -> None:
        self.happens: Callable[[], object] | None = happens

    def write(self, path: Path, content: bytes | memoryview) -> None:
        happens, self.happens = self.happens, None
        if happens is not None:
            happens()
        super().write(path, content)


class Killed(BaseException):
    """The process ends here."""


def test_a_history_whose_making_was_cut_short_is_made_by_the_next(tmp_path: Path) -> None:
    root = tmp_path / "history"

    def die() -> None:
        raise Killed

    with pytest.raises(Killed):
        Writer.open(root, "prod", Beginning(die))
    assert [path.name for path in root.iterdir()] == ["tmp"]
    Writer.open(root, "prod").close()
    assert check(root) == Layout(root)


def test_two_collectors_may_make_one_history(tmp_path: Path) -> None:
    root = tmp_path / "history"
    made: list[Writer] = []
    made.append(
        Writer.open(root, "prod", Beginning(lambda: made.append(Writer.open(root, "other"))))
    )
    for writer in made:
        writer.append(intervals(1)[0], TEXTS)
        writer.close()
    assert sorted(s.collector for s in Layout(root).hot_samples()) == ["other", "prod"]
    assert list((root / "tmp").iterdir()) == []


def test_a_collector_starts_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Writer.open(tmp_path / "history", "prod").close()

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        writer = Writer.open(tmp_path / "history", "prod")
    writer.append(intervals(1)[0], TEXTS)
    writer.close()


@pytest.mark.parametrize("name", ["", "a/b", "..", "a-b", "x" * 64])
def test_an_id_is_part_of_file_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(PgiostatError, match="invalid label"):
        Writer.open(tmp_path / "history", name)


def test_collectors_that_start_together_make_one_history(tmp_path: Path) -> None:
    for trial in range(20):
        root = tmp_path / str(trial)
        failed: list[object] = []

        def start(number: int, root: Path = root, failed: list[object] = failed) -> None:
            try:
                Writer.open(root, f"s{number}").close()
            except PgiostatError as error:
                failed.append(error.report())

        threads = [Thread(target=start, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        assert check(root).root == root
        assert list((root / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        "SELECT max(rev) FROM t WHERE id = 5 -- why",
        'DECLARE "My c" CURSOR FOR SELECT 1',
        "FETCH FORWARD 100 FROM c1",
        "MOVE 3 IN c1",
        "CLOSE c1",
        "FETCH c1; ",
        b"SELECT '\xff'",
        "/* pgiostat */ SELECT 1",
        "",
        "declare",
    ],
)
def test_what_is_kept_of_a_statement_is_what_is_known_of_it(text: str | bytes) -> None:
    known = describer()(text, user="", database="", queryid=1)
    kept = uncategorized(text, user="", database="", queryid=1)
    assert replace(
        known, category="", action="", table_read="", if_sync=None, tables=None
    ) == replace(kept, category="")
    assert (known.category == OWN) == (kept.category == OWN)


def test_a_new_history_is_its_owners_alone_and_another_directory_stays_as_open_as_it_is(
    tmp_path: Path,
) -> None:
    given = tmp_path / "given"
    given.mkdir(mode=0o755)
    for root, mode in ((tmp_path / "new" / "history", 0o700), (given, 0o755)):
        Writer.open(root, "prod").close()
        assert stat.S_IMODE(root.stat().st_mode) == mode
