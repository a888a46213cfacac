"""Traffic as a file: the same from the same seed, and nothing is sent that cannot be."""

from collections import Counter
from pathlib import Path

import pytest

from pgiostat.errors import PgiostatError
from pgiostat.lab.workload.schema import DataSize
from pgiostat.lab.workload.trace import Event, Operation, Trace, generate, read, write

SIZE = DataSize(clients=3, rows=50, tables=("customer", "visit"))


def test_a_seed_gives_the_same_events_everywhere() -> None:
    trace = generate(SIZE, 6.0, 1)
    assert trace.events[:4] == (
        Event(0.288582, 2, Operation.CHANGE, "customer", (24, 25)),
        Event(0.288582, 2, Operation.CHANGE, "visit", (1, 4)),
        Event(0.288582, 2, Operation.SYNC),
        Event(3.161906, 0, Operation.CHANGE, "customer", (46, 48)),
    )
    assert generate(SIZE, 6.0, 1) == trace
    assert generate(SIZE, 6.0, 2) != trace


def test_traffic_is_as_it_is_told() -> None:
    size = DataSize(clients=10, rows=1_000, tables=("a", "b", "c", "d", "e", "f"))
    events = generate(size, 20_000.0, 1, seldom=("f",)).events
    syncs = [event for event in events if event.operation is Operation.SYNC]
    changes = [event for event in events if event.operation is Operation.CHANGE]
    assert len(syncs) / 20_000 == pytest.approx(0.5, rel=0.03)
    assert len(changes) / len(syncs) == pytest.approx(5 * 2 / 6 + 0.05, rel=0.03)
    rows = [event.rows[1] - event.rows[0] for event in changes]
    assert sum(rows) / len(rows) == pytest.approx(3, rel=0.03)
    by_client = Counter(event.client for event in syncs)
    assert by_client[0] / by_client[3] == pytest.approx(2, rel=0.1)  # (1 + 3) ** 0.5


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    trace = generate(SIZE, 30.0, 3)
    write(trace, tmp_path / "trace")
    assert read(tmp_path / "trace") == trace
    first, second, *_ = (tmp_path / "trace").read_text().splitlines()
    assert first == (
        '{"schema_version": 1, "seed": 3, "lasts": 30.0, "size": {"clients": 3, "rows": 50,'
        ' "tables": ["customer", "visit"], "payload": 190}}'
    )
    event = trace.events[0]
    assert second == (
        f'{{"at": {event.at}, "client": {event.client}, "operation": "{event.operation}"'
        + (f', "table": "{event.table}", "range": {list(event.rows)}}}' if event.table else "}")
    )


def test_a_time_is_cut_in_two() -> None:
    events = tuple(Event(at, 0, Operation.SYNC) for at in (0.0, 1.0, 1.0, 2.0))
    first, second = Trace(SIZE, None, 3.0, events).split(1.0)
    assert (first.events, second.events) == (events[:1], events[1:])


HEAD = (
    '{"schema_version": 1, "seed": null, "lasts": 9,'
    ' "size": {"clients": 3, "rows": 50, "tables": ["customer", "visit"], "payload": 190}}'
)


@pytest.mark.parametrize(
    ("lines", "detail"),
    [
        ([], "Line 1: It does not name the data of the trace."),
        (["{}"], "Line 1: It does not name the data of the trace."),
        ([HEAD.replace('version": 1', 'version": 2')], "Line 1: Its schema_version is 2, not 1."),
        ([HEAD, "nonsense"], "Line 2: It is not an event: nonsense"),
        ([HEAD, '{"at": 1, "client": 0, "operation": "drop"}'],
         'Line 2: It is not an event: {"at": 1, "client": 0, "operation": "drop"}'),
        ([HEAD, '{"at": 1, "client": 3, "operation": "sync"}'],
         "Line 2: There is no client 3: the data has 3."),
        ([HEAD, '{"at": 1, "client": 0, "operation": "version", "table": "price"}'],
         'Line 2: There is no table "price": the data has customer, visit.'),
        ([HEAD, '{"at": 1, "client": 0, "operation": "fetch", "table": "visit", "range": [4, 60]}'],
         "Line 2: Its range is not within rows 0 to 50: [4, 60]."),
        ([HEAD, '{"at": 2, "client": 0, "operation": "sync"}',
          '{"at": 1, "client": 0, "operation": "sync"}'],
         "Line 3: Its time, 1, is before that of the line above, 2."),
    ],
)  # fmt: skip
def test_what_is_no_trace_is_told_by_line(lines: list[str], detail: str, tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text("\n".join(lines))
    with pytest.raises(PgiostatError) as raised:
        read(path)
    assert (raised.value.slug, raised.value.detail) == ("trace-invalid", detail)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(PgiostatError) as raised:
        read(tmp_path / "trace")
    assert raised.value.slug == "file-unusable"
    (tmp_path / "trace").write_bytes(b"\xff\xfe")
    with pytest.raises(PgiostatError) as raised:
        read(tmp_path / "trace")
    assert raised.value.detail == "Line 1: It is not text in UTF-8."
