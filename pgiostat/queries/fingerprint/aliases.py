"""Aliases: those of tables are numbered, those of columns go unless something refers to them."""

from bisect import bisect_right
from typing import NamedTuple

from pgiostat.queries.fingerprint.blocks import Reader, follows_operand, place_at
from pgiostat.queries.fingerprint.structure import Block, Frame
from pgiostat.queries.fingerprint.tokens import PLACEHOLDER, TokenKind
from pgiostat.queries.fingerprint.words import AFTER_OPERAND

__all__ = ["rename", "spell_out"]


def rename(reader: Reader) -> list[str]:
    """Return the texts with table aliases numbered and column aliases dropped."""
    texts = reader.texts.copy()
    dropped: set[int] = set()
    if TokenKind.ALIAS in reader.kinds:
        texts = [
            _ABSOLUTE if kind is TokenKind.ALIAS else text
            for kind, text in zip(reader.kinds, texts, strict=True)
        ]
    for position, label in reader.labelled:
        texts[position] = label
        before = position - 1
        while texts[before] == "as" and reader.kinds[before] is TokenKind.KEYWORD:
            dropped.add(before)
            before -= 1
    _refer(reader, texts)
    shown = _column_aliases(reader, texts, dropped)
    if not shown and _ABSOLUTE not in texts:
        for position in dropped:
            texts[position] = ""
        return list(filter(None, texts)) if dropped else texts
    out: list[str] = []
    for position, text in enumerate(texts):
        if position in shown:
            out.append("as")
        if text == _ABSOLUTE:
            out += text.split()
        elif position not in dropped:
            out.append(text)
    return out


def spell_out(kinds: list[TokenKind], texts: list[str]) -> None:
    """Write @1 as an operator and a constant, in place: outside queries it is no alias."""
    pairs: list[tuple[TokenKind, str]] = []
    for kind, text in zip(kinds, texts, strict=True):
        alias = kind is TokenKind.ALIAS
        pairs += _ABSOLUTE_PAIR if alias else [(kind, text)]
    kinds[:] = [kind for kind, _ in pairs]
    texts[:] = [text for _, text in pairs]


_ABSOLUTE_PAIR = [(TokenKind.OPERATOR, "@"), (TokenKind.PARAMETER, PLACEHOLDER)]
_ABSOLUTE = "@ ?"  # @1 if it is no alias: the absolute value of a constant


def _refer(reader: Reader, texts: list[str]) -> None:
    """Replace references to table aliases by their labels, in place."""
    known = {label for block in reader.blocks for label in block.labels}
    if not known:
        return
    words = [*reader.texts, ""]
    defined = {position for position, _ in reader.labelled} | reader.table_names
    for position in [position for position in reader.named if words[position] in known]:
        word = words[position]
        if word in AFTER_OPERAND or position in defined:
            continue
        before, after = words[position - 1] if position else "", words[position + 1]
        place = place_at(reader, position)
        target = after == "=" and place.clause == "set" and before in {"set", ","}
        if before in {".", "::", "as"} or after in {"(", "=>"} or target or place.clause == "into":
            continue
        label = _label(place.block, word)
        locked = before == "of" and place.clause == "for"  # FOR UPDATE OF x
        if label and (locked or not follows_operand(reader.kinds, reader.texts, position)):
            texts[position] = label


def _label(block: Block | None, alias: str) -> str:
    for _ in range(_MAX_SCOPES):
        if block is None:
            break
        label = block.labels.get(alias)
        if label:
            return label
        block = block.parent
    return ""


_MAX_SCOPES = 64  # enclosing blocks that are searched for an alias


def _column_aliases(reader: Reader, texts: list[str], dropped: set[int]) -> set[int]:
    """Drop the column aliases that nothing refers to; return those that need an AS."""
    columns = reader.columns
    own = {column.position for column in columns}
    wanted = {texts[position] for position in own}
    uses: dict[str, _Uses] = {}
    for position in reader.named if wanted else ():
        text = texts[position]
        if text in wanted and position not in own and texts[position + 1 : position + 2] != ["("]:
            found = uses.setdefault(text, _Uses([], []))
            found.places.append(position)
            if texts[position - 1] != ".":
                found.bare.append(position)
    shown: set[int] = set()
    for column in columns:
        start = column.position if column.named < 0 else column.named
        name = texts[column.position]
        same = name == texts[start - 1] and texts[start - 2] in _STARTS_ITEM
        if same or name not in uses or not uses[name].reach(column.frame):
            dropped.update(range(start, column.position + 1))
        elif column.named < 0:
            shown.add(column.position)
    return shown


_STARTS_ITEM = frozenset({",", ".", "select", "distinct", "all", "returning"})


class _Uses(NamedTuple):
    """Positions of a name that is a column alias somewhere."""

    places: list[int]
    bare: list[int]  # without a table before it

    def reach(self, frame: Frame) -> bool:
        """Return whether one may mean an output column of a query in these parentheses."""
        if frame.opener >= 0 and (self.places[0] < frame.opener or self.places[-1] > frame.end):
            return True
        if frame.tail < 0:
            return False
        first = bisect_right(self.bare, frame.tail)
        return first < len(self.bare) and self.bare[first] < frame.end
