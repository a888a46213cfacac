"""A table as the catalog has it: what a suggestion of rules follows from."""

from dataclasses import dataclass

__all__ = ["CatalogTable", "ForeignKey"]


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key of a table.

    Attributes:
        columns: Its columns in the table that refers.
        schemaname: Schema of the table that is referred to.
        relname: Name of that table.
        cascades: Whether deleting a row deletes the rows that refer to it.
    """

    columns: tuple[str, ...]
    schemaname: str
    relname: str
    cascades: bool


@dataclass(frozen=True, slots=True)
class CatalogTable:
    """A table or a view of the catalog; a partitioned table with its partitions.

    Attributes:
        reltuples: Estimated rows; None if it was never analyzed.
        keys: Columns of the primary key.
        candidates: Columns of the types of versions.
        foreign_keys: Its foreign keys to other tables.
        partitions: Names of its partitions.
        is_view: Whether it is a view, which no version is kept in.
    """

    schemaname: str
    relname: str
    reltuples: int | None
    keys: tuple[str, ...]
    candidates: tuple[str, ...]
    columns: tuple[str, ...]
    published: bool
    foreign_keys: tuple[ForeignKey, ...] = ()
    partitions: tuple[str, ...] = ()
    is_view: bool = False
