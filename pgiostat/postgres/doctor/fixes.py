"""Statements that fix findings: each can be run as it is printed."""

import re
from collections.abc import Callable

from pgiostat.escape import identifier, literal
from pgiostat.postgres.doctor.facts import Facts, Override

__all__ = [
    "EXTENSION",
    "MONITORING_ROLE",
    "RESTART",
    "SPOILS",
    "is_ours",
    "is_preloaded",
    "placed",
    "preload",
    "preloaded",
    "reset",
    "scope_of",
    "set_for",
    "setting",
]

EXTENSION = "pg_stat_statements"
MONITORING_ROLE = (
    "CREATE ROLE pgiostat LOGIN; GRANT pg_read_all_stats TO pgiostat; -- then \\password pgiostat"
)
"""The role for pgiostat, without a password: an example might be used unchanged."""
RESTART = "restart the server: the new value is set and takes effect then"
OFF = frozenset({"off", "false", "0", "no"})
SPOILS = {
    f"{EXTENSION}.track": (frozenset({"none"}), "nothing is counted"),
    f"{EXTENSION}.track_utility": (OFF, "utility statements are not counted"),
    "compute_query_id": (OFF, "nothing is counted"),
    "track_io_timing": (OFF, "reads are not timed"),
    "track_counts": (OFF, "the server's own counters do not change"),
    "track_activities": (OFF, "running statements are not visible"),
}
"""Values of settings that spoil the numbers, and how."""

_LIBRARY = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^",][^,]*?))\s*(?:,|$)')
_WRITES = ("CREATE ", "GRANT ", "ALTER EXTENSION ", "ALTER ROLE ", "ALTER DATABASE ")
"""First words of statements that write to catalogs.

ALTER SYSTEM is not one: it runs on a standby, which has settings of its own.
"""


def setting(
    facts: Facts,
    name: str,
    value: str,
    *,
    restart: bool = False,
    accepts: Callable[[str], bool] | None = None,
) -> str:
    """Return the statement that changes a setting, for our session too.

    Args:
        accepts: Whether a value that is set and waits for a restart is as good as this one.
    """
    if facts.sources.get(name) == "client":
        return f"remove {name} from the options of the connection (options=, PGOPTIONS)"
    if resets := [reset(each) for each in facts.overrides if _decides(facts, each, name)]:
        return " ".join(resets)
    if facts.sources.get(name) == "command line":
        # ALTER SYSTEM would set it for nobody: the command line comes before all files.
        return f"start the server with {name} = {value}: its command line sets it"
    if name in facts.pending:
        waiting = facts.pending[name]
        if waiting is None or (accepts(waiting) if accepts else waiting == value):
            return RESTART
    apply = "-- then restart the server" if restart else "SELECT pg_reload_conf();"
    return f"ALTER SYSTEM SET {name} = {value}; {apply}"


def is_ours(facts: Facts, override: Override) -> bool:
    """Return whether it applies to our own session, and shows in our settings."""
    role = facts.session_user or facts.user
    return override.database in {"", facts.dbname} and override.role in {"", role}


def set_for(facts: Facts, name: str) -> str:
    """Return for whom a setting has the value that our session sees, if not for all.

    What the server itself has is not known then.
    """
    if facts.sources.get(name) == "client":
        return "this connection"
    return " and ".join(scope_of(each) for each in facts.overrides if _decides(facts, each, name))


def scope_of(override: Override) -> str:
    """Return whom a setting of a database or role is for."""
    named = [f'role "{override.role}"'] if override.role else []
    named += [f'database "{override.database}"'] if override.database else []
    return " in ".join(named)


def _decides(facts: Facts, override: Override, name: str) -> bool:
    """Return whether an override sets the value, or would without another override."""
    if override.name != name or not is_ours(facts, override):
        return False
    spoiling, _ = SPOILS.get(name, (frozenset(), ""))
    return override.value.lower() in {*spoiling, facts.settings.get(name)}


def reset(override: Override) -> str:
    """Return what ends a setting of a database or role."""
    database, role = identifier(override.database), identifier(override.role)
    if not override.role:
        return f"ALTER DATABASE {database} RESET {override.name};"
    where = f" IN DATABASE {database}" if override.database else ""
    return f"ALTER ROLE {role}{where} RESET {override.name};"


def preloaded(value: str) -> list[str]:
    """Return the libraries that a value of shared_preload_libraries names.

    >>> preloaded('auto_explain, "my ""own"", one" ,$libdir/pg_stat_statements')
    ['auto_explain', 'my "own", one', '$libdir/pg_stat_statements']
    >>> preloaded("")
    []
    """
    return [
        quoted.replace('""', '"') if quoted else plain
        for quoted, plain in _LIBRARY.findall(value)
        if quoted or plain
    ]


def is_preloaded(library: str, value: str) -> bool:
    """Return whether a value of shared_preload_libraries loads a library, with or without a path.

    >>> is_preloaded("pg_stat_statements", "auto_explain,$libdir/pg_stat_statements.so")
    True
    """
    names = (name.rsplit("/", 1)[-1].removesuffix(".so") for name in preloaded(value))
    return library in names


def preload(facts: Facts, *libraries: str) -> str:
    """Return what preloads libraries, beside those that are or will be.

    Each is a literal of its own: of one literal for all the server would make one name.
    """
    name = "shared_preload_libraries"
    there = facts.pending.get(name) or facts.settings.get(name) or ""
    missing = [each for each in libraries if not is_preloaded(each, there)]
    each = [literal(library) for library in preloaded(there) + missing]
    return setting(facts, name, ", ".join(each), restart=True, accepts=lambda _: not missing)


def placed(facts: Facts, statement: str) -> str:
    """Return a fix, with a note if it is to be run on the primary: a standby takes no writes."""
    if facts.in_recovery and statement.startswith(_WRITES):
        return f"{statement} -- on the primary"
    return statement
