"""Query blocks, their clauses, tables and aliases, found in one walk over the tokens."""

from bisect import bisect_right
from dataclasses import dataclass, field
from operator import itemgetter

from pgiostat.queries.fingerprint.structure import (
    Block,
    ClausePosition,
    ColumnAlias,
    Frame,
    ParseState,
    TableReference,
)
from pgiostat.queries.fingerprint.tokens import PLACEHOLDER, TokenKind
from pgiostat.queries.fingerprint.words import (
    AFTER_OPERAND,
    ENDS_ITEM,
    NEVER_BARE,
    OPERAND_KEYWORDS,
    STARTS_QUERY,
    words,
)

__all__ = ["Reader", "follows_operand", "place_at", "places"]


# Looking one up in its class costs as much as the test for it.
_INSIDE, _LIST, _WANT, _TABLE = (
    ParseState.INSIDE,
    ParseState.LIST,
    ParseState.WANT,
    ParseState.TABLE,
)


@dataclass(slots=True)
class Reader:
    """Finds query blocks, their tables and aliases, in one walk over the tokens.

    Attributes:
        labelled: Positions where table aliases are defined, with their labels.
        table_names: Positions of the names of tables.
        named: Positions of all names.
        changes: Positions where another clause begins, with the clause.
        outer: What to return to: a frame, or opener and state of an expression's parentheses.
        opener: Where the parentheses that closed last open.
        frame: The current parentheses of a query or a table.
    """

    kinds: list[TokenKind]
    texts: list[str]
    blocks: list[Block] = field(default_factory=list)
    columns: list[ColumnAlias] = field(default_factory=list)
    labelled: list[tuple[int, str]] = field(default_factory=list)
    table_names: set[int] = field(default_factory=set)
    named: list[int] = field(default_factory=list)
    place: ClausePosition = field(default_factory=lambda: ClausePosition("", None))
    changes: list[tuple[int, ClausePosition]] = field(init=False)
    block: Block | None = None
    state: ParseState = ParseState.IDLE
    outer: list[Frame | tuple[int, ParseState]] = field(default_factory=list)
    opener: int = -1
    frame: Frame = field(init=False)

    def __post_init__(self) -> None:
        self.changes = [(0, self.place)]
        self.frame = Frame(-1, self.state, self.place, None, None, end=len(self.texts))

    def read(self, start: int) -> None:
        """Walk over the tokens once, from the first of the query."""
        texts = self.texts
        handlers = list(map(_READ.get, texts))
        texts.append("")  # so that each has one after it
        place = self.place
        named = self.named.append
        name, alias = TokenKind.NAME, TokenKind.ALIAS
        kinds = self.kinds
        for position in range(start, len(kinds)):
            kind = kinds[position]
            if kind is name:
                named(position)
                state = self.state
                if state is _LIST:
                    if texts[position + 1] in ENDS_ITEM:
                        self._column_alias(position)
                elif state is _WANT or state is _TABLE:
                    self._name(position)
                continue
            handle = handlers[position]
            if handle is not None:
                handle(self, position)
                if self.place is not place:
                    place = self.place
                    self.changes.append((position, place))
            elif kind is alias:
                named(position)
                if self.state is _TABLE:
                    self._name(position)
        texts.pop()

    # names

    def _name(self, position: int) -> None:
        before = self.texts[position - 1] if position else ""
        if self.state is ParseState.WANT:
            is_new = self.place.clause == "into" and self.block and self.block.verb == "select"
            if is_new and _is_kind_of_table(self.kinds, self.texts, position):
                return
            self._table([self.texts[position]])
            self.table_names.add(position)
        elif self.state is not ParseState.TABLE or self.block is None or not self.block.tables:
            return
        elif before == ".":
            self.block.tables[-1].parts.append(self.texts[position])
            self.table_names.add(position)
        else:
            self._table_alias(self.block, position)

    def _table(self, parts: list[str]) -> None:
        self.state = ParseState.TABLE
        if self.block is not None:
            self.block.tables.append(TableReference(self.place.clause, parts))

    def _table_alias(self, block: Block, position: int) -> None:
        text = self.texts[position]
        label = f"@{len(self.labelled) + 1}"
        block.tables[-1].alias = text
        block.labels[text] = label
        self.labelled.append((position, label))
        self.state = ParseState.NAMED

    def _column_alias(self, position: int) -> None:
        """Note a name at the end of an item, if it is no part of its expression."""
        named = position - 1 if self.texts[position - 1] == "as" else -1
        end = position - 1 if named < 0 else named - 1
        if not _ends_operand(self.kinds, self.texts, end, self.opener):
            return
        if named >= 0 or self.texts[position] not in NEVER_BARE:
            self.columns.append(ColumnAlias(position, named, self.frame))

    # parentheses

    def open_(self, position: int) -> None:
        state = self.state
        query = _opens_query(self.kinds, self.texts, position)
        if not query and state is not _TABLE and state is not _WANT:
            self.outer.append((position, state))
            self.state = _INSIDE
            return
        frame = Frame(position, state, self.place, self.block, self.frame.base)
        if query:
            frame.base = self.block or self.frame.base
            frame.united = True
            self.block = None
            self.state = ParseState.IDLE
        elif self.state is ParseState.TABLE:
            if self.block is not None and self.block.tables and self.place.clause != "into":
                self.block.tables[-1].function = True
            self.state = ParseState.INSIDE
        # else, where a table must come: a join in parentheses
        self.outer.append(self.frame)
        self.frame = frame

    def close(self, position: int) -> None:
        if not self.outer:
            return
        outer = self.outer.pop()
        if isinstance(outer, tuple):
            self.opener, self.state = outer
            return
        frame = self.frame
        frame.end = position
        self.opener = frame.opener
        self.state, self.place, self.block = frame.state, frame.place, frame.block
        self.frame = outer
        if self.state is ParseState.WANT:
            self._table([])
            if self.block is not None:
                self.block.tables[-1].query = frame.first

    def comma(self, _position: int) -> None:
        if self.state in _IN_FROM and self.place.clause in _LISTS_TABLES:
            self.state = ParseState.WANT

    # keywords

    def _start(self, verb: str, position: int, state: ParseState) -> None:
        frame = self.frame
        parent = frame.base if frame.united or self.block is None else self.block
        frame.united = False
        self.block = Block(verb, position, parent)
        self.blocks.append(self.block)
        frame.first = frame.first or self.block
        self._enter(verb, state)

    def _enter(self, clause: str, state: ParseState) -> None:
        self.place = ClausePosition(clause, self.block)
        self.state = state

    def select(self, position: int) -> None:
        if self.state is not ParseState.INSIDE:
            self._start("select", position, ParseState.LIST)

    def values(self, position: int) -> None:
        if self.state is ParseState.INSIDE:
            return
        if self.block is None or self.frame.united:
            self._start("values", position, ParseState.REST)
        else:
            self.clause(position)

    def command(self, position: int) -> None:
        """Read TABLE name, if a query may begin there."""
        if self.state is ParseState.IDLE and self.texts[position - 1] != "create":
            self._start("select", position, ParseState.WANT)
            self.place = ClausePosition("from", self.block)

    def write(self, position: int) -> None:
        """INSERT INTO, MERGE INTO, DELETE FROM, UPDATE; not FOR UPDATE, THEN INSERT, DO UPDATE."""
        verb = self.texts[position]
        before = self.texts[position - 1] if position else ""
        if self.state is ParseState.INSIDE or before in {"for", "key", "then", "do", "on", "."}:
            return
        if verb == "update":
            self._start(verb, position, ParseState.WANT)
        elif self.texts[position + 1] in {"into", "from"}:
            self._start(verb, position, ParseState.REST)

    def into(self, _position: int) -> None:
        if self.state is not ParseState.INSIDE:
            self._enter("into", ParseState.WANT)

    def from_(self, position: int) -> None:
        if self.state is ParseState.INSIDE or self.block is None:
            return
        before = self.texts[max(position - 2, 0) : position]
        if before in (["is", "distinct"], ["not", "distinct"]):
            return
        if before[-1:] == ["rows"] and self.state is ParseState.TABLE:  # ROWS FROM (f(), g())
            self.block.tables.pop()
        clause = "into" if before[-1:] == ["delete"] else "from"
        self._enter(clause, ParseState.WANT)

    def using(self, _position: int) -> None:
        if self.state not in _IN_FROM or self.block is None:
            return
        if self.place.clause == "into" and self.block.verb in {"delete", "merge"}:
            self._enter("from", ParseState.WANT)
        else:
            self._enter("on", ParseState.JOINED)

    def join(self, _position: int) -> None:
        if self.state in _IN_FROM:
            self._enter("from", ParseState.WANT)

    def on(self, _position: int) -> None:
        if self.state in _IN_FROM and self.place.clause in _LISTS_TABLES:
            self._enter("on", ParseState.JOINED)
        elif self.state not in (_INSIDE, _LIST):
            self._enter("conflict", ParseState.REST)

    def unite(self, position: int) -> None:
        if self.state is not ParseState.INSIDE:
            self.frame.united = True
            self.clause(position)
            self.block = None
            self.state = ParseState.IDLE

    def named_(self, position: int) -> None:
        """TABLESAMPLE, OVERRIDING, WITH, but not WITH ORDINALITY: no alias comes any more."""
        if self.state is ParseState.TABLE and self.texts[position + 1] != "ordinality":
            self.state = ParseState.NAMED

    def returning(self, _position: int) -> None:
        if self.state is not ParseState.INSIDE:
            self._enter("returning", ParseState.LIST)

    def clause(self, position: int) -> None:
        if self.state is not ParseState.INSIDE and self.block is not None:
            self._enter(self.texts[position], ParseState.REST)

    def tail(self, position: int) -> None:
        if self.state is not ParseState.INSIDE:
            if self.frame.tail < 0:
                self.frame.tail = position
            self.clause(position)


def places(reader: Reader) -> list[ClausePosition]:
    """Return the clause of each token."""
    ends = [position for position, _ in reader.changes[1:]]
    found: list[ClausePosition] = []
    for (start, place), end in zip(reader.changes, [*ends, len(reader.texts)], strict=True):
        found += [place] * (end - start)
    return found


def place_at(reader: Reader, position: int) -> ClausePosition:
    """Return the clause of a token."""
    return reader.changes[bisect_right(reader.changes, position, key=itemgetter(0)) - 1][1]


def _opens_query(kinds: list[TokenKind], texts: list[str], position: int) -> bool:
    after = position + 1
    is_keyword = texts[after] in STARTS_QUERY and kinds[after] is TokenKind.KEYWORD
    return texts[position] == "(" and is_keyword


def _is_kind_of_table(kinds: list[TokenKind], texts: list[str], position: int) -> bool:
    """Return whether a word is TEMP or UNLOGGED of SELECT ... INTO, before the table's name."""
    after = position + 1
    return (
        texts[position] in _KINDS_OF_TABLE
        and after < len(kinds)
        and (kinds[after] is TokenKind.NAME or texts[after] == "table")
    )


def _ends_operand(kinds: list[TokenKind], texts: list[str], position: int, opener: int) -> bool:
    """Return whether a column's expression may end here.

    Args:
        position: Of the last token of the expression.
        opener: Where the parentheses that closed last open.
    """
    text, kind = texts[position], kinds[position]
    if kind is TokenKind.KEYWORD:
        return text in OPERAND_KEYWORDS
    if kind is TokenKind.PUNCTUATION:
        before = texts[max(opener - 1, 0)]
        return text == "]" or (text == ")" and before not in {"operator", "on"})
    if kind is TokenKind.ALIAS:
        return True
    before = texts[position - 1] if position else ""
    if before == "as" or (text == PLACEHOLDER == before):
        return False
    if (
        kind is TokenKind.NAME
        and text not in NEVER_BARE
        and follows_operand(kinds, texts, position)
    ):
        return False  # two operands in a row are no expression
    return kind is not TokenKind.OPERATOR and text not in AFTER_OPERAND


def follows_operand(kinds: list[TokenKind], texts: list[str], position: int) -> bool:
    """Return whether an operand ends before a position."""
    if not position:
        return False
    text, kind = texts[position - 1], kinds[position - 1]
    if kind in _WORDS or text == PLACEHOLDER:
        return True
    return text in OPERAND_KEYWORDS or text in {"as", ")", "]"}


_WORDS = (TokenKind.NAME, TokenKind.ALIAS)
_KINDS_OF_TABLE = words("global local temp temporary unlogged")
# Tuples: an enum is compared at once, but hashed in Python.
_IN_FROM = (ParseState.WANT, ParseState.TABLE, ParseState.NAMED, ParseState.JOINED)
_LISTS_TABLES = frozenset({"from", "on"})
_READ = {
    "(": Reader.open_,
    "[": Reader.open_,
    ")": Reader.close,
    "]": Reader.close,
    ",": Reader.comma,
    "select": Reader.select,
    "values": Reader.values,
    "table": Reader.command,
    "insert": Reader.write,
    "update": Reader.write,
    "delete": Reader.write,
    "merge": Reader.write,
    "into": Reader.into,
    "from": Reader.from_,
    "using": Reader.using,
    "join": Reader.join,
    "tablesample": Reader.named_,
    "overriding": Reader.named_,
    "with": Reader.named_,
    "on": Reader.on,
    "union": Reader.unite,
    "intersect": Reader.unite,
    "except": Reader.unite,
    "returning": Reader.returning,
    "group": Reader.tail,
    "order": Reader.tail,
} | dict.fromkeys(
    ["where", "having", "limit", "offset", "fetch", "for", "window", "set"],
    Reader.clause,
)
