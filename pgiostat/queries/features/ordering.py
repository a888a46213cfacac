"""Order of a block's rows, and columns of which it takes the highest value."""

from pgiostat.queries.features.select_list import note_window
from pgiostat.queries.features.walk import Draft, Walk

__all__ = ["note_newest", "note_order"]

RANKINGS = frozenset({"dense_rank", "first_value", "rank", "row_number"})


def note_order(walk: Walk, draft: Draft) -> None:
    """Note what rows are grouped and ordered by."""
    groups = draft.clauses.get("group", [])
    for column, _, _ in walk.references(draft, groups):
        draft.add("group_by", column.name)
    if any(_is_ordinal(walk.texts[position]) for position in groups):
        for name in draft.get("projects"):
            draft.add("group_by", name)
    for column, _, position in walk.references(draft, draft.clauses.get("window", [])):
        note_window(walk, draft, column.name, position)
    positions = draft.clauses.get("order", [])
    for column, _, _ in walk.references(draft, positions):
        if column.name not in {"first", "last", "nulls"}:
            draft.order_by.append(draft.outputs.get(column.name, column.name))
    words = [walk.texts[position] for position in positions]
    if draft.only and any(map(_is_ordinal, words[2:3])):
        draft.order_by.insert(0, draft.only)
    if words:
        item = words[2 : words.index(",") if "," in words else None]
        draft.order_dir = "desc" if "desc" in item or ">" in item else "asc"


def _is_ordinal(text: str) -> bool:
    """Return whether a token may be a place in the select list; older histories have a ?."""
    return text == "?" or text.isdecimal()


def note_newest(walk: Walk, draft: Draft) -> None:
    """Note the columns of which the highest value is taken, by other means than max()."""
    positions = draft.clauses.get("order", [])
    descending = [
        column.name
        for column, _, position in walk.references(draft, positions)
        if walk.texts[position + 1 : position + 2] == ["desc"]
    ]
    by = [draft.outputs.get(name, name) for name in descending]
    distinct_on = draft.get("distinct_on")
    draft.limit = "limit" in draft.clauses or "fetch" in draft.clauses
    if draft.limit and draft.order_dir == "desc" and draft.order_by:
        draft.add("newest", draft.order_by[0])
    for name in by if distinct_on else ():
        if name not in distinct_on:
            draft.add("newest", name)
            break
    if RANKINGS & draft.get("calls"):
        for name in draft.get("windowed"):
            draft.add("newest", name)
    for name in draft.get("windowed_up") & draft.get("last"):
        draft.add("newest", name)
    start = draft.block.start
    excluded = walk.texts[max(start - 3, 0) : start] == ["not", "exists", "("]
    taker = walk.drafts.get(id(draft.block.parent)) if excluded else draft
    if taker is not None and (excluded or walk.words >= _ANTI_JOIN):
        for name in draft.get("compared"):
            taker.add("newest", name)


# SELECT … LEFT JOIN newer ON newer.version > version … WHERE newer.id IS NULL
_ANTI_JOIN = frozenset({"left", "is", "null"})
