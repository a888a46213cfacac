"""Histories with counters of tables and indexes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pgiostat.history.write.writer import Writer
from pgiostat.statistics import counters
from pgiostat.statistics.definitions import Definition
from pgiostat.statistics.delta import Delta
from pgiostat.statistics.difference import diff
from pgiostat.statistics.names import Names, Statement
from pgiostat.statistics.relation_changes import RelationChanges
from pgiostat.statistics.relation_stats import RelationRead, interval_between
from tests.support.readings import Unsynced, at, reading, rows

Records = Sequence[Mapping[str, Any]]
SECONDS = 10
"""Length of an interval of statements."""
TABLE, PKEY, CUSTOMER, TOAST, TOAST_INDEX = 20100, 20101, 20102, 20103, 20104
READ = {TABLE: 600, PKEY: 100, CUSTOMER: 200, TOAST: 60, TOAST_INDEX: 40}
"""Blocks read of each relation in an interval of statements."""
NAMES = Names(
    {
        (10, 5, 1): Statement(
            "select * from orders where id = ?", "1:1", "lookup", action="select orders"
        )
    },
    {5: "app"},
    {10: "api"},
    {
        TABLE: (TABLE, "public", "orders", "heap"),
        PKEY: (TABLE, "public", "orders", "idx"),
        CUSTOMER: (TABLE, "public", "orders", "idx"),
        TOAST: (TABLE, "public", "orders", "toast"),
        TOAST_INDEX: (TABLE, "public", "orders", "tidx"),
    },
    {
        PKEY: "orders_pkey",
        CUSTOMER: "orders_customer",
        TOAST: "pg_toast_20100",
        TOAST_INDEX: "pg_toast_20100_index",
    },
)
DEFINITIONS = (
    Definition(
        5,
        "index",
        PKEY,
        TABLE,
        "orders_pkey",
        "CREATE UNIQUE INDEX orders_pkey ON public.orders USING btree (id)",
        "primary key",
    ),
    Definition(
        5,
        "index",
        CUSTOMER,
        TABLE,
        "orders_customer",
        "CREATE INDEX orders_customer ON public.orders USING btree (customer_id)",
    ),
    Definition(
        5,
        "foreign key",
        20200,
        TABLE,
        "orders_customer_id_fkey",
        "FOREIGN KEY (customer_id) REFERENCES customers(id)",
        "20300",
    ),
    Definition(0, "setting", 0, 0, "work_mem", "4MB"),
)


@dataclass(frozen=True)
class Moved:
    """What tables and indexes counted until an instant, in seconds."""

    until: float
    tables: Records = ()
    indexes: Records = ()
    definitions: tuple[Definition, ...] = ()
    dbid: int = 5

    def read(self) -> RelationRead:
        """Return it as a server sends it."""
        return RelationRead(
            self.dbid,
            at(self.until),
            rows(counters.TABLE_STATS.select(), self.tables),
            rows(counters.INDEX_STATS.select(), self.indexes),
        )


def orders(n: int) -> Moved:
    """Return what the table orders, its indexes and its TOAST table have counted after n reads."""
    return Moved(
        until=3 * SECONDS * n,
        tables=[
            {
                "relid": TABLE, "relpages": 100 * n, "reltuples": 5000, "relallvisible": 50,
                "heap_blks_read": 1800 * n, "heap_blks_hit": 200 * n, "seq_scan": 3 * n,
                "seq_tup_read": 3000 * n, "bitmap_tup_fetch": 50 * n, "n_live_tup": 900,
                "n_dead_tup": 100, "n_tup_upd": 8 * n, "n_tup_hot_upd": 6 * n,
                "last_analyze": at(n),
            },
            {"relid": TOAST, "relpages": 7, "heap_blks_read": 180 * n, "idx_scan": 1},
        ],
        indexes=[
            {
                "indexrelid": PKEY, "relid": TABLE, "relpages": 10, "reltuples": 5000,
                "idx_blks_read": 300 * n, "idx_blks_hit": 900 * n, "idx_scan": 600 * n,
                "idx_tup_read": 600 * n, "idx_tup_fetch": 600 * n,
            },
            {
                "indexrelid": CUSTOMER, "relid": TABLE, "relpages": 20, "reltuples": 5000,
                "idx_blks_read": 600 * n, "idx_scan": 30 * n, "idx_tup_read": 1200 * n,
                "idx_tup_fetch": 150 * n,
            },
            {
                "indexrelid": TOAST_INDEX, "relid": TOAST, "relpages": 2, "reltuples": 40,
                "idx_blks_read": 120 * n, "idx_scan": 60 * n, "idx_tup_read": 60 * n,
                "idx_tup_fetch": 60 * n,
            },
        ],
    )  # fmt: skip


@dataclass
class Shop:
    """A server with one table, of which the history has intervals of ten seconds.

    Attributes:
        names: What its ids mean.
        definitions: What the first read of tables reports.
        moved: What tables have counted at each of their reads, every three intervals; the first is
            where they begin.
        count: Intervals of statements.
        read: Blocks read of each relation in an interval.
        dbid: Database of the statement; 5 is connected.
        more: Changes of the snapshots.
    """

    names: Names = field(default_factory=lambda: replace(NAMES))
    definitions: tuple[Definition, ...] = DEFINITIONS
    moved: Sequence[Moved] = field(default_factory=lambda: [orders(n) for n in range(3)])
    count: int = 6
    read: Mapping[int, int] = field(default_factory=lambda: READ)
    dbid: int = 5
    more: Mapping[str, Any] = field(default_factory=dict)

    def intervals(self) -> list[Delta]:
        """Return its intervals of statements; every third has one of tables."""
        snapshots = [
            reading(
                SECONDS * n,
                [
                    {
                        "queryid": 1,
                        "dbid": self.dbid,
                        "calls": 5 * n,
                        "shared_blks_read": 1000 * n,
                    }
                ],
                databases=[{"datid": 5, "blks_read": 1000 * n}],
                relations=[
                    {"relid": oid, "blks_read": each * n, "blks_hit": each * n}
                    for oid, each in self.read.items()
                ],
                **self.more,
            )
            for n in range(self.count + 1)
        ]
        found = [diff(*snapshots[n : n + 2]) for n in range(self.count)]
        for n, (older, newer) in enumerate(zip(self.moved, self.moved[1:], strict=False)):
            place = 3 * n + 2
            interval = interval_between(older.read(), newer.read())
            definitions = self.definitions if n == 0 else newer.definitions
            changes = RelationChanges((interval,), definitions)
            found[place] = replace(found[place], relation_changes=changes)
        return found

    def write(self, root: Path, label: str = "prod") -> Path:
        """Write it as a history."""
        writer = Writer.open(root, label, Unsynced(), now=lambda: at(1_000_000))
        for delta in self.intervals():
            writer.append(delta, self.names)
        writer.close()
        return root


def crm(**more: Any) -> Shop:
    """Return a server of which tables of another database count, with the same oids."""
    names = replace(
        NAMES,
        statements={(10, 6, 1): replace(NAMES.statements[10, 5, 1], action="select visits",
                                        text="select * from visits")},
        databases={5: "app", 6: "crm"},
        elsewhere={
            (6, TABLE): (TABLE, "sales", "visits", "heap", "visits"),
            (6, PKEY): (TABLE, "sales", "visits", "idx", "visits_pkey"),
            (6, CUSTOMER): (TABLE, "sales", "visits", "idx", "visits_place"),
            (6, TOAST): (TABLE, "sales", "visits", "toast", "pg_toast_20100"),
            (6, TOAST_INDEX): (TABLE, "sales", "visits", "tidx", "pg_toast_20100_index"),
        },
    )  # fmt: skip
    definition = replace(DEFINITIONS[0], dbid=6, name="visits_pkey")
    moved = [replace(orders(n), dbid=6) for n in range(3)]
    return Shop(names=names, definitions=(definition,), moved=moved, dbid=6, **more)
