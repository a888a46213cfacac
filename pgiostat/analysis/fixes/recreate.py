"""The index that was dropped or replaced, once more."""

from pgiostat.analysis.fixes.model import Fix, FixKind, Grounds
from pgiostat.analysis.fixes.past import past
from pgiostat.analysis.fixes.table_facts import TableFacts
from pgiostat.analysis.fixes.writes import index_costs
from pgiostat.analysis.why.index_changed import changed

__all__ = ["find"]

_MASKED = "?"


def find(facts: TableFacts) -> list[Fix]:
    """Return the fix for each index that is gone and was in use."""
    gone, _ = changed(facts.table)
    used = {each.indexrelid: each for each in facts.table.before.indexes if each.idx_scan}
    return [
        Fix(
            FixKind.RECREATE_INDEX,
            f"index {each.name} on {facts.table.name}, as it was"
            + (": replace ? by the constant that it had" if _MASKED in (each.text or "") else ""),
            (_concurrently(each.text or ""),),
            *past(facts.evidence, Grounds.PAST),
            size_bytes=used[each.oid].size_bytes,
            costs=index_costs(facts.table),
            table=facts.table.name,
        )
        for each in gone
        if each.oid in used
    ]


def _concurrently(text: str) -> str:
    """Return a definition that lets writes go on while the index is built."""
    return f"{text.replace(' INDEX ', ' INDEX CONCURRENTLY ', 1)};"
