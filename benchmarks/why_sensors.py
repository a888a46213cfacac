"""A sensor store: readings partitioned by day, with B-tree and BRIN indexes, and alerts."""

import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from threading import Event
from typing import Any

import psycopg

from benchmarks.why_load import Mode, Query, run, up_to
from pgiostat.lab.faults.fault import FaultTarget, FaultTargets

__all__ = ["NAME", "TARGETS", "load", "work"]

NAME = "sensors"
SITES, DEVICES, ALERTS = 40, 1_200, 150_000
DAYS, PER_DAY = 14, 36_000
_BEGIN = datetime(2026, 11, 1)  # noqa: DTZ001 - as in the table
_DAY = timedelta(days=1)


def _partitions() -> tuple[str, ...]:
    return tuple(
        f"CREATE TABLE readings_{day:02} PARTITION OF readings"
        f" FOR VALUES FROM ('{_BEGIN + day * _DAY}') TO ('{_BEGIN + (day + 1) * _DAY}')"
        for day in range(DAYS)
    )


_SCHEMA = (
    "CREATE TABLE sites (id int PRIMARY KEY, name text)",
    (
        "CREATE TABLE devices (id int PRIMARY KEY, site_id int REFERENCES sites, model text,"
        " firmware text)"
    ),
    (
        "CREATE TABLE readings (device_id int NOT NULL, at timestamp NOT NULL, value float8,"
        " detail text) PARTITION BY RANGE (at)"
    ),
    *_partitions(),
    (
        "CREATE TABLE alerts (id int PRIMARY KEY, device_id int REFERENCES devices,"
        " raised_at timestamp, level int, note text)"
    ),
    ("CREATE TABLE calibrations (id int PRIMARY KEY, device_id int REFERENCES devices, note text)"),
    f"INSERT INTO sites SELECT i, 'site ' || i FROM generate_series(1, {SITES}) i",
    (
        f"INSERT INTO devices SELECT i, 1 + i % {SITES}, 'model ' || i % 20,"
        f" repeat(md5(i::text), 4) FROM generate_series(1, {2 * DEVICES}) i"
    ),
    (
        f"INSERT INTO readings SELECT 1 + i % {DEVICES},"
        f" timestamp '{_BEGIN}' + i * interval '{86_400 / PER_DAY} s', i % 977,"
        f" repeat(md5(i::text), 3) FROM generate_series(0, {DAYS * PER_DAY - 1}) i"
    ),
    (
        f"INSERT INTO alerts SELECT i, 1 + (i::bigint * 7919) % {DEVICES},"
        f" timestamp '{_BEGIN}' + i * interval '8 s', i % 4, repeat(md5(i::text), 6)"
        f" FROM generate_series(1, {ALERTS}) i"
    ),
    (
        f"INSERT INTO calibrations SELECT i, 1 + i % {DEVICES}, repeat(md5(i::text), 6)"
        " FROM generate_series(1, 60000) i"
    ),
    "CREATE INDEX readings_device ON readings (device_id, at)",
    "CREATE INDEX readings_at ON readings USING brin (at) WITH (pages_per_range = 8)",
    "CREATE INDEX alerts_device ON alerts (device_id, raised_at)",
    "CREATE INDEX calibrations_device ON calibrations (device_id)",
    f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {NAME}",
    "VACUUM (FREEZE, ANALYZE)",
)


def load(dsn: str) -> None:
    """Make the tables and their rows."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in _SCHEMA:
            connection.execute(statement.encode())


def _span(
    hours: float, *keys: int, count: int = DAYS
) -> Callable[[random.Random, float], Sequence[Any]]:
    """Return parameters with keys, and the begin and the end of some hours of one day."""

    def parameters(dice: random.Random, share: float) -> Sequence[Any]:
        found = [dice.randint(1, max(1, int(key * share))) for key in keys]
        day = dice.randrange(max(1, int(count * share)))
        begin = _BEGIN + day * _DAY + timedelta(hours=dice.uniform(0, 24 - hours))
        return *found, begin, begin + timedelta(hours=hours)

    return parameters


def _reading(dice: random.Random, _share: float) -> Sequence[Any]:
    at = _BEGIN + DAYS * _DAY - timedelta(seconds=dice.randint(1, 3_000))
    return dice.randint(1, DEVICES), at, dice.random(), "x" * 96


QUERIES = {
    "curve": Query(
        "SELECT r.at, r.value, r.detail, d.model FROM devices d"
        " JOIN readings r ON r.device_id = d.id"
        " WHERE d.id = %s AND r.at >= %s AND r.at < %s ORDER BY r.at",
        8,
        _span(12, DEVICES),
    ),
    "site": Query(
        "SELECT d.id, avg(r.value) FROM devices d JOIN readings r ON r.device_id = d.id"
        " WHERE d.site_id = %s AND r.at >= %s AND r.at < %s GROUP BY d.id",
        2,
        _span(1, SITES),
    ),
    "newest": Query(
        "SELECT d.id, n.value FROM devices d CROSS JOIN LATERAL (SELECT r.value FROM readings r"
        " WHERE r.device_id = d.id AND r.at >= %s AND r.at < %s ORDER BY r.at DESC LIMIT 1) n"
        " WHERE d.site_id = %s",
        2,
        lambda dice, share: (*_span(6)(dice, share), dice.randint(1, SITES)),
    ),
    "minutes": Query(
        "SELECT count(*), max(r.value), min(r.detail) FROM readings r"
        " WHERE r.at >= %s AND r.at < %s",
        3,
        _span(0.25),
    ),
    "alerts": Query(
        "SELECT a.raised_at, a.level, a.note, d.model FROM alerts a"
        " JOIN devices d ON d.id = a.device_id WHERE a.device_id = %s"
        " ORDER BY a.raised_at DESC LIMIT 20",
        8,
        up_to(DEVICES),
    ),
    "alert count": Query("SELECT count(*) FROM alerts a WHERE a.device_id = %s", 5, up_to(DEVICES)),
    "levels": Query(
        "SELECT count(*) FROM (SELECT DISTINCT a.note, a.level FROM alerts a"
        " JOIN devices d ON d.id = a.device_id WHERE d.site_id = %s) x",
        1,
        up_to(SITES),
    ),
    "insert": Query(
        "INSERT INTO readings (device_id, at, value, detail) VALUES (%s, %s, %s, %s)", 5, _reading
    ),
    "acknowledge": Query("UPDATE alerts SET level = 0 WHERE id = %s", 2, up_to(ALERTS)),
    "retire": Query(
        "DELETE FROM devices WHERE id = %s",
        0,
        lambda dice, _share: (dice.randint(DEVICES + 1, 2 * DEVICES),),
    ),
    "models": Query(
        "SELECT d.model, avg(r.value), max(length(r.detail)) FROM devices d"
        " JOIN readings r ON r.device_id = d.id GROUP BY d.model",
        0,
    ),
    "events": Query(
        "SELECT e.kind, d.model FROM events e JOIN devices d ON d.id = e.device_id"
        " WHERE e.device_id = %s",
        0,
        up_to(DEVICES),
    ),
}
MODES = {
    "retire": Mode({"retire": 2}),
    "report": Mode({"models": 1}),
    "reports": Mode({"models": 2}),
    "curves doubled": Mode({"curve": 16}),
    "curves tripled": Mode({"curve": 24}),
    "events": Mode({"events": 5}),
    "few": Mode({}, 0.1),
    "some": Mode({}, 0.4),
}


def work(dsn: str, stop: Event, traffic: Callable[[], str]) -> int:
    """Run the statements until a stop."""
    return run(dsn, stop, traffic, QUERIES, MODES)


_BY_DEVICE = (
    "CLUSTER alerts USING alerts_device",
    "VACUUM (FREEZE, ANALYZE) alerts",
)
_CURVE = "select @2.at, @2.value, @2.detail, @1.model"
_ALERTS = "from alerts @1"
"""Parts of texts as pgiostat shows them, which numbers their aliases."""

TARGETS: FaultTargets = {
    "index dropped": (
        FaultTarget(_ALERTS, "alerts", "alerts_device", "device_id, raised_at"),
        FaultTarget("readings @", "readings", "readings_device", "device_id, at"),
    ),
    "wrong column order": (
        FaultTarget(
            _ALERTS,
            "alerts",
            "alerts_device",
            "device_id, raised_at",
            "raised_at, device_id",
        ),
    ),
    "foreign key without index": (
        FaultTarget(
            "delete from devices where",
            "calibrations",
            "calibrations_device",
            "device_id",
            healthy="retire",
            traffic="retire",
        ),
    ),
    "rows scattered": tuple(
        FaultTarget(
            _ALERTS,
            "alerts",
            "alerts_device",
            "device_id, raised_at",
            amount=amount,
            prepare=_BY_DEVICE,
        )
        for amount in (0.4, 1.0)
    ),
    "dead rows": tuple(
        FaultTarget(_ALERTS, "alerts", columns="note", amount=amount) for amount in (1, 3)
    ),
    "visibility map cleared": tuple(
        FaultTarget("select count(*) from alerts @1", "alerts", columns="note", amount=amount)
        for amount in (0.4, 1.0)
    ),
    "values toasted": tuple(
        FaultTarget(
            _ALERTS,
            "alerts",
            columns="note",
            key="id",
            where="device_id <= 120",
            healthy="few",
            traffic="few",
            amount=amount,
        )
        for amount in (3, 8)
    ),
    "stale statistics": tuple(
        FaultTarget(_ALERTS, "alerts", columns="device_id", amount=amount) for amount in (2, 1)
    ),
    "planner setting": tuple(FaultTarget("from", amount=amount) for amount in (1_000, 10_000)),
    "spill": tuple(
        FaultTarget("select distinct @1.note", "alerts", amount=amount) for amount in (256, 64)
    ),
    "partitions not pruned": (FaultTarget("readings @", "readings"),),
    "report started": tuple(
        FaultTarget("select @1.model, avg", "readings", traffic=traffic)
        for traffic in ("report", "reports")
    ),
    "working set outgrown": tuple(
        FaultTarget("from", healthy="few", traffic=traffic) for traffic in ("some", "")
    ),
    "cold restart": (FaultTarget("from", healthy="few", traffic="few"),),
    "calls tripled": tuple(
        FaultTarget(_CURVE, traffic=traffic) for traffic in ("curves doubled", "curves tripled")
    ),
    "table added": (
        FaultTarget(
            "from events @1",
            "events",
            sql=(
                "CREATE TABLE events (id int PRIMARY KEY, device_id int, kind text)",
                (
                    f"INSERT INTO events SELECT i, 1 + i % {DEVICES}, repeat(md5(i::text), 8)"
                    " FROM generate_series(1, 60000) i"
                ),
                f"GRANT SELECT ON events TO {NAME}",
                "ANALYZE events",
            ),
            back=("DROP TABLE IF EXISTS events",),
            traffic="events",
        ),
    ),
    "skip bug": (FaultTarget(_CURVE, traffic="curves tripled"),),
    "autovacuum freeze": tuple(
        FaultTarget("from", "alerts, calibrations", columns="note", amount=amount)
        for amount in (20,)
    ),
}
