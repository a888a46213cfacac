"""Tables that belong together: by the first word of their names, and by foreign keys."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pgiostat.queries.rules.suggest.catalog_table import CatalogTable, ForeignKey

__all__ = ["Family", "families", "words_of"]

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W_A-Z]+")
_MOST_PARTS = 3
"""Parts of a table by foreign keys alone: more tables refer to a tenant or a user."""
_SHORTEST_STEM = 3


@dataclass(frozen=True, slots=True)
class Family:
    """Tables that belong together.

    Attributes:
        name: What they are called.
        by_name: Whether the names of all begin with the same word.
    """

    name: str
    tables: tuple[CatalogTable, ...]
    by_name: bool


def words_of(name: str) -> list[str]:
    """Return the words of a name, in the singular and in lower case.

    >>> words_of("order_items"), words_of("OrderItems"), words_of("categories")
    (['order', 'item'], ['order', 'item'], ['category'])
    """
    return [_singular(word.casefold()) for word in _WORD.findall(name)] or [name.casefold()]


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > _SHORTEST_STEM + 1:
        return f"{word[:-3]}y"
    is_plural = word.endswith("s") and not word.endswith(("ss", "us", "is"))
    return word[:-1] if is_plural and len(word) > _SHORTEST_STEM else word


def families(tables: Sequence[CatalogTable]) -> list[Family]:
    """Return tables that belong together, each with the parts that foreign keys give to it.

    Names that begin with the same word belong together, after the words that all names begin with.
    A table that stands alone belongs to the table that it refers to, if its name begins with that
    table's, if the reference is part of its primary key, or if deleting a row deletes those that
    refer to it.
    """
    words = _without_common({_key(table): words_of(table.relname) for table in tables})
    by_word: dict[str, list[CatalogTable]] = defaultdict(list)
    for table in tables:
        by_word[words[_key(table)][0]].append(table)
    common = {word for word, group in by_word.items() if len(group) > 1}
    alone = [table for table in tables if words[_key(table)][0] not in common]
    group_of = {_key(table): word for word, group in by_word.items() for table in group}
    for child, parent in _parts(tables, alone):
        source, target = group_of[child], group_of.get(parent)
        if target is not None and target != source:
            moved = by_word.pop(source)
            by_word[target] += moved
            group_of |= {_key(table): target for table in moved}
    return [_family(word, group, words) for word, group in by_word.items()]


def _family(
    word: str, group: Sequence[CatalogTable], words: dict[tuple[str, str], list[str]]
) -> Family:
    """Return a group under the name of the table that has its word alone, or of the word."""
    head = next((table.relname for table in group if words[_key(table)] == [word]), None)
    if head is None:
        head = group[0].relname if len(group) == 1 else word
    by_name = all(words[_key(table)][0] == word for table in group)
    return Family(head, tuple(group), by_name)


def _key(table: CatalogTable) -> tuple[str, str]:
    return table.schemaname, table.relname


def _without_common(words: dict[tuple[str, str], list[str]]) -> dict[tuple[str, str], list[str]]:
    """Return the words of names without those at the beginning that all have."""
    while len(words) > 1 and all(len(each) > 1 for each in words.values()):
        if len({each[0] for each in words.values()}) > 1:
            break
        words = {key: each[1:] for key, each in words.items()}
    return words


def _parts(
    tables: Sequence[CatalogTable], alone: Sequence[CatalogTable]
) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    """Yield tables that stand alone, each with the table that it belongs to."""
    referred = {_target(each) for table in tables for each in table.foreign_keys}
    by_name = {_key(table): _named_after(table) for table in alone}
    kept = {
        _key(table): _kept_by(table)
        for table in alone
        if by_name[_key(table)] is None and _key(table) not in referred
    }
    parts = Counter(kept.values())
    for child, parent in (by_name | kept).items():
        is_hub = child in kept and parts[parent] > _MOST_PARTS
        if parent is not None and parent != child and not is_hub:
            yield child, parent


def _target(foreign_key: ForeignKey) -> tuple[str, str]:
    return foreign_key.schemaname, foreign_key.relname


def _named_after(table: CatalogTable) -> tuple[str, str] | None:
    """Return the table that a table refers to, if its name begins with that table's."""
    own = "".join(words_of(table.relname))
    for each in table.foreign_keys:
        stem = "".join(words_of(each.relname))
        if own != stem and own.startswith(stem) and len(stem) >= _SHORTEST_STEM:
            return _target(each)
    return None


def _kept_by(table: CatalogTable) -> tuple[str, str] | None:
    """Return the table that keeps the rows of a table: by its key, or by ON DELETE CASCADE."""
    for each in table.foreign_keys:
        if set(each.columns) <= set(table.keys):
            return _target(each)
    return next((_target(each) for each in table.foreign_keys if each.cascades), None)
