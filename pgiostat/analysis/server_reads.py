"""The server's own counts of its reads: by database, by process, by operation."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from pgiostat.statistics.delta import Delta
from pgiostat.statistics.row_deltas import Basis, RowDeltas
from pgiostat.statistics.snapshot import Snapshot
from pgiostat.units import Unit

__all__ = [
    "CLIENTS",
    "EARLIER",
    "FIRST_USER_OID",
    "MEASURED",
    "PerBlock",
    "ServerReads",
    "coverage",
    "coverage_of",
    "known_sum",
    "reads_of",
    "settled_blocks",
]

FIRST_USER_OID = 16384
"""FirstNormalObjectId (access/transam.h): relations below are catalogs, with their indexes."""

CLIENTS = ("client backend", "background worker", "standalone backend")
"""Types of process that run statements, or help: parallel workers are background workers."""
_PROCESSES = {
    "autovacuum worker": "autovacuum_blocks",
    "autovacuum launcher": "autovacuum_blocks",
    "walsender": "walsender_blocks",
}
"""Fields for the reads of other types of process; all others share process_blocks."""
_BUFFERED = ("relation", "temp relation")
"""Objects of pg_stat_io with reads in blocks through buffers, unlike WAL."""


COMBINED = 0.9
"""Operations per block below which blocks and operations tell different things."""


@dataclass(frozen=True, slots=True)
class PerBlock:
    """Mean read operations per block.

    Attributes:
        shared: Of tables; None if not counted, or without reads.
        local: Of temporary tables; the same.
    """

    shared: float | None = None
    local: float | None = None
    counted: bool = False

    @property
    def is_combined(self) -> bool:
        """Whether one operation usually reads several blocks.

        Otherwise operations are the number of blocks over again.

        >>> [PerBlock(each, counted=True).is_combined for each in (None, 1.0, 0.95, 0.16)]
        [False, False, False, True]
        """
        return self.shared is not None and self.shared < COMBINED


@dataclass(frozen=True, slots=True)
class ServerReads:
    """A server's own counts of reads, without pg_stat_statements; None where unknown.

    MEASURED has the meaning of each count.

    Attributes:
        earlier_since: When the first of earlier_blocks were counted; None if unknown.
        earlier_until: When the last of them were counted.
    """

    blocks: int | None = None
    autovacuum_blocks: int | None = None
    walsender_blocks: int | None = None
    process_blocks: int | None = None
    catalog_blocks: int | None = None
    rollbacks: int | None = None
    failures: int | None = None
    evictions: int | None = None
    utility_untracked: int | None = None
    held_cursors: int | None = None
    blocks_added: int | None = None
    nested_twice: int | None = None
    operations: int | None = None
    operation_blocks: int | None = None
    local_operations: int | None = None
    local_operation_blocks: int | None = None
    in_transit_blocks: int | None = None
    settled_catalog_blocks: int | None = None
    earlier_blocks: int | None = None
    earlier_catalog_blocks: int | None = None
    earlier_since: datetime | None = None
    earlier_until: datetime | None = None

    @property
    def per_block(self) -> "PerBlock":
        """Mean operations per block."""
        return PerBlock(
            _ratio(self.operations, self.operation_blocks),
            _ratio(self.local_operations, self.local_operation_blocks),
            counted=self.operations is not None,
        )

    @classmethod
    def total(cls, parts: Iterable["ServerReads"], since: datetime | None = None) -> "ServerReads":
        """Return the sum of several intervals of a server.

        The sum of blocks is unknown if it is in any interval; of other counts the known ones add
        up.

        Args:
            parts: The intervals.
            since: When the first of them began: only blocks of before are earlier than all of them.
        """
        listed = [part.earlier_than(since) for part in parts]
        summed = {name: known_sum(getattr(part, name) for part in listed) for name in MEASURED}
        if any(part.blocks is None for part in listed):
            summed["blocks"] = None
        begins = [part.earlier_since for part in listed if part.earlier_since is not None]
        ends = [part.earlier_until for part in listed if part.earlier_until is not None]
        return cls(
            **summed,
            earlier_since=min(begins, default=None),
            earlier_until=max(ends, default=None),
        )

    def earlier_than(self, since: datetime | None) -> "ServerReads":
        """Return the counts as part of a time window: what was read within it is not earlier.

        Args:
            since: When the window began; None if unknown.
        """
        if since is None or self.earlier_since is None or self.earlier_since < since:
            return self
        nothing: dict[str, Any] = dict.fromkeys(EARLIER)
        return replace(self, **nothing)

    def with_causes(self, counts: Mapping[str, int | None]) -> "ServerReads":
        """Return the counts with those of possible causes, by their name."""
        known: dict[str, Any] = dict(counts)
        return replace(self, **known)

    @classmethod
    def of_servers(cls, parts: Iterable["ServerReads"]) -> "ServerReads":
        """Return the sum of several servers, with operations if all of them count these."""
        listed = list(parts)
        together = cls.total(listed)
        if any(part.operations is None for part in listed):
            together = replace(together, **dict.fromkeys(_OPERATIONS))
        return together


EARLIER = ("earlier_blocks", "earlier_catalog_blocks", "earlier_since", "earlier_until")
"""The counts of ServerReads that depend on when a time window begins."""
_BY_IO = "empty before PostgreSQL 16"
_NOT_BY_IO = "empty from PostgreSQL 16 on"
_UNTRACKED = "pg_stat_statements.track_utility was off, or pg_stat_statements.track none"
_BY_OPERATION = "empty before PostgreSQL 18"
_KNOWN = "empty if not known"
_SIGNED = f"negative if statements counted them and the server did not; {_KNOWN}"
_EARLIER_BLOCKS = (
    "of earlier intervals, settled at once: from earlier_since to earlier_until the server counted"
    " them and no statement did; negative the other way round; empty without any"
)
MEASURED: Mapping[str, tuple[Unit, str]] = {
    "blocks": (
        Unit.BLOCKS,
        "read by the server, by pg_stat_io (pg_stat_database before 16); empty if part was lost",
    ),
    "autovacuum_blocks": (Unit.BLOCKS, f"of them by autovacuum; {_BY_IO}"),
    "walsender_blocks": (Unit.BLOCKS, f"of them by walsenders; {_BY_IO}"),
    "process_blocks": (
        Unit.BLOCKS,
        f"of them by processes other than clients, background workers and these two; {_BY_IO}",
    ),
    "catalog_blocks": (
        Unit.BLOCKS,
        "of them of catalogs of the connected database, by any process",
    ),
    "rollbacks": (Unit.TRANSACTIONS, "that failed, were cancelled or rolled back"),
    "failures": (
        Unit.TRANSACTIONS,
        "of them not rolled back by a client: failed or cancelled; empty if unknown",
    ),
    "evictions": (Unit.NONE, "number of evictions, each of several entries"),
    "utility_untracked": (
        Unit.NONE,
        f"1 if {_UNTRACKED}, at the start or the end, or if a statement may have set it so",
    ),
    "held_cursors": (
        Unit.NONE,
        "cursors WITH HOLD, which COMMIT fills and no statement counts; empty if unknown",
    ),
    "blocks_added": (
        Unit.NONE,
        f"1 if statements may have added blocks, which are counted as reads; {_NOT_BY_IO}",
    ),
    "nested_twice": (
        Unit.NONE,
        "1 if pg_stat_statements.track was all and nested statements were counted twice",
    ),
    "operations": (
        Unit.OPERATIONS,
        f"reads of tables by clients and background workers; {_BY_OPERATION}",
    ),
    "operation_blocks": (Unit.BLOCKS, f"blocks of these operations; {_BY_OPERATION}"),
    "local_operations": (Unit.OPERATIONS, f"reads of temporary tables; {_BY_OPERATION}"),
    "local_operation_blocks": (Unit.BLOCKS, f"blocks of these operations; {_BY_OPERATION}"),
    "in_transit_blocks": (
        Unit.BLOCKS,
        f"of them in transit: statements count them in another interval; {_SIGNED}",
    ),
    "settled_catalog_blocks": (
        Unit.BLOCKS,
        f"of catalogs and of no statement, also of earlier intervals; {_KNOWN}",
    ),
    "earlier_blocks": (Unit.BLOCKS, _EARLIER_BLOCKS),
    "earlier_catalog_blocks": (Unit.BLOCKS, "of these of catalogs; empty without any"),
}
"""The counts of ServerReads: unit and meaning of each."""
_OPERATIONS = tuple(name for name in MEASURED if "operation" in name)


def known_sum(values: Iterable[int | None]) -> int | None:
    """Return the sum of the known values; None if there is none."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _ratio(operations: int | None, blocks: int | None) -> float | None:
    return operations / blocks if operations is not None and blocks else None


def reads_of(delta: Delta) -> ServerReads:
    """Return the server's own counts of an interval."""
    relids = delta.relations.rows["relid"]
    catalogs = delta.relations.rows["blks_read"][relids < FIRST_USER_OID]
    found = ServerReads(
        blocks=delta.databases.total("blks_read") if delta.is_complete else None,
        catalog_blocks=int(catalogs.sum()),
        rollbacks=delta.databases.total("xact_rollback"),
        failures=delta.failures,
        evictions=delta.dealloc,
        utility_untracked=int(delta.untracked or _is_untracked(delta)),
        held_cursors=delta.held,
        blocks_added=_adds_blocks(delta),
        nested_twice=int(_counts_nested_twice(delta)),
    )
    if delta.in_transit is not None:
        found = replace(
            found,
            in_transit_blocks=delta.in_transit,
            settled_catalog_blocks=delta.settled_catalogs,
        )
    if (earlier := delta.earlier) is not None:
        found = replace(
            found,
            earlier_blocks=earlier.blocks,
            earlier_catalog_blocks=earlier.catalogs,
            earlier_since=earlier.since,
            earlier_until=earlier.until,
        )
    if delta.io is None or not delta.is_complete or _was_reset(delta):
        return found
    return replace(found, **_of_processes(delta, delta.io))


def _ends(delta: Delta) -> list[Snapshot]:
    """Return the snapshots at the start and the end of an interval."""
    return [snapshot for snapshot in (delta.older, delta.newer) if snapshot is not None]


def _is_untracked(delta: Delta) -> bool:
    """Return whether some statements were not tracked, at the start or the end of an interval."""
    return any(
        snapshot.settings.track == "none"
        or snapshot.settings.values.get("pg_stat_statements.track_utility") == "off"
        for snapshot in _ends(delta)
    )


def _counts_nested_twice(delta: Delta) -> bool:
    """Return whether nested statements were counted as if clients had sent them."""
    return not delta.newer.has_toplevel and any(
        snapshot.settings.track == "all" for snapshot in _ends(delta)
    )


_SIGNS_OF_ADDED = ("shared_blks_dirtied", "local_blks_hit", "local_blks_read")


def _adds_blocks(delta: Delta) -> int | None:
    """Return whether statements may have added blocks that the server counts as read."""
    if delta.newer.io is not None:
        return None  # pg_stat_io counts them apart
    return int(any(delta.statements.total(name) for name in _SIGNS_OF_ADDED))


def _was_reset(delta: Delta) -> bool:
    """Return whether pg_stat_io, or a row of it, was reset: that can happen to it alone."""
    views = [snapshot.io for snapshot in _ends(delta)]
    resets = [int(io["stats_reset"].max()) for io in views if io is not None and len(io)]
    basis = np.zeros(0) if delta.io is None else delta.io.basis
    return len(set(resets)) > 1 or not bool(np.isin(basis, [Basis.PREVIOUS, Basis.NEW]).all())


def _may_vacuum_in_parallel(delta: Delta) -> bool:
    """Return whether autovacuum may have used parallel workers, as from PostgreSQL 19 on.

    They are background workers, as those of VACUUM (PARALLEL): what the latter read is in that
    statement's count. A client that vacuums reads in this context too, which tells them apart.
    """
    return any(
        snapshot.settings.values.get("autovacuum_max_parallel_workers") not in {None, "0"}
        for snapshot in _ends(delta)
    )


def _of_processes(delta: Delta, io: RowDeltas) -> dict[str, Any]:
    """Return pg_stat_io's counts of an interval: blocks by type of process, and operations."""
    rows, block_size = io.rows, delta.settings.block_size
    counts_bytes = "read_bytes" in rows
    # 16 and 17 count each block as a read of op_bytes.
    read = rows["read_bytes"] if counts_bytes else rows["reads"] * rows["op_bytes"]
    blocks = read // block_size
    backend_type, object_, context = (
        np.char.decode(rows[name]) for name in ("backend_type", "object", "context")
    )
    buffered = np.isin(object_, _BUFFERED)
    vacuums = context == "vacuum"
    if _may_vacuum_in_parallel(delta) and not blocks[vacuums & (backend_type == CLIENTS[0])].any():
        helpers = vacuums & (backend_type == "background worker")
        backend_type = np.where(helpers, "autovacuum worker", backend_type)
    clients = np.isin(backend_type, CLIENTS)

    def of(values: npt.NDArray[np.int64], chosen: npt.NDArray[np.bool_]) -> int:
        return int(values[chosen].sum())

    counts: dict[str, Any] = {"blocks": of(blocks, buffered)}
    counts |= dict.fromkeys([*_PROCESSES.values(), "process_blocks"], 0)
    for name in set(backend_type[~clients].tolist()):
        where = _PROCESSES.get(name, "process_blocks")
        counts[where] = (counts[where] or 0) + of(blocks, buffered & (backend_type == name))
    if counts_bytes:
        for prefix, what in (("", "relation"), ("local_", "temp relation")):
            chosen = clients & (object_ == what)
            counts[f"{prefix}operations"] = of(rows["reads"], chosen)
            counts[f"{prefix}operation_blocks"] = of(blocks, chosen)
    return counts


def coverage(statement_blocks: int, reads: ServerReads) -> float | None:
    """Return the share of the server's settled reads that statements explain; None without any.

    Where blocks in transit are not known, it may exceed 1 over a single interval: a statement
    counts its reads when it ends, the server up to 10 s later.
    """
    settled = settled_blocks(reads)
    return statement_blocks / settled if settled is not None and settled > 0 else None


def settled_blocks(reads: ServerReads) -> int | None:
    """Return the settled blocks that were read in a time; None if the server's count was lost.

    They are the server's blocks without those in transit and without those of earlier intervals.
    """
    if reads.blocks is None:
        return None
    return reads.blocks - (reads.in_transit_blocks or 0) - (reads.earlier_blocks or 0)


def coverage_of(delta: Delta) -> float | None:
    """Return the coverage of an interval."""
    return coverage(delta.statement_blocks, reads_of(delta))
