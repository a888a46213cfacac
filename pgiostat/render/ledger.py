"""The lines of a ledger, as they are called and told."""

from typing import Any

from pgiostat.ledger import Account
from pgiostat.rank import Ranking

__all__ = ["NAMES", "NESTED", "ledger"]

NAMES = {
    Account.AUTOVACUUM: "autovacuum",
    Account.WALSENDER: "walsender",
    Account.PROCESSES: "other processes",
    Account.CATALOGS: "catalogs",
    Account.UNCOUNTED: "not counted",
    Account.UNATTRIBUTED: "unattributed",
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
