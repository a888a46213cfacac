"""Where faults hit the sync system.

No foreign key and no sort of its statements: these faults have no target here.
"""

from pgiostat.lab.faults.fault import FaultTarget, FaultTargets
from pgiostat.lab.faults.library import incidents_of
from pgiostat.lab.workload.schema import DEMO, TABLES, WRITER

__all__ = ["INCIDENTS", "NEW_TABLE", "NEW_TABLE_ROWS", "TARGETS"]

NEW_TABLE = "note"
NEW_TABLE_ROWS = 1_000
_KEY = "client_id, id"
_WRONG_KEY = "id, client_id"


def _clustered(*tables: str) -> tuple[str, ...]:
    return tuple(
        statement
        for table in tables
        for statement in (
            f"CLUSTER {table} USING {table}_pkey",
            f"VACUUM (FREEZE, ANALYZE) {table}",
        )
    )


def _partitioned(count: int) -> tuple[str, ...]:
    """Return statements that partition `visit` by client."""
    return (
        "ALTER TABLE visit RENAME TO visit_whole",
        (
            "CREATE TABLE visit (LIKE visit_whole, PRIMARY KEY (client_id, id))"
            " PARTITION BY HASH (client_id)"
        ),
        *(
            f"CREATE TABLE visit_{n} PARTITION OF visit"
            f" FOR VALUES WITH (MODULUS {count}, REMAINDER {n})"
            for n in range(count)
        ),
        "INSERT INTO visit SELECT * FROM visit_whole",
        "DROP TABLE visit_whole",
        f"GRANT SELECT, INSERT, UPDATE ON visit TO {WRITER}",
        "VACUUM (FREEZE, ANALYZE) visit",
    )


_COVERING = (
    "CREATE UNIQUE INDEX visit_covering ON visit (client_id, id) INCLUDE (row_version)",
    "VACUUM (ANALYZE) visit",
)


def _of_key(table: str, text: str = "") -> FaultTarget:
    """Return the primary key of a table as a target."""
    return FaultTarget(
        f"from {table} where",
        table,
        f"{table}_pkey",
        _KEY,
        _WRONG_KEY,
        is_key=True,
        text=text,
    )


_TABLE_ADDED = FaultTarget(
    f"from {NEW_TABLE} where",
    NEW_TABLE,
    sql=(
        f"DROP TABLE IF EXISTS {NEW_TABLE}",
        (
            f"CREATE TABLE {NEW_TABLE} (client_id int NOT NULL, id int NOT NULL,"
            " row_version bigint NOT NULL, payload text NOT NULL)"
        ),
        (
            f"INSERT INTO {NEW_TABLE} SELECT i % {DEMO.clients}, i / {DEMO.clients}, i,"  # noqa: S608 - ours
            f" repeat(md5(i::text), {DEMO.payload // 32 + 1})"
            f" FROM generate_series(0, {DEMO.clients * NEW_TABLE_ROWS - 1}) AS i"
        ),
        f"ALTER TABLE {NEW_TABLE} ADD PRIMARY KEY (client_id, id)",
        f"GRANT SELECT, INSERT, UPDATE ON {NEW_TABLE} TO {WRITER}",
        f"ANALYZE {NEW_TABLE}",
    ),
    back=(f"DROP TABLE IF EXISTS {NEW_TABLE}",),
    traffic="new table",
    text="the clients synchronize one table more, note",
)
_VERSIONS = "select max(row_version) from"
_ALL = "where client_id ="

TARGETS: FaultTargets = {
    "index dropped": (
        _of_key(
            "invoice",
            "the primary key of table invoice is gone: queries read the whole table, and uploads"
            " fail",
        ),
        _of_key("visit"),
    ),
    "wrong column order": (_of_key("product"), _of_key("visit")),
    "rows scattered": tuple(
        FaultTarget(
            "from visit where",
            "visit",
            "visit_pkey",
            _KEY,
            amount=amount,
            prepare=_clustered("visit"),
        )
        for amount in (0.3, 1.0)
    ),
    "dead rows": tuple(
        FaultTarget("from visit where", "visit", columns="row_version", amount=amount)
        for amount in (1, 3)
    ),
    "visibility map cleared": tuple(
        FaultTarget(
            "from visit where",
            "visit",
            columns="payload",
            amount=amount,
            prepare=_COVERING,
        )
        for amount in (0.3, 1.0)
    ),
    "values toasted": tuple(
        FaultTarget(
            "select id, row_version, payload from visit where",
            "visit",
            columns="payload",
            where="client_id < 5",
            key=_KEY,
            amount=amount,
            traffic="fetches of five clients",
            healthy="fetches of five clients",
        )
        for amount in (4, 12)
    ),
    "stale statistics": tuple(
        FaultTarget(f"from {table} where", table, columns="client_id", amount=amount)
        for table, amount in (("price", 2), ("visit", 1))
    ),
    "planner setting": tuple(FaultTarget(_ALL, amount=amount) for amount in (40, 400)),
    "partitions not pruned": tuple(
        FaultTarget("from visit where", "visit", prepare=_partitioned(count)) for count in (4, 12)
    ),
    "report started": tuple(
        FaultTarget(
            "sum(length(payload)) from visit",
            "visit",
            traffic=traffic,
            text=f"a report adds up all rows of table visit, {often} a second",
        )
        for traffic, often in (("report", "twice"), ("reports", "four times"))
    ),
    "working set outgrown": tuple(
        FaultTarget(_ALL, healthy="three clients", traffic=traffic, prepare=_clustered(*TABLES))
        for traffic in ("twelve clients", "")
    ),
    "cold restart": (
        FaultTarget(
            _ALL,
            healthy="three clients",
            traffic="three clients",
            prepare=_clustered(*TABLES),
        ),
    ),
    "calls tripled": tuple(
        FaultTarget(_VERSIONS, traffic=traffic)
        for traffic in ("versions doubled", "versions tripled")
    ),
    "more rows": tuple(
        FaultTarget("select id, row_version from", healthy=healthy, traffic=traffic)
        for healthy, traffic in (("short manifests", ""), ("short manifests", "long manifests"))
    ),
    "table added": (_TABLE_ADDED,),
    "skip bug": (
        FaultTarget(
            _VERSIONS,
            traffic="versions tripled",
            text="the clients check the version of tables that they should skip",
        ),
    ),
    "autovacuum freeze": tuple(
        FaultTarget(_ALL, "visit, invoice, price", columns="row_version", amount=amount)
        for amount in (20, 60)
    ),
}
INCIDENTS = incidents_of(TARGETS, ("index dropped", "table added", "report started", "skip bug"))
"""Those of the demo."""
