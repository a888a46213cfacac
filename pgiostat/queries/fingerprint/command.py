"""One statement that is not a query, as the rules of hiding walk over it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from pgiostat.queries.fingerprint.tokens import TokenKind

__all__ = ["TokenRange", "TokenRanges", "UtilityStatement"]


class TokenRange(NamedTuple):
    """Tokens that become one placeholder.

    assigned: The first one is TO or =; it becomes a =, the others the placeholder.
    """

    start: int
    end: int
    assigned: bool = False


TokenRanges = Iterator[TokenRange]

_WORDS = (TokenKind.NAME, TokenKind.KEYWORD)  # a tuple: an enum is hashed in Python
_ASSIGNS = frozenset({"=", "to"})
# Distance from these words to the value, if no assignment follows: SET TIME ZONE value.
_BEFORE_VALUE = {"time": 2, "xml": 2, "transaction": 2}


@dataclass(slots=True)
class UtilityStatement:
    """The tokens of one statement.

    Attributes:
        at: Position of its command: after EXPLAIN and its options.
        closings: Where the parentheses that open at a position close; the end if they do not.
    """

    kinds: list[TokenKind]
    texts: list[str]
    at: int = 0
    closings: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        opened: list[int] = []
        for position, text in enumerate(self.texts):
            if text in {"(", "["}:
                opened.append(position)
                self.closings[position] = len(self.texts)
            elif text in {")", "]"} and opened:
                self.closings[opened.pop()] = position

    @property
    def head(self) -> str:
        """The first word of the command."""
        return self.text(self.at)

    def text(self, position: int) -> str:
        """Return the text of a token; empty if there is none."""
        return self.texts[position] if 0 <= position < len(self.texts) else ""

    def is_word(self, position: int) -> bool:
        """Return whether a name or keyword is at a position."""
        return position < len(self.texts) and self.kinds[position] in _WORDS

    def name_end(self, position: int) -> int:
        """Return where the name that starts at a position ends, with what dots add to it."""
        end = position + 1
        while self.text(end) == ".":
            end += 2
        return min(end, len(self.texts))

    def outside(self, start: int) -> Iterator[int]:
        """Yield the positions from one on, outside parentheses that open after it."""
        position = start
        while position < len(self.texts):
            yield position
            position = self.closings.get(position, position) + 1

    def assignment(self, start: int) -> tuple[int, bool]:
        """Return where the value of SET starts, and whether TO or = precedes it.

        A name may be any word: SET session.x = 1, SET transaction TO 2.
        """
        if self.text(start) in {"session", "local"} and self.text(start + 1) not in _NAME_GOES_ON:
            start += 1
        end = self.name_end(start)
        if self.text(end) in _ASSIGNS:
            return end + 1, True
        if self.text(start) in {"constraints", "characteristics"}:
            return len(self.texts), False
        if self.text(start) == "transaction" and self.text(start + 1) != "snapshot":
            return len(self.texts), False
        return start + _BEFORE_VALUE.get(self.text(start), 1), False


_NAME_GOES_ON = frozenset({".", *_ASSIGNS})
