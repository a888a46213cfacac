"""The report of why statements read more: sentences first, then the evidence."""

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from pgiostat.analysis.plans import StatementPlan
from pgiostat.analysis.why import (
    LEAST_CALLS,
    LEAST_SECONDS,
    CauseFinding,
    Certainty,
    Figure,
    WhyOutcome,
)
from pgiostat.analysis.why.evidence import StatementEvidence
from pgiostat.history.read.window_totals import WindowTotals
from pgiostat.queries.short_form import short_form
from pgiostat.render.csv import timestamp
from pgiostat.render.document import Document, Records, Table, TableColumn
from pgiostat.render.ledger import displayed
from pgiostat.render.plan import plan_object, plan_sentences, plan_table
from pgiostat.render.preset import preset_lines, preset_object
from pgiostat.render.report import labels, remarks, span
from pgiostat.render.why_fixes import fix_object, fixes_in_words
from pgiostat.reports.why import ExplainedStatement, WhyReport
from pgiostat.units import format_change, format_count, format_duration, format_share

__all__ = ["HEADER", "cause_line", "cause_object", "document"]

HEADER = ("fingerprint", "category", "query", "cause", "certainty", "figure", "before", "after")
_LONGEST_QUERY = 100


def document(report: WhyReport) -> Document:
    """Return the report.

    Args:
        report: The statements, and why they read more.
    """
    before, after = report.before, report.after
    sides = [each for each in (before, after) if each is not None]
    warnings = dict.fromkeys([line for each in sides for line in remarks(each)] + [*report.missing])
    compared = "" if before is None else f", compared with {span(before)}"
    named = ("before", "after") if before is not None else ("window",)
    return Document(
        subject=labels(after),
        summary=f"{span(after)}{compared}",
        head=[[(_side(name, each), "", 0)] for name, each in zip(named, sides, strict=True)],
        facts=preset_lines(report.preset),
        warnings=list(warnings),
        findings=[*_all_sentences(report.statements), *_of_yesterday(report.yesterday)],
        tables=[*_tables(report.statements)],
        trimmed=True,
        records=Records(HEADER, (row for each in report.statements for row in _records(each))),
        objects=[_object(report)],
    )


def _tables(statements: Sequence[ExplainedStatement]) -> Iterator[Table]:
    """Yield the table of evidence of each statement, and its plan."""
    with_evidence = {each.evidence.key for each in _with_evidence(statements)}
    for each in statements:
        if each.evidence.key in with_evidence:
            yield _table(each)
        if isinstance(each.plan, StatementPlan):
            yield plan_table(each.plan, f"plan of {_query(each.evidence)}")


def _side(name: str, totals: WindowTotals) -> str:
    length = format_duration(max(totals.seconds_by_label.values()))
    return f"{name:<6}  {labels(totals)}  {span(totals)}  {length}"


def _query(evidence: StatementEvidence) -> str:
    shown = short_form(displayed(evidence.name))
    return shown if len(shown) <= _LONGEST_QUERY else f"{shown[: _LONGEST_QUERY - 1]}…"


def _with_evidence(statements: Sequence[ExplainedStatement]) -> list[ExplainedStatement]:
    """Return the statements with figures of interest: those that grew, or the only one."""
    quiet = (WhyOutcome.NO_GROWTH, WhyOutcome.NOT_ENOUGH, WhyOutcome.ONE_WINDOW)
    grown = [each for each in statements if each.answer.outcome not in quiet]
    return grown if len(statements) > 1 else list(statements)


def _all_sentences(statements: Sequence[ExplainedStatement]) -> Iterator[str]:
    """Yield the sentences of all statements."""
    shown = {each.evidence.key for each in statements}
    for each in statements:
        yield from _sentences(each, shown, is_only=len(statements) == 1)


def _of_yesterday(report: WhyReport | None) -> Iterator[str]:
    """Yield what grew since the same time yesterday."""
    if report is None or report.before is None:
        return
    grown = [each for each in report.statements if each.answer.outcome in _GROWN]
    compared = f"compared with the same time yesterday, {span(report.before)}"
    yield f"{compared}:{'' if grown else ' no growth'}"
    for each in grown:
        yield from _sentences(each, {each.evidence.key for each in grown}, "  ")


_GROWN = (WhyOutcome.FOUND, WhyOutcome.NO_CAUSE)


def _sentences(
    each: ExplainedStatement, shown: AbstractSet[str], prefix: str = "", *, is_only: bool = False
) -> Iterator[str]:
    """Yield the statement with its reads, the cause and its details, and the roots.

    Args:
        each: The statement.
        shown: Keys of the statements of the report: a root among them is only named.
        prefix: What its lines begin with.
        is_only: Whether it is the only one of the report: all fixes are shown, with their costs.
    """
    evidence, answer = each.evidence, each.answer
    yield f"{prefix}{_query(evidence)} ({displayed(evidence.category)}): {_reads(evidence)}"
    if answer.outcome is WhyOutcome.ONE_WINDOW and not answer.standing:
        yield f"{prefix}  no cause found: one window shows none for certain"
    for finding in answer.findings:
        yield from _finding(finding, f"{prefix}  ")
    if answer.outcome is WhyOutcome.NO_CAUSE:
        grown = " and ".join(answer.terms)
        yield f"{prefix}  no cause found: {grown} grew, and no counter shows why; a plan may tell"
    elif answer.outcome is WhyOutcome.NO_GROWTH:
        yield f"{prefix}  no growth: calls, blocks per call and misses rose by no more than chance"
    elif answer.outcome is WhyOutcome.NOT_ENOUGH:
        yield (
            f"{prefix}  not enough data: each window needs {LEAST_SECONDS:.0f} s and {LEAST_CALLS}"
            " calls of the statement"
        )
    for finding in answer.standing:
        words = "" if evidence.is_alone else "as it stands, "
        yield from _finding(finding, f"{prefix}  {words}")
    yield from fixes_in_words(each.fixes, evidence, f"{prefix}  ", is_only=is_only)
    if each.plan is not None:
        yield from (f"{prefix}  {line}" for line in plan_sentences(each.plan))
    for root in each.roots:
        if root.evidence.key in shown:
            yield f"{prefix}    {_query(root.evidence)}: see there"
        else:
            yield from _sentences(root, shown, f"{prefix}    ")


def _finding(finding: CauseFinding, prefix: str) -> Iterator[str]:
    first, *more = finding.sentences
    yield f"{prefix}{finding.certainty}: {first}"
    indent = " " * (len(prefix) - len(prefix.lstrip()) + 2)
    yield from (f"{indent}{line}" for line in more)


def cause_line(each: ExplainedStatement) -> str:
    """Return why a statement reads more, in one line: its main cause."""
    finding = each.answer.findings[0]
    return f"why: {_query(each.evidence)}: {finding.certainty}: {finding.sentences[0]}"


def cause_object(each: ExplainedStatement) -> dict[str, Any]:
    """Return the main cause of a statement as an object."""
    finding = each.answer.findings[0]
    return {
        "fingerprint": each.evidence.key,
        "cause": str(finding.cause),
        "certainty": str(finding.certainty),
        "sentence": finding.sentences[0],
    }


def _reads(evidence: StatementEvidence) -> str:
    before, after = evidence.before, evidence.after
    if evidence.is_alone:
        return (
            f"{format_count(after.read_per_s)} blocks read per second,"
            f" {format_count(after.touched_per_call)} touched per call"
        )
    return (
        f"{format_count(before.read_per_s)} → {format_count(after.read_per_s)} blocks read per"
        f" second, {format_count(before.touched_per_call)} →"
        f" {format_count(after.touched_per_call)} touched per call"
    )


def _figures(each: ExplainedStatement) -> Iterator[tuple[str, str, Figure]]:
    """Yield cause, certainty and figure: first those of each finding."""
    before, after = each.evidence.before, each.evidence.after
    findings = (*each.answer.findings, *each.answer.standing)
    own = (
        ("calls per second", before.calls_per_s, after.calls_per_s),
        ("rows per call", before.rows_per_call, after.rows_per_call),
        ("blocks touched per call", before.touched_per_call, after.touched_per_call),
        ("blocks read per call", before.read_per_call, after.read_per_call),
        ("share of misses", before.miss_share, after.miss_share),
        ("blocks of spill files per call", before.temp_per_call, after.temp_per_call),
    )
    names = {name for name, *_ in own}
    for finding in findings:
        for figure in finding.figures:
            if figure.name not in names:
                yield finding.cause, finding.certainty, figure
    yield from (("", "", Figure(*values)) for values in own)
    evidence = {figure.name for finding in findings for figure in finding.figures}
    for table in each.evidence.tables:
        if table.foreign_key and not any(table.name in name for name in evidence):
            continue  # it references a table of the statement, and has nothing to do with the cause
        sides = table.before, table.after
        scans, blocks = (
            (
                ("seq_scans_per_s", "sequential scans of {} per second"),
                ("idx_scans_per_s", "index scans of {} per second"),
            ),
            ("blocks_per_row", "blocks of {} touched per row"),
        )
        for attribute, words in (*scans, blocks):
            values = [getattr(side, attribute) for side in sides]
            yield "", "", Figure(words.format(table.name), *values)


def _table(each: ExplainedStatement) -> Table:
    rows = [
        (figure.name, *map(_formats(figure), (figure.before, figure.after)), _change(figure))
        for _, _, figure in _figures(each)
    ]
    return Table(
        columns=(
            TableColumn(_query(each.evidence), most=64, rest=True),
            TableColumn("before", right=True, format=str),
            TableColumn("after", right=True, format=str),
            TableColumn("change", right=True, format=str),
        ),
        rows=rows,
        apart=True,
    )


def _formats(figure: Figure) -> Callable[[float | None], str]:
    """Return what makes words of a figure: each row has a quantity of its own."""
    return format_share if "share" in figure.name else format_count


def _change(figure: Figure) -> str:
    if not figure.before or figure.after is None:
        return ""
    return format_change(figure.after / figure.before - 1)


def _records(each: ExplainedStatement) -> Iterator[tuple[Any, ...]]:
    evidence = each.evidence
    for cause, certainty, figure in _figures(each):
        yield (
            evidence.key,
            evidence.category,
            evidence.name,
            cause,
            certainty,
            figure.name,
            figure.before,
            figure.after,
        )
    for proposed in each.fixes:
        found = proposed.fix.prediction
        if found is not None and found.point is not None:
            figure_name = f"predicted blocks touched per call: {proposed.fix.sentence}"
            now = evidence.after.touched_per_call
            yield (
                evidence.key,
                evidence.category,
                evidence.name,
                proposed.finding.cause,
                proposed.finding.certainty,
                figure_name,
                now,
                found.point,
            )
    for root in each.roots:
        yield from _records(root)


def _object(report: WhyReport) -> dict[str, Any]:
    return {
        "before": None if report.before is None else _window(report.before),
        "after": _window(report.after),
        "preset": preset_object(report.preset),
        "certainties": [str(each) for each in Certainty],
        "missing": list(report.missing),
        "statements": [_statement(each) for each in report.statements],
        "yesterday": None if report.yesterday is None else _object(report.yesterday),
    }


def _window(totals: WindowTotals) -> dict[str, Any]:
    return {
        "server": labels(totals),
        "since": timestamp(totals.span.since),
        "until": timestamp(totals.span.until),
        "seconds": totals.sampled.seconds,
        "remarks": list(remarks(totals)),
    }


def _statement(each: ExplainedStatement) -> dict[str, Any]:
    return {
        "fingerprint": each.evidence.key,
        "category": each.evidence.category,
        "query": each.evidence.name,
        "outcome": str(each.answer.outcome),
        "grown": [str(term) for term in each.answer.terms],
        "findings": [_finding_object(finding) for finding in each.answer.findings],
        "figures": [_figure(figure) for _, _, figure in _figures(each)],
        "standing": [_finding_object(finding) for finding in each.answer.standing],
        "fixes": [fix_object(fix, each.evidence) for fix in each.fixes],
        "plan": plan_object(each.plan),
        "roots": [_statement(root) for root in each.roots],
    }


def _finding_object(finding: CauseFinding) -> dict[str, Any]:
    return {
        "cause": str(finding.cause),
        "certainty": str(finding.certainty),
        "sentences": list(finding.sentences),
        "figures": [_figure(figure) for figure in finding.figures],
    }


def _figure(figure: Figure) -> dict[str, Any]:
    return {"name": figure.name, "before": figure.before, "after": figure.after}
