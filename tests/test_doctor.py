"""The doctor: each fault on its own, several at once, and real servers."""

import json
from dataclasses import replace

import pytest
from psycopg.conninfo import make_conninfo

from pgiostat.doctor import Facts, Finding, Override, State, Statements, examine, findings, verdict
from pgiostat.render import doctor as render
from tests.conftest import MakeServer
from tests.readings import at
from tests.test_cli import pgiostat
from tests.workloads import client

SETTINGS = {
    "shared_preload_libraries": "auto_explain, pg_stat_statements",
    "pg_stat_statements.max": "5000",
    "pg_stat_statements.track": "top",
    "pg_stat_statements.track_utility": "on",
    "pg_stat_statements.track_planning": "off",
    "compute_query_id": "auto",
    "track_counts": "on",
    "track_io_timing": "on",
    "io_method": "sync",
}
STATEMENTS, KCACHE = "pg_stat_statements", "pg_stat_kcache"
BOTH = {STATEMENTS: ("1.12", "1.12"), KCACHE: ("2.3", "2.3")}
RESTART = "-- then restart the server"
PRELOAD = "ALTER SYSTEM SET shared_preload_libraries = "
GOOD = Facts(
    host="db:5432", dbname="app", version="18.4", version_num=180004, user="pgiostat",
    is_superuser=False, reads_all_stats=True, in_recovery=False, started=at(-86_400 * 9),
    now=at(0), extensions=BOTH,
    settings=SETTINGS,
    statements=Statements("public", "1.12", 800, 0, 3, at(-86_400 * 9), 300_000, 4.0),
    clock_ns=30.0, resets={"pg_stat_io": at(-86_400 * 9)},
)  # fmt: skip


def there() -> Statements:
    assert GOOD.statements is not None
    return GOOD.statements


def graver(facts: Facts) -> dict[str, tuple[str, str, str]]:
    """Return what is not ok: state, reason and what mends it, by aspect."""
    return {
        found.aspect: (found.state.value, found.reason, found.mend)
        for found in findings(facts)
        if found.state is not State.OK
    }


def setting(**changed: str | None) -> Facts:
    """Return the good server with other settings; names with dots are given with __."""
    return replace(GOOD, settings=SETTINGS | {k.replace("__", "."): v for k, v in changed.items()})


def test_a_perfect_server_is_ready() -> None:
    assert graver(GOOD) == {}
    assert verdict(findings(GOOD)) == "ready"


FAULTS = [
    (
        setting(shared_preload_libraries="auto_explain"),
        "preloaded", "error",
        f"{PRELOAD}'auto_explain, pg_stat_statements'; {RESTART}",
    ),
    (setting(shared_preload_libraries=""), "preloaded", "error",
     f"{PRELOAD}'pg_stat_statements'; {RESTART}"),
    (replace(GOOD, extensions=BOTH | {STATEMENTS: ("1.12", "")}, statements=None),
     "extension", "error", "CREATE EXTENSION pg_stat_statements;"),
    (replace(GOOD, extensions={"pg_stat_kcache": ("2.3", "2.3")}, statements=None),
     "extension", "error", "install PostgreSQL's contrib modules"),
    (replace(GOOD, extensions=BOTH | {STATEMENTS: ("1.12", "1.10")}),
     "extension", "note", "ALTER EXTENSION pg_stat_statements UPDATE;"),
    (setting(pg_stat_statements__track="none"), "track", "error",
     "ALTER SYSTEM SET pg_stat_statements.track = top; SELECT pg_reload_conf();"),
    (setting(pg_stat_statements__track_utility="off"), "track_utility", "warning",
     "ALTER SYSTEM SET pg_stat_statements.track_utility = on; SELECT pg_reload_conf();"),
    (setting(compute_query_id="off"), "compute_query_id", "error",
     "ALTER SYSTEM SET compute_query_id = auto; SELECT pg_reload_conf();"),
    (setting(track_io_timing="off"), "track_io_timing", "warning",
     "ALTER SYSTEM SET track_io_timing = on; SELECT pg_reload_conf();"),
    (replace(GOOD, clock_ns=1200.0), "clock", "warning",
     "see pg_test_timing and the kernel's clock source"),
    (replace(GOOD, statements=replace(there(), dealloc=500, entries=4700)), "evictions", "warning",
     "ALTER SYSTEM SET pg_stat_statements.max = 10000; -- then restart the server"),
    (replace(GOOD, refused="pg_stat_statements is not preloaded on this server", statements=None,
             settings=SETTINGS | {"shared_preload_libraries": None}, remedy="Add it."),
     ["preloaded", "extension"], "error", "Add it."),
    (replace(setting(shared_preload_libraries=""), pending=frozenset({"shared_preload_libraries"})),
     "preloaded", "error", "restart the server: it is set, and waits for that"),
    (setting(track_counts="off"), "track_counts", "error",
     "ALTER SYSTEM SET track_counts = on; SELECT pg_reload_conf();"),
    (replace(setting(track_io_timing="off"),
             overrides=(Override("app", "", "track_io_timing", "off"),)),
     "track_io_timing", "warning", 'ALTER DATABASE "app" RESET track_io_timing;'),
    (replace(GOOD, overrides=(Override("shop", "", "pg_stat_statements.track", "none"),
                              Override("shop", "", "work_mem", "1GB"))),
     "overridden", "warning", 'ALTER DATABASE "shop" RESET pg_stat_statements.track;'),
    (replace(GOOD, overrides=(Override("app", 'a"b', "track_io_timing", "off"),)),
     "overridden", "warning",
     'ALTER ROLE "a""b" IN DATABASE "app" RESET track_io_timing;'),
    (replace(GOOD, statements=replace(there(), text_bytes=2**30)), "texts", "warning", ""),
    (replace(GOOD, statements=replace(there(), text_bytes=None)), "texts", "unknown", ""),
    (replace(GOOD, reads_all_stats=False, statements=replace(there(), hidden=790)),
     "privileges", "warning", 'GRANT pg_read_all_stats TO "pgiostat";'),
    (replace(GOOD, is_superuser=True), "privileges", "note", ""),
    (replace(GOOD, resets={"pg_stat_io": at(-3600)}), "resets", "warning", ""),
    (replace(GOOD, pooled=True), "pooler", "warning", "connect to the server itself"),
    (replace(GOOD, other_pid=True), "pooler", "warning", "connect to the server itself"),
    (replace(GOOD, in_recovery=True), "role", "note", ""),
    (setting(io_method="worker"), "io_method", "note", ""),
    (replace(GOOD, extensions=BOTH | {KCACHE: ("2.3", "")}),
     "pg_stat_kcache", "note", "CREATE EXTENSION pg_stat_kcache;"),
    (replace(GOOD, statements=replace(there(), read_ms=900.0)), "reading", "warning", ""),
]  # fmt: skip


@pytest.mark.parametrize(("facts", "aspect", "state", "mend"), FAULTS)
def test_each_fault_is_found_and_no_other(
    facts: Facts, aspect: str | list[str], state: str, mend: str
) -> None:
    found = graver(facts)
    aspects = [aspect] if isinstance(aspect, str) else aspect
    assert list(found) == aspects
    assert (found[aspects[0]][0], found[aspects[0]][2]) == (state, mend)


def test_evictions_are_told_by_the_hour_and_not_of_a_maximum_that_is_not_full() -> None:
    full = replace(GOOD, statements=replace(there(), dealloc=432, entries=4800))
    assert graver(full)["evictions"][1] == (
        "2 rounds an hour: 432 rounds in 216 h 0 min since the last reset, each of a twentieth of"
        " the entries: what evicted statements read is lost; read more often, or"
    )
    spare = replace(GOOD, statements=replace(there(), dealloc=432, entries=400))
    assert graver(spare) == {}


def test_a_clock_too_quick_to_be_measured_is_no_figure() -> None:
    told = {each.aspect: each.reason for each in findings(replace(GOOD, clock_ns=0.0))}
    assert told["clock"] == "timing costs less than 10 ns a read"


def test_several_faults_are_all_found() -> None:
    facts = replace(
        setting(track_io_timing="off", pg_stat_statements__track="none"),
        reads_all_stats=False,
        pooled=True,
    )
    assert list(graver(facts)) == ["track", "track_io_timing", "privileges", "pooler"]
    assert verdict(findings(facts)) == "not ready: 1 error, 3 warnings"


def test_a_reset_at_the_start_of_a_server_is_nobodys() -> None:
    young = replace(GOOD, started=at(-3600), resets={"pg_stat_database": at(-3590)})
    assert graver(young) == {}
    assert findings(young)[-6] == Finding(
        "resets", State.OK, "none in the last day; the server is up for 1 h 0 min"
    )


def test_before_19_evictions_are_not_told_and_nested_count_twice() -> None:
    facts = replace(
        setting(pg_stat_statements__track="all"),
        statements=replace(there(), dealloc=None, stats_reset=None),
    )
    assert {aspect: state for aspect, (state, _, _) in graver(facts).items()} == {
        "track": "warning", "evictions": "unknown",
    }  # fmt: skip


def test_forms() -> None:
    found = findings(setting(track_io_timing="off"))
    told = json.loads(render.as_json(GOOD, found))
    assert told["verdict"] == "ready, with 1 warning"
    assert [each["aspect"] for each in told["findings"]] == [each.aspect for each in found]
    page = render.as_markdown(GOOD, found)
    assert page.startswith("**pgiostat@db:5432/app  PostgreSQL 18.4**: ready, with 1 warning.")


# real servers


def test_a_good_server_and_who_asks(make_server: MakeServer) -> None:
    server = make_server()
    with client(server.dsn()) as other:
        other.execute("CREATE EXTENSION pg_stat_statements")
        for role in ("plain", "watcher"):
            other.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'".encode())
        other.execute("GRANT pg_monitor TO watcher")
        major = other.info.server_version // 10_000
    states = {}
    for role in ("postgres", "watcher", "plain"):
        theirs = make_conninfo(server.dsn(), user=role, password="x")
        asked = server.dsn() if role == "postgres" else theirs
        states[role] = {each.aspect: each.state.value for each in findings(examine(asked))}
    for role, privileges in (("postgres", "note"), ("watcher", "ok"), ("plain", "warning")):
        assert states[role].pop("privileges") == privileges
        assert states[role].pop("clock") in {"ok", "note"}  # this machine's
        assert states[role].pop("texts") == ("ok" if role == "postgres" else "unknown")
        assert states[role].pop("evictions") == ("ok" if major > 13 else "unknown")
        assert states[role].pop("pg_stat_kcache") == "note"
        assert states[role].pop("io_method", "note") == "note"
        assert set(states[role].values()) == {"ok"}, states[role]


def test_faults_of_a_server(make_server: MakeServer) -> None:
    spoiled: dict[str, str | int | bool] = {
        "pg_stat_statements.track": "none",
        "pg_stat_statements.track_utility": False,
        "track_io_timing": False,
    }
    server = make_server(**spoiled)
    ended = pgiostat("doctor", server.dsn())
    assert ended.returncode == 1
    assert "CREATE EXTENSION pg_stat_statements;" in ended.stdout
    with client(server.dsn()) as other:
        other.execute("CREATE SCHEMA away")
        other.execute("CREATE EXTENSION pg_stat_statements SCHEMA away")
    found = {each.aspect: each for each in examined(server.dsn())}
    assert found["extension"].state is State.OK
    assert found["extension"].reason.endswith('in schema "away"')
    assert found["track"].state is State.ERROR
    assert found["track_utility"].state is State.WARNING
    assert found["track_io_timing"].state is State.WARNING
    ended = pgiostat("doctor", server.dsn())
    assert ended.stdout.splitlines()[-1] == "not ready: 1 error, 2 warnings"
    (other_database,) = findings_of(server.dsn("template1"), "extension")
    assert '"postgres"' in other_database.reason


def examined(dsn: str) -> tuple[Finding, ...]:
    return findings(examine(dsn, wait=lambda _: None))


def findings_of(dsn: str, aspect: str) -> list[Finding]:
    return [each for each in examined(dsn) if each.aspect == aspect]


def test_a_server_that_did_not_preload_it(make_server: MakeServer) -> None:
    server = make_server(shared_preload_libraries="auto_explain")
    with client(server.dsn()) as other:
        other.execute("CREATE EXTENSION pg_stat_statements")
    (loaded,) = findings_of(server.dsn(), "preloaded")
    assert loaded.mend == f"{PRELOAD}'auto_explain, pg_stat_statements'; {RESTART}"
    (extension,) = findings_of(server.dsn(), "extension")
    assert extension.state is State.ERROR
    assert extension.reason == "pg_stat_statements is not preloaded on this server"
    with client(server.dsn()) as other:
        other.execute("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
        other.execute("SELECT pg_reload_conf()")
    (loaded,) = findings_of(server.dsn(), "preloaded")
    assert loaded.mend == "restart the server: it is set, and waits for that"


def test_settings_of_others_and_a_schema_that_is_closed(make_server: MakeServer) -> None:
    server = make_server()
    with client(server.dsn()) as other:
        other.execute("CREATE SCHEMA closed")
        other.execute("CREATE EXTENSION pg_stat_statements SCHEMA closed")
        other.execute("CREATE DATABASE shop")
        other.execute("ALTER DATABASE shop SET pg_stat_statements.track = 'none'")
        other.execute("ALTER ROLE postgres IN DATABASE postgres SET track_io_timing = off")
        other.execute("CREATE ROLE plain LOGIN PASSWORD 'plain'")
    found = {each.aspect: each for each in examined(server.dsn())}
    assert found["overridden"].mend == 'ALTER DATABASE "shop" RESET pg_stat_statements.track;'
    assert found["track_io_timing"].mend == (
        'ALTER ROLE "postgres" IN DATABASE "postgres" RESET track_io_timing;'
    )
    assert found["clock"].state is not State.UNKNOWN
    as_plain = make_conninfo(server.dsn(), user="plain", password="plain", passfile="/nowhere")
    (extension,) = findings_of(as_plain, "extension")
    assert (extension.state, extension.reason, extension.mend) == (
        State.ERROR,
        'plain may not use schema "closed", where pg_stat_statements is',
        'GRANT USAGE ON SCHEMA "closed" TO "plain";',
    )


@pytest.mark.pg(">=14")
def test_evictions_and_a_reset(make_server: MakeServer) -> None:
    server = make_server(**{"pg_stat_statements.max": 100})
    with client(server.dsn()) as other:
        other.execute("CREATE EXTENSION pg_stat_statements")
        for i in range(400):
            other.execute(f"SELECT {', '.join(['1'] * (i % 200 + 1))} AS a{i}".encode())
    (found,) = findings_of(server.dsn(), "evictions")
    assert found.state is State.WARNING
    assert "pg_stat_statements.max = 200;" in found.mend


@pytest.mark.once
def test_strict_takes_warnings_for_errors_and_no_server_is_told(make_server: MakeServer) -> None:
    server = make_server(track_io_timing=False)
    with client(server.dsn()) as other:
        other.execute("CREATE EXTENSION pg_stat_statements")
    assert pgiostat("doctor", server.dsn()).returncode == 0
    assert pgiostat("doctor", server.dsn(), "--strict").returncode == 1
    told = json.loads(pgiostat("doctor", server.dsn(), "--format", "json").stdout)
    assert told["verdict"].startswith("ready, with 1 warning")
    away = pgiostat("doctor", "host=127.0.0.1 port=1 dbname=x")
    assert (away.returncode, away.stdout) == (1, "")
    assert away.stderr.startswith("pgiostat: error: could not connect")
