"""What clients ask for: skipping, the differencing engine, and the bug of the story."""

from dataclasses import dataclass, field

import pytest

from pgiostat.errors import PgiostatError
from pgiostat.lab.workload.api import Api, Rows
from pgiostat.lab.workload.client import Clients, Skipping
from pgiostat.lab.workload.schema import DataSize
from pgiostat.lab.workload.trace import Event, Operation

SIZE = DataSize(clients=2, rows=300, tables=("customer", "visit"))
LOADED = 599  # version of client 1's last row: 299 * 2 + 1


@dataclass
class Asked(Api):
    """An API that answers from a dictionary, and notes what it was asked."""

    connection: None = None  # type: ignore[assignment]
    size: DataSize = SIZE
    newest: dict[tuple[int, str], int] = field(default_factory=dict)
    asked: list[tuple[str, str, Rows]] = field(default_factory=list)

    def version(self, client: int, table: str) -> int | None:
        self.asked.append(("version", table, (0, 0)))
        return self.newest.get((client, table), LOADED - 1 + client)

    def manifest(self, client: int, table: str, rows: Rows) -> dict[int, int] | None:
        self.asked.append(("manifest", table, rows))
        return dict.fromkeys(range(*rows), client)

    def fetch(self, client: int, table: str, rows: Rows) -> int:
        self.asked.append(("fetch", table, rows))
        return client

    def upload(self, client: int, table: str, rows: Rows, version: int) -> None:
        self.asked.append(("upload", table, rows))
        self.newest[client, table] = version

    def taken(self) -> list[tuple[str, str, Rows]]:
        taken, self.asked = self.asked, []
        return taken


def happens(clients: Clients, operation: Operation, table: str = "", *rows: int) -> None:
    clients.happens(Event(0.0, 1, operation, table, (rows[0], rows[1]) if rows else (0, 0)))


def sync(clients: Clients) -> list[tuple[str, str, Rows]]:
    """Let the process come by, and return what is asked for."""
    happens(clients, Operation.SYNC)
    assert isinstance(clients.api, Asked)
    return clients.api.taken()


def through(table: str) -> list[tuple[str, str, Rows]]:
    """Return the manifests of a whole table."""
    return [("manifest", table, (0, 250)), ("manifest", table, (250, 300))]


def test_what_changed_on_the_device_is_uploaded_within_its_range() -> None:
    clients = Clients(Asked(), ["customer", "visit"], Skipping(bug=False))
    happens(clients, Operation.CHANGE, "customer", 248, 252)
    assert sync(clients) == [
        ("version", "customer", (0, 0)),
        ("manifest", "customer", (0, 250)),
        ("upload", "customer", (248, 250)),
        ("manifest", "customer", (250, 300)),
        ("upload", "customer", (250, 252)),
    ]
    assert sync(clients) == []


def test_versions_are_asked_for_before_the_engine_runs() -> None:
    clients = Clients(Asked(), ["customer", "visit"])
    happens(clients, Operation.CHANGE, "visit", 0, 1)
    happens(clients, Operation.CHANGE, "customer", 299, 300)
    assert [each[:2] for each in sync(clients)][:3] == [
        ("version", "customer"), ("version", "visit"), ("manifest", "customer"),
    ]  # fmt: skip


@pytest.mark.parametrize("bug", [True, False])
def test_a_table_that_did_not_change_is_skipped_so_many_times(*, bug: bool) -> None:
    clients = Clients(Asked(), ["customer"], Skipping(cap=2, bug=bug))
    assert sync(clients) == []
    assert sync(clients) == []
    # The story's bug: it is identical, and the engine runs all the same.
    asked = [("version", "customer", (0, 0)), *(through("customer") if bug else [])]
    assert sync(clients) == asked
    assert sync(clients) == []


def test_a_table_that_may_wait_is_skipped_although_it_changed() -> None:
    clients = Clients(Asked(), ["visit"], Skipping(may_wait=("visit",), patience=1, bug=False))
    happens(clients, Operation.CHANGE, "visit", 5, 6)
    assert sync(clients) == []
    assert sync(clients) == [
        ("version", "visit", (0, 0)),
        ("manifest", "visit", (0, 250)),
        ("upload", "visit", (5, 6)),
        ("manifest", "visit", (250, 300)),
    ]


def test_what_changed_elsewhere_is_fetched_once() -> None:
    clients = Clients(Asked(), ["customer"], Skipping(cap=0, bug=False))
    happens(clients, Operation.REMOTE, "customer", 10, 12)
    assert isinstance(clients.api, Asked)
    assert clients.api.taken() == [("upload", "customer", (10, 12))]
    assert sync(clients) == [
        ("version", "customer", (0, 0)),
        ("manifest", "customer", (0, 250)),
        ("fetch", "customer", (10, 12)),
        ("manifest", "customer", (250, 300)),
    ]
    assert sync(clients) == [("version", "customer", (0, 0))]


def test_a_server_that_answers_what_nobody_wrote_is_told() -> None:
    api = Asked(newest={(1, "customer"): 7})
    clients = Clients(api, ["customer"], Skipping(cap=0))
    with pytest.raises(PgiostatError) as raised:
        sync(clients)
    assert raised.value.slug == "lab-inconsistent"
    assert raised.value.detail == "The version of client 1's customer is 599, not 7."


def test_requests_that_were_captured_are_sent_as_they_are() -> None:
    clients = Clients(Asked(), ["customer"])
    happens(clients, Operation.VERSION, "customer")
    happens(clients, Operation.MANIFEST, "customer", 3, 9)
    happens(clients, Operation.FETCH, "customer", 3, 4)
    happens(clients, Operation.UPLOAD, "customer", 3, 4)
    happens(clients, Operation.UPLOAD, "visit", 3, 4)  # a table that this system does not have
    assert isinstance(clients.api, Asked)
    assert clients.api.taken() == [
        ("version", "customer", (0, 0)),
        ("manifest", "customer", (3, 9)),
        ("fetch", "customer", (3, 4)),
        ("upload", "customer", (3, 4)),
    ]
