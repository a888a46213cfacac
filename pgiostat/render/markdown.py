"""Names, statements and sentences in Markdown, written so that nothing in them acts."""

import re
from itertools import groupby

from pgiostat.escape import code_of, terminal

__all__ = ["code", "name", "sentence"]

_PLAIN_WORD = re.compile(
    r"""
    [("“]{0,2}
    (?: [+−-]? \d+ (?:[.,:]\d+)* [^\W\d_]{0,3} | [^\W_]+ (?:[-_/'][^\W_]+)* )
    %? [)"”]{0,2} [,;:.?!…]?
    | [–…·→×%] [)]? [,;:.]?
    """,
    re.VERBOSE,
)
_REFERENCE = re.compile(r"\W*(?:[a-z][a-z0-9_]*-\d+|[0-9a-f]{7,40})\W*", re.IGNORECASE)
"""What sites make a link to an issue (GH-1, GL-1, PROJ-1) or to a commit of."""
_NUMBERED = re.compile(r"\d+[.)]")
_SYNTAX = re.compile(
    r"\\?(?:`|!(?=\[)|(?<=\])[(\[:]|:(?=//)|(?<=www)\.|<(?=[a-z/!?])|&(?=\#?\w+;)|\*(?=\*)|~(?=~))",
    re.IGNORECASE,
)
"""What begins a link, a picture, a tag or the like: shown by its code within code too, so that it
is none either for a parser that ends the code elsewhere."""


def _is_plain(word: str) -> bool:
    """Tell whether a word is no syntax anywhere, nor what web sites make a link or a picture of."""
    return _PLAIN_WORD.fullmatch(word) is not None and _REFERENCE.fullmatch(word) is None


def name(text: str, *, cell: bool = False) -> str:
    r"""Return a name or a statement for Markdown: plain words stay, all else becomes code.

    Code is the one thing in which neither Markdown nor a web site that shows it looks for links,
    mentions or emoji. cell: it stands in a table.

    >>> print(name("invoice rows"), name("[l](http://e/)"), name("a|`b", cell=True))
    invoice rows `[l]\u0028http\u003a//e/)` `a\|\u0060b`
    """
    shown = terminal(text)
    words = shown.split(" ")
    if not shown or (all(map(_is_plain, words)) and not _NUMBERED.fullmatch(words[0])):
        return shown
    return _code(shown, cell=cell)


def sentence(text: str, *, cell: bool = False) -> str:
    r"""Return a sentence with names in it: words that are not plain become code.

    >>> print(sentence("raise pg_stat_statements.max on **prod**, soon"))
    raise `pg_stat_statements.max` on `\u002a*prod\u002a*,` soon
    """
    words = terminal(text.strip()).split(" ")
    starts_list = bool(_NUMBERED.fullmatch(words[0]))
    marked = [(_is_plain(word) and not (starts_list and n == 0), word)
              for n, word in enumerate(words)]  # fmt: skip
    parts = []
    for is_plain, group in groupby(marked, key=lambda each: each[0]):
        run = " ".join(word for _, word in group)
        parts.append(run if is_plain or not run.strip() else _code(run, cell=cell))
    return " ".join(parts)


def code(text: str, *, cell: bool = False) -> str:
    """Return a text as code, whatever it is."""
    return _code(terminal(text), cell=cell)


def _code(shown: str, *, cell: bool) -> str:
    if not shown:
        return ""
    shown = _SYNTAX.sub(lambda found: "".join(code_of(ord(each)) for each in found[0]), shown)
    if cell:
        # Parsers disagree about a backslash before the one that keeps a bar from ending the cell.
        shown = re.sub(r"\\(?=\|)", r"\\u005c", shown).replace("|", "\\|")
    # A parser takes one blank away from both ends, if there is anything else.
    pad = " " if shown[0] == shown[-1] == " " and shown.strip() else ""
    return f"`{pad}{shown}{pad}`"
