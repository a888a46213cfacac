"""`pgiostat watch` in a pipe, on a real server, as a person or a program reads it."""

import io
import json
import re
from itertools import pairwise
from threading import Event
from types import SimpleNamespace
from typing import cast

import pandas as pd
import pytest
from rich.console import Console

from pgiostat.analysis.rank import By
from pgiostat.postgres.sampler import IntervalResult, Sampler
from pgiostat.queries.describe import describer
from pgiostat.queries.fingerprint import is_own
from pgiostat.render.csv import BALANCE
from pgiostat.statistics.difference import diff
from pgiostat.statistics.names import OWN, Names
from pgiostat.volume.bucket import CreditBucket
from pgiostat.volume.models import volume_of
from pgiostat.watch import stream
from pgiostat.watch.options import Options, StreamFormat
from tests.conftest import MakeServer
from tests.support.readings import at, reading
from tests.support.servers import Server
from tests.support.syncing import syncing
from tests.support.workloads import client, collecting


def watch(dsn: str, **options: object) -> tuple[str, str]:
    """Return what watching prints to standard output and standard error."""
    out, err = io.StringIO(), io.StringIO()
    # A session hands its counts to the server once a second, or at a statement after that.
    given = {"interval": 2.5, "count": 1} | options
    stream.run(dsn, Options(**given), describer(), out=out, err=err)  # type: ignore[arg-type]
    return out.getvalue(), err.getvalue()


@pytest.mark.once
def test_two_intervals_of_csv_are_read_by_pandas_without_options(database: str) -> None:
    with syncing(database):
        out, _ = watch(database, count=2, form=StreamFormat.CSV)
    frame = pd.read_csv(io.StringIO(out))
    ranked = frame[frame["part"] == "row"]
    assert frame["interval_end"].nunique() == 2
    assert not ranked.duplicated(["interval_end", "category"]).any()
    assert set(ranked["category"]) >= {"version", "manifest", "upload"}
    summed = ranked.groupby("category")["blocks_read"].sum()
    assert summed["version"] > summed["manifest"] > summed["upload"]
    ends = pd.to_datetime(frame["interval_end"])
    assert str(ends.dt.tz) == "UTC"
    assert "burst_balance" not in frame
    # All parts of an interval but that in transit add up to its total, which is 1.
    assert frame[frame["part"] == "in_transit"]["share"].isna().all()
    shares = frame.groupby("interval_end")["share"].sum()
    assert ((shares <= 1.0001) & (shares > 0.5)).all()


@pytest.mark.once
def test_where_a_volume_is_named_each_row_has_its_balance_and_each_part_its_operations(
    database: str,
) -> None:
    gauge = CreditBucket(volume_of("gp2:100"), 0.5, 0.5)
    with syncing(database):
        out, _ = watch(database, count=2, form=StreamFormat.CSV, gauge=gauge)
    frame = pd.read_csv(io.StringIO(out))
    assert list(frame.columns[-3:]) == list(BALANCE)
    by_interval = frame.groupby("interval_end")[list(BALANCE)].nunique()
    assert by_interval.to_numpy().tolist() == [[1, 1, 1]] * 2
    assert frame["burst_balance"].between(0.4, 0.6).all()
    last = frame[frame["interval_end"] == frame["interval_end"].max()]
    # What was asked of the volume is what all parts together asked.
    demand = last["read_operations_per_s"].sum()
    assert demand == pytest.approx(last["burst_demand_per_s"].iloc[0], rel=0.02)


@pytest.mark.once
def test_the_ranking_is_printed_as_text_with_its_two_header_lines(
    database: str, server: Server
) -> None:
    with syncing(database):
        out, err = watch(database, top=20)
    lines = out.splitlines()
    begins = next(i for i, line in enumerate(lines) if line.startswith("category "))
    lines[2:begins] = []  # what is to be known of the numbers
    assert err == ""
    assert f"PostgreSQL {server.version.split()[-1]}" in lines[0]
    assert re.match(r"read [\d,.]+( [kM])? blocks/s  .*coverage ", lines[1])
    assert re.split(r" {2,}", lines[2])[0] == "category"
    assert lines[3].startswith("version ")
    assert lines[4].startswith("manifest ")
    *table, ours = [line for line in lines if line and not line.startswith("in flight")]
    names = [line.split()[0] for line in table]
    below = ["total", "in", "server"] if "total" in names else ["server"]
    assert names[-len(below) - 1 :] == ["unattributed", *below]
    assert re.fullmatch(
        r"pgiostat's own statements: \d+ calls, [\d.]+ ms, \d+ blocks read", ours.rstrip()
    )


def test_every_ranking_of_one_sitting_adds_up_to_the_servers_own_count(database: str) -> None:
    options = Options(interval=2.5, count=1)
    with syncing(database):
        session = stream.run(database, options, describer(), out=io.StringIO(), keep=True)
    for by in By:
        ranking = session.rank(session.deltas, by=by)
        parts = [*ranking.rows, *(part for part in (ranking.rest, ranking.own) if part)]
        assert ranking.lines
        total = sum(part.cost.blocks for part in parts) + sum(line.blocks for line in ranking.lines)
        assert total == ranking.server_blocks
    relations = session.rank(session.deltas, by=By.RELATION)
    customer = next(row for row in relations.rows if row.name == "public.customer")
    parts_of = dict(customer.parts)
    assert sum(parts_of.values()) == customer.cost.blocks
    assert parts_of["heap_blks_read"] > 100


def test_all_that_we_send_bears_our_mark_and_is_pgiostat_itself(database: str) -> None:
    sampler = Sampler(database, 0.1, describer(), Event().wait)
    with syncing(database):
        for _, result in zip(range(4), sampler.intervals(), strict=False):
            assert result.error is None
    with collecting(database) as collector:
        rows = collector.take().statements
        rows = rows.take(rows["dbid"] == collector.session.server.dbid)
        keys = zip(*(rows[n].tolist() for n in ("userid", "dbid", "queryid")), strict=True)
        texts = [str(text) for text in collector.texts(list(keys)).texts.values()]
    ours = [text for text in texts if "/* pgiostat */" in text]
    assert len(ours) >= 7
    assert all(is_own(text) for text in ours)
    words = ("pg_stat_statements(", "pg_stat_database", "pg_roles", "pg_class")
    strangers = [t for t in texts if t not in ours and any(word in t for word in words)]
    assert strangers == []
    found = [known for known in sampler.names.statements.values() if known.category == OWN]
    assert len(found) >= 5


def test_texts_that_the_database_cannot_show_cost_no_count(make_server: MakeServer) -> None:
    server = make_server()
    with server.connect() as setup:
        setup.execute(
            "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
        )
        setup.execute("CREATE DATABASE utf ENCODING 'UTF8' TEMPLATE template0")
    with client(server.dsn("latin")) as other:
        other.execute("CREATE EXTENSION pg_stat_statements")
    with client(server.dsn("utf")) as other:
        # A wide text in another statement is enough: the server refuses them all.
        other.execute('CREATE TABLE "商品" (id int)')
    with syncing(server.dsn("utf")):
        out, _ = watch(server.dsn("latin"), form=StreamFormat.JSON)
    told = json.loads(out)
    slugs = [notice["slug"] for notice in told["notices"]]
    assert "texts-unreadable" in slugs
    assert "not readable" in {row["category"] for row in told["rows"]}
    assert told["rows"][0]["blocks_read"] > 100


def test_the_header_of_an_interval_has_the_coverage_of_its_table() -> None:
    sampler = cast("Sampler", SimpleNamespace(names=Names()))
    session = stream.StreamSession(sampler, Options())
    out = io.StringIO()
    console = Console(file=out, width=120, highlight=False, markup=False)
    screen = stream._Screen(session, console, None)
    readings = [
        reading(
            10.0 * n,
            [{"queryid": 1, "stats_since": at(-1), "shared_blks_read": blocks}],
            databases=[{"datid": 5, "blks_read": 100 * n}],
        )
        for n, blocks in enumerate((0, 100, 150))
    ]
    for older, newer in pairwise(readings):
        delta = diff(older, newer)
        screen(IntervalResult(delta), session.absorb(delta), [])
    headers = [line for line in out.getvalue().splitlines() if line.startswith("read ")]
    assert [header.rstrip().split("  ")[-1] for header in headers] == [
        "coverage 100 %",
        "coverage 50.0 %, 75.0 % since the start",
    ]
