"""Access to a statement's tokens for features: the columns of clauses, and their origin."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from pgiostat.queries.features.model import Names
from pgiostat.queries.fingerprint import Block, Outline, TableReference, TokenKind
from pgiostat.queries.fingerprint.words import words

__all__ = [
    "PACKERS",
    "QUALIFIERS",
    "REDUCERS",
    "WORDS",
    "ColumnReference",
    "Draft",
    "Walk",
    "is_created",
    "plain",
    "reads_nothing",
]

MAX_TOKENS = 20_000
"""Tokens of a statement that are read: the head of a longer one is enough."""

MAX_ROW = 64
"""Tokens of a row (a, b) IN … that are searched for its start."""

MAX_DERIVED = 64
"""Derived tables of a block that are searched for the column behind a name."""

REDUCERS = words(
    """any_value avg bit_and bit_or bit_xor bool_and bool_or count every max min percentile_cont
    percentile_disc stddev stddev_pop stddev_samp sum var_pop var_samp variance"""
)
"""Aggregates that keep one value of all rows."""
PACKERS = words(
    """array_agg json_agg json_arrayagg json_object_agg json_objectagg jsonb_agg jsonb_object_agg
    range_agg string_agg xmlagg"""
)
"""Aggregates that keep something of each row."""
WORDS = (TokenKind.NAME, TokenKind.ALIAS)  # a tuple: an enum is hashed in Python
_GRAMMAR = {
    ("at", "time"),
    ("time", "zone"),
    ("nulls", "first"),
    ("nulls", "last"),
    ("partition", "by"),
    ("current", "row"),
    ("unbounded", "preceding"),
    ("unbounded", "following"),
    ("within", "group"),
    ("grouping", "sets"),
    ("on", "conflict"),
    ("do", "nothing"),
    ("current", "of"),
}
"""Pairs of words of the grammar, which are no columns."""
_AFTER_STAR: tuple[list[str], ...] = ([], [","], ["from"], [")"], ["where"], [";"])
# Of these no clause is part of what a block computes.
QUALIFIERS = frozenset({"filter", "over"})


@dataclass(slots=True)
class ColumnReference:
    """A column as a text names it."""

    name: str
    qualifier: str


@dataclass(slots=True)
class Draft:
    """The features of a block while they are collected."""

    block: Block
    clauses: dict[str, list[int]] = field(default_factory=dict)
    sets: dict[str, set[str]] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)  # column alias: its first column
    only: str = ""  # the column of the only item of the select list
    order_by: list[str] = field(default_factory=list)
    order_dir: str = ""
    limit: bool = False
    star: bool = False

    def add(self, feature: str, name: str) -> None:
        """Add a name to one of the features that are names."""
        self.sets.setdefault(feature, set()).add(name)

    def get(self, feature: str) -> Names:
        """Return the names of a feature."""
        return frozenset(self.sets.get(feature, ()))


def plain(text: str) -> str:
    """Return an identifier without its quotes."""
    return text[1:-1].replace('""', '"') if text.startswith('"') else text


def reads_nothing(block: Block) -> bool:
    """Return whether a block reads no table of the database."""
    return all(table.function for table in block.tables)


def is_created(block: Block, table: TableReference) -> bool:
    """Return whether a query creates a table: SELECT INTO."""
    return block.verb == "select" and table.clause == "into"


def _own_names(block: Block) -> set[str]:
    """Return the names of the tables of a block that have no alias."""
    return {plain(table.parts[-1]) for table in block.tables if table.parts and not table.alias}


class Walk:
    """The tokens of one statement, with the features of its blocks that are collected already."""

    def __init__(self, found: Outline) -> None:
        self.kinds = found.kinds
        self.texts = found.texts
        self.found = found
        self.drafts = {id(block): Draft(block) for block in found.blocks}
        self.starts = {block.start: block for block in found.blocks}
        self.words = frozenset(found.texts)
        self.ctes = self._find_ctes()
        self._derived: dict[int, list[Draft]] = {}
        for start, block in self.starts.items():
            self.drafts[id(block)].star = self.texts[start] == "table"
        places = found.places[:MAX_TOKENS]
        for position, place in enumerate(places):
            if place.block is not None:
                clauses = self.drafts[id(place.block)].clauses
                clauses.setdefault(place.clause, []).append(position)

    def _find_ctes(self) -> dict[str, Block | None]:
        """Return the names of common table expressions, with the first block of each."""
        texts = self.texts
        ctes: dict[str, Block | None] = {}
        if "with" not in texts:
            return ctes
        for position, text in enumerate(texts):
            if text != "as":
                continue
            after = position + 1
            while after < len(texts) and texts[after] in {"not", "materialized"}:
                after += 1
            if texts[after : after + 1] != ["("] or after + 1 >= len(texts):
                continue
            name = position - 1
            if texts[name] == ")":
                name = self.opening(name) - 1
            if name >= 0 and self.kinds[name] is TokenKind.NAME:
                ctes[plain(texts[name])] = self.starts.get(after + 1)
        return ctes

    def opening(self, position: int) -> int:
        """Return where the parentheses that close here open; the same position if out of reach."""
        depth = 0
        for start in range(position, max(position - MAX_ROW, -1), -1):
            if self.texts[start] == ")":
                depth += 1
            elif self.texts[start] == "(":
                depth -= 1
                if not depth:
                    return start
        return position

    def table_name(self, table: TableReference) -> str:
        """Return schema.table; empty for anything but a table of the database."""
        parts = [plain(part) for part in table.parts]
        if table.function or not parts or (len(parts) == 1 and parts[0] in self.ctes):
            return ""
        return ".".join(parts)

    def query(self, table: TableReference) -> Draft | None:
        """Return the first block of a derived table or common table expression."""
        cte = self.ctes.get(plain(table.parts[0])) if len(table.parts) == 1 else None
        return self.drafts.get(id(table.query or cte))

    def original(self, draft: Draft, name: str) -> str:
        """Return the column behind a name that a subquery gave it."""
        derived = self._derived.get(id(draft.block))
        if derived is None:
            found = filter(None, map(self.query, draft.block.tables))
            derived = self._derived[id(draft.block)] = list(islice(found, MAX_DERIVED))
        for inner in derived:
            if name in inner.outputs:
                return inner.outputs[name]
        return name

    def references(
        self,
        draft: Draft,
        positions: list[int],
    ) -> Iterator[tuple[ColumnReference, list[str], int]]:
        """Yield columns with their enclosing functions and positions; note calls and whole rows."""
        texts, kinds = self.texts, self.kinds
        stack: list[str] = []
        called = ""
        type_end = -2
        for position in positions:
            text = texts[position]
            if text == "(":
                stack.append(called)
                called = ""
            elif text == ")":
                del stack[-1:]
            elif text == "*":
                self._star(draft, position, stack)
            elif kinds[position] in WORDS:
                before = texts[position - 1] if position else ""
                after = texts[position + 1] if position + 1 < len(texts) else ""
                if before == "::" or type_end == position - 1:
                    type_end = position
                elif after == "(":
                    called = self._call(draft, position)
                elif self._is_column(draft, position, stack):
                    qualifier = texts[position - 2] if before == "." else ""
                    name = self.original(draft, plain(text))
                    yield ColumnReference(name, qualifier), stack, position

    def _call(self, draft: Draft, position: int) -> str:
        name = plain(self.texts[position])
        if name not in QUALIFIERS and (self.texts[position - 1], name) not in _GRAMMAR:
            schema = plain(self.texts[position - 2]) if self.texts[position - 1] == "." else ""
            draft.add("calls", f"{schema}.{name}" if schema else name)
            if self.found.places[position].clause == "select":
                draft.add("projects_calls", name)
        return name

    def _is_column(self, draft: Draft, position: int, stack: list[str]) -> bool:
        text = self.texts[position]
        before = self.texts[position - 1] if position else ""
        after = self.texts[position + 1] if position + 1 < len(self.texts) else ""
        is_field = after == "from" and stack[-1:] == ["extract"]  # EXTRACT(epoch FROM a)
        if is_field or (before, text) in _GRAMMAR or (text, after) in _GRAMMAR:
            return False
        if after == "." or before == "as" or position in self.found.column_aliases:
            return False
        if after and self.kinds[position + 1] is TokenKind.PARAMETER:  # date '2026-01-01'
            return False
        composite = before == "(" and self.texts[position + 1 : position + 3] == [")", "."]
        if before != "." and after in {"::", ")"} and plain(text) in _own_names(draft.block):
            self._whole_row(draft, stack)  # a table without an alias, as in md5(parcel::text)
        if before == "." or text not in draft.block.labels:
            return not composite
        # The alias of a function is its column too; that of a table is a whole row, unless
        # it is (row).column.
        if any(table.function and table.alias == text for table in draft.block.tables):
            return True
        if self.found.places[position].clause == "select" and not composite:
            draft.star = True
            self._whole_row(draft, stack)
        return False

    def _whole_row(self, draft: Draft, stack: list[str]) -> None:
        """Note the functions around a whole row."""
        for function in filter(None, stack):
            draft.add("row_calls", function)

    def _star(self, draft: Draft, position: int, stack: list[str]) -> None:
        before = self.texts[position - 1]
        if before == ".":
            self._whole_row(draft, stack)
        if before == ")" and self.texts[position + 1 : position + 2] not in _AFTER_STAR:
            return  # max(version) * 1000
        if before in {".", "select", ",", "distinct", "all", ")"} and not (
            REDUCERS.intersection(stack) or self.found.places[position].clause != "select"
        ):
            draft.star = True
