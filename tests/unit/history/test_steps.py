"""A window in steps, by hour and by server: the parts are those of the whole."""

import itertools
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pgiostat.analysis.rank import By, Ranking, rank_totals
from pgiostat.errors import PgiostatError
from pgiostat.history.format.layout import Layout
from pgiostat.history.read.history import History
from pgiostat.history.read.window_totals import WindowTotals
from pgiostat.history.read.windows import Window
from pgiostat.history.write.compaction import compact
from pgiostat.history.write.writer import Writer
from pgiostat.render.report import remarks
from pgiostat.reports.series import SeriesStep, series
from pgiostat.reports.steps import by_hour
from pgiostat.statistics.difference import diff
from pgiostat.statistics.names import OWN, Names
from tests.support.histories import KNOWN, MINUTE, intervals, write
from tests.support.readings import at, reading, server

HOUR = 60 * MINUTE


def opened(
    tmp_path: Path, count: int = 20, *, sealed: bool = False
) -> tuple[History, WindowTotals]:
    """Return a history of ten-minute intervals, and what is seen in all of it."""
    root = tmp_path / "history"
    write(root, intervals(count, 10 * MINUTE))
    if sealed:
        compact(Layout(root), "prod")
    history = History.open(root)
    return history, history.totals(Window(at(0), at(count * 10 * MINUTE)))


def names(seen: WindowTotals) -> dict[int, Names]:
    """Return what ids mean on every server."""
    return dict.fromkeys(seen.counted, KNOWN)


def ranked(seen: WindowTotals, by: By = By.CATEGORY, top: int | None = None) -> Ranking:
    """Return the ranking of a window."""
    known = names(seen)
    return rank_totals([(each, known[who]) for who, each in seen.counted.items()], by=by, top=top)


def told(steps: list[SeriesStep]) -> list[tuple[float, float, list[int]]]:
    """Return when each step begins, how long was counted, and the blocks of its rows."""
    return [
        (
            (step.since - at(0)) / timedelta(minutes=1),
            step.ranking.seconds,
            [row.cost.blocks for row in (*step.ranking.rows, step.ranking.own) if row],
        )
        for step in steps
    ]


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize("minutes", [10, 30, 60, 120])
def test_steps_add_up_to_the_window(tmp_path: Path, sealed: bool, minutes: int) -> None:  # noqa: FBT001
    history, seen = opened(tmp_path, sealed=sealed)
    ranking = ranked(seen)
    steps = series(history, seen, names(seen), ranking, timedelta(minutes=minutes))
    assert len(steps) == -(-200 // minutes)
    assert sum(step.ranking.seconds for step in steps) == ranking.seconds
    for number, row in enumerate(ranking.rows):
        of_steps = [step.ranking.rows[number] for step in steps]
        assert {each.name for each in of_steps} == {row.name}
        assert sum(each.cost.blocks for each in of_steps) == row.cost.blocks
        assert sum(each.cost.calls or 0 for each in of_steps) == row.cost.calls
    assert sum(s.ranking.server_blocks or 0 for s in steps) == ranking.server_blocks
    assert all(
        sum(line.blocks for line in step.ranking.lines)
        == (step.ranking.server_blocks or 0) - step.ranking.explained.blocks
        for step in steps
    )


def test_a_step_holds_the_intervals_that_begin_in_it(tmp_path: Path) -> None:
    history, seen = opened(tmp_path, 4)
    steps = series(history, seen, names(seen), ranked(seen), timedelta(minutes=20))
    # Of interval n, 1 to 4, statement q reads (2n - 1)q; two and three are manifest, four is ours.
    assert told(steps) == [
        (0.0, 1200.0, [20, 4, 16]),
        (20.0, 1200.0, [60, 12, 48]),
    ]
    assert [row.name for row in ranked(seen).rows] == ["manifest", "version"]


def test_the_rest_of_a_ranking_is_one_row_of_each_step(tmp_path: Path) -> None:
    history, seen = opened(tmp_path, 4)
    ranking = ranked(seen, By.FINGERPRINT, top=1)
    steps = series(history, seen, names(seen), ranking, timedelta(minutes=40))
    rest = [step.ranking.rest.cost.blocks for step in steps if step.ranking.rest]
    assert rest == [ranking.rest.cost.blocks if ranking.rest else None]


def test_a_gap_is_no_step_and_its_interval_is_where_it_begins(tmp_path: Path) -> None:
    root = tmp_path / "history"
    readings = [
        reading(
            seconds,
            [{"queryid": 1, "calls": n, "shared_blks_read": n * 100}],
            databases=[{"datid": 5, "blks_read": n * 100}],
        )
        for n, seconds in enumerate([0.0, 60.0, 3660.0, 3720.0])
    ]
    write(root, [diff(a, b) for a, b in itertools.pairwise(readings)])
    history = History.open(root)
    seen = history.totals(Window(at(0), at(3720)))
    steps = series(history, seen, names(seen), ranked(seen), timedelta(minutes=1))
    assert told(steps) == [(0.0, 60.0, [100]), (1.0, 3600.0, [100]), (61.0, 60.0, [100])]


def two_servers(tmp_path: Path) -> tuple[History, WindowTotals]:
    """Return a history of two servers at the same time, whose oids are equal."""
    root = tmp_path / "history"
    write(root, intervals(12, 10 * MINUTE), "prod")
    other = server(label="perf", address="10.0.0.2")
    write(root, intervals(6, 10 * MINUTE, server=other), "perf")
    history = History.open(root)
    return history, history.totals(Window(at(0), at(2 * HOUR)))


def test_hours_are_ranked_with_the_seconds_of_each(tmp_path: Path) -> None:
    history, seen = two_servers(tmp_path)
    ranking = rank_totals(by_hour(history, seen, names(seen)), by=By.HOUR)
    assert [(row.name, row.cost.seconds, row.cost.blocks) for row in ranking.rows] == [
        ("2026-11-23T10:00:00Z", 3600.0, 2 * 6 * 36),
        ("2026-11-23T11:00:00Z", 3600.0, 6 * (144 - 36)),
    ]
    assert ranking.own is not None
    assert ranking.own.cost.blocks == 4 * (144 + 36)
    assert ranking.seconds == 2 * HOUR


def test_servers_share_the_time_of_the_longest_so_that_rates_add_up(tmp_path: Path) -> None:
    _, seen = two_servers(tmp_path)
    ranking = ranked(seen, By.SERVER)
    assert [(row.name, row.cost.seconds, row.cost.blocks) for row in ranking.rows] == [
        ("prod", 2 * HOUR, 6 * 144),
        ("perf", 2 * HOUR, 6 * 36),
    ]
    assert list(remarks(seen)) == [
        "perf was observed for 1 h of 2 h: its rates are averaged over all of it",
        "nothing was collected for 1 h of the window",
    ]
    assert ranking.server_blocks == 11 * 144 + 12 + 11 * 36 + 6


def test_equal_oids_of_two_servers_are_not_one(tmp_path: Path) -> None:
    history, seen = two_servers(tmp_path)
    assert [row.name for row in ranked(seen, By.DATABASE).rows] == ["prod/app", "perf/app"]
    assert [row.name for row in ranked(seen, By.USER).rows] == ["prod/api", "perf/api"]
    assert len(ranked(seen, By.STATEMENT).rows) == 6
    assert len(ranked(seen, By.FINGERPRINT).rows) == 3
    window = seen.window
    relations = ranked(history.totals(window, By.RELATION), By.RELATION)
    assert [row.name for row in relations.rows] == ["prod/public.t", "perf/public.t"]


def test_one_server_under_two_labels_is_two(tmp_path: Path) -> None:
    root = tmp_path / "history"
    for label in ("before", "after"):
        write(root, intervals(2, 10 * MINUTE, server=server(label=label)), label)
    history = History.open(root)
    for label in ("before", "after"):
        seen = history.totals(Window(at(0), at(HOUR), label))
        assert ranked(seen).explained.blocks == 4 * 10


def thinned(tmp_path: Path, count: int = 12) -> History:
    """Return a history of which the hours are kept and the rows are not."""
    root = tmp_path / "history"
    write(root, intervals(count, 10 * MINUTE))
    compact(Layout(root), "prod")
    for file in Layout(root).compacted_files("stmt"):
        file.path.unlink()
    return History.open(root)


def test_where_hours_alone_are_kept_a_window_is_widened_to_them(tmp_path: Path) -> None:
    history = thinned(tmp_path)
    seen = history.totals(Window(at(5 * MINUTE), at(50 * MINUTE)))
    assert (seen.window, seen.widened) == (Window(at(0), at(HOUR)), True)
    assert ranked(seen).explained.blocks == 10 * 36
    exact = history.totals(Window(at(0), at(HOUR)))
    assert exact.widened is False
    hourly = series(history, exact, names(exact), ranked(exact), timedelta(hours=1))
    assert told(hourly) == [(0.0, HOUR, [180, 36, 144])]
    with pytest.raises(PgiostatError) as raised:
        series(history, exact, names(exact), ranked(exact), timedelta(minutes=10))
    assert raised.value.slug == "step-too-short"


def test_a_bad_file_is_left_out_when_asked_for_and_named(tmp_path: Path) -> None:
    root = tmp_path / "history"
    write(root, intervals(6, 10 * MINUTE))
    bad = Layout(root).sample("prod", 3) / "stmt.parquet"
    bad.write_bytes(b"PAR1 and then nothing")
    window = Window(at(0), at(HOUR))
    with pytest.raises(PgiostatError) as raised:
        History.open(root).totals(window)
    assert raised.value.slug == "history-unreadable"
    assert raised.value.hint == "--skip-bad skips it and reports that."
    seen = History.open(root, skip_bad=True).totals(window)
    assert seen.left_out == (bad,)
    assert list(remarks(seen)) == [
        "nothing was collected, or its files could not be read, for 10 min of the window",
        f'left out because it could not be read: "{bad}"',
    ]
    with pytest.raises(PgiostatError) as raised:
        History.open(root, skip_bad=True).totals(Window(at(20 * MINUTE), at(30 * MINUTE)))
    assert (raised.value.slug, raised.value.detail) == (
        "window-empty", f'Left out, because it could not be read: "{bad}"',
    )  # fmt: skip
    # The interval is left out as a whole: seconds without a count would be as wrong.
    assert ranked(seen).explained.blocks == 10 * (36 - 5)
    assert (seen.sampled.samples, seen.sampled.seconds) == (5, 5 * 10 * MINUTE)
    assert seen.sampled.statement_blocks == 10 * (36 - 5)


def test_a_file_that_went_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "history"
    write(root, intervals(6, 10 * MINUTE))
    history = History.open(root)
    before = history.engine.query
    sealed: list[int] = []

    def sealing(sql: str, sources: Any) -> Any:
        if not sealed and "hours" in sources:
            sealed.append(compact(Layout(root), "prod"))  # between listing and reading
        return before(sql, sources)

    monkeypatch.setattr(type(history.engine), "query", lambda _self, *asked: sealing(*asked))
    assert ranked(history.totals(Window(at(0), at(HOUR)))).explained.blocks == 10 * 36
    assert sealed == [5]


def test_a_reader_has_a_writer_beside_it(tmp_path: Path) -> None:
    root = tmp_path / "history"
    deltas = intervals(6, 10 * MINUTE)
    write(root, deltas[:3])
    history = History.open(root)
    window = Window(at(0), at(HOUR))
    assert ranked(history.totals(window)).explained.blocks == 10 * 9
    writer = Writer.open(root, "prod")
    for delta in deltas[3:]:
        writer.append(delta, KNOWN)
    assert ranked(history.totals(window)).explained.blocks == 10 * 36
    writer.close()


def test_our_own_statements_are_a_row_of_their_own(tmp_path: Path) -> None:
    _, seen = opened(tmp_path, 2)
    for by in (By.CATEGORY, By.SERVER, By.USER):
        own = ranked(seen, by).own
        assert own is not None
        assert (own.name, own.cost.blocks) == (OWN, 16)


def damaged(path: Path) -> Path:
    """Overwrite the middle of a file: its beginning and end are as they should be."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[4:middle] = bytes(255 - byte for byte in content[4:middle])
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("table", ["stmt", "sample"])
def test_a_file_damaged_within_is_named_and_left_out_with_its_intervals(
    tmp_path: Path, table: str
) -> None:
    root = tmp_path / "history"
    write(root, intervals(6, 10 * MINUTE))
    bad = damaged(Layout(root).sample("prod", 3) / f"{table}.parquet")
    window = Window(at(0), at(HOUR))
    with pytest.raises(PgiostatError) as raised:
        History.open(root).totals(window)
    assert raised.value.slug == "history-unreadable"
    assert raised.value.message == f'could not read "{bad}" of the history'
    history = History.open(root, skip_bad=True)
    seen = history.totals(window)
    assert seen.left_out == (bad,)
    assert (seen.sampled.samples, ranked(seen).explained.blocks) == (5, 10 * (36 - 5))
    steps = series(history, seen, names(seen), ranked(seen), timedelta(minutes=10))
    assert [step.sampled.samples for step in steps] == [1] * 5


def test_steps_shorter_than_intervals_are_refused(tmp_path: Path) -> None:
    history, seen = opened(tmp_path, 4)
    with pytest.raises(PgiostatError) as raised:
        series(history, seen, names(seen), ranked(seen), timedelta(minutes=1))
    assert raised.value.slug == "step-too-short"
    assert raised.value.message.endswith("the intervals of this window: 10 min")
