"""Sums over the totals of several servers and hours, which are not those of single rows."""

from collections.abc import Sequence

from pgiostat.analysis.rank.dimension import By
from pgiostat.analysis.rank.groups import hour_of
from pgiostat.analysis.rank.totals import Totals
from pgiostat.analysis.server_reads import ServerReads

__all__ = ["database_blocks", "reads_together", "recent", "seconds_by_hour", "seconds_of"]


def recent(counted: Sequence[Totals]) -> ServerReads:
    """Return the counts of possible causes before the first totals of each server."""
    first: dict[int, ServerReads] = {}
    for each in counted:
        first.setdefault(each.server_id, each.recent)
    return ServerReads.total(first.values())


def seconds_of(counted: Sequence[Totals]) -> float:
    """Return the length of a time window: that of the label with the longest intervals together.

    Several servers under one label, as after a failover, were recorded one after the other.
    """
    of_label: dict[str | int, float] = {}
    for each in counted:
        label = each.server or each.server_id
        of_label[label] = of_label.get(label, 0.0) + each.seconds
    return max(of_label.values(), default=0)


def seconds_by_hour(counted: Sequence[Totals], by: By) -> dict[str, float]:
    """Return the length of each hour if hours are ranked.

    Servers share the length of the longest one, so that their rates add up.
    """
    if by is not By.HOUR:
        return {}
    parts: dict[str, list[Totals]] = {}
    for each in counted:
        parts.setdefault(hour_of(each), []).append(each)
    return {key: seconds_of(part) for key, part in parts.items()}


def reads_together(counted: Sequence[Totals]) -> ServerReads:
    """Return the counts of all servers together."""
    of_server: dict[int, list[Totals]] = {}
    for each in counted:
        of_server.setdefault(each.server_id, []).append(each)
    return ServerReads.of_servers(
        ServerReads.total((part.reads for part in parts), parts[0].since)
        for parts in of_server.values()
    )


def database_blocks(counted: Sequence[Totals]) -> int | None:
    """Return the connected databases' own count; None if any part of it was lost."""
    found = [each.database_blocks for each in counted]
    known = [blocks for blocks in found if blocks is not None]
    return sum(known) if known and len(known) == len(found) else None
