"""How fast the normalizer is, and how often right, on a file of cases.

    python benchmarks/normalizer.py FILE [--rules RULES] [--json]

FILE has one JSON object a line, with sql, or with raw and pgss: a text, and what the server
showed for it. What is expected may stand beside it: expected_category, and
expected_fingerprint_group, the same for texts that must have one fingerprint. texts_per_s is for
fingerprints alone; sqlparse's lexer, and libpg_query's fingerprint if postgast is installed, are
measured beside it. What is made to be slow is timed at two lengths.
"""

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from sqlparse.lexer import tokenize

from pgiostat.queries.fingerprint import fingerprint, normalize
from pgiostat.queries.rules import Classifier, builtin, load

try:
    import postgast
except ImportError:  # a candidate to compare with, not ours to need
    postgast = None

REPEATS = 5
SECONDS = 0.5
"""Each repetition takes at least so long: a handful of texts is read over and over."""


@dataclass
class Result:
    """What was found; shares are None where the file expects nothing."""

    errors: int = 0
    slowest_s: float = 0.0
    categories: list[bool] = field(default_factory=list)
    groups: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    misses: list[str] = field(default_factory=list)

    def figures(self) -> dict[str, float | int | None]:
        """Return the figures that are printed."""
        merged: defaultdict[str, set[str]] = defaultdict(set)
        for group, fingerprints in self.groups.items():
            for one_of in fingerprints:
                merged[one_of].add(group)
        exact = [len(fingerprints) == 1 for fingerprints in self.groups.values()]
        return {
            "category_accuracy": share(self.categories),
            "groups_exact": share(exact),
            "wrong_merges": sum(len(groups) - 1 for groups in merged.values()),
            "errors": self.errors,
            "slowest_s": round(self.slowest_s, 4),
        }


def share(of: list[bool]) -> float | None:
    """Return the share of what is true; None of nothing."""
    return round(sum(of) / len(of), 4) if of else None


def judge(cases: list[dict[str, str]], classifier: Classifier) -> Result:
    """Classify each text once and compare with what is expected of it."""
    result = Result()
    for number, case in enumerate(cases):
        # A pair must have one fingerprint; whether other pairs share it is not known.
        group = case.get("expected_fingerprint_group", f"pair {number}" if "raw" in case else "")
        for key in ("sql", "raw", "pgss"):
            if key in case:
                one(case, case[key], group, classifier, result)
    if any("raw" in case for case in cases):
        split = sum(len(found) > 1 for found in result.groups.values())
        result.misses.append(f"pairs with two fingerprints: {split} of {len(result.groups)}")
    return result


def one(
    case: dict[str, str],
    text: str,
    group: str,
    classifier: Classifier,
    result: Result,
) -> None:
    """Classify one text."""
    started = time.perf_counter()
    try:
        found = classifier.classify(text)
    except Exception as error:  # noqa: BLE001 - any exception is what is counted here
        result.errors += 1
        result.misses.append(f"{error!r}: {text[:100]!r}")
        return
    result.slowest_s = max(result.slowest_s, time.perf_counter() - started)
    if group:
        result.groups[group].add(found.normalized.fingerprint)
    expected = case.get("expected_category")
    if expected is not None:
        result.categories.append(found.category == expected)
        if found.category != expected:
            result.misses.append(
                f"{expected} was {found.category} ({found.match.rule}): {text[:100]!r}"
            )


def speeds(texts: list[str]) -> dict[str, int | None]:
    """Return texts a second of each candidate, in turns, the median of some repetitions."""
    candidates: dict[str, Callable[[str], object]] = {
        "texts_per_s": fingerprint,
        "normalized_per_s": normalize,
        "sqlparse_lexer_per_s": lambda text: list(tokenize(text)),  # type: ignore[no-untyped-call]
    }
    if postgast is not None:
        candidates["postgast_per_s"] = parsed
    rates: defaultdict[str, list[float]] = defaultdict(list)
    for _ in range(REPEATS):
        for name, candidate in candidates.items():
            rates[name].append(rate(candidate, texts))
    return {name: round(median(measured)) for name, measured in rates.items()}


def rate(candidate: Callable[[str], object], texts: list[str]) -> float:
    """Return how many texts a second a candidate does."""
    done = 0
    started = time.perf_counter()
    while (elapsed := time.perf_counter() - started) < SECONDS:
        for text in texts:
            candidate(text)
        done += len(texts)
    return done / elapsed


def parsed(text: str) -> str | None:
    """Return libpg_query's fingerprint; None for what it cannot parse."""
    try:
        return str(postgast.fingerprint(text).hex)
    except postgast.PgQueryError:
        return None


HOSTILE: dict[str, Callable[[int], str]] = {
    "a list": lambda n: f"SELECT a FROM t WHERE id IN ({', '.join(map(str, range(n)))})",
    "rows": lambda n: "INSERT INTO t VALUES " + ", ".join(f"({i}, 'abc')" for i in range(n)),
    "parentheses": lambda n: "SELECT " + "(" * n,
    "subqueries": lambda n: "SELECT * FROM " + "(SELECT * FROM t, " * n,
    "single quotes": lambda n: "SELECT " + "'" * (n + 1),
    "double quotes": lambda n: "SELECT " + '"' * (n + 1),
    "dollar quotes": lambda n: "SELECT " + "$a$b" * n,
    "comments": lambda n: "SELECT " + "/*" * n,
    "signs": lambda n: "SELECT " + "- " * n + "1",
    "operators": lambda n: "SELECT " + "+" * n,
    "aliases": lambda n: "SELECT 1 FROM " + ", ".join(f"t a{i}" for i in range(n)),
    "columns": lambda n: "SELECT " + ", ".join(f"a AS b{i}" for i in range(n)) + " ORDER BY b0",
}
"""Texts made to be slow."""
SMALL = 25_000
FACTOR = 4


def growth() -> Iterator[tuple[str, float, float]]:
    """Yield each hostile text with its seconds, and how much longer four times as much takes."""
    for name, make in HOSTILE.items():
        small, large = (
            min(timed(text) for _ in range(2)) for text in map(make, (SMALL, FACTOR * SMALL))
        )
        yield name, large, large / small


def timed(text: str) -> float:
    """Return the seconds of one text."""
    started = time.perf_counter()
    normalize(text)
    return time.perf_counter() - started


def main() -> None:
    """Print the figures of one file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--rules", type=Path)
    parser.add_argument("--json", action="store_true", help="one object of figures as last line")
    options = parser.parse_args()
    with options.file.open(encoding="utf-8") as lines:
        cases = [json.loads(line) for line in lines if line.strip()]
    rules = load(options.rules) if options.rules else builtin()
    result = judge(cases, Classifier(rules))
    figures = result.figures()
    if any("raw" in case for case in cases):  # two pairs may well be one statement
        figures["wrong_merges"] = None
    texts = [case[key] for case in cases for key in ("sql", "raw", "pgss") if key in case]
    figures |= speeds(texts)
    for miss in result.misses:
        print(miss, file=sys.stderr)
    for name, value in figures.items():
        print(f"{name:<21} {'–' if value is None else value}")
    print(f"\n{'hostile text':<15} {FACTOR * SMALL:,} of it   grows by, four times as long")
    for name, seconds, factor in growth():
        print(f"{name:<15} {seconds * 1000:8.1f} ms   {factor:.1f}")
    if options.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
