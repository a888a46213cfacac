"""Reads of relations attributed to the statements that touch them.

PostgreSQL counts reads of a statement and reads of a relation, not of one statement from one
relation. A statement that touches one table alone read its blocks there: that is known. What
several tables and statements share is estimated, so that the sums agree with both counts.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np

__all__ = ["AttributedReads", "attribute"]

ROUNDS = 30
"""Rounds of scaling: the sums agree within a percent long before."""


@dataclass(frozen=True, slots=True)
class AttributedReads:
    """Blocks of one relation that one statement read.

    Attributes:
        blocks: Blocks read.
        is_known: The statement touches no other relation; otherwise it is an estimate.
    """

    blocks: float
    is_known: bool


def attribute(
    statements: Sequence[tuple[int, AbstractSet[int]]], relations: Mapping[int, int]
) -> list[dict[int, AttributedReads]]:
    """Attribute the reads of relations to statements.

    Args:
        statements: Blocks read by each statement, and the relations that it touches.
        relations: Blocks read of each relation, by the server's own count.

    Returns:
        For each statement the blocks that it read of each relation. An estimate never exceeds what
        other statements leave of a relation.

    >>> found = attribute([(60, {1}), (40, {1, 2})], {1: 70, 2: 30})
    >>> [(reads.blocks, reads.is_known) for each in found for reads in each.values()]
    [(60.0, True), (10.0, False), (30.0, False)]
    """
    known = [dict.fromkeys(touched, blocks) for blocks, touched in statements if len(touched) == 1]
    left = {key: float(blocks) for key, blocks in relations.items()}
    for each in known:
        for key, blocks in each.items():
            left[key] = max(left.get(key, 0.0) - blocks, 0.0)
    estimated = _estimated(statements, left)
    return [
        {
            key: AttributedReads(float(blocks), is_known=True)
            if len(touched) == 1
            else AttributedReads(estimated.get((number, key), 0.0), is_known=False)
            for key in sorted(touched)
        }
        for number, (blocks, touched) in enumerate(statements)
    ]


def _estimated(
    statements: Sequence[tuple[int, AbstractSet[int]]], left: Mapping[int, float]
) -> dict[tuple[int, int], float]:
    """Return blocks by statement and relation: iterative proportional fitting.

    The sums of a statement become its blocks, and those of a relation at most what is left of it.
    """
    pairs = [
        (number, key)
        for number, (blocks, touched) in enumerate(statements)
        if len(touched) > 1 and blocks
        for key in touched
        if left.get(key)
    ]
    if not pairs:
        return {}
    keys = {key: place for place, key in enumerate(dict.fromkeys(key for _, key in pairs))}
    rows = np.array([number for number, _ in pairs])
    columns = np.array([keys[key] for _, key in pairs])
    wanted = np.array([blocks for blocks, _ in statements], dtype=float)
    limits = np.array([left[key] for key in keys])
    found = limits[columns]
    for _ in range(ROUNDS):
        sums = np.bincount(rows, found, len(wanted))[rows]
        found = found * np.divide(wanted[rows], sums, out=np.zeros_like(found), where=sums > 0)
        sums = np.bincount(columns, found, len(limits))
        factors = np.divide(limits, sums, out=np.ones_like(limits), where=sums > limits)
        found *= factors[columns]
    return dict(zip(pairs, found.tolist(), strict=True))
