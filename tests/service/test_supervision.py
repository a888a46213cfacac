"""Unexpected errors and damaged answers: they cost a reading at most, and no count."""

import random
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread

import pyarrow.parquet as pq
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgiostat import unexpected
from pgiostat.collector.interval_log import IntervalLog
from pgiostat.collector.metrics import Metrics
from pgiostat.collector.recorder import Recorder
from pgiostat.collector.schedule import Schedule
from pgiostat.collector.targets import Target
from pgiostat.errors import PgiostatError
from pgiostat.history.format.file_index import files
from pgiostat.history.format.layout import Layout
from pgiostat.history.write.writer import Writer
from pgiostat.postgres import driver
from pgiostat.postgres import sampler as collect
from pgiostat.postgres.sampler import IntervalResult, Sampler
from pgiostat.queries.describe import describer, uncategorized
from pgiostat.statistics.difference import diff as real_diff
from pgiostat.statistics.names import Statement
from pgiostat.statistics.snapshot import Snapshot
from pgiostat.unexpected import as_error, unreadable_reply
from pgiostat.volume.device.sampler import DeviceSampler
from tests.conftest import MakeServer
from tests.support.readings import reading, said_to, settings
from tests.support.traffic import Traffic, difference, intervals, kept, userid_of
from tests.support.workloads import Connection, client

Damage = Callable[[bytes], bytes]


@dataclass
class Damaging:
    """Passes everything on, and damages what the server sends while it is told to."""

    host: str
    port: int
    damage: Damage | None = None
    _open: list[socket.socket] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.here: int = self._listening.getsockname()[1]
        Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                taken, _ = self._listening.accept()
                self._open.append(taken)
                Thread(target=self._pass, args=(taken,), daemon=True).start()

    def _pass(self, taken: socket.socket) -> None:
        with suppress(OSError), taken, socket.create_connection((self.host, self.port)) as server:
            while True:
                for ready in select.select([taken, server], [], [])[0]:
                    content = ready.recv(1 << 20)
                    if not content:
                        return
                    if ready is server and self.damage is not None:
                        content = self.damage(content)
                    (server if ready is taken else taken).sendall(content)

    def close(self) -> None:
        self._listening.close()
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a silent server up early."""
    monkeypatch.setattr(driver, "SILENCE_SECONDS", 1.5)


@contextmanager
def damaging(dsn: str) -> Iterator[tuple[Damaging, str]]:
    """Yield a proxy before a server, and the connection string through it."""
    address = conninfo_to_dict(dsn)
    with closing(Damaging(str(address["host"]), int(str(address["port"])))) as proxy:
        yield (
            proxy,
            make_conninfo(
                dsn, host="127.0.0.1", port=proxy.here, sslmode="disable", connect_timeout=2
            ),
        )


def flipped(seed: int) -> Damage:
    """Return what flips single bits."""
    chance = random.Random(seed)  # noqa: S311 - nothing secret

    def damage(content: bytes) -> bytes:
        made = bytearray(content)
        for _ in range(1 + len(made) // 2000):
            made[chance.randrange(len(made))] ^= 1 << chance.randrange(8)
        return bytes(made)

    return damage


def columns_missing(content: bytes) -> bytes:
    """Return rows that say that they have one column less than they have."""
    at = content.find(b"D", 0)
    if at < 0 or len(content) < at + 7:
        return content
    return content[: at + 5] + b"\x00\x01" + content[at + 7 :]


def text_for_binary(content: bytes) -> bytes:
    """Return an answer in which every column claims to be of text (oid 25) of no certain size."""
    made = bytearray(content)
    for oid in (b"\x00\x00\x00\x11", b"\x00\x00\x04\xa0", b"\x00\x00\x00\x14"):
        made[:] = made.replace(oid, b"\x00\x00\x00\x19")
    return bytes(made)


def followed(
    dsn: str, count: int, after: Callable[[int, IntervalResult], None], *, running: bool = False
) -> list[IntervalResult]:
    """Return results of a loop that waits for nothing."""
    sampler = Sampler(dsn, 0.1, uncategorized, lambda _: False, running=running)
    found = []
    for number, result in enumerate(sampler.intervals()):
        found.append(result)
        after(number, result)
        if number + 1 == count:
            break
    return found


MARK = "SELECT 1 AS counted_once"


def calls_of(results: list[IntervalResult], queryid: int) -> int:
    """Return the calls of one statement in all intervals."""
    total = 0
    for result in results:
        if result.delta is not None and result.delta.seconds is not None:
            rows = result.delta.statements.rows
            total += int(rows["calls"][rows["queryid"] == queryid].sum())
    return total


def marked(connection: Connection) -> int:
    """Return the queryid of the marked statement."""
    row = connection.execute(
        "SELECT queryid FROM pg_stat_statements WHERE query LIKE 'SELECT $1 AS counted_once'"
    ).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.once
@pytest.mark.parametrize("damage", [columns_missing, text_for_binary, lambda _: b"\xff" * 64])
@pytest.mark.parametrize("running", [False, True])
def test_a_damaged_answer_costs_one_reading_and_no_count(
    database: str, damage: Damage, *, running: bool
) -> None:
    with client(database) as other, damaging(database) as (proxy, dsn):
        other.execute(MARK.encode())

        def after(number: int, result: IntervalResult) -> None:  # noqa: ARG001 - only when it is
            other.execute(MARK.encode())
            proxy.damage = damage if number in (2, 5) else None

        found = followed(dsn, 9, after, running=running)
        queryid = marked(other)
    wrong = [number for number, result in enumerate(found) if result.error]
    assert wrong == [3, 6]
    # The last one runs after the last reading.
    assert calls_of(found, queryid) == 8


@pytest.mark.parametrize(
    "found",
    [
        reading(0, [{"queryid": 1, "calls": 1 << 53}]),
        reading(0, [{"queryid": 1, "shared_blks_read": 4 - (1 << 63)}]),
        reading(0, databases=[{"datid": 5, "blks_read": 1 << 60}]),
        reading(0, settings=settings(block_size="8182")),
        reading(0, settings=settings(block_size="81924")),
    ],
)
def test_a_reading_that_no_server_can_send_is_refused(found: Snapshot) -> None:
    """It would be committed, and what cannot be is refused in a history."""
    with pytest.raises(ValueError, match=r"an impossible (?:counter|block size)"):
        found.check()


def test_a_reading_as_servers_send_it_is_not_refused() -> None:
    reading(0, [{"queryid": 1, "calls": (1 << 53) - 1}], databases=[{"datid": 5}]).check()


@pytest.mark.once
def test_flipped_bits_end_no_loop(database: str) -> None:
    with client(database) as other, damaging(database) as (proxy, dsn):

        def after(number: int, result: IntervalResult) -> None:  # noqa: ARG001 - only when it is
            other.execute(MARK.encode())
            proxy.damage = flipped(number) if number % 2 == 0 and number < 80 else None

        found = followed(dsn, 90, after, running=True)
    assert [result.error for result in found[81:]] == [None] * 9
    slugs = {result.error.slug for result in found if result.error}
    assert slugs & {"reply-unreadable", "connection-lost", "query-failed"}
    assert "unexpected-error" not in slugs


def fault(*_arguments: object, **_keywords: object) -> None:
    raise RuntimeError("password=s3cret")


@pytest.mark.once
@pytest.mark.parametrize(
    ("where", "what"),
    [
        (Metrics, "committed"),
        (IntervalLog, "_log_flaws"),
        (DeviceSampler, "poll"),
        (DeviceSampler, "retarget"),
        (Writer, "resume"),
        (IntervalLog, "log_summary"),
    ],
)
def test_a_fault_beside_the_intervals_costs_no_interval_and_counts_none_twice(
    make_server: MakeServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: type,
    what: str,
) -> None:
    dsn, lines = make_server().dsn(), list[str]()
    metrics = Metrics("a", 0.2)
    traffic = Traffic.arranged(dsn)
    monkeypatch.setattr(where, what, fault)
    stop = Event()
    recorder = Recorder(
        Target(dsn, "a", 0.2),
        tmp_path / "h",
        uncategorized,
        Schedule(stop),
        said_to(lines),
        observer=metrics,
    )
    with client(dsn) as other:
        thread = Thread(target=recorder.run)
        thread.start()
        pause = Event()
        while recorder._sampler is None or recorder._sampler.older is None:
            pause.wait(0.05)
        before = traffic.counted(other)
        with traffic.flowing():
            while recorder.samples < 5 and thread.is_alive():
                pause.wait(0.05)
        stop.set()
        thread.join(60)
        truth = difference(before, traffic.counted(other))
    assert recorder.samples >= 5
    assert kept(tmp_path / "h", userid_of(truth)) == truth
    assert len(intervals(tmp_path / "h")) == recorder.samples
    unforeseen = [line for line in lines if line.startswith("unexpected error")]
    assert "s3cret" not in "".join(lines)
    first, *again = unforeseen
    assert ": RuntimeError in pgiostat/" in first
    assert "; trying again. This is a bug in pgiostat." in first
    # Logged once; how often it happened is told at the end.
    assert [line.rpartition(": ")[2] for line in again] in (
        [], [f"{recorder.samples - 1} more times"], [f"{recorder.samples} more times"],
    )  # fmt: skip
    counted = {(name, labels): value for name, labels, value in metrics.samples()}
    assert counted["pgiostat_errors_total", ("a", "unexpected-error")] >= 1


@pytest.mark.once
def test_one_text_that_cannot_be_described_costs_that_text_alone(database: str) -> None:
    known = describer()

    def describe(text: str | bytes, *, user: str, database: str, queryid: int) -> Statement:
        if "counted_once" in str(text):
            raise RecursionError("a text")
        return known(text, user=user, database=database, queryid=queryid)

    with client(database) as other:
        sampler = Sampler(database, 0.1, describe, lambda _: False)
        results = sampler.intervals()
        next(results)
        for _ in range(3):
            other.execute(b"SELECT count(*) FROM pg_catalog.pg_class")
            other.execute(MARK.encode())
            sampler._name_reader.texts_due = 0.0
            found = next(results)
            assert found.error is None
            if found.texts_error is not None:
                break
        queryid = marked(other)
    assert found.texts_error is not None
    assert found.texts_error.slug == "unexpected-error"
    texts = {key[2]: each.text for key, each in sampler.names.statements.items()}
    assert texts[queryid] == ""
    assert "select count(*) from pg_catalog.pg_class" in texts.values()


def test_a_reading_that_cannot_be_subtracted_is_given_up(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = list[object]()

    def diff(older: object, newer: object, **keywords: object) -> object:
        if older is not None and (older in damaged or len(damaged) == 0):
            damaged.append(older)
            raise ValueError("damaged")
        return real_diff(older, newer, **keywords)  # type: ignore[arg-type] # passed on

    monkeypatch.setattr(collect, "diff", diff)
    found = followed(database, 7, lambda *_: None)
    kinds = ["error" if t.error else "interval" if t.delta and t.delta.seconds else "baseline"
             for t in found]  # fmt: skip
    assert kinds == ["baseline", "error", "error", "error", "baseline", "interval", "interval"]


@pytest.mark.once
def test_a_reading_that_is_given_up_is_recorded_as_lost_time(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up = list[object]()
    root, stop, lines = tmp_path / "h", Event(), list[str]()
    target, schedule = Target(database, "a", 0.2), Schedule(stop)
    recorder = Recorder(target, root, uncategorized, schedule, said_to(lines))

    def diff(older: object, newer: object, **keywords: object) -> object:
        if recorder.samples == 3 and older is not None:
            given_up.append(older)
            raise ValueError("damaged")
        return real_diff(older, newer, **keywords)  # type: ignore[arg-type] # passed on

    monkeypatch.setattr(collect, "diff", diff)
    thread = Thread(target=recorder.run)
    thread.start()
    pause = Event()
    while recorder.samples < 6 and thread.is_alive():
        pause.wait(0.05)
    stop.set()
    thread.join(60)
    assert len(given_up) == collect.DIFFERENCES_TRIED
    rows = [
        row
        for path in files(Layout(root), "sample").paths
        for row in pq.ParquetFile(path).read(["ts", "dur_us", "lost_us"]).to_pylist()
    ]
    rows.sort(key=lambda row: row["ts"])
    lost = [number for number, row in enumerate(rows) if row["lost_us"]]
    assert lost == [3]
    # Nothing between the first and the last reading is without a record.
    for row, after in pairwise(rows):
        seconds = ((row["dur_us"] or 0) + (row["lost_us"] or 0)) / 1e6
        assert after["ts"].timestamp() == pytest.approx(row["ts"].timestamp() + seconds, abs=2e-6)
    assert sum(line.startswith("unexpected error") for line in lines) <= 2


def raised(error: Exception) -> Exception:
    try:
        raise error
    except type(error) as caught:
        return caught


def test_an_unexpected_error_is_named_by_type_and_place_and_never_by_its_words() -> None:
    def failing() -> Exception:
        return raised(KeyError("password=s3cret"))

    first, second = as_error(failing()), as_error(failing())
    # The same fault at the same place has the same reference.
    assert first.message == second.message
    assert first.message != as_error(raised(ValueError("x"))).message
    assert "s3cret" not in first.report()
    assert (first.detail or "").startswith("KeyError in service/test_supervision.py:")


@pytest.mark.parametrize(
    ("error", "slug"),
    [
        (PgiostatError("x", slug="query-failed"), "query-failed"),
        (OSError(24, "Too many open files"), "too-many-files"),
        (OSError(23, "Too many open files in system"), "too-many-files"),
        (MemoryError(), "out-of-memory"),
        (OSError(28, "No space left on device"), "unexpected-error"),
        (ValueError("x"), "unexpected-error"),
    ],
)
def test_what_an_exception_is(error: Exception, slug: str) -> None:
    assert as_error(raised(error)).slug == slug


def test_an_import_that_fails_for_lack_of_descriptors_is_that_lack(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    missing = ModuleNotFoundError("No module named 'psycopg'")
    assert as_error(raised(missing)).slug == "unexpected-error"
    monkeypatch.setattr(unexpected, "has_descriptors", lambda: False)
    assert as_error(raised(missing)).slug == "too-many-files"


def test_a_damaged_answer_is_told_with_its_place() -> None:
    error = unreadable_reply(raised(UnicodeDecodeError("utf-8", b"s3cret\xff", 6, 7, "invalid")))
    assert error.slug == "reply-unreadable"
    assert "s3cret" not in error.report()
