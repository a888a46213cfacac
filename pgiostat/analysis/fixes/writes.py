"""What an index costs writes."""

from collections.abc import Collection

from pgiostat.analysis.why.evidence import TableEvidence
from pgiostat.units import per_second

__all__ = ["LOCKS", "index_costs", "sql_name"]

LEAST_SHOWN = 0.1
LOCKS = "it locks {} against reads and writes while it runs, and needs as much space again"


def sql_name(table: TableEvidence) -> str:
    """Return the name of a table as SQL has it."""
    return table.sql_name or table.name


def index_costs(table: TableEvidence, columns: Collection[str] = ()) -> tuple[str, ...]:
    """Return what one more index on a table costs its writes.

    Args:
        table: The table.
        columns: The columns of the index.
    """
    after = table.after
    counts = ("n_tup_ins", "n_tup_upd", "n_tup_hot_upd")
    inserted, updated, hot = (per_second(after.count(each), after.seconds) for each in counts)
    if inserted is None or updated is None or hot is None:
        return ()
    changed = sorted((table.updated or frozenset()) & {*columns})
    entries = inserted + updated - (0 if changed else hot)
    rate = "less than 0.1" if 0 < entries < LEAST_SHOWN else f"{entries:,.1f}"
    found = [f"writes to {table.name} make {rate} entries of it per second"] if entries else []
    if table.partition_of:
        found.append(f"other and later partitions of {table.partition_of} do not have it")
    if hot and changed:
        found.append(
            f"updates set {', '.join(changed)}: {hot:,.1f} of them per second are HOT now and would"
            f" make entries in all {len(table.indexes_after) + 1} indexes"
        )
    elif hot and table.updated is None:
        found.append("updates that set a column of it are no longer HOT")
    return tuple(found)
