"""The names of rows and of the lines of a ledger, and its forms."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from pgiostat.analysis.cost import Overhead
from pgiostat.analysis.ledger import LedgerLine
from pgiostat.analysis.ledger import Line as AccountedLine
from pgiostat.analysis.rank import OF_RELATIONS, Ranking
from pgiostat.render.csv import timestamp
from pgiostat.statistics.names import OWN
from pgiostat.units import format_counted, format_ms

__all__ = ["NAMES", "NESTED", "AccountLine", "account_lines", "displayed", "ledger", "own_cost"]

NAMES = {
    LedgerLine.AUTOVACUUM: "autovacuum",
    LedgerLine.WALSENDER: "walsender",
    LedgerLine.PROCESSES: "other processes",
    LedgerLine.CATALOGS: "catalogs",
    LedgerLine.IN_TRANSIT: "in transit",
    LedgerLine.EARLIER: "read earlier",
    LedgerLine.UNATTRIBUTED: "unattributed",
}
"""The name of a line on a screen."""
NESTED = "of it nested"
"""This is no line of a ledger: nested statements are in the rows of their callers."""
TOTAL = "total"
SERVER = "server"
DATABASE = "database"


@dataclass(frozen=True, slots=True)
class AccountLine:
    """A line below the rows of a ranking.

    Attributes:
        name: Its name.
        blocks: Blocks; None if unknown.
        has_share: Whether it is a part of the total, or the total.
        is_bound: Whether the blocks are a lower bound.
    """

    name: str
    blocks: int | None
    has_share: bool = True
    is_bound: bool = False


def account_lines(ranking: Ranking, *, is_live: bool = False) -> Iterator[AccountLine]:
    """Yield what no row explains, the total, and what other intervals count.

    Args:
        ranking: The ranking.
        is_live: Whether one screen has the total in several places: then it has no other sum.
    """
    others = [line for line in ranking.lines if not line.is_of_interval]
    for line in ranking.lines:
        if line.is_of_interval:
            yield AccountLine(NAMES[line.account], line.blocks)
    has_others = any(line.blocks for line in others)
    is_known = ranking.server_blocks is not None
    is_whole = ranking.total == ranking.whole
    if ranking.by in OF_RELATIONS:
        yield AccountLine(DATABASE, ranking.server_blocks, has_share=is_whole)
    elif is_live or has_others:
        yield AccountLine(TOTAL, ranking.total, has_share=is_whole, is_bound=not is_known)
        for line in others:
            yield AccountLine(_other_name(line), line.blocks, has_share=False)
    if not is_live and ranking.by not in OF_RELATIONS:
        has_share = is_whole and not has_others
        yield AccountLine(SERVER, ranking.server_blocks, has_share=has_share)
    if ranking.nested:
        # Below the sum, because it is no part of it: it is in its callers' rows.
        yield AccountLine(NESTED, ranking.nested_blocks)


def _other_name(line: AccountedLine) -> str:
    """Return the name of a line of other intervals: with the time if that is known.

    >>> from datetime import UTC, datetime
    >>> times = [datetime(2026, 12, 1, 12, 1, second, tzinfo=UTC) for second in (5, 15)]
    >>> _other_name(AccountedLine(LedgerLine.EARLIER, 41_000, (), *times))
    'read 12:01:05–12:01:15Z'
    """
    if line.since is None or line.until is None:
        return NAMES[line.account]
    begin, end = (each.astimezone(UTC) for each in (line.since, line.until))
    return f"read {begin:%H:%M:%S}–{end:%H:%M:%SZ}"


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
        | ({} if line.account is not LedgerLine.EARLIER else _times(line))
        for line in ranking.lines
    ]


def _times(line: AccountedLine) -> dict[str, str | None]:
    return {"since": timestamp(line.since), "until": timestamp(line.until)}


def own_cost(spent: Overhead) -> str:
    """Return the cost of pgiostat's own statements; temporary blocks only if there are any.

    >>> own_cost(Overhead(7, 5.5, 40, 0)), own_cost(Overhead(1, 5.5, 1, 3))
    ('7 calls, 5.50 ms, 40 blocks read', '1 call, 5.50 ms, 1 block, 3 temp blocks read')
    """
    calls = format_counted(spent.calls, "call")
    read = format_counted(spent.blocks_read, "block")
    if spent.temp_blks_read:
        read += f", {format_counted(spent.temp_blks_read, 'temp block')}"
    return f"{calls}, {format_ms(spent.exec_ms)}, {read} read"
