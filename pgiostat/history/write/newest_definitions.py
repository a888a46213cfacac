"""The newest definitions of a server in a history: a collector continues from them."""

import contextlib
from dataclasses import fields
from typing import Any

from pgiostat.history.format.encode import server_id
from pgiostat.history.format.file_index import Listing
from pgiostat.history.format.filesystem import UnreadableError
from pgiostat.history.format.layout import Layout
from pgiostat.history.format.schema import SCHEMAS
from pgiostat.history.format.validation import Validator
from pgiostat.statistics.definitions import Definition, DefinitionKey
from pgiostat.statistics.snapshot import Server

__all__ = ["newest_definitions"]


def newest_definitions(layout: Layout, server: Server) -> dict[DefinitionKey, Definition]:
    """Return the newest definitions of tables and settings, dropped ones too.

    A file that cannot be read costs its definitions: they are written a second time.

    Args:
        layout: The history.
        server: The server that is collected.
    """
    columns = [each.name for each in fields(Definition)]
    ours = server_id(server)
    rows: list[tuple[Any, Definition]] = []
    for path in Listing(layout).dimension_files("definition"):
        with contextlib.suppress(UnreadableError):
            ids, since, *values = Validator().columns(
                path, SCHEMAS["definition"], ("server_id", "since", *columns)
            )
            rows += [
                (when, Definition(*row))
                for owner, when, *row in zip(ids, since, *values, strict=True)
                if owner == ours
            ]
    rows.sort(key=lambda row: row[0])
    return {each.key: each for _, each in rows}
