"""Faults of servers, networks, clocks and disks: is anything counted twice, or lost unreported?

A marked statement runs without pause before, during and after each fault, while `pgiostat watch`
and `pgiostat collect` read the server. What the application itself counted is the truth.
"""

import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.attack import Outcome, Scale
from tests.attack._marked import Verdict
from tests.attack._proxy import Network
from tests.attack._stand import FEW, Needs, Stand, Trial, socket_of, stand
from tests.support.servers import ClusterServer

__all__ = ["FAULTS", "attack"]

VERSIONS_AT_ONCE = 3
SHORT_SECONDS = 2.0
OURS = "application_name = 'pgiostat'"
DAY = 86_400


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to do harm.

    Attributes:
        name: What the row of the table is called.
        act: Does it to a trial that runs.
        loses: Whether it may cost something that is reported.
        needs: What it is done to.
        since: The first version that has it.
        last: The last version that has it.
        quick: Whether it is part of the short form.
    """

    name: str
    act: Callable[[Trial], None]
    loses: bool = False
    needs: Needs = field(default_factory=Needs)
    since: int = 13
    last: int = 99
    quick: bool = False


# resets


def _reset_all(trial: Trial) -> None:
    trial.sql("SELECT pg_stat_statements_reset()")


def _reset_one(trial: Trial) -> None:
    for queryid in trial.ids:
        trial.sql(f"SELECT pg_stat_statements_reset(0, 0, {queryid})")


def _reset_database_of_statements(trial: Trial) -> None:
    trial.sql(
        "SELECT pg_stat_statements_reset(0, oid, 0) FROM pg_database"
        " WHERE datname = current_database()"
    )


def _reset_extremes(trial: Trial) -> None:
    trial.sql("SELECT pg_stat_statements_reset(0, 0, 0, true)")


def _reset_database(trial: Trial) -> None:
    trial.sql("SELECT pg_stat_reset()")


def _reset_shared(what: str) -> Callable[[Trial], None]:
    def act(trial: Trial) -> None:
        trial.sql(f"SELECT pg_stat_reset_shared('{what}')")

    return act


# evictions


def _others(trial: Trial, number: int, count: int = 150) -> None:
    """Send so many different statements."""
    with trial.server.connect(trial.database) as connection:
        for width in range(1, count):
            names = ", ".join(f"{column} AS c{number}" for column in range(width))
            connection.execute(f"SELECT {names}".encode())


def _evict_once(trial: Trial) -> None:
    _others(trial, 0)


def _evict_always(trial: Trial) -> None:
    for number in range(12):
        _others(trial, number)


# restarts


def _restart(trial: Trial) -> None:
    with trial.application.still():
        trial.server.restart()


def _restart_immediately(trial: Trial) -> None:
    with trial.application.still():
        trial.server.restart("immediate")


def _kill_backend(trial: Trial) -> None:
    with trial.application.still(), trial.server.connect() as victim:
        trial.server.kill_backend(victim.info.backend_pid)


def _kill_server(trial: Trial) -> None:
    with trial.application.still():
        trial.server.crash()
        trial.server.start()


def _without_preloading(trial: Trial) -> None:
    settings = trial.server.cluster.settings
    for now in ({**settings, "shared_preload_libraries": "auto_explain"}, settings):
        with trial.application.still(reconnect=True):
            trial.server.cluster.settings = now
            trial.server.restart()
            trial.application.is_counted = now is settings
        trial.wait(SHORT_SECONDS)


# the extension


def _recreate(trial: Trial) -> None:
    trial.sql("DROP EXTENSION pg_stat_statements", "CREATE EXTENSION pg_stat_statements")


def _drop_for_a_time(trial: Trial) -> None:
    trial.sql("DROP EXTENSION pg_stat_statements")
    trial.wait(SHORT_SECONDS)
    trial.sql("CREATE EXTENSION pg_stat_statements")


def _move(trial: Trial) -> None:
    trial.sql(
        "CREATE SCHEMA other",
        "GRANT USAGE ON SCHEMA other TO mon",
        "ALTER EXTENSION pg_stat_statements SET SCHEMA other",
    )


def _update(trial: Trial) -> None:
    trial.sql("ALTER EXTENSION pg_stat_statements UPDATE")


# privileges, roles and databases


def _revoke(trial: Trial) -> None:
    trial.sql("REVOKE pg_monitor FROM mon")
    trial.wait(SHORT_SECONDS)
    trial.sql("GRANT pg_monitor TO mon")


def _revoke_execution(trial: Trial) -> None:
    function = "FUNCTION pg_stat_statements(boolean)"
    trial.sql(f"REVOKE EXECUTE ON {function} FROM PUBLIC")
    trial.wait(SHORT_SECONDS)
    trial.sql(f"GRANT EXECUTE ON {function} TO PUBLIC")


def _rename_role(trial: Trial) -> None:
    with trial.application.still(reconnect=True):
        trial.sql("ALTER ROLE app RENAME TO app_renamed")
        trial.application.dsn = make_conninfo(trial.application.dsn, user="app_renamed")
    trial.wait(SHORT_SECONDS)
    with trial.application.still(reconnect=True):
        trial.sql("ALTER ROLE app_renamed RENAME TO app")
        trial.application.dsn = make_conninfo(trial.application.dsn, user="app")


def _remake_role(trial: Trial) -> None:
    with trial.application.still(reconnect=True):
        trial.sql("DROP ROLE app")
    trial.wait(SHORT_SECONDS / 2)
    trial.sql("CREATE ROLE app LOGIN SUPERUSER PASSWORD 'app'")


def _rename_our_role(trial: Trial) -> None:
    trial.sql("ALTER ROLE mon RENAME TO mon_renamed")
    trial.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OURS}")
    trial.wait(SHORT_SECONDS)
    trial.sql("ALTER ROLE mon_renamed RENAME TO mon")


def _remake_our_role(trial: Trial) -> None:
    trial.sql("DROP ROLE mon")
    trial.wait(SHORT_SECONDS)
    trial.sql("CREATE ROLE mon LOGIN PASSWORD 'mon'", "GRANT pg_monitor TO mon")


def _other_databases(trial: Trial) -> None:
    trial.sql("CREATE DATABASE one", "CREATE DATABASE two")
    trial.sql("CREATE TABLE z AS SELECT 1 AS a", database="one")
    trial.wait(SHORT_SECONDS / 2)
    trial.sql(
        "ALTER DATABASE one RENAME TO spare",
        "ALTER DATABASE two RENAME TO one",
        "ALTER DATABASE spare RENAME TO two",
    )
    trial.wait(SHORT_SECONDS / 2)
    trial.sql("DROP DATABASE one", "DROP DATABASE two")


def _remake_database(trial: Trial) -> None:
    """Let the application move to a database that is dropped and made again."""
    name, home = f"{trial.database}_more", trial.application.dsn
    for _ in range(2):
        trial.stand.make_database(name, trial.needs.extension)
        with trial.application.still(reconnect=True):
            trial.application.dsn = trial.dsn("app", database=name)
        trial.wait(SHORT_SECONDS / 2)
        trial.identify(name)
        with trial.application.still(reconnect=True):
            trial.application.dsn = home
            trial.sql(f"DROP DATABASE {name}")


def _rename_our_database(trial: Trial) -> None:
    with trial.application.still(reconnect=True):
        for old, new in ((trial.database, "elsewhere"), ("elsewhere", trial.database)):
            trial.sql(
                f"ALTER DATABASE {old} ALLOW_CONNECTIONS false",
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{old}'",
                "SELECT pg_sleep(0.3)",
                f"ALTER DATABASE {old} RENAME TO {new}",
                f"ALTER DATABASE {new} ALLOW_CONNECTIONS true",
                database="postgres",
            )
            trial.wait(SHORT_SECONDS / 2)


# settings


def _track(value: str) -> Callable[[Trial], None]:
    def act(trial: Trial) -> None:
        for now in (value, "top"):
            with trial.application.still(reconnect=True):
                trial.sql(
                    f"ALTER SYSTEM SET pg_stat_statements.track = '{now}'",
                    "SELECT pg_reload_conf()",
                )
                while trial.sql("SHOW pg_stat_statements.track") != [(now,)]:
                    trial.wait(0.05)
                trial.application.is_counted = now != "none"
            trial.wait(SHORT_SECONDS / 2)

    return act


def _setting(name: str, value: str, *, counts: bool = True) -> Callable[[Trial], None]:
    """Return what sets a setting for a time; counts: whether statements are counted meanwhile."""

    def act(trial: Trial) -> None:
        with trial.application.still(reconnect=True):
            trial.sql(f"ALTER SYSTEM SET {name} = '{value}'", "SELECT pg_reload_conf()")
            trial.wait(0.3)
            trial.application.is_counted = counts
        trial.wait(SHORT_SECONDS)
        with trial.application.still(reconnect=True):
            trial.sql(f"ALTER SYSTEM RESET {name}", "SELECT pg_reload_conf()")
            trial.wait(0.3)
            trial.application.is_counted = True

    return act


# our session


def _terminate(trial: Trial) -> None:
    for _ in range(3):
        trial.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OURS}")
        trial.wait(0.7)


def _cancel(trial: Trial) -> None:
    for _ in range(100):
        trial.sql(f"SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE {OURS}")
        trial.wait(0.01)


def _too_many(trial: Trial) -> None:
    with contextlib.ExitStack() as held:
        trial.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OURS}")
        with contextlib.suppress(psycopg.OperationalError):
            while True:
                dsn = make_conninfo(trial.dsn("mon"), application_name="crowd")
                held.enter_context(contextlib.closing(psycopg.connect(dsn)))
        trial.wait(SHORT_SECONDS)


def _limit_our_role(trial: Trial) -> None:
    trial.sql("ALTER ROLE mon CONNECTION LIMIT 0")
    trial.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OURS}")
    trial.wait(SHORT_SECONDS)
    trial.sql("ALTER ROLE mon CONNECTION LIMIT -1")


def _lock_catalogs(trial: Trial) -> None:
    with trial.server.connect(trial.database) as connection, connection.transaction():
        connection.execute(
            "LOCK TABLE pg_catalog.pg_database, pg_catalog.pg_extension, pg_catalog.pg_depend"
            " IN ACCESS EXCLUSIVE MODE"
        )
        trial.wait(SHORT_SECONDS)


def _stop_our_backends(trial: Trial) -> None:
    backends = [pid for (pid,) in trial.sql(f"SELECT pid FROM pg_stat_activity WHERE {OURS}")]
    for pid in backends:
        os.kill(pid, signal.SIGSTOP)
    try:
        trial.wait(SHORT_SECONDS)
    finally:
        for pid in backends:
            os.kill(pid, signal.SIGCONT)


def _kill_collector(trial: Trial) -> None:
    for _ in range(2):
        trial.collect.again()
        trial.turns(1, of=(trial.collect,))


# the network


def _network(network: Network, seconds: float = SHORT_SECONDS) -> Callable[[Trial], None]:
    def act(trial: Trial) -> None:
        assert trial.proxy is not None
        trial.proxy.network = network
        if network is Network.REFUSES:
            trial.proxy.cut()
        trial.wait(seconds)
        trial.proxy.network = Network.WORKS

    return act


# several servers behind one address


def _switch(trial: Trial, server: ClusterServer) -> None:
    assert trial.proxy is not None
    with trial.application.still(reconnect=True):
        trial.proxy.target = socket_of(server)
        trial.proxy.cut()


def _fail_over_and_back(trial: Trial) -> None:
    for server in (trial.beside, trial.server):
        _switch(trial, server)
        trial.wait(SHORT_SECONDS)


def _fail_over_to_started(trial: Trial) -> None:
    """Switch to a server that has just been started, and keeps the statistics of its past."""
    trial.beside.restart()
    _switch(trial, trial.beside)
    trial.wait(SHORT_SECONDS)


def _fail_over_to_standby(trial: Trial) -> None:
    """Let the server die, and promote the standby."""
    with trial.application.still():
        trial.server.crash()
        with trial.beside.connect() as connection:
            connection.execute("SELECT pg_promote()")
    trial.server = trial.beside
    _switch(trial, trial.server)
    trial.wait(SHORT_SECONDS)


def _promote(trial: Trial) -> None:
    trial.sql("SELECT pg_promote()", database="postgres")
    trial.wait(SHORT_SECONDS / 2)


# clocks


def _clock(*ahead: int, readers: bool = False) -> Callable[[Trial], None]:
    def act(trial: Trial) -> None:
        clock = trial.stand.readers_clock if readers else trial.stand.clock
        assert clock is not None
        for seconds in ahead:
            clock.set_ahead(seconds)
            trial.wait(SHORT_SECONDS / 2)

    return act


# the disk


def _fill_disk(trial: Trial) -> None:
    filler = trial.history.parent / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    trial.wait(SHORT_SECONDS)
    filler.unlink()


PROXIED = Needs(proxy="readers")
BEHIND = Needs(proxy="both", beside="other")
EVICTING = Needs(settings=FEW)
OLD = Needs(extension="1.8")
"""The newest extension that says neither when it was reset nor how often it evicted; it can be kept
on each later version."""

FAULTS = (
    Fault("reset of all statements", _reset_all, loses=True),
    Fault("reset of one statement", _reset_one, loses=True),
    Fault("reset of a database's statements", _reset_database_of_statements, loses=True),
    Fault("reset of minima and maxima", _reset_extremes, since=17),
    Fault("pg_stat_reset()", _reset_database),
    Fault("pg_stat_reset_shared('bgwriter')", _reset_shared("bgwriter")),
    Fault("pg_stat_reset_shared('io')", _reset_shared("io"), since=16),
    Fault("clean restart", _restart),
    Fault("immediate restart", _restart_immediately, loses=True),
    Fault("kill -9 of a backend", _kill_backend, loses=True, quick=True),
    Fault("kill -9 of the server", _kill_server, loses=True),
    Fault("clean restart that keeps no statements", _restart, loses=True,
          needs=Needs(settings={"pg_stat_statements.save": False})),
    Fault("restarts without the library and with it", _without_preloading),
    Fault("extension dropped and created", _recreate),
    Fault("extension dropped temporarily", _drop_for_a_time),
    Fault("extension moved to another schema", _move),
    *(
        Fault(f"extension updated from {version}", _update, loses=last < 17 or version != "1.11",
              needs=Needs(extension=version), since=since, last=last)
        for version, since, last in (
            ("1.7", 13, 13), ("1.8", 14, 99), ("1.9", 15, 99), ("1.10", 17, 99), ("1.11", 18, 99)
        )
    ),
    Fault("privilege revoked and granted", _revoke, loses=True),
    Fault("execution revoked and granted", _revoke_execution),
    Fault("role of the statements renamed", _rename_role),
    Fault("role of the statements dropped and made", _remake_role),
    Fault("our role renamed temporarily", _rename_our_role),
    Fault("our role dropped and made", _remake_our_role, loses=True),
    Fault("databases made, swapped and dropped", _other_databases),
    Fault("database of the statements dropped and made", _remake_database),
    Fault("our database renamed temporarily", _rename_our_database),
    Fault("pg_stat_statements.track none temporarily", _track("none")),
    Fault("pg_stat_statements.track all temporarily", _track("all")),
    Fault("compute_query_id off temporarily", _setting("compute_query_id", "off", counts=False),
          since=14),
    Fault("idle_session_timeout shorter than the interval",
          _setting("idle_session_timeout", "200ms"), since=14),
    Fault("our sessions terminated, three times", _terminate),
    Fault("our statements cancelled again and again", _cancel),
    Fault("too many connections", _too_many),
    Fault("no connection allowed for our role", _limit_our_role),
    Fault("catalogs locked", _lock_catalogs),
    Fault("our backends stopped", _stop_our_backends),
    Fault("collect killed -9 and started, twice", _kill_collector),
    Fault("network refuses", _network(Network.REFUSES), needs=PROXIED),
    Fault("network stalls", _network(Network.STALLS, 4.0), needs=PROXIED),
    Fault("network cuts replies in the middle", _network(Network.CUTS), needs=PROXIED, quick=True),
    Fault("network passes one byte at a time", _network(Network.DRIPS), needs=PROXIED),
    Fault("network flips bits of replies", _network(Network.FLIPS), loses=True, needs=PROXIED),
    Fault("disk of the history full", _fill_disk, needs=Needs(small_disk=True)),
    Fault("another server behind the address, and back", _fail_over_and_back, loses=True,
          needs=BEHIND, quick=True),
    Fault("another server, just started, behind the address", _fail_over_to_started, loses=True,
          needs=BEHIND),
    Fault("server killed, its standby promoted behind the address", _fail_over_to_standby,
          loses=True, needs=Needs(proxy="both", beside="standby")),
    Fault("standby promoted", _promote, needs=Needs(standby=True)),
    Fault("clock of the readers an hour ahead, then behind", _clock(3_600, -3_600, readers=True),
          needs=Needs(skewed=True)),
    Fault("clock of the server an hour ahead and back", _clock(3_600, 0)),
    Fault("clock of the server an hour behind and back", _clock(-3_600, 0)),
    Fault("clock of the server ten years ahead and back", _clock(3_653 * DAY, 0)),
    *(
        Fault(f"{name}, extension 1.8", act, loses=loses, needs=needs, since=14)
        for name, act, loses, needs in (
            ("reset of all statements", _reset_all, True, OLD),
            ("reset of one statement", _reset_one, True, OLD),
            ("clean restart", _restart, False, OLD),
            ("immediate restart", _restart_immediately, True, OLD),
            ("kill -9 of a backend", _kill_backend, True, OLD),
            ("kill -9 of the server", _kill_server, True, OLD),
            ("evictions, once", _evict_once, True, Needs(settings=FEW, extension="1.8")),
            ("evictions without end", _evict_always, True, Needs(settings=FEW, extension="1.8")),
        )
    ),
    Fault("evictions, once", _evict_once, loses=True, needs=EVICTING),
    Fault("evictions without end", _evict_always, loses=True, needs=EVICTING, quick=True),
)  # fmt: skip

NOT_THERE = "–"
UNTRIED = Verdict(NOT_THERE)


def attack(scale: Scale) -> Outcome:
    """Try each fault on each version."""
    faults = [fault for fault in FAULTS if fault.quick or not scale.quick]
    with ThreadPoolExecutor(VERSIONS_AT_ONCE) as pool:
        columns = list(
            pool.map(partial(_tried, faults=faults, scratch=scale.scratch), scale.versions)
        )
    tried = sum(cell is not UNTRIED for column in columns for cell, _ in column)
    outcome = Outcome(
        "Faults",
        f"{tried} trials: a statement that reads a table larger than the buffers ran without"
        " pause before, during and after each fault, while watch and collect read the server. Its"
        " calls and blocks, as auto_explain reported them to the application, are compared with the"
        " sums of watch's intervals and with the history's. exact: equal to the block. reported:"
        " the missing executions ran in time that watch and the history report as lost. One word is"
        " for both, two for watch and for the history. – marks a fault that a version cannot have.",
        ("fault", *(str(major) for major in scale.versions)),
    )
    for number, fault in enumerate(faults):
        row = [column[number] for column in columns]
        outcome.rows.append((fault.name, *(_cell(*pair) for pair in row)))
        for major, pair in zip(scale.versions, row, strict=True):
            outcome.failures += [
                f"{fault.name}, {major}, {who}: {verdict.cell}: {verdict.wrong}"
                for who, verdict in zip(("watch", "history"), pair, strict=True)
                if verdict.wrong
            ]
    return outcome


def _cell(watch: Verdict, history: Verdict) -> str:
    return watch.cell if watch.cell == history.cell else f"{watch.cell} / {history.cell}"


def _tried(major: int, *, faults: list[Fault], scratch: Path) -> list[tuple[Verdict, Verdict]]:
    """Return the verdicts on watch and on the history for each fault on a version."""
    with stand(major, scratch) as where:
        return [_one(where, fault) for fault in faults]


def _one(where: Stand, fault: Fault) -> tuple[Verdict, Verdict]:
    if not fault.since <= where.major <= fault.last:
        return UNTRIED, UNTRIED
    began = time.monotonic()
    try:
        with Trial(where, fault.needs) as trial:
            trial.begin()
            fault.act(trial)
            verdicts = trial.end(loses=fault.loses)
            pair = verdicts["watch"], verdicts["collect"]
    except pytest.skip.Exception:  # no small disk, or no compiler
        return UNTRIED, UNTRIED
    except Exception:  # noqa: BLE001 - the others are still to be tried
        failed = Verdict("failed", traceback.format_exc())
        pair = failed, failed
    seconds = time.monotonic() - began
    said = "".join(f"\n  {each.wrong}" for each in pair if each.wrong)
    sys.stderr.write(f"{where.major}: {fault.name}: {_cell(*pair)} ({seconds:.0f} s){said}\n")
    return pair
