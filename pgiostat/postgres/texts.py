"""Texts of statements, for all encodings of the databases in which they ran.

The server converts every text to the encoding of the database that we are connected to, all in one
call, and refuses them all if it cannot convert one. Then they are read through another database of
the server: SQL_ASCII takes every byte. Where there is none, and where a text is damaged, they are
read role by role, if we may work under other roles: the server converts what a role may see.
What still has no text gets that of a session that runs it, or ran it last.

None of this costs anything while all texts can be converted.
"""

import codecs
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format

from pgiostat.errors import PgiostatError
from pgiostat.postgres.connection import database_beside
from pgiostat.postgres.driver import NO_ENCODING, dbname_of
from pgiostat.postgres.extension import find_extension
from pgiostat.postgres.query_errors import explain
from pgiostat.postgres.sent_sql import quoted_schema, text_of
from pgiostat.postgres.session import ServerSession, who
from pgiostat.postgres.session_settings import STATEMENT_TIMEOUT
from pgiostat.queries.fingerprint import normalize, split
from pgiostat.statistics.names import StatementKey

__all__ = ["TEXT_CHARACTERS", "UNCONVERTIBLE", "TextBatch", "TextReader"]

TEXT_TIMEOUT = "5s"
TEXT_BYTES = 16 * 1024 * 1024
TEXT_CHARACTERS = 100_000
OTHERS_EVERY_SECONDS = 60.0
MAX_DATABASES = 20
MAX_ROLES = 50
"""How many databases and roles are tried when texts cannot be read."""

UNCONVERTIBLE = (
    psycopg.errors.UntranslatableCharacter,  # 22P05
    psycopg.errors.CharacterNotInRepertoire,  # 22021
    psycopg.errors.UndefinedFunction,  # 42883: there is no conversion, as from LATIN1 to EUC_JP
)
"""What the server answers if it cannot convert a text to the encoding of our database."""

LOST = "the server lost its text: the query text file is damaged, or was"

_Row = tuple[int, int, int, bytes | None]


class _Bytes(Loader):
    """Leaves a text as it came."""

    format = Format.BINARY

    def load(self, data: Buffer) -> bytes:
        return bytes(data)


@dataclass(frozen=True, slots=True)
class TextBatch:
    """Texts of statements, as many as one batch carries.

    Attributes:
        texts: By statement; bytes that are no character of their encoding are U+FFFD.
        unreadable: Why a text could not be read.
        error: What is to be known of that; None if every text could be read.
    """

    texts: Mapping[StatementKey, str] = field(default_factory=dict)
    unreadable: Mapping[StatementKey, str] = field(default_factory=dict)
    error: PgiostatError | None = None


@dataclass(slots=True)
class TextReader:
    """Reads texts over a session, and by other ways if it cannot convert them."""

    session: ServerSession
    clock: Callable[[], float] = time.monotonic
    _last: str = ""
    _others_due: float = 0.0

    def read(self, keys: Collection[StatementKey]) -> TextBatch:
        """Return the texts of statements, without those of vanished entries.

        Raises:
            PgiostatError: The server did not answer, or texts-unreadable if no text can be read.
        """
        wanted = set(keys)
        if not wanted:
            return TextBatch()
        conn = self.session.conn
        with explain(conn):
            try:
                return self._batch(conn, self._here(wanted), wanted)
            except UNCONVERTIBLE as error:
                refused = _unreadable(error)
        found = self._through_another(wanted)
        if found is not None:
            return found
        read = self._by_role(wanted)
        texts = dict(read.texts)
        texts |= self._running(wanted - texts.keys())
        if not texts:
            raise refused
        why = refused.detail or refused.message
        unreadable = {key: read.unreadable.get(key, why) for key in wanted - texts.keys()}
        return TextBatch(texts, unreadable, refused if unreadable else None)

    def _running(self, wanted: set[StatementKey]) -> dict[StatementKey, str]:
        """Return texts of statements that sessions run now, or ran last.

        They have their constants, and the same fingerprints. A text of several statements is none
        of one entry, and EXECUTE is shown for the statement that it runs.
        """
        if self.session.server.version_num < _QUERY_ID_SINCE:
            return {}
        conn = self.session.conn
        parameters = {"queryids": sorted({queryid for _, _, queryid in wanted})}
        with explain(conn):
            try:
                rows = _fetch(conn, text_of("activity_texts"), parameters)
            except UNCONVERTIBLE:
                return {}
            # They are bytes of the sessions' databases, which the server takes for its own.
            is_raw = conn.info.parameter_status("server_encoding") in {NO_ENCODING, "UTF8"}
            encodings = _encodings(conn) if rows and is_raw else {}
        found: dict[StatementKey, str] = {}
        for userid, dbid, queryid, text in rows:
            key, shown = (userid, dbid, queryid), text or b""
            decoded = shown.decode(encodings.get(dbid, "utf-8"), "replace")
            if key in wanted and _is_of_one(decoded):
                found[key] = decoded
        return found

    def _here(self, wanted: set[StatementKey]) -> list[_Row]:
        """Return rows of texts from the database that we are connected to."""
        self._limit(TEXT_TIMEOUT)
        try:
            return _rows(self.session.conn, self.session.extension.schema, wanted)
        finally:
            if not self.session.conn.closed:
                self._limit(STATEMENT_TIMEOUT)

    def _limit(self, timeout: str) -> None:
        """Set our statement_timeout, unless the connection is not ours alone."""
        if not self.session.pooled:
            self.session.conn.execute(text_of("timeout"), {"statement_timeout": timeout})

    def _batch(
        self, conn: psycopg.Connection[Any], rows: Collection[_Row], wanted: set[StatementKey]
    ) -> TextBatch:
        """Return rows as a batch, each text decoded as the database has it in which it ran."""
        texts: dict[StatementKey, str] = {}
        lost: dict[StatementKey, str] = {}
        encodings = _encodings(conn) if _sends_bytes(conn) else {}
        for userid, dbid, queryid, text in rows:
            key = (userid, dbid, queryid)
            if key in wanted and text is None:
                lost[key] = LOST
            elif key in wanted and text is not None:
                texts[key] = text.decode(encodings.get(dbid, "utf-8"), "replace")
        return TextBatch(texts, lost)

    # around what cannot be converted

    def _through_another(self, wanted: set[StatementKey]) -> TextBatch | None:
        """Return the texts by way of another database; None if none can convert them all.

        That takes connections: where there is no such database, one is looked for now and then.
        """
        if self.clock() < self._others_due:
            return None
        for name in self._others():
            found = self._through(name, wanted)
            if found is not None:
                self._last = name
                return found
        self._others_due = self.clock() + OTHERS_EVERY_SECONDS
        return None

    def _through(self, name: str, wanted: set[StatementKey]) -> TextBatch | None:
        """Return the texts by way of a database; None if it cannot be used."""
        try:
            other = database_beside(self.session.conn, name, connect_timeout=2)
        except PgiostatError:
            return None  # no right to connect there
        try:
            if _owners(other) != _owners(self.session.conn):
                return None  # several hosts, or a balancer: it is another server
            return self._batch(other, _rows(other, find_extension(other).schema, wanted), wanted)
        except (psycopg.Error, PgiostatError):
            return None
        finally:
            other.close()

    def _others(self) -> list[str]:
        """Return names of other databases, those first that convert most."""
        conn = self.session.conn
        with explain(conn):
            rows = conn.execute(text_of("databases")).fetchall()
        here = dbname_of(conn)
        there = [
            (name != self._last, _PREFERRED.get(encoding, 2), name)
            for _, name, allowed, encoding in rows
            if allowed and name != here
        ]
        return [name for _, _, name in sorted(there)][:MAX_DATABASES]

    def _by_role(self, wanted: set[StatementKey]) -> TextBatch:
        """Return the texts that can be read role by role.

        A superuser may take any role, others those that they are members of.
        """
        if self.session.pooled:
            return TextBatch()
        roles = sorted({userid for userid, _, _ in wanted})[:MAX_ROLES]
        read = [found for userid in roles if (found := self._under(userid, wanted)) is not None]
        texts = {key: text for found in read for key, text in found.texts.items()}
        lost = {key: why for found in read for key, why in found.unreadable.items()}
        return TextBatch(texts, lost)

    def _under(self, userid: int, wanted: set[StatementKey]) -> TextBatch | None:
        """Return the texts of one role, read under it; None if that fails too."""
        conn = self.session.conn
        ours = {key for key in wanted if key[0] == userid}
        try:
            with conn.transaction():  # the role ends with it
                if conn.execute(text_of("as_role"), {"userid": userid}).fetchone() is None:
                    return None
                rows = _rows(conn, self.session.extension.schema, ours)
        except psycopg.OperationalError:
            with explain(conn):
                raise
        except psycopg.Error:
            return None
        return self._batch(conn, rows, ours)


_QUERY_ID_SINCE = 140000
_OF_OTHERS = frozenset({"execute", "fetch", "move"})
"""Statements that run others: the number beside them may be that of the other."""
_PREFERRED = {NO_ENCODING: 0, "UTF8": 1}
"""Encodings of databases: SQL_ASCII takes all bytes, UTF8 has all characters."""


def _rows(
    conn: psycopg.Connection[Any], schema: str, wanted: Collection[StatementKey]
) -> list[_Row]:
    """Return what the server has of texts; each is its bytes, None if they are lost."""
    query = sql.SQL(text_of("texts")).format(schema=quoted_schema(schema, has_parameters=True))
    parameters = {
        "queryids": sorted({queryid for _, _, queryid in wanted}),
        "characters": TEXT_CHARACTERS,
        "bytes": TEXT_BYTES,
    }
    return _fetch(conn, query, parameters)


def _fetch(
    conn: psycopg.Connection[Any], query: sql.Composed | LiteralString, parameters: dict[str, Any]
) -> list[_Row]:
    """Return rows with texts as bytes."""
    with conn.cursor() as cursor:
        cursor.adapters.register_loader("text", _Bytes)
        return cursor.execute(query, parameters).fetchall()


def _is_of_one(text: str) -> bool:
    """Return whether a text that a session runs is that of one entry."""
    return len(split(text)) == 1 and normalize(text).text.partition(" ")[0] not in _OF_OTHERS


def _sends_bytes(conn: psycopg.Connection[Any]) -> bool:
    """Return whether the server converts nothing that it sends."""
    return conn.info.parameter_status("client_encoding") == NO_ENCODING


def _encodings(conn: psycopg.Connection[Any]) -> dict[int, str]:
    """Return the codec of each database, by oid."""
    rows = conn.execute(text_of("databases")).fetchall()
    return {oid: _codec(encoding) for oid, _, _, encoding in rows}


def _codec(encoding: str) -> str:
    """Return Python's name of an encoding; what it does not know is read as UTF-8.

    >>> [_codec(name) for name in ("LATIN1", "WIN1252", "EUC_JP", "KOI8R", "SQL_ASCII")]
    ['iso8859-1', 'cp1252', 'euc_jp', 'koi8-r', 'utf-8']
    """
    name = _RENAMED.get(encoding, encoding.replace("WIN", "cp"))
    try:
        return codecs.lookup(name).name
    except LookupError:
        return "utf-8"


_RENAMED = {NO_ENCODING: "utf-8", "KOI8R": "koi8-r", "KOI8U": "koi8-u"}


def _owners(conn: psycopg.Connection[Any]) -> tuple[Any, ...]:
    """Return what identifies the server of a connection."""
    return (conn.info.port, *who(conn)[-2:])


def _unreadable(error: psycopg.Error) -> PgiostatError:
    return PgiostatError(
        "the texts of statements cannot be shown in this database's encoding",
        detail=f"{str(error).splitlines()[0]}.".replace("..", "."),
        hint="Run CREATE EXTENSION pg_stat_statements in a database with encoding SQL_ASCII: one"
        " through which every text can be read.",
        slug="texts-unreadable",
    )
