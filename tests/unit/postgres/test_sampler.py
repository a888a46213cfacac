"""The loop: its schedule, its way back, and when it asks for texts. Time is injected."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import pytest

from pgiostat.errors import PgiostatError
from pgiostat.postgres import sampler as collect
from pgiostat.postgres.own_statements import Own
from pgiostat.postgres.sampler import IntervalResult, Sampler
from pgiostat.postgres.texts import TextBatch
from pgiostat.statistics.delta import Quality
from pgiostat.statistics.names import Statement
from pgiostat.statistics.snapshot import Snapshot
from tests.support.readings import at, reading


@dataclass
class World:
    """A server and a clock of our own: waiting moves the clock, reading takes some of it."""

    now: float = 0.0
    reading_takes: float = 0.0
    lost_at: list[int] = field(default_factory=list)
    turns: int = 0
    connects: int = 0
    waits: list[float] = field(default_factory=list)
    asked: list[list[int]] = field(default_factory=list)
    texts_error: PgiostatError | None = None
    statements: Callable[[int], list[dict[str, object]]] = lambda _turn: []
    connect_error: PgiostatError | None = None

    # as a clock and as a way to wait

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now += seconds
        return False

    # as a session

    def close(self) -> None:
        pass

    # as a collector

    own = Own(11, 5)

    def take(self) -> Snapshot:
        self.turns += 1
        if self.turns in self.lost_at:
            raise PgiostatError("connection to the server was lost", slug="connection-lost")
        self.now += self.reading_takes
        return reading(self.now, self.statements(self.turns), session=self.connects)

    def texts(self, keys: Collection[tuple[int, int, int]]) -> TextBatch:
        self.asked.append(sorted(queryid for _, _, queryid in keys))
        if self.texts_error:
            raise self.texts_error
        return TextBatch({key: f"select {key[2]}" for key in keys})

    def databases(self) -> dict[int, str]:
        return {5: "app"}

    def roles(self) -> dict[int, str]:
        return {10: "api"}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()

    def connect(_dsn: str, *, label: str) -> World:
        assert label == ""
        made.connects += 1
        if made.connect_error and made.connects > 1:
            raise made.connect_error
        return made

    monkeypatch.setattr(collect, "connect", connect)
    monkeypatch.setattr(collect, "SnapshotReader", lambda session, clock: session)  # noqa: ARG005
    return made


def describe(text: str | bytes, *, user: str, database: str, queryid: int) -> Statement:
    assert (user, database) == ("api", "app")
    return Statement(str(text), f"1:{queryid}", "other")


def results(
    world: World, count: int, interval: float = 2.0, **options: Any
) -> tuple[Sampler, list[IntervalResult]]:
    """Return the first results of a loop."""
    sampler = Sampler("", interval, describe, world.wait, clock=world.clock, **options)
    found = []
    for result in sampler.intervals():
        found.append(result)
        if len(found) == count:
            break
    return sampler, found


def lengths(found: list[IntervalResult]) -> list[float | None]:
    return [result.delta.seconds if result.delta else None for result in found]


def test_readings_keep_to_the_schedule_however_long_they_take(world: World) -> None:
    world.reading_takes = 0.5
    _, found = results(world, 4)
    assert lengths(found) == [None, 2.0, 2.0, 2.0]
    assert world.waits == [1.5, 1.5, 1.5]


def test_the_reading_after_a_baseline_may_come_soon_and_the_schedule_goes_on_from_it(
    world: World,
) -> None:
    world.reading_takes = 0.25
    _, found = results(world, 4, first_interval=0.5)
    assert lengths(found) == [None, 0.5, 2.0, 2.0]
    assert world.waits == [0.25, 1.75, 1.75]


def test_a_reading_that_took_too_long_costs_turns_and_no_burst(world: World) -> None:
    world.reading_takes = 5.0
    _, found = results(world, 3)
    assert lengths(found) == [None, 6.0, 6.0]
    assert [result.delta.qualities for result in found if result.delta][1:] == [(Quality.GAP,)] * 2


def test_a_lost_server_is_tried_again_and_the_gap_is_one_interval(world: World) -> None:
    world.lost_at = [3, 4]
    _, found = results(world, 6)
    assert [result.error.slug if result.error else "" for result in found] == [
        "",
        "",
        "connection-lost",
        "connection-lost",
        "",
        "",
    ]
    assert world.connects == 3
    gap = found[4].delta
    assert gap is not None
    assert Quality.GAP in gap.qualities
    assert gap.seconds == pytest.approx(sum(world.waits[1:4]))


def test_the_way_back_grows_longer_up_to_a_limit(world: World) -> None:
    world.lost_at = list(range(2, 12))
    _, found = results(world, 11)
    pauses = [result.retry_seconds for result in found if result.retry_seconds is not None]
    longest = [min(30.0, 2.0 * 2**i) for i in range(10)]
    assert all(most / 2 <= pause <= most for pause, most in zip(pauses, longest, strict=True))


REFUSED = PgiostatError("refused", slug="password-wrong")


def test_a_role_that_is_refused_before_the_first_reading_ends_the_loop(world: World) -> None:
    world.lost_at = [1]
    world.connect_error = REFUSED
    with pytest.raises(PgiostatError, match="refused"):
        results(world, 5)


def test_a_role_that_is_refused_for_a_time_costs_that_time_alone(world: World) -> None:
    """It may be renamed, dropped and made again, or its database may."""
    world.lost_at = [3]
    sampler = Sampler("", 2.0, describe, world.wait, clock=world.clock)
    found = []
    for result in sampler.intervals():
        found.append(result.error.slug if result.error else "")
        world.connect_error = REFUSED if len(found) in {3, 4} else None
        if len(found) == 7:
            break
    assert found == ["", "", "connection-lost", "password-wrong", "password-wrong", "", ""]


def test_a_wait_that_is_told_to_stop_ends_the_loop(world: World) -> None:
    sampler = Sampler("", 2.0, describe, lambda _seconds: True, clock=world.clock)
    assert len(list(sampler.intervals())) == 1


def statements(blocks: dict[int, int]) -> list[dict[str, object]]:
    """Return statements that were made just after the beginning."""
    return [
        {"queryid": queryid, "calls": 1, "shared_blks_read": read, "stats_since": at(1)}
        for queryid, read in blocks.items()
    ]


def test_texts_of_what_reads_are_asked_for_at_once_and_only_once(world: World) -> None:
    seen = {2: {1: 50}, 3: {1: 60, 2: 90}, 4: {1: 99, 2: 99}}
    world.statements = lambda turn: statements(seen.get(turn, {}))
    sampler, _ = results(world, 4)
    assert world.asked == [[1], [2]]
    assert {key[2]: s.text for key, s in sampler.names.statements.items()} == {
        1: "select 1",
        2: "select 2",
    }


def test_texts_of_what_reads_next_to_nothing_wait_some_seconds(world: World) -> None:
    # Each turn brings a statement that reads nothing beside one that reads much.
    world.statements = lambda turn: statements({1: 1000 * turn} | dict.fromkeys(range(2, turn), 0))
    results(world, 8)
    # At once, then after ten seconds all that came meanwhile.
    assert world.asked == [[1], [2, 3, 4, 5, 6]]


def test_a_failure_of_texts_costs_no_count_and_is_not_repeated_at_once(world: World) -> None:
    world.texts_error = PgiostatError("unreadable", slug="texts-unreadable")
    world.statements = lambda turn: statements({1: 10 * turn} if turn > 1 else {})
    _, found = results(world, 4)
    blocks = [t.delta.statements.total("shared_blks_read") for t in found if t.delta]
    assert blocks == [0, 20, 10, 10]
    assert world.asked == [[1]]
    assert [t.texts_error.slug if t.texts_error else "" for t in found] == [
        "",
        *["texts-unreadable"] * 3,
    ]


def test_names_of_what_has_gone_are_forgotten_when_there_are_many_more(world: World) -> None:
    world.statements = lambda turn: statements({turn * 10 + i: 50 for i in range(2)})
    sampler, _ = results(world, 5, max_stale_names=5, names_in_use=lambda: ([(10, 5, 21)], []))
    kept = {queryid for _, _, queryid in sampler.names.statements}
    assert kept == {21, 40, 41, 50, 51}


def test_names_are_looked_at_again_within_a_minute(world: World, monkeypatch: Any) -> None:
    asked: list[float] = []
    called = {5: "app"}

    def databases(self: World) -> dict[int, str]:
        asked.append(self.now)
        return dict(called)

    monkeypatch.setattr(World, "databases", databases)
    world.statements = lambda turn: statements({1: 10 * turn})
    sampler = Sampler("", 2.0, any_name, world.wait, clock=world.clock)
    for result in sampler.intervals():
        assert result.error is None
        if world.now == 40:
            called[5] = "shop"
        if world.now >= 130:
            break
    assert asked == [2, 62, 122]
    assert sampler.names.databases == {5: "shop"}


def any_name(text: str | bytes, *, user: str, database: str, queryid: int) -> Statement:
    return Statement(str(text), f"1:{queryid}", f"{user}@{database}")


def test_a_statement_is_described_again_when_its_role_or_database_has_another_name(
    world: World, monkeypatch: Any
) -> None:
    monkeypatch.setattr(World, "roles", lambda self: {10: "api" if self.now < 61 else "web"})
    world.statements = lambda turn: statements({1: 10 * turn})
    sampler = Sampler("", 2.0, any_name, world.wait, clock=world.clock)
    found = {}
    for _ in sampler.intervals():
        found[world.now] = sampler.names.described((10, 5, 1)).category
        if world.now >= 62:
            break
    assert (found[60], found[62]) == ("api@app", "web@app")
    assert world.asked == [[1], [1]]


def test_what_was_dropped_keeps_its_name_and_is_told_from_what_has_it_now(
    world: World, monkeypatch: Any
) -> None:
    monkeypatch.setattr(World, "databases", lambda self: {5 if self.now < 60 else 6: "app"})
    world.statements = lambda turn: statements({1: 10 * turn})
    sampler, _ = results(world, 40)
    assert sampler.names.databases == {5: "app", 6: "app"}
    assert [sampler.names.shown_database(oid) for oid in (5, 6)] == ["app (oid 5)", "app (oid 6)"]


def test_texts_that_cannot_be_read_have_a_reason_until_they_can(world: World) -> None:
    world.texts_error = PgiostatError(
        "unreadable", slug="texts-unreadable", detail="Invalid byte sequence."
    )
    world.statements = lambda turn: statements({1: 10 * turn} if turn > 1 else {})
    sampler = Sampler("", 2.0, describe, world.wait, clock=world.clock)
    shown = {}
    for _ in sampler.intervals():
        names = sampler.names
        shown[world.now] = (names.described((10, 5, 1)).category, names.placeholder((10, 5, 1)))
        if world.now == 30:
            world.texts_error = None
        if world.now >= 64:
            break
    assert shown[0] == ("no text yet", "(no text yet: queryid 1)")
    assert shown[2] == ("not readable", "(not readable: Invalid byte sequence; queryid 1)")
    assert shown[60][0] == "not readable"
    assert shown[62][0] == "other"
    assert world.asked == [[1], [1]]
    assert sampler.names.unreadable == {}


def test_one_text_that_cannot_be_read_costs_no_other(world: World, monkeypatch: Any) -> None:
    error = PgiostatError("unreadable", slug="texts-unreadable")
    batch = TextBatch({(10, 5, 1): "select 1"}, {(10, 5, 2): "Damaged."}, error)
    monkeypatch.setattr(World, "texts", lambda _self, _keys: batch)
    world.statements = lambda turn: statements({1: 10 * turn, 2: 10 * turn} if turn > 1 else {})
    sampler, found = results(world, 3)
    categories = [sampler.names.described((10, 5, queryid)).category for queryid in (1, 2, 3)]
    assert categories == ["other", "not readable", "no text yet"]
    assert [result.texts_error for result in found] == [None, error, error]
