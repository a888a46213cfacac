"""What the benchmarks measure is what a collector would have written."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa

from benchmarks import applications
from benchmarks.history_load import World, ticks
from pgiostat.analysis.cost import ReadCost
from pgiostat.analysis.rank import RankRow
from pgiostat.history.format.encode import encode
from pgiostat.history.format.schema import READS

BEGIN = datetime(2026, 11, 16, tzinfo=UTC)
MADE_UP = {*READS.values(), "statements", "appeared", "vanished", "unknown", "own_us"}
"""What the generated samples have of any size: no question takes longer for it."""


def test_a_generated_history_has_the_rows_that_a_collector_encodes() -> None:
    world = World(60)
    when = ticks(BEGIN, BEGIN + timedelta(minutes=2), 10, seed=4)

    generated = world.tables(when, seed=5)
    encoded = [encode(delta) for delta in world.deltas(when, seed=5)]

    for name, table in generated.items():
        collected = pa.concat_tables([tables[name] for tables in encoded if name in tables])
        there = [column for column in table.column_names if column not in MADE_UP]
        order = [column for column in there if column != "qualities"]
        rows, expected = (
            sorted(each.select(there).to_pylist(), key=lambda row: [str(row[c]) for c in order])
            for each in (table, collected)
        )
        assert rows == expected, name


def test_a_category_of_another_application_is_a_fault() -> None:
    row = RankRow(("upload",), "upload", ReadCost(1.0, 8192, calls=3), 0.5, "upload")
    found = applications.Measured("shop", "general", reads=0.02, calls=0.0199, rows=(row,))
    assert found.faults == ["shop: 2.00 % of reads in other", "shop: category upload"]
