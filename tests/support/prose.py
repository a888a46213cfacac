"""Prose that a person reads, without the code, SQL and quoted output in it, and its faults."""

import ast
import re
from collections.abc import Iterator, Mapping

INSTEAD: Mapping[str, str] = {
    r"told": "reported, recorded, shown",
    r"said": "reported, stated",
    r"asked": "queried, requested, asked for: requested",
    r"seen": "visible, observed",
    r"given": "set, passed, named",
    r"whose": "of which, with",
    r"anew": "again",
    r"lately": "recent",
    r"lest": "so that … not",
    r"stood": "was",
    r"for ever": "sustained (IOPS), indefinitely (time)",
    r"so (?:many|long)(?! as)": "N, the number of, the length of",
    r"(?:in|for|over|through|of) a time(?! (?:window|zone|range|limit|series))": "a time window",
    r"time of a history": "time window",
    r"sittings?": "session",
    r"mend(?:s|ed|ing)?": "fix, recovered",
    r"who (?:reads?|asks?|writes?|seals?)": "which queries read; the reader, the writer",
    r"what is (?:sealed|shown|asked|to be known|kept|written)": "the noun itself",
    r"(?:un)?seal(?:s|ed|ing)?": "compact",
    r"ticks?": "interval",
    r"unsure": "inconclusive",
    r"burn(?:s|ed|ing)": "consume credits",
    r"pgiostat itself": "pgiostat",
    r"(?:is|are|was|were|be|been|being) shipped": "uploaded",
    r"shipping": "upload",
    r"(?:anybody|somebody|whoever)": "a reader, a user, another process; passive voice",
    r"dear": "expensive",
    r"readings": "snapshots",
    r"fore(?:told|seen)": "predicted",
    r"(?:the|an?|its|each|at|by) begin": "start",
    r"(?:is|are) no (?:SQL|text|number|part)": "is not",
    r"(?:play|plays) (?:no|a) part": "is ignored, does not depend on",
    r"of yours": "your own",
    r"(?:(?<=, )|(?<=\())as (?:in )?(?:CODE|--\w+|\S*[:=.\d/]\w+)": "for example",
}
"""Patterns of words that a text must not have, and what to write instead."""

MOST_WORDS = 35
"""Words of the longest sentence that a page may have."""

_FENCE = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,}|~{3,}).*?^(?P=indent)(?P=fence)\s*$", re.MULTILINE | re.DOTALL
)
_AFTER_CODE = re.compile(r"^(?:`{3,}|~{3,})[ \t]*\n\s*(?P<line>[a-z].*)$", re.MULTILINE)
_INDENTED = re.compile(r"(?<=\n\n)(?: {4}.*\n)+")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
_IMAGE = re.compile(r"!\[(.*?)\]\([^)]*\)")
_LINK = re.compile(r"\[(.*?)\]\([^)]*\)", re.DOTALL)
_BLOCK_START = re.compile(r"^\s*(?:[-*+] |\d+\. |\||#|>)")
_SENTENCE_END = re.compile(r"(?<!\be\.g\.)(?<!\bi\.e\.)(?<=[.!?])[\"')*_]*(?:\s+(?=[\"'(*_]*\w)|$)")
_SQL = re.compile(
    r"\s*(?:--|WITH|SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|EXPLAIN|GRANT|SET)\s"
)


def forbidden(text: str) -> list[str]:
    """Return each forbidden word or phrase of a text, with what to write instead."""
    return [
        f"{found.group(0)!r} (better: {better})"
        for pattern, better in INSTEAD.items()
        for found in re.finditer(rf"(?<![\w-]){pattern}(?![\w-])", text, re.IGNORECASE)
    ]


def plain(page: str) -> str:
    """Return Markdown without comments and the addresses of links; each word of code is CODE."""
    for pattern in (_FENCE, _INDENTED, _COMMENT):
        page = pattern.sub("\n", page)
    page = _CODE.sub(lambda found: " ".join(["CODE"] * len(found[0].split())), page)
    return _LINK.sub(r"\1", _IMAGE.sub(r"\1", page))


def blocks(page: str) -> Iterator[str]:
    """Yield the paragraphs, items of lists, headings and cells of tables of Markdown."""
    lines: list[str] = []
    for line in [*plain(page).splitlines(), ""]:
        if not line.strip() or _BLOCK_START.match(line):
            if lines:
                yield from _cells(" ".join(lines))
            lines = []
        if line.strip():
            lines.append(line.strip())


def _cells(block: str) -> Iterator[str]:
    if block.startswith("|"):
        yield from (cell.strip() for cell in block.strip("|").split("|"))
    else:
        yield re.sub(r"^(?:[-*+]|\d+\.|#+|>) ", "", block)


def sentences(block: str) -> list[str]:
    """Return the sentences of a block of text."""
    return [each.strip() for each in _SENTENCE_END.split(block) if each and each.strip()]


def long_sentences(page: str) -> list[str]:
    """Return the sentences of Markdown that have more than MOST_WORDS words."""
    return [
        sentence
        for block in blocks(page)
        for sentence in sentences(block)
        if len(re.findall(r"[\w'/%.,-]*\w[\w'/%.,-]*", sentence)) > MOST_WORDS
    ]


def continued(page: str) -> list[str]:
    """Return the lines after a block of code that continue a sentence from before it."""
    return [found["line"] for found in _AFTER_CODE.finditer(page)]


def messages(tree: ast.Module) -> Iterator[str]:
    """Yield the texts of a module that can reach a person: phrases that are no SQL, no docstring.

    The parts of an f-string or of adjacent literals are one text, with "…" for each value.
    """
    inner: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            # A docstring, of a definition or of an attribute.
            inner.add(id(node.value))
        if isinstance(node, ast.JoinedStr):
            inner.update(id(part) for part in node.values)
            yield from _phrase("".join(_part(part) for part in node.values))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
            yield from _phrase(node.value)


def _part(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else "…"


def _phrase(text: str) -> Iterator[str]:
    if re.search(r"[A-Za-z]\S* +\S*[A-Za-z]", text) and not _SQL.match(text):
        yield text
