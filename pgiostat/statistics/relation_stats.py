"""Counters of tables and indexes: what was read, and what happened between two reads.

They are read at their own interval, and after the first time only of relations that moved. A read
is therefore partial: a relation that is missing from it has counted nothing since.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

import numpy as np

from pgiostat.statistics.columnar import Array, Rows, common_counters, counter_matrix
from pgiostat.statistics.keyed import Keyed
from pgiostat.statistics.relation_changes import RelationInterval
from pgiostat.statistics.row_deltas import Basis, RowDeltas
from pgiostat.statistics.snapshot import MAX_COUNTED
from pgiostat.statistics.subtraction import view_deltas

__all__ = [
    "RelationRead",
    "idle",
    "interval_between",
    "joined",
    "merged",
]


@dataclass(frozen=True, eq=False)
class RelationRead:
    """Counters of the tables and indexes of one database.

    Attributes:
        dbid: The database.
        taken_at: The server's clock afterwards.
        tables: Rows of pg_stat_all_tables.
        indexes: Rows of pg_stat_all_indexes.
        own_seconds: How long the query took, in seconds.
    """

    dbid: int
    taken_at: datetime
    tables: Rows
    indexes: Rows
    own_seconds: float = 0.0

    def check(self) -> None:
        """Check that a server can have sent this: one damaged answer would spoil a history.

        Raises:
            ValueError: A counter is outside of what a server reaches.
        """
        for rows in (self.tables, self.indexes):
            counted = rows.counters
            if counted.size and (counted.max() >= MAX_COUNTED or counted.min() <= -MAX_COUNTED):
                raise ValueError(f"an impossible counter of {rows.table.name}")

    @cached_property
    def keyed_tables(self) -> Keyed:
        """The tables by their oid."""
        return Keyed.of_view(self.tables)

    @cached_property
    def keyed_indexes(self) -> Keyed:
        """The indexes by their oid."""
        return Keyed.of_view(self.indexes)


def interval_between(
    older: RelationRead,
    newer: RelationRead,
    *,
    discarded: bool = False,
    existing: Collection[int] = (),
) -> RelationInterval:
    """Return what happened between two reads of one database.

    Args:
        older: All relations as they were known before.
        newer: The relations that moved since.
        discarded: All statistics were discarded in between, as after a crash.
        existing: Oids of relations that exist now and have counted anything.
    """
    indexes = older.keyed_indexes
    if not discarded:
        indexes = _with_carried_over(indexes, newer.keyed_indexes, existing)
    return RelationInterval(
        dbid=newer.dbid,
        since=older.taken_at,
        seconds=max((newer.taken_at - older.taken_at).total_seconds(), 0.0),
        tables=view_deltas(older.keyed_tables, newer.keyed_tables, discarded=discarded),
        indexes=view_deltas(indexes, newer.keyed_indexes, discarded=discarded),
        own_seconds=newer.own_seconds,
    )


def merged(
    older: RelationRead, newer: RelationRead, vanished: Collection[int] = ()
) -> RelationRead:
    """Return what is known after a partial read: its rows, and the older ones of all others.

    Args:
        older: What was known before.
        newer: The partial read.
        vanished: Oids of relations that were dropped.
    """
    return replace(
        newer,
        tables=_updated(older.tables, newer.tables, vanished),
        indexes=_updated(older.indexes, newer.indexes, vanished),
    )


def joined(first: RelationInterval, second: RelationInterval) -> RelationInterval:
    """Return two intervals of one database as one; sizes and times are those of the second.

    Args:
        first: The earlier one.
        second: The later one; a gap between them belongs to neither.
    """
    return replace(
        second,
        since=first.since,
        seconds=first.seconds + second.seconds,
        tables=_sum(first.tables, second.tables),
        indexes=_sum(first.indexes, second.indexes),
        own_seconds=first.own_seconds + second.own_seconds,
    )


def _sum(first: RowDeltas, second: RowDeltas) -> RowDeltas:
    before, after = first.rows, second.rows
    if not len(before) or not len(after):
        return second if len(after) else first
    names = common_counters(before, after)  # after an upgrade the sum of a new one is unknown
    key = after.table.key[0]
    oids, places = np.unique(np.concatenate([before[key], after[key]]), return_inverse=True)
    then, now = places[: len(before)], places[len(before) :]
    counters = np.zeros((len(names), len(oids)), dtype=np.int64)
    counters[:, then] = counter_matrix(before, names)
    counters[:, now] += counter_matrix(after, names)
    attributes = {}
    for name in before.attributes.keys() & after.attributes.keys():
        attributes[name] = np.empty(len(oids), dtype=after[name].dtype)
        attributes[name][then] = before[name]
        attributes[name][now] = after[name]
    basis = np.full(len(oids), Basis.PREVIOUS, dtype=np.uint8)
    basis[then] = first.basis
    # The greater one is the less certain one.
    basis[now] = np.maximum(basis[now], second.basis)
    return RowDeltas(Rows(after.table, attributes, names, counters), basis)


def idle(read: RelationRead, tables: Collection[int]) -> RelationInterval:
    """Return sizes and times of tables and of their indexes, with counters of zero.

    Args:
        read: What is known of all.
        tables: Oids of the tables.
    """
    wanted = np.fromiter(tables, dtype=np.int64, count=len(tables))
    return RelationInterval(
        read.dbid,
        read.taken_at,
        0.0,
        _without_counts(read.tables, wanted),
        _without_counts(read.indexes, wanted),
    )


def _without_counts(rows: Rows, tables: Array) -> RowDeltas:
    found = rows.take(np.isin(rows["relid"], tables))
    zero = np.zeros_like(found.counters)
    basis = np.full(len(found), Basis.PREVIOUS, dtype=np.uint8)
    return RowDeltas(Rows(found.table, found.attributes, found.counter_names, zero), basis)


def _updated(older: Rows, newer: Rows, vanished: Collection[int]) -> Rows:
    if common_counters(older, newer) != newer.counter_names:
        return newer  # the server was upgraded: what it did not count before is unknown
    key = newer.table.key[0]
    gone = np.union1d(newer[key], np.fromiter(vanished, dtype=np.int64, count=len(vanished)))
    kept = older.take(~np.isin(older[key], gone))
    attributes = {
        name: np.concatenate([kept[name], array]) for name, array in newer.attributes.items()
    }
    counters = np.concatenate([counter_matrix(kept, newer.counter_names), newer.counters], axis=1)
    return Rows(newer.table, attributes, newer.counter_names, counters)


def _with_carried_over(older: Keyed, newer: Keyed, existing: Collection[int]) -> Keyed:
    """Return the older indexes, with the new oid of those that REINDEX CONCURRENTLY replaced.

    It makes an index with another oid, copies the counters to it and drops the old one: the new
    one has not counted all that in this interval.
    """
    new = np.flatnonzero(newer.places_in(older) < 0)
    before, after = older.rows, newer.rows
    if not len(new) or not len(before) or "relid" not in before:
        return older
    there = np.fromiter(existing, dtype=np.int64, count=len(existing))
    gone = np.flatnonzero(~np.isin(before["indexrelid"], np.union1d(there, after["indexrelid"])))
    names = common_counters(before, after)
    then, now = counter_matrix(before, names), counter_matrix(after, names)
    oids = before["indexrelid"].copy()
    taken: set[int] = set()
    for place in new.tolist():
        candidates = [
            each
            for each in gone.tolist()
            if each not in taken
            and before["relid"][each] == after["relid"][place]
            and (then[:, each] <= now[:, place]).all()
        ]
        if candidates:
            chosen = max(candidates, key=lambda each: int(then[:, each].sum()))
            taken.add(chosen)
            oids[chosen] = after["indexrelid"][place]
    if not taken:
        return older
    attributes = {**before.attributes, "indexrelid": oids}
    return Keyed.of_view(Rows(before.table, attributes, before.counter_names, before.counters))
