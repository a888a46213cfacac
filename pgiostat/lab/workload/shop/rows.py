"""The rows of the shop, always the same ones."""

from dataclasses import dataclass

import psycopg
from psycopg import sql
from sqlalchemy import Engine, create_engine
from sqlalchemy.schema import Table

from pgiostat.lab.workload.schema import Progress
from pgiostat.lab.workload.shop.model import SHOP, Base, Review

__all__ = ["SHOP_SIZE", "ShopSize", "is_loaded", "load", "shop_engine"]

ITEMS = 3
"""Products in an order and in a basket."""
BATCH_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class ShopSize:
    """The number of rows."""

    products: int = 40_000
    customers: int = 40_000
    baskets: int = 8_000
    orders: int = 200_000
    categories: int = 40

    @property
    def total(self) -> int:
        """Rows in all tables."""
        items = ITEMS * (self.baskets + self.orders)
        return sum((self.products, self.customers, self.baskets, self.orders, items)) + (
            self.categories
        )


SHOP_SIZE = ShopSize()
"""About 160 MB with indexes."""


def shop_engine(dsn: str) -> Engine:
    """Return SQLAlchemy's engine for a connection string of libpq."""
    return create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(dsn, application_name=SHOP)
    )


def is_loaded(dsn: str, size: ShopSize = SHOP_SIZE) -> bool:
    """Return whether all rows of this size are loaded."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(
            "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = %s",
            [SHOP],
        ).fetchone()
    return row is not None and row[0] == repr(size)


def load(dsn: str, size: ShopSize = SHOP_SIZE, *, progress: Progress | None = None) -> None:
    """Replace the shop's schema with all tables and rows; the mark that all are there comes last.

    Args:
        dsn: A superuser's connection string; the role of the shop owns the tables.
        size: The number of rows.
        progress: Called with each number of further rows.
    """
    progress = progress or (lambda _rows: None)
    # Rows are consistent as they are made: no foreign key is checked.
    settings = f"-c session_replication_role=replica -c role={SHOP}"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {SHOP} CASCADE".encode())
        connection.execute(f"CREATE SCHEMA {SHOP} AUTHORIZATION {SHOP}".encode())
    dsn_of_owner = psycopg.conninfo.make_conninfo(dsn, options=f"{settings} -c search_path={SHOP}")
    engine = shop_engine(dsn_of_owner)
    tables = [each for each in Base.metadata.sorted_tables if each is not Review.__table__]
    try:
        Base.metadata.create_all(engine, tables)
        _fill(dsn_of_owner, engine, tables, size, progress)
    finally:
        engine.dispose()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            sql.SQL("COMMENT ON SCHEMA {} IS {}").format(
                sql.Identifier(SHOP), sql.Literal(repr(size))
            )
        )
        connection.execute("CHECKPOINT")


def _fill(
    dsn: str, engine: Engine, tables: list[Table], size: ShopSize, progress: Progress
) -> None:
    """Fill the tables; indexes are made again afterwards, which is quicker."""
    indexes = [index for table in tables for index in table.indexes]
    for index in indexes:
        index.drop(engine)
    with psycopg.connect(dsn, autocommit=True) as connection:
        for name, count, values in _rows(size):
            for first in range(1, count + 1, BATCH_ROWS):
                last = min(first + BATCH_ROWS - 1, count)
                statement = (
                    f"INSERT INTO {name} SELECT {values}"  # noqa: S608 - ours
                    f" FROM generate_series({first}, {last}) i"
                )
                connection.execute(statement.encode())
                progress(last - first + 1)
            # The shop's next row follows these.
            connection.execute(
                f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), {count})".encode()
            )
    for index in indexes:
        index.create(engine)
    with psycopg.connect(dsn, autocommit=True) as connection:
        for table in tables:
            connection.execute(f"VACUUM (FREEZE, ANALYZE) {table.name}".encode())


def _rows(size: ShopSize) -> list[tuple[str, int, str]]:
    """Return each table, its number of rows, and the values of row i in the order of its columns.

    Rows of one customer or order are scattered over the table, as years of business scatter them.
    """
    day = "timestamp '2026-11-01'"
    return [
        ("categories", size.categories, "i, 'category ' || i"),
        (
            "products",
            size.products,
            (
                f"i, 1 + i % {size.categories}, 'product ' || i, repeat(md5(i::text), 20),"
                f" i % 900 + 0.99, 1000000, (i::bigint * 7919) % {size.products}"
            ),
        ),
        ("customers", size.customers, "i, 'customer ' || i, 'c' || i || '@example.org'"),
        ("baskets", size.baskets, f"i, 1 + i % {size.customers}, {day}"),
        (
            "basket_items",
            size.baskets * ITEMS,
            f"i, 1 + i % {size.baskets}, 1 + (i::bigint * 6151) % {size.products}, 1 + i % 3",
        ),
        (
            "orders",
            size.orders,
            (
                f"i, 1 + (i::bigint * 7919) % {size.customers}, 'shipped',"
                f" {day} - ({size.orders} - i) * interval '2 min', i % 500 + 0.99, md5(i::text)"
            ),
        ),
        (
            "order_items",
            size.orders * ITEMS,
            (
                f"i, 1 + i % {size.orders}, 1 + (i::bigint * 6151) % {size.products},"
                " 1 + i % 3, i % 900 + 0.99, repeat(md5(i::text), 2)"
            ),
        ),
    ]
