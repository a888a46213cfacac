"""PostgreSQL's own scanner, by way of libpg_query, beside ours.

    python benchmarks/scanner.py FILE

FILE has one JSON object a line, with sql. What PostgreSQL's scanner refuses (an unterminated
string, junk after a number) is no case: there ours has to say something all the same.
"""

import json
import sys
from pathlib import Path

import postgast

from pgiostat.queries.fingerprint import lexer


def theirs(text: str) -> list[str] | None:
    """Return the tokens of PostgreSQL's scanner as written; None where it gives an error."""
    try:
        found = postgast.scan(text).tokens
    except postgast.PgQueryError:
        return None
    raw = text.encode()
    return merged([raw[token.start : token.end].decode() for token in found])


def merged(tokens: list[str]) -> list[str]:
    """Return tokens with what we take as one: N'text', which is a word and a string there."""
    result: list[str] = []
    for token in tokens:
        if token.startswith("'") and result and result[-1] in {"N", "n"}:
            result[-1] += token
        else:
            result.append(token)
    return result


def ours(text: str) -> list[str]:
    """Return the tokens of our lexer as written, of which adjacent strings are one."""
    result: list[str] = []
    position = 0
    for raw in lexer.raws(lexer.decode(text)):
        start = text.index(raw, position)
        between = text[position:start]
        if raw.startswith("'") and result and result[-1].endswith("'") and "\n" in between:
            result[-1] += between + raw
        else:
            result.append(raw)
        position = start + len(raw)
    return result


def main() -> None:
    """Print how many texts of a file both cut alike."""
    with Path(sys.argv[1]).open(encoding="utf-8") as lines:
        texts = [json.loads(line)["sql"] for line in lines if line.strip()]
    scanned = [(text, theirs(text)) for text in texts]
    cases = [(text, tokens) for text, tokens in scanned if tokens is not None]
    unlike = [text for text, tokens in cases if ours(text) != tokens]
    for text in unlike:
        print(f"unlike: {text[:100]!r}")
    print(f"{len(cases) - len(unlike)} of {len(cases)} alike, {1 - len(unlike) / len(cases):.2%}")
    print(f"{len(texts) - len(cases)} more that PostgreSQL's scanner refuses")


if __name__ == "__main__":
    main()
