"""The names of the lines of a ledger, and its forms."""

from typing import Any

from pgiostat.analysis.cost import Overhead
from pgiostat.analysis.ledger import LedgerLine
from pgiostat.analysis.rank import Ranking
from pgiostat.units import format_count, format_ms

__all__ = ["NAMES", "NESTED", "ledger", "own_cost"]

NAMES = {
    LedgerLine.AUTOVACUUM: "autovacuum",
    LedgerLine.WALSENDER: "walsender",
    LedgerLine.PROCESSES: "other processes",
    LedgerLine.CATALOGS: "catalogs",
    LedgerLine.IN_TRANSIT: "in transit",
    LedgerLine.UNATTRIBUTED: "unattributed",
}
"""What a line is called on a screen."""
NESTED = "of it nested"
"""What is called so is no line: nested statements are in the rows of those that called them."""


def ledger(ranking: Ranking) -> list[dict[str, Any]]:
    """Return who read what no statement explains."""
    return [
        {"account": str(line.account), "blocks_read": line.blocks, "causes": list(line.causes)}
        for line in ranking.lines
    ]


def own_cost(spent: Overhead) -> str:
    """Return what our own statements cost.

    >>> own_cost(Overhead(7, 5.5, 40, 0))
    '7 calls, 5.50 ms, 40 blocks, 0 temporary blocks'
    """
    calls, blocks, temp = map(format_count, (spent.calls, spent.blocks_read, spent.temp_blks_read))
    time = format_ms(spent.exec_ms)
    return f"{calls} calls, {time}, {blocks} blocks, {temp} temporary blocks"
