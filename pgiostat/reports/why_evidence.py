"""The evidence for the causes of reads, from two windows of a history."""

from collections.abc import Sequence
from datetime import UTC, datetime

from pgiostat.analysis.why.evidence import (
    Neighbour,
    ServerFacts,
    SettingChange,
    StatementEvidence,
)
from pgiostat.history.read.definitions import Definitions
from pgiostat.reports.relation_history import RelationWindow, relation_windows, vacuumed
from pgiostat.reports.why_groups import StatementGroup
from pgiostat.reports.why_tables import NamedTables, Sources
from pgiostat.units import bytes_of_setting

__all__ = ["evidence_of"]

_START_TIME = "start_time"


def evidence_of(sources: Sources, keys: Sequence[str]) -> list[StatementEvidence]:
    """Return the evidence on some statements; their tables are read together."""
    found = NamedTables(sources)
    tables = {key: found.touched(sources.groups[key]) for key in keys}
    wanted = {each for of_statement in tables.values() for each in of_statement}
    first = sources.whole if sources.before is None else sources.before.window
    windows = relation_windows(
        sources.history,
        (first, sources.after.window, sources.whole),
        sources.server_id,
        wanted,
        found.toast_of,
    )
    if not windows[1].is_counted:
        tables = {key: {} for key in keys}  # unknown is not zero
    compares_tables = sources.before is not None and windows[0].is_counted
    if not compares_tables:
        windows[0] = RelationWindow({}, 0.0)
    users = found.users(sources.groups, wanted)
    made = []
    for key in keys:
        group = sources.groups[key]
        of_statement = tuple(
            found.evidence(table, how, windows, users[table], key)
            for table, how in tables[key].items()
        )
        others = tuple(
            Neighbour(
                each.key,
                each.text,
                each.sides[0],
                each.sides[1],
                tuple(map(found.name, found.named_by(each))),
            )
            for each in sources.groups.values()
            if each.key != key
        )
        before, after = group.sides
        made.append(
            StatementEvidence(
                key=key,
                name=group.text,
                category=group.category,
                verb=group.verb,
                before=before,
                after=after,
                tables=of_statement,
                neighbours=others,
                server=_server_facts(sources, group, found),
                is_alone=sources.before is None,
                compares_tables=compares_tables,
            )
        )
    return made


def _server_facts(sources: Sources, group: StatementGroup, tables: NamedTables) -> ServerFacts:
    before, after = sources.before, sources.after
    then = Definitions() if before is None else sources.definitions.at(before.window.until)
    now = sources.definitions.at(after.window.until)
    server = now.of_server()
    vacuums = vacuumed(sources.history, after.window, sources.server_id)
    sampled = after.sampled
    outside = sampled.server_blocks - sampled.statement_blocks
    return ServerFacts(
        buffers=_blocks(server.get("shared_buffers", ""), sampled.block_size),
        started=_started(server.get(_START_TIME, ""), (before or after).span.since),
        settings=_changes(then, now, group.dbids),
        work_mem=server.get("work_mem", ""),
        outside_share=outside / sampled.server_blocks if sampled.server_blocks else None,
        vacuumed=tuple(sorted(tables.name(each) for each in vacuums)),
    )


def _blocks(size: str, block_size: int) -> int | None:
    found = bytes_of_setting(size)
    return None if found is None else found // block_size


def _started(text: str, since: datetime) -> datetime | None:
    try:
        started = datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return None
    return started if started > since else None


def _changes(then: Definitions, now: Definitions, dbids: set[int]) -> tuple[SettingChange, ...]:
    """Return the settings of a statement's databases that changed, of all and of single roles."""
    settings = [
        {each.key: each.text for each in side.settings() if not each.oid or each.oid in dbids}
        for side in (then, now)
    ]
    if not settings[0]:
        return ()
    changes = []
    for key in sorted({*settings[0], *settings[1]}):
        old, new = (side.get(key) for side in settings)
        if old != new:
            changes.append(SettingChange(key[-1], old, new))
    return tuple(changes)
