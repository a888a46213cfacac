"""Check the settings that decide what is counted, for our session and for others."""

from collections.abc import Iterator

from pgiostat.postgres.doctor.check import CheckState, Finding
from pgiostat.postgres.doctor.facts import Facts
from pgiostat.postgres.doctor.fixes import (
    EXTENSION,
    SPOILS,
    is_ours,
    reset,
    scope_of,
    set_for,
    setting,
)

__all__ = ["counting", "overridden", "timing", "tracking"]

_PG_14 = 140000


def overridden(facts: Facts) -> Iterator[Finding]:
    """Yield settings of other roles and databases: the settings of our session do not show them."""
    for each in facts.overrides:
        values, meaning = SPOILS.get(each.name, (frozenset(), ""))
        if each.value.lower() not in values or is_ours(facts, each):
            continue
        yield Finding(
            "overridden",
            CheckState.WARNING,
            f"{scope_of(each)}: {each.name} is {each.value}: {meaning}",
            reset(each),
        )


def _wrong(facts: Facts, name: str, value: str, state: CheckState, reason: str) -> Finding:
    """Return the finding of a wrong setting; one that is set for a few says nothing about all.

    Args:
        facts: The server.
        name: The setting.
        value: What it should be.
        state: Its severity where the whole server has this value.
        reason: Its consequence.
    """
    if few := set_for(facts, name):
        reason = f"{reason}; this is set for {few}, others may have another value"
        state = CheckState.WARNING
    return Finding(name.rpartition(".")[2], state, reason, setting(facts, name, value))


def tracking(facts: Facts) -> Iterator[Finding]:
    """Yield what pg_stat_statements tracks."""
    settings = facts.settings
    track = settings.get(f"{EXTENSION}.track")
    name = f"{EXTENSION}.track"
    nested = facts.statements is None or facts.statements.dealloc is not None
    if track == "none":
        yield _wrong(facts, name, "top", CheckState.ERROR, "nothing is counted")
    elif track == "all" and not nested:
        yield Finding(
            "track",
            CheckState.WARNING,
            "all: before 1.9 nested statements are not marked, and their reads are counted twice",
            setting(facts, name, "top"),
        )
    elif track is not None:
        meaning = "all: nested statements are counted separately" if track == "all" else f"{track}"
        yield Finding("track", CheckState.OK, meaning)
    if settings.get(f"{EXTENSION}.track_utility") == "off":
        yield _wrong(
            facts,
            f"{EXTENSION}.track_utility",
            "on",
            CheckState.WARNING,
            "off: no statement has the reads of COPY, CREATE INDEX, VACUUM and FETCH",
        )
    elif track is not None:
        yield Finding("track_utility", CheckState.OK, "on")
    planning = settings.get(f"{EXTENSION}.track_planning")
    if planning is not None:
        reason = "off: the reads of planning are in the catalogs line"
        yield Finding("track_planning", CheckState.OK, reason if planning == "off" else "on")
    if facts.version_num >= _PG_14:
        yield from _identifying(facts)


def _identifying(facts: Facts) -> Iterator[Finding]:
    """Yield whether statements have the identifier by which they are counted."""
    name = "compute_query_id"
    queryid = facts.settings.get(name)
    if queryid == "off":
        # Not auto: a server that was started with it off takes auto for off until a restart.
        yield _wrong(facts, name, "on", CheckState.ERROR, "off: no statement is counted")
    elif queryid == "auto" and facts.identifies is False and facts.statements is not None:
        yield Finding(
            name,
            CheckState.ERROR,
            "auto, but it was off when the server started: no statement is counted",
            setting(facts, name, "on"),
        )
    elif queryid is not None:
        yield Finding(name, CheckState.OK, queryid)


def counting(facts: Facts) -> Iterator[Finding]:
    """Yield findings of counters that are off and of statements that are not visible."""
    if facts.settings.get("track_counts") == "off":
        yield _wrong(
            facts,
            "track_counts",
            "on",
            CheckState.ERROR,
            "off: the server's own counters do not change, and coverage is unknown",
        )
    if facts.settings.get("track_activities") == "off":
        yield _wrong(
            facts,
            "track_activities",
            "on",
            CheckState.WARNING,
            "off: running statements are not visible, and their reads appear only when they end",
        )


def timing(facts: Facts) -> Finding:
    """Return whether reads are timed."""
    if facts.settings.get("track_io_timing") == "on":
        return Finding("track_io_timing", CheckState.OK, "on: reads are timed")
    return _wrong(
        facts,
        "track_io_timing",
        "on",
        CheckState.WARNING,
        "off: read times are unknown, and so are the reads that the OS page cache served",
    )
