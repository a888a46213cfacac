"""The tables behind views and partitions that statements name, in the connected database."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pgiostat.errors import PgiostatError
from pgiostat.postgres.snapshot_reader import SnapshotReader
from pgiostat.statistics.bases import bases_of
from pgiostat.statistics.names import Statement, StatementKey

__all__ = ["BaseTables"]


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
