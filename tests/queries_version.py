"""Hold `pgiostat.queries.version` against the sources: python -m tests.queries_version [--keep].

Cached categories are valid as long as the code that determined them is the same. After a change the
command raises VERSION, and writes the digest of the sources beside it. With --keep VERSION stays,
for a change that leaves every category the same: a new name of a function, say.

The digest is of the tokens. Comments, docstrings and the layout of a file do not change it.
"""

import io
import re
import sys
import tokenize
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

import pgiostat
from pgiostat.queries import version

PACKAGE = Path(pgiostat.__file__).parent
DETERMINING = (
    "queries/describe.py",
    "queries/features/*.py",
    "queries/fingerprint/*.py",
    "queries/rules/*.py",
    "queries/rules/presets/*.toml",
    "statistics/names.py",
    "statistics/statement.py",
)
"""Everything that a category follows from, apart from the statement and a user's rules.

queries/rules/suggest writes rules, and classifies nothing.
"""
LAYOUT = {tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
F_STRING = {
    getattr(tokenize, "FSTRING_START", None): 1,
    getattr(tokenize, "FSTRING_END", None): -1,
}
"""From Python 3.12 on an f-string is several tokens; here it is one, as before."""


def tokens(source: str) -> Iterator[str]:
    """Yield the tokens of a Python source as written, without comments, docstrings and layout."""
    lines = source.splitlines(keepends=True)
    depth, begin, statement = 0, (0, 0), True
    read = tokenize.generate_tokens(io.StringIO(source).readline)
    found = [token for token in read if token.type not in {tokenize.COMMENT, tokenize.NL}]
    for token, after in zip(found, [*found[1:], found[-1]], strict=True):
        step = F_STRING.get(token.type, 0)
        if step > 0 and not depth:
            begin = token.start
        depth += step
        if step < 0 and not depth:
            yield _between(lines, begin, token.end)
        elif not depth and token.type not in LAYOUT:
            is_docstring = token.type == tokenize.STRING and statement
            if not (is_docstring and after.type == tokenize.NEWLINE):
                yield token.string
        statement = token.type in LAYOUT


def _between(lines: list[str], begin: tuple[int, int], end: tuple[int, int]) -> str:
    (first, start), (last, stop) = begin, end
    if first == last:
        return lines[first - 1][start:stop]
    return "".join([lines[first - 1][start:], *lines[first : last - 1], lines[last - 1][:stop]])


def digest() -> str:
    """Return the digest of all sources that determine categories."""
    found = blake2b(digest_size=16)
    for path in sorted({path for glob in DETERMINING for path in PACKAGE.glob(glob)}):
        name = path.relative_to(PACKAGE).as_posix()
        source = path.read_text("utf-8")
        parts = tokens(source) if path.suffix == ".py" else [source]
        found.update("\0".join([name, *parts, ""]).encode())
    return found.hexdigest()


def main() -> None:
    """Write both constants if the sources are others."""
    path, sources = Path(version.__file__), digest()
    if sources == version.SOURCES:
        return
    number = version.VERSION + ("--keep" not in sys.argv)
    text = re.sub(r"(?m)^VERSION = .*$", f"VERSION = {number}", path.read_text("utf-8"))
    text = re.sub(r"(?m)^SOURCES = .*$", f'SOURCES = "{sources}"', text)
    path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
