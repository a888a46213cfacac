"""The causes of reads that grew, named from a history that was collected from a real server."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import pytest

from benchmarks.recorded_minutes import RecordedMinutes
from pgiostat.dataframes import open_history
from pgiostat.history.read.history import History
from pgiostat.history.read.windows import Window
from pgiostat.queries.describe import describer
from pgiostat.render import render
from pgiostat.render.why import document
from pgiostat.reports.why import why_report
from tests.conftest import MakeServer
from tests.support.servers import Server
from tests.support.workloads import client

pytestmark = [pytest.mark.server, pytest.mark.pg(">= 18")]

SHOP = """
CREATE EXTENSION pg_stat_statements;
CREATE TABLE orders (id int PRIMARY KEY, total int) WITH (autovacuum_enabled = off);
CREATE TABLE order_items (id int PRIMARY KEY, order_id int, pad text)
    WITH (autovacuum_enabled = off);
INSERT INTO orders SELECT i, i FROM generate_series(1, 10000) AS i;
INSERT INTO order_items
    SELECT i, 1 + i % 10000, repeat('x', 380) FROM generate_series(1, 40000) AS i;
CREATE INDEX order_items_order_id ON order_items (order_id)
"""


FRAME_COLUMNS = ["outcome", "cause", "certainty", "statement"]
FRAME_COLUMNS += ["predicted", "predicted_low", "predicted_high"]
_READS = re.compile(
    r"^((?:blocks read per call|share of misses) ).*$|[\d.]+ → [\d.]+(?= blocks read)"
    r"|(?<=the server reads )[^;]*",
    re.MULTILINE,
)
"""What depends on the cache."""


class Shop:
    """A shop whose minutes are not waited for."""

    def __init__(self, server: Server, history: Path) -> None:
        self.server = server
        with client(server.dsn()) as admin:
            for statement in SHOP.split(";"):
                admin.execute(statement.encode())
            admin.execute("VACUUM (FREEZE, ANALYZE)")
        self.recorded = RecordedMinutes(server.dsn(), history, "shop")

    def minutes(self, count: int) -> Window:
        """Let customers look at orders for some minutes; return when that was."""
        return self.recorded.minutes(count, self._look_at_orders)

    def _look_at_orders(self, minute: int) -> None:
        with client(self.server.dsn()) as customer:
            for n in range(20):
                order = 1 + (minute * 20 + n) * 97 % 10000
                customer.execute("SELECT total FROM orders WHERE id = %s", (order,))
                customer.execute("SELECT pad FROM order_items WHERE order_id = %s", (order,))
            customer.execute("SELECT pg_stat_force_next_flush()")
            customer.execute("SELECT")

    def close(self) -> None:
        self.recorded.close()


@pytest.fixture(autouse=True)
def _lines_of_one_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")


@contextmanager
def _shop(make_server: MakeServer, history: Path) -> Iterator[Shop]:
    shop = Shop(make_server(shared_buffers="16MB", autovacuum="off"), history)
    try:
        yield shop
    finally:
        shop.close()


def _why(history: Path, before: Window, after: Window, target: str) -> str:
    opened = History.open(history)
    try:
        report = why_report(
            opened,
            before,
            after,
            describe=describer(),
            target=target,
        )
        out = StringIO()
        render(document(report), "text", out)
        return _READS.sub(lambda line: (line[1] or "") + "#", out.getvalue())
    finally:
        opened.close()


def test_a_dropped_index_is_named(make_server: MakeServer, tmp_path: Path) -> None:
    history = tmp_path / "h"
    with _shop(make_server, history) as shop:
        before = shop.minutes(5)
        with client(shop.server.dsn()) as admin:
            admin.execute("DROP INDEX order_items_order_id")
        after = shop.minutes(5)
    assert _why(history, before, after, "pad") == DROPPED
    frame = open_history(history).why("pad", since=after.since, until=after.until, against="5m")
    (row,) = frame[FRAME_COLUMNS].astype(object).itertuples(index=False, name=None)
    assert row == (
        "cause found",
        "index dropped",
        "certain",
        (
            "CREATE INDEX CONCURRENTLY order_items_order_id ON public.order_items USING btree"
            " (order_id);"
        ),
        6.0,
        6.0,
        6.0,
    )


def test_a_healthy_shop_has_no_cause(make_server: MakeServer, tmp_path: Path) -> None:
    history = tmp_path / "h"
    with _shop(make_server, history) as shop:
        shop.minutes(5)
        before, after = shop.minutes(5), shop.minutes(5)
    assert _why(history, before, after, "pad") == HEALTHY


DROPPED = """\
before  shop  2026-12-01 09:01:00Z – 2026-12-01 09:06:00Z  5 min
after   shop  2026-12-01 09:06:00Z – 2026-12-01 09:11:00Z  5 min
preset general: no table has both versions and manifests
order_items · order_id = $ · pad (select order_items): # blocks read per second, 6 → 2,106 touched per call
  certain: index order_items_order_id on order_items was dropped, and the table is scanned sequentially
    was: CREATE INDEX order_items_order_id ON public.order_items USING btree (order_id)
  fix: index order_items_order_id on order_items, as it was
    CREATE INDEX CONCURRENTLY order_items_order_id ON public.order_items USING btree (order_id);
    a call touches 6 blocks instead of 2,106; the server reads #; the index takes about 496 KiB

order_items · order_id = $ · pad           before  after change
scans of order_items_order_id per second     0.33      0 -100 %
sequential scans of order_items per call        0      1
calls per second                             0.33   0.33    0 %
rows per call                                   4      4    0 %
blocks touched per call                         6  2,106  × 351
blocks read per call #
share of misses #
blocks of spill files per call                  0      0
sequential scans of order_items per second      0   0.33
index scans of order_items per second        0.33      0 -100 %
blocks of order_items touched per row           1   0.05  -95 %
"""  # noqa: E501 - lines of a wide screen
HEALTHY = """\
before  shop  2026-12-01 09:06:00Z – 2026-12-01 09:11:00Z  5 min
after   shop  2026-12-01 09:11:00Z – 2026-12-01 09:16:00Z  5 min
preset general: no table has both versions and manifests
order_items · order_id = $ · pad (select order_items): # blocks read per second, 6 → 6 touched per call
  no growth: calls, blocks per call and misses rose by no more than chance

order_items · order_id = $ · pad           before after change
calls per second                             0.33  0.33    0 %
rows per call                                   4     4    0 %
blocks touched per call                         6     6    0 %
blocks read per call #
share of misses #
blocks of spill files per call                  0     0
sequential scans of order_items per second      0     0
index scans of order_items per second        0.33  0.33    0 %
blocks of order_items touched per row           1     1    0 %
"""  # noqa: E501 - lines of a wide screen
