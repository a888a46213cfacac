"""Standard streams, as the parent process left them: closed, full, or of another encoding."""

import codecs
import os
import sys
import unicodedata
from contextlib import suppress
from typing import TextIO

__all__ = ["escape_as_json", "flush", "forget", "prepare"]

PLAIN, JSON = "pgiostat-plain", "pgiostat-json"
_BRAILLE = range(0x2800, 0x2900)
_PLAIN_FOR = {
    "–—−─━═╌┄╴╶╸╺·": "-",
    "…": ".",
    "×": "x",
    "µμ": "u",
    "→⟶▶": ">",
    "←⟵◀": "<",
    "↑▲": "^",
    "↓▼": "v",
    "≤": "<",
    "≥": ">",
    "≈±": "~",
    "\u201c\u201d\u201e": '"',
    "\u2018\u2019\u201a": "'",
    "•●○": "*",
    "│┃║╎┆▏▕": "|",
    "┌┐└┘├┤┬┴┼╭╮╰╯╔╗╚╝╠╣╦╩╬┏┓┗┛┣┫┳┻╋": "+",
    "▁␣": "_",
    "▂": ".",
    "▃": "-",
    "▄": "=",
    "▅": "+",
    "▆": "*",
    "▇█▉▊▋▌▍▎▐▀░▒▓■": "#",
    "\u00a0\u2007\u2009\u202f\u2800": " ",
}
_PLAIN = {letter: plain for letters, plain in _PLAIN_FOR.items() for letter in letters}


def prepare() -> None:
    """Make every standard stream exist and accept every character.

    A closed stream would leave its descriptor to the next file that is opened, and a library's
    messages would go into that file. The stream opened in its place cannot be used: writing fails
    as on a closed stream, and not before.
    """
    codecs.register_error(PLAIN, _plain)
    codecs.register_error(JSON, _json)
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free descriptor is this one.
            os.open(os.devnull, os.O_RDONLY if mode == "w" else os.O_WRONLY)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - it stays
    _escape(sys.stdout, PLAIN)
    _escape(sys.stderr, PLAIN)


def escape_as_json() -> None:
    """Make JSON on standard output escape, as JSON does, what its encoding lacks."""
    _escape(sys.stdout, JSON)


def flush(stream: TextIO) -> None:
    """Write the rest at the end, when an error can no longer be reported."""
    try:
        stream.flush()
    except (OSError, ValueError):
        forget(stream)


def forget(stream: TextIO) -> None:
    """Keep Python from flushing a stream once more at the end, and failing."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    with suppress(OSError, ValueError):
        stream.flush()


def _escape(stream: TextIO, errors: str) -> None:
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:  # what a test puts in its place has none
        reconfigure(errors=errors)


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Return characters that every encoding has, as wide as those that it lacks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_plain_sign, error.object[error.start : error.end])), error.end


def _plain_sign(letter: str) -> str:
    if letter in _PLAIN:
        return _PLAIN[letter]
    if ord(letter) in _BRAILLE:
        return "."
    if unicodedata.combining(letter):
        return ""
    return "??" if unicodedata.east_asian_width(letter) in {"W", "F"} else "?"


def _json(error: UnicodeError) -> tuple[str, int]:
    """Return characters as JSON escapes them; they occur in strings only."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    pairs = (units[n : n + 2].hex() for n in range(0, len(units), 2))
    return "".join(f"\\u{unit}" for unit in pairs), error.end
