"""Rankings as JSON: one object a line for each interval."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TextIO

from pgiostat.burst import Balance
from pgiostat.capabilities import capabilities
from pgiostat.delta import Delta
from pgiostat.inflight import Running
from pgiostat.ledger import coverage_of
from pgiostat.notices import Notice
from pgiostat.rank import Ranking
from pgiostat.render.csvform import heading_of, records, timestamp
from pgiostat.render.ledger import ledger

__all__ = ["JsonWriter"]


class JsonWriter:
    """Writes intervals to a stream, null where a number is unknown."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(
        self,
        delta: Delta,
        ranking: Ranking,
        notices: list[Notice],
        *,
        running: Sequence[Running] = (),
        balance: Balance | None = None,
        since_start: float | None = None,
    ) -> None:
        """Write one interval and flush it; since_start: coverage of all intervals so far."""
        server = delta.newer.server
        interval = {
            "interval_start": timestamp(delta.since),
            "interval_end": timestamp(delta.until),
            "seconds": ranking.seconds,
            "server": {
                "label": server.label,
                "dbname": server.dbname,
                "version": server.version,
                "extension_version": server.extension_version,
                "in_recovery": delta.newer.markers.in_recovery,
            },
            "qualities": [str(quality) for quality in delta.qualities],
            "coverage": coverage_of(delta),
            "coverage_since_start": since_start,
            "operations_by": ranking.explained.operations_by,
            "by": str(ranking.by),
            "sort": str(ranking.sort),
            "server_blocks_read": ranking.server_blocks,
            "statement_blocks_read": ranking.explained.blocks,
            "unattributed_blocks_read": ranking.unattributed,
            "ledger": ledger(ranking),
            "nested_blocks_read": ranking.nested_blocks,
            "burst": None if balance is None else asdict(balance),
            "in_flight": [asdict(each) for each in running],
            "missing": {
                capability.name: capability.missing
                for capability in capabilities(delta.newer)
                if not capability.available
            },
            "notices": [
                {"slug": notice.slug, "text": notice.text, "hint": notice.hint}
                for notice in notices
            ],
        }
        skipped = interval.keys() | {"quality"}
        rows = [
            {name: value for name, value in record.items() if name not in skipped}
            for record in records(heading_of(delta, ranking), ranking)
        ]
        self._out.write(json.dumps({**interval, "rows": rows}, ensure_ascii=False) + "\n")
        self._out.flush()
