"""Histories as somebody hostile would hand them over: the sample history, damaged in one place.

Each damage names what a message about it must hold. `outside` is a directory of somebody else's:
nothing in it may change, whatever is done with the history.
"""

import os
import shutil
import socket
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pgiostat.history.format.schema import ROLLUP, SCHEMAS, TIMESTAMP

__all__ = ["DAMAGES", "TEXTS_OF", "Damage", "copied", "state_of", "victims"]

SAMPLE = Path(__file__).parents[2] / "sample_data" / "history"
DAY = "date=2026-11-23"
FIRST, LAST = "000000000001-000000000249-demo", "000000000250-000000000360-demo"
HOT = "hot/demo/000000000361"

Act = Callable[[Path, Path], None]


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing that is wrong in a history.

    Attributes:
        kind: The row of the table that it belongs to.
        name: What it is.
        act: Does it, to a history and with what is outside of it.
        told: What a message about it holds; empty if there is nothing to tell of.
    """

    kind: str
    name: str
    act: Act
    told: str


def copied(root: Path) -> Path:
    """Return a copy of the sample history that can be written to."""
    shutil.copytree(SAMPLE, root, copy_function=shutil.copy)
    for path in (root, *root.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    return root


def victims(outside: Path) -> Path:
    """Make what is somebody else's."""
    (outside / "directory").mkdir(parents=True)
    for name in ("file", "directory/demo-1", "directory/demo.json", "directory/x.parquet"):
        (outside / name).write_text("precious\n")
    shutil.copytree(SAMPLE / "stmt", outside / "stmt")
    for path in (outside, *outside.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return outside


def state_of(directory: Path) -> dict[str, tuple[int, bytes]]:
    """Return what is in a directory: of each path its mode and its content."""
    return {
        str(path.relative_to(directory)): (
            stat.S_IMODE(path.lstat().st_mode),
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(directory.rglob("*"))
    }


def gone(path: Path) -> Path:
    """Remove what is at a path, and make the directories above it; return the path."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def a_link(path: str, target: str) -> Act:
    def act(root: Path, outside: Path) -> None:
        gone(root / path).symlink_to(outside / target if target[0] != "." else target)

    return act


def a_hard_link(path: str) -> Act:
    return lambda root, outside: gone(root / path).hardlink_to(outside / "file")


def a_fifo(path: str) -> Act:
    return lambda root, _: os.mkfifo(gone(root / path))


def a_socket(path: str) -> Act:
    def act(root: Path, _: Path) -> None:
        there = Path.cwd()
        with socket.socket(socket.AF_UNIX) as made:
            os.chdir(gone(root / path).parent)  # the name of a socket has 107 bytes
            try:
                made.bind(Path(path).name)
            finally:
                os.chdir(there)

    return act


def a_directory(path: str) -> Act:
    return lambda root, _: gone(root / path).mkdir()


def content(path: str, data: bytes) -> Act:
    def act(root: Path, _: Path) -> None:
        gone(root / path).write_bytes(data)

    return act


def sparse(path: str, size: int) -> Act:
    def act(root: Path, _: Path) -> None:
        with gone(root / path).open("wb") as file:
            file.truncate(size)

    return act


def renamed(path: str, name: str) -> Act:
    def act(root: Path, _: Path) -> None:
        for each in root.glob(path):
            each.rename(each.with_name(name))

    return act


def also(path: str, name: str) -> Act:
    """Copy a file or a directory beside itself."""

    def act(root: Path, _: Path) -> None:
        source, target = root / path, root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)

    return act


def rows_of(path: Path) -> pa.Table:
    """Return the rows of a file, to be written by a program that knows of no checksum."""
    return pq.read_table(path, partitioning=None).replace_schema_metadata(None)


def rewritten(path: str, change: Callable[[pa.Table], pa.Table], **options: Any) -> Act:
    def act(root: Path, _: Path) -> None:
        rows = change(rows_of(root / path))
        pq.write_table(rows, root / path, **options)

    return act


def column(name: str, make: Callable[[pa.Table], pa.Array]) -> Callable[[pa.Table], pa.Table]:
    """Replace a column by another of the same name, and of the type that is made."""

    def change(rows: pa.Table) -> pa.Table:
        made = make(rows)
        field = pa.field(name, made.type, nullable=bool(made.null_count) or made.type == pa.null())
        if made.type == rows.schema.field(name).type and not made.null_count:
            field = rows.schema.field(name)
        return rows.set_column(rows.schema.get_field_index(name), field, made)

    return change


def all_of(value: Any, kind: pa.DataType) -> Callable[[pa.Table], pa.Array]:
    return lambda rows: pa.array([value] * len(rows), kind)


def without(name: str) -> Callable[[pa.Table], pa.Table]:
    return lambda rows: rows.drop_columns([name])


def in_all_tables(old: str, new: str, act: Callable[[Path, Path], object]) -> Act:
    """Copy or move the files of some samples, of every table."""

    def act_on(root: Path, _: Path) -> None:
        for path in root.glob(f"*/{DAY}/{old}.parquet"):
            act(path, path.with_name(f"{new}.parquet"))

    return act_on


def bomb(schema: pa.Schema, rows: int) -> Act:
    """Write many rows of nothing, which take next to no room."""

    def act(root: Path, _: Path) -> None:
        def values(kind: pa.DataType) -> pa.Array:
            if pa.types.is_string(kind):
                return pa.array([""] * rows, kind)
            if pa.types.is_boolean(kind):
                return pa.array(np.zeros(rows, bool))
            return pa.array(np.zeros(rows, np.int64)).cast(kind)

        table = pa.table([values(field.type) for field in schema], schema=schema)
        name = "stmt_1h" if schema is ROLLUP else "stmt"
        path = root / name / DAY / f"{FIRST}.parquet"
        pq.write_table(table, path, compression="zstd", row_group_size=rows)

    return act


def long_text(root: Path, _: Path) -> None:
    path = root / "dim" / "statement" / "demo.parquet"
    rows = rows_of(path)
    text = column("text", all_of("x" * (8 << 20), pa.string()))(rows)
    pq.write_table(pa.concat_tables([text] * 3), path, compression="zstd", row_group_size=len(rows))


def repeated(path: str, name: str, size: int, **options: Any) -> Act:
    """Write a long text in all of many rows, which takes little room."""

    def act(root: Path, _: Path) -> None:
        rows = rows_of(root / path).slice(0, 1)
        rows = rows.take(pa.array(np.zeros(90_000, np.int32)))
        place = rows.schema.get_field_index(name)
        text = pa.DictionaryArray.from_arrays(
            np.zeros(len(rows), np.int32), pa.array(["x" * size], pa.string())
        )
        field = pa.field(name, text.type, nullable=False)
        rows = rows.append_column(field, text) if place < 0 else rows.set_column(place, field, text)
        pq.write_table(rows, root / path, compression="zstd", store_schema=False,
                       dictionary_pagesize_limit=1 << 30, **options)  # fmt: skip

    return act


def delta(path: str, name: str) -> Act:
    """Write texts that each say only that they begin as the one before."""
    encoded = {"use_dictionary": False, "column_encoding": {name: "DELTA_BYTE_ARRAY"}}
    return rewritten(path, column(name, all_of("x" * 900, pa.string())), **encoded)


TEXTS_OF = {
    "io": ("backend_type", "object", "context"),
    "sample": ("label", "qualities", "extension_version"),
}
"""The text columns of tables with a time; the sample history has no devices."""


def a_device(source: str) -> Act:
    """Add a device to each sample's time, of a source."""

    def act(root: Path, _: Path) -> None:
        rows = rows_of(root / "sample" / DAY / f"{FIRST}.parquet")
        columns = {
            field.name: rows[field.name]
            if field.name in ("server_id", "ts", "dur_us")
            else pa.array(
                [{"source": source, "name": "sda"}.get(field.name)] * len(rows), field.type
            )
            for field in SCHEMAS["device"]
        }
        path = root / "device" / DAY / f"{FIRST}.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(pa.table(columns, schema=SCHEMAS["device"]), path)

    return act


def many_columns(root: Path, _: Path) -> None:
    path = root / "stmt" / DAY / f"{FIRST}.parquet"
    rows = rows_of(path).slice(0, 1)
    more = pa.table({f"c{number}": pa.array([0]) for number in range(20_000)})
    pq.write_table(
        pa.table([*rows.columns, *more.columns], [*rows.column_names, *more.column_names]), path
    )


def footer(length: int) -> Act:
    return content(
        f"stmt/{DAY}/{FIRST}.parquet", b"PAR1" + bytes(64) + length.to_bytes(4, "little") + b"PAR1"
    )


def deep_json(path: str) -> Act:
    return content(path, b'{"format":' + b"[" * 100_000)


def a_turn(cover: bytes, name: str = "000000000009-+demo.12345678.json") -> Act:
    """Add a cover, and the sealed files of its turn: the rows of the sample that is not sealed."""

    def act(root: Path, _: Path) -> None:
        for table in ("stmt", "sample", "io", "relation", "database"):
            target = root / table / DAY / "000000000009-000000000009-+demo.12345678.parquet"
            pq.write_table(rows_of(root / HOT / f"{table}.parquet"), target)
        rollup = root / "stmt_1h" / DAY / "000000000009-000000000009-+demo.12345678.parquet"
        pq.write_table(ROLLUP.empty_table(), rollup)
        (root / "cover").mkdir()
        (root / "cover" / name).write_bytes(cover)

    return act


def _stmt(name: str = FIRST) -> str:
    return f"stmt/{DAY}/{name}.parquet"


COVER = "cover/000000000009-+demo.12345678.json"
TEXTS = "dim/statement/demo.parquet"


def _links() -> Iterator[Damage]:
    targets: Mapping[str, str] = {
        "format.json": "file",
        "stmt": "stmt",
        f"stmt/{DAY}": f"stmt/{DAY}",
        f"sample/{DAY}": "directory",
        _stmt(): _stmt(),
        "hot": "directory",
        "hot/demo": "directory",
        HOT: "directory",
        f"{HOT}/stmt.parquet": _stmt(),
        "dim": "directory",
        "dim/statement": "directory",
        TEXTS: "directory/x.parquet",
        "cover": "directory",
        COVER: "file",
        "lock": "directory",
        "lock/demo.json": "file",
        "lock/demo.seal": "file",
        "tmp": "directory",
        "tmp/demo-1": "directory",
        "ship": "directory",
    }
    for path, target in targets.items():
        yield Damage("symbolic links", path, a_link(path, target), path)
    for path in ("format.json", _stmt(), "lock/demo.json", f"stmt/{DAY}"):
        yield Damage("dangling links", path, a_link(path, "nowhere"), path)
    for path in ("format.json", f"stmt/{DAY}", "tmp", "lock/demo.json"):
        yield Damage("looping links", path, a_link(path, f"./{Path(path).name}"), path)
    for path in ("lock/demo.json", "lock/demo.seal"):
        yield Damage("hard links", path, a_hard_link(path), path)


def _kinds() -> Iterator[Damage]:
    special = ("format.json", _stmt(), f"{HOT}/stmt.parquet", "dim/name/demo.parquet",
               "lock/demo.json", "lock/demo.seal", COVER, f"{HOT}/baseline", "tmp/demo-1",
               "hot/demo", f"stmt/{DAY}")  # fmt: skip
    for path in special:
        yield Damage("FIFOs", path, a_fifo(path), path)
    for path in ("format.json", _stmt(), "lock/demo.json"):
        yield Damage("sockets", path, a_socket(path), path)
    for path in ("format.json", _stmt(), f"{HOT}/stmt.parquet", "lock/demo.json", COVER):
        yield Damage("directories for files", path, a_directory(path), path)
    for path in ("stmt", f"stmt/{DAY}", "hot", "hot/demo", HOT, "dim/name", "lock", "tmp"):
        yield Damage("files for directories", path, content(path, b"x"), path)


def _names() -> Iterator[Damage]:
    days = {
        "date=xx": "date=xx", "date=2026-13-45": "date=2026-13-45", "date=9999-12-31":
        "date=9999-12-31", "date=0001-01-01": "date=0001-01-01", "date=20261123": "date=20261123",
        "date=2026-W48-1": "date=2026-W48-1", "date=": "date=", "date=2026-11-23 ":
        "date=2026-11-23 ", "date=\u0662\u0660\u0662\u0666-11-23":
        "date=\u0662\u0660\u0662\u0666-11-23", "date=\x1b[31m\n": r"date=\u001b[31m",
        "date=\udcff": r"date=\udcff",
    }  # fmt: skip
    for day, told in days.items():
        yield Damage("names of days", told, also(f"stmt/{DAY}", f"stmt/{day}"), told)
    files = ("1-2-demo", f"{'9' * 30}-{'9' * 31}-demo", "000000000249-000000000001-demo",
             "-00000000001-000000000249-demo", "000000000001-000000000249-de mo", "x" * 240,
             "\u0660" * 12 + "-000000000249-demo", "*", "[0-9]*")  # fmt: skip
    for name in files:
        yield Damage("names of files", name[:40], renamed(_stmt(), f"{name}.parquet"), name)
    yield Damage("names of samples", "short", also(HOT, "hot/demo/7"), "hot/demo/7")
    yield Damage("names of samples", "long", also(HOT, f"hot/demo/{'9' * 40}"), "9" * 40)
    yield Damage("names of samples", "not ASCII", also(HOT, "hot/demo/\u00b2"), "")
    ours = "names that are none of ours"
    yield Damage(ours, "a day", also(f"stmt/{DAY}", "stmt/DATE=2026-11-23"), "")
    yield Damage(ours, "a file", content(f"stmt/{DAY}/README", b"x"), "")
    yield Damage(ours, "a table", also("stmt", "stmt2"), "")
    name = "000000000100-000000000249-demo"
    yield Damage("samples twice", "a span", also(_stmt(), _stmt(name)), name)
    name = "000000000002-000000000249-demo"
    yield Damage("samples twice", "all tables", in_all_tables(FIRST, name, shutil.copy), name)
    name = f"{LAST[:13]}000000000999-demo"
    yield Damage("samples hidden", "a name", in_all_tables(LAST, name, shutil.move), name)


def _small_files() -> Iterator[Damage]:
    formats = {
        "empty": b"", "not JSON": b"\x00", "a number": b"1", "a list": b"[1]", "no format": b"{}",
        "NaN": b'{"format": NaN}', "1e999": b'{"format": 1e999}', "a key twice":
        b'{"format": 1, "format": 2}', "huge": b'{"format": %s}' % (b"9" * 5_000),
        "escape": b'{"format": "\\u001b[31m", "pgiostat": ["\\u001b"]}', "not UTF-8": b'"\xff"',
        "deep": b'{"format":' + b"[" * 100_000,
    }  # fmt: skip
    for name, data in formats.items():
        yield Damage("format.json", name, content("format.json", data), "history")
    yield Damage("format.json", "10 GB", sparse("format.json", 10 << 30), "format.json")
    good = b'{"date": "2026-11-23", "samples": {"demo": [361, 361]}}'
    yield Damage("covers", "true", a_turn(good), "")
    covers = {
        "empty": b"", "another day": good.replace(b"2026-11-23", b"../../etc"), "reversed":
        good.replace(b"[361, 361]", b"[362, 361]"), "text": good.replace(b"361", b'"361"'),
        "no list": good.replace(b"[361, 361]", b"361"), "three": good.replace(b"361]", b"361, 3]"),
        "fractions": good.replace(b"361", b"361.0"), "truth": good.replace(b"361", b"true"),
        "deep": b"[" * 100_000,
    }  # fmt: skip
    for name, data in covers.items():
        yield Damage("covers", name, a_turn(data), "cover/")
    yield Damage("covers", "another name", a_turn(good, "x.json"), "cover/")
    yield Damage("covers", "10 GB", sparse(COVER, 10 << 30), "cover/")
    baseline = f"{HOT}/baseline"
    yield Damage("baselines", "empty", content(baseline, b""), "")
    yield Damage("baselines", "2^63", content(baseline, b"\x7f" + b"\xff" * 7 + b"x"), "")
    yield Damage("baselines", "10 GB", sparse(baseline, 10 << 30), "")
    deep = b"[" * 100_000 + b"\n{}\n1"
    yield Damage("records", "deep", content("ship/x.jsonl", deep), "")
    yield Damage("records", "10 GB", sparse("ship/x.jsonl", 10 << 30), "ship/x.jsonl")


def _broken() -> Iterator[Damage]:
    data = (SAMPLE / _stmt()).read_bytes()
    broken = {
        "empty": b"", "text": b"x" * 1000, "cut short": data[:-100], "half": data[: len(data) // 2],
        "no beginning": b"XXXX" + data[4:], "encrypted": data[:-4] + b"PARE",
        "zeros": data[:100] + bytes(len(data) - 200) + data[-100:],
    }  # fmt: skip
    kind = "Parquet: damaged"
    for name, those in broken.items():
        yield Damage(kind, name, content(_stmt(), those), FIRST)
        yield Damage(kind, f"{name}, texts", content(TEXTS, those), TEXTS)
    yield Damage(kind, "not sealed", content(f"{HOT}/sample.parquet", b"x"), HOT)
    yield Damage(kind, "footer of 2 GB", footer(2**31 - 1), FIRST)
    yield Damage(kind, "footer of 4 GB", footer(2**32 - 1), FIRST)
    yield Damage(kind, "10 GB", sparse(_stmt(), 10 << 30), FIRST)
    kind = "Parquet: bombs"
    yield Damage(kind, "3 million rows", bomb(SCHEMAS["stmt"], 3_000_000), FIRST)
    yield Damage(kind, "3 million hours", bomb(ROLLUP, 3_000_000), FIRST)
    yield Damage(kind, "long texts", long_text, TEXTS)
    yield Damage(kind, "20,000 columns", many_columns, FIRST)
    for table, names in TEXTS_OF.items():
        for name in names:
            path = f"{table}/{DAY}/{FIRST}.parquet"
            long = repeated(path, name, 900_000)
            yield Damage(kind, f"long text {table}.{name}", long, path)
    path = f"sample/{DAY}/{FIRST}.parquet"
    yield Damage(kind, "long text in one more column", repeated(path, "more", 900_000), path)
    yield Damage(kind, "many short texts", repeated(path, "label", 1_000), path)
    yield Damage(kind, "delta texts", delta(path, "label"), path)
    yield Damage("devices", "long source", a_device("x" * 2_000), f"device/{DAY}/{FIRST}.parquet")
    yield Damage("Parquet: values", "unknown source", a_device("\x1b[31mlater"), "")


def _columns() -> Iterator[Damage]:
    kind = "Parquet: columns"

    def changed(path: str, name: str, change: Callable[[pa.Table], pa.Table]) -> Damage:
        return Damage(kind, f"{path.partition('/')[0]}.{name}", rewritten(path, change), path)

    for table, name in (("stmt", "shared_blks_read"), ("stmt", "ts"), ("sample", "label"),
                        ("sample", "dur_us"), ("relation", "relid"), ("io", "reads")):  # fmt: skip
        yield changed(f"{table}/{DAY}/{FIRST}.parquet", f"{name}: missing", without(name))
    yield changed(TEXTS, "text: missing", without("text"))
    kinds: Mapping[str, Callable[[pa.Table], pa.Array]] = {
        "text": all_of("x", pa.string()), "list": all_of([1], pa.list_(pa.int64())), "record":
        all_of({"a": 1}, pa.struct([("a", pa.int64())])), "NULL": all_of(None, pa.null()),
        "double": all_of(1.5, pa.float64()), "NULLs": all_of(None, pa.int64()),
    }  # fmt: skip
    for what, make in kinds.items():
        for table, name in (("stmt", "dur_us"), ("sample", "block_size")):
            path = f"{table}/{DAY}/{FIRST}.parquet"
            yield changed(path, f"{name}: {what}", column(name, make))
    more = rewritten(_stmt(), lambda t: t.append_column("more", pa.array(["x"] * len(t))))
    yield Damage(kind, "one more", more, "")


def _values() -> Iterator[Damage]:
    kind, far, early = "Parquet: values", 2**62, -(2**62)
    values: list[tuple[str, str, Callable[[pa.Table], pa.Array]]] = [
        ("sample", "ts", all_of(far, TIMESTAMP)),
        ("sample", "ts", all_of(early, TIMESTAMP)),
        ("sample", "dur_us", all_of(far, pa.int64())),
        ("sample", "dur_us", all_of(-1, pa.int64())),
        ("sample", "statement_blocks", all_of(far, pa.int64())),
        ("sample", "block_size", all_of(0, pa.int64())),
        ("sample", "version_num", all_of(far, pa.int64())),
        ("sample", "qualities", all_of("x\x1b[31m", pa.string())),
        ("sample", "label", all_of("\x1b[31m\n", pa.string())),
        ("stmt", "ts", all_of(far, TIMESTAMP)),
        ("stmt", "shared_blks_read", all_of(far, pa.int64())),
        ("stmt", "basis", all_of(77, pa.int8())),
        ("stmt", "dur_us", all_of(far, pa.int64())),
        ("io", "object", all_of("\x1b[31m", pa.string())),
    ]
    for number, (table, name, make) in enumerate(values):
        act = rewritten(f"{table}/{DAY}/{FIRST}.parquet", column(name, make))
        yield Damage(kind, f"{table}.{name} {number}", act, FIRST)
    for name, value in (("text", "\x00\x1b[31m"), ("cursor", "x" * 70_000), ("fingerprint", "")):
        act = rewritten(TEXTS, column(name, all_of(value, pa.string())))
        yield Damage(kind, f"statement.{name}", act, TEXTS)


DAMAGES = [
    damage
    for part in (_links, _kinds, _names, _small_files, _broken, _columns, _values)
    for damage in part()
]
