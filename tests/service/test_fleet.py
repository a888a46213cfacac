"""Many servers in one process: what is wrong with one is nothing to the others."""

import os
import select
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread

import pyarrow.parquet as pq
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgiostat.collector.targets import Plan, Target, shard_of, share
from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.history.format.file_index import files
from pgiostat.history.format.layout import Layout
from pgiostat.history.read.history import History
from pgiostat.history.read.windows import ServerSpan
from pgiostat.history.write.compaction import compact_shared
from tests.conftest import MakeServer
from tests.support.disks import small_disk
from tests.support.workloads import client, fill

pytestmark = pytest.mark.long

INTERVAL = 0.3


@dataclass
class Flapping:
    """Passes what is sent on to a server, and hangs up on everybody now and then.

    answers: False takes connections and never says a word.
    """

    host: str
    port: int
    answers: bool = True
    flaps: int = 0
    _stop: Event = field(default_factory=Event)
    _open: list[socket.socket] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.here: int = self._listening.getsockname()[1]
        for work in (self._accept, self._flap):
            Thread(target=work, daemon=True).start()

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                taken, _ = self._listening.accept()
            except OSError:
                return
            self._open.append(taken)
            if self.answers:
                Thread(target=self._pass, args=(taken,), daemon=True).start()

    def _pass(self, taken: socket.socket) -> None:
        with suppress(OSError), socket.create_connection((self.host, self.port)) as server:
            self._open.append(server)
            while True:
                for ready in select.select([taken, server], [], [])[0]:
                    content = ready.recv(65536)
                    (server if ready is taken else taken).sendall(content)
                    if not content:
                        return

    def _flap(self) -> None:
        while self.answers and not self._stop.wait(1.3):
            self.flaps += 1
            self.hang_up()

    def hang_up(self) -> None:
        for each in list(self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._stop.set()
        self._listening.close()
        self.hang_up()


@contextmanager
def collecting(root: Path, targets: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """Collect from targets until the block ends."""
    config = root.parent / "fleet.toml"
    lines = [f'history = "{root}"', f'interval = "{INTERVAL}s"']
    for label, dsn in targets.items():
        lines += [f"[servers.{label}]", f'dsn = "{dsn}"', 'device = "none"']
    config.write_text("\n".join(lines))
    with (root.parent / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "pgiostat", "collect", "--config", str(config)], stderr=log
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def arranged(make_server: MakeServer) -> str:
    """Return a server to be watched."""
    dsn = make_server().dsn()
    with client(dsn) as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
        fill(connection, "parcel", 500)
    return dsn


def servers(root: Path) -> dict[str, ServerSpan]:
    """Return what there is of each server."""
    with closing(History.open(root)) as history:
        return {each.label: each for each in history.servers()}


def wait_for(root: Path, samples: dict[str, int]) -> None:
    """Wait until servers have so many samples."""
    pause = Event()
    for _ in range(600):
        found = Counter(sample.collector for sample in Layout(root).hot_samples())
        if all(found[label] >= count for label, count in samples.items()):
            return
        pause.wait(0.1)
    pytest.fail(f"{found}: {(root.parent / 'log').read_text()}")


def starts(root: Path, label: str) -> list[tuple[float, float]]:
    """Return when each interval of a server began, and how long it was."""
    whose = servers(root)[label].server_id
    rows = [
        row
        for path in files(Layout(root), "sample").paths
        for row in pq.ParquetFile(path).read(["server_id", "ts", "dur_us"]).to_pylist()
        if row["server_id"] == whose
    ]
    return sorted((row["ts"].timestamp(), row["dur_us"] / 1e6) for row in rows)


@pytest.mark.once
def test_a_server_that_hangs_and_one_that_flaps_delay_nobody_and_lose_nothing(
    make_server: MakeServer, tmp_path: Path
) -> None:
    dsn = arranged(make_server)
    address = conninfo_to_dict(dsn)
    host, port = str(address["host"]), int(str(address["port"]))
    root = tmp_path / "history"
    hangs, flaps = Flapping(host, port, answers=False), Flapping(host, port)
    with closing(hangs), closing(flaps):
        targets = {
            "good": dsn,
            "hangs": make_conninfo(dsn, host="127.0.0.1", port=hangs.here),
            "flaps": make_conninfo(dsn, host="127.0.0.1", port=flaps.here),
            "well": dsn,
        }
        with collecting(root, targets) as process:
            wait_for(root, {"good": 25, "well": 25, "flaps": 6})
            process.send_signal(signal.SIGTERM)
            process.wait(60)
    assert flaps.flaps >= 3
    there = servers(root)
    assert there.keys() == {"good", "well", "flaps"}
    for label in ("good", "well", "flaps"):
        spans = starts(root, label)
        # Each interval begins where the one before it ended: nothing is lost, nothing twice.
        for (began, seconds), (after, _) in pairwise(spans):
            assert after == pytest.approx(began + seconds, abs=2e-6)
        if label != "flaps":
            assert sorted(seconds for _, seconds in spans)[len(spans) // 2] == pytest.approx(
                INTERVAL, abs=INTERVAL / 2
            )


@pytest.mark.once
def test_a_fleet_that_is_killed_while_it_seals_goes_on(
    make_server: MakeServer, tmp_path: Path
) -> None:
    dsn, root = arranged(make_server), tmp_path / "history"
    targets = {f"db{n}": dsn for n in range(4)}
    for turn in range(4):
        with collecting(root, targets) as process:
            wait_for(root, dict.fromkeys(targets, 3))
            sealing = subprocess.Popen(
                [sys.executable, "-m", "pgiostat.history", str(root), "+db0", "-", "-", *targets]
            )
            Event().wait(0.35 + 0.1 * turn)
            os.kill(process.pid, signal.SIGKILL)
            sealing.kill()
            sealing.wait()
    compact_shared(Layout(root), "+db0", sorted(targets))
    assert Layout(root).covers() == {}
    for label in targets:
        spans = starts(root, label)
        for (began, seconds), (after, _) in pairwise(spans):
            assert after == pytest.approx(began + seconds, abs=2e-6)
    names = {path.name.partition("-+")[2] for path in root.glob("sample/*/*.parquet")}
    assert names == {"db0.parquet"}


@pytest.mark.once
def test_a_full_disk_costs_each_server_resolution_and_no_count(
    make_server: MakeServer, tmp_path: Path
) -> None:
    dsn = arranged(make_server)
    targets = {f"db{n}": dsn for n in range(3)}
    with small_disk(tmp_path / "history", 4) as root:
        filler, log = root / "filler", tmp_path / "log"
        with collecting(root, targets) as process:
            wait_for(root, dict.fromkeys(targets, 3))
            with filler.open("wb", buffering=0) as file, suppress(OSError):
                while file.write(bytes(4_096)):
                    pass
            for _ in range(300):
                if all(f"{label}: could not write" in log.read_text() for label in targets):
                    break
                Event().wait(0.1)
            filler.unlink()
            before = Counter(sample.collector for sample in Layout(root).hot_samples())
            wait_for(root, {label: before[label] + 3 for label in targets})
            process.send_signal(signal.SIGTERM)
            process.wait(60)
        text = log.read_text()
        for label in targets:
            assert f"{label}: could not write to the history" in text
            spans = starts(root, label)
            for (began, seconds), (after, _) in pairwise(spans):
                assert after == pytest.approx(began + seconds, abs=2e-6)
            # What the disk had no room for is in one interval.
            assert max(seconds for _, seconds in spans) > 1.5 * INTERVAL


def plan(count: int) -> Plan:
    return Plan(tuple(Target("", f"db{n}") for n in range(count)))


def test_each_server_is_in_one_shard_and_few_move_when_there_are_more() -> None:
    of_each = [
        {target.label for target in share(plan(400), f"{number}/8").targets}
        for number in range(1, 9)
    ]
    assert Counter(label for shard in of_each for label in shard) == Counter(
        f"db{n}" for n in range(400)
    )
    assert all(30 < len(shard) < 75 for shard in of_each)
    moved = {f"db{n}" for n in range(400) if shard_of(f"db{n}", 8) != shard_of(f"db{n}", 9)}
    assert {shard_of(label, 9) for label in moved} == {9}
    assert 25 < len(moved) < 75


@pytest.mark.parametrize("shard", ["0/8", "9/8", "2", "a/b", "-1/2", "1/0", "2/3/4"])
def test_shards_that_are_none(shard: str) -> None:
    with pytest.raises(PgiostatError) as caught:
        share(plan(3), shard)
    assert (caught.value.message, caught.value.status) == (
        f'invalid shard: "{shard}"',
        ExitStatus.USAGE,
    )


def test_a_shard_without_servers_is_said() -> None:
    with pytest.raises(PgiostatError) as caught:
        share(plan(1), f"{3 - shard_of('db0', 2)}/2")
    assert caught.value.message.startswith("none of 1 server is in shard ")
