"""The lab's environments, traffic and cache, on real servers."""

import json
import os
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event as Flag
from threading import Lock

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pgiostat.errors import PgiostatError
from pgiostat.lab.data import load_data, unload_data
from pgiostat.lab.environment import Lab
from pgiostat.lab.postgres.cluster import Cluster, embedded_binaries
from pgiostat.lab.replay import ReplayTarget, Setup, replay
from pgiostat.lab.workload import version_cache
from pgiostat.lab.workload.api import SCHEMA, Api, connected
from pgiostat.lab.workload.schema import DataSize
from pgiostat.lab.workload.trace import Operation, Trace, generate, write
from tests.support.program import pgiostat

pytestmark = pytest.mark.long

SIZE = DataSize(clients=4, rows=300, tables=("customer", "visit"))


@pytest.fixture
def lab() -> Iterator[Lab]:
    """Yield a lab with nothing in it; what is made in it is removed."""
    root = Path(tempfile.mkdtemp(prefix="pgiostat-lab-"))
    root.chmod(0o711)
    made = Lab(root)
    yield made
    for each in made.environments():
        made.down(each.name, remove=True)
    root.rmdir()


def rows(dsn: str, table: str) -> list[tuple[object, ...]]:
    with connected(dsn) as connection:
        statement = f"SELECT client_id, id, row_version FROM {table} ORDER BY 1, 2"
        return connection.execute(statement.encode()).fetchall()


def test_an_environment_is_made_cloned_stopped_and_removed(lab: Lab) -> None:
    counted: list[int] = []
    prod = lab.up("prod", SIZE, progress=counted.append)
    assert sum(counted) == SIZE.total
    api, reader = prod.dsns()
    assert len(rows(api, "customer")) == 1_200
    denied = pytest.raises(psycopg.errors.InsufficientPrivilege)
    with psycopg.connect(reader) as connection, denied:
        connection.execute(f"SELECT FROM {SCHEMA}.customer")
    perf = lab.clone("prod", "perf")
    assert (perf.origin, prod.is_running(), perf.is_running()) == ("prod", True, True)
    with connected(api) as connection:
        connection.execute("DELETE FROM customer")
    assert len(rows(perf.dsns()[0], "customer")) == 1_200
    lab.down("prod")
    with pytest.raises(PgiostatError) as raised:
        prod.dsns()
    assert raised.value.hint == "Start it with: pgiostat lab up prod"
    assert rows(lab.up("prod", SIZE).dsns()[0], "customer") == []
    lab.down("prod", remove=True)
    assert [each.name for each in lab.environments()] == ["perf"]
    assert not prod.place.exists()


def test_what_cannot_be_made_is_said(lab: Lab) -> None:
    with pytest.raises(PgiostatError) as raised:
        lab.get("prod")
    assert (raised.value.slug, raised.value.hint) == (
        "environment-unknown", "Create one with: pgiostat lab up",
    )  # fmt: skip
    with pytest.raises(PgiostatError) as raised:
        lab.up("../prod", SIZE)
    assert raised.value.slug == "environment-invalid"
    with pytest.raises(PgiostatError) as raised:
        lab.up("prod", replace(SIZE, rows=10**9))
    assert raised.value.slug == "disk-full"
    assert lab.environments() == []
    with pytest.raises(PgiostatError) as raised:
        lab.up("prod", SIZE, "nonsense")
    assert raised.value.slug == "dsn-invalid"
    with pytest.raises(PgiostatError) as raised:
        lab.up("prod", SIZE, "host=/nowhere")
    assert raised.value.slug == "server-unreachable"


def test_a_server_that_was_killed_comes_up_again(lab: Lab) -> None:
    prod = lab.up("prod", SIZE)
    prod.cluster.kill_postmaster()
    assert len(rows(lab.up("prod", SIZE).dsns()[0], "visit")) == 1_200


def test_who_makes_an_environment_may_be_killed_and_leaves_nothing_running(lab: Lab) -> None:
    script = (
        "import sys; from pathlib import Path; from pgiostat.lab.environment import Lab, SIZE;"
        "Lab(Path(sys.argv[1])).up('prod', SIZE, progress=lambda n: print(n, flush=True))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(lab.root)], stdout=subprocess.PIPE
    ) as making:
        assert making.stdout is not None
        making.stdout.readline()  # the server runs, and has rows
        making.kill()
    cluster = Cluster(embedded_binaries(), lab.root / "prod")
    for _ in range(600):
        if not cluster.is_running():
            break
        Flag().wait(0.05)
    assert not cluster.is_running()
    assert len(rows(lab.up("prod", SIZE).dsns()[0], "visit")) == 1_200


def test_one_that_somebody_works_with_is_not_cloned(lab: Lab) -> None:
    prod = lab.up("prod", SIZE)
    with connected(prod.dsns()[0]), pytest.raises(PgiostatError) as raised:
        lab.clone("prod", "perf")
    assert (raised.value.slug, raised.value.detail) == (
        "environment-busy", "Connected are: sync_api.",
    )  # fmt: skip
    assert prod.is_running()
    assert lab.clone("prod", "perf").is_running()


def test_what_is_kept_of_an_environment_may_be_damaged(lab: Lab) -> None:
    damaged = lab.root / "prod.json"
    damaged.touch()
    try:
        with pytest.raises(PgiostatError) as raised:
            lab.environments()
    finally:
        damaged.unlink()
    assert (raised.value.slug, raised.value.message) == (
        "environment-unreadable",
        f'could not read the description of environment "prod": "{damaged}"',
    )


# In somebody else's database


@pytest.mark.once
def test_in_a_database_of_others_one_schema_is_ours_alone(lab: Lab, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE customer AS SELECT 1 AS theirs")
    made = lab.up("theirs", SIZE, database)
    assert made.dsns() == (database, database)
    assert len(rows(database, "customer")) == 1_200
    with pytest.raises(PgiostatError) as raised:
        lab.clone("theirs", "perf")
    assert raised.value.slug == "environment-invalid"
    lab.down("theirs", remove=True)
    with psycopg.connect(database) as connection:
        assert connection.execute("TABLE customer").fetchall() == [(1,)]
        found = connection.execute("SELECT FROM pg_namespace WHERE nspname = %s", [SCHEMA])
        assert found.fetchall() == []


@pytest.mark.once
def test_data_that_have_gone_are_said_and_made_anew(lab: Lab, database: str) -> None:
    made = lab.up("theirs", SIZE, database)
    unload_data(database)
    with pytest.raises(PgiostatError) as raised:
        replay(
            generate(SIZE, 10.0, 1), [ReplayTarget("theirs", made.dsn, Setup(SIZE.tables))], speed=0
        )
    assert (raised.value.slug, raised.value.hint) == (
        "lab-data-missing", "Create them again with: pgiostat lab up",
    )  # fmt: skip
    lab.up("theirs", SIZE)
    assert len(rows(database, "visit")) == 1_200
    lab.down("theirs", remove=True)


@pytest.mark.once
def test_a_schema_that_is_not_ours_is_left_alone(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {SCHEMA} CREATE TABLE theirs (id int)")
    with pytest.raises(PgiostatError) as raised:
        load_data(database, SIZE)
    assert raised.value.slug == "lab-schema-foreign"
    with pytest.raises(PgiostatError) as raised:
        unload_data(database)
    assert raised.value.slug == "lab-schema-foreign"
    with psycopg.connect(database) as connection:
        assert connection.execute(f"TABLE {SCHEMA}.theirs").fetchall() == []


@pytest.mark.once
def test_without_the_right_to_make_a_schema_it_is_said(lab: Lab, database: str) -> None:
    role = f"lab_{os.getpid()}"
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'".encode())
        try:
            with pytest.raises(PgiostatError) as raised:
                lab.up("theirs", SIZE, make_conninfo(database, user=role, password="x"))
        finally:
            connection.execute(f"DROP ROLE {role}".encode())
    assert raised.value.slug == "lab-forbidden"
    assert raised.value.hint == ("GRANT CREATE ON DATABASE … TO the user of the connection string.")
    assert lab.environments() == []


# Traffic


@pytest.fixture
def furnished(database: str) -> str:
    load_data(database, SIZE)
    return database


@pytest.mark.once
def test_traffic_goes_to_all_in_its_order_and_what_was_asked_can_be_sent_again(
    furnished: str, lab: Lab
) -> None:
    prod = lab.up("prod", SIZE)
    trace = generate(SIZE, 40.0, 1)
    targets = [
        ReplayTarget("prod", prod.dsns()[0], Setup(SIZE.tables)),
        ReplayTarget("theirs", furnished, Setup(SIZE.tables)),
    ]
    done: list[int] = []
    first, second = replay(trace, targets, speed=0, done=done.append)
    assert (first.events, second.events) == (len(trace.events), len(trace.events))
    assert done == list(range(1, len(trace.events) + 1))
    assert first.requests == second.requests
    assert first.captured == second.captured
    assert rows(prod.dsns()[0], "customer") == rows(furnished, "customer")
    # The same requests, sent as such, leave the same rows behind.
    load_data(furnished, SIZE)
    captured = Trace(SIZE, None, trace.lasts, tuple(first.captured))
    (again,) = replay(captured, targets[1:], speed=0)
    assert again.requests == first.requests
    assert rows(prod.dsns()[0], "customer") == rows(furnished, "customer")


@pytest.mark.once
def test_how_late_events_are_is_measured(furnished: str) -> None:
    trace = generate(SIZE, 10.0, 1)
    (sent,) = replay(trace, [ReplayTarget("a", furnished, Setup(SIZE.tables))], speed=40)
    assert len(sent.late) == len(trace.events)
    assert sent.seconds >= trace.events[-1].at / 40
    assert max(sent.late) < 5


@pytest.mark.once
def test_a_server_that_goes_ends_all_and_is_told(furnished: str, lab: Lab) -> None:
    prod = lab.up("prod", SIZE)
    trace = generate(SIZE, 4_000.0, 1)
    targets = [
        ReplayTarget("prod", prod.dsns()[0], Setup(SIZE.tables)),
        ReplayTarget("theirs", furnished, Setup(SIZE.tables)),
    ]

    def kill(events: int) -> None:
        if events == 20:
            prod.cluster.kill_postmaster()

    with pytest.raises(PgiostatError) as raised:
        replay(trace, targets, speed=0, done=kill)
    assert raised.value.slug == "server-unreachable"


@pytest.mark.once
def test_what_is_off_is_not_sent(furnished: str) -> None:
    trace = generate(SIZE, 40.0, 1)
    off = frozenset({Operation.VERSION, Operation.UPLOAD})
    before = rows(furnished, "customer")
    (sent,) = replay(trace, [ReplayTarget("a", furnished, Setup(SIZE.tables, off=off))], speed=0)
    assert sent.looked == 0
    assert sent.requests[Operation.VERSION] > 0
    assert rows(furnished, "customer") == before


def newest(dsn: str) -> dict[tuple[int, str], int]:
    """Return what all rows tell of the newest versions, by client and table."""
    found = {}
    with connected(dsn) as connection:
        for table in SIZE.tables:
            statement = f"SELECT client_id, max(row_version) FROM {table} GROUP BY 1"
            for client, version in connection.execute(statement.encode()):
                assert isinstance(client, int)
                assert isinstance(version, int)
                found[client, table] = version
    return found


@pytest.mark.once
def test_traffic_goes_on_where_earlier_traffic_has_left_the_data(furnished: str, lab: Lab) -> None:
    there = [ReplayTarget("theirs", furnished, Setup(SIZE.tables))]
    loaded = newest(furnished)
    for seed in (1, 1, 2):
        before = newest(furnished)
        (sent,) = replay(generate(SIZE, 40.0, seed), there, speed=0)
        assert sent.requests[Operation.VERSION] > 0  # each was answered as it must be
        after = newest(furnished)
        changed = [place for place in before if after[place] != before[place]]
        assert changed
        assert all(after[place] > max(before.values()) for place in changed)
    assert loaded != newest(furnished)
    # A clone has what its origin has.
    prod = lab.up("prod", SIZE)
    replay(
        generate(SIZE, 40.0, 1), [ReplayTarget("prod", prod.dsns()[0], Setup(SIZE.tables))], speed=0
    )
    perf = lab.clone("prod", "perf")
    both = [ReplayTarget(each.name, each.dsns()[0], Setup(SIZE.tables)) for each in (prod, perf)]
    first, second = replay(generate(SIZE, 40.0, 3), both, speed=0)
    assert first.captured == second.captured
    assert newest(prod.dsns()[0]) == newest(perf.dsns()[0])


@pytest.mark.once
def test_a_target_that_others_changed_is_named(furnished: str, lab: Lab) -> None:
    prod = lab.up("prod", SIZE)
    with connected(furnished) as connection:
        connection.execute("UPDATE customer SET row_version = 5000000")
    targets = [
        ReplayTarget("prod", prod.dsns()[0], Setup(SIZE.tables)),
        ReplayTarget("theirs", furnished, Setup(SIZE.tables)),
    ]
    with pytest.raises(PgiostatError) as raised:
        replay(generate(SIZE, 40.0, 1), targets, speed=0)
    assert raised.value.slug == "lab-inconsistent"
    assert raised.value.message.startswith('environment "theirs": the lab')


@pytest.mark.once
def test_one_that_cannot_begin_keeps_the_others_from_beginning(furnished: str, lab: Lab) -> None:
    prod = lab.up("prod", SIZE)
    targets = [
        ReplayTarget("prod", prod.dsns()[0], Setup(SIZE.tables)),
        ReplayTarget("gone", make_conninfo(furnished, port="1"), Setup(SIZE.tables)),
    ]
    before = newest(prod.dsns()[0])
    with pytest.raises(PgiostatError) as raised:
        replay(generate(SIZE, 4_000.0, 1), targets, speed=1)
    assert (raised.value.slug, raised.value.message) == (
        "server-unreachable", 'environment "gone": the lab cannot reach its server',
    )  # fmt: skip
    assert newest(prod.dsns()[0]) == before


# The cache of versions


@pytest.mark.once
@pytest.mark.parametrize("design", list(version_cache.Design))
def test_traffic_without_the_cache_does_not_leave_it_behind(
    furnished: str, design: version_cache.Design
) -> None:
    without = ReplayTarget("a", furnished, Setup(SIZE.tables))
    replay(generate(SIZE, 40.0, 1), [without], speed=0)
    with connected(furnished) as connection:
        assert version_cache.cached_versions(connection) == {}
    cached = ReplayTarget("a", furnished, Setup(SIZE.tables, cache=design))
    replay(generate(SIZE, 40.0, 2), [cached], speed=0)
    with connected(furnished) as connection:
        told = version_cache.cached_versions(connection)
        rows_tell = newest(furnished)
        assert told == {place: rows_tell[place] for place in told}
        assert told or design is version_cache.Design.INVALIDATE  # it may have emptied all
        api = Api(connection, SIZE, cache=design)
        assert {place: api.version(*place) for place in rows_tell} == rows_tell


@pytest.mark.once
@pytest.mark.parametrize("design", list(version_cache.Design))
def test_the_cache_never_tells_an_old_version_nor_one_that_is_not(
    furnished: str, design: version_cache.Design
) -> None:
    """Uploads and questions at once: an answer lies between what was committed and what began."""
    newest = Lock()
    committed = dict.fromkeys(range(2), (SIZE.rows - 1) * SIZE.clients + 1)
    begun = dict(committed)
    counter = iter(range(10_000, 20_000))
    asked = 0

    def upload(seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311 - no secret
        with connected(furnished) as connection:
            api = Api(connection, SIZE, cache=design)
            for _ in range(60):
                client, first = chance.randrange(2), chance.randrange(SIZE.rows - 3)
                with newest:
                    version = next(counter)
                    begun[client] = max(begun[client], version)
                api.upload(client, "customer", (first, first + 3), version)
                with newest:
                    committed[client] = max(committed[client], version)

    def ask(seed: int) -> None:
        nonlocal asked
        chance = random.Random(seed)  # noqa: S311 - no secret
        with connected(furnished) as connection:
            api = Api(connection, SIZE, cache=design)
            while not ended.is_set():
                client = chance.randrange(2)
                with newest:
                    least = committed[client]
                told = api.version(client, "customer")
                with newest:
                    most = begun[client]
                assert told is not None
                assert least - 1 <= told <= most  # client 0's newest is one less
                asked += 1

    ended = Flag()
    with ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(ask, seed) for seed in range(4)]
        try:
            for each in [pool.submit(upload, seed) for seed in range(4, 8)]:
                each.result()
        finally:
            ended.set()
        for each in asking:
            each.result()
    assert asked > 50
    with connected(furnished) as connection:
        cached = Api(connection, SIZE, cache=design)
        plain = Api(connection, SIZE)
        for client in range(SIZE.clients):
            for table in SIZE.tables:
                assert cached.version(client, table) == plain.version(client, table)


@pytest.mark.once
def test_a_refill_that_an_upload_overtakes_is_not_kept(furnished: str) -> None:
    """Who fills the cache has looked before an upload commits: what he found is old."""
    design = version_cache.Design.INVALIDATE
    with connected(furnished) as asking, connected(furnished) as writing:
        Api(writing, SIZE, cache=design).upload(1, "customer", (0, 1), 10_000)
        _, generation = asking.execute(
            version_cache.SELECT_GENERATION.encode(), [1, "customer"]
        ).fetchone() or (None, None)
        Api(writing, SIZE, cache=design).upload(1, "customer", (0, 1), 10_001)
        done = asking.execute(version_cache.REFILL.encode(), [10_000, 1, "customer", generation])
        assert done.rowcount == 0
        assert version_cache.version(asking, design, 1, "customer") == (10_001, True)
        assert version_cache.version(asking, design, 1, "customer") == (10_001, False)
        assert version_cache.version(asking, design, 9, "customer") == (None, False)


# The command line


def command(*arguments: str, cache: Path) -> "subprocess.CompletedProcess[str]":
    return pgiostat("lab", *arguments, XDG_CACHE_HOME=str(cache))


@pytest.mark.once
def test_the_commands_of_the_lab(lab: Lab, tmp_path: Path) -> None:
    cache = lab.root
    assert command("status", cache=cache).stdout == (
        "There is no environment. Create one with: pgiostat lab up\n"
    )
    try:
        done = command("up", cache=cache)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("prod is up.\n  sync API: user=sync_api ")
        done = command("clone", "prod", "as", "perf", cache=cache)
        assert done.stdout.startswith("perf is up, with the files of prod and a cold cache.\n")
        told = command("status", cache=cache).stdout.splitlines()
        assert [re.split(r"\s+", line)[:3] for line in told] == [
            ["name", "state", "rows"], ["perf", "up", "280,000"], ["prod", "up", "280,000"],
            ["", "watch", "perf:"], ["", "watch", "prod:"],
        ]  # fmt: skip
        path = tmp_path / "trace"
        done = command("trace", str(path), "--seconds", "20", cache=cache)
        assert re.fullmatch(r".*: \d+ events in 20 s\n", done.stdout)
        captured = tmp_path / "captured"
        done = command("replay", str(path), "--to", "prod", "--to", "perf", "--speed", "0",
                       "--capture", str(captured), cache=cache)  # fmt: skip
        assert done.returncode == 0, done.stderr
        said = done.stdout.splitlines()
        assert said[1] == said[3]
        assert said[1].endswith(" version")
        _, *events = map(json.loads, captured.read_text().splitlines())
        assert {"version", "manifest", "upload"} <= {event["operation"] for event in events}
        other = tmp_path / "other"
        write(generate(SIZE, 20.0, 1), other)
        done = command("replay", str(other), "--to", "prod", cache=cache)
        assert done.stderr.startswith(
            'pgiostat: error: the trace does not fit the data of environment "prod"\n'
        )
    finally:
        done = command("down", "--remove", cache=cache)
    assert done.stdout == "perf is removed.\nprod is removed.\n"
    for left in sorted(cache.rglob("*"), reverse=True):
        left.rmdir()
