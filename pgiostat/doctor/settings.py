"""Settings that decide what is counted: as they should be or not, for us and for others."""

from collections.abc import Iterator

from pgiostat.doctor.facts import Facts, Override
from pgiostat.doctor.finding import Finding, State

__all__ = ["EXTENSION", "counting", "overridden", "setting", "timing", "tracking"]

EXTENSION = "pg_stat_statements"
_PG_14 = 140000


def setting(facts: Facts, name: str, value: str, *, restart: bool = False) -> str:
    """Return what sets a setting, for our session too."""
    for each in facts.overrides:
        if each.name == name and _is_ours(facts, each):
            return _reset(each)
    if name in facts.pending:
        return "restart the server: it is set, and waits for that"
    apply = "-- then restart the server" if restart else "SELECT pg_reload_conf();"
    return f"ALTER SYSTEM SET {name} = {value}; {apply}"


def _is_ours(facts: Facts, override: Override) -> bool:
    """Return whether our own session has it, so that it is seen in our settings."""
    return override.database in {"", facts.dbname} and override.role in {"", facts.user}


def _reset(override: Override) -> str:
    """Return what ends a setting of a database or role."""
    database, role = (f'"{name.replace(chr(34), chr(34) * 2)}"'
                      for name in (override.database, override.role))  # fmt: skip
    if not override.role:
        return f"ALTER DATABASE {database} RESET {override.name};"
    where = f" IN DATABASE {database}" if override.database else ""
    return f"ALTER ROLE {role}{where} RESET {override.name};"


OFF = frozenset({"off", "false", "0", "no"})
SPOILS = {
    f"{EXTENSION}.track": (frozenset({"none"}), "nothing is counted"),
    f"{EXTENSION}.track_utility": (
        {"off", "false", "0", "no"},
        "utility statements are not counted",
    ),
    "compute_query_id": (OFF, "nothing is counted"),
    "track_io_timing": (OFF, "reads are not timed"),
    "track_counts": (OFF, "the server's own counters stand still"),
}
"""Values of settings that spoil the numbers, and how."""


def overridden(facts: Facts) -> Iterator[Finding]:
    """Yield what is set for others than our session: we would not see it in our settings."""
    for each in facts.overrides:
        values, meaning = SPOILS.get(each.name, (frozenset(), ""))
        if each.value.lower() not in values or _is_ours(facts, each):
            continue
        whose = [f'role "{each.role}"'] if each.role else []
        whose += [f'database "{each.database}"'] if each.database else []
        yield Finding(
            "overridden", State.WARNING,
            f"{' in '.join(whose)}: {each.name} is {each.value}: {meaning}", _reset(each),
        )  # fmt: skip


def tracking(facts: Facts) -> Iterator[Finding]:
    """Yield what pg_stat_statements tracks."""
    settings = facts.settings
    track = settings.get(f"{EXTENSION}.track")
    name = f"{EXTENSION}.track"
    nested = facts.statements is None or facts.statements.dealloc is not None
    if track == "none":
        yield Finding("track", State.ERROR, "nothing is counted", setting(facts, name, "top"))
    elif track == "all" and not nested:
        yield Finding(
            "track", State.WARNING,
            "all: nested statements cannot be told before 1.9, their reads are counted twice",
            setting(facts, name, "top"),
        )  # fmt: skip
    elif track is not None:
        meaning = "all: nested statements too, apart" if track == "all" else f"{track}"
        yield Finding("track", State.OK, meaning)
    if settings.get(f"{EXTENSION}.track_utility") == "off":
        yield Finding(
            "track_utility", State.WARNING,
            "off: what COPY, CREATE INDEX, VACUUM and FETCH read is in no statement",
            setting(facts, f"{EXTENSION}.track_utility", "on"),
        )  # fmt: skip
    elif track is not None:
        yield Finding("track_utility", State.OK, "on")
    planning = settings.get(f"{EXTENSION}.track_planning")
    if planning is not None:
        told = "off: what planning reads is on the line of catalogs"
        yield Finding("track_planning", State.OK, told if planning == "off" else "on")
    if facts.version_num >= _PG_14:
        queryid = settings.get("compute_query_id")
        if queryid == "off":
            yield Finding(
                "compute_query_id", State.ERROR, "off: no statement is counted",
                setting(facts, "compute_query_id", "auto"),
            )  # fmt: skip
        elif queryid is not None:
            yield Finding("compute_query_id", State.OK, queryid)


def counting(facts: Facts) -> Iterator[Finding]:
    """Yield that the server's own counters stand still, if they do."""
    if facts.settings.get("track_counts") == "off":
        yield Finding(
            "track_counts", State.ERROR,
            "off: the server's own counters stand still, and nothing can be held against them",
            setting(facts, "track_counts", "on"),
        )  # fmt: skip


def timing(facts: Facts) -> Finding:
    """Return whether reads are timed."""
    if facts.settings.get("track_io_timing") == "on":
        return Finding("track_io_timing", State.OK, "on: reads are timed")
    return Finding(
        "track_io_timing", State.WARNING,
        "off: how long reads take is not known, nor which came from the system's cache",
        setting(facts, "track_io_timing", "on"),
    )  # fmt: skip
