"""Rows by their key, matched between two snapshots."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np
import numpy.typing as npt

from pgiostat.statistics.columnar import Array, Rows
from pgiostat.statistics.counter_table import NAME_BYTES

__all__ = ["Keyed", "Places"]

Places = npt.NDArray[np.intp]
"""For each row of one snapshot its place in another, or -1; shape (rows,)."""

_ODD = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)


@dataclass(frozen=True, eq=False)
class Keyed:
    """Rows, each key once; parts: arrays that make up the key."""

    rows: Rows
    parts: tuple[Array, ...]

    @cached_property
    def number(self) -> npt.NDArray[np.uint64]:
        """One 64-bit number a row; equal keys have equal numbers, others nearly never."""
        return _number(self.parts)

    @cached_property
    def order(self) -> Places:
        """What sorts the numbers."""
        return np.argsort(self.number)

    @classmethod
    def of_statements(cls, rows: Rows) -> "Keyed":
        """Return statements by (userid, dbid, queryid, toplevel), the key of the server's own hash.

        Without the privilege there is no queryid.  From extension 1.11 on the instant at which
        an entry was made stands in for it; before, all such rows of a role and database are one.
        Extensions before 1.9 hide toplevel, which gives duplicate keys on servers from 14 on:
        they are one row, too.
        """
        masked = rows["masked"]
        ids = rows["queryid"]
        hidden = bool(masked.any())
        if hidden:
            since = rows.get("stats_since")
            ids = np.where(masked, 0 if since is None else since, ids)
        flags = masked.astype(np.int64)
        toplevel = rows.get("toplevel")
        if toplevel is not None:
            flags = flags << 1 | toplevel
        parts = (ids, rows["dbid"] << 32 | rows["userid"], flags)
        keyed = cls(rows, parts)
        if toplevel is not None and not hidden:
            return keyed  # the server's hash has each key once
        in_order = keyed.number[keyed.order]
        repeated = bool((in_order[1:] == in_order[:-1]).any())
        return cls._summed(rows, parts) if repeated else keyed

    @classmethod
    def by_birth(cls, rows: Rows) -> "Keyed":
        """Return statements by (stats_since, userid, dbid, toplevel), which no privilege hides.

        Two entries of a role and a database that were made in the same microsecond are one row.
        Needs extension 1.11.
        """
        flags = np.asarray(rows["toplevel"]).astype(np.int64)
        parts = (rows["stats_since"], rows["dbid"] << 32 | rows["userid"], flags)
        keyed = cls(rows, parts)
        in_order = keyed.number[keyed.order]
        repeated = bool((in_order[1:] == in_order[:-1]).any())
        return cls._summed(rows, parts) if repeated else keyed

    @classmethod
    def of_view(cls, rows: Rows) -> "Keyed":
        """Return rows of a cumulative view by the table's own key."""
        return cls(rows, tuple(p for name in rows.table.key for p in _integers(rows[name])))

    @classmethod
    def _summed(cls, rows: Rows, parts: tuple[Array, ...]) -> "Keyed":
        """Return the rows with those of equal key added up."""
        _, first, group = np.unique(np.stack(parts), axis=1, return_index=True, return_inverse=True)
        counters = np.zeros((len(rows.counter_names), len(first)), dtype=np.int64)
        for i, values in enumerate(rows.counters):
            np.add.at(counters[i], group, values)
        attributes = {name: array[first] for name, array in rows.attributes.items()}
        for name, pick in (("min_exec_time", np.minimum), ("max_exec_time", np.maximum)):
            pick.at(attributes[name], group, rows[name])
        summed = Rows(rows.table, attributes, rows.counter_names, counters)
        return cls(summed, tuple(part[first] for part in parts))

    def is_aligned(self, other: "Keyed") -> bool:
        """Return whether both have the same keys in the same order, as most snapshots have."""
        return len(self.rows) == len(other.rows) and all(
            np.array_equal(ours, theirs)
            for ours, theirs in zip(self.parts, other.parts, strict=True)
        )

    def places_in(self, other: "Keyed") -> Places:
        """Return the place of each of these rows in another snapshot, or -1."""
        if self.is_aligned(other):
            return np.arange(len(self.rows))
        if not len(other.rows) or not len(self.rows):
            return np.full(len(self.rows), -1)
        in_order = other.number[other.order]
        # Needles in order stay in the processor's cache.
        found = np.searchsorted(in_order, self.number[self.order])
        found[found == len(in_order)] = 0
        place = np.empty(len(found), dtype=np.intp)
        place[self.order] = other.order[found]
        place[other.number[place] != self.number] = -1
        hit = place >= 0
        different = [
            theirs[place[hit]] != ours[hit]
            for theirs, ours in zip(other.parts, self.parts, strict=True)
        ]
        if reduce(np.logical_or, different).any():
            # Two keys with one number, which happens about never: look them up the slow way.
            index = {key: i for i, key in enumerate(zip(*other.parts, strict=True))}
            exact = [index.get(key, -1) for key in zip(*self.parts, strict=True)]
            place = np.array(exact, dtype=np.intp)
        return place


def _integers(values: Array) -> list[Array]:
    """Return a key's column as columns of 64-bit integers; a name as four of its bytes."""
    if values.dtype.kind != "S":
        return [values]
    words = np.ascontiguousarray(values.astype(f"S{NAME_BYTES}")).view(np.int64)
    return list(words.reshape(len(values), -1).T)


def _number(parts: Sequence[Array]) -> npt.NDArray[np.uint64]:
    total = np.zeros(len(parts[0]), dtype=np.uint64)
    for part in parts:
        bits = np.ascontiguousarray(part).view(np.uint64) * _ODD
        total = (total ^ bits ^ (bits >> _SHIFT)) * _ODD
    return total
