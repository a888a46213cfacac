"""Short form of a statement: what distinguishes it comes first.

A list on a screen has room for a few words of each statement, and the select list of an ORM fills
it. The short form begins with the verb (none for a SELECT) and the tables. Search conditions, order
and limit follow, and the columns are last:

    orders ⨝ items · customer_id = $ · limit $ · id, total

A subquery or common table expression in FROM is no table: its own tables and conditions take its
place. A table that the statement writes is named once, so that the claim of a job from a queue is
no join of the queue with itself.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice

from pgiostat.queries.features.main_relation import WRITES, main_block
from pgiostat.queries.features.walk import WORDS, Walk, is_created, plain
from pgiostat.queries.fingerprint import Block, TableReference, TokenKind, outline
from pgiostat.queries.fingerprint.render import render
from pgiostat.queries.fingerprint.words import words

__all__ = ["short_form"]

SEPARATOR, JOINED, UNITED, INTO = " · ", " ⨝ ", " union ", " ← "
PLACEHOLDER = "$"
LONGEST_TEXT = 20_000
"""Characters of a statement that are read: the head of a longer one is enough."""
LONGEST = 400
MOST_TABLES, MOST_QUERIES = 12, 8
"""Tables that are named, and queries of a FROM or of a UNION that are read."""
DEEPEST = 3
"""Subqueries of conditions are read to this depth."""
_CLAUSES = (
    *("where", "set", "group", "having", "order", "limit", "fetch", "offset", "for"),
    "conflict",
)
_ONE_OF_A_KIND = words("order limit fetch offset")
"""Clauses that are shown once: of the outermost query that has one."""
_STARTS = words("with select insert update delete merge values table (")
_COMPARISONS = words("= <> < > <= >=")
_TYPE_WORDS = words("precision varying with without time zone")
_DEFAULT_SCHEMA = "public"
_SEARCHED = {_DEFAULT_SCHEMA, "pg_catalog"}
"""Schemas that the default search path has."""
_BEFORE_SCHEMA = words(":: as collate")
"""Before the schema of a type or a collation: CAST (a AS app.money)."""


@lru_cache(maxsize=4096)
def short_form(text: str) -> str:
    """Return the short form of a statement.

    Args:
        text: The normalized text.

    >>> short_form(
    ...     "select @1.id, @1.total from orders @1 join items @2 on @2.order_id = @1.id"
    ...     " where @1.customer_id = ? order by @1.id desc limit ?"
    ... )
    'orders ⨝ items · customer_id = $ · order by id desc · limit $ · id, total'
    >>> short_form("update orders set state = ? where id = ?")
    'update orders · id = $ · set state = $'
    >>> short_form("vacuum orders"), short_form("select ?"), short_form("")
    ('vacuum orders', 'select $', '')
    """
    walk = Walk(outline(text[:LONGEST_TEXT], bare_operators=True))
    return _Writer(walk).statement()[:LONGEST]


class _Writer:
    """Writes the short form of one statement."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._tables = {
            table.alias: plain(table.parts[-1])
            for block in walk.found.blocks
            for table in block.tables
            if table.alias and table.parts
        }

    def statement(self) -> str:
        """Return the queries of a statement, and the command that contains them."""
        walk = self._walk
        if not walk.found.blocks:
            return self._rendered(range(len(walk.texts)), 0)
        united = self._united()
        queries = [self._query(block, 0) for block in united[:MOST_QUERIES]]
        whole = UNITED.join(queries)
        if united[0].verb == "insert" and queries[1:]:
            whole = f"{queries[0]}{INTO}{UNITED.join(queries[1:])}"
        if walk.texts[0] in _STARTS:
            return whole
        end = self._begin(united[0])
        command = self._rendered(range(end - (walk.texts[end - 1] == "(")), 0)
        return f"{command} {whole}"

    def _united(self) -> list[Block]:
        """Return the main query, and those that UNION and the like add to it."""
        walk = self._walk
        if "(" in walk.texts[:1]:
            return [block for block in walk.found.blocks if block.parent is None]
        main, depth = main_block(walk), 0
        found = [main]
        for position in range(main.start + 1, len(walk.texts)):
            depth += (walk.texts[position] == "(") - (walk.texts[position] == ")")
            if not depth and position in walk.starts:
                found.append(walk.starts[position])
        return found

    def _begin(self, block: Block) -> int:
        """Return where a query begins: at its WITH, or at its first word."""
        head = self._walk.texts[: block.start]
        return head.index("with") if "with" in head else block.start

    def _query(self, block: Block, depth: int) -> str:
        sources = list(self._sources(block, set()))
        names = list(islice(self._names(block, set()), MOST_TABLES + 1))
        verb = next((each.verb for each in sources if each.verb in WRITES), block.verb)
        created = self._created(block)
        if created:
            verb = f"select into {created}{INTO}".rstrip()
        elif names and verb == "select":
            verb = ""
        shown = names[:MOST_TABLES] + ["…"] * (len(names) > MOST_TABLES)
        parts = [" ".join(filter(None, [verb, JOINED.join(shown)]))]
        for name in _CLAUSES:
            found = filter(None, (self._clause(each, name, depth) for each in sources))
            parts += islice(found, 1) if name in _ONE_OF_A_KIND else found
        columns = self._columns(block, depth)
        if not names:
            parts[0], columns = f"{verb} {columns}".rstrip(), ""
        elif depth and columns == PLACEHOLDER:  # EXISTS (SELECT 1 …)
            columns = ""
        return SEPARATOR.join(filter(None, [*parts, columns]))

    def _sources(self, block: Block, visited: set[int]) -> Iterator[Block]:
        """Yield a query, and the subqueries and common table expressions of its FROM."""
        if id(block) in visited:  # a recursive query reads itself
            return
        visited.add(id(block))
        yield block
        for table in block.tables:
            inner = self._walk.query(table)
            if inner is not None and len(visited) < MOST_QUERIES:
                yield from self._sources(inner.block, visited)

    def _names(self, block: Block, visited: set[int], target: str = "") -> Iterator[str]:
        """Yield the tables and functions of a query, those of its subqueries in their place.

        Args:
            block: The query.
            visited: Queries with tables that are named already.
            target: The table that the statement writes; a subquery of it is not named.
        """
        visited.add(id(block))
        for table in block.tables:
            inner = self._walk.query(table)
            if inner is not None and id(inner.block) not in visited:
                if len(visited) < MOST_QUERIES:
                    yield from self._names(inner.block, visited, target or self._target(block))
            elif table.function and inner is None:
                yield f"{_name(table)}()"
            elif self._walk.table_name(table) and not is_created(block, table):
                yield from {_name(table)} - {target}

    def _target(self, block: Block) -> str:
        """Return the table that a query writes; empty for others."""
        return _name(block.tables[0]) if block.verb in WRITES and block.tables else ""

    def _created(self, block: Block) -> str:
        """Return the table that SELECT INTO creates; empty for other queries."""
        return next((_name(table) for table in block.tables if is_created(block, table)), "")

    def _clause(self, block: Block, clause: str, depth: int) -> str:
        """Return a clause of a query; empty if it has none."""
        positions = self._walk.drafts[id(block)].clauses.get(clause, [])
        if clause == "set" and block.verb != "update":  # ON CONFLICT DO UPDATE
            return ""
        return self._rendered(positions[clause == "where" :], depth)

    def _columns(self, block: Block, depth: int) -> str:
        """Return the columns that a query returns or inserts."""
        clauses = self._walk.drafts[id(block)].clauses
        if block.verb == "select":
            return self._rendered(clauses.get("select", [])[1:], depth)
        if block.verb == "values":
            return self._rendered(clauses.get("values", [])[1:], depth)
        positions = clauses.get("into", [])
        texts = [self._walk.texts[position] for position in positions]
        return self._rendered(positions[texts.index("(") :], depth) if "(" in texts else ""

    def _rendered(self, positions: Iterable[int], depth: int) -> str:
        """Return tokens as a line of SQL, with the short form of each query between them."""
        return render(list(self._written(list(positions), depth))).strip()

    def _written(self, positions: list[int], depth: int) -> Iterator[str]:
        texts, kinds = self._walk.texts, self._walk.kinds
        skipped = last = -1
        for position in positions:
            if last >= 0 and position > last + 1:
                yield self._nested(last + 1, depth)
            last = position
            if position < skipped:
                continue
            if self._is_dropped(position):
                skipped = position + 2
                continue
            if kinds[position] is TokenKind.PARAMETER:
                yield PLACEHOLDER
                skipped = _after_cast(texts, position + 1)
            elif kinds[position] is TokenKind.ALIAS:
                yield self._tables.get(texts[position], "…")
            else:
                yield texts[position]
        if last + 1 in self._walk.starts and texts[last] == "(":  # the text ends within it
            yield self._nested(last + 1, depth)

    def _is_dropped(self, position: int) -> bool:
        """Return whether a word is the table or schema of the name after it, and goes.

        It stays where a column is compared with one of another table. The schema of what a
        command names stays too, unless it is public, and so does that of a function or a type,
        unless the default search path has it.
        """
        texts, kinds = self._walk.texts, self._walk.kinds
        if not _is_qualifier(texts, kinds, position):
            return False
        before, after = texts[max(position - 1, 0)], texts[position + 3 : position + 4]
        if self._walk.found.places[position].block is None:
            return texts[position] == _DEFAULT_SCHEMA
        if after == ["("] or before in _BEFORE_SCHEMA:
            return texts[position] in _SEARCHED
        is_left = _compares(texts, position + 3) and _is_qualifier(texts, kinds, position + 4)
        is_right = _compares(texts, position - 1) and _is_qualifier(texts, kinds, position - 4)
        return not (is_left or is_right)

    def _nested(self, start: int, depth: int) -> str:
        """Return the query that begins at a position."""
        block = self._walk.starts.get(start)
        return "…" if block is None or depth >= DEEPEST else self._query(block, depth + 1)


def _name(table: TableReference) -> str:
    return ".".join(map(plain, table.parts)).removeprefix(f"{_DEFAULT_SCHEMA}.")


def _is_qualifier(texts: list[str], kinds: list[TokenKind], position: int) -> bool:
    is_word = 0 <= position < len(kinds) and kinds[position] in WORDS
    return is_word and texts[position + 1 : position + 2] == ["."]


def _compares(texts: list[str], position: int) -> bool:
    return 0 <= position < len(texts) and texts[position] in _COMPARISONS


def _after_cast(texts: list[str], position: int) -> int:
    """Return where the type ends that a constant is cast to."""
    while texts[position : position + 1] == ["::"]:
        position += 2
        while texts[position : position + 1] and texts[position] in _TYPE_WORDS:
            position += 1
        for opening, closing in ("()", "[]"):
            if texts[position : position + 1] == [opening] and closing in texts[position:]:
                position = texts.index(closing, position) + 1
    return position
