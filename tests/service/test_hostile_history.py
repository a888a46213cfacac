"""A history that somebody hostile made, or can write to: read and written with care.

`tests.attack.history_directories` gives all of tests.support.hostile to all commands; here is what
single ones say, and what no command shows: races, permissions, bounds.
"""

import ast
import json
import os
import random
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pgiostat
from pgiostat.collector.preflight import _history as check_history
from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.history.engines import DuckDB
from pgiostat.history.format import checkpoint, validation
from pgiostat.history.format.covers import cover_of
from pgiostat.history.format.durable_io import Disk, open_to_others
from pgiostat.history.format.filesystem import (
    SMALL,
    UnreadableError,
    UnsafeFileError,
    listed,
    open_regular,
    parent_of,
    parse_json,
    read_small,
)
from pgiostat.history.format.layout import Layout
from pgiostat.history.format.schema import LATER, LONG, SCHEMAS
from pgiostat.history.read.category_cache import cached_categories
from pgiostat.history.read.history import History
from pgiostat.history.read.windows import Window
from pgiostat.history.remote.upload import upload
from pgiostat.history.write.compaction import compact
from pgiostat.history.write.lock import check_free
from pgiostat.history.write.retention import Keep, retain
from pgiostat.history.write.writer import Writer
from pgiostat.statistics.names import Names, Statement
from tests.support.histories import MINUTE, intervals, write
from tests.support.hostile import (
    DAMAGES,
    DAY,
    FIRST,
    LAST,
    SAMPLE,
    TEXTS_OF,
    Damage,
    copied,
    rows_of,
    state_of,
    victims,
)
from tests.support.program import run_program
from tests.support.readings import at

NAMED = {damage.name: damage for damage in reversed(DAMAGES)}
"""Where two have one name, the first."""
SOURCE = Path(pgiostat.__file__).parent


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """What is somebody else's."""
    return victims(tmp_path / "outside")


def damaged(tmp_path: Path, outside: Path, name: str) -> Path:
    """Return a history with a damage of tests.support.hostile."""
    root = copied(tmp_path / "history")
    NAMED[name].act(root, outside)
    return root


def said(*words: str | Path, root: Path) -> tuple[int, str]:
    """Return the exit status of a command, and what it says, with ROOT for the history."""
    ran = run_program(*words)
    return ran.returncode, ran.stderr.replace(str(root), "ROOT")


def unreadable(path: str, why: str, hint: str = "--skip-bad skips it and reports that.") -> str:
    """Return what is said of a bad file."""
    return (
        f'pgiostat: error: could not read "ROOT/{path}" of the history\n'
        f"DETAIL:  {why}\nHINT:  {hint}\n"
    )


FILE = f"stmt/{DAY}/{FIRST}.parquet"
NO_DAY = "Its name is not that of a day."
REFUSED = {
    f"stmt/{DAY}": (f"stmt/{DAY}", "It is a symbolic link, not a directory."),
    "stmt": ("stmt", '"ROOT/stmt" is a symbolic link, not a directory.'),
    FILE: (FILE, "It is a symbolic link, not a regular file."),
    "date=xx": ("stmt/date=xx", NO_DAY),
    "date=9999-12-31": ("stmt/date=9999-12-31", NO_DAY),
    r"date=\u001b[31m": (r"stmt/date=\u001b[31m ", NO_DAY),  # a line break is a space there
    r"date=\udcff": (r"stmt/date=\udcff", NO_DAY),
    "1-2-demo": (f"stmt/{DAY}/1-2-demo.parquet", "Its name is not that of a compacted file."),
    "a span": (
        f"stmt/{DAY}/000000000100-000000000249-demo.parquet",
        f'It covers samples of "{FIRST}.parquet".',
    ),
    "a name": (
        f"sample/{DAY}/000000000250-000000000999-demo.parquet",
        f'It is a copy of "sample/{DAY}/{LAST}.parquet".',
    ),
    "reversed": (
        "cover/000000000009-+demo.12345678.json",
        "what it covers is not a range of samples.",
    ),
    "3 million rows": (FILE, None),
    "sample.ts 0": (f"sample/{DAY}/{FIRST}.parquet", "Its numbers are not possible for a sample."),
    "stmt.shared_blks_read: missing": (FILE, "It has no column shared_blks_read."),
    "stmt.dur_us: text": (FILE, "Its column dur_us is of type string, not int64."),
    "sample.block_size: NULLs": (
        f"sample/{DAY}/{FIRST}.parquet", "Its column block_size may be NULL."
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_report_refuses_what_is_bad_by_its_name(tmp_path: Path, outside: Path, name: str) -> None:
    root = damaged(tmp_path, outside, name)
    path, why = REFUSED[name]
    status, words = said("report", "--history", root, root=root)
    if why is None:
        size = (root / path).stat().st_size
        why = f"It claims to hold 3,000,000 rows in {size:,} bytes."
    assert (status, words) == (1, unreadable(path, why))


@pytest.mark.parametrize("name", ["date=xx", FILE, f"stmt/{DAY}", "reversed", "a span"])
def test_what_is_bad_is_left_out_by_its_name(tmp_path: Path, outside: Path, name: str) -> None:
    root = damaged(tmp_path, outside, name)
    opened = History.open(root, skip_bad=True)
    window = pgiostat.open_history(root, skip_bad=True)
    assert len(window.servers()) == 1
    opened.servers()
    opened.totals(whole(opened))
    assert {str(path.relative_to(root)) for path in opened.left_out} == {REFUSED[name][0]}


SAMPLES, DEVICES = (f"{table}/{DAY}/{FIRST}.parquet" for table in ("sample", "device"))
TOO_LONG = {
    **{
        f"long text {table}.{name}": (
            table,
            f"{table}/{DAY}/{FIRST}.parquet",
            f"Its column {name} has a text of 900,000 bytes.",
        )
        for table, names in TEXTS_OF.items() for name in names
    },
    "long text in one more column": (
        "sample", SAMPLES, "Its column more has a text of 900,000 bytes."
    ),
    "many short texts": ("sample", SAMPLES, "Its texts would have 90,540,000 bytes."),
    "delta texts": ("sample", SAMPLES, "Its column label is encoded as DELTA_BYTE_ARRAY."),
    "long source": ("device", DEVICES, "Its column source has a text of 2,000 bytes."),
}  # fmt: skip


@pytest.mark.parametrize("name", TOO_LONG)
def test_a_text_that_is_too_long_is_refused_before_rows_are_read(
    tmp_path: Path, outside: Path, name: str
) -> None:
    root = damaged(tmp_path, outside, name)
    table, path, why = TOO_LONG[name]
    schema = SCHEMAS[table]
    for read in (
        lambda: validation.Validator().check([root / path], schema),
        lambda: validation.Validator().table(root / path, schema),
    ):
        with pytest.raises(UnreadableError) as caught:
            read()
        assert (caught.value.path, caught.value.detail) == (root / path, why)


def test_all_text_columns_have_a_limit() -> None:
    there = {
        (table, field.name)
        for table, schema in SCHEMAS.items()
        for field in schema
        if field.type == pa.string() and table not in ("statement", "name", "definition")
    }
    tried = {(table, name) for table, names in TEXTS_OF.items() for name in names}
    assert there - tried == {("device", "source"), ("device", "name")}
    assert {"text"} == LONG


@pytest.mark.parametrize("name", ["long text sample.label", "long source"])
def test_a_long_text_is_refused_soon_and_left_out_by_its_name(
    tmp_path: Path, outside: Path, name: str
) -> None:
    root = damaged(tmp_path, outside, name)
    _, path, why = TOO_LONG[name]
    assert said("report", "--history", root, root=root) == (1, unreadable(path, why))
    opened = History.open(root, skip_bad=True)
    opened.totals(whole(opened))
    assert opened.left_out == {root / path}


def test_a_format_without_its_key_is_told_as_such(tmp_path: Path, outside: Path) -> None:
    root = damaged(tmp_path, outside, "no format")
    with pytest.raises(PgiostatError) as caught:
        History.open(root)
    assert caught.value.report() == (
        f'pgiostat: error: could not read "{root}/format.json" of the history\n'
        'DETAIL:  The key "format" is missing.\n'
        "HINT:  Restore the file, which no option can skip: a history that this version reads has"
        ' {"format": 1} in it. If it is not a history, name another one.'
    )
    assert caught.value.slug == "history-unreadable"


FORMATS = {
    b"": "Expecting value: line 1 column 1 (char 0).",
    b'{"format": 1': "Expecting ',' delimiter: line 1 column 13 (char 12).",
    b"[1]": 'The key "format" is missing.',
    b'{"format": "1"}': 'The value of "format" is not an integer.',
    b'{"format": NaN}': "NaN is not a number of JSON.",
    b'{"format": 1, "format": 2}': "It has a key twice.",
    bytes(SMALL + 1): f'"ROOT/format.json" has more than {SMALL:,} bytes.',
}


@pytest.mark.parametrize("content", FORMATS, ids=lambda content: str(content[:20]))
def test_a_damaged_format_is_named_with_what_is_wrong_by_readers_and_writers(
    tmp_path: Path, content: bytes
) -> None:
    root = copied(tmp_path / "history")
    (root / "format.json").write_bytes(content)
    for opened in (lambda: History.open(root), lambda: Writer.open(root, "demo")):
        with pytest.raises(PgiostatError) as caught:
            opened()
        assert caught.value.message == f'could not read "{root}/format.json" of the history'
        assert caught.value.detail == FORMATS[content].replace("ROOT", str(root))
        assert '{"format": 1}' in (caught.value.hint or "")


def test_a_hint_names_skip_bad_only_where_a_file_is_known() -> None:
    assert UnreadableError(None, "It overflows.").hint is None
    assert UnreadableError(Path("x"), "y").hint == "--skip-bad skips it and reports that."


def whole(history: History) -> Window:
    """Return the window of all there is."""
    (server,) = history.servers()
    return Window(server.since, server.until)


def reads(root: Path, *, skip_bad: bool = False) -> int:
    """Return the blocks that all statements of a history read."""
    opened = History.open(root, skip_bad=skip_bad)
    return opened.totals(whole(opened)).sampled.statement_blocks


@pytest.mark.parametrize("name", ["true", "a day", "a table", "not ASCII"])
def test_what_is_none_of_ours_changes_no_sum(tmp_path: Path, outside: Path, name: str) -> None:
    undamaged = copied(tmp_path / "undamaged")
    assert reads(damaged(tmp_path, outside, name)) == reads(undamaged) > 0


def test_a_bad_cover_hides_samples_by_name_and_counts_none_twice(
    tmp_path: Path, outside: Path
) -> None:
    truth = reads(copied(tmp_path / "undamaged"))
    assert reads(damaged(tmp_path, outside, "reversed"), skip_bad=True) == truth


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "lock/demo.json",
            'could not write to the history in "ROOT": "ROOT/lock/demo.json" is not a regular file',
        ),
        (
            "hot",
            (
                'could not write to the history in "ROOT":'
                ' "ROOT/hot" is a symbolic link, not a directory'
            ),
        ),
        ("tmp", 'could not read "ROOT/tmp" of the history'),
        ("format.json", 'could not read "ROOT/format.json" of the history'),
    ],
)
def test_a_collector_refuses_links_and_changes_nothing_else(
    tmp_path: Path, outside: Path, name: str, message: str
) -> None:
    root = damaged(tmp_path, outside, name)
    before = state_of(outside)
    with pytest.raises(PgiostatError) as caught:
        Writer.open(root, "demo")
    assert caught.value.message == message.replace("ROOT", str(root))
    if name == "tmp":
        assert caught.value.hint == "Find out what created it; then remove it, or move it away."
    assert state_of(outside) == before


def test_a_lock_that_is_somebody_elses_file_is_left_as_it_is(tmp_path: Path, outside: Path) -> None:
    root = copied(tmp_path / "history")
    (root / "lock").mkdir()
    (root / "lock" / "demo.json").hardlink_to(outside / "file")
    with pytest.raises(PgiostatError, match="has another name: it may belong to another user"):
        Writer.open(root, "demo")
    assert (outside / "file").read_text() == "precious\n"


def test_whether_a_label_is_free_is_found_without_waiting(tmp_path: Path) -> None:
    root = copied(tmp_path / "history")
    (root / "lock").mkdir()
    os.mkfifo(root / "lock" / "demo.json")
    with pytest.raises(PgiostatError, match="is a FIFO, not a regular file"):
        check_free(Layout(root), "demo")


def test_days_are_removed_from_the_history_alone(tmp_path: Path, outside: Path) -> None:
    root = tmp_path / "history"
    write(root, intervals(7 * 4, 6 * 60 * MINUTE))
    compact(Layout(root), "prod")
    elsewhere = outside / "days"
    (root / "stmt").rename(elsewhere)
    (root / "stmt").symlink_to(elsewhere)
    before = state_of(outside)
    keep = Keep(timedelta(days=2), timedelta(days=2))
    with pytest.raises(UnreadableError, match=r'could not read ".*/stmt" of the history'):
        retain(Layout(root), "prod", keep, clock=at(1e9))
    with pytest.raises(UnreadableError, match=r'could not read ".*/stmt" of the history'):
        compact(Layout(root), "prod")
    assert state_of(outside) == before


def test_a_target_that_is_a_directory_is_not_left_by_a_link(tmp_path: Path, outside: Path) -> None:
    root, there = copied(tmp_path / "history"), tmp_path / "there"
    there.mkdir()
    (there / "stmt").symlink_to(outside / "directory")
    before = state_of(outside)
    with pytest.raises(PgiostatError) as caught:
        upload(Layout(root), f"file://{there}", clock=at(0))
    assert caught.value.detail == f'"{there}/stmt" is a symbolic link, not a directory'
    assert state_of(outside) == before


# operations on files


def test_only_regular_files_are_opened(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "link").symlink_to(outside / "file")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "directory").mkdir()
    for name, what in (("link", "a symbolic link"), ("fifo", "a FIFO"),
                       ("directory", "a directory")):  # fmt: skip
        with pytest.raises(UnsafeFileError) as caught:
            open_regular(tmp_path / name)
        assert caught.value.strerror == f'"{tmp_path}/{name}" is {what}, not a regular file'
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "nothing")
    with pytest.raises(UnsafeFileError, match="is a device, not a regular file"):
        open_regular(Path("/dev/zero"))


def test_no_directory_below_the_root_may_be_a_link(tmp_path: Path, outside: Path) -> None:
    root = tmp_path / "root"
    root.symlink_to(outside)
    assert read_small(root / "file", root=root) == b"precious\n"  # the root is the user's choice
    (outside / "link").symlink_to(outside / "directory")
    with pytest.raises(UnsafeFileError, match='/link" is a symbolic link, not a directory'):
        read_small(root / "link" / "x.parquet", root=root)
    with pytest.raises(UnsafeFileError, match='/link" is a symbolic link, not a directory'):
        listed(root / "link", root)
    assert [name for name, _ in listed(root)] == ["directory", "file", "link", "stmt"]


def test_a_directory_that_is_replaced_meanwhile_is_not_followed(
    tmp_path: Path, outside: Path
) -> None:
    root = tmp_path / "root"
    Disk().below(root).make(root / "tmp" / "demo-1")
    (root / "tmp" / "demo-1" / "ours").touch()
    with parent_of(root / "tmp" / "demo-1", root) as parent:
        (root / "tmp").rename(root / "moved")
        (root / "tmp").symlink_to(outside / "directory")
        assert os.stat("demo-1", dir_fd=parent).st_mode
        with pytest.raises(FileNotFoundError):
            os.stat("demo.json", dir_fd=parent)
    before = state_of(outside)
    with pytest.raises(UnsafeFileError, match="is a symbolic link, not a directory"):
        Disk().below(root).remove(root / "tmp" / "demo-1")
    assert state_of(outside) == before


def test_a_small_file_is_read_up_to_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "small"
    path.write_bytes(b"x" * 10)
    assert read_small(path, 10) == b"x" * 10
    os.truncate(path, 10 << 30)
    with pytest.raises(UnsafeFileError, match="has more than 10 bytes"):
        read_small(path, 10)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"[" * 100_000, "it is nested too deeply"),
        (b'{"a": 1, "a": 2}', "it has a key twice"),
        (b'{"a": NaN}', "NaN is not a number of JSON"),
        (b'{"a": -Infinity}', "-Infinity is not a number of JSON"),
        (b"9" * 5_000, "Exceeds the limit"),
    ],
)
def test_json_is_what_it_is_by_its_standard(content: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_json(content)


def test_a_new_file_takes_the_place_of_a_link(tmp_path: Path, outside: Path) -> None:
    disk = Disk().below(tmp_path)
    for name, make in (("link", Path.symlink_to), ("hard", Path.hardlink_to)):
        make(tmp_path / name, outside / "file")
        disk.write(tmp_path / name, b"ours")
        assert (tmp_path / name).read_bytes() == b"ours"
        assert not (tmp_path / name).is_symlink()
    assert (outside / "file").read_text() == "precious\n"


def test_nothing_is_appended_to_what_may_be_somebody_elses(tmp_path: Path, outside: Path) -> None:
    disk = Disk().below(tmp_path)
    (tmp_path / "link").symlink_to(outside / "file")
    (tmp_path / "hard").hardlink_to(outside / "file")
    os.mkfifo(tmp_path / "fifo")
    for name in ("link", "hard", "fifo"):
        with pytest.raises(UnsafeFileError):
            disk.append(tmp_path / name, b"ours")
        with pytest.raises(UnsafeFileError):
            disk.hold(tmp_path / name)
    assert (outside / "file").read_text() == "precious\n"


def test_a_tree_is_removed_and_what_its_links_lead_to_stays(tmp_path: Path, outside: Path) -> None:
    root, before = tmp_path / "root", state_of(outside)
    disk = Disk().below(root)
    disk.make(root / "tmp" / "demo-1")
    (root / "tmp" / "demo-1" / "link").symlink_to(outside / "directory")
    (root / "tmp" / "link").symlink_to(outside / "directory")
    for name in ("demo-1", "link"):
        disk.remove(root / "tmp" / name)
    assert list((root / "tmp").iterdir()) == []
    assert state_of(outside) == before


@pytest.mark.parametrize(
    ("mode", "file", "directory"),
    [(0o700, 0o600, 0o700), (0o750, 0o640, 0o750), (0o777, 0o644, 0o755)],
)
def test_others_may_read_as_far_as_they_may_the_root_and_never_write(
    tmp_path: Path, mode: int, file: int, directory: int
) -> None:
    root = tmp_path / "history"
    root.mkdir()
    root.chmod(mode)
    before = os.umask(0)
    try:
        writer = Writer.open(root, "prod")
        for each in intervals(3, MINUTE):
            writer.append(each, Names())
        writer.close()
        compact(Layout(root), "prod")
    finally:
        os.umask(before)
    modes = {(path.is_dir(), path.lstat().st_mode & 0o777) for path in root.rglob("*")}
    assert modes == {(False, file), (True, directory)}


def test_a_new_history_is_nobody_elses(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write(tmp_path / "a" / "history", intervals(2, MINUTE))
    finally:
        os.umask(before)
    assert (tmp_path / "a" / "history").stat().st_mode & 0o777 == 0o700


def test_who_else_can_change_a_history_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    root = tmp_path / "history"
    root.mkdir(mode=0o700)
    assert open_to_others(root) == ""
    root.chmod(0o770)
    assert open_to_others(root) == "its permissions are 0770"
    root.chmod(0o700)
    tmp_path.chmod(0o777)
    assert open_to_others(root) == "the permissions of the directory above it are 0777"
    tmp_path.chmod(0o1777)
    assert open_to_others(root) == ""
    if os.geteuid() == 0:
        os.chown(root, 4242, -1)
        assert open_to_others(root) == "it belongs to user 4242"


# what files hold


def test_a_reading_that_is_damaged_is_no_reading() -> None:
    content = checkpoint.dump(intervals(1, MINUTE)[0].newer)
    assert checkpoint.dump(checkpoint.load(content)) == content
    chance, loaded = random.Random(6), 0  # noqa: S311 - nothing secret
    for _ in range(400):
        spoiled = bytearray(content)
        spoiled[chance.randrange(len(spoiled))] ^= 1 << chance.randrange(8)
        try:
            checkpoint.load(bytes(spoiled))
            loaded += 1
        except ValueError:
            continue
    assert loaded < 100
    for size in range(0, len(content), 37):
        with pytest.raises(ValueError, match="these bytes are not a snapshot"):
            checkpoint.load(content[:size])


def test_a_reading_takes_no_more_memory_than_its_bytes_can_need() -> None:
    content = checkpoint.dump(intervals(1, MINUTE)[0].newer)
    with pytest.raises(ValueError, match="bytes would become 9,223,372,036,854,775,807"):
        checkpoint.load((2**63 - 1).to_bytes(8, "big") + content[8:])


def test_a_reading_of_another_shape_is_no_reading() -> None:
    reading = intervals(1, MINUTE)[0].newer
    text: Any = "1"
    wrong = [
        replace(reading, server=replace(reading.server, port=text)),
        replace(reading, markers=replace(reading.markers, dealloc=text)),
        replace(reading, databases=reading.statements),
        replace(reading, own_queryid=text),
    ]
    for each in wrong:
        with pytest.raises(ValueError, match="these bytes are not a snapshot"):
            checkpoint.load(checkpoint.dump(each))


def test_a_cover_tells_spans_of_samples() -> None:
    good = {"date": "2026-11-23", "samples": {"a": [1, 2]}}
    assert cover_of(json.dumps(good).encode()) == ("2026-11-23", {"a": (1, 2)})
    wrong: Any
    for wrong in ({"samples": {}}, good | {"date": "../x"}, good | {"samples": {"a": [2, 1]}},
                  good | {"samples": {"a": [True, 2]}}, [good], 7):  # fmt: skip
        with pytest.raises(
            ValueError, match=r"it names no day, or no samples|is not a range of samples"
        ):
            cover_of(json.dumps(wrong).encode())


def test_the_densest_file_of_the_sample_is_far_from_the_bounds() -> None:
    files = [*(SOURCE.parent / "sample_data" / "history").rglob("*.parquet")]
    assert len(files) == 19
    for path in files:
        metadata, size = pq.read_metadata(path), path.stat().st_size
        assert metadata.num_rows < (validation.FREE_ROWS + validation.ROWS_PER_BYTE * size) / 10


def test_every_later_column_is_one_of_a_table() -> None:
    there = {name for schema in SCHEMAS.values() for name in schema.names}
    assert there > LATER


def test_categories_in_a_cache_are_not_believed_blindly(tmp_path: Path, outside: Path) -> None:
    def described(text: str | bytes, **_: object) -> Statement:
        return Statement(str(text), "", "ours")

    for content in (b"[" * 100_000, b'{"a": ["b"]}', b'{"a": NaN}', b"[]"):
        (tmp_path / "x.json").write_bytes(content)
        with cached_categories(lambda: described, tmp_path, "x") as describe:
            found = describe("select 1", user="u", database="d", queryid=1)
        assert found.category == "ours"
    (tmp_path / "x.json").unlink()
    (tmp_path / f"x.{os.getpid()}").symlink_to(outside / "file")
    with cached_categories(lambda: described, tmp_path, "x") as describe:
        describe("select 1", user="u", database="d", queryid=1)
    assert (outside / "file").read_text() == "precious\n"
    _, told = (tmp_path / "x.json").read_bytes().splitlines()
    assert [*json.loads(told).values()] == [["ours", "", ""]]


# the engine


def sealed(root: Path) -> int:
    """Return the blocks of a history without its sample that is not sealed."""
    shutil.rmtree(root / "hot")
    return reads(root)


def test_a_path_is_no_pattern(tmp_path: Path) -> None:
    odd, plain = tmp_path / "h*[ab]'?", tmp_path / "hxa'x"
    for root in (odd, plain):
        copied(root)
    assert reads(odd) == reads(plain) > 0
    (odd / "hot" / "demo").rename(odd / "hot" / "*")
    for path in (odd / "hot" / "*").rglob("*.parquet"):
        pq.write_table(rows_of(path), path)  # for no place of its own
    shutil.copytree(odd / "hot" / "*", odd / "hot" / "other")
    both = reads(odd)
    shutil.rmtree(odd / "hot" / "*")
    assert both - reads(odd) == reads(plain) - sealed(plain)


def test_duckdb_fetches_no_code_and_reads_no_secret() -> None:
    names = ("autoinstall_known_extensions", "autoload_known_extensions",
             "allow_community_extensions", "allow_persistent_secrets",
             "python_enable_replacements", "lock_configuration")  # fmt: skip
    columns = ", ".join(f"current_setting('{name}') AS {name}" for name in names)
    found = DuckDB().query(f"SELECT {columns}", {}).to_pylist()
    assert found == [dict.fromkeys(names[:-1], False) | {"lock_configuration": True}]


# who touches files

TOUCHES = {
    "read_text", "read_bytes", "write_text", "write_bytes", "unlink", "rmtree", "iterdir", "glob",
    "rglob", "walk", "scandir", "listdir", "rename", "rmdir", "symlink_to", "chmod", "touch",
    "mkdir", "exists", "is_dir", "is_file", "stat", "lstat", "read_table", "read_metadata",
    "ParquetFile",
}  # fmt: skip
OWNERS = {"history/format/durable_io.py", "history/format/filesystem.py"}
ALLOWED = {
    # Modules and SQL of the package itself.
    "history/read/category_cache.py": {"file.lstat"},
    "history/engines/engine.py": {
        "files('pgiostat.history').joinpath('sql', f'{name}.sql').read_text"
    },
    # The root, which is the user's choice.
    "history/format/root.py": {"root.exists"},
    "history/format/layout.py": {"os.lstat"},
    "history/remote/object_store.py": {"os.lstat"},
    # What words on the command line mean.
    "history/read/window_spec.py": {"Path(where) / 'format.json'.is_file"},
    # From files that are open already.
    "history/format/validation.py": {"pq.read_metadata", "pq.ParquetFile"},
    # Where Java is.
    "history/engines/spark.py": {"Path(home) / 'bin' / 'java'.exists"},
}


def test_one_module_opens_what_is_in_a_history() -> None:
    sources = [*SOURCE.glob("history/**/*.py")]
    assert len(sources) > 25
    found = {
        name: there
        for path in sources
        if (name := str(path.relative_to(SOURCE))) not in OWNERS and (there := touching(path))
    }
    assert found == ALLOWED


def touching(path: Path) -> set[str]:
    """Return the calls in a source that touch files by their path."""
    calls = (
        node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
    )
    found: set[str] = set()
    for function in calls:
        if isinstance(function, ast.Name) and function.id == "open":
            found.add("open")
        if isinstance(function, ast.Attribute):
            whose = ast.unparse(function.value)
            if function.attr in TOUCHES and whose not in {"disk", "self.disk"}:
                found.add(f"{whose}.{function.attr}")
            if function.attr == "open" and not whose[0].isupper():
                found.add(f"{whose}.open")
    return found


def test_every_damage_does_something(tmp_path: Path) -> None:
    whole = state_of(copied(tmp_path / "whole"))
    small: list[Damage] = [d for d in DAMAGES if d.kind != "Parquet: bombs"]
    for number, damage in enumerate(small):
        place = tmp_path / str(number)
        root, outside = copied(place / "history"), victims(place / "outside")
        damage.act(root, outside)
        kinds = {str(p.relative_to(root)): p.lstat().st_mode for p in root.rglob("*")}
        assert "10 GB" in damage.name or kinds.keys() != whole.keys() or state_of(root) != whole


def test_a_check_finds_what_would_stop_compaction(tmp_path: Path) -> None:
    root = tmp_path / "h"
    shutil.copytree(SAMPLE, root)
    (root / "stmt").chmod(0o700)
    (root / "stmt" / "date=xx").mkdir()
    told, status = check_history(root)
    assert status is ExitStatus.ERROR
    assert told.splitlines() == [
        f'history: error: could not read "{root}/stmt/date=xx" of the history',
        "DETAIL:  Its name is not that of a day.",
        "HINT:  Move it away: it stops compaction and retention.",
    ]
