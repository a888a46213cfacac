r"""Escapes text from others, such as names and statement texts, so that nothing in it acts.

There is one function for each form of output, and each decides alone what is escaped there: those
of terminals, logs, JSON, TOML and SQL are here; those of CSV and Markdown are in render.csv
and render.markdown, and begin with `terminal`. All of them show a character that is not visible by
its code: `\u202e`, or `\U000e0041` beyond U+FFFF. A backslash is doubled where it could be taken
for the beginning of such a code, so that different texts are never shown alike and `original`
returns what was there.

A character is visible if Unicode has assigned it, and it is neither a control, a format character,
a surrogate, of private use, a separator other than the space, nor blank although it is called a
letter or a symbol. Terminals disagree about the width of what joins with its neighbours: variation
selectors, skin tones and the letters of flags are shown by their codes too, and of the marks that
combine with a character at most MOST_MARKS are kept.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping

__all__ = [
    "MOST_MARKS",
    "code_of",
    "identifier",
    "json_text",
    "line",
    "literal",
    "original",
    "pasted",
    "terminal",
    "toml",
    "toml_value",
]

MOST_MARKS = 3
"""Combining marks of one character: no writing of names needs more, and they grow out of a line."""
LONGEST_LINE = 8_000
"""Characters of a line: journald divides a line of 48 KiB, and would read the rest as another."""
_BMP = 0xFFFF

_OTHERS = re.compile(r"[^ -~]+")
_AMBIGUOUS = re.compile(r"\\(?=[\\uU]|[^ -~])")
_CODE = re.compile(r"\\(?:(\\)|u([0-9a-f]{4})|U([0-9a-f]{8}))")
_BLANK = frozenset(
    map(
        chr,
        (
            0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x2800, 0x3164,
            *range(0xFE00, 0xFE10), 0xFFA0, 0x16FE4, 0x1D159, *range(0x1F1E6, 0x1F200),
            *range(0x1F3FB, 0x1F400), *range(0xE0100, 0xE01F0),
        ),
    )
)  # fmt: skip # ranges, a block of Unicode after another
"""What is no control, but is drawn as nothing, or changes how its neighbours are drawn."""


def code_of(code: int) -> str:
    """Return how a character is shown that is not visible."""
    return f"\\u{code:04x}" if code <= _BMP else f"\\U{code:08x}"


def _is_hidden(character: str) -> bool:
    return not character.isprintable() or character in _BLANK


def _is_joined(character: str) -> bool:
    """Tell whether a character takes no room of its own: marks, vowels and finals of Hangul."""
    is_hangul = "\u1160" <= character <= "\u11ff" or "\ud7b0" <= character <= "\ud7fb"
    return is_hangul or unicodedata.category(character).startswith("M")


def _visible(text: str, spell: Callable[[int], str]) -> str:
    """Return a text in which `spell` has written what is not visible."""
    if text.isascii() and text.isprintable():
        return text

    def run(found: re.Match[str]) -> str:
        before = found.string[found.start() - 1 : found.start()]
        has_base, marks = before not in {"", " "}, 0
        written = []
        for character in found[0]:
            if _is_hidden(character):
                is_kept = has_base = False
            elif _is_joined(character):
                marks += 1
                is_kept = has_base and marks <= MOST_MARKS
            else:
                is_kept = has_base = True
                marks = 0
            written.append(character if is_kept else spell(ord(character)))
        return "".join(written)

    return _OTHERS.sub(run, text)


def terminal(text: str) -> str:
    r"""Return a text for a terminal, in one line; each of its characters has its own cells.

    >>> print(terminal("select '\x1b[2J'"), terminal("C\u202egnp.exe"), terminal("a\nb"))
    select '\u001b[2J' C\u202egnp.exe a\u000ab
    >>> print(terminal("no\\de"), terminal("\\u202e"))
    no\de \\u202e
    """
    return _visible(_AMBIGUOUS.sub(r"\\\\", text) if "\\" in text else text, code_of)


def original(text: str) -> str:
    r"""Return the text of which `terminal` made this one.

    >>> original(terminal("C\u202egnp.exe \\u")) == "C\u202egnp.exe \\u"
    True
    """
    return _CODE.sub(lambda code: code[1] or chr(int(code[2] or code[3], 16)), text)


_BREAK = re.compile(r"\s*[\r\n]\s*")


def line(text: str) -> str:
    r"""Return a message in one line, for a log or for standard error.

    >>> print(line("connection failed:\n\tno route\x07"))
    connection failed: no route\u0007
    """
    shown = terminal(_BREAK.sub(" ", text.strip()))
    return shown if len(shown) <= LONGEST_LINE else f"{shown[: LONGEST_LINE - 1]}…"


def pasted(text: str) -> str:
    r"""Return a text for the clipboard: the terminal that it is pasted into takes it for keys.

    >>> pasted("select 1\x1b[201~\n; drop")
    'select 1[201~ ; drop'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character if not _is_hidden(character) else " " if character.isspace() else ""
        for character in text
    )


# --- JSON, TOML and SQL ------------------------------------------------------------------


def json_text(written: str) -> str:
    r"""Return JSON in which each character is visible; written: as json.dumps makes it.

    >>> print(json_text('"\u202e商"'))
    "\u202e商"
    """
    return _visible(written, _in_json)


def _in_json(code: int) -> str:
    if code <= _BMP:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


_TOML_QUOTED = re.compile(r'["\\]')


def toml(text: str) -> str:
    r"""Return a text as a string of TOML, in which each character is visible.

    >>> print(toml('a"b\n\U000e0041'))
    "a\"b\u000a\U000e0041"
    """
    quoted = _TOML_QUOTED.sub(r"\\\g<0>", text)
    return f'"{_visible(quoted, _in_toml)}"'


def toml_value(value: object) -> str:
    """Return a value as TOML has it, on one line.

    >>> toml_value({"reads": "@synced", "block": {"newest": ["a", "b"], "limit": True}})
    '{ reads = "@synced", block = { newest = ["a", "b"], limit = true } }'
    """
    if isinstance(value, Mapping):
        pairs = (f"{key} = {toml_value(item)}" for key, item in value.items())
        return f"{{ {', '.join(pairs)} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml_value, value))}]"
    return toml(value) if isinstance(value, str) else str(value).lower()


def _in_toml(code: int) -> str:
    # TOML has no surrogates, and no name of a server has.
    return code_of(code if not 0xD800 <= code < 0xE000 else 0xFFFD)  # noqa: PLR2004 - Unicode's


def identifier(name: str) -> str:
    r"""Return a name as SQL writes it, which `terminal` leaves as it is.

    >>> print(identifier('my "own" one'), identifier("C\u202egnp"))
    "my ""own"" one" U&"C\202egnp"
    """
    return _quoted(name, '"')


def literal(text: str) -> str:
    r"""Return a text as a literal of SQL, which `terminal` leaves as it is.

    >>> print(literal("it's"), literal("\x1b"))
    'it''s' U&'\001b'
    """
    return _quoted(text, "'")


def _quoted(text: str, quote: str) -> str:
    doubled = text.replace(quote, quote * 2)
    if terminal(text) == text:
        return f"{quote}{doubled}{quote}"
    written = _visible(doubled.replace("\\", _in_sql(ord("\\"))), _in_sql)
    return f"U&{quote}{written}{quote}"


def _in_sql(code: int) -> str:
    return f"\\{code:04x}" if code <= _BMP else f"\\+{code:06x}"
