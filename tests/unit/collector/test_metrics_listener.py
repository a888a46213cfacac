"""Clients of the metrics page: whatever they send or leave out, others are answered."""

import errno
import gzip
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from http import HTTPStatus
from pathlib import Path
from threading import Event

import pytest

from pgiostat.collector.listener import Answer, Limits, Listener, Request
from pgiostat.collector.metrics import Metrics
from pgiostat.collector.metrics_server import Address, MetricsServer, parse_address

BODY = b"x 1\n"
QUICK = Limits(clients=4, request_bytes=512, request_seconds=0.4, answer_seconds=0.4)
PATIENCE = 10.0


def hello(request: Request) -> Answer:
    if request.path == "/broken":
        raise ValueError(request.path)
    return Answer(HTTPStatus.OK, BODY, {"Content-Type": "text/plain"})


@contextmanager
def listening(
    answer: Callable[[Request], Answer] = hello, limits: Limits = QUICK
) -> Iterator[Listener]:
    listener = Listener("127.0.0.1", 0, answer, limits)
    listener.start()
    try:
        yield listener
    finally:
        listener.end()


def connected(listener: Listener) -> socket.socket:
    return socket.create_connection(("127.0.0.1", listener.port), timeout=PATIENCE)


def descriptors() -> list[str]:
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


def rest(client: socket.socket) -> bytes:
    """Return all that comes until the other side closes."""
    found = b""
    try:
        while part := client.recv(65_536):
            found += part
    except ConnectionResetError:
        pass
    return found


def asked(listener: Listener, raw: bytes) -> bytes:
    """Return the answer to some bytes; it ends by itself."""
    with closing(connected(listener)) as client:
        client.sendall(raw)
        return rest(client)


def whole(status: str, body: bytes = b"", *more: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *more]
    return "\r\n".join((*lines, "", "")).encode() + body


OK = whole("200 OK", BODY, "Content-Type: text/plain")
BAD, LARGE = whole("400 Bad Request"), whole("431 Request Header Fields Too Large")


@pytest.mark.parametrize(
    ("raw", "answer"),
    [
        (b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", OK),
        (b"GET /metrics HTTP/1.0\r\n\r\n", OK),
        (b"HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n", OK.removesuffix(BODY)),
        (b"GET /metrics HTTP/1.1\r\n\r\nGET /x HTTP/1.1\r\n\r\n" + b"\0" * 5_000, OK),
        (b"GET /broken HTTP/1.1\r\n\r\n", whole("500 Internal Server Error")),
        (b"GET /metrics\r\n\r\n", BAD),
        (b"GET /metrics HTTP/2.0\r\n\r\n", BAD),
        (b"GET  /metrics HTTP/1.1\r\n\r\n", BAD),
        (b"get /metrics HTTP/1.1\r\n\r\n", BAD),
        (b"GET /metrics HTTP/1.1\r\nno header\r\n\r\n", BAD),
        (b"GET /metrics HTTP/1.1\r\nA: b\r\n c\r\n\r\n", BAD),
        (b"GET /metrics HTTP/1.1\r\nA: b\rC: d\r\n\r\n", BAD),
        (b"GET /metrics HTTP/1.1\nHost: a\n\n", b""),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", BAD),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", BAD),
        (b"SSH-2.0-OpenSSH_9.6\r\n", BAD),
        (b"\r\n\r\n", BAD),
        (b"\0" * 400, BAD),
        (b"GET /" + b"a" * 600, LARGE),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * 600, LARGE),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", LARGE),
        (b"GET /metrics HTTP/1.1\r\n", b""),
        (b"", b""),
    ],
)
def test_each_request_has_its_answer_and_the_connection_ends(raw: bytes, answer: bytes) -> None:
    began = time.monotonic()
    with listening() as listener:
        assert asked(listener, raw) == answer
    assert time.monotonic() - began < PATIENCE / 2


def test_a_request_may_come_in_pieces() -> None:
    with listening(limits=Limits()) as listener, closing(connected(listener)) as client:
        for piece in (b"GE", b"T /met", b"rics HTTP/1.1\r", b"\nHost: a\r\n\r", b"\n"):
            client.sendall(piece)
            wait(0.02)
        assert rest(client) == OK


def wait(seconds: float) -> None:
    """Let time go by that is a client's own."""
    Event().wait(seconds)


def trickled(client: socket.socket) -> None:
    """Send a request a byte at a time, until it is refused."""
    for letter in b"GET /metrics HTTP/1.1\r\n" + b"A: b\r\n" * 500:
        client.sendall(bytes([letter]))
        wait(0.05)


def test_bytes_that_trickle_in_give_no_more_time() -> None:
    with listening() as listener, closing(connected(listener)) as client:
        began = time.monotonic()
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            trickled(client)
        took = time.monotonic() - began
    assert QUICK.request_seconds <= took < QUICK.request_seconds * 4


def test_a_client_that_does_not_read_is_given_up() -> None:
    large = Answer(HTTPStatus.OK, b"x" * 50_000_000)
    with listening(lambda _: large) as listener, closing(connected(listener)) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        wait(QUICK.answer_seconds * 3)
        assert listener._clients == {}
        assert 0 < len(rest(client)) < len(large.body)


def test_a_client_that_reads_slowly_has_all_of_a_large_page() -> None:
    large = Answer(HTTPStatus.OK, bytes(range(256)) * 40_000)
    with listening(lambda _: large, Limits()) as listener, closing(connected(listener)) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        wait(0.3)
        assert rest(client).endswith(large.body)


@pytest.mark.parametrize(
    "begun", [b"", b"GET /metrics HTTP/1.1\r\nX", b"GET /metrics HTTP/1.1\r\n\r\n"]
)
def test_many_clients_that_hold_on_keep_no_other_waiting(begun: bytes) -> None:
    large = Answer(HTTPStatus.OK, b"x" * 20_000_000)
    limits = Limits(clients=8, request_seconds=60, answer_seconds=60)
    before = len(descriptors())

    def answer(request: Request) -> Answer:
        return hello(request) if request.path == "/good" else large

    with listening(answer, limits) as listener, ExitStack() as held:
        clients = []
        for _ in range(100):
            client = held.enter_context(closing(connected(listener)))
            if begun:
                client.sendall(begun)
            clients.append(client)
        began = time.monotonic()
        assert [asked(listener, b"GET /good HTTP/1.1\r\n\r\n") for _ in range(5)] == [OK] * 5
        assert time.monotonic() - began < 2.0
        # Ours are 100; the listener has itself, what wakes it, what waits, and 8 clients.
        assert len(descriptors()) - before <= len(clients) + limits.clients + 4
        assert len(listener._clients) <= limits.clients


class _Refusing:
    """A socket for which the system has no descriptor, some times."""

    def __init__(self, inner: socket.socket, times: int) -> None:
        self._inner, self.left = inner, times
        self.getsockname, self.close, self.fileno = inner.getsockname, inner.close, inner.fileno

    def accept(self) -> object:
        if self.left:
            self.left -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return self._inner.accept()


def test_clients_wait_while_the_system_has_no_descriptor() -> None:
    listener = Listener("127.0.0.1", 0, hello, QUICK)
    refusing = _Refusing(listener._socket, 2)
    listener._socket = refusing  # type: ignore[assignment] # as much of one as is used
    listener.start()
    began = time.process_time()
    assert asked(listener, b"GET /metrics HTTP/1.1\r\n\r\n") == OK
    assert refusing.left == 0
    assert time.process_time() - began < 0.5  # it waited, and did not ask again and again
    listener.end()


def test_the_end_closes_all() -> None:
    before = descriptors()
    with listening(limits=Limits()) as listener:
        client = connected(listener)
        client.sendall(b"GET")
    assert rest(client) == b""
    client.close()
    assert descriptors() == before


# --- the page ---------------------------------------------------------------------------------


def test_only_the_page_is_there_and_nothing_is_repeated() -> None:
    page = MetricsServer(lambda: [Metrics("prod", 10.0)])
    missing = page.answer(Request("GET", "/<script>%0d%0aX: y"))
    assert missing == Answer(
        HTTPStatus.NOT_FOUND,
        b"The page is /metrics.\n",
        {"Content-Type": "text/plain; charset=utf-8"},
    )
    for method in ("POST", "OPTIONS", "TRACE"):
        refused = page.answer(Request(method, "/metrics"))
        assert refused == Answer(HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "GET, HEAD"})
    found = page.answer(Request("HEAD", "/metrics"))
    assert found.status == HTTPStatus.OK
    assert b'pgiostat_up{server="prod"} 0.0\n' in found.body


def test_a_page_is_made_once_a_second_however_often_it_is_asked_for() -> None:
    made, now = list[bool](), [100.0]

    def servers() -> list[Metrics]:
        made.append(True)
        return []

    page = MetricsServer(servers, lambda: now[0])
    get = Request("GET", "/metrics")
    for _ in range(100):
        plain = page.answer(get)
    now[0] += 0.99
    assert page.answer(get) is plain
    first = len(made)
    now[0] += 0.02
    assert page.answer(get).body == plain.body
    assert (first, len(made)) == (1, 2)
    short = page.answer(Request("GET", "/metrics", {"accept-encoding": "gzip, deflate"}))
    assert short.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(short.body) == plain.body
    modern = page.answer(Request("GET", "/metrics", {"accept": "application/openmetrics-text;q=1"}))
    assert modern.headers["Content-Type"].startswith("application/openmetrics-text")
    assert modern.body.endswith(b"# EOF\n")


@pytest.mark.parametrize(
    ("words", "host", "port", "shown", "is_open"),
    [
        ("9187", "127.0.0.1", 9187, "127.0.0.1:9187", False),
        ("localhost:9187", "localhost", 9187, "localhost:9187", False),
        ("[::1]:9187", "::1", 9187, "[::1]:9187", False),
        ("[::]:9187", "::", 9187, "[::]:9187", True),
        ("[fe80::1%eth0]:9187", "fe80::1%eth0", 9187, "[fe80::1%eth0]:9187", True),
        ("[::ffff:127.0.0.1]:1", "::ffff:127.0.0.1", 1, "[::ffff:127.0.0.1]:1", True),
        ("0.0.0.0:9187", "0.0.0.0", 9187, "0.0.0.0:9187", True),  # noqa: S104
        ("collector.example:9187", "collector.example", 9187, "collector.example:9187", True),
    ],
)
def test_addresses_and_who_may_reach_them(
    words: str,
    host: str,
    port: int,
    shown: str,
    is_open: bool,  # noqa: FBT001 - pytest hands it over so
) -> None:
    found = parse_address(words)
    assert (found, str(found), found.is_open) == (Address(host, port), shown, is_open)


@pytest.mark.parametrize(("host", "where"), [("127.0.0.1", "127.0.0.1"), ("::1", "::1"),
                                             ("::", "127.0.0.1"), ("::", "::1")])  # fmt: skip
def test_a_listener_listens_where_it_is_told_to(host: str, where: str) -> None:
    try:
        listener = Listener(host, 0, hello)
    except OSError:
        pytest.skip("this machine has no IPv6")
    listener.start()
    try:
        with closing(socket.create_connection((where, listener.port), PATIENCE)) as client:
            client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
            assert rest(client) == OK
    finally:
        listener.end()
