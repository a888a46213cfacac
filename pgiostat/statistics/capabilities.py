"""Capabilities of a server: what it can report, and the reason if it cannot."""

from dataclasses import dataclass

from pgiostat.escape import identifier
from pgiostat.statistics.snapshot import Snapshot

__all__ = ["Capability", "capabilities", "grant", "hidden_from"]

_PG_16 = 160000
_PG_18 = 180000


@dataclass(frozen=True, slots=True)
class Capability:
    """One thing that a server may or may not be able to report.

    Attributes:
        name: A stable name, for example "read_times".
        meaning: What is known if it is available.
        missing: Why it is not available; empty if it is.
    """

    name: str
    meaning: str
    missing: str = ""

    @property
    def available(self) -> bool:
        """Whether this server reports it."""
        return not self.missing


def capabilities(snapshot: Snapshot) -> tuple[Capability, ...]:
    """Return what the server of a snapshot can report."""
    server, settings = snapshot.server, snapshot.settings

    def needs(extension: str, *columns: str) -> str:
        if all(column in snapshot.statements for column in columns):
            return ""
        return f"needs pg_stat_statements {extension}, this is {server.extension_version}"

    def postgres(version_num: int) -> str:
        if server.version_num >= version_num:
            return ""
        return f"needs PostgreSQL {version_num // 10000}, this is {server.version}"

    info = "" if snapshot.markers.dealloc is not None else needs("1.9", "stats_info")
    timing = "" if settings.track_io_timing else "track_io_timing is off"
    masked = f"{server.user} lacks pg_read_all_stats" if snapshot.masked else ""
    return (
        Capability("all_statements", "statements of all users by name", masked),
        Capability(
            "toplevel", "nested statements separate from their callers", needs("1.9", "toplevel")
        ),
        Capability("evictions", "number of deallocations, and time of the last reset", info),
        Capability(
            "stats_since", "recreated entries, detected reliably", needs("1.11", "stats_since")
        ),
        Capability("read_times", "time spent reading", timing),
        Capability(
            "local_read_times",
            "time spent reading temporary tables, separately",
            timing or needs("1.11", "local_blk_read_time"),
        ),
        Capability(
            "temp_read_times",
            "time spent reading spill files",
            timing or needs("1.10", "temp_blk_read_time"),
        ),
        Capability("physical_reads", "reads from storage by statement", server.kcache_missing),
        Capability("pg_stat_io", "reads by process type", postgres(_PG_16)),
        Capability("read_operations", "operations, which may fetch many blocks", postgres(_PG_18)),
    )


def hidden_from(user: str) -> str:
    """Return what a role without pg_read_all_stats cannot see, as a sentence."""
    return f"Statements of other users are hidden from {user}"


def grant(user: str) -> str:
    """Return the statement that lets a role see all statements."""
    return f"GRANT pg_read_all_stats TO {identifier(user)};"
