"""Servers to attack, what pgiostat does with them, and a proxy that drops our settings."""

import contextlib
import os
import re
import select
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgiostat.lab.postgres.cluster import Cluster, Setting, embedded_binaries
from tests.support.servers import INITDB_OPTIONS, SETTINGS, ClusterServer, matrix_binaries

__all__ = ["forgetful_proxy", "log_records", "pgiostat", "running"]

EMBEDDED_MAJOR = 18
_PREFIX = re.compile(r"^<<(.*?)>>", re.MULTILINE)
LOGGING: dict[str, Setting] = {"log_line_prefix": "<<%a>>", "log_statement": "all"}


@contextlib.contextmanager
def running(major: int, scratch: Path, **settings: Setting) -> Iterator[ClusterServer]:
    """Yield a server of a major version, which logs every statement."""
    binaries = embedded_binaries() if major == EMBEDDED_MAJOR else matrix_binaries(major)
    cluster = Cluster(
        binaries, scratch / f"server-{major}", settings={**SETTINGS, **LOGGING, **settings}
    )
    cluster.initialise(options=INITDB_OPTIONS)
    try:
        cluster.start()
        yield ClusterServer(cluster)
    finally:
        cluster.destroy()


def log_records(server: ClusterServer, since: int = 0) -> list[tuple[str, str]]:
    """Return (application_name, message) of the server's log from a position on."""
    with server.cluster.log.open("rb") as log:
        log.seek(since)
        text = log.read().decode("utf-8", "replace")
    starts = list(_PREFIX.finditer(text))
    ends = [each.start() for each in starts[1:]] + [len(text)]
    return [
        (start[1], text[start.end() : end].replace("\n\t", "\n").strip())
        for start, end in zip(starts, ends, strict=True)
    ]


def pgiostat(
    arguments: Sequence[str | Path], *, cwd: Path, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run the program without a terminal and without libpq's variables."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return subprocess.run(
        [sys.executable, "-m", "pgiostat", *map(str, arguments)],
        capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL, check=False,
        cwd=cwd,
        env=clean | {"PYTHONPATH": str(Path(__file__).parent.parent.parent)},
    )  # fmt: skip


@contextlib.contextmanager
def forgetful_proxy(dsn: str) -> Iterator[str]:
    """Yield a connection string through a proxy that drops the start-up options, as poolers do."""
    given = conninfo_to_dict(dsn)
    target = (str(given["host"]), int(str(given["port"])))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ended = threading.Event()
        thread = threading.Thread(target=_accept, args=(listener, target, ended), daemon=True)
        thread.start()
        try:
            # .pgpass names the server's port; the password itself holds on any.
            password = Path(str(given["passfile"])).read_text("utf-8").strip().rpartition(":")[2]
            port = listener.getsockname()[1]
            yield make_conninfo(dsn, host="127.0.0.1", port=port, password=password)
        finally:
            ended.set()
            thread.join()


def _accept(listener: socket.socket, target: tuple[str, int], ended: threading.Event) -> None:
    listener.settimeout(0.1)
    while not ended.is_set():
        try:
            client, _ = listener.accept()
        except TimeoutError:
            continue
        threading.Thread(target=_relay, args=(client, target), daemon=True).start()


def _relay(client: socket.socket, target: tuple[str, int]) -> None:
    with client, contextlib.suppress(OSError), socket.create_connection(target) as server:
        server.sendall(_without_options(client))
        peers = {client: server, server: client}
        while True:
            for ready in select.select([client, server], [], [])[0]:
                received = ready.recv(65536)
                if not received:
                    return
                peers[ready].sendall(received)


def _without_options(client: socket.socket) -> bytes:
    """Return the client's start-up packet without its options."""
    while True:
        length = struct.unpack("!I", _exactly(client, 4))[0]
        body = _exactly(client, length - 4)
        if body[:2] == b"\x04\xd2":  # a request for TLS, GSS or a cancellation: none of these here
            client.sendall(b"N")
            continue
        words = body[4:].split(b"\0")
        pairs = zip(words[::2], words[1::2], strict=False)
        kept = [part for pair in pairs if pair[0] not in {b"", b"options"} for part in pair]
        changed = body[:4] + b"".join(part + b"\0" for part in kept) + b"\0"
        return struct.pack("!I", len(changed) + 4) + changed


def _exactly(client: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count:
        more = client.recv(count - len(received))
        if not more:
            raise ConnectionError("the client left")
        received += more
    return received
