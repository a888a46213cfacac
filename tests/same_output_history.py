"""Write a history with everything that reports warn of: python -P same_output_history.py DIR.

`same_output` runs this file with the package of two revisions, so every name is looked up in all
modules that have had it.
"""

import sys
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

INTERVALS = 90
MINUTE = 60.0


def find(*places: str) -> Any:
    """Return the first of some names that there is; each is "module:name".

    Raises:
        SystemExit: There is none; a module was moved or a name was changed since.
    """
    for place in places:
        module, _, name = place.partition(":")
        try:
            return getattr(import_module(module), name)
        except (ImportError, AttributeError):
            continue
    raise SystemExit(f"there is none of {', '.join(places)}: add what it is called now")


def readings(name: str) -> Any:
    """Return a name of the tests' module that makes snapshots by hand."""
    return find(f"tests.support.readings:{name}", f"tests.readings:{name}")


def device(name: str) -> Any:
    """Return a name of the module of device intervals."""
    return find(f"pgiostat.volume.device.interval:{name}", f"pgiostat.device.interval:{name}")


def names(name: str) -> Any:
    """Return a name of the module of statements' names."""
    return find(f"pgiostat.statistics.names:{name}", f"pgiostat.names:{name}")


at, reading, server, Unsynced = map(readings, ("at", "reading", "server", "Unsynced"))
DeviceInterval, Origin = device("DeviceInterval"), device("Origin")
Names, Statement, OWN = map(names, ("Names", "Statement", "OWN"))
diff = find(
    "pgiostat.statistics.difference:diff", "pgiostat.statistics.delta:diff", "pgiostat.delta:diff"
)
Writer = find("pgiostat.history.write.writer:Writer", "pgiostat.history.writer:Writer")
Layout = find("pgiostat.history.format.layout:Layout", "pgiostat.history.layout:Layout")
compact = find(
    "pgiostat.history.write.compaction:compact",
    "pgiostat.history.write.compaction:seal",
    "pgiostat.history.seal:seal",
)

TEXTS = {
    1: ("select max(rev) from t", "version"),
    2: ("select id, rev from t where id between ? and ?", "manifest"),
    3: ("=HYPERLINK(1) select '\x1b[31mred' | [l](http://e/) 商品 🐘 \u202e\n from t", "other"),
    4: ("/* pgiostat */ select 1", OWN),
    5: ("insert into t select " + ", ".join(f"c{n}" for n in range(80)), "upload"),
}
NAMES = Names(
    {(10, 5, n): Statement(text, f"2:{n:016x}", kind) for n, (text, kind) in TEXTS.items()},
    {5: "app", 6: "a,b"},
    {10: "@role"},
    {20100: (20100, "public", "t", "heap"), 20101: (20100, "public", "t", "idx")},
)


def snapshot(label: str, identifier: int, n: int, scale: int) -> Any:
    """Return what a server's counters say after so many minutes, after what happened to them."""
    counted = n if n < INTERVALS // 2 else n - INTERVALS // 2  # a reset half-way
    reset = {} if counted == n else {"statements_reset": at(MINUTE * (INTERVALS // 2) - 7)}
    reads = {1: 700, 2: 300, 3: 11, 4: 2, 5: 40 * (n % 7)}
    rows = [
        {
            "queryid": q, "calls": counted * (q + 1), "rows": counted * q,
            "shared_blks_read": counted * reads[q] * scale, "shared_blks_hit": counted * 90 * q,
            "total_exec_time": counted * 12.5 * q, "shared_blk_read_time": counted * 1.75 * q,
            "temp_blks_read": counted * (q == 2),  # the statement that sorts
        }
        for q in TEXTS
    ]  # fmt: skip
    blocks = n * 1_300 * scale
    io = {"backend_type": "client backend", "object": "relation", "context": "normal"}
    return reading(
        MINUTE * n + (MINUTE * 9 if n > 20 else 0),  # a gap
        rows,
        databases=[{"datid": 5, "blks_read": blocks}, {"datid": 6, "blks_read": n}],
        relations=[
            {"relid": 20100, "blks_read": 6 * n * n, "blks_hit": n},
            {"relid": 20101, "blks_read": 4 * n * n},
        ],
        io=[
            io | {"reads": blocks // 4, "read_bytes": blocks * 8192},
            io | {"backend_type": "autovacuum worker", "reads": n * 5, "read_bytes": n * 81920},
        ],
        dealloc=3 if n > 30 else 0,  # entries were evicted once
        server=server(label=label, system_identifier=identifier),
        **reset,
    )


def devices(n: int) -> list[Any]:
    """Return what the volume did in a minute, by CloudWatch and by the kernel."""
    begin = MINUTE * n
    return [
        DeviceInterval(
            at(begin), MINUTE, Origin.CLOUDWATCH, "db-1", 18_000, 147_456_000, 600, 4_915_200,
            burst_balance=max(90.0 - n / 2, 0.0),
        ),
        DeviceInterval(at(begin + 10), 40.0, Origin.DISKSTATS, "sda", 9000, 73_728_000, 10, 81, 9),
    ]  # fmt: skip


def write(root: Path) -> None:
    """Record two servers; compact what one of them recorded."""
    for label, identifier, scale in (("prod", 1, 1), ("test_1", 2, 3)):
        count = INTERVALS if identifier == 1 else INTERVALS // 2
        snapshots = [snapshot(label, identifier, n, scale) for n in range(count + 1)]
        writer = Writer.open(root, label, Unsynced())
        for n, (older, newer) in enumerate(pairwise(snapshots)):
            delta = diff(older, newer, expected_seconds=MINUTE)
            writer.append(delta, NAMES, devices(n) if identifier == 1 else [])
        writer.close()
    compact(Layout(root), "test_1", Unsynced())


if __name__ == "__main__":
    write(Path(sys.argv[1]))
