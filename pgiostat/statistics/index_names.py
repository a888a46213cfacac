"""Names of indexes for output."""

from collections import Counter

from pgiostat.statistics.names import Names

__all__ = ["IndexNames"]


class IndexNames:
    """Own names of indexes, with the oid where another one had the same name.

    Args:
        names: What ids mean.
    """

    def __init__(self, names: Names) -> None:
        self._names = names
        self._found = {oid: self._qualified(oid) for oid in names.index_names}
        self._count = Counter(self._found.values())

    def _qualified(self, oid: int) -> str:
        _, schema, _, part = self._names.relations.get(oid, (0, "", "", ""))
        schema = "pg_toast" if part in {"toast", "tidx"} else schema
        name = self._names.index_names[oid]
        return f"{schema}.{name}" if schema else name

    def shown(self, oid: int) -> str:
        """Return schema and name of an index.

        Args:
            oid: Its oid.

        Returns:
            Its name, or "oid 5" if the name is unknown.
        """
        name = self._found.get(oid)
        if name is None:
            return f"oid {oid}"
        return f"{name} (oid {oid})" if self._count[name] > 1 else name
