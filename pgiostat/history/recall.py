"""What ids of a history mean: names as they were told, each statement described anew."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pgiostat.fingerprint import renewed
from pgiostat.names import OWN, Describe, Names, Statement

__all__ = ["recall", "recalled"]

_CURSOR = re.compile(r"^(declare) \?|^((?:fetch|move|close)\b.*) \?$")

Row = Mapping[str, Any]


def recall(names: Iterable[Row], statements: Iterable[Row], describe: Describe) -> dict[int, Names]:
    """Return what ids mean on each server, from rows of the tables name and statement.

    Of one id the last row holds.
    """
    found: dict[int, Names] = {}
    for row in names:
        known = found.setdefault(row["server_id"], Names())
        if row["kind"] == "database":
            known.databases[row["oid"]] = row["name"]
        elif row["kind"] == "role":
            known.roles[row["oid"]] = row["name"]
        else:
            told = (row["owner"], row["schema"], row["name"], row["part"])
            known.relations[row["oid"]] = told
    for row in statements:
        known = found.setdefault(row["server_id"], Names())
        key = (row["userid"], row["dbid"], row["queryid"])
        known.learn(key, recalled(row, describe, known))
    return found


def recalled(row: Row, describe: Describe, names: Names) -> Statement:
    """Return a statement from what is kept of it: its normalized text and its cursor.

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
