"""The causes of reads that grew, named from a history that was collected from a real server."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest

from pgiostat.collector.relations import relation_sampler
from pgiostat.collector.targets import Target
from pgiostat.history.format.layout import Layout
from pgiostat.history.read.history import History
from pgiostat.history.read.windows import Window
from pgiostat.history.write.newest_definitions import newest_definitions
from pgiostat.history.write.writer import Writer
from pgiostat.postgres import relation_sampler as relation_sampler_module
from pgiostat.postgres.relation_options import relation_options
from pgiostat.postgres.sampler import Sampler
from pgiostat.queries.describe import describer
from pgiostat.queries.tables import resolver, tables_of
from pgiostat.render import render
from pgiostat.render.why import document
from pgiostat.reports.why import why_report
from pgiostat.reports.why_evidence import TableNames
from pgiostat.statistics.delta import Delta, Quality
from tests.conftest import MakeServer
from tests.support.readings import Unsynced
from tests.support.servers import Server
from tests.support.workloads import client

pytestmark = [pytest.mark.server, pytest.mark.pg(">= 18")]

BEGIN = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
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


_READS = re.compile(
    r"^((?:blocks read per call|share of misses) ).*$|[\d.]+ → [\d.]+(?= blocks read)", re.MULTILINE
)
"""What depends on the cache."""


class Shop:
    """A shop whose minutes are not waited for: each interval gets the next minute as its time."""

    def __init__(self, server: Server, history: Path) -> None:
        self.server, self.now, self.end = server, 0.0, BEGIN
        self.relations_end = BEGIN
        with client(server.dsn()) as admin:
            for statement in SHOP.split(";"):
                admin.execute(statement.encode())
            admin.execute("VACUUM (FREEZE, ANALYZE)")
        self.writer = Writer.open(history, "shop", Unsynced())
        target = Target(server.dsn(), "shop", relations=relation_options("60s"))
        self.sampler = Sampler(
            server.dsn(),
            60.0,
            describer(),
            lambda _: False,
            label="shop",
            clock=lambda: self.now,
            on_interval=self._accept,
            relations=relation_sampler(
                target,
                lambda: self.now,
                lambda which: newest_definitions(Layout(history), which),
            ),
        )
        self.results = self.sampler.intervals()
        for _ in range(2):
            self._step()

    def minutes(self, count: int) -> Window:
        """Let customers look at orders for some minutes; return when that was."""
        begin = self.end
        for minute in range(count):
            with client(self.server.dsn()) as customer:
                for n in range(20):
                    order = 1 + (minute * 20 + n) * 97 % 10000
                    customer.execute("SELECT total FROM orders WHERE id = %s", (order,))
                    customer.execute("SELECT pad FROM order_items WHERE order_id = %s", (order,))
                customer.execute("SELECT pg_stat_force_next_flush()")
                customer.execute("SELECT")
            self._step()
        return Window(begin, self.end, "shop")

    def _step(self) -> None:
        self.now += 60.0
        assert next(self.results).error is None

    def _accept(self, delta: Delta) -> bool:
        if delta.older is None:
            return True
        begin, self.end = self.end, self.end + MINUTE
        changes = delta.relation_changes
        if changes is not None:
            since, self.relations_end = self.relations_end, self.end
            seconds = (self.end - since).total_seconds()
            intervals = tuple(
                replace(each, since=since, seconds=seconds) for each in changes.intervals
            )
            changes = replace(changes, intervals=intervals)
        moved = replace(
            delta,
            older=replace(delta.older, taken_at=begin),
            newer=replace(delta.newer, taken_at=self.end),
            seconds=60.0,
            qualities=(Quality.OK,),
            relation_changes=changes,
        )
        self.writer.append(moved, self.sampler.names)
        return True

    def close(self) -> None:
        self.results.close()  # type: ignore[attr-defined]
        self.writer.close()


def _each_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tables be read each minute whatever that costs, and lines be of one width."""
    monkeypatch.setattr(relation_sampler_module, "MOST_STRETCH", 1.0)
    monkeypatch.setenv("COLUMNS", "92")


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
            table_names=TableNames(tables_of, resolver),
            target=target,
        )
        out = StringIO()
        render(document(report), "text", out)
        return _READS.sub(lambda line: (line[1] or "") + "#", out.getvalue())
    finally:
        opened.close()


def test_a_dropped_index_is_named(
    make_server: MakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _each_minute(monkeypatch)
    history = tmp_path / "h"
    with _shop(make_server, history) as shop:
        before = shop.minutes(5)
        with client(shop.server.dsn()) as admin:
            admin.execute("DROP INDEX order_items_order_id")
        after = shop.minutes(5)
    assert _why(history, before, after, "pad") == DROPPED


def test_a_healthy_shop_has_no_cause(
    make_server: MakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _each_minute(monkeypatch)
    history = tmp_path / "h"
    with _shop(make_server, history) as shop:
        shop.minutes(5)
        before, after = shop.minutes(5), shop.minutes(5)
    assert _why(history, before, after, "pad") == HEALTHY


DROPPED = """\
before  shop  2026-12-01 09:01:00Z – 2026-12-01 09:06:00Z  5 min
after   shop  2026-12-01 09:06:00Z – 2026-12-01 09:11:00Z  5 min
preset general: no table has both versions and manifests
order_items · order_id = $ · pad (select order_items): # blocks read per second, 6
→ 2,106 touched per call
  certain: index order_items_order_id on order_items was dropped, and the table is scanned
sequentially
    was: CREATE INDEX order_items_order_id ON public.order_items USING btree (order_id)

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
"""
HEALTHY = """\
before  shop  2026-12-01 09:06:00Z – 2026-12-01 09:11:00Z  5 min
after   shop  2026-12-01 09:11:00Z – 2026-12-01 09:16:00Z  5 min
preset general: no table has both versions and manifests
order_items · order_id = $ · pad (select order_items): # blocks read per second, 6 → 6
touched per call
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
"""
