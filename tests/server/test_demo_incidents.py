"""Incidents of the demo: what each does to the database, and the statements that it costs."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pgiostat.lab.faults.incident import WorkloadIncident
from pgiostat.lab.workload import faults, incidents, schema
from pgiostat.lab.workload import load as sync
from pgiostat.lab.workload.incidents import IncidentSwitch
from pgiostat.lab.workload.shop import faults as shop
from pgiostat.lab.workload.shop import pages, rows
from pgiostat.queries.describe import describer
from pgiostat.queries.rules import Preset, rule_book
from tests.conftest import MakeServer
from tests.support.workloads import client

pytestmark = [pytest.mark.once, pytest.mark.long]

SMALL_SYNC = schema.DataSize(clients=4, rows=50)
SMALL_SHOP = rows.ShopSize(products=400, customers=100, baskets=80, orders=500)
INDEXES = (
    "SELECT indexrelid::regclass::text, contype FROM pg_index"
    " LEFT JOIN pg_constraint ON conindid = indexrelid AND contype = 'p'"
    " WHERE indrelid >= 16384 AND indexrelid::regclass::text NOT LIKE 'pg_toast.%'"
)


class After(Event):
    """Set after some waits, none of which lasts."""

    def __init__(self, waits: int) -> None:
        super().__init__()
        self._left = waits

    def wait(self, timeout: float | None = None) -> bool:
        del timeout
        self._left -= 1
        if not self._left:
            self.set()
        return self.is_set()


@pytest.fixture
def sync_dsn(make_server: MakeServer) -> str:
    """Return a server with the sync system's data."""
    dsn = make_server().dsn()
    schema.create(dsn, "secret")
    schema.load(dsn, SMALL_SYNC)
    return dsn


@pytest.fixture
def shop_dsn(make_server: MakeServer) -> str:
    """Return a server with the shop's data."""
    dsn = make_server().dsn()
    schema.create(dsn, "secret", "shop")
    rows.load(dsn, SMALL_SHOP)
    return dsn


def as_role(dsn: str, role: str) -> str:
    return make_conninfo(dsn, user=role, password="secret")


def indexes(dsn: str) -> set[tuple[object, ...]]:
    """Return all indexes, and the kind of constraint that each has."""
    with client(dsn) as connection:
        return set(connection.execute(INDEXES).fetchall())


def calls(dsn: str, role: str, preset: Preset) -> dict[str, int]:
    """Return the calls of each category of a role, and forget them."""
    describe = describer(rule_book(preset=preset))
    found: dict[str, int] = {}
    with client(dsn) as connection:
        statements = connection.execute(
            "SELECT query, calls FROM pg_stat_statements JOIN pg_roles ON pg_roles.oid = userid"
            " WHERE rolname = %s",
            [role],
        ).fetchall()
        connection.execute("SELECT pg_stat_statements_reset()")
    for text, count in statements:
        category = describe(text, user="", database="", queryid=1).category
        found[category] = found.get(category, 0) + count
    return found


def each_incident(
    dsn: str, file: Path, of: tuple[WorkloadIncident, ...], work: Callable[..., object]
) -> Iterator[tuple[str, list[str]]]:
    """Cause each incident, let the workload run, and take the incident back.

    Yields:
        The name of the incident, and the indexes that are other than before.
    """
    switch = IncidentSwitch(of, dsn, file)
    before = indexes(dsn)
    for each in of:
        file.write_text(f"{each.name}\n")
        work(each.name, switch.traffic)
        yield each.name, sorted(str(name) for name, _ in before ^ indexes(dsn))
        file.unlink()
        assert switch.current() == ""
        assert indexes(dsn) == before


def test_an_incident_of_the_sync_system_costs_requests_and_is_taken_back(
    sync_dsn: str, tmp_path: Path
) -> None:
    round_of = {"table added": 36 + 24, "report started": 36 + 2, "skip bug": 36 + 24}

    def work(name: str, traffic: Callable[[], str]) -> None:
        waits = 2 * round_of.get(name, 36)
        dsn = as_role(sync_dsn, schema.WRITER)
        assert sync.run(dsn, After(waits), size=SMALL_SYNC, traffic=traffic) == waits

    calls(sync_dsn, schema.WRITER, "sync")
    work("", str)
    steady = calls(sync_dsn, schema.WRITER, "sync")
    assert (steady["version"], steady["manifest"], steady["upload"]) == (24, 18, 90)
    found = {}
    for name, changed in each_incident(sync_dsn, tmp_path / "incident", faults.INCIDENTS, work):
        counted = calls(sync_dsn, schema.WRITER, "sync")
        found[name] = (changed, counted["version"], counted["manifest"])
        assert ("select visit" in counted) == (name == "report started")
        assert (counted["upload"] < steady["upload"]) == (name == "index dropped")
    assert found == {
        "index dropped": (["invoice_pkey"], 24, 18),
        "table added": (["note_pkey"], 24 + 32, 18 + 8),
        "report started": ([], 24, 18),
        "skip bug": ([], 24 + 48, 18),
    }


def test_an_incident_of_the_shop_shows_as_a_category_and_is_taken_back(
    shop_dsn: str, tmp_path: Path
) -> None:
    def work(_name: str, traffic: Callable[[], str]) -> None:
        pages.run(as_role(shop_dsn, "shop"), After(100), size=SMALL_SHOP, traffic=traffic)

    calls(shop_dsn, "shop", "general")
    work("", str)
    steady = calls(shop_dsn, "shop", "general")
    steady["delete basket_items"] = 0  # once a basket is full
    assert steady["preload order_items"] > 5
    assert {"select products", "select orders", "insert order_items"} <= {*steady}
    found = {}
    for name, changed in each_incident(shop_dsn, tmp_path / "incident", shop.INCIDENTS, work):
        counted = calls(shop_dsn, "shop", "general")
        found[name] = (changed, sorted({*counted} - {*steady}))
    assert found == {
        "index dropped": (["shop.ix_order_items_order_id"], []),
        "table added": (["shop.reviews_pkey"], ["select reviews"]),
        "report started": ([], ["select customers"]),
        "skip bug": ([], ["select categories"]),
    }


def test_the_statements_of_the_shop_are_those_of_an_orm(shop_dsn: str) -> None:
    pages.run(as_role(shop_dsn, "shop"), After(100), size=SMALL_SHOP)
    with client(shop_dsn) as connection:
        texts = [
            text
            for (text,) in connection.execute(
                "SELECT query FROM pg_stat_statements JOIN pg_roles ON pg_roles.oid = userid"
                " WHERE rolname = 'shop'"
            )
        ]

    def having(pattern: str) -> bool:
        return any(re.search(pattern, text, re.DOTALL) for text in texts)

    assert having(r"SELECT count\(\*\) AS count_1.*FROM \(SELECT .*\) AS anon_1")
    assert having(r"LEFT OUTER JOIN products AS products_1|JOIN products AS products_1")
    assert having(r"FROM order_items .*WHERE order_items\.order_id IN \(\$1")
    assert having(r"INSERT INTO order_items \(order_id, product_id, quantity, price, note\)")


def test_the_shop_is_loaded_the_same_each_time_and_known_as_loaded(shop_dsn: str) -> None:
    digest = "SELECT md5(string_agg(o::text, ',' ORDER BY id)) FROM shop.order_items AS o"
    with client(shop_dsn) as connection:
        first = connection.execute(digest).fetchone()
        assert rows.is_loaded(shop_dsn, SMALL_SHOP)
        assert not rows.is_loaded(shop_dsn)
        added: list[int] = []
        rows.load(shop_dsn, SMALL_SHOP, progress=added.append)
        assert connection.execute(digest).fetchone() == first
    assert sum(added) == SMALL_SHOP.total == 2_860


def test_an_incident_waits_for_a_lock_while_the_traffic_goes_on(
    shop_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incidents, "LOCK_SECONDS", 0.1)
    file = tmp_path / "incident"
    file.write_text("index dropped")
    switch = IncidentSwitch(shop.INCIDENTS, shop_dsn, file)
    with psycopg.connect(shop_dsn) as user:
        user.execute("SELECT FROM shop.order_items LIMIT 1")
        assert switch.current() == ""
    assert switch.current() == "index dropped"
    switch.restore()
    assert ("shop.ix_order_items_order_id", None) in indexes(shop_dsn)
