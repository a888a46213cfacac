"""The names behind the ids of a history, and statements described again."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from pgiostat.history.read.partitions import tables_behind
from pgiostat.queries.fingerprint import renewed
from pgiostat.statistics.names import OWN, Describe, Names, Renamed, Statement, agree_on_preset

__all__ = ["BEGIN", "END", "NameSpan", "restore_names", "restore_statement", "spans"]

BEGIN = datetime(1970, 1, 1, tzinfo=UTC)
END = datetime(9999, 1, 1, tzinfo=UTC)

_CURSOR = re.compile(r"^(declare) \?|^((?:fetch|move|close)\b.*) \?$")

Row = Mapping[str, Any]


NameSpan = tuple[datetime, datetime, Row]
"""From when to when a name was that of an oid, and its row."""


def spans(names: Iterable[Row]) -> dict[tuple[int, str, int], list[NameSpan]]:
    """Return what each (server_id, kind, oid) was called, in order of time.

    The first name holds for all that was before it, the last one for all that is after it.
    Relations beside the connected database are left out: another one may have their oid.
    """
    rows: dict[tuple[int, str, int], list[Row]] = {}
    for row in sorted(names, key=lambda row: row["since"] or BEGIN):
        if row["relation_dbid"] is not None:
            continue
        of_oid = rows.setdefault((row["server_id"], row["kind"], row["oid"]), [])
        if not of_oid or _identity(of_oid[-1]) != _identity(row):
            of_oid.append(row)
    return {
        key: [
            (row["since"] or BEGIN if place else BEGIN, after["since"] or BEGIN, row)
            for place, (row, after) in enumerate(pairwise([*of_oid, {"since": END}]))
        ]
        for key, of_oid in rows.items()
    }


def _identity(row: Row) -> tuple[object, ...]:
    return tuple(row[name] for name in ("name", "schema", "owner", "part"))


def restore_names(
    names: Iterable[Row],
    statements: Iterable[Row],
    describe: Describe,
    since: datetime = BEGIN,
    until: datetime = END,
    *,
    definitions: Iterable[Row] = (),
) -> dict[int, Names]:
    """Return what ids mean on each server, from rows of the tables name and statement.

    Args:
        names: Rows of the table name.
        statements: Rows of the table statement; of one id the last one holds.
        describe: What finds categories.
        since: Where the time begins that is shown.
        until: Where it ends; names are those that were the last ones in it.
        definitions: Rows of the table definition: a statement that names a partition reads the
            partitioned table.
    """
    found: dict[int, Names] = {}
    names = list(names)
    for row in names:
        _add_elsewhere(found, row)
    for (server, kind, oid), of_oid in sorted(spans(names).items(), key=_by_time):
        known = found.setdefault(server, Names())
        within = [span for span in of_oid if span[0] < until and span[1] > since] or of_oid[:1]
        began, _, row = within[-1]
        if kind == "database":
            known.databases[oid] = row["name"]
        elif kind == "role":
            known.roles[oid] = row["name"]
        elif kind == "index":
            known.index_names[oid] = row["name"]
        else:
            known.relations[oid] = (row["owner"], row["schema"], row["name"], row["part"])
        # Indexes and TOAST tables are called as their table is.
        if (
            len(within) > 1
            and since > BEGIN
            and (before := _shown(within[-2][2])) != _shown(row)
            and row["part"] in {"", "heap"}
        ):
            known.renamed += (Renamed(kind, before, _shown(row), began),)
    behind = tables_behind(found, definitions, until)
    for row in statements:
        known = found.setdefault(row["server_id"], Names())
        key = (row["userid"], row["dbid"], row["queryid"])
        if row["unread"] is None:
            statement = restore_statement(row, describe, known)
            base = behind.get((row["server_id"], row["dbid"]), {}).get(statement.table_read)
            known.add(key, statement if base is None else replace(statement, table_read=base))
        elif key not in known.statements:
            known.unreadable[key] = row["unread"]
    agree_on_preset(found.values())
    return found


def _add_elsewhere(found: dict[int, Names], row: Row) -> None:
    """Add the name of a relation beside the connected database; the last one written holds."""
    dbid = row["relation_dbid"]
    if dbid is not None:
        named = (row["owner"], row["schema"], row["name"], row["part"])
        known = found.setdefault(row["server_id"], Names())
        known.elsewhere[dbid, row["oid"]] = (*named, row["own_name"] or row["name"])


def _by_time(entry: tuple[tuple[int, str, int], list[NameSpan]]) -> tuple[object, ...]:
    (server, kind, oid), of_oid = entry
    return of_oid[-1][0], kind, server, oid


def _shown(row: Row) -> str:
    return f"{row['schema']}.{row['name']}" if row["schema"] else str(row["name"])


def restore_statement(row: Row, describe: Describe, names: Names) -> Statement:
    """Return a statement from its stored normalized text and cursor.

    Of a cursor the pseudonym is kept; older histories have its name.
    """
    text, cursor = row["text"], row["cursor"]
    found = _CURSOR.match(text) if cursor else None
    if found is not None:
        quoted = '"' + cursor.replace('"', '""') + '"'
        text = f"{found[1] or found[2]} {quoted}{text[found.end() :]}"
    user, database = names.role(row["userid"]), names.database(row["dbid"])
    statement = describe(text, user=user, database=database, queryid=row["queryid"])
    return replace(
        statement,
        text=row["text"],
        fingerprint=renewed(row["fingerprint"], row["text"]),
        category=OWN if row["own"] else statement.category,
    )
