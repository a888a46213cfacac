"""Tables and indexes on the screen of watch: live, in a replay, on the page of a statement."""

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console
from textual.pilot import Pilot
from textual.widgets import Static

from pgiostat.analysis.cost import blocks_of
from pgiostat.history.read.history import History
from pgiostat.history.read.windows import Window
from pgiostat.history.write.writer import Writer
from pgiostat.queries.describe import uncategorized
from pgiostat.statistics.definitions import Definition, Kind
from pgiostat.statistics.difference import diff
from pgiostat.statistics.names import Names, Statement
from pgiostat.statistics.relation_changes import RelationChanges
from pgiostat.watch.app import WatchApp
from pgiostat.watch.model.interval import Interval
from pgiostat.watch.model.table_counts import TableNews
from pgiostat.watch.sources.replay import ReplaySource
from pgiostat.watch.state import View
from tests.support.readings import Unsynced, at, reading
from tests.support.relations import made, read
from tests.support.screens import NAMES, RELID, Told, play, screen, shown

if TYPE_CHECKING:
    from pgiostat.statistics.delta import Delta

INDEX, UNUSED = RELID + 1, RELID + 2
VACUUM = (at(0) - timedelta(hours=3)).replace(tzinfo=None)
TABLE: dict[str, Any] = {
    "relid": RELID, "seq_scan": 2, "seq_tup_read": 4000, "heap_blks_read": 1400,
    "heap_blks_hit": 600, "relpages": 5000, "n_live_tup": 900, "n_dead_tup": 100,
    "last_autovacuum": VACUUM,
}  # fmt: skip
OF_INDEX = {
    "indexrelid": INDEX, "relid": RELID, "idx_scan": 50, "idx_tup_read": 100, "idx_tup_fetch": 100,
    "idx_blks_read": 100, "relpages": 300,
}  # fmt: skip
DEFINITIONS = (
    Definition(5, Kind.INDEX, INDEX, RELID, "t_c", "CREATE INDEX t_c ON public.t (c)"),
    Definition(5, Kind.INDEX, UNUSED, RELID, "t_d", "CREATE INDEX t_d ON public.t (d)"),
    Definition(5, Kind.INDEX, UNUSED + 1, RELID, "t_e", None),
    Definition(5, Kind.FOREIGN_KEY, 9, RELID, "t_f", "FOREIGN KEY (f) REFERENCES u"),
)


class Tables(Told):
    """A feed with tables and indexes in its last interval."""

    def __init__(self) -> None:
        super().__init__()
        self.session.names = replace(
            NAMES,
            relations={**NAMES.relations, INDEX: (RELID, "public", "t", "idx")},
            index_names={INDEX: "t_c"},
        )
        news = TableNews(
            made(at(20), 10.0, [TABLE], [OF_INDEX]),
            read(at(30), [TABLE], [OF_INDEX, {"indexrelid": UNUSED, "relid": RELID}]),
            {each.key: each for each in DEFINITIONS},
            10.0,
        )
        self._moments = [*self._moments[:-1], replace(self._moments[-1], tables=news)]


def page(app: WatchApp) -> list[str]:
    """Return the lines below the plots of a statement's page."""
    console = Console(width=app.size.width, color_system=None)
    with console.capture() as captured:
        console.print(app.screen.query_one("#numbers", Static).content)
    return [line.rstrip() for line in captured.get().splitlines()]


def lines(app: WatchApp) -> list[str]:
    """Return the lines from that of the times to the table's last row."""
    found = shown(app)
    first = next(n for n, line in enumerate(found) if line.startswith("reads"))
    last = next(n for n, line in enumerate(found) if line.startswith(("unattributed", "database")))
    return found[first:last]


def test_the_row_of_a_table_has_scans_rows_and_size() -> None:
    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        await pilot.press("3")
        assert lines(app) == [
            "reads, scans and rows over 10.0 s until 10:00:30Z",
            "relation         share            blocks/s    seq/s    idx/s rows/scan      size",
            "public.t        93.8 % █████████▍      150     0.20        5        79  39.1 MiB",
            "  heap          87.5 % ████████▊       140     0.20              2,000  39.1 MiB",
            "  index t_c      6.2 % ▋                10                 5         2   2.3 MiB",
        ]
        await pilot.resize_terminal(200, 30)
        await pilot.pause()
        assert [name for name, _, _ in app.picture.measures] == [
            "blocks_read_per_s", "seq_scans_per_s", "idx_scans_per_s", "rows_per_scan",
            "size_bytes", "blocks_per_row", "dead_share", "hit_ratio", "rows_per_seq_scan",
            "rows_per_idx_scan",
        ]  # fmt: skip
        await pilot.press(">", ">")
        assert app.state.sort == "seq_scans_per_s"
        (row, *_) = csv.DictReader(io.StringIO(app.as_csv()))
        assert (row["seconds"], row["interval_start"]) == ("10.0", "2026-11-23T10:00:20.000000Z")
        assert (row["seq_scans_per_s"], row["rows_per_scan"]) == ("0.2", "78.846154")
        assert (row["size_bytes"], row["dead_share"]) == (str(5000 * 8192), "0.1")
        await pilot.press("a")
        assert lines(app)[0].startswith("reads, scans and rows since the baseline, over 10.0 s")

    play(script, feed=Tables())


def test_reads_hits_and_scans_of_a_row_are_of_the_same_time() -> None:
    """Snapshots have counted twenty times as much in the last seconds."""
    feed = Tables()
    last = feed._moments[-1]
    counted = last.counted
    assert counted is not None
    more = replace(
        counted,
        seconds=4.0,
        database_blocks=90_000,
        relation_amounts=counted.relation_amounts * 20,
    )
    feed._moments.append(
        replace(last, counted=more, since=at(30), until=at(34), tables=TableNews())
    )

    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        await pilot.press("3")
        table, heap, index = app.table.rows
        activity = app.table.figures.tables[RELID] if app.table.figures else None
        assert activity is not None
        assert table.values["blocks_read_per_s"] == activity.blocks_per_s == 150.0
        assert table.values["hit_ratio"] == activity.hit == 600 / 2100
        assert table.values["seq_scans_per_s"] == activity.seq_scans_per_s == 0.2
        assert (heap.values["blocks_read"], heap.values["hit_ratio"]) == (1400, 0.3)
        assert (index.values["blocks_read"], index.values["hit_ratio"]) == (100, 0.0)
        assert lines(app)[0] == "reads, scans and rows over 10.0 s until 10:00:30Z"
        # The database's own count is that of the same ten seconds.
        assert [(row.name, row.values["blocks_read"]) for row in app.table.below] == [
            ("unattributed", 100), ("database", 1600),
        ]  # fmt: skip

    play(script, feed=feed)


def test_the_page_of_a_statement_has_its_tables_and_their_indexes() -> None:
    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        await pilot.press("2", "enter")
        found = page(app)
        begin = next(n for n, line in enumerate(found) if line.startswith("tables of"))
        assert found[begin : begin + 9] == [
            (
                "tables of the statement: reads, scans and rows over 10.0 s until 10:00:30Z;"
                " shares of the last 10.0 s"
            ),
            (
                "table and its indexes of its reads blocks/s    seq/s    idx/s rows/scan     size"
                " blocks/row"
            ),
            (
                "public.t              66.7 % known      150      0.2        5      78.8 39.1 MiB"
                "       0.49"
            ),
            (
                "  shared with 2 other entries of pg_stat_statements (33.3 % of its reads);"
                " scans and rows are of all; 100"
            ),
            "  dead rows (10.0 %); vacuum 3 h ago; analyze never",
            "  t_c                                    10                 5         2 2.34 MiB",
            "    CREATE INDEX t_c ON public.t (c)",
            "  t_d                                     0                 0         –      0 B",
            "    CREATE INDEX t_d ON public.t (d)",
        ]
        assert found[begin + 9] == ""

    play(script, (110, 50), feed=Tables())


class Scattered(Tables):
    """A feed whose manifest query finds a hundred rows by index t_c, each in a block of its own."""

    def __init__(self) -> None:
        super().__init__()
        names = self.session.names
        manifest = Statement("select id, v from t where c = ?", "1:02", "manifest")
        statements = {**names.statements, (10, 5, 2): manifest, (20, 5, 2): manifest}
        self.session.names = replace(names, statements=statements)
        table = {
            **TABLE, "seq_scan": 0, "seq_tup_read": 0, "heap_blks_hit": 3600, "reltuples": 100_000,
        }  # fmt: skip
        index = {**OF_INDEX, "idx_tup_read": 5000, "idx_tup_fetch": 5000}
        columns = Definition(5, Kind.COLUMNS, RELID, RELID, "t", "id bigint, v bigint, c integer")
        text = "CREATE INDEX t_c ON public.t USING btree (c)"
        definitions = (columns, Definition(5, Kind.INDEX, INDEX, RELID, "t_c", text))
        news = TableNews(
            made(at(20), 10.0, [table], [index]),
            read(at(30), [table], [index]),
            {each.key: each for each in definitions},
            10.0,
        )
        self._moments = [*self._moments[:-1], replace(self._moments[-1], tables=news)]


def test_the_page_of_a_statement_begins_with_its_cause_and_a_fix() -> None:
    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        await pilot.press("2", "down", "enter", "enter")
        shown_causes = app.screen.query_one("#causes", Static)
        assert str(shown_causes.content).splitlines() == [
            (
                "likely: rows of public.t that a call needs are scattered: 1.00 blocks for each"
                " row, 0.050 if they lay together"
            ),
            (
                "fix: CREATE INDEX CONCURRENTLY ON public.t (c) INCLUDE (id, v); a call touches"
                " 4.06 (3.06 – 5.06) blocks instead of 13.3; the index takes about 3.89 MiB"
            ),
        ]
        assert screen(app)[1].startswith("likely: rows of public.t")
        await pilot.press("escape", "down", "enter")  # the other role has called it once
        assert not app.screen.query_one("#causes", Static).display

    play(script, (110, 50), feed=Scattered())


def test_no_step_of_the_path_repeats_the_text_before_it() -> None:
    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        await pilot.press("2", "enter", "escape", "t")
        first, second = app.state.path
        assert (first.name, second.name) == ("t · max(v)", "api@app")
        assert app.state.view is View.RELATION
        assert shown(app)[2] == "t · max(v) > api@app  these tables explain 100 % of its reads"

    play(script, feed=Tables())


def test_no_share_of_a_table_is_above_one_hundred_percent() -> None:
    """Statements have counted blocks that the table has not yet."""
    feed = Tables()
    last = feed._moments[-1]
    counted = last.counted
    assert counted is not None
    late = replace(counted, relation_amounts=counted.relation_amounts // 10)
    feed._moments[-1] = replace(last, counted=late)

    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        await pilot.press("3", "enter")
        assert app.table.explained == 1.0
        shares = [row.read_of.share for row in app.table.rows if row.read_of is not None]
        assert [round(share or 0, 3) for share in shares] == [0.667, 0.333]
        assert "explain 100 % of its reads" in shown(app)[2]
        assert shown(app)[3] == "reads of the last 10.0 s"

    play(script, feed=feed)


def test_statements_that_ran_seconds_ago_are_still_those_of_their_table() -> None:
    feed = Tables()
    last = feed._moments[-1]
    counted = last.counted
    assert counted is not None
    idle = replace(
        counted,
        seconds=2.0,
        statements=[],
        statement_amounts=counted.statement_amounts[:, :0],
        statement_uncertain=[],
        relations=[],
        relation_amounts=counted.relation_amounts[:, :0],
        relation_uncertain=[],
    )
    feed._moments.append(
        replace(last, counted=idle, since=at(30), until=at(32), tables=TableNews())
    )

    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        assert app.table.rows == ()
        await pilot.press("3")
        assert lines(app)[0] == "reads, scans and rows over 10.0 s until 10:00:30Z"
        await pilot.press("enter")
        assert len(app.table.rows) == 2

    play(script, feed=feed)


def recorded(root: Path, *, with_tables: bool = True) -> None:
    """Write a history of nine intervals of ten seconds, with tables in every third of them."""
    names = Names(
        statements={(10, 5, 1): Statement("select max(v) from t", "1:01", "c")},
        relations={RELID: (RELID, "public", "t", "heap"), INDEX: (RELID, "public", "t", "idx")},
        index_names={INDEX: "t_c"},
        databases={5: "app"},
        roles={10: "api"},
    )
    writer = Writer.open(root, "prod", Unsynced())
    for number, (begin, end) in enumerate(pairwise(range(0, 100, 10)), 1):
        delta: Delta = diff(_reading(begin), _reading(end))
        if with_tables and number % 3 == 0:
            table = {**TABLE, "seq_scan": number}
            changes = RelationChanges(
                (
                    made(at(end - 29.9), 30.0, [table], [OF_INDEX]),
                    made(at(end - 29.9), 30.0, [{**table, "seq_scan": 900}], dbid=6),
                ),
                DEFINITIONS[:1] if number == 3 else (),
            )
            delta = replace(delta, relation_changes=changes)
        writer.append(delta, names)
    writer.close()


def _reading(seconds: float) -> Any:
    blocks = int(seconds) * 10
    statement = {"queryid": 1, "calls": int(seconds), "shared_blks_read": blocks}
    return reading(
        seconds,
        [{**statement, "stats_since": at(-100)}],
        databases=[{"datid": 5, "blks_read": blocks}],
        relations=[{"relid": RELID, "blks_read": blocks}],
    )


def replayed(root: Path) -> ReplaySource:
    return ReplaySource(History.open(root), uncategorized, Window(at(0), at(90)), interval=0.01)


def played(feed: ReplaySource, count: int) -> Iterator[Interval]:
    """Yield intervals of a replay, absorbed by its session."""
    stop = Event()
    for number, interval in enumerate(feed.intervals(stop), 1):
        feed.session.absorb(interval)
        yield interval
        if number == count:
            stop.set()


def scans(feed: ReplaySource, *, whole: bool) -> tuple[float | None, int] | None:
    """Return the seconds of the figures, and the sequential scans."""
    figures = feed.session.tables.figures([RELID], feed.session.names, whole=whole)
    if figures is None:
        return None
    return figures.seconds, figures.tables[RELID].count("seq_scan")


def reads(feed: ReplaySource, *, whole: bool) -> tuple[float, int, int | None]:
    """Return the length of the time of tables, what they read, and the database's own count."""
    counted = feed.session.counted_tables(whole=whole)
    assert counted is not None
    return counted.seconds, int(blocks_of(counted.relation_amounts).sum()), counted.database_blocks


def test_a_replay_has_the_tables_of_the_history(tmp_path: Path) -> None:
    recorded(tmp_path)
    feed = replayed(tmp_path)
    found = []
    counted = []
    for _ in played(feed, 9):
        found.append((scans(feed, whole=False), scans(feed, whole=True)))
        counted.append((reads(feed, whole=False), reads(feed, whole=True)))
    # Before an interval of tables has ended, reads are those of snapshots.
    assert counted[:2] == [((10.0, 100, 100),) * 2, ((10.0, 100, 100), (20.0, 200, 200))]
    assert counted[2:5] == [((30.0, 1500, 300),) * 2] * 3
    assert counted[5:] == [
        *[((30.0, 1500, 300), (60.0, 3000, 600))] * 3,
        ((30.0, 1500, 300), (90.0, 4500, 900)),
    ]
    assert found == [
        *[(None, None)] * 2,
        *[((30.0, 3), (30.0, 3))] * 3,
        *[((30.0, 6), (60.0, 9))] * 3,
        ((30.0, 9), (90.0, 18)),
    ]
    news = feed.session.tables.news
    assert news is not None
    assert list(news.definitions.values()) == [DEFINITIONS[0]]
    figures = feed.session.tables.figures([], feed.session.names, whole=False)
    assert figures is not None
    assert figures.tables[RELID].newest["last_autovacuum"] == VACUUM
    assert figures.indexes[INDEX].rows_per_scan == 2.0


def test_a_jump_in_a_replay_has_the_tables_before_it(tmp_path: Path) -> None:
    recorded(tmp_path)
    feed = replayed(tmp_path)
    stop = Event()
    intervals = feed.intervals(stop)
    feed.session.absorb(next(intervals))
    feed.seek(7)
    feed.session.absorb(next(intervals))
    assert (scans(feed, whole=False), scans(feed, whole=True)) == ((30.0, 6), (60.0, 9))
    assert reads(feed, whole=False) == (30.0, 1500, 300)
    assert reads(feed, whole=True) == (60.0, 3000, 600)
    feed.session.absorb(next(intervals))
    assert reads(feed, whole=False) == (30.0, 1500, 300)
    assert reads(feed, whole=True) == (90.0, 4500, 900)
    assert feed.session.recent.total is not None
    assert feed.session.recent.total.seconds == 10.0
    assert feed.session.recent.since == at(80)
    stop.set()


@pytest.mark.parametrize("with_tables", [True, False])
def test_a_history_without_tables_has_no_such_columns(tmp_path: Path, *, with_tables: bool) -> None:
    recorded(tmp_path, with_tables=with_tables)

    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        while app.watch_session.shown < 9:
            await pilot.pause(0.01)
        await pilot.press("3")
        columns = {measure.name for measure in app.table.measures}
        assert ("seq_scans_per_s" in columns) == with_tables
        times = "reads of the last 10.0 s"
        if with_tables:
            times = "reads, scans and rows over 30.0 s until 10:01:30Z"
        assert lines(app)[0] == times

    play(script, (100, 30), feed=replayed(tmp_path))
