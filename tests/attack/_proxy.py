"""A proxy that does to replies of a server what networks do, and that can change the server."""

import contextlib
import random
import socket
from collections.abc import Callable
from enum import Enum, auto
from pathlib import Path
from threading import Event, Lock, Thread

__all__ = ["FaultyProxy", "Network"]

LARGE = 300
"""Bytes of a reply that is worth damaging: one that carries a reading."""
FLIPS = 3


class Network(Enum):
    """What the network does."""

    WORKS = auto()
    REFUSES = auto()
    STALLS = auto()
    CUTS = auto()
    DRIPS = auto()
    FLIPS = auto()


class FaultyProxy:
    """Passes connections on to a server; `network` and `target` may change at any time.

    Attributes:
        network: What is done to connections, also to those that there are.
        target: The server's socket, for connections that come from now on. Through a socket a
            server has no address and no port, so that one looks like the other.
        damaged: How many replies were cut, dripped or changed.
    """

    def __init__(self, target: Path) -> None:
        self.network = Network.WORKS
        self.target = target
        self.damaged = 0
        self._random = random.Random(17)  # noqa: S311 - nothing secret
        self._ended = Event()
        self._open: set[socket.socket] = set()
        self._lock = Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.1)
        self.listens_at: int = self._listener.getsockname()[1]
        Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """End it, with all of its connections."""
        self._ended.set()
        self.network = Network.REFUSES
        self.cut()

    def cut(self) -> None:
        """End all connections."""
        with self._lock:
            there = list(self._open)
        for each in there:
            _end(each)

    def _accept(self) -> None:
        with self._listener:
            while not self._ended.is_set():
                with contextlib.suppress(TimeoutError):
                    client, _ = self._listener.accept()
                    self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        if self.network is Network.REFUSES:
            client.close()
            return
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(str(self.target))
        except OSError:
            client.close()
            server.close()
            return
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._open |= {client, server}
        for source, target, sends in (
            (client, server, server.sendall),
            (server, client, self._replies(client)),
        ):
            Thread(target=self._pump, args=(source, target, sends), daemon=True).start()

    def _pump(
        self, source: socket.socket, target: socket.socket, sends: Callable[[bytes], None]
    ) -> None:
        with contextlib.suppress(OSError):
            while received := source.recv(65_536):
                while self.network is Network.STALLS:
                    Event().wait(0.05)
                sends(received)
        with self._lock:
            self._open -= {source, target}
        for each in (source, target):
            _end(each)

    def _replies(self, client: socket.socket) -> Callable[[bytes], None]:
        """Return what passes replies on."""

        def sends(reply: bytes) -> None:
            if len(reply) <= LARGE or self.network in {Network.WORKS, Network.STALLS}:
                client.sendall(reply)
                return
            self.damaged += 1
            match self.network:
                case Network.DRIPS:
                    for each in reply:
                        client.sendall(bytes([each]))
                case Network.FLIPS:
                    client.sendall(self._flipped(reply))
                case _:
                    client.sendall(reply[: len(reply) // 2])
                    raise ConnectionError("cut")

        return sends

    def _flipped(self, reply: bytes) -> bytes:
        """Return a reply with a few bits of its second half changed."""
        changed = bytearray(reply)
        for _ in range(FLIPS):
            place = self._random.randrange(len(changed) // 2, len(changed))
            changed[place] ^= 1 << self._random.randrange(8)
        return bytes(changed)


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
