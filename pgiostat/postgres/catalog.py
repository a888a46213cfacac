"""The tables of a database, as its catalog has them."""

from pgiostat.postgres.query_errors import explain
from pgiostat.postgres.sent_sql import text_of
from pgiostat.postgres.session import ServerSession
from pgiostat.queries.rules.suggest import CatalogTable

__all__ = ["catalog"]


def catalog(session: ServerSession) -> list[CatalogTable]:
    """Return the tables of the connected database, but for the server's and extensions' own.

    Raises PgiostatError query-failed, connection-lost, reading-timed-out.
    """
    with explain(session.conn):
        rows = session.conn.execute(text_of("catalog")).fetchall()
    return [
        CatalogTable(schema, name, reltuples, tuple(keys), tuple(maybe), tuple(every), published)
        for schema, name, reltuples, keys, maybe, every, published in rows
    ]
