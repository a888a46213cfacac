"""Send the query of a snapshot: all statements in one packed value, or row by row if it fails."""

from typing import Any

import psycopg
from psycopg import sql

from pgiostat.errors import PgiostatError
from pgiostat.postgres.sent_sql import SentSql
from pgiostat.postgres.session import ServerSession
from pgiostat.statistics.columnar import Rows
from pgiostat.statistics.counter_table import SelectedColumns

__all__ = ["SnapshotQuery", "unpack"]

_COUNT_BYTES = 8
PACKED_TRIES = 3
"""After this many failed packed answers in a row, a connection reads row by row."""


class SnapshotQuery:
    """Sends the query of a snapshot over one connection.

    Args:
        session: The connection.
        packed: Read all statements as one value until that fails repeatedly; if False, row by row.

    Attributes:
        is_packed: Whether statements are read as one value.
        is_prepared: Whether the server prepares the query.
    """

    def __init__(self, session: ServerSession, *, packed: bool) -> None:
        self._conn = session.conn
        self._failures = 0
        self.is_packed = packed
        self.is_prepared = not session.pooled

    def one(self, query: sql.Composed | sql.SQL) -> tuple[Any, ...]:
        """Return the only row of a query.

        Raises:
            PgiostatError: query-failed if there is none.
        """
        with self._conn.cursor(binary=True) as cursor:
            row = cursor.execute(query, prepare=self.is_prepared).fetchone()
        if row is None:
            raise PgiostatError("the server sent no row", slug="query-failed")
        return tuple(row)

    def read(self, sent: SentSql) -> tuple[Rows, tuple[Any, ...]]:
        """Return the rows of all statements, and the row of markers and views.

        Args:
            sent: The queries for the columns that the server has.
        """
        if self.is_packed:
            try:
                row = self.one(sent.snapshot)
                statements = unpack(sent.statements, row[2])
            except (ValueError, psycopg.errors.UndefinedFunction, psycopg.errors.SyntaxError):
                if not self._can_read_rows(sent):
                    raise
                self._failures += 1
                self.is_packed = self._failures < PACKED_TRIES
            else:
                self._failures = 0
                return statements, row
        began = self.one(sent.snapshot_without_statements)
        records = self._conn.execute(sent.statement_rows).fetchall()
        rest = self.one(sent.snapshot_without_statements)
        # The first row has the markers from before the statements were read.
        return Rows.from_records(sent.statements, records), (*began[:2], None, *rest[3:])

    def _can_read_rows(self, sent: SentSql) -> bool:
        """Return whether statements can be read row by row; if not, packing is not the cause."""
        try:
            self._conn.execute(sent.statement_rows).fetchone()
        except psycopg.errors.UndefinedFunction:
            return False
        return True


def unpack(selected: SelectedColumns, packed: bytes) -> Rows:
    """Return the rows of a packed value.

    Raises:
        ValueError: Rows are missing.
    """
    rows = Rows.unpack(selected, memoryview(packed)[_COUNT_BYTES:])
    counted = int.from_bytes(packed[:_COUNT_BYTES], "big")
    if len(rows) != counted:
        msg = f"{len(rows)} rows of {selected.table.name} arrived, the server counted {counted}"
        raise ValueError(msg)
    return rows
