"""The results of `benchmarks.why` as tables in Markdown."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from benchmarks.why_judge import QUESTIONS, Verdict
from benchmarks.why_run import HEALTHY

__all__ = ["tables"]

Result = dict[str, Any]
_VERDICTS = (Verdict.RIGHT, Verdict.NONE, Verdict.WRONG)


def tables(results: Sequence[Result]) -> Iterator[str]:
    """Yield the rates, the confusion of causes, the healthy servers and each answer not right."""
    faults = [each for each in results if each["fault"] != HEALTHY]
    yield from _rates(faults)
    yield ""
    yield from _confusion(faults)
    yield ""
    yield from _healthy([each for each in results if each["fault"] == HEALTHY])
    yield ""
    yield from _missed(faults)


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _counts(results: Sequence[Result], question: str) -> Iterator[str]:
    for verdict in _VERDICTS:
        count = sum(each["result"][question]["verdict"] == verdict for each in results)
        yield f"{count} ({100 * count / len(results):.0f} %)"


def _groups(results: Sequence[Result]) -> Iterator[tuple[str, list[Result]]]:
    def by(name: Callable[[Result], str]) -> Iterator[tuple[str, list[Result]]]:
        for key in dict.fromkeys(map(name, results)):
            yield key, [each for each in results if name(each) == key]

    yield from by(lambda each: f"{each['system']}, {each['version'].split('.')[0]}")
    if results:
        yield "**all**", list(results)
        yield "**all with an effect**", [each for each in results if each["result"]["effect"]]


def _rates(results: Sequence[Result]) -> Iterator[str]:
    yield _row(
        "system, version",
        "runs",
        *(f"top: {each}" for each in _VERDICTS),
        *(f"victim: {each}" for each in _VERDICTS),
    )
    yield "|---|" + "---:|" * (1 + 2 * len(_VERDICTS))
    for name, found in _groups(results):
        yield _row(name, len(found), *_counts(found, "top"), *_counts(found, "asked"))


def _named(result: Result) -> str:
    """Return the cause that is named, or that none is."""
    top = result["result"]["top"]
    return str(Verdict.NONE if top["verdict"] == Verdict.NONE else top["cause"])


def _confusion(results: Sequence[Result]) -> Iterator[str]:
    named = sorted({*map(_named, results)})
    yield _row("fault", "runs", *named)
    yield "|---|" + "---:|" * (1 + len(named))
    for fault in dict.fromkeys(each["fault"] for each in results):
        found = [_named(each) for each in results if each["fault"] == fault]
        yield _row(fault, len(found), *(found.count(name) or "" for name in named))


def _healthy(results: Sequence[Result]) -> Iterator[str]:
    pairs, alarms = (sum(each["result"][name] for each in results) for name in ("pairs", "alarms"))
    yield f"Healthy servers: a cause is named in {alarms} of {pairs} pairs of 30-s windows."


def _words(answer: dict[str, Any], *, has_effect: bool) -> str:
    no_effect = answer["verdict"] == Verdict.NONE and not has_effect
    return f"{answer['verdict']} (no effect)" if no_effect else str(answer["verdict"])


def _missed(results: Sequence[Result]) -> Iterator[str]:
    yield _row("version", "system", "fault", "severity", "top", "victim")
    yield "|---|---|---|---|---|---|"
    for each in results:
        answers = [each["result"][question] for question in QUESTIONS]
        if all(answer["verdict"] == Verdict.RIGHT for answer in answers):
            continue
        words = [
            _words(answer, has_effect=each["result"]["effect"])
            if answer["verdict"] != Verdict.WRONG
            else f"{answer['cause']}: `{answer['statement'][:60]}`"
            for answer in answers
        ]
        yield _row(each["version"], each["system"], each["fault"], each["severity"], *words)
