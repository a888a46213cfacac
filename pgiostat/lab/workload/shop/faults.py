"""Where faults hit the shop.

No table has partitions, and no page returns more rows than before: these faults have no target
here.
"""

from pgiostat.analysis.why import Cause
from pgiostat.lab.faults.fault import FaultTarget, FaultTargets
from pgiostat.lab.faults.library import incidents_of
from pgiostat.lab.workload.shop.model import SHOP
from pgiostat.lab.workload.shop.rows import SHOP_SIZE

__all__ = ["INCIDENTS", "TARGETS"]

_REVIEWS = 150_000
_SHIPMENTS = (
    (
        f"CREATE TABLE {SHOP}.shipments (id int PRIMARY KEY, order_id int NOT NULL"
        f" REFERENCES {SHOP}.orders, note text NOT NULL)"
    ),
    (
        f"INSERT INTO {SHOP}.shipments SELECT id, id, repeat(md5(id::text), 6)"  # noqa: S608 - ours
        f" FROM {SHOP}.orders WHERE id <= (SELECT max(id) / 2 FROM {SHOP}.orders)"
    ),
    f"CREATE INDEX ix_shipments_order_id ON {SHOP}.shipments (order_id)",
    f"VACUUM (FREEZE, ANALYZE) {SHOP}.shipments",
)


def _clustered(table: str, index: str) -> tuple[str, ...]:
    return (
        f"CLUSTER {SHOP}.{table} USING {index}",
        f"VACUUM (FREEZE, ANALYZE) {SHOP}.{table}",
    )


_TABLE_ADDED = FaultTarget(
    "from reviews where",
    f"{SHOP}.reviews",
    sql=(
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
    traffic="reviews",
    text="product pages show reviews: a new table, without an index on its product_id",
)

TARGETS: FaultTargets = {
    "index dropped": (
        FaultTarget(
            "order_items.order_id in",
            f"{SHOP}.order_items",
            "ix_order_items_order_id",
            "order_id",
            text="the index on order_items(order_id) is gone: pages with orders read the whole"
            " table",
        ),
        FaultTarget(
            "orders.customer_id =",
            f"{SHOP}.orders",
            "ix_orders_customer_id",
            "customer_id",
        ),
    ),
    "wrong column order": (
        FaultTarget(
            "products.category_id =",
            f"{SHOP}.products",
            "ix_products_category_id",
            "category_id, popularity",
            "popularity, category_id",
        ),
    ),
    "foreign key without index": (
        FaultTarget(
            "delete from orders where",
            f"{SHOP}.shipments",
            "ix_shipments_order_id",
            "order_id",
            prepare=_SHIPMENTS,
            healthy="cancellations",
            traffic="cancellations",
        ),
    ),
    "rows scattered": tuple(
        FaultTarget(
            f"{table}.{column} in",
            f"{SHOP}.{table}",
            f"ix_{table}_{column}",
            column,
            prepare=_clustered(table, f"ix_{table}_{column}"),
        )
        for table, column in (("basket_items", "basket_id"), ("order_items", "order_id"))
    ),
    "dead rows": tuple(
        FaultTarget("products", f"{SHOP}.products", columns="stock", amount=amount)
        for amount in (1, 3)
    ),
    "visibility map cleared": tuple(
        FaultTarget(
            "select count(*) as count_1 from (select orders.id",
            f"{SHOP}.orders",
            columns="note",
            amount=amount,
        )
        for amount in (0.4, 1.0)
    ),
    "values toasted": tuple(
        FaultTarget(
            "products.category_id =",
            f"{SHOP}.products",
            columns="description",
            where=f"popularity >= (SELECT max(popularity) * 0.9 FROM {SHOP}.products)",  # noqa: S608 - ours
            key="id",
            amount=amount,
        )
        for amount in (4, 12)
    ),
    "stale statistics": (
        FaultTarget("orders.customer_id =", f"{SHOP}.orders", columns="customer_id", amount=4),
        FaultTarget("order_items.order_id in", f"{SHOP}.order_items", columns="order_id", amount=1),
    ),
    "planner setting": tuple(FaultTarget("from", amount=amount) for amount in (1_000, 10_000)),
    "spill": tuple(
        FaultTarget(
            "from customers join",
            f"{SHOP}.orders",
            amount=amount,
            healthy="report",
            traffic="report",
            # With little memory the planner reads the orders by an index, which needs none.
            causes=(Cause.SPILL, Cause.PLAN),
        )
        for amount in (1_024, 128)
    ),
    "report started": tuple(
        FaultTarget(
            "from customers join",
            f"{SHOP}.orders",
            traffic=traffic,
            text=f"a report of the best customers adds up all orders, {often}",
        )
        for traffic, often in (("report", "every second"), ("reports", "three times a second"))
    ),
    "working set outgrown": tuple(
        FaultTarget("from", healthy="few customers", traffic=traffic)
        for traffic in ("some customers", "")
    ),
    "cold restart": (FaultTarget("from", healthy="few customers", traffic="few customers"),),
    "calls tripled": tuple(
        FaultTarget("orders.customer_id =", f"{SHOP}.orders", traffic=traffic)
        for traffic in ("orders doubled", "orders tripled")
    ),
    "table added": (_TABLE_ADDED,),
    "skip bug": (
        FaultTarget(
            "from categories join products",
            f"{SHOP}.products",
            traffic="front pages",
            causes=(Cause.NEW_STATEMENT,),
            text="the cache of the front page is skipped: each visit counts all products again",
        ),
    ),
    "autovacuum freeze": tuple(
        FaultTarget(
            "from",
            f"{SHOP}.orders, {SHOP}.products, {SHOP}.order_items",
            columns="id",
            amount=amount,
        )
        for amount in (20, 60)
    ),
}
INCIDENTS = incidents_of(TARGETS, ("index dropped", "table added", "report started", "skip bug"))
"""Those of the demo."""
