"""Select list of a block: columns, aggregates of them, and the columns behind aliases."""

from pgiostat.queries.features.walk import PACKERS, REDUCERS, WORDS, Draft, Walk, plain

__all__ = ["note_outputs", "note_selected", "note_window"]


def note_selected(walk: Walk, draft: Draft, positions: list[int]) -> None:
    """Note what the items of a select list show."""
    positions = _distinct_on(walk, draft, positions)
    items: list[list[int]] = [[]]
    depth = 0
    for position in positions:
        text = walk.texts[position]
        depth += (text in {"(", "["}) - (text in {")", "]"})
        if text == "," and depth <= 0:
            items.append([])
        else:
            items[-1].append(position)
    for item in items:
        first = _item(walk, draft, item)
        if len(items) == 1:
            draft.only = first


def note_outputs(walk: Walk, draft: Draft) -> None:
    """Note the column behind each alias of the select list: the first one of its item."""
    first = ""
    for position in draft.clauses.get("select", []):
        text = walk.texts[position]
        if text == "," and walk.found.places[position].block is draft.block:
            first = ""
        if walk.kinds[position] not in WORDS:
            continue
        after = walk.texts[position + 1 : position + 2]
        if position in walk.found.column_aliases:
            if first:
                draft.outputs[plain(text)] = walk.original(draft, first)
            first = ""
        elif not first and after not in (["("], ["."]):
            first = plain(text)


def _distinct_on(walk: Walk, draft: Draft, positions: list[int]) -> list[int]:
    texts = walk.texts
    if [texts[position] for position in positions[1:4]] != ["distinct", "on", "("]:
        return positions
    depth = 0
    for index, position in enumerate(positions):
        text = texts[position]
        depth += (text == "(") - (text == ")")
        if text == ")" and not depth:
            for column, _, _ in walk.references(draft, positions[4:index]):
                draft.add("distinct_on", column.name)
            return positions[index + 1 :]
    return positions


def _item(walk: Walk, draft: Draft, positions: list[int]) -> str:
    """Note what an item of the select list shows; return its first column."""
    first = ""
    last = ""
    for column, stack, position in walk.references(draft, positions):
        draft.add("mentions", column.name)
        aggregates = [name for name in stack if name in REDUCERS or name in PACKERS]
        last = column.name
        if "filter" in stack:
            continue
        if "over" in stack:
            note_window(walk, draft, column.name, position)
            continue
        for name in aggregates:
            draft.add("aggregate_columns", column.name)
            draft.add("aggregates", name)
            if name == "max" or _is_first_of_array(walk, name, position):
                draft.add("newest", column.name)
        if "last_value" in stack:
            draft.add("last", column.name)
        if not REDUCERS.intersection(aggregates):
            draft.add("projects", column.name)
        first = first or column.name
    for name in draft.get("calls"):
        if name in REDUCERS or name in PACKERS:
            draft.add("aggregates", name)
    return first or last


def _is_first_of_array(walk: Walk, aggregate: str, position: int) -> bool:
    """Return whether the last column of (array_agg(a ORDER BY a DESC))[1] is at a position."""
    after = walk.texts[position + 1 : position + 5]
    return aggregate == "array_agg" and after == ["desc", ")", ")", "["]


def note_window(walk: Walk, draft: Draft, column: str, position: int) -> None:
    """Note a column that a window is ordered by."""
    down = walk.texts[position + 1 : position + 2] == ["desc"]
    draft.add("windowed" if down else "windowed_up", column)
