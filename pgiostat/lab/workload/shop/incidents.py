"""Incidents of the shop."""

from pgiostat.lab.workload.incidents import WorkloadIncident
from pgiostat.lab.workload.shop.model import SHOP
from pgiostat.lab.workload.shop.rows import SHOP_SIZE

__all__ = ["INCIDENTS", "INDEX_DROPPED", "REPORT_STARTED", "SKIP_BUG", "TABLE_ADDED"]

_INDEX = "ix_order_items_order_id"
_REVIEWS = 150_000

INDEX_DROPPED = WorkloadIncident(
    "index dropped",
    "the index on order_items(order_id) is gone: pages with orders read the whole table",
    cause=(f"DROP INDEX IF EXISTS {SHOP}.{_INDEX}",),
    back=(f"CREATE INDEX IF NOT EXISTS {_INDEX} ON {SHOP}.order_items (order_id)",),
)
TABLE_ADDED = WorkloadIncident(
    "table added",
    "product pages show reviews: a new table, without an index on its product_id",
    cause=(
        f"DROP TABLE IF EXISTS {SHOP}.reviews",
        (
            f"CREATE TABLE {SHOP}.reviews (id int PRIMARY KEY, product_id int NOT NULL,"
            " stars int NOT NULL, text text NOT NULL)"
        ),
        (
            f"INSERT INTO {SHOP}.reviews SELECT i, 1 + i % {SHOP_SIZE.products}, 1 + i % 5,"  # noqa: S608 - ours
            f" repeat(md5(i::text), 4) FROM generate_series(1, {_REVIEWS}) AS i"
        ),
        f"GRANT SELECT ON {SHOP}.reviews TO {SHOP}",
        f"ANALYZE {SHOP}.reviews",
    ),
    back=(f"DROP TABLE IF EXISTS {SHOP}.reviews",),
)
REPORT_STARTED = WorkloadIncident(
    "report started", "a report of the best customers adds up all orders, every second"
)
SKIP_BUG = WorkloadIncident(
    "skip bug", "the cache of the front page is skipped: each visit counts all products again"
)
INCIDENTS = (INDEX_DROPPED, TABLE_ADDED, REPORT_STARTED, SKIP_BUG)
