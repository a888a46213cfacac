"""Documents and rankings as JSON; a ranking is one object per line for each interval."""

import json
import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TextIO

from pgiostat.analysis.notices import Notice
from pgiostat.analysis.rank import Ranking
from pgiostat.analysis.server_reads import coverage_of
from pgiostat.escape import json_text
from pgiostat.postgres.activity import Running
from pgiostat.render.csv import heading_of, records, timestamp
from pgiostat.render.document import Document
from pgiostat.render.ledger import ledger
from pgiostat.render.preset import preset_object
from pgiostat.statistics.capabilities import capabilities
from pgiostat.statistics.delta import Delta
from pgiostat.volume.bucket import Balance

__all__ = ["JsonWriter", "dumps", "row_of", "write"]

IDS = frozenset({"queryid"})
"""Columns with ids of 64 bits: as doubles, which JavaScript and jq have, they are others."""


def write(document: Document, out: TextIO) -> None:
    """Write each object of a document in a line, null where a number is unknown."""
    out.writelines(f"{dumps(each)}\n" for each in document.objects)


def dumps(value: Any) -> str:
    r"""Return a value as JSON in one line: visible characters stay, all others are escaped.

    JSON has no infinite numbers; one of them is null, as what is unknown.

    >>> print(dumps({"user": "C\u202egnp 商", "rate": math.inf}))
    {"user": "C\u202egnp 商", "rate": null}
    """
    try:
        written = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        written = json.dumps(_finite(value), ensure_ascii=False, allow_nan=False)
    return json_text(written)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def row_of(record: Mapping[str, Any], skipped: Container[str] = ()) -> dict[str, Any]:
    """Return a row of a ranking as JSON has it, without the columns that its object has.

    Ids are strings: they name something, and nobody adds them up.
    """
    return {
        name: str(value) if name in IDS and value is not None else value
        for name, value in record.items()
        if name not in skipped
    }


def _burst(balance: Balance) -> dict[str, float | None]:
    # The name of the key "given" is older than that of the field.
    return {{"admitted": "given"}.get(key, key): value for key, value in asdict(balance).items()}


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
        """Write one interval and flush it; since_start: coverage of all intervals until now."""
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
            "preset": preset_object(ranking.preset),
            "by": str(ranking.by),
            "sort": str(ranking.sort),
            "server_blocks_read": ranking.server_blocks,
            "statement_blocks_read": ranking.explained.blocks,
            "in_transit_blocks_read": ranking.in_transit,
            "earlier_blocks_read": ranking.earlier_blocks,
            "unattributed_blocks_read": ranking.unattributed,
            "ledger": ledger(ranking),
            "nested_blocks_read": ranking.nested_blocks,
            "burst": None if balance is None else _burst(balance),
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
        rows = [row_of(record, skipped) for record in records(heading_of(delta, ranking), ranking)]
        self._out.write(dumps({**interval, "rows": rows}) + "\n")
        self._out.flush()
