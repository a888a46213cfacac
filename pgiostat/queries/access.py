"""How a statement accesses its tables, by its text: what an index would have to serve."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial

from pgiostat.analysis.why.access import TableAccess
from pgiostat.queries.features.conditions import COMPARISONS, column_after, column_before
from pgiostat.queries.features.select_list import note_outputs
from pgiostat.queries.features.walk import (
    PACKERS,
    REDUCERS,
    WORDS,
    ColumnReference,
    Draft,
    Walk,
    plain,
)
from pgiostat.queries.fingerprint import Block, TableReference, TokenKind, outline
from pgiostat.queries.tables import LONGEST_TEXT

__all__ = ["accesses"]

Columns = Mapping[str, Collection[str]]
_CONDITIONS = ("where", "on")
_EXTREMES = {"max", "min"}


@dataclass(slots=True, eq=False)
class _Table:
    """A table of a block while its access is collected."""

    name: str
    label: str
    columns: Collection[str] | None
    sets: dict[str, set[str]] = field(default_factory=dict)
    order_by: list[str] = field(default_factory=list)
    is_whole: bool = False
    extreme: str = ""

    def add(self, feature: str, column: str) -> None:
        self.sets.setdefault(feature, set()).add(column)

    def get(self, feature: str) -> frozenset[str]:
        return frozenset(self.sets.get(feature, ()))


def accesses(text: str, columns: Columns | None = None) -> tuple[TableAccess, ...]:
    """Return how a statement accesses tables, once for each block and table in its text.

    A column without a qualifier, in a block of several tables, belongs to the only one that has
    it; without `columns` it belongs to none.

    Args:
        text: The normalized text.
        columns: The columns of tables, by their names in the text.

    >>> (found,) = accesses("select max(row_version) from t where client = ?")
    >>> sorted(found.equal), found.extreme, sorted(found.mentioned or ())
    (['client'], 'row_version', ['client', 'row_version'])
    >>> a, b = accesses("select * from a join b as @1 on @1.x = a.y where a.z > ? order by @1.x")
    >>> sorted(a.joined), sorted(a.ranges), b.order_by
    (['y'], ['z'], ('x',))
    """
    walk = Walk(outline(text[:LONGEST_TEXT], bare_operators=True))
    scopes = {id(block): _tables(walk, block, columns or {}) for block in walk.found.blocks}
    for block in walk.found.blocks:
        note_outputs(walk, walk.drafts[id(block)])
    for block in walk.found.blocks:
        _Block(walk, walk.drafts[id(block)], scopes).collect()
    return tuple(
        _access(walk, walk.drafts[id(block)], table)
        for block in walk.found.blocks
        for table in scopes[id(block)]
    )


def _tables(walk: Walk, block: Block, columns: Columns) -> list[_Table]:
    return [
        _Table(
            name,
            plain(each.alias or each.parts[-1]),
            columns.get(name),
        )
        for each in block.tables
        if (name := walk.table_name(each)) and not _is_inserted(each, block)
    ]


def _is_inserted(table: TableReference, block: Block) -> bool:
    return block.verb == "insert" and table.clause == "into"


@dataclass(slots=True)
class _Block:
    """Collects the accesses of one block."""

    walk: Walk
    draft: Draft
    scopes: Mapping[int, list[_Table]]

    def collect(self) -> None:
        """Note what the block does with columns of its tables and of the blocks around it."""
        for clause in _CONDITIONS:
            for position in self.draft.clauses.get(clause, []):
                self._condition(position)
        for clause, positions in self.draft.clauses.items():
            if clause in {"select", "where", "on", "order", "group", "having", "set"}:
                for column, _, _ in self.walk.references(self.draft, positions):
                    table = self._table(column)
                    if table is not None:
                        table.add("mentioned", column.name)
                    elif not self._is_known(column):
                        for each in self.scopes[id(self.draft.block)]:
                            each.is_whole = True  # it may be one of its columns
        self._ordered()
        self._selected()
        self._assigned()

    def _table(self, column: ColumnReference) -> _Table | None:
        """Return the table of a column, in this block or one around it; None if it is unclear."""
        block: Block | None = self.draft.block
        while block is not None:
            tables = self.scopes[id(block)]
            if column.qualifier:
                found = [each for each in tables if each.label == plain(column.qualifier)]
            elif len(block.tables) == 1:
                only = tables[0] if tables else None
                return only if only is None or _may_have(only, column.name) else None
            else:
                found = [each for each in tables if column.name in (each.columns or ())]
            if len(found) == 1:
                return found[0]
            block = block.parent
        return None

    def _is_known(self, column: ColumnReference) -> bool:
        """Return whether a column is that of a subquery, or was found by USING."""
        tables = self.scopes[id(self.draft.block)]
        named = any(column.name in each.get("joined") for each in tables)
        return named or column.name in self.draft.outputs.values()

    def _condition(self, position: int) -> None:
        text = self.walk.texts[position]
        after = self.walk.texts[position + 1 : position + 2]
        before = partial(column_before, self.walk, self.draft)
        if text in COMPARISONS or text == "=":
            if after and after[0] in {"any", "some"}:
                self._add("listed", before(position)[0])
                return
            left, right = before(position)[0], column_after(self.walk, position)
            if text == "=":
                self._equal(left, right, position)
            elif not (left and right):
                self._add("ranges", left + right)
        elif text == "between":
            if self.walk.texts[position - 1] != "not":
                self._add("ranges", before(position)[0])
        elif text == "in" and after == ["("] and self.walk.texts[position - 1] != "not":
            is_query = position + 2 in self.walk.starts
            self._add("joined" if is_query else "listed", before(position)[0])
        elif text == "using" and after == ["("]:
            self._using(position)

    def _add(self, feature: str, columns: list[ColumnReference]) -> None:
        for column in columns:
            table = self._table(column)
            # A column of a block around this one is a value for each of its rows.
            if table is not None and table in self.scopes[id(self.draft.block)]:
                table.add(feature, column.name)

    def _equal(
        self, left: list[ColumnReference], right: list[ColumnReference], position: int
    ) -> None:
        if left and right:
            mine, other = self._table(left[0]), self._table(right[0])
            if mine is not None and mine is other:
                return  # a = b of one row: no index serves it
            self._add("joined", left + right)
        elif left:
            is_query = self._opens_query(position)
            self._add("joined" if is_query else "equal", left)
        else:
            is_value = self.walk.kinds[position - 1] is TokenKind.PARAMETER
            is_value |= self.walk.texts[position - 1] == "?"
            self._add("equal" if is_value else "joined", right)

    def _opens_query(self, position: int) -> bool:
        """Return whether a comparison is with a subquery that reads a table."""
        block = self.walk.starts.get(position + 2)
        return block is not None and bool(block.tables)

    def _using(self, position: int) -> None:
        texts = self.walk.texts
        end = texts.index(")", position)
        for name in texts[position + 2 : end]:
            if name != ",":
                for table in self.scopes[id(self.draft.block)]:
                    if _may_have(table, plain(name)):
                        table.add("joined", plain(name))
                        table.add("mentioned", plain(name))

    def _ordered(self) -> None:
        found = [
            (self._table(column), self.draft.outputs.get(column.name, column.name))
            for column, _, _ in self.walk.references(
                self.draft, self.draft.clauses.get("order", [])
            )
            if column.name not in {"asc", "desc", "first", "last", "nulls"}
        ]
        tables = {id(table): table for table, _ in found}
        table = found[0][0] if len(tables) == 1 else None
        if table is not None:
            table.order_by = [name for _, name in found]

    def _assigned(self) -> None:
        """Note the columns that SET assigns, alone or in a list."""
        walk = self.walk
        depth, is_target = 0, False
        for position in self.draft.clauses.get("set", []):
            text = walk.texts[position]
            depth += (text == "(") - (text == ")")
            if text == "=":
                is_target = False
            elif text == "set" or (text == "," and not depth):
                is_target = True
            elif is_target and walk.kinds[position] in WORDS:
                for table in self.scopes[id(self.draft.block)][:1]:
                    table.add("assigned", plain(text))

    def _selected(self) -> None:
        positions = self.draft.clauses.get("select", [])
        texts = [self.walk.texts[position] for position in positions]
        tables = self.scopes[id(self.draft.block)]
        for place, text in enumerate(texts):
            if text == "*" and texts[place - 1] in {"select", ",", "distinct", "all"}:
                for table in tables:
                    table.is_whole = True
            elif text == "*" and texts[place - 1] == ".":
                for table in tables:
                    table.is_whole |= table.label == plain(texts[place - 2])
        if len(texts) > 1 and texts[1] in _EXTREMES and texts.count("(") == 1:
            items = list(self.walk.references(self.draft, positions))
            simple = len(items) == 1 and "," not in texts and not self.draft.clauses.get("group")
            of = self._table(items[0][0]) if simple else None
            if of is not None:
                of.extreme = items[0][0].name


def _may_have(table: _Table, column: str) -> bool:
    return table.columns is None or column in table.columns


def _access(walk: Walk, draft: Draft, table: _Table) -> TableAccess:
    clauses = draft.clauses
    order = [walk.texts[position] for position in clauses.get("order", [])]
    item = order[2 : order.index(",") if "," in order else None]
    conditions = [walk.texts[p] for clause in _CONDITIONS for p in clauses.get(clause, [])]
    is_returned = draft.block.verb in {"update", "delete", "merge"} or table.is_whole
    return TableAccess(
        table=table.name,
        equal=table.get("equal"),
        listed=table.get("listed"),
        ranges=table.get("ranges"),
        joined=table.get("joined"),
        order_by=tuple(table.order_by),
        descending=bool(table.order_by) and "desc" in item,
        limit="limit" in clauses or "fetch" in clauses,
        extreme=table.extreme,
        mentioned=None if is_returned else table.get("mentioned"),
        is_reduced=_is_reduced(walk, draft),
        has_or="or" in conditions,
        assigned=table.get("assigned"),
        writes=draft.block.verb in {"update", "delete", "merge"},
    )


def _is_reduced(walk: Walk, draft: Draft) -> bool:
    """Return whether a block returns fewer rows than it finds."""
    selected = {walk.texts[position] for position in draft.clauses.get("select", [])}
    return "group" in draft.clauses or bool(selected & (REDUCERS | PACKERS | {"distinct"}))
