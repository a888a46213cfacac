"""The tables behind views and partitions that statements name, in the connected database."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from pgiostat.errors import PgiostatError
from pgiostat.postgres.snapshot_reader import SnapshotReader
from pgiostat.statistics.names import Statement, StatementKey

__all__ = ["BaseTables", "bases_of"]

Row = tuple[str, str, str, str]
"""Schema and name of a relation, and of a table behind it."""


@dataclass(slots=True)
class BaseTables:
    """The tables behind names, which are requested when a name first appears.

    Attributes:
        by_name: By the name that a statement has, without public, if that is no table of its own.
    """

    by_name: dict[str, str] = field(default_factory=dict)
    _known: set[str] = field(default_factory=set)

    def apply(
        self, reader: SnapshotReader, dbid: int, described: Mapping[StatementKey, Statement]
    ) -> dict[StatementKey, Statement]:
        """Return statements with the tables behind the views and partitions that they read.

        Args:
            reader: Reads the catalog of the connected database.
            dbid: That database.
            described: The statements, of all databases.
        """
        here = {key: each for key, each in described.items() if key[1] == dbid and each.table_read}
        self._request(reader, {each.table_read.rpartition(".")[2] for each in here.values()})
        return {**described} | {
            key: replace(each, table_read=self.by_name[each.table_read])
            for key, each in here.items()
            if each.table_read in self.by_name
        }

    def _request(self, reader: SnapshotReader, names: set[str]) -> None:
        new = sorted(names - self._known)
        if not new:
            return
        try:
            self.by_name |= bases_of(reader.base_tables(new))
        except PgiostatError as error:
            if error.slug == "connection-lost":
                raise
            return  # without the catalog a statement keeps the name in its text
        self._known.update(new)


def bases_of(rows: Iterable[Row]) -> dict[str, str]:
    """Return the table behind each name; a view of several tables is left out.

    A name without a schema is one of any schema, if all relations of that name have equally named
    tables behind them.

    >>> bases_of([("public", "v", "public", "t"), ("s", "p", "s", "t"), ("s", "t", "s", "t")])
    {'s.p': 's.t', 'v': 't', 'p': 't'}
    >>> bases_of([("public", "v", "public", "a"), ("public", "v", "public", "b")])
    {}
    >>> bases_of([("public", "v", "public", "a"), ("s", "v", "s", "v")])
    {}
    """
    behind: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    for schema, name, *base in rows:
        behind[schema, name].add((base[0], base[1]))
    found: dict[str, str] = {}
    by_name: dict[str, set[str]] = defaultdict(set)
    for (schema, name), bases in sorted(behind.items()):
        single = next(iter(bases)) if len(bases) == 1 else (schema, name)
        by_name[name].add(single[1])
        if single != (schema, name) and schema != "public":
            found[f"{schema}.{name}"] = ".".join(single).removeprefix("public.")
    for name, names in sorted(by_name.items(), reverse=True):
        if len(names) == 1 and names != {name}:
            found[name] = next(iter(names))
    return found
