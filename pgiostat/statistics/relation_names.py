"""Names of tables and indexes of all databases for output."""

from collections import Counter

from pgiostat.statistics.names import Names

__all__ = ["RelationNames"]

_TOAST = frozenset({"toast", "tidx"})


class RelationNames:
    """Names of relations by database and oid, with the oid where another one had the same name.

    Attributes:
        names: What ids mean on one server.
    """

    def __init__(self, names: Names) -> None:
        self.names = names
        self._own = {oid: self._qualified(oid) for oid in names.index_names}
        self._own_count = Counter(self._own.values())
        elsewhere = names.elsewhere.items()
        self._tables_elsewhere = Counter(
            (dbid, _dotted(schema, name))
            for (dbid, oid), (owner, schema, name, _, _) in elsewhere
            if owner == oid
        )
        self._own_elsewhere = Counter(
            (dbid, _with_schema(schema, own, part))
            for (dbid, _), (_, schema, _, part, own) in elsewhere
        )

    def _qualified(self, oid: int) -> str:
        _, schema, _, part = self.names.relations.get(oid, (0, "", "", ""))
        return _with_schema(schema, self.names.index_names[oid], part)

    def table(self, dbid: int, oid: int) -> str:
        """Return schema and name of a relation's table; "oid 5" if the name is unknown.

        Args:
            dbid: Its database.
            oid: Oid of a table, or of an index or TOAST table of it.
        """
        known = self.names.elsewhere.get((dbid, oid))
        if known is None:
            return self.names.shown_relation(oid)
        owner, schema, name, _, _ = known
        shown = _dotted(schema, name)
        return f"{shown} (oid {owner})" if self._tables_elsewhere[dbid, shown] > 1 else shown

    def own(self, dbid: int, oid: int) -> str:
        """Return schema and own name of an index; "oid 5" if the name is unknown.

        Args:
            dbid: Its database.
            oid: Its oid.
        """
        known = self.names.elsewhere.get((dbid, oid))
        if known is not None:
            _, schema, _, part, own = known
            shown = _with_schema(schema, own, part)
            is_repeated = self._own_elsewhere[dbid, shown] > 1
        elif oid in self._own:
            shown = self._own[oid]
            is_repeated = self._own_count[shown] > 1
        else:
            return f"oid {oid}"
        return f"{shown} (oid {oid})" if is_repeated else shown

    def part(self, dbid: int, oid: int) -> str | None:
        """Return what a relation is of its table: heap, idx, toast or tidx; None if unknown.

        Args:
            dbid: Its database.
            oid: Its oid.
        """
        known = self.names.elsewhere.get((dbid, oid)) or self.names.relations.get(oid)
        return None if known is None else known[3]


def _dotted(schema: str, name: str) -> str:
    return f"{schema}.{name}" if schema else name


def _with_schema(schema: str, own: str, part: str) -> str:
    """Return an own name with its schema: TOAST tables have one of their own."""
    return _dotted("pg_toast" if part in _TOAST else schema, own)
