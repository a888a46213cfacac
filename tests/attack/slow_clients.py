"""Slow and hostile clients of the metrics page: is collecting delayed, or a good client?"""

import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

import psycopg

from pgiostat.lab.postgres.cluster import Cluster, embedded_binaries
from tests.attack import Outcome, Scale
from tests.support.servers import INITDB_OPTIONS, SETTINGS

__all__ = ["attack"]

DESCRIPTORS = 256
"""How many the collector may have open."""
CLIENTS_AT_ONCE = 16
INTERVAL_SECONDS = 0.5
SCRAPE_SECONDS = 2.0
"""How long a good client waits for its page."""
HALF = b"GET /metrics HTTP/1.1\r\nX"
WHOLE = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"

Sends = Callable[[int], Iterator[bytes]]
"""What a client sends, one piece after another as time goes by, by its number."""


def _once(piece: bytes) -> Sends:
    return lambda _number: iter([piece])


def _slowly(_number: int) -> Iterator[bytes]:
    return (bytes([each]) for each in HALF + b": " + b"y" * 5_000)


def _without_end(_number: int) -> Iterator[bytes]:
    yield HALF
    while True:
        yield b": " + b"z" * 1_000


def _asking_again(_number: int) -> Iterator[bytes]:
    while True:
        yield WHOLE


KINDS: dict[str, Sends] = {
    "sends nothing": _once(b""),
    "sends half a request": _once(HALF),
    "sends a byte at a time": _slowly,
    "sends headers without end": _without_end,
    "sends a request and never reads": _once(WHOLE),
    "sends many requests on one connection": _asking_again,
    "sends garbage after its request": _once(WHOLE + bytes(range(256)) * 200),
    "begins TLS": _once(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)),
}


def attack(scale: Scale) -> Outcome:
    """Hold connections of each kind while samples are taken and a good client asks."""
    clients, seconds = (100, 2.0) if scale.quick else (300, 10.0)
    outcome = Outcome(
        "Slow clients of the metrics page",
        f"{clients} clients of each kind at once, connecting again when they are ended, for"
        f" {seconds:g} s, on a collector that may have {DESCRIPTORS} descriptors and takes a sample"
        f" every {INTERVAL_SECONDS:g} s. Meanwhile a good client sends requests, and waits"
        f" {SCRAPE_SECONDS:g} s at most.",
        ("client", "samples missed", "good clients refused", "connections held at most"),
    )
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 4_096), most))
    with _server(scale) as dsn, _collector(dsn, scale.scratch) as (process, port):
        for kind, sends in KINDS.items():
            with _clients(port, clients, sends):
                row = _watched(process, port, scale.scratch, seconds)
            outcome.rows.append((kind, *row))
            if row != ("none", "none", f"{CLIENTS_AT_ONCE} or fewer"):
                outcome.failures.append(f"{kind}: {', '.join(row)}")
    return outcome


@contextmanager
def _server(scale: Scale) -> Iterator[str]:
    cluster = Cluster(embedded_binaries(), scale.scratch / "server", settings=SETTINGS)
    cluster.initialise(options=INITDB_OPTIONS)
    cluster.start()
    try:
        with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
            connection.execute("CREATE EXTENSION pg_stat_statements")
        yield cluster.dsn()
    finally:
        cluster.destroy()


@contextmanager
def _collector(dsn: str, scratch: Path) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    with closing(socket.create_server(("127.0.0.1", 0))) as one:
        port = one.getsockname()[1]
    command = [sys.executable, "-m", "pgiostat", "collect", dsn, "--label", "x"]
    command += [
        "--history",
        str(scratch / "history"),
        "--interval",
        f"{INTERVAL_SECONDS * 1e3:g}ms",
    ]
    command += ["--metrics", str(port), "--device", "none", "--cloudwatch", "none"]
    limited = ["/bin/sh", "-c", f'ulimit -n {DESCRIPTORS}; exec "$@"', "sh", *command]
    with (scratch / "log").open("wb") as log, subprocess.Popen(limited, stderr=log) as process:
        try:
            while _samples(scratch) < 3:
                if process.poll() is not None:
                    raise RuntimeError((scratch / "log").read_text("utf-8"))
                Event().wait(0.1)
            yield process, port
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def _samples(scratch: Path) -> int:
    hot = scratch / "history" / "hot" / "x"
    return len(list(hot.iterdir())) if hot.is_dir() else 0


@contextmanager
def _clients(port: int, count: int, sends: Sends) -> Iterator[None]:
    """Keep so many clients connected, from a thread of their own."""
    stop = Event()
    thread = Thread(target=_hold, args=(port, count, sends, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _hold(port: int, count: int, sends: Sends, stop: Event) -> None:
    with ExitStack() as held:
        there: dict[int, tuple[socket.socket, Iterator[bytes]]] = {}
        while not stop.is_set():
            for number in range(count):
                if number not in there:
                    with suppress(OSError):
                        client = socket.create_connection(("127.0.0.1", port), timeout=0.5)
                        held.callback(client.close)
                        client.setblocking(False)
                        there[number] = client, sends(number)
                elif not _goes_on(*there[number]):
                    there.pop(number)[0].close()
            stop.wait(0.1)


def _goes_on(client: socket.socket, pieces: Iterator[bytes]) -> bool:
    """Send the next piece; return whether the connection is still there."""
    try:
        client.send(next(pieces, b""))
        # The end of a connection is seen without reading what was answered.
        return client.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def _watched(
    process: "subprocess.Popen[bytes]", port: int, scratch: Path, seconds: float
) -> tuple[str, ...]:
    """Return how collecting goes, and what good clients get."""
    Event().wait(INTERVAL_SECONDS)
    began, before = time.monotonic(), _samples(scratch)
    refused, held = 0, 0
    while time.monotonic() - began < seconds:
        refused += not _scraped(port)
        held = max(held, _connections(process.pid, port))
        Event().wait(INTERVAL_SECONDS / 2)
    whole = int((time.monotonic() - began) / INTERVAL_SECONDS)
    missed = max(0, whole - 1 - (_samples(scratch) - before))
    return (
        str(missed or "none"),
        str(refused or "none"),
        f"{CLIENTS_AT_ONCE} or fewer" if held <= CLIENTS_AT_ONCE else str(held),
    )


def _scraped(port: int) -> bool:
    """Ask as Prometheus does; return whether the page came in time."""
    page, deadline = b"", time.monotonic() + SCRAPE_SECONDS
    try:
        with closing(socket.create_connection(("127.0.0.1", port), SCRAPE_SECONDS)) as client:
            client.sendall(WHOLE)
            while part := client.recv(65_536):
                page += part
    except OSError:
        return False
    is_whole = b" 200 OK\r\n" in page[:20] and b'pgiostat_up{server="x"} 1.0' in page
    return is_whole and time.monotonic() < deadline


def _connections(pid: int, port: int) -> int:
    """Return how many connections at a port a process has, but for that of who listens."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            inodes.add(descriptor.readlink().name.removeprefix("socket:[").rstrip("]"))
    rows = (line.split() for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:])
    here = f":{port:04X}"
    return sum(row[1].endswith(here) and row[3] != "0A" and row[9] in inodes for row in rows)
