"""Documents in Markdown, with names, statements and sentences in which nothing acts."""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, TextIO

from pgiostat.escape import code_of, terminal
from pgiostat.render.column_format import Format, column_formats
from pgiostat.render.column_format import shown as shown_value
from pgiostat.render.document import Document, Mark, Table

__all__ = ["code", "name", "sentence", "write"]

_PLAIN_WORD = re.compile(
    r"""
    [("“]{0,2}
    (?: [+−-]? \d+ (?:[.,:]\d+)* [^\W\d_]{0,3} | [^\W_]+ (?:[-_/'][^\W_]+)* )
    %? [)"”]{0,2} [,;:.?!…]?
    | [(]? [–…·→×%] [)]? [,;:.]?
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


def write(document: Document, out: TextIO) -> None:
    """Write a document for a page or an issue."""
    tables = (_table(table) for table in document.tables if not table.extra)
    blocks = ["\n".join(lines) for lines in (*_head(document), *tables)]
    out.write("\n\n".join(block for block in blocks if block) + "\n")


def _head(document: Document) -> Iterator[Iterable[str]]:
    """Yield the lines of each block above the tables."""
    facts = [fact for fact in document.facts if fact != document.summary]
    if document.summary:
        yield [f"**{name(document.subject)}**, {sentence(document.summary)}."]
    else:
        facts += ("".join(text for text, _, _ in pieces) for pieces in document.head if pieces)
    notes = (note[0] for note in document.notes)
    bullets = (*facts, *document.findings, *document.warnings, *notes)
    yield [f"- {sentence(line)}" for line in bullets]
    if document.conclusion is not None:
        found, how = document.conclusion
        yield [f"**{sentence(found)}** {sentence(f'({how})')}"]


def _table(table: Table) -> Iterator[str]:
    shown = [n for n, column in enumerate(table.columns) if not column.extra]
    shown.sort(key=lambda n: not table.columns[n].rest)
    columns = [table.columns[n] for n in shown]
    yield _row(name(column.heading, cell=True) for column in columns)
    yield f"|{''.join('---:|' if column.right else '---|' for column in columns)}"
    rows = [[row[n] for n in shown] for row in table.rows]
    formats = column_formats(columns, rows)
    for row in rows:
        yield _row(_cell(value, each) for value, each in zip(row, formats, strict=True))


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: Any, each: Format | None) -> str:
    value = value.value if isinstance(value, Mark) else value
    return name(value, cell=True) if each is None else shown_value(value, each)


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
    raise `pg_stat_statements.max` on `\u002a*prod\u002a*`, soon
    """
    words = list(filter(None, terminal(text).split(" ")))
    plain = list(map(_is_plain, words))
    plain[:1] = [each and not _NUMBERED.fullmatch(words[0]) for each in plain[:1]]
    parts = []
    for is_plain, group in groupby(zip(plain, words, strict=True), key=lambda each: each[0]):
        run = " ".join(word for _, word in group)
        # A comma or a colon after a name is not part of it.
        bare = run.rstrip(",.:;")
        end = run[len(bare) :]
        parts.append(run if is_plain or not bare else f"{_code(bare, cell=cell)}{end}")
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
