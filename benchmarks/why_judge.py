"""Judges what `pgiostat why` answers about the history of a run."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.why_run import HEALTHY, Meta
from pgiostat.analysis.why import Cause, Explanation, WhyOutcome
from pgiostat.analysis.why.evidence import StatementEvidence, Usage
from pgiostat.errors import PgiostatError
from pgiostat.history.read.history import History
from pgiostat.history.read.windows import Window
from pgiostat.queries.describe import describer
from pgiostat.queries.rules import rule_book
from pgiostat.reports.why import ExplainedStatement, why_report

__all__ = ["PAIR_SECONDS", "QUESTIONS", "Answer", "Verdict", "answer", "has_effect", "judge", "top"]

PAIR_SECONDS = 30
LABEL = "server"
LEAST_EFFECT = 1.33
QUESTIONS = ("top", "asked")
"""The answer about the statement with the largest growth of reads, and the one about the victim."""


class Verdict:
    """How an answer is judged.

    Attributes:
        RIGHT: The cause and the statement are those of the fault.
        NONE: No cause is named.
        WRONG: Another cause, or a cause of another statement.
    """

    RIGHT, NONE, WRONG = "right", "no cause", "wrong"


@dataclass(frozen=True, slots=True)
class Answer:
    """The main answer to a question.

    Attributes:
        verdict: How it is judged.
        cause: The name of the cause; otherwise the outcome.
        certainty: How sure it says it is.
        statement: The statement that it is about.
        growth: Blocks per second that the statement reads more.
    """

    verdict: str
    cause: str = ""
    certainty: str = ""
    statement: str = ""
    growth: float = 0.0


def judge(history: Path, meta: Meta) -> dict[str, Any]:
    """Return the verdicts on a run, and the evidence, for JSON.

    `top` is the answer about the statement with the largest growth of reads among those that are
    explained without an argument. `asked` is the answer about the victim, which is named as the
    argument. A pressure is followed to its root.
    """
    with closing(History.open(history)) as opened:
        windows = [
            Window(datetime.fromisoformat(since), datetime.fromisoformat(until), LABEL)
            for since, until in meta.windows
        ]
        if meta.fault == HEALTHY:
            return _healthy(opened, windows[0])
        explained = _explained(opened, windows, "")
        asked = _asked(opened, windows, meta)
        affected = [each for each in asked if has_effect(*_sides(each))]
        victim = max(affected or asked, key=_growth, default=None)
        return {
            "top": asdict(top(explained, meta)),
            "asked": asdict(answer(victim, meta) if victim else Answer(Verdict.NONE)),
            "effect": bool(affected),
            "statements": [_record(each) for each in explained],
            "victim": [_record(each) for each in asked if each not in explained],
        }


def _asked(history: History, windows: Sequence[Window], meta: Meta) -> list[ExplainedStatement]:
    """Return the statements that the fault may hit, at most five."""
    found = _explained(history, windows, meta.statement)
    return [each for each in found if _is_victim(each.evidence, meta)]


def _explained(
    history: History, windows: Sequence[Window], target: str
) -> Sequence[ExplainedStatement]:
    try:
        report = why_report(
            history,
            *windows,
            describe=describer(rule_book(preset="auto", by="--preset")),
            target=target,
        )
    except PgiostatError as error:
        if error.slug in {"statement-unknown", "window-empty"}:
            return ()
        raise
    return report.statements


def _plain(text: str) -> str:
    return " ".join(text.lower().replace('"', "").split())


def _is_victim(evidence: StatementEvidence, meta: Meta) -> bool:
    return meta.statement in _plain(evidence.name)


def _sides(each: ExplainedStatement) -> tuple[Usage, Usage]:
    return each.evidence.before, each.evidence.after


def has_effect(before: Usage, after: Usage) -> bool:
    """Return whether calls, blocks or spill files grew by a third, whatever the rules say of it."""
    if not before.calls:
        return after.calls > 0
    pairs = (
        (before.calls_per_s, after.calls_per_s, 0.0),
        (before.touched_per_call, after.touched_per_call, 1.0),
        (before.read_per_call, after.read_per_call, 0.5),
        (before.temp_per_call, after.temp_per_call, 1.0),
    )
    return any(
        (new or 0.0) >= LEAST_EFFECT * (old or 0.0) and (new or 0.0) - (old or 0.0) > least
        for old, new, least in pairs
    )


def _growth(each: ExplainedStatement) -> tuple[float, float]:
    before, after = each.evidence.before, each.evidence.after
    return (
        after.read_per_s - before.read_per_s,
        after.touched_per_s - before.touched_per_s,
    )


def top(explained: Sequence[ExplainedStatement], meta: Meta) -> Answer:
    """Return the answer on the statement that grew most, by reads, of those with an answer."""
    named = [each for each in explained if each.answer.outcome is WhyOutcome.FOUND]
    if not named:
        return Answer(Verdict.NONE)
    return answer(max(named, key=_growth), meta)


def answer(each: ExplainedStatement, meta: Meta) -> Answer:
    """Return the answer about a statement.

    A pressure is followed to its root. It is wrong if it names a statement that has no cause,
    unless that one is the victim and grew.
    """
    if each.answer.outcome is not WhyOutcome.FOUND:
        return Answer(Verdict.NONE, each.answer.outcome.value, "", _plain(each.evidence.name)[:120])
    finding = each.answer.findings[0]
    if finding.cause is Cause.PRESSURE and Cause.PRESSURE.value not in meta.causes and each.roots:
        root = answer(each.roots[0], meta)
        grew = each.roots[0].answer.outcome is WhyOutcome.NO_CAUSE
        if root.verdict != Verdict.NONE or (grew and _is_victim(each.roots[0].evidence, meta)):
            return root
    is_right = finding.cause.value in meta.causes and _is_victim(each.evidence, meta)
    return Answer(
        Verdict.RIGHT if is_right else Verdict.WRONG,
        finding.cause.value,
        finding.certainty.value,
        _plain(each.evidence.name)[:120],
        round(_growth(each)[0], 1),
    )


def _usage(usage: Usage) -> dict[str, float | None]:
    values = {
        "calls_per_s": usage.calls_per_s,
        "touched_per_call": usage.touched_per_call,
        "read_per_call": usage.read_per_call,
        "miss_share": usage.miss_share,
        "rows_per_call": usage.rows_per_call,
        "temp_per_call": usage.temp_per_call,
    }
    return {name: None if value is None else round(value, 3) for name, value in values.items()}


def _findings(answer: Explanation) -> list[dict[str, Any]]:
    return [
        {
            "cause": each.cause.value,
            "certainty": each.certainty.value,
            "sentences": list(each.sentences),
            "figures": [[figure.name, figure.before, figure.after] for figure in each.figures],
        }
        for each in answer.findings
    ]


def _record(each: ExplainedStatement) -> dict[str, Any]:
    return {
        "statement": _plain(each.evidence.name)[:200],
        "outcome": each.answer.outcome.value,
        "terms": [term.value for term in each.answer.terms],
        "findings": _findings(each.answer),
        "before": _usage(each.evidence.before),
        "after": _usage(each.evidence.after),
        "roots": [_record(root) for root in each.roots],
    }


def _pairs(window: Window) -> Iterator[list[Window]]:
    length = timedelta(seconds=PAIR_SECONDS)
    middle = window.since + length
    while middle + length <= window.until:
        yield [Window(middle - length, middle, LABEL), Window(middle, middle + length, LABEL)]
        middle += length


def _healthy(history: History, window: Window) -> dict[str, Any]:
    """Return how many neighbouring windows of a healthy server have a cause."""
    pairs = [_explained(history, pair, "") for pair in _pairs(window)]
    named = [
        _record(each)
        for explained in pairs
        for each in explained
        if each.answer.outcome is WhyOutcome.FOUND
    ]
    alarms = sum(
        any(each.answer.outcome is WhyOutcome.FOUND for each in explained) for explained in pairs
    )
    return {"pairs": len(pairs), "alarms": alarms, "named": named}
