"""The statement with the most reads: what it reads from, who runs it, and since when."""

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from pgiostat.analysis.cost import blocks_of
from pgiostat.analysis.onset import find_onset
from pgiostat.analysis.rank import By, RankRow, Totals, places_of, rank_totals
from pgiostat.queries.tables import tables_of
from pgiostat.statistics.names import Names
from pgiostat.watch.model.relation_reads import relation_reads
from pgiostat.watch.model.session import RateHistory

__all__ = ["Since", "TopReader", "since_of", "top_reader"]


@dataclass(frozen=True, slots=True)
class Since:
    """Since when a statement reads as much as it does.

    Attributes:
        at: Begin of the first interval after the rise; without a rise, begin of what is known.
        before: Blocks per second before it; None without a rise.
    """

    at: datetime
    before: float | None


@dataclass(frozen=True, slots=True)
class TopReader:
    """The statement with the most reads.

    Attributes:
        row: Its row in a ranking by fingerprint.
        table: The table of which it read most; empty if its text names none.
        part: What was read most of that table: heap, index, TOAST; empty if that is unknown.
        places: Role and database of its entries, those with the most reads first.
    """

    row: RankRow
    table: str
    part: str
    places: tuple[str, ...]


_PARTS = {"heap": "heap", "idx": "index", "toast": "TOAST", "tidx": "TOAST index"}


def top_reader(counted: Totals, names: Names, dbname: str) -> TopReader | None:
    """Return the statement with the most reads; None if nothing was read.

    Args:
        counted: The totals of a time.
        names: The meaning of their ids.
        dbname: The connected database, of which tables are.
    """
    counted = _reading(counted)
    rows = rank_totals([(counted, names)], by=By.FINGERPRINT, top=1).rows
    if not rows or not rows[0].text or not rows[0].cost.blocks:
        return None
    row = rows[0]
    places = tuple(places_of(counted, names, row.key))
    reads = relation_reads(counted, names, By.FINGERPRINT, dbname).by_statement.get(row.key, {})
    if not any(each.blocks for each in reads.values()):
        return TopReader(row, min(tables_of(row.text), default=""), "", places)
    table = max(reads, key=lambda each: (reads[each].blocks, -each))
    return TopReader(row, names.shown_relation(table), _part(counted, names, table), places)


def _reading(counted: Totals) -> Totals:
    """Return totals without statements that read nothing: most of thousands are such."""
    chosen = np.flatnonzero(blocks_of(counted.statement_amounts)).tolist()
    return replace(
        counted,
        statements=[counted.statements[place] for place in chosen],
        statement_amounts=counted.statement_amounts[:, chosen],
        statement_uncertain=[counted.statement_uncertain[place] for place in chosen],
    )


def _part(counted: Totals, names: Names, table: int) -> str:
    """Return the part of a table of which most was read."""
    blocks: dict[str, int] = {}
    read = blocks_of(counted.relation_amounts).tolist()
    for relid, each in zip(counted.relations, read, strict=True):
        owner, _, _, part = names.relations.get(relid, (relid, "", "", "heap"))
        if owner == table:
            words = f"{_PARTS.get(part, part)} {names.index_names.get(relid, '')}".rstrip()
            blocks[words] = blocks.get(words, 0) + each
    return max(blocks, key=lambda each: blocks[each], default="")


def since_of(past: RateHistory) -> Since | None:
    """Return since when something reads as much as it does; None without intervals.

    Args:
        past: Its last intervals.
    """
    if not past.begins:
        return None
    seconds = [
        (end - begin).total_seconds() for begin, end in zip(past.begins, past.ends, strict=True)
    ]
    onset = find_onset(past.blocks_per_s, seconds)
    if onset is None:
        return Since(past.begins[0], None)
    return Since(past.begins[onset.place], onset.before)
