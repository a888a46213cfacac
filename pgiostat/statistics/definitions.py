"""The parts of a database that decide what statements read, and how they change.

Definitions of columns, indexes, foreign keys, planner settings and the server's start: they are
kept when they change, each with the time at which the change was found.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

__all__ = ["OF_TABLES", "PLANNER_SETTINGS", "Definition", "DefinitionKey", "Kind", "changes"]


class Kind(StrEnum):
    """What is defined.

    Attributes:
        COLUMNS: The columns of a table with their types; oid and owner are the table.
        INDEX: An index; owner is its table.
        FOREIGN_KEY: A foreign key; owner is the referencing table.
        PARTITION: A partition, on any level; owner is the table itself or one of its partitions,
            with which it was read.
        SETTING: A setting that decides plans or reads; oid is the database and owner the role for
            which it was set, 0 for all.
        SERVER: A fact of the server: start_time.
    """

    COLUMNS = "columns"
    INDEX = "index"
    FOREIGN_KEY = "foreign key"
    PARTITION = "partition"
    SETTING = "setting"
    SERVER = "server"


OF_TABLES = (Kind.COLUMNS, Kind.INDEX, Kind.FOREIGN_KEY, Kind.PARTITION)
"""What belongs to a table."""

DefinitionKey = tuple[int, str, int, int, str]
"""(dbid, kind, oid, owner, name); name is empty for what an oid identifies."""


@dataclass(frozen=True, slots=True)
class Definition:
    """One definition.

    Attributes:
        dbid: The database; 0 for what belongs to the whole server.
        kind: What is defined.
        oid: Of the index, the constraint or the partition; of a setting the database.
        owner: Oid of the table; of a setting the role.
        name: Its name; of a partition with its schema.
        text: The definition as the server writes it; of a partition schema and name of the
            partitioned table at the top. None if it was dropped.
        detail: Of an index "primary key", "unique" or "invalid"; of a foreign key the oid of the
            referenced table; of a partition the oid of the partitioned table; of columns the
            storage options of the table.
    """

    dbid: int
    kind: str
    oid: int
    owner: int
    name: str
    text: str | None
    detail: str = ""

    @property
    def key(self) -> DefinitionKey:
        """What stays the same when it changes; a new owner or name of a setting is another one."""
        has_oid = self.kind in OF_TABLES
        return (self.dbid, self.kind, self.oid, self.owner, "" if has_oid else self.name)


PLANNER_SETTINGS = (
    "autovacuum",
    "autovacuum_analyze_scale_factor",
    "autovacuum_analyze_threshold",
    "autovacuum_freeze_max_age",
    "autovacuum_max_workers",
    "autovacuum_naptime",
    "autovacuum_vacuum_cost_delay",
    "autovacuum_vacuum_cost_limit",
    "autovacuum_vacuum_insert_scale_factor",
    "autovacuum_vacuum_scale_factor",
    "autovacuum_vacuum_threshold",
    "autovacuum_work_mem",
    "constraint_exclusion",
    "cpu_index_tuple_cost",
    "cpu_operator_cost",
    "cpu_tuple_cost",
    "cursor_tuple_fraction",
    "default_statistics_target",
    "effective_cache_size",
    "effective_io_concurrency",
    "enable_bitmapscan",
    "enable_gathermerge",
    "enable_hashagg",
    "enable_hashjoin",
    "enable_incremental_sort",
    "enable_indexonlyscan",
    "enable_indexscan",
    "enable_material",
    "enable_memoize",
    "enable_mergejoin",
    "enable_nestloop",
    "enable_parallel_append",
    "enable_parallel_hash",
    "enable_partition_pruning",
    "enable_partitionwise_aggregate",
    "enable_partitionwise_join",
    "enable_seqscan",
    "enable_sort",
    "from_collapse_limit",
    "geqo",
    "geqo_threshold",
    "hash_mem_multiplier",
    "huge_pages",
    "io_combine_limit",
    "io_max_concurrency",
    "io_max_workers",
    "io_method",
    "io_min_workers",
    "io_workers",
    "jit",
    "join_collapse_limit",
    "maintenance_work_mem",
    "max_connections",
    "max_parallel_workers",
    "max_parallel_workers_per_gather",
    "min_parallel_index_scan_size",
    "min_parallel_table_scan_size",
    "pg_stat_statements.max",
    "pg_stat_statements.track",
    "plan_cache_mode",
    "random_page_cost",
    "seq_page_cost",
    "shared_buffers",
    "temp_buffers",
    "track_io_timing",
    "vacuum_buffer_usage_limit",
    "vacuum_freeze_min_age",
    "vacuum_freeze_table_age",
    "work_mem",
)
"""Settings that decide plans, caches and vacuum. Other ones are not read: some hold secrets."""


def changes(
    known: Mapping[DefinitionKey, Definition],
    found: Iterable[Definition],
    covered: Collection[tuple[int, str, int]],
) -> tuple[Definition, ...]:
    """Return the definitions that are new, changed or dropped.

    Args:
        known: The definitions before.
        found: The definitions that were read.
        covered: (dbid, kind, owner) of which all definitions were read: a known one that was not
            found there was dropped. Owner is 0 for settings of all roles and databases.

    Returns:
        Changed definitions, in the order in which they were read; then dropped ones, without text.

    >>> old = Definition(5, "index", 10, 7, "a_idx", "CREATE INDEX a_idx ON a (x)")
    >>> [each.text for each in changes({old.key: old}, [], {(5, "index", 7)})]
    [None]
    """
    there = {each.key: each for each in found}
    changed = [each for key, each in there.items() if known.get(key) != each]
    dropped = [
        replace(each, text=None)
        for key, each in known.items()
        if key not in there
        and each.text is not None
        and (each.dbid, each.kind, 0 if each.kind == Kind.SETTING else each.owner) in covered
    ]
    return (*changed, *dropped)
