"""How fast the normalizer is, and how often right, on a file of cases.

    python benchmarks/normalizer.py FILE [--rules RULES] [--json]

FILE has one JSON object a line, with sql, or with raw and pgss: a text, and what the server
showed for it. What is expected may stand beside it: expected_category, and
expected_fingerprint_group, the same for texts that must have one fingerprint.
"""

import argparse
import json
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from pgiostat.fingerprint import normalize
from pgiostat.rules import Classifier, builtin, load

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
            for fingerprint in fingerprints:
                merged[fingerprint].add(group)
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


def speed(texts: list[str]) -> int:
    """Return how many texts are normalized a second, the median of some repetitions."""
    rates: list[float] = []
    for _ in range(REPEATS):
        done = 0
        started = time.perf_counter()
        while (elapsed := time.perf_counter() - started) < SECONDS:
            for text in texts:
                normalize(text)
            done += len(texts)
        rates.append(done / elapsed)
    return round(median(rates))


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
    figures["texts_per_s"] = speed(texts)
    for miss in result.misses:
        print(miss, file=sys.stderr)
    for name, value in figures.items():
        print(f"{name:<18} {'–' if value is None else value}")
    if options.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
