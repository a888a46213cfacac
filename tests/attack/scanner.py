"""Statement texts beside PostgreSQL's own scanner, which says where their constants are."""

import random
from collections import Counter

from pgiostat.queries.fingerprint import normalize
from tests.attack import Outcome, Scale
from tests.support.secret_texts import CONTROL, leaked
from tests.support.soup import FRAGMENTS, joined

TEXTS, QUICK_TEXTS = 1_000_000, 30_000
LONGEST = 14
"""Fragments of a text."""
FAULTS = (
    "a constant or comment was shown, under either setting of standard_conforming_strings",
    "normalizing it again changed it",
    "a control character was shown",
    "an exception",
)
LEAK, MOVED, CONTROLS, CRASH = FAULTS


def attack(scale: Scale) -> Outcome:
    """Normalize many texts that nobody would send, and look for what may not be there."""
    texts = QUICK_TEXTS if scale.quick else TEXTS
    draw = random.Random(texts)  # noqa: S311 - equal runs give equal rows
    found: Counter[str] = Counter()
    failures = []
    for _ in range(texts):
        parts = draw.choices(FRAGMENTS, k=draw.randint(1, LONGEST))
        text = joined(part + draw.choice(["", "", " ", "\n"]) for part in parts)
        faults = _faults(text)
        found.update(faults)
        failures += [f"{fault}: {text!r}" for fault in faults]
    rows: list[tuple[str, ...]] = [(fault, f"{found[fault]} of {texts:,}") for fault in FAULTS]
    return Outcome(
        "Texts beside PostgreSQL's scanner",
        f"{texts:,} texts were composed of constants with a mark in them, comments and words of"
        " the grammar, and normalized. A lexer of the tests, which is compared with PostgreSQL's"
        " scanner, finds the constants. A cell counts the texts with that fault.",
        ("fault", "texts"),
        rows,
        failures[:20],
    )


def _faults(text: str) -> list[str]:
    """Return what is wrong with how a text is shown."""
    try:
        shown = normalize(text)
        again = normalize(shown.text)
    except Exception:  # noqa: BLE001 - that there is none is what is tried
        return [CRASH]
    is_wrong = {
        LEAK: bool(leaked(text, shown.text)),
        MOVED: (again.text, again.fingerprint) != (shown.text, shown.fingerprint),
        CONTROLS: CONTROL.search(shown.text) is not None,
    }
    return [fault for fault, holds in is_wrong.items() if holds]
