"""What is shipped is there whole and once, whatever cuts a shipper short; and is read there."""

import fcntl
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from threading import Event
from time import perf_counter

import pyarrow.parquet as pq
import pytest
from pyarrow import BufferReader

from pgiostat import open_history
from pgiostat.analysis.rank import By
from pgiostat.errors import PgiostatError
from pgiostat.history import __main__ as sealer
from pgiostat.history.engines import UnreadableError
from pgiostat.history.format.durable_io import Disk
from pgiostat.history.format.layout import Layout
from pgiostat.history.read.history import History
from pgiostat.history.read.inventory import inventory
from pgiostat.history.read.windows import Window
from pgiostat.history.remote.object_store import ObjectStore
from pgiostat.history.remote.remote_layout import FRESH_SECONDS
from pgiostat.history.remote.upload import UploadResult, upload
from pgiostat.history.write.compaction import compact
from pgiostat.history.write.retention import Keep, retain
from pgiostat.history.write.writer import Writer
from pgiostat.queries.describe import describer, uncategorized
from pgiostat.statistics.difference import diff
from pgiostat.statistics.names import Names
from tests.support.clouds import Store, store
from tests.support.disks import small_disk
from tests.support.histories import KNOWN, MINUTE, intervals, write
from tests.support.program import run_program, shipper
from tests.support.readings import at, reading, server

pytestmark = pytest.mark.long

HOUR = 60 * MINUTE
DAY = 24 * HOUR
NOW = at(40 * DAY)
KILLS = int(os.environ.get("KILLS", "50"))


@pytest.fixture(scope="module")
def bucket() -> Iterator[Store]:
    with store("metrics") as made:
        yield made


@pytest.fixture(params=["file", "s3"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URI of a place where nothing is."""
    if request.param == "file":
        return f"file://{tmp_path}/there"
    made: Store = request.getfixturevalue("bucket")
    return made.uri(f"metrics/{tmp_path.name}")


@pytest.fixture
def directory(tmp_path: Path) -> str:
    """The URI of one on this machine, where what does not differ by store is tried."""
    return f"file://{tmp_path}/there"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A history of two servers and two days, the newest samples not sealed."""
    root = tmp_path_factory.mktemp("recorded") / "history"
    for label in ("prod", "test"):
        write(root, intervals(30, HOUR, server=server(label=label)), label)
        compact(Layout(root), label)
    return root


@pytest.fixture
def root(recorded: Path, tmp_path: Path) -> Path:
    """Return a copy of that history, to be changed."""
    return shutil.copytree(recorded, tmp_path / "history", symlinks=True)


def sent(root: Path, to: str) -> UploadResult:
    """Ship once."""
    return upload(Layout(root), to, clock=NOW)


def local(root: Path) -> dict[str, bytes]:
    """Return what is to be in a target."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.relative_to(root).parts[0] not in {"hot", "lock", "tmp", "ship"}
    }


def there(to: str) -> dict[str, bytes]:
    """Return what is in a target, by the names that it has in its history."""
    place = ObjectStore.of(to)
    return {
        re.sub("^(dim/.*)-[0-9a-f]{16}[.]", r"\1.", name): place.read(name) or b""
        for name in place.sizes()
    }


def test_what_is_sealed_is_there_byte_by_byte_and_is_not_brought_again(
    root: Path, target: str
) -> None:
    files = local(root)
    first, second = sent(root, target), sent(root, target)
    assert there(target) == files
    size = sum(len(content) for name, content in files.items() if name != "format.json")
    assert first == UploadResult(len(files) - 1, size)
    assert second == UploadResult(there=len(files) - 1)


def test_what_is_told_anew_is_brought_again(root: Path, directory: str) -> None:
    sent(root, directory)
    write(root, intervals(34, HOUR, server=server(label="prod"))[30:])
    compact(Layout(root), "prod")
    told = Layout(root).dimension("statement", "prod")
    told.write_bytes(told.read_bytes() + b"more")
    assert sent(root, directory).files == 6 + 1
    assert there(directory) == local(root)


def test_a_lost_record_is_made_again_from_what_is_there(root: Path, directory: str) -> None:
    sent(root, directory)
    shutil.rmtree(root / "ship")
    assert sent(root, directory) == UploadResult(there=len(local(root)) - 1)
    (record,) = (root / "ship").glob("*.jsonl")
    whole = record.read_bytes()
    record.write_bytes(whole[:-20])  # cut short
    assert sent(root, directory) == UploadResult(there=len(local(root)) - 1)
    assert sent(root, directory).files == 0


def test_a_file_that_is_damaged_there_is_brought_again(root: Path, target: str) -> None:
    sent(root, target)
    name = next(name for name in local(root) if name.startswith("stmt/"))
    ObjectStore.of(target).put_verified(b"half", name, "tmp/x")
    assert sent(root, target).files == 1
    assert there(target) == local(root)


def test_several_histories_go_to_one_place(root: Path, tmp_path: Path, directory: str) -> None:
    other = tmp_path / "other"
    write(other, intervals(3, HOUR, server=server(label="more")), "more")
    compact(Layout(other), "more")
    sent(root, directory)
    sent(other, directory)
    assert there(directory) == local(other) | local(root)
    # A second collector of one name is told, and nothing of the first is lost.
    strange = tmp_path / "strange"
    write(strange, intervals(3, MINUTE, server=server(label="more")), "more")
    compact(Layout(strange), "more")
    before = contents_of(directory)
    outcome = sent(strange, directory)
    assert sorted(name.partition("/")[0] for name in outcome.strange) == [
        "database", "relation", "sample", "stmt", "stmt_1h",
    ]  # fmt: skip
    after = contents_of(directory)
    assert {name: after[name] for name in before} == before
    assert {re.sub("-[0-9a-f]{16}", "", name) for name in after.keys() - before.keys()} == {
        "dim/name/more.parquet", "dim/statement/more.parquet",
    }  # fmt: skip


def contents_of(to: str) -> dict[str, bytes]:
    """Return what is in a target, by the names that it has there."""
    place = ObjectStore.of(to)
    return {name: place.read(name) or b"" for name in place.sizes()}


def test_texts_of_a_collector_that_began_anew_leave_those_of_before(
    tmp_path: Path, directory: str
) -> None:
    """As on a new disk, under the same label: it has told only what ran since."""
    known = list(KNOWN.statements.items())
    for disk, some in (("old", known), ("new", known[:1])):
        writer = Writer.open(tmp_path / disk, "prod")
        for delta in intervals(3, HOUR):
            writer.append(delta, Names(dict(some), KNOWN.databases, KNOWN.roles, KNOWN.relations))
        writer.close()
        compact(Layout(tmp_path / disk), "prod")
        sent(tmp_path / disk, directory)
    with closing(History.open(Path(directory.removeprefix("file://")))) as far:
        (names,) = far.names(uncategorized).values()
        assert {key: told.text for key, told in names.statements.items()} == {
            key: told.text for key, told in known
        }


def test_whoever_copies_while_samples_are_sealed_has_texts_for_all_that_he_has(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    whole_write = Disk.rename

    def told(disk: Disk, source: Path, target: Path) -> None:
        whole_write(disk, source, target)
        there = Layout(root).dimension("statement", "late").exists()
        seen.append(there or not any(root.glob("*/*/*-late.parquet")))

    write(root, intervals(3, HOUR, server=server(label="late")), "late")
    monkeypatch.setattr(Disk, "rename", told)
    compact(Layout(root), "late")
    assert len(seen) > 6
    assert all(seen)


def days_of(names: dict[str, bytes]) -> set[str]:
    """Return the days that there are of facts."""
    return {found[0] for name in names if (found := re.search(r"\d{4}-\d\d-\d\d", name))}


def test_nothing_is_removed_that_is_not_there(root: Path, directory: str) -> None:
    layout = Layout(root)
    write(root, intervals(120, HOUR, server=server(label="prod"))[30:])
    compact(layout, "prod")
    days = sorted(days_of(local(root)))
    assert len(days) == 6
    keep = timedelta(days=2)
    outcome = upload(layout, directory, keep=keep, clock=NOW)
    # Two days of the newest are kept, of each collector its own newest.
    assert outcome.removed == len(there(directory)) - len(local(root))
    assert days_of(local(root)) == {*days[:2], *days[3:]}
    assert {file.path.parent.name for file in layout.compacted_files("sample")} == {
        f"date={day}" for day in (*days[:2], *days[3:])
    }


def test_a_day_of_which_one_file_is_missing_there_stays_whole(root: Path, directory: str) -> None:
    layout = Layout(root)
    write(root, intervals(120, HOUR, server=server(label="prod"))[30:])
    compact(layout, "prod")
    sent(root, directory)
    before = local(root)
    first = next(name for name in sorted(before) if re.match("stmt/.*-prod", name))
    place = ObjectStore.of(directory)
    place.remove(first)
    record = next((root / "ship").glob("*.jsonl"))
    # It is brought again, if it can be; here the history cannot be read either.
    (root / first).rename(root / "aside")
    outcome = upload(layout, directory, keep=timedelta(days=2), clock=NOW)
    assert outcome.removed > 0
    assert record.exists()
    (root / "aside").rename(root / first)
    assert sent(root, directory).files == 1


def test_a_collector_does_not_remove_what_was_not_shipped(root: Path, tmp_path: Path) -> None:
    target = f"file://{tmp_path}/there"
    layout = Layout(root)

    def days(names: Iterable[str]) -> list[str]:
        """Return the days of the one collector's samples."""
        return sorted(days_of({n: b"" for n in names if re.search("sample/.*-prod", n)}))

    def remove() -> None:
        """Do what a collector with --keep 2d does after it has sealed."""
        compact(layout, "prod")
        keep = Keep(timedelta(days=2), timedelta(days=2))
        retain(layout, "prod", keep, clock=NOW, may=sealer.removable(layout))

    write(root, intervals(72, HOUR, server=server(label="prod"))[30:])
    compact(layout, "prod")
    sent(root, target)
    there_then = days(there(target))
    write(root, intervals(240, HOUR, server=server(label="prod"))[72:])
    remove()
    # Days that are there have gone; those that are not stay, however old, and whole.
    assert days(local(root)) == [there_then[-1], *all_days(11)[len(there_then) :]]
    sent(root, target)
    remove()
    assert days(local(root)) == all_days(11)[-3:]
    assert days(there(target)) == all_days(11)


def all_days(count: int) -> list[str]:
    """Return the days from the first one on."""
    return [f"{at(n * DAY):%Y-%m-%d}" for n in range(count)]


# --- who is in the way --------------------------------------------------------------------


def refused(root: Path, to: str) -> PgiostatError:
    with pytest.raises(PgiostatError) as caught:
        sent(root, to)
    return caught.value


def test_a_place_that_is_no_history_is_left_alone(root: Path, target: str) -> None:
    ObjectStore.of(target).put_verified(b"photo", "holiday.jpg", "tmp/x")
    assert refused(root, target).slug == "not-a-history"
    assert there(target) == {"holiday.jpg": b"photo"}


def test_a_history_of_a_later_format_is_left_alone(root: Path, directory: str) -> None:
    later = json.dumps({"format": 99, "pgiostat": "9"}).encode()
    ObjectStore.of(directory).put_verified(later, "format.json", "tmp/x")
    assert refused(root, directory).slug == "history-newer"


def test_two_shippers_of_one_history_are_one_too_many(root: Path, tmp_path: Path) -> None:
    target = f"file://{tmp_path}/there"
    sent(root, target)
    lock = next((root / "lock").glob("*.ship"))
    with lock.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert refused(root, target).slug == "ship-running"
    assert sent(root, target).files == 0


@pytest.mark.parametrize("within", ["", "/stmt", "/new/place"])
def test_a_history_is_not_shipped_into_itself(root: Path, within: str) -> None:
    before = local(root)
    assert refused(root, f"file://{root}{within}").slug == "ship-within"
    assert local(root) == before


def test_what_does_not_answer_is_said(
    root: Path, bucket: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgiostat.history.remote.object_store.GCS_SECONDS", 1)
    for to in ("s3://metrics/x?scheme=http&endpoint_override=127.0.0.1%3A1&region=eu-west-1",
               "gs://anonymous@metrics/x?scheme=http&endpoint_override=127.0.0.1%3A1",
               "gs://metrics/x?strange=1",
               "ftp://somewhere/x", bucket.uri("nobodys/x")):  # fmt: skip
        error = refused(root, to)
        assert (error.slug, error.message) == (
            "store-unreachable",
            f'could not reach "{to.partition("?")[0]}"',
        )
    bucket.down = True
    try:
        assert refused(root, bucket.uri("metrics/y")).slug == "store-unreachable"
    finally:
        bucket.down = False


# --- what is cut short --------------------------------------------------------------------


@dataclass
class Growing:
    """A history that gets a sealed file of each table at each turn."""

    root: Path
    hours: int = 0

    def grow(self) -> None:
        deltas = [
            diff(a, b)
            for a, b in pairwise(
                reading(n * HOUR, [{"queryid": 1, "calls": n, "shared_blks_read": n * n}])
                for n in range(self.hours, self.hours + 3)
            )
        ]
        write(self.root, deltas)
        compact(Layout(self.root), "prod")
        self.hours += 2


def whole(to: str, root: Path) -> None:
    """Check that what is seen of a target is as it is in the history."""
    ours = local(root)
    for name, content in there(to).items():
        if name.startswith("dim/"):
            pq.read_table(BufferReader(content))
        elif not name.startswith("tmp/"):
            assert content == ours[name], name


def shipping(root: Path, target: str, *, kill_after: float | None = None) -> float | None:
    """Ship in a process of its own; return the seconds it took, None: killed within."""
    with shipper(root, target) as (process, progress):
        progress.recv()
        began = perf_counter()
        if kill_after is not None:
            Event().wait(kill_after)
            process.kill()
        try:
            progress.recv()
        except EOFError:
            return None
        return perf_counter() - began


@pytest.mark.parametrize(("kind", "kills"), [("file", KILLS), ("s3", KILLS // 3)])
def test_a_shipper_killed_at_any_instant_loses_and_doubles_nothing(
    tmp_path: Path, bucket: Store, kind: str, kills: int
) -> None:
    root = tmp_path / "history"
    growing = Growing(root)
    target = f"file://{tmp_path}/there" if kind == "file" else bucket.uri("metrics/killed")
    dice = random.Random(3)  # noqa: S311 - the same in each run
    growing.grow()
    takes = shipping(root, target)  # what one turn takes here, to kill within it
    assert takes is not None
    cut = 0
    for _ in range(10 * kills):
        growing.grow()
        cut += shipping(root, target, kill_after=dice.uniform(0.0, takes)) is None
        whole(target, root)
        if cut == kills:
            break
    assert cut == kills
    sent(root, target)
    assert there(target) == local(root)
    assert sent(root, target).files == 0


# --- read there ---------------------------------------------------------------------------


def test_a_history_is_read_where_it_was_shipped(root: Path, bucket: Store) -> None:
    for label in ("prod", "test"):
        shutil.rmtree(root / "hot" / label)  # only what is sealed is there
    to = bucket.uri("metrics/read")
    sent(root, to)
    here, far = History.open(root), History.open(to)
    window = Window(at(25 * MINUTE), at(27 * HOUR + 5 * MINUTE))
    describe = describer()
    with closing(here), closing(far):
        assert far.servers() == here.servers()
        for by in (By.STATEMENT, By.RELATION):
            ours, theirs = here.totals(window, by), far.totals(window, by)
            assert theirs.sampled == ours.sampled
            for server_id, counted in ours.counted.items():
                other = theirs.counted[server_id]
                assert (other.statements, other.relations) == (
                    counted.statements,
                    counted.relations,
                )
                assert (other.statement_amounts == counted.statement_amounts).all()
        assert far.names(describe) == here.names(describe)
        now = datetime.now(UTC)
        assert inventory(far, now).kept == inventory(here, now).kept
        assert inventory(far, now).tables.keys() == inventory(here, now).tables.keys() - {
            "lock", "ship", "tmp", "hot",
        }  # fmt: skip
    frames = [open_history(where).categories() for where in (root, to)]
    assert frames[1].equals(frames[0])


def test_what_is_there_without_its_samples_is_not_counted_yet(root: Path, bucket: Store) -> None:
    for label in ("prod", "test"):
        shutil.rmtree(root / "hot" / label)
    to = bucket.uri("metrics/late")
    sent(root, to)
    place = ObjectStore.of(to)
    late = max(name for name in place.sizes() if re.match("sample/.*-prod", name))
    place.remove(late)
    (root / late).rename(root / "aside")
    # In a directory, too.
    for where in (root, to):
        with closing(History.open(where)) as history:
            window = Window(at(0), at(30 * HOUR), "prod")
            seen = history.totals(window, By.STATEMENT)
            assert seen.sampled.samples == 14
            (counted,) = seen.counted.values()
            calls = counted.statement_amounts[0].tolist()
            assert set(calls) == {14}


def test_a_file_that_is_damaged_or_gone_there_is_named(root: Path, bucket: Store) -> None:
    to = bucket.uri("metrics/bad")
    sent(root, to)
    place = ObjectStore.of(to)
    bad = min(name for name in place.sizes() if re.match("stmt/.*-prod", name))
    with closing(History.open(to)) as history:
        place.put_verified(b"no parquet", bad, "tmp/x")
        with pytest.raises(UnreadableError) as caught:
            history.totals(Window(at(0), at(30 * MINUTE)), By.STATEMENT)
        assert (caught.value.slug, caught.value.path) == (
            "history-unreadable",
            Path(place.base / bad),
        )


def test_a_listing_is_believed_for_some_time(root: Path, bucket: Store) -> None:
    to = bucket.uri("metrics/fresh")
    sent(root, to)
    with closing(History.open(to)) as history:
        now = [0.0]
        far = history.layout
        far.clock = lambda: now[0]  # type: ignore[attr-defined] # of Far
        before = len(far.compacted_files("stmt"))
        write(root, intervals(34, HOUR, server=server(label="prod"))[30:])
        compact(Layout(root), "prod")
        sent(root, to)
        assert len(far.compacted_files("stmt")) == before
        now[0] = FRESH_SECONDS
        assert len(far.compacted_files("stmt")) == before + 1


@pytest.mark.parametrize(
    ("path", "slug"), [("metrics/none", "history-missing"), ("metrics/photos", "not-a-history")]
)
def test_where_no_history_is_none_is_read(bucket: Store, path: str, slug: str) -> None:
    to = bucket.uri(path)
    if slug == "not-a-history":
        ObjectStore.of(to).put_verified(b"photo", "holiday.jpg", "tmp/x")
    with pytest.raises(PgiostatError) as caught:
        History.open(to)
    assert caught.value.slug == slug


# --- the command --------------------------------------------------------------------------


def test_the_command_ships_and_reports_read_it(root: Path, bucket: Store) -> None:
    to = bucket.uri("metrics/command")
    first = run_program("ship", "--history", str(root), "--to", to)
    assert (first.returncode, first.stderr) == (0, "")
    assert re.fullmatch(r"uploaded 28 files, [\d.]+ KiB\n", first.stdout)
    again = run_program("ship", "--history", str(root), "--to", to)
    assert again.stdout == "uploaded 0 files, 0 B; 28 already there\n"
    report = run_program("report", "--history", to, "--label", "prod", "--format", "csv")
    assert (report.returncode, report.stderr) == (0, "")
    assert report.stdout.splitlines()[1].split(",")[0]
    refused = run_program("collect", "--history", to, "host=nowhere")
    assert (refused.returncode, refused.stderr.splitlines()[0]) == (
        2,
        f'pgiostat: error: "{to.partition("?")[0].replace("//", "/", 1)}" is not a directory',
    )


def test_it_goes_on_until_it_is_stopped(root: Path, bucket: Store) -> None:
    to = bucket.uri("metrics/again")
    with subprocess.Popen(
        [sys.executable, "-m", "pgiostat", "ship", "--history", str(root), "--to", to,
         "--every", "200ms"],
        stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        assert " ship: uploaded 28 files" in process.stderr.readline()
        bucket.down = True
        try:
            assert f'could not reach "{to.partition("?")[0]}"' in process.stderr.readline()
        finally:
            bucket.down = False
        assert " ship: recovered after " in process.stderr.readline()
        write(root, intervals(34, HOUR, server=server(label="prod"))[30:])
        compact(Layout(root), "prod")
        # Each turn takes what is sealed by then.
        while there(to) != local(root):
            Event().wait(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_a_full_target_is_told_as_such_and_holds_whole_files_alone(
    root: Path, tmp_path: Path
) -> None:
    files = local(root)
    with small_disk(tmp_path / "disk", 1) as disk:
        to, filler = f"file://{disk}/there", disk / "filler"
        filled = 0
        for room in (0, 40_000, 120_000):
            filler.unlink(missing_ok=True)
            left = os.statvfs(disk)
            filler.write_bytes(bytes(max(left.f_bavail * left.f_bsize - room, 0)))
            with pytest.raises(PgiostatError) as raised:
                sent(root, to)
            error = raised.value
            assert (error.slug, error.message) == (
                "store-unwritable", f'could not write to "{to}": No space left on device',
            )  # fmt: skip
            arrived = there(to)
            assert arrived.items() <= files.items()
            assert not [name for name in arrived if name.startswith("tmp/")]
            assert len(arrived) >= filled
            filled = len(arrived)
        assert filled > 0
        filler.unlink()
        sent(root, to)
        assert there(to) == files
        # What did not arrive is not recorded as shipped either.
        (record,) = (root / "ship").glob("*.jsonl")
        noted = [json.loads(line) for line in record.read_text().splitlines() if '"path"' in line]
        assert len({line["path"] for line in noted}) == len(files) - 1


def test_what_is_damaged_here_is_not_shipped(root: Path, directory: str) -> None:
    path = min((root / "stmt").rglob("*.parquet"))
    content = path.read_bytes()
    path.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    with pytest.raises(PgiostatError) as raised:
        sent(root, directory)
    assert raised.value.slug == "history-unreadable"
    assert raised.value.message == f'could not read "{path}" of the history'
    assert str(path.relative_to(root)) not in there(directory)
    path.write_bytes(content)
    sent(root, directory)
    assert there(directory) == local(root)
