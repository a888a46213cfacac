"""One page over HTTP for untrusted clients: bounded in time, number and bytes.

A single thread serves all clients, and none can block it. However many and slow they are, they use
a bounded number of descriptors and bytes, and no text of a request is in any output.
"""

import re
import selectors
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from threading import Thread

__all__ = ["Answer", "Limits", "Listener", "Request"]

_CHUNK = 65_536
_LINGER_SECONDS = 1.0
"""How long a served client may take to close: a reset could cost it the answer."""
_PAUSE_SECONDS = 0.5
"""How long no client is accepted after the system refused a descriptor."""
_BACKLOG = 128
"""Clients in the system's queue; they cost this process no descriptor."""
_END = b"\r\n\r\n"
_BEGINS = re.compile(rb"[A-Z]{1,16}(?: [\x21-\x7e]*(?: [\x20-\x7e]*)?)?\r?")
"""Any beginning of the first line of a request."""
_LINE = re.compile(r"([A-Z]{1,16}) ([\x21-\x7e]+) HTTP/1\.[01]")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")


@dataclass(frozen=True, slots=True)
class Limits:
    """What clients may use.

    Attributes:
        clients: Connections at once. One more closes the oldest: a client that sends its request
            at once and reads has its answer by then.
        request_bytes: Length of a request with all of its headers.
        request_seconds: From connecting to the end of the request, however it trickles in.
        answer_seconds: From the end of the request to the end of the answer.
    """

    clients: int = 16
    request_bytes: int = 8_192
    request_seconds: float = 5.0
    answer_seconds: float = 15.0


@dataclass(frozen=True, slots=True)
class Request:
    """A request; names of headers are in small letters."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; headers: beside those of every answer."""

    status: HTTPStatus
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def written(self, *, head: bool = False) -> bytes:
        """Return it in the form of HTTP/1.1; head: without the body."""
        headers = {"Content-Length": str(len(self.body)), "Connection": "close", **self.headers}
        lines = [f"HTTP/1.1 {self.status.value} {self.status.phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join((*lines, "", "")).encode("latin-1") + (b"" if head else self.body)


def parsed(raw: bytes) -> Request | None:
    r"""Return a request from its text without the empty line at its end; None if it is invalid.

    >>> parsed(b"GET /metrics?x=1 HTTP/1.1\r\nHost: a")
    Request(method='GET', path='/metrics', headers={'host': 'a'})
    >>> parsed(b"GET /metrics")
    """
    first, *lines = raw.decode("latin-1").split("\r\n")
    found = _LINE.fullmatch(first)
    headers = [_HEADER.fullmatch(line) for line in lines]
    if found is None or None in headers:
        return None
    named = {each[1].lower(): each[2].strip() for each in headers if each is not None}
    return Request(found[1], found[2].partition("?")[0], named)


@dataclass(slots=True, eq=False)
class _Client:
    """A connection: its request is read, then its answer sent, then it is closed."""

    socket: socket.socket
    deadline: float
    received: bytearray = field(default_factory=bytearray)
    left: memoryview | None = None
    is_served: bool = False


class Listener:
    """Answers clients at one address; raises OSError if that cannot be listened at.

    Args:
        host: A name or an address; "::" is all addresses of both kinds.
        port: The port; 0 is any that is free.
        answer: Makes the answer to a request. It runs in the listener's thread.
        limits: What clients may take.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        host: str,
        port: int,
        answer: Callable[[Request], Answer],
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._answer, self._limits, self._clock = answer, limits or Limits(), clock
        self._socket = _listening(host, port)
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        # In the order of their connections.
        self._clients: dict[_Client, None] = {}
        self._paused_until: float | None = None
        self._thread = Thread(target=self._run, name="metrics", daemon=True)

    @property
    def port(self) -> int:
        """The port that it listens at."""
        port: int = self._socket.getsockname()[1]
        return port

    def start(self) -> None:
        """Begin to answer, in a thread of its own."""
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread.start()

    def end(self) -> None:
        """End, with all connections."""
        self._wake.send(b".")
        self._thread.join()
        for client in list(self._clients):
            self._drop(client)
        self._selector.close()
        for each in (self._socket, self._wake, self._woken):
            each.close()

    def _run(self) -> None:
        while True:
            events = self._selector.select(self._patience())
            ready = {key.fileobj: key.data for key, _ in events}
            if self._woken in ready:
                return
            for client in filter(None, ready.values()):
                self._serve(client)
            if self._socket in ready:
                self._accept()
            self._expire()

    def _patience(self) -> float | None:
        """Return the seconds until something is due."""
        due = [client.deadline for client in self._clients]
        if self._paused_until is not None:
            due.append(self._paused_until)
        return max(0.0, min(due) - self._clock()) if due else None

    def _accept(self) -> None:
        """Accept one more client, and close the oldest if there are too many."""
        try:
            connection, _ = self._socket.accept()
        except BlockingIOError:
            return
        except OSError:  # no descriptor is left, or the client has disconnected
            self._selector.unregister(self._socket)
            self._paused_until = self._clock() + _PAUSE_SECONDS
            return
        if len(self._clients) >= self._limits.clients:
            self._drop(next(iter(self._clients)))
        connection.setblocking(False)
        client = _Client(connection, self._clock() + self._limits.request_seconds)
        self._clients[client] = None
        self._selector.register(connection, selectors.EVENT_READ, client)

    def _expire(self) -> None:
        now = self._clock()
        for client in [client for client in self._clients if client.deadline <= now]:
            self._drop(client)
        if self._paused_until is not None and self._paused_until <= now:
            self._paused_until = None
            self._selector.register(self._socket, selectors.EVENT_READ)

    def _drop(self, client: _Client) -> None:
        del self._clients[client]
        self._selector.unregister(client.socket)
        client.socket.close()

    def _serve(self, client: _Client) -> None:
        """Receive from a client or send to it; close one that fails."""
        try:
            if client.left is not None and not client.is_served:
                self._send(client)
            else:
                self._receive(client)
        except BlockingIOError:
            return
        except OSError:
            self._drop(client)

    def _receive(self, client: _Client) -> None:
        content = client.socket.recv(_CHUNK if client.is_served else self._limits.request_bytes)
        if not content:
            self._drop(client)
        elif not client.is_served:
            client.received += content
            answer = self._answered(bytes(client.received))
            if answer is not None:
                self._begin(client, answer)

    def _answered(self, received: bytes) -> bytes | None:
        """Return the answer to the received bytes; None if the request is incomplete."""
        raw, end, _ = received.partition(_END)
        if len(raw) > self._limits.request_bytes:
            return Answer(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE).written()
        if not end:
            is_request = _BEGINS.fullmatch(received.partition(b"\n")[0])
            if is_request and len(received) < self._limits.request_bytes:
                return None
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE if is_request else _BAD
            return Answer(status).written()
        request = parsed(raw)
        if request is None:
            return Answer(_BAD).written()
        try:
            answer = self._answer(request)
        except Exception:  # noqa: BLE001 - one answer fails, and no later one
            answer = Answer(HTTPStatus.INTERNAL_SERVER_ERROR)
        return answer.written(head=request.method == "HEAD")

    def _begin(self, client: _Client, answer: bytes) -> None:
        client.received.clear()
        client.left = memoryview(answer)
        client.deadline = self._clock() + self._limits.answer_seconds
        self._selector.modify(client.socket, selectors.EVENT_WRITE, client)
        self._send(client)

    def _send(self, client: _Client) -> None:
        if client.left is None:
            return
        client.left = client.left[client.socket.send(client.left[:_CHUNK]) :]
        if not client.left:
            client.is_served = True
            client.deadline = self._clock() + _LINGER_SECONDS
            client.socket.shutdown(socket.SHUT_WR)
            self._selector.modify(client.socket, selectors.EVENT_READ, client)


_BAD = HTTPStatus.BAD_REQUEST


def _listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens."""
    family, _, _, _, place = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    both = family == socket.AF_INET6 and host == "::" and socket.has_dualstack_ipv6()
    listening = socket.create_server(place, family=family, backlog=_BACKLOG, dualstack_ipv6=both)
    listening.setblocking(False)
    return listening
