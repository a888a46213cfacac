"""Histories of a server whose statements read ever more."""

from itertools import pairwise
from pathlib import Path
from typing import Any

from pgiostat.history.write.writer import Writer
from pgiostat.statistics.delta import Delta
from pgiostat.statistics.difference import diff
from pgiostat.statistics.names import OTHER, OWN, Names, Statement, split_action
from tests.support.readings import Unsynced, at, reading

MINUTE = 60.0
TEXTS = {
    1: ("select max(rev) from t", "version", ""),
    2: ("select id, rev from t where id between ? and ?", "manifest", ""),
    3: ("fetch ? from ?", "manifest", "manifest_7"),
    4: ("select ours", OWN, ""),
}
ACTIONS = {1: "select t", 2: "select t", 3: OTHER, 4: "select t"}
KNOWN = Names(
    {
        (10, 5, n): Statement(
            text,
            f"1:{n}",
            category,
            uses_cursor=cursor,
            action=ACTIONS[n],
            table_read=split_action(ACTIONS[n])[1],
        )
        for n, (text, category, cursor) in TEXTS.items()
    },
    {5: "app"},
    {10: "api"},
    {20100: (20100, "public", "t", "heap"), 20101: (20100, "public", "t", "idx")},
)


def intervals(count: int, seconds: float, **more: Any) -> list[Delta]:
    """Return intervals in which four statements read ever more."""
    readings = [
        reading(
            n * seconds,
            [{"queryid": q, "calls": n, "shared_blks_read": n * n * q} for q in TEXTS],
            databases=[{"datid": 5, "blks_read": 11 * n * n}, {"datid": 6, "blks_read": n}],
            relations=[
                {"relid": 20100, "blks_read": 6 * n * n, "blks_hit": n},
                {"relid": 20101, "blks_read": 4 * n * n},
            ],
            **more,
        )
        for n in range(count + 1)
    ]
    return [diff(a, b) for a, b in pairwise(readings)]


DAY_SECONDS = 86_400


def write(root: Path, deltas: list[Delta], label: str = "prod") -> None:
    """Append intervals."""
    # All of them have been: a server whose clock is ahead of ours is not believed.
    writer = Writer.open(root, label, Unsynced(), now=lambda: at(400 * DAY_SECONDS))
    for delta in deltas:
        writer.append(delta, KNOWN)
    writer.close()
