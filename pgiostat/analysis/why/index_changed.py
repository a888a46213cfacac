"""An index was dropped, or replaced by another one."""

from pgiostat.analysis.why.evidence import StatementEvidence, TableEvidence
from pgiostat.analysis.why.finding import Cause, CauseFinding, Certainty, Figure
from pgiostat.statistics.definitions import Definition

__all__ = ["changed", "find"]

LEAST_SCANS = 0.3


def _what(index: Definition) -> str:
    """Return what an index is on, without its name: a renamed or rebuilt one is the same."""
    return (index.text or "").partition(" ON ")[2]


def _valid(indexes: tuple[Definition, ...]) -> list[Definition]:
    return [each for each in indexes if each.text is not None and each.detail != "invalid"]


def changed(table: TableEvidence) -> tuple[list[Definition], list[Definition]]:
    """Return the indexes that are gone and those that are new, by what they are on.

    Nothing is gone if the definitions of the window before are not known.
    """
    if table.indexes_before is None:
        return [], []
    before, after = _valid(table.indexes_before), _valid(table.indexes_after)
    kept = {_what(each) for each in after} & {_what(each) for each in before}
    gone = [each for each in before if _what(each) not in kept]
    return gone, [each for each in after if _what(each) not in kept]


def find(evidence: StatementEvidence) -> CauseFinding | None:
    """Return the finding, if an index that was in use is gone."""
    for table in evidence.own_tables:
        gone, new = changed(table)
        scans = {each.indexrelid: each.idx_scan for each in table.before.indexes}
        used = [each for each in gone if scans.get(each.oid)]
        if used:
            return _finding(evidence, table, used, new)
    return None


def _finding(
    evidence: StatementEvidence, table: TableEvidence, gone: list[Definition], new: list[Definition]
) -> CauseFinding:
    old_scans, new_scans = evidence.seq_scans_per_call(table)
    scanned = new_scans - old_scans >= LEAST_SCANS
    names = ", ".join(each.name for each in gone)
    if new:
        cause = Cause.INDEX_REPLACED
        words = f"index {names} on {table.name} was replaced by {', '.join(e.name for e in new)}"
    else:
        cause = Cause.INDEX_DROPPED
        words = f"index {names} on {table.name} was dropped"
        if scanned:
            words += ", and the table is scanned sequentially"
    sentences = [words, *(f"was: {each.text}" for each in gone), *(f"is: {e.text}" for e in new)]
    per_s = [
        sum(each.idx_scan for each in side.indexes if each.indexrelid in {g.oid for g in gone})
        / side.seconds
        if side.seconds
        else None
        for side in (table.before, table.after)
    ]
    return CauseFinding(
        cause,
        Certainty.CERTAIN if scanned or new else Certainty.LIKELY,
        tuple(sentences),
        (
            Figure(f"scans of {names} per second", *per_s),
            Figure(f"sequential scans of {table.name} per call", old_scans, new_scans),
        ),
        table=table.name,
    )
