"""Findings of a doctor: what is right, what is wrong, and how to fix it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from pgiostat.escape import identifier
from pgiostat.postgres.doctor.check import CheckState, Finding
from pgiostat.postgres.doctor.facts import Facts, Statements
from pgiostat.postgres.doctor.fixes import (
    EXTENSION,
    MONITORING_ROLE,
    RESTART,
    is_preloaded,
    placed,
    preload,
    setting,
)
from pgiostat.postgres.doctor.releases import release
from pgiostat.postgres.doctor.settings import counting, overridden, timing, tracking
from pgiostat.postgres.sent_sql import IO_WORKERS
from pgiostat.statistics.capabilities import grant
from pgiostat.units import (
    format_bytes,
    format_count,
    format_counted,
    format_duration,
    format_ms,
    format_share,
)

__all__ = ["findings", "verdict"]

KCACHE = "pg_stat_kcache"
NOT_PRELOADED = f"{EXTENSION} is not preloaded on this server"
PERHAPS_PRELOAD = (
    f"check shared_preload_libraries as a superuser or a member of pg_monitor; if it does not name"
    f" {EXTENSION}, add that and restart the server (on RDS: in the parameter group)"
)
FULL = 0.95
SPARE_ENTRIES = 0.8
FEW_TEXTS = 0.05
"""With a smaller share of unreadable texts the other statements can be distinguished."""
EVICTIONS_PER_HOUR = 1.0
LARGE_TEXTS = 256 * 1024 * 1024
MIN_CLOCK_NS = 10.0
"""A smaller value cannot be measured over a network."""
SLOW_CLOCK_NS, WORST_CLOCK_NS = 100.0, 1000.0
CLOCK_PER_READ = 2
"""The server reads the clock before and after each timed read."""
USUAL_INTERVAL_MS = 10_000.0
CHEAP_SHARE, DEAR_SHARE = 0.01, 0.05
RECENTLY = timedelta(days=1)
AT_START = timedelta(minutes=1)
_PG_18 = 180000


def findings(facts: Facts) -> tuple[Finding, ...]:
    """Return the findings of a server, in the order in which they are to be fixed."""
    return tuple(replace(each, fix=placed(facts, each.fix)) for each in _findings(facts))


def verdict(found: Sequence[Finding]) -> str:
    """Return a sentence; "ready" alone only where nothing limits it."""
    errors, warnings = (
        sum(finding.state is state for finding in found)
        for state in (CheckState.ERROR, CheckState.WARNING)
    )
    reason = format_counted(warnings, "warning")
    if errors:
        return f"not ready: {format_counted(errors, 'error')}, {reason}"
    names = dict.fromkeys(each.aspect for each in found if each.state is CheckState.WARNING)
    unknown = [
        f"{each.aspect} ({each.reason})" for each in found if each.state is CheckState.UNKNOWN
    ]
    limits = [f"with {reason}: {', '.join(names)}"] if warnings else []
    limits += [f"not checked: {', '.join(unknown)}"] if unknown else []
    return f"ready, {'; '.join(limits)}" if limits else "ready"


def _findings(facts: Facts) -> Iterator[Finding]:
    yield from _installed(facts)
    yield from _genuine(facts)
    yield from release(facts)
    yield from tracking(facts)
    yield from counting(facts)
    yield from overridden(facts)
    yield timing(facts)
    yield _clock(facts)
    if facts.statements is not None:
        if facts.statements.unknown:
            yield Finding("version", CheckState.NOTE, facts.statements.unknown, "update pgiostat")
        yield from _room(facts, facts.statements)
    yield _privileges(facts)
    if facts.statements is not None:
        yield from _readable(facts.statements)
    yield from _resets(facts)
    yield from _connection(facts)
    yield from _optional(facts)
    if facts.statements is not None:
        yield _cost(facts.statements)


def _installed(facts: Facts) -> Iterator[Finding]:
    yield _preloaded(facts)
    default, installed = facts.extensions.get(EXTENSION, ("", ""))
    if not default:
        yield Finding(
            "extension",
            CheckState.ERROR,
            f"{EXTENSION} is not available on this server",
            "install PostgreSQL's contrib modules",
        )
    elif not installed:
        there = ", ".join(f'"{name}"' for name in facts.elsewhere)
        reason = f'{EXTENSION} is not installed in database "{facts.dbname}"'
        if there:
            reason += f"; it is installed in {there}; one database shows the statements of all"
        fix = f"connect to {there}" if there else f"CREATE EXTENSION {EXTENSION};"
        yield Finding("extension", CheckState.ERROR, reason, fix)
    elif facts.statements is None:
        reason = facts.refused or f"{EXTENSION} cannot be read"
        # The fix is shown once.
        remedy = "" if reason.startswith(NOT_PRELOADED) else facts.remedy
        yield Finding("extension", CheckState.ERROR, reason, remedy)
    elif installed != default:
        yield Finding(
            "extension",
            CheckState.NOTE if facts.statements.dealloc is not None else CheckState.WARNING,
            f'version {installed} in schema "{facts.statements.schema}"; {default} reports more',
            f"ALTER EXTENSION {EXTENSION} UPDATE;",
        )
    else:
        where = (
            f'version {installed}, the newest available here, in schema "{facts.statements.schema}"'
        )
        yield Finding("extension", CheckState.OK, where)


def _preloaded(facts: Facts) -> Finding:
    libraries = facts.settings.get("shared_preload_libraries")
    if libraries is None:
        if facts.statements is not None:
            return Finding("preloaded", CheckState.OK, f"{EXTENSION} responds")
        if facts.refused.startswith(NOT_PRELOADED):
            return Finding("preloaded", CheckState.ERROR, NOT_PRELOADED, facts.remedy)
        reason = f"{facts.user} cannot read shared_preload_libraries"
        return Finding("preloaded", CheckState.UNKNOWN, reason, PERHAPS_PRELOAD)
    if is_preloaded(EXTENSION, libraries):
        return Finding("preloaded", CheckState.OK, f"{EXTENSION} is in shared_preload_libraries")
    fix = preload(facts, EXTENSION)
    reason = f"{EXTENSION} is not in shared_preload_libraries (on RDS: the parameter group)"
    if fix == RESTART:
        reason = f"{EXTENSION} is set in shared_preload_libraries, and waits for a restart"
    return Finding("preloaded", CheckState.ERROR, reason, fix)


def _genuine(facts: Facts) -> Iterator[Finding]:
    """Yield what others could put, or have put, in the place of the extension's objects."""
    for each in facts.foreign_objects:
        name = f"{identifier(each.schema)}.{identifier(each.name)}{each.arguments}"
        owner = f" of {each.owner}" if each.owner else ""
        yield Finding(
            "look-alike",
            CheckState.WARNING,
            f"{each.kind} {name}{owner} is not a member of the extension; pgiostat does not"
            " call it, but other tools and users may",
            f"if it is not needed: DROP {each.kind.upper()} {name};",
        )
    there = facts.statements
    if there is None:
        return
    if there.is_schema_open:
        yield Finding(
            "schema",
            CheckState.NOTE,
            f'every role may create objects in schema "{there.schema}", next to the extension\'s;'
            " pgiostat calls only the extension's",
            f"REVOKE CREATE ON SCHEMA {identifier(there.schema)} FROM PUBLIC;",
        )
    if there.untrusted:
        names = " and ".join(identifier(name) for name in there.untrusted)
        yield Finding(
            "owner",
            CheckState.WARNING,
            f"{names} can replace {EXTENSION}'s functions: a role that is not a superuser owns the"
            f' extension, its schema "{there.schema}" or the database',
            "install the extension in a database that a superuser owns, and connect there",
        )


def _clock(facts: Facts) -> Finding:
    if facts.clock_ns is None:
        return Finding("clock", CheckState.UNKNOWN, "the cost of timing could not be measured")
    each = CLOCK_PER_READ * facts.clock_ns
    if each < MIN_CLOCK_NS:
        return Finding(
            "clock", CheckState.OK, f"timing costs less than {MIN_CLOCK_NS:g} ns per read"
        )
    reason = (
        f"timing costs about {format_count(each)} ns per read: {format_share(each / 1e9 * 1e5)}"
    )
    reason += " of a core at 100,000 reads/s"
    if facts.clock_ns >= WORST_CLOCK_NS:
        fix = "see pg_test_timing and the kernel's clock source"
        return Finding("clock", CheckState.WARNING, reason, fix)
    return Finding(
        "clock", CheckState.OK if facts.clock_ns < SLOW_CLOCK_NS else CheckState.NOTE, reason
    )


def _room(facts: Facts, there: Statements) -> Iterator[Finding]:
    most = facts.settings.get(f"{EXTENSION}.max")
    if most is None or not most.isdigit():
        yield Finding("entries", CheckState.UNKNOWN, f"{EXTENSION}.max cannot be read")
        return
    larger = setting(
        facts,
        f"{EXTENSION}.max",
        str(int(most) * 2),
        restart=True,
        accepts=lambda waiting: waiting.isdigit() and int(waiting) > int(most),
    )
    reason = f"{format_count(there.entries)} of {format_count(int(most))}"
    full = there.entries >= FULL * int(most)
    yield Finding("entries", CheckState.NOTE if full else CheckState.OK, reason)
    if there.dealloc is None or there.stats_reset is None:
        yield Finding("evictions", CheckState.UNKNOWN, f"not reported before {EXTENSION} 1.9")
    else:
        hours = max((facts.now - there.stats_reset).total_seconds() / 3600, 1e-9)
        rate = there.dealloc / max(hours, 1.0)
        since = f"in {format_duration(hours * 3600)} since the last reset"
        count = format_counted(there.dealloc, "deallocation")
        reason = f"{count} {since}, each of 5 % of the entries"
        if hours >= 1:
            reason = f"{format_counted(rate, 'deallocation')} per hour: {reason}"
        if there.entries < SPARE_ENTRIES * int(most):
            # A deallocation leaves 95 %: there has been none at this maximum.
            yield Finding(
                "evictions",
                CheckState.OK,
                f"none at the current maximum; {reason}" if there.dealloc else "none",
            )
        elif rate >= EVICTIONS_PER_HOUR:
            reason = f"{reason}: reads of evicted statements are lost; shorten the interval, or"
            yield Finding("evictions", CheckState.WARNING, reason, larger)
        else:
            yield Finding("evictions", CheckState.OK, reason)
    if there.text_bytes is None:
        yield Finding(
            "texts",
            CheckState.UNKNOWN,
            f"{facts.user} cannot see the query text file",
            f"GRANT EXECUTE ON FUNCTION pg_stat_file(text, boolean) TO {identifier(facts.user)};",
        )
    else:
        large = there.text_bytes >= LARGE_TEXTS
        yield Finding(
            "texts",
            CheckState.WARNING if large else CheckState.OK,
            f"the query text file has {format_bytes(there.text_bytes)}"
            + (": each query for texts reads the whole file" if large else ""),
        )


def _privileges(facts: Facts) -> Finding:
    if facts.is_superuser:
        return Finding(
            "privileges",
            CheckState.WARNING,
            f"{facts.user} is a superuser: anyone who gets pgiostat's password or its session"
            " controls the server; pg_read_all_stats is enough",
            "connect as pgiostat" if facts.has_monitoring_role else MONITORING_ROLE,
        )
    if facts.reads_all_stats:
        return Finding("privileges", CheckState.OK, f"{facts.user} has pg_read_all_stats")
    hidden = facts.statements.hidden if facts.statements else 0
    reason = f"statements of others are hidden from {facts.user}"
    if hidden:
        reason += f": {format_counted(hidden, 'entry')}"
    # Hidden statements cannot be distinguished, even if all settings are right.
    return Finding(
        "privileges", CheckState.ERROR if hidden else CheckState.WARNING, reason, grant(facts.user)
    )


def _readable(there: Statements) -> Iterator[Finding]:
    """Yield that texts or names are unreadable: without them nothing can be distinguished."""
    if there.unread_texts:
        few = there.unread_texts < FEW_TEXTS * there.entries
        yield Finding(
            "readable",
            CheckState.WARNING if few else CheckState.ERROR,
            f"{format_counted(there.unread_texts, 'text')} of"
            f" {format_counted(there.entries, 'entry')} cannot be read: {there.unreadable}",
            "connect to a database with encoding SQL_ASCII or UTF8",
        )
    elif there.unreadable:
        yield Finding("readable", CheckState.ERROR, there.unreadable)


def _resets(facts: Facts) -> Iterator[Finding]:
    found: dict[str, datetime] = dict(facts.resets or {})
    if facts.statements is not None and facts.statements.stats_reset is not None:
        found[EXTENSION] = facts.statements.stats_reset
    recently = {
        view: facts.now - when
        for view, when in found.items()
        if facts.now - when < RECENTLY and when > facts.started + AT_START
    }
    if recently:
        reason = ", ".join(
            f"{view} {format_duration(age.total_seconds())} ago" for view, age in recently.items()
        )
        yield Finding(
            "resets",
            CheckState.WARNING,
            f"reset while the server was running: {reason}; does a job reset it?",
        )
    else:
        up = format_duration((facts.now - facts.started).total_seconds())
        yield Finding(
            "resets", CheckState.OK, f"none in the last day; the server has been up for {up}"
        )


def _connection(facts: Facts) -> Iterator[Finding]:
    if facts.pooled or facts.other_pid:
        yield Finding(
            "pooler",
            CheckState.WARNING,
            "a pooler is in between and drops our settings: a snapshot may time out late",
            "connect directly to the server",
        )
    else:
        yield Finding("pooler", CheckState.OK, "none")
    if facts.in_recovery:
        yield Finding(
            "role", CheckState.NOTE, "standby: it counts its own reads, not those of the primary"
        )
    else:
        yield Finding("role", CheckState.OK, "primary")


def _optional(facts: Facts) -> Iterator[Finding]:
    method = facts.settings.get("io_method")
    if facts.version_num >= _PG_18 and method is not None:
        reason = f"{method}: read time is time spent waiting for reads"
        if method == "worker":
            found = ((name, facts.settings.get(name)) for name in IO_WORKERS)
            workers = ", ".join(f"{name} {value}" for name, value in found if value)
            reason = reason.replace(method, f"{method} ({workers})" if workers else method, 1)
            reason += ", and pg_stat_kcache does not count them"
        yield Finding("io_method", CheckState.OK if method == "sync" else CheckState.NOTE, reason)
    yield _kcache(facts)


def _kcache(facts: Facts) -> Finding:
    """Return whether physical reads are reported."""
    default, installed = facts.extensions.get(KCACHE, ("", ""))
    libraries = facts.settings.get("shared_preload_libraries")
    is_loaded = libraries is None or is_preloaded(KCACHE, libraries)
    if installed and is_loaded:
        return Finding(KCACHE, CheckState.OK, f"version {installed}")
    if default and not is_loaded:
        # First of all: it can be installed only where it is loaded, and after the one that it
        # counts for.
        fix = preload(facts, EXTENSION, KCACHE)
        return Finding(KCACHE, CheckState.NOTE, "not preloaded: physical reads are unknown", fix)
    fix = f"CREATE EXTENSION {KCACHE};" if default else ""
    return Finding(KCACHE, CheckState.NOTE, "not installed: physical reads are unknown", fix)


def _cost(there: Statements) -> Finding:
    share = there.read_ms / USUAL_INTERVAL_MS
    reason = (
        f"{format_ms(there.read_ms)} for {format_counted(there.entries, 'entry')}:"
        f" {format_share(share)} of a 10 s interval"
    )
    state = CheckState.OK if share < CHEAP_SHARE else CheckState.NOTE
    return Finding("reading", CheckState.WARNING if share >= DEAR_SHARE else state, reason)
