"""The tables of a database, as its catalog has them: any role may read it."""

from collections import defaultdict

from pgiostat.postgres.query_errors import explain
from pgiostat.postgres.sent_sql import text_of
from pgiostat.postgres.session import ServerSession
from pgiostat.queries.rules.suggest import CatalogTable, ForeignKey

__all__ = ["catalog"]


def catalog(session: ServerSession) -> list[CatalogTable]:
    """Return the tables and views of the connected database, except the server's and extensions'.

    Raises:
        PgiostatError: query-failed, connection-lost, reading-timed-out.
    """
    foreign_keys: dict[tuple[str, str], list[ForeignKey]] = defaultdict(list)
    partitions: dict[tuple[str, str], list[str]] = defaultdict(list)
    with explain(session.conn):
        tables = session.conn.execute(text_of("catalog")).fetchall()
        for schema, name, columns, *foreign in session.conn.execute(text_of("foreign_keys")):
            foreign_keys[schema, name].append(ForeignKey(tuple(columns), *foreign))
        for schema, name, partition in session.conn.execute(text_of("partitions")):
            partitions[schema, name].append(partition)
    return [
        CatalogTable(
            schema,
            name,
            reltuples,
            tuple(keys),
            tuple(candidates),
            tuple(columns),
            published,
            tuple(foreign_keys[schema, name]),
            tuple(partitions[schema, name]),
            is_view,
        )
        for schema, name, reltuples, keys, candidates, columns, published, is_view in tables
    ]
