"""The names of rows and of the lines of a ledger, and its forms."""

from typing import Any

from pgiostat.analysis.cost import Overhead
from pgiostat.analysis.ledger import LedgerLine
from pgiostat.analysis.rank import Ranking
from pgiostat.statistics.names import OWN
from pgiostat.units import format_count, format_counted, format_ms

__all__ = ["NAMES", "NESTED", "displayed", "ledger", "own_cost"]

NAMES = {
    LedgerLine.AUTOVACUUM: "autovacuum",
    LedgerLine.WALSENDER: "walsender",
    LedgerLine.PROCESSES: "other processes",
    LedgerLine.CATALOGS: "catalogs",
    LedgerLine.IN_TRANSIT: "in transit",
    LedgerLine.UNATTRIBUTED: "unattributed",
}
"""The name of a line on a screen."""
NESTED = "of it nested"
"""This is no line of a ledger: nested statements are in the rows of their callers."""


def displayed(name: str) -> str:
    """Return the name of a row as text for people has it; files keep the value that they have.

    >>> displayed(OWN), displayed("version")
    ('pgiostat', 'version')
    """
    return "pgiostat" if name == OWN else name


def ledger(ranking: Ranking) -> list[dict[str, Any]]:
    """Return the reads that no statement explains, by account."""
    return [
        {"account": str(line.account), "blocks_read": line.blocks, "causes": list(line.causes)}
        for line in ranking.lines
    ]


def own_cost(spent: Overhead) -> str:
    """Return the cost of pgiostat's own statements; temporary blocks only if there are any.

    >>> own_cost(Overhead(7, 5.5, 40, 0)), own_cost(Overhead(7, 5.5, 40, 3))
    ('7 calls, 5.50 ms, 40 blocks read', '7 calls, 5.50 ms, 40 blocks, 3 temp blocks read')
    """
    calls = format_counted(spent.calls, "call")
    blocks, temp = map(format_count, (spent.blocks_read, spent.temp_blks_read))
    read = f"{blocks} blocks, {temp} temp blocks" if spent.temp_blks_read else f"{blocks} blocks"
    return f"{calls}, {format_ms(spent.exec_ms)}, {read} read"
