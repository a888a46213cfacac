"""Sizes of B-tree indexes, from the rows of a table and the width of its columns.

A leaf entry has 8 bytes before its values, which are rounded up to a multiple of 8, and 4 bytes in
the array of the block (src/include/access/itup.h, src/include/storage/itemid.h).
A new index fills its leaf blocks to 90 % and its inner blocks to 70 %.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

from pgiostat.analysis.why.access import Column

__all__ = ["BTree", "adjacent_pages", "b_tree", "entries_per_leaf"]

_HEADER = 24 + 16
"""Bytes of a block before its entries, and of a B-tree's own data at its end."""
_BEFORE, _IN_ARRAY, _ALIGNMENT = 8, 4, 8
_FILLED = 0.9
_INNER_FILLED = 0.7
_REPEATED_PER_LEAF = 1220
_ROW_ID = 8
"""Bytes of a row's place, by which an inner block tells apart equal values of a single column."""


def entries_per_leaf(columns: Iterable[Column], block_size: int = 8192) -> int:
    """Return the entries of a leaf block of a new index.

    >>> entries_per_leaf([Column("a", "bigint")]), entries_per_leaf([Column("b", "uuid")])
    (366, 262)
    """
    width = _BEFORE + _aligned(columns) + _IN_ARRAY
    return max(int(_FILLED * (block_size - _HEADER) / width), 1)


def _aligned(columns: Iterable[Column]) -> int:
    return ceil(sum(each.width for each in columns) / _ALIGNMENT) * _ALIGNMENT


@dataclass(frozen=True, slots=True)
class BTree:
    """The shape of a new B-tree.

    Entries that repeat share a list of the places of their rows, of 6 bytes each.

    Attributes:
        leaves: Its leaf blocks.
        fanout: Blocks below an inner block.
        per_leaf: Entries of a leaf block.
    """

    leaves: int
    fanout: int
    per_leaf: float

    @property
    def height(self) -> int:
        """Blocks that a descent to a leaf touches.

        >>> [BTree(leaves, 280, 366).height for leaves in (1, 280, 281, 100_000)]
        [1, 2, 3, 4]
        """
        return 1 + len(self._inner())

    @property
    def pages(self) -> int:
        """Blocks of the whole index, with its first one."""
        return 1 + self.leaves + sum(self._inner())

    def leaves_of(self, rows: float, *, repeated: bool = False) -> float:
        """Return the leaf blocks after the first one that entries beside each other take.

        Args:
            rows: How many entries.
            repeated: Whether their values are all the same.
        """
        per_leaf = max(self.per_leaf, _REPEATED_PER_LEAF) if repeated else self.per_leaf
        return max(rows - 1, 0.0) / per_leaf

    def _inner(self) -> list[int]:
        """Return the inner blocks of each level."""
        levels, pages = [], self.leaves
        while pages > 1:
            pages = ceil(pages / self.fanout)
            levels.append(pages)
        return levels


def b_tree(
    rows: float,
    keys: Sequence[Column],
    included: Sequence[Column] = (),
    block_size: int = 8192,
) -> BTree:
    """Return the shape of a new index without duplicates: duplicates take less.

    Args:
        rows: Its entries.
        keys: Its key columns.
        included: Columns that its leaf entries carry.
        block_size: Bytes of a block.

    >>> b_tree(60_000, [Column("k", "integer"), Column("v", "bigint")])
    BTree(leaves=230, fanout=203, per_leaf=262)
    """
    per_leaf = entries_per_leaf([*keys, *included], block_size)
    width = _BEFORE + _aligned(keys) + _IN_ARRAY + (_ROW_ID if len(keys) == 1 else 0)
    fanout = max(int(_INNER_FILLED * (block_size - _HEADER) / width), 2)
    return BTree(max(ceil(rows / per_leaf), 1), fanout, per_leaf)


def adjacent_pages(rows: float, per_page: float) -> float:
    """Return the blocks in which rows lie that follow each other, from anywhere in a block.

    >>> adjacent_pages(20, 40), adjacent_pages(1, 40)
    (1.475, 1.0)
    """
    return 1 + max(rows - 1, 0.0) / per_page
