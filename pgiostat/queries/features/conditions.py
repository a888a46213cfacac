"""Search conditions of a block: columns compared with constants, lists and each other."""

from pgiostat.queries.features.walk import WORDS, ColumnReference, Draft, Walk, plain, reads_nothing
from pgiostat.queries.fingerprint import TableReference, TokenKind

__all__ = ["COMPARISONS", "column_after", "column_before", "note_conditions"]

COMPARISONS = frozenset({"<", ">", "<=", ">="})


def note_conditions(walk: Walk, draft: Draft, positions: list[int]) -> None:
    """Note the columns that a clause compares."""
    texts = walk.texts
    for position in positions:
        text = texts[position]
        if text in COMPARISONS or text in {"=", "<>"}:
            _comparison(walk, draft, position)
        elif text in {"between", "<@"}:
            start = position - (texts[position - 1] == "not")
            for column in column_before(walk, draft, start)[0]:
                draft.add("where_range", column.name)
        elif text in {"in", "using"} and texts[position + 1 : position + 2] == ["("]:
            if text == "in":
                _in(walk, draft, position)
            elif any(_is_list(walk, table) for table in draft.block.tables):
                for column, _, _ in walk.references(draft, positions):
                    draft.add("where_in", column.name)


def _comparison(walk: Walk, draft: Draft, position: int) -> None:
    text = walk.texts[position]
    after = walk.texts[position + 1] if position + 1 < len(walk.texts) else ""
    if text in COMPARISONS:
        if after == "all":
            for column in column_before(walk, draft, position)[0]:
                draft.add("newest", column.name)
        else:
            _range(walk, draft, position)
    elif text == "<>":
        if after == "all":
            _listed(walk, draft, position, "where_in_negated")
    elif after in {"any", "some"}:
        _listed(walk, draft, position, "where_in")
    else:
        _equal(walk, draft, position)


def _in(walk: Walk, draft: Draft, position: int) -> None:
    negated = walk.texts[position - 1] == "not"
    feature = "where_in_negated" if negated else "where_in"
    _listed(walk, draft, position - negated, feature)


def _listed(walk: Walk, draft: Draft, position: int, feature: str) -> None:
    query = next(
        (walk.starts[at] for at in range(position, position + 5) if at in walk.starts), None
    )
    if query is not None and not reads_nothing(query):
        return  # IN (SELECT … FROM …): no list of the client's
    columns, start = column_before(walk, draft, position)
    if walk.texts[max(start - 1, 0)] == "not" or walk.texts[max(start - 2, 0) : start] == [
        "not",
        "(",
    ]:
        feature = "where_in_negated"
    for column in columns:
        draft.add(feature, column.name)


def _equal(walk: Walk, draft: Draft, position: int) -> None:
    left = column_before(walk, draft, position)[0]
    right = column_after(walk, position)
    for columns, others in ((left, right), (right, left)):
        for column in columns:
            if not others:
                draft.add("where_eq", column.name)
            elif any(_is_listed(walk, draft, other) for other in others):
                searching = _searching(walk, draft, column)
                searching.add("where_in", column.name)


def _range(walk: Walk, draft: Draft, position: int) -> None:
    left = column_before(walk, draft, position)[0]
    right = column_after(walk, position)
    for column in left + right:
        if not (left and right):
            draft.add("where_range", column.name)
    listed = any(_is_listed(walk, draft, column) for column in left + right)
    if left and right and left[0].name == right[0].name and not listed:
        draft.add("compared", left[0].name)


def column_before(walk: Walk, draft: Draft, position: int) -> tuple[list[ColumnReference], int]:
    """Return the columns of a column or row that ends before a position, and its start."""
    texts, kinds = walk.texts, walk.kinds
    end = position - 1
    while end > 1 and texts[end - 1] == "::":
        end -= 2
    if end < 0:
        return [], position
    if texts[end] == ")":
        start = walk.opening(end)
        if start and (kinds[start - 1] in WORDS or start == end):
            return [], start
        found = walk.references(draft, list(range(start + 1, end)))
        return [column for column, stack, _ in found if not stack], start
    if kinds[end] not in WORDS or end in walk.found.column_aliases:
        return [], end
    start = end
    while start > 1 and texts[start - 1] == "." and kinds[start - 2] in WORDS:
        start -= 2
    qualifier = texts[end - 2] if start < end else ""
    return [ColumnReference(plain(texts[end]), qualifier)], start


def column_after(walk: Walk, position: int) -> list[ColumnReference]:
    """Return the column that starts after a position, if it is one."""
    texts, kinds = walk.texts, walk.kinds
    end = position + 1
    while end + 2 < len(texts) and kinds[end] in WORDS and texts[end + 1] == ".":
        end += 2
    if end >= len(texts) or kinds[end] not in WORDS:
        return []
    after = texts[end + 1] if end + 1 < len(texts) else ""
    if after == "(" or (after and kinds[end + 1] is TokenKind.PARAMETER):
        return []
    qualifier = texts[end - 2] if end > position + 1 else ""
    return [ColumnReference(plain(texts[end]), qualifier)]


def _is_listed(walk: Walk, draft: Draft, column: ColumnReference) -> bool:
    """Return whether a column belongs to a list that the client sent."""
    qualifier = column.qualifier or column.name
    return any(
        qualifier in {table.alias, *table.parts[-1:]} and _is_list(walk, table)
        for table in draft.block.tables
    )


def _searching(walk: Walk, draft: Draft, column: ColumnReference) -> Draft:
    """Return the block that searches a list for its rows: EXISTS (SELECT 1 FROM list WHERE …)."""
    block = draft.block
    own = {name for table in block.tables for name in (table.alias, *table.parts[-1:])}
    outer = walk.drafts.get(id(block.parent))
    if outer is None or column.qualifier in own:
        return draft
    return outer if all(_is_list(walk, table) for table in block.tables) else draft


def _is_list(walk: Walk, table: TableReference) -> bool:
    """Return whether a table is unnest($1), VALUES, or a subquery of those."""
    query = walk.query(table)
    return table.function or (query is not None and reads_nothing(query.block))
