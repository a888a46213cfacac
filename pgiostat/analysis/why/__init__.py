"""Why a statement reads more than before: one module for each cause, tried in order.

A cause is a function `find(evidence)` in the list of the term that it moves; it may return None. To
add one, add its module and its place in that list.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from pgiostat.analysis.why import (
    dead_rows,
    foreign_key,
    full_index_scan,
    index_changed,
    lossy_bitmap,
    more_calls,
    more_rows,
    new_statement,
    partitions,
    plan,
    plan_setting,
    pressure,
    restart,
    scattered_rows,
    sequential_scan,
    spill,
    standing,
    toast,
    vacuum,
    visibility_map,
    working_set,
)
from pgiostat.analysis.why.evidence import StatementEvidence
from pgiostat.analysis.why.finding import Cause, CauseFinding, Certainty, Figure
from pgiostat.analysis.why.terms import LEAST_CALLS, LEAST_SECONDS, Term, enough, moved_terms

__all__ = [
    "CAUSES",
    "LEAST_CALLS",
    "LEAST_SECONDS",
    "Cause",
    "CauseFinding",
    "Certainty",
    "Explanation",
    "Figure",
    "WhyOutcome",
    "explain",
]

CAUSES: Mapping[Term, tuple[Callable[[StatementEvidence], CauseFinding | None], ...]] = {
    Term.TOUCHED: (
        partitions.find,
        foreign_key.find,
        index_changed.find,
        toast.find,
        sequential_scan.find,
        full_index_scan.find,
        plan.find,
        lossy_bitmap.find,
        visibility_map.find,
        plan_setting.find,
        dead_rows.find,
        more_rows.find,
        scattered_rows.find,
    ),
    Term.MISSES: (restart.find, pressure.find, vacuum.find, working_set.find),
    Term.CALLS: (more_calls.find,),
    Term.TEMP: (spill.find,),
}
"""The causes of each term, in the order in which they are tried: the first that fits is named."""


class WhyOutcome(StrEnum):
    """What became of the question.

    Attributes:
        FOUND: A cause was found.
        NO_CAUSE: It reads more, and no cause fits.
        NO_GROWTH: Nothing grew by more than chance.
        NOT_ENOUGH: The windows are too short, or have too few calls.
        ONE_WINDOW: There is no window to compare with.
    """

    FOUND = "cause found"
    NO_CAUSE = "no cause found"
    NO_GROWTH = "no growth"
    NOT_ENOUGH = "not enough data"
    ONE_WINDOW = "one window"


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a statement reads more.

    Attributes:
        outcome: Whether a cause was found.
        terms: What grew, the one first that added most reads.
        findings: A cause for each of these at most; the first is the main one.
        standing: Causes that the window after shows by itself, whether or not anything grew.
    """

    outcome: WhyOutcome
    terms: tuple[Term, ...] = ()
    findings: tuple[CauseFinding, ...] = ()
    standing: tuple[CauseFinding, ...] = ()


def explain(evidence: StatementEvidence) -> Explanation:
    """Return why a statement reads more in the window after than in the one before."""
    is_alone = evidence.is_alone and enough(evidence.after)
    known = evidence if evidence.compares_tables else replace(evidence, tables=())
    found = Explanation(WhyOutcome.ONE_WINDOW) if is_alone else _grown(known)
    named = {each.cause for each in found.findings}
    tables = {each.table for each in found.findings} - {""}
    stands = tuple(
        each
        for each in standing.find(evidence)
        # What changed about a table explains how it stands.
        if each.cause not in named and each.table not in tables
    )
    return replace(found, standing=stands)


def _grown(evidence: StatementEvidence) -> Explanation:
    before, after = evidence.before, evidence.after
    if not enough(after) or before.seconds < LEAST_SECONDS:
        return Explanation(WhyOutcome.NOT_ENOUGH)
    if (found := new_statement.find(evidence)) is not None:
        return Explanation(WhyOutcome.FOUND, (), (found,))
    if not enough(before):
        return Explanation(WhyOutcome.NOT_ENOUGH)
    terms = moved_terms(evidence).moved
    if not terms:
        return Explanation(WhyOutcome.NO_GROWTH)
    main = _first(evidence, terms[0])
    if main is None:
        # The larger term has no cause: a smaller one's must not be named in its place.
        return Explanation(WhyOutcome.NO_CAUSE, terms)
    others = [_first(evidence, term) for term in terms[1:]]
    findings = (main, *(each for each in others if each is not None))
    return Explanation(WhyOutcome.FOUND, terms, findings)


def _first(evidence: StatementEvidence, term: Term) -> CauseFinding | None:
    return next((found for find in CAUSES[term] if (found := find(evidence)) is not None), None)
