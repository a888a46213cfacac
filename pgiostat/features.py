"""What a statement does: the features that rules look at, taken from its tokens.

They are collected per query block, because what makes a query what it is (the maximum of a
version, keys with their versions over a range) happens within one block. A statement's own
features are what all its blocks read, write and call. Constants play no part.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from urllib.parse import unquote

from pgiostat.fingerprint import (
    Block,
    Kind,
    Normalized,
    Outline,
    Table,
    comments,
    lex,
    normalize,
    outline,
)

__all__ = ["BlockFeatures", "Features", "extract"]

MAX_TOKENS = 20_000
"""Of a longer statement only so many tokens are looked at: its head tells what it does."""

MAX_TAG = 200
MAX_ROW = 64
"""So many tokens back the start of a row (a, b) IN … is looked for."""

Names = frozenset[str]
NONE: Names = frozenset()


@dataclass(frozen=True, slots=True)
class BlockFeatures:
    """What one query block does; columns by their names without table.

    projects: columns of the select list, also within functions and aggregates that keep every
    row (json_agg), not within those that keep one (max).  star: whole rows are selected.
    newest: columns whose highest value the block takes, by whatever means: max(), ORDER BY …
    DESC LIMIT, row_number(), NOT EXISTS a newer one.  pinned: compared with = to a constant.
    """

    verb: str = ""
    reads: Names = NONE
    aggregates: Names = NONE
    aggregate_columns: Names = NONE
    calls: Names = NONE
    projects: Names = NONE
    star: bool = False
    mentions: Names = NONE
    order_by: tuple[str, ...] = ()
    order_dir: str = ""
    limit: bool = False
    group_by: Names = NONE
    distinct_on: Names = NONE
    where_eq: Names = NONE
    where_range: Names = NONE
    where_in: Names = NONE
    where_in_negated: Names = NONE
    newest: Names = NONE

    @property
    def varies(self) -> Names:
        """Projected columns that = does not hold to one value."""
        return self.projects - self.where_eq

    @property
    def carries(self) -> Names:
        """Projected columns that the block neither walks along nor searches by."""
        walked = {*self.order_by} | self.where_eq | self.where_range | self.where_in
        return self.projects - walked - self.group_by - self.distinct_on


@dataclass(frozen=True, slots=True)
class Features:
    """What a statement does.

    statement: its first word, seen through WITH, EXPLAIN and PREPARE; declare, copy_to and
    copy_from are their own.  wrapper: explain, explain_analyze, prepare, declare, copy or empty.
    reads, writes: tables, as schema.table if the text says so.  tags: comments, and their
    key=value pairs by sqlcommenter's convention.
    """

    statement: str = ""
    wrapper: str = ""
    reads: Names = NONE
    writes: Names = NONE
    calls: Names = NONE
    cursor: str = ""
    tags: Names = NONE
    on_conflict: str = ""
    returning: bool = False
    truncated: bool = False
    blocks: tuple[BlockFeatures, ...] = ()


# What an aggregate keeps: one value of all rows, or something of each.
REDUCERS = frozenset(
    {
        "any_value", "avg", "bit_and", "bit_or", "bit_xor", "bool_and", "bool_or", "count",
        "every", "max", "min", "percentile_cont", "percentile_disc", "stddev", "stddev_pop",
        "stddev_samp", "sum", "var_pop", "var_samp", "variance",
    },
)  # fmt: skip
PACKERS = frozenset(
    {
        "array_agg", "json_agg", "json_arrayagg", "json_object_agg", "json_objectagg",
        "jsonb_agg", "jsonb_object_agg", "range_agg", "string_agg", "xmlagg",
    },
)  # fmt: skip
RANKINGS = frozenset({"dense_rank", "first_value", "rank", "row_number"})
COMPARISONS = frozenset({"<", ">", "<=", ">="})
WORDS = frozenset({Kind.NAME, Kind.ALIAS})
# Of these no clause is part of what a block computes.
QUALIFIERS = frozenset({"filter", "over"})


@dataclass(slots=True)
class _Column:
    name: str
    qualifier: str


@dataclass(slots=True)
class _Draft:
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
        self.sets.setdefault(feature, set()).add(name)

    def get(self, feature: str) -> Names:
        return frozenset(self.sets.get(feature, ()))


def extract(
    text: str | bytes,
    *,
    normalized: Normalized | None = None,
    base: Features | None = None,
) -> Features:
    """Return the features of a statement.

    They are read from the normalized text, so that equal fingerprints have equal features;
    cursor and tags from the text itself. normalized: if it is known already. base: the features
    of another text with the same fingerprint.
    """
    normalized = normalized or normalize(text)
    if base is None:
        base = _Extractor(outline(normalized.text)).features()
    string = text if isinstance(text, str) else text.decode("utf-8", "replace")
    return replace(
        base,
        cursor=_cursor(base.statement, string),
        tags=_tags(string),
        truncated=normalized.truncated,
    )


def _plain(text: str) -> str:
    """Return an identifier without its quotes."""
    return text[1:-1].replace('""', '"') if text.startswith('"') else text


def _cursor(statement: str, text: str) -> str:
    if statement not in {"declare", "fetch", "move", "close"}:
        return ""
    words = [token for token in lex(text) if token.kind is not Kind.COMMENT and token.text != ";"]
    kind, name = words[1 if statement == "declare" else -1] if len(words) > 1 else words[0]
    return _plain(name) if kind is Kind.NAME else ""


def _tags(text: str) -> Names:
    """Return comments, and the pairs of those that follow https://google.github.io/sqlcommenter."""
    tags: set[str] = set()
    if "--" not in text and "/*" not in text:
        return NONE
    for comment in comments(text):
        inner = comment[2:] if comment.startswith("--") else comment[2:].removesuffix("*/")
        tags.add(inner.strip()[:MAX_TAG])
        for pair in inner.split(","):
            key, equals, value = pair.strip().partition("=")
            if equals and value.startswith("'") and value.endswith("'"):
                tags.add(f"{unquote(key)}={unquote(value[1:-1])}"[:MAX_TAG])
    return frozenset(tags)


def _reads_nothing(block: Block) -> bool:
    return all(table.function for table in block.tables)


class _Extractor:
    """Collects the features of one statement; every walk is linear."""

    def __init__(self, found: Outline) -> None:
        self.kinds = found.kinds
        self.texts = found.texts
        self.found = found
        self.drafts = {id(block): _Draft(block) for block in found.blocks}
        self.starts = {block.start: block for block in found.blocks}
        self.ctes = self._find_ctes()
        places = found.places[:MAX_TOKENS]
        for position, place in enumerate(places):
            if place.block is not None:
                clauses = self.drafts[id(place.block)].clauses
                clauses.setdefault(place.clause, []).append(position)
        for draft in self.drafts.values():
            self._outputs(draft)

    def features(self) -> Features:
        if not self.texts:
            return Features()
        statement, wrapper = self._statement()
        drafts = list(self.drafts.values())
        for draft in drafts:
            self._collect(draft)
        for draft in reversed(drafts):
            self._inherit(draft)
        blocks = [self._finish(draft) for draft in drafts]
        reads, writes = self._tables()
        texts = self.texts
        conflict = ""
        if "conflict" in texts:
            conflict = "update" if "update" in texts[texts.index("conflict") :] else "nothing"
        return Features(
            statement=statement,
            wrapper=wrapper,
            reads=reads,
            writes=writes,
            calls=frozenset().union(*(block.calls for block in blocks)) | self._called(),
            on_conflict=conflict,
            returning="returning" in texts,
            blocks=tuple(blocks),
        )

    # the statement

    def _statement(self) -> tuple[str, str]:
        texts = self.texts
        head = texts[0]
        verb = self.found.blocks and self._main_verb()
        if head == "explain":
            analyze = "analyze" in texts[: self.found.blocks[0].start if verb else 2]
            return verb or head, "explain_analyze" if analyze else "explain"
        if head == "prepare":
            return verb or head, "prepare"
        if head == "declare":
            return head, head
        if head == "copy":
            query = texts[1:2] == ["("]
            to = query or "to" in texts[: texts.index("from") if "from" in texts else None]
            return "copy_to" if to else "copy_from", "copy" if query else ""
        if head in {"create", "grant"} or not verb:
            return head, ""
        return verb, ""

    def _main_verb(self) -> str:
        """Return the verb of the block that stands in no parentheses; it follows the CTEs."""
        depth = 0
        for position, text in enumerate(self.texts):
            if text in {"(", "["}:
                depth += 1
            elif text in {")", "]"}:
                depth -= 1
            elif depth <= 0 and position in self.starts:
                return self.starts[position].verb
        return self.found.blocks[0].verb

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
                name = self._opening(name) - 1
            if name >= 0 and self.kinds[name] is Kind.NAME:
                ctes[_plain(texts[name])] = self.starts.get(after + 1)
        return ctes

    def _opening(self, position: int) -> int:
        """Return where the parentheses closed here were opened, if not too far back."""
        depth = 0
        for start in range(position, max(position - MAX_ROW, -1), -1):
            if self.texts[start] == ")":
                depth += 1
            elif self.texts[start] == "(":
                depth -= 1
                if not depth:
                    return start
        return position

    def _tables(self) -> tuple[Names, Names]:
        reads: set[str] = set()
        writes: set[str] = set()
        for block in self.found.blocks:
            for table in block.tables:
                name = self._table_name(table)
                if name:
                    (reads if table.clause in {"from", "on"} else writes).add(name)
        if self.texts[0] == "copy" and self.texts[1:2] != ["("]:
            (writes if self._statement()[0] == "copy_from" else reads).add(self._copied())
        return frozenset(reads), frozenset(writes)

    def _table_name(self, table: Table) -> str:
        """Return schema.table, or nothing for what is no table of the database."""
        parts = [_plain(part) for part in table.parts]
        if table.function or not parts or (len(parts) == 1 and parts[0] in self.ctes):
            return ""
        return ".".join(parts)

    def _copied(self) -> str:
        return self._name_at(1)

    def _called(self) -> Names:
        return frozenset({self._name_at(1)}) if self.texts[0] == "call" else NONE

    def _name_at(self, position: int) -> str:
        """Return the name, perhaps with a schema, that starts at a position."""
        parts = self.texts[position : position + 1]
        while self.texts[position + 1 : position + 2] == ["."]:
            position += 2
            parts += self.texts[position : position + 1]
        return ".".join(map(_plain, parts))

    # a block

    def _collect(self, draft: _Draft) -> None:
        for table in draft.block.tables:
            name = self._table_name(table)
            if name and table.clause in {"from", "on"}:
                draft.add("reads", name)
            elif table.function:
                draft.add("calls", ".".join(map(_plain, table.parts)))
        self._list(draft, draft.clauses.get("select", []))
        for clause, positions in draft.clauses.items():
            if clause in {"where", "on", "having"}:
                self._conditions(draft, positions)
            if clause not in {"select", "from", "into", "update"}:
                for column, _, _ in self._references(draft, positions):
                    draft.add("mentions", column.name)
        self._order(draft)
        self._newest(draft)

    def _inherit(self, draft: _Draft) -> None:
        """Take what the subqueries of a block are the newest of, under their names for it."""
        for table in draft.block.tables:
            inner = self._query(table)
            for name in inner.get("newest") if inner else ():
                draft.add("newest", name)

    def _query(self, table: Table) -> _Draft | None:
        """Return the first block of a derived table or common table expression."""
        cte = self.ctes.get(_plain(table.parts[0])) if len(table.parts) == 1 else None
        return self.drafts.get(id(table.query or cte))

    def _original(self, draft: _Draft, name: str) -> str:
        """Return the column behind a name that a subquery gave it."""
        for table in draft.block.tables:
            inner = self._query(table)
            if inner is not None and name in inner.outputs:
                return inner.outputs[name]
        return name

    def _finish(self, draft: _Draft) -> BlockFeatures:
        return BlockFeatures(
            verb=draft.block.verb,
            star=draft.star,
            order_by=tuple(draft.order_by),
            order_dir=draft.order_dir,
            limit=draft.limit,
            **{name: draft.get(name) for name in _SETS},
        )

    def _references(
        self,
        draft: _Draft,
        positions: list[int],
    ) -> Iterator[tuple[_Column, list[str], int]]:
        """Give each column, the functions it stands in, its place; note calls and whole rows."""
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
                elif self._is_column(draft, position, before, after):
                    qualifier = texts[position - 2] if before == "." else ""
                    name = self._original(draft, _plain(text))
                    yield _Column(name, qualifier), stack, position

    def _call(self, draft: _Draft, position: int) -> str:
        name = _plain(self.texts[position])
        if name not in QUALIFIERS:
            schema = _plain(self.texts[position - 2]) if self.texts[position - 1] == "." else ""
            draft.add("calls", f"{schema}.{name}" if schema else name)
        return name

    def _is_column(self, draft: _Draft, position: int, before: str, after: str) -> bool:
        text = self.texts[position]
        if after == "." or before == "as" or position in self.found.column_aliases:
            return False
        if after and self.kinds[position + 1] is Kind.PARAMETER:  # date '2026-01-01'
            return False
        composite = before == "(" and self.texts[position + 1 : position + 3] == [")", "."]
        if before == "." or text not in draft.block.labels:
            return not composite
        # The alias of a function is its column too; that of a table is a whole row, unless
        # it is (row).column.
        if any(table.function and table.alias == text for table in draft.block.tables):
            return True
        if self.found.places[position].clause == "select" and not composite:
            draft.star = True
        return False

    def _star(self, draft: _Draft, position: int, stack: list[str]) -> None:
        before = self.texts[position - 1]
        if before in {".", "select", ",", "distinct", "all", ")"} and not (
            REDUCERS.intersection(stack) or self.found.places[position].clause != "select"
        ):
            draft.star = True

    # the select list

    def _list(self, draft: _Draft, positions: list[int]) -> None:
        positions = self._distinct_on(draft, positions)
        items: list[list[int]] = [[]]
        depth = 0
        for position in positions:
            text = self.texts[position]
            depth += (text in {"(", "["}) - (text in {")", "]"})
            if text == "," and depth <= 0:
                items.append([])
            else:
                items[-1].append(position)
        for item in items:
            first = self._item(draft, item)
            if len(items) == 1:
                draft.only = first

    def _outputs(self, draft: _Draft) -> None:
        """Note the column that each alias of the select list stands for, the item's first."""
        first = ""
        for position in draft.clauses.get("select", []):
            text = self.texts[position]
            if text == "," and self.found.places[position].block is draft.block:
                first = ""
            if self.kinds[position] not in WORDS:
                continue
            after = self.texts[position + 1 : position + 2]
            if position in self.found.column_aliases:
                if first:
                    draft.outputs[_plain(text)] = self._original(draft, first)
                first = ""
            elif not first and after not in (["("], ["."]):
                first = _plain(text)

    def _distinct_on(self, draft: _Draft, positions: list[int]) -> list[int]:
        texts = self.texts
        if [texts[position] for position in positions[1:4]] != ["distinct", "on", "("]:
            return positions
        depth = 0
        for index, position in enumerate(positions):
            text = texts[position]
            depth += (text == "(") - (text == ")")
            if text == ")" and not depth:
                for column, _, _ in self._references(draft, positions[4:index]):
                    draft.add("distinct_on", column.name)
                return positions[index + 1 :]
        return positions

    def _item(self, draft: _Draft, positions: list[int]) -> str:
        """Note what an item of the select list shows; return its first column."""
        first = ""
        last = ""
        for column, stack, position in self._references(draft, positions):
            draft.add("mentions", column.name)
            aggregates = [name for name in stack if name in REDUCERS or name in PACKERS]
            last = column.name
            if "filter" in stack:
                continue
            if "over" in stack:
                self._window(draft, column.name, position)
                continue
            for name in aggregates:
                draft.add("aggregate_columns", column.name)
                draft.add("aggregates", name)
                if name == "max":
                    draft.add("newest", column.name)
            if not REDUCERS.intersection(aggregates):
                draft.add("projects", column.name)
            first = first or column.name
        for name in draft.get("calls"):
            if name in REDUCERS or name in PACKERS:
                draft.add("aggregates", name)
        return first or last

    def _window(self, draft: _Draft, column: str, position: int) -> None:
        if self.texts[position + 1 : position + 2] == ["desc"]:
            draft.add("windowed", column)

    # conditions

    def _conditions(self, draft: _Draft, positions: list[int]) -> None:
        texts = self.texts
        for position in positions:
            text = texts[position]
            if text in COMPARISONS or text in {"=", "<>"}:
                self._comparison(draft, position)
            elif text in {"between", "<@"}:
                start = position - (texts[position - 1] == "not")
                for column in self._before(draft, start)[0]:
                    draft.add("where_range", column.name)
            elif text in {"in", "using"} and texts[position + 1 : position + 2] == ["("]:
                if text == "in":
                    self._in(draft, position)
                elif any(map(self._is_list, draft.block.tables)):
                    for column, _, _ in self._references(draft, positions):
                        draft.add("where_in", column.name)

    def _comparison(self, draft: _Draft, position: int) -> None:
        text = self.texts[position]
        after = self.texts[position + 1] if position + 1 < len(self.texts) else ""
        if text in COMPARISONS:
            if after == "all":
                for column in self._before(draft, position)[0]:
                    draft.add("newest", column.name)
            else:
                self._range(draft, position)
        elif text == "<>":
            if after == "all":
                self._listed(draft, position, "where_in_negated")
        elif after in {"any", "some"}:
            self._listed(draft, position, "where_in")
        else:
            self._equal(draft, position)

    def _in(self, draft: _Draft, position: int) -> None:
        negated = self.texts[position - 1] == "not"
        feature = "where_in_negated" if negated else "where_in"
        self._listed(draft, position - negated, feature)

    def _listed(self, draft: _Draft, position: int, feature: str) -> None:
        query = next(
            (self.starts[at] for at in range(position, position + 5) if at in self.starts), None
        )
        if query is not None and not _reads_nothing(query):
            return  # IN (SELECT … FROM …): no list of the client's
        columns, start = self._before(draft, position)
        if self.texts[max(start - 1, 0)] == "not" or self.texts[max(start - 2, 0) : start] == [
            "not",
            "(",
        ]:
            feature = "where_in_negated"
        for column in columns:
            draft.add(feature, column.name)

    def _equal(self, draft: _Draft, position: int) -> None:
        left = self._before(draft, position)[0]
        right = self._after(position)
        for columns, others in ((left, right), (right, left)):
            for column in columns:
                if not others:
                    draft.add("where_eq", column.name)
                elif any(
                    self._is_key_list(draft, other.qualifier or other.name) for other in others
                ):
                    draft.add("where_in", column.name)

    def _range(self, draft: _Draft, position: int) -> None:
        left = self._before(draft, position)[0]
        right = self._after(position)
        for column in left + right:
            if not (left and right):
                draft.add("where_range", column.name)
        if left and right and left[0].name == right[0].name:
            draft.add("compared", left[0].name)

    def _before(self, draft: _Draft, position: int) -> tuple[list[_Column], int]:
        """Return the columns of a column or row that ends before a position, and its start."""
        texts, kinds = self.texts, self.kinds
        end = position - 1
        while end > 1 and texts[end - 1] == "::":
            end -= 2
        if end < 0:
            return [], position
        if texts[end] == ")":
            start = self._opening(end)
            if start and (kinds[start - 1] in WORDS or start == end):
                return [], start
            found = self._references(draft, list(range(start + 1, end)))
            return [column for column, stack, _ in found if not stack], start
        if kinds[end] not in WORDS or end in self.found.column_aliases:
            return [], end
        start = end
        while start > 1 and texts[start - 1] == "." and kinds[start - 2] in WORDS:
            start -= 2
        qualifier = texts[end - 2] if start < end else ""
        return [_Column(_plain(texts[end]), qualifier)], start

    def _after(self, position: int) -> list[_Column]:
        """Return the column that starts after a position, if it is one."""
        texts, kinds = self.texts, self.kinds
        end = position + 1
        while end + 2 < len(texts) and kinds[end] in WORDS and texts[end + 1] == ".":
            end += 2
        if end >= len(texts) or kinds[end] not in WORDS:
            return []
        after = texts[end + 1] if end + 1 < len(texts) else ""
        if after == "(" or (after and kinds[end + 1] is Kind.PARAMETER):
            return []
        qualifier = texts[end - 2] if end > position + 1 else ""
        return [_Column(_plain(texts[end]), qualifier)]

    def _is_key_list(self, draft: _Draft, qualifier: str) -> bool:
        """Tell whether a table is a list that the client sent."""
        return bool(qualifier) and any(
            qualifier in {table.alias, *table.parts[-1:]} and self._is_list(table)
            for table in draft.block.tables
        )

    def _is_list(self, table: Table) -> bool:
        """Tell unnest($1), VALUES, and subqueries of those from tables of the database."""
        query = self._query(table)
        return table.function or (query is not None and _reads_nothing(query.block))

    # what it takes

    def _order(self, draft: _Draft) -> None:
        groups = draft.clauses.get("group", [])
        for column, _, _ in self._references(draft, groups):
            draft.add("group_by", column.name)
        if "?" in (self.texts[position] for position in groups):  # GROUP BY 1
            for name in draft.get("projects"):
                draft.add("group_by", name)
        for column, _, position in self._references(draft, draft.clauses.get("window", [])):
            self._window(draft, column.name, position)
        positions = draft.clauses.get("order", [])
        for column, _, _ in self._references(draft, positions):
            if column.name not in {"first", "last", "nulls"}:
                draft.order_by.append(draft.outputs.get(column.name, column.name))
        words = [self.texts[position] for position in positions]
        if words[2:3] == ["?"] and draft.only:  # ORDER BY 1, of one item
            draft.order_by.insert(0, draft.only)
        if words:
            item = words[2 : words.index(",") if "," in words else None]
            draft.order_dir = "desc" if "desc" in item or ">" in item else "asc"

    def _newest(self, draft: _Draft) -> None:
        positions = draft.clauses.get("order", [])
        descending = [
            column.name
            for column, _, position in self._references(draft, positions)
            if self.texts[position + 1 : position + 2] == ["desc"]
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
        start = draft.block.start
        excluded = self.texts[max(start - 3, 0) : start] == ["not", "exists", "("]
        taker = self.drafts.get(id(draft.block.parent)) if excluded else draft
        if taker is not None and (excluded or _ANTI_JOIN.issubset(self.texts)):
            for name in draft.get("compared"):
                taker.add("newest", name)


# SELECT … LEFT JOIN newer ON newer.version > version … WHERE newer.id IS NULL
_ANTI_JOIN = frozenset({"left", "is", "null"})


_SETS = (
    "reads", "aggregates", "aggregate_columns", "calls", "projects", "mentions", "group_by",
    "distinct_on", "where_eq", "where_range", "where_in", "where_in_negated", "newest",
)  # fmt: skip
