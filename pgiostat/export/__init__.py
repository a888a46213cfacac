"""All tables of a history as CSV files, with a data dictionary beside them.

Counts are written hour by hour and batch by batch, so that a history of any length needs no more
memory than the engine's limit.

May import `render` and all below it. Must not import `watch`, `collector` or `dataframes`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pc_csv

from pgiostat.errors import PgiostatError
from pgiostat.export.tables import BASIS, ELSEWHERE, SCHEMA_VERSION, TABLES, Exported, dictionary
from pgiostat.history.engines import Source, text_of
from pgiostat.history.format.file_index import LATE, Listing
from pgiostat.history.format.schema import SCHEMAS
from pgiostat.history.read.definitions import named_definition
from pgiostat.history.read.history import History
from pgiostat.history.read.names import BEGIN, END, NameSpan
from pgiostat.history.read.windows import HOUR, ServerSpan, Window, floor_hour, nothing_between
from pgiostat.render.csv import text_cell, timestamp
from pgiostat.statistics.names import Describe, Names
from pgiostat.statistics.relation_names import RelationNames
from pgiostat.statistics.row_deltas import Basis
from pgiostat.timespec import EARLIEST
from pgiostat.units import MICROSECOND

__all__ = ["export"]

_MICROSECONDS_OF = {"ms": 1e3, "s": 1e6}
_BASES = pa.array([basis.name.lower() for basis in Basis], pa.string())
_TEXT_ROWS = pa.schema(
    [
        *((name, pa.int64()) for name in ("server_id", "userid", "dbid", "queryid")),
        *((name, pa.string()) for name in ("fingerprint", "category", "query")),
    ]
)
_INSTANT = pa.timestamp("us", tz="UTC")
_NAME_ROWS = pa.schema(
    [
        ("server_id", pa.int64()),
        ("kind", pa.string()),
        ("oid", pa.int64()),
        ("name", pa.string()),
        ("part", pa.string()),
        ("dbid", pa.int64()),
        ("since", _INSTANT),
        ("until", _INSTANT),
    ]
)

Progress = Callable[[str, float], None]
"""Called with the file that is written and the share that is done, 0 to 1."""


def export(
    history: History,
    window: Window,
    describe: Describe,
    out: Path,
    progress: Progress | None = None,
) -> list[Path]:
    """Write a window as CSV files into a new or empty directory; return them.

    Raises PgiostatError export-exists, output-unwritable, window-empty if no interval began in the
    window, and as History.choose does.
    """
    servers = history.choose(window.label)
    if not history.sampled(window, servers) and not any(history.device(window).values()):
        raise nothing_between(window.since, window.until, servers, history.left_out)
    made = _prepare(out)
    try:
        return _write(history, window, servers, describe, out=out, progress=progress)
    except BaseException:
        # Half of an export would look like a whole one, and keep the next from its directory.
        # What somebody else put there meanwhile stays.
        for name in (*(f"{exported.name}.csv" for exported in TABLES), "README.md"):
            (out / name).unlink(missing_ok=True)
        if made:
            with suppress(OSError):
                out.rmdir()
        raise


def _write(
    history: History,
    window: Window,
    servers: Sequence[ServerSpan],
    describe: Describe,
    *,
    out: Path,
    progress: Progress | None,
) -> list[Path]:
    names = history.names(describe, window)
    sampled = history.sampled(window, servers)
    connected = {server: each.dbid for server, each in sampled.items()}
    sources = _sources(servers, names, history.named(), connected)
    begins = _begins(history, window, servers)
    written: list[Path] = []
    try:
        for number, exported in enumerate(TABLES):
            path = out / f"{exported.name}.csv"
            batches = (
                _counted(
                    history,
                    exported,
                    servers,
                    _hours(begins, window, LATE.get(exported.table, timedelta(0))),
                    sources,
                )
                if exported.table
                else iter([(1.0, _WITHOUT_TIME[exported.name](history, window, servers, names))])
            )
            with path.open("xb") as file:
                writer = None
                for share, each in batches:
                    rows = _harmless(each)
                    writer = writer or pc_csv.CSVWriter(file, rows.schema)
                    writer.write(rows)
                    if progress is not None:
                        progress(path.name, (number + share) / len(TABLES))
                if writer is not None:
                    writer.close()
            written.append(path)
        readme = out / "README.md"
        with readme.open("x", encoding="utf-8") as file_of_words:
            file_of_words.write(dictionary())
    except OSError as error:
        raise PgiostatError(
            f'could not write the export to "{out}": {error.strerror}', slug="output-unwritable"
        ) from None
    return [*written, readme]


def _prepare(out: Path) -> bool:
    """See that there is an empty directory; tell whether it was made."""
    made = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        there = any(out.iterdir())
    except OSError as error:
        raise PgiostatError(
            f'could not create the directory "{out}": {error.strerror}', slug="output-unwritable"
        ) from None
    if there:
        raise PgiostatError(
            f'the directory "{out}" is not empty',
            hint="Name a new directory: no file is overwritten.",
            slug="export-exists",
        )
    return made


def _hours(begins: Iterable[datetime], window: Window, late: timedelta) -> list[Window]:
    """Return the hours of a window that may hold rows of a table; at least one.

    A window may be years longer than what there is in it.

    Args:
        begins: When the hours begin that hold intervals.
        window: The window; its first and last hour may be cut.
        late: The longest time between a row and its interval.
    """
    around = range(-(late // HOUR), late // HOUR + 1)
    hours = {begin + number * HOUR for begin in begins for number in around}
    found = [
        Window(max(hour, window.since), min(hour + HOUR, window.until), window.label)
        for hour in sorted(hours)
        if hour < window.until and hour + HOUR > window.since
    ]
    return found or [replace(window, until=min(floor_hour(window.since) + HOUR, window.until))]


def _begins(history: History, window: Window, servers: Sequence[ServerSpan]) -> set[datetime]:
    """Return when the hours begin in which an interval begins, in a window and near it."""
    late = max(LATE.values())
    near = Window(window.since - late, window.until + late, window.label)
    samples = history.samples(near, servers, HOUR // MICROSECOND)
    return {EARLIEST + bucket * HOUR for buckets in samples.values() for bucket in buckets}


def _sources(
    servers: Sequence[ServerSpan],
    names: Mapping[int, Names],
    named: Mapping[tuple[int, str, int], Sequence[NameSpan]],
    connected: Mapping[int, int],
) -> dict[str, Source]:
    """Return small tables for the engine: labels, texts, and names with their time."""
    texts = [
        (server, *key, statement.fingerprint or None, statement.category, statement.text)
        for server, known in names.items()
        for key in {**known.statements, **known.unreadable}
        for statement in [known.described(key)]
    ]
    alike = Counter((server, kind, _shown(row)) for (server, kind, _), row in _last(named))
    rows: list[tuple[object, ...]] = [
        (server, "database", 0, known.database(0), "", 0, BEGIN, END)
        for server, known in names.items()
    ]
    for (server, kind, oid), of_oid in named.items():
        for since, until, row in of_oid:
            shown = _shown(row)
            if alike[server, kind, shown] > 1 and row["part"] in {"", "heap"}:
                shown = f"{shown} (oid {oid})"  # what was dropped had the same name
            dbid = connected.get(server, 0)
            rows.append((server, kind, oid, shown, row["part"], dbid, since, until))
    rows += _names_elsewhere(names)
    labels = list(dict.fromkeys((server.server_id, server.label) for server in servers))
    return {
        "texts": _rows(texts, _TEXT_ROWS),
        "names": _rows(rows, _NAME_ROWS),
        "servers": _rows(labels, pa.schema([("server_id", pa.int64()), ("label", pa.string())])),
    }


def _names_elsewhere(names: Mapping[int, Names]) -> Iterator[tuple[object, ...]]:
    """Yield rows of names of relations beside the connected database."""
    for server, known in names.items():
        relations = RelationNames(known)
        for (dbid, oid), (*_, part, _) in known.elsewhere.items():
            for kind, name in (
                ("relation", relations.table(dbid, oid)),
                ("index", relations.own(dbid, oid)),
            ):
                yield server, f"{kind}{ELSEWHERE}", oid, name, part, dbid, BEGIN, END


def _last(
    named: Mapping[tuple[int, str, int], Sequence[NameSpan]],
) -> Iterator[tuple[tuple[int, str, int], Mapping[str, Any]]]:
    """Yield what each oid was called last; indexes and TOAST tables are called as their table."""
    for key, of_oid in named.items():
        *_, row = of_oid[-1]
        if row["part"] in {"", "heap"}:
            yield key, row


def _shown(row: Mapping[str, Any]) -> str:
    is_toast = row["kind"] == "index" and row["part"] in {"toast", "tidx"}
    schema = "pg_toast" if is_toast else row["schema"]
    return f"{schema}.{row['name']}" if schema else str(row["name"])


def _harmless(rows: pa.Table) -> pa.Table:
    """Return rows with texts that act neither on a terminal nor in a spreadsheet."""
    is_text = (pa.types.is_string, pa.types.is_large_string)
    columns = [
        _in_cells(values) if any(test(values.type) for test in is_text) else values
        for values in rows.columns
    ]
    return pa.table(columns, names=rows.column_names)


def _in_cells(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return texts as cells of CSV have them; most are there many times, and are written once."""
    found = texts.combine_chunks().dictionary_encode()
    written = pa.array(map(text_cell, found.dictionary.to_pylist()), pa.string())
    return pa.chunked_array([written.take(found.indices)])


def _rows(rows: Sequence[Sequence[Any]], schema: pa.Schema) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
    return pa.table(arrays, schema=schema)


def _counted(
    history: History,
    exported: Exported,
    servers: Sequence[ServerSpan],
    hours: Sequence[Window],
    sources: Mapping[str, Source],
) -> Iterator[tuple[float, pa.Table]]:
    """Yield rows hour by hour, with the share of the hours that are done."""
    ids = ", ".join(str(server.server_id) for server in servers)
    text = text_of(exported.text)
    for number, hour in enumerate(hours, start=1):
        sql = text.format(
            columns=",\n    ".join(f"{f.sql} AS {f.name}" for f in exported.fields),
            joins=exported.joins,
            order=exported.order,
            version=SCHEMA_VERSION,
            since=history.engine.instant(hour.since),
            until=history.engine.instant(hour.until),
            of_servers=f"f.server_id IN ({ids})",
        )

        def facts(listing: Listing, hour: Window = hour) -> dict[str, Source]:
            found = listing.files(exported.table).within((hour.since, hour.until))
            return {**sources, "facts": (found.paths, SCHEMAS[exported.table])}

        for rows in history.stream(sql, facts):
            yield number / len(hours), _converted(exported, rows)


def _converted(exported: Exported, rows: pa.RecordBatch | pa.Table) -> pa.Table:
    """Return rows as they are written; their columns are in the order of the fields."""
    columns = []
    for field, values in zip(exported.fields, rows.columns, strict=True):
        if field.microseconds_as:
            factor = _MICROSECONDS_OF[field.microseconds_as]
            columns.append(pc.divide(pc.cast(values, pa.float64(), safe=False), factor))
        elif pa.types.is_timestamp(values.type):
            columns.append(pc.strftime(values, format="%Y-%m-%dT%H:%M:%SZ"))
        elif field is BASIS:
            # What is not known here, as of a later version, is as good as unknown.
            known = pc.less(pc.cast(values, pa.uint8(), safe=False), len(_BASES))
            columns.append(pc.take(_BASES, pc.if_else(known, values, int(Basis.UNKNOWN))))
        else:
            columns.append(values)
    return pa.table(columns, names=[field.name for field in exported.fields])


def _definitions(
    history: History, window: Window, servers: Sequence[ServerSpan], names: Mapping[int, Names]
) -> pa.Table:
    labels = {server.server_id: server.label for server in servers}
    known = {server: RelationNames(names.get(server, Names())) for server in labels}
    rows = [
        (
            SCHEMA_VERSION,
            labels[row["server_id"]],
            timestamp(row["since"]),
            *named_definition(row, known[row["server_id"]]).values(),
        )
        for row in sorted(history.dimension("definition"), key=lambda row: row["since"])
        if row["server_id"] in labels and row["since"] < window.until
    ]
    numbers = {"schema_version", "oid"}
    fields = next(each.fields for each in TABLES if each.name == "definitions")
    kinds = [pa.int64() if field.name in numbers else pa.string() for field in fields]
    return _rows(rows, pa.schema(list(zip([f.name for f in fields], kinds, strict=True))))


def _texts(
    _history: History, _window: Window, servers: Sequence[ServerSpan], names: Mapping[int, Names]
) -> pa.Table:
    rows = [
        (
            SCHEMA_VERSION,
            server.label,
            known.shown_database(dbid),
            known.shown_role(userid),
            queryid,
            statement.fingerprint,
            statement.category,
            statement.text,
        )
        for server in servers
        for known in [names.get(server.server_id, Names())]
        for (userid, dbid, queryid) in sorted(known.statements)
        if (statement := known.statement((userid, dbid, queryid))) is not None
    ]
    kinds = [pa.int64(), pa.string(), pa.string(), pa.string(), pa.int64(), *[pa.string()] * 3]
    names_of = [field.name for field in TABLES[-1].fields]
    return _rows(rows, pa.schema(list(zip(names_of, kinds, strict=True))))


_WITHOUT_TIME = {"definitions": _definitions, "texts": _texts}
"""What makes the rows of a file that has no intervals."""
