"""Why statements read more in one window of a history than in another."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from pgiostat.analysis.plans import NoPlan, StatementPlan
from pgiostat.analysis.why import Cause, Explanation, WhyOutcome, explain
from pgiostat.analysis.why.evidence import StatementEvidence
from pgiostat.analysis.why.terms import is_grown
from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.history.read.definitions import DefinitionHistory
from pgiostat.history.read.history import History
from pgiostat.history.read.window_spec import WindowSpec
from pgiostat.history.read.window_totals import WindowTotals
from pgiostat.history.read.windows import Window
from pgiostat.reports.compare import is_same_history
from pgiostat.reports.relation_history import relation_windows
from pgiostat.reports.statement_match import matching
from pgiostat.reports.why_evidence import evidence_of
from pgiostat.reports.why_fixes import ProposedFix, proposed_fixes
from pgiostat.reports.why_groups import Groups, StatementGroup, groups_of
from pgiostat.reports.why_tables import Sources
from pgiostat.statistics.names import Describe, Names, StatementKey, preset_of
from pgiostat.statistics.preset import PresetInForce

__all__ = [
    "ExplainedStatement",
    "WhyReport",
    "causes_between",
    "server_of",
    "why_now",
    "why_report",
    "window_before",
    "with_plans",
    "with_yesterday",
]

PlanOf = Callable[[Sequence[StatementKey], str], StatementPlan | NoPlan]

MOST = 5
MOST_GROWN = 2
_LONGEST_CHAIN = 3
BEFORE = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ExplainedStatement:
    """A statement, and why it reads more.

    Attributes:
        evidence: What is known of it.
        answer: Whether a cause was found, and which.
        roots: Where another statement is the cause: that one, explained in its turn.
        fixes: The ways out of its causes.
        entries: Its entries of pg_stat_statements: role, database and queryid.
        plan: Its plan, or why there is none; None if none was requested.
    """

    evidence: StatementEvidence
    answer: Explanation
    roots: tuple["ExplainedStatement", ...] = ()
    fixes: tuple[ProposedFix, ...] = ()
    entries: tuple[StatementKey, ...] = ()
    plan: StatementPlan | NoPlan | None = None


@dataclass(frozen=True, slots=True)
class WhyReport:
    """Why statements read more.

    Attributes:
        before: The totals of the window before; None without one.
        after: The totals of the window after.
        statements: The statements, the one first that reads most.
        missing: Sentences on what could not be looked at.
        preset: The preset of rules in force.
        yesterday: The same statements compared with the same time yesterday; None if that was not
            collected, or another window was chosen.
    """

    before: WindowTotals | None
    after: WindowTotals
    statements: tuple[ExplainedStatement, ...]
    missing: tuple[str, ...] = ()
    preset: PresetInForce | None = None
    yesterday: "WhyReport | None" = None


def window_before(after: Window, length: timedelta = BEFORE) -> Window:
    """Return the window that ends where another one begins."""
    return replace(after, since=after.since - length, until=after.since)


def why_now(history: History, after: Window, *, describe: Describe, target: str = "") -> WhyReport:
    """Compare a window with the hour before; without anything there, explain it alone.

    Args:
        history: Where the intervals are.
        after: The window to explain.
        describe: Returns the category of a statement, by the current rules.
        target: As for why_report.

    Raises:
        PgiostatError: As why_report does, but not if nothing was collected in the hour before.
    """
    try:
        return why_report(history, window_before(after), after, describe=describe, target=target)
    except PgiostatError as error:
        if error.slug != "window-empty":
            raise
    return why_report(history, None, after, describe=describe, target=target)


def with_yesterday(
    report: WhyReport,
    history: History,
    *,
    describe: Describe,
    target: str = "",
) -> WhyReport:
    """Return a report that also compares its window with the same time yesterday.

    Args:
        report: The report.
        history: Where the intervals are.
        describe: Returns the category of a statement, by the current rules.
        target: As for why_report.

    Raises:
        PgiostatError: As why_report does, but not if nothing was collected yesterday.
    """
    after = report.after.window
    before = replace(after, since=after.since - DAY, until=after.until - DAY)
    try:
        found = why_report(history, before, after, describe=describe, target=target)
    except PgiostatError as error:
        if error.slug not in {"window-empty", "label-unknown"}:
            raise
        return report
    return replace(report, yesterday=found)


def with_plans(report: WhyReport, plan: PlanOf) -> WhyReport:
    """Return a report with a plan of each of its statements.

    Args:
        report: The report.
        plan: Returns the plan of a statement, from its entries and its fingerprint.
    """
    planned = (
        replace(each, plan=plan(each.entries, each.evidence.key)) for each in report.statements
    )
    return replace(report, statements=tuple(planned))


def why_report(
    history: History,
    before: Window | None,
    after: Window,
    *,
    describe: Describe,
    target: str = "",
) -> WhyReport:
    """Explain why statements read more in the window after than in the one before.

    Args:
        history: Where the intervals are.
        before: The window to compare with; None names only what one window shows by itself.
        after: The window to explain.
        describe: Returns the category of a statement, by the current rules.
        target: Fingerprint, queryid, category or part of a text; empty for the statements that
            read most.

    Raises:
        PgiostatError: statement-unknown, windows-overlap, window-empty, label-unknown,
            history-empty, history-unreadable.
    """
    if before is not None and before.until > after.since:
        raise PgiostatError(
            "the window before ends after the other one begins",
            hint="Choose windows that do not overlap.",
            slug="windows-overlap",
            status=ExitStatus.USAGE,
        )
    return history.consistent(lambda: _report(history, (before, after), describe, target))


def causes_between(
    a: WindowSpec, b: WindowSpec, describe: Describe
) -> tuple[ExplainedStatement, ...]:
    """Return the statements that read more in one window than in an earlier one, with causes.

    Args:
        a: The window before.
        b: The window after.
        describe: Returns the category of a statement, by the current rules.

    Returns:
        Those of the five that read most of which a cause was found; nothing if the windows are of
        two histories or of several servers, or the second one comes first.

    Raises:
        PgiostatError: history-unreadable.
    """
    if not is_same_history(a, b) or a.window.until > b.window.since:
        return ()
    try:
        report = why_report(b.history, a.window, b.window, describe=describe)
    except PgiostatError as error:
        if error.slug not in {"option-invalid", "window-empty"}:
            raise
        return ()
    found = (each for each in report.statements if each.answer.outcome is WhyOutcome.FOUND)
    return tuple(found)


def _report(
    history: History,
    windows: tuple[Window | None, Window],
    describe: Describe,
    target: str,
) -> WhyReport:
    after = history.totals(windows[1])
    before = None if windows[0] is None else history.totals(windows[0])
    server_id = server_of(before, after)
    names = history.names(describe, after.window).get(server_id, Names())
    groups = groups_of(history, before, after, server_id, names)
    definitions = DefinitionHistory(history.dimension("definition"), server_id)
    sources = Sources(history, server_id, names, before, after, groups, definitions)
    chosen = _chosen(groups, target)
    explained = [_explained(sources, each) for each in evidence_of(sources, chosen)]
    return WhyReport(
        before,
        after,
        tuple(explained),
        tuple(_missing(sources, explained)),
        preset_of([names]),
    )


def server_of(before: WindowTotals | None, after: WindowTotals) -> int:
    """Return the server that was watched in both windows."""
    if len({each.label for each in after.servers}) > 1:
        raise PgiostatError(
            "there are several servers in the window",
            hint="Choose one with --label.",
            slug="option-invalid",
            status=ExitStatus.USAGE,
        )
    both = [each for each in after.counted if before is None or each in before.counted]
    if not both:
        raise PgiostatError(
            "no server was watched in both windows",
            slug="window-empty",
            status=ExitStatus.NOTHING_TO_REPORT,
        )
    return both[-1]


def _chosen(groups: Groups, target: str) -> list[str]:
    """Return the keys of the statements to explain.

    Without a target these are the five that read most, and those that grew most, by blocks read and
    by blocks touched.
    """
    found = matching(groups.values(), target) if target else [*groups.values()]
    if target and not found:
        raise PgiostatError(
            f'there is no statement, category or fingerprint "{target}" in the two windows',
            hint="pgiostat report --by fingerprint lists the fingerprints of a window.",
            slug="statement-unknown",
            status=ExitStatus.USAGE,
        )
    if target:
        return [each.key for each in sorted(found, key=_weight, reverse=True)[:MOST]]
    active = [each for each in found if any(side.read for side in each.sides)]
    chosen = sorted(active, key=_weight, reverse=True)[:MOST]
    # Without a window before nothing is known to have grown.
    grown = [each for each in groups.values() if each.sides[0].seconds and is_grown(*each.sides)]
    for growth in (_growth, _touched_growth):
        chosen += sorted(grown, key=growth, reverse=True)[:MOST_GROWN]
    # Those that grew come first.
    first = sorted(chosen, key=lambda each: -_growth(each) if each in grown else 0.0)
    return list(dict.fromkeys(each.key for each in first))


def _weight(group: StatementGroup) -> tuple[float, float]:
    before, after = group.sides
    return (
        max(before.read_per_s, after.read_per_s),
        max(before.touched_per_s, after.touched_per_s),
    )


def _growth(group: StatementGroup) -> float:
    before, after = group.sides
    return after.read_per_s - before.read_per_s


def _touched_growth(group: StatementGroup) -> float:
    before, after = group.sides
    return after.touched_per_s - before.touched_per_s


def _explained(
    sources: Sources, evidence: StatementEvidence, passed: tuple[str, ...] = ()
) -> ExplainedStatement:
    answer = explain(evidence)
    culprits = [
        finding.culprit
        for finding in answer.findings
        if finding.cause is Cause.PRESSURE and finding.culprit not in passed
    ]
    passed = (*passed, evidence.key)
    if len(passed) >= _LONGEST_CHAIN:
        culprits = []
    roots = tuple(_explained(sources, each, passed) for each in evidence_of(sources, culprits))
    entries = tuple(sources.groups[evidence.key].entries)
    return ExplainedStatement(evidence, answer, roots, proposed_fixes(evidence, answer), entries)


def _missing(sources: Sources, explained: Sequence[ExplainedStatement]) -> list[str]:
    """Return sentences on what could not be looked at, and what would let it."""
    missing = []
    before, after = sources.before, sources.after
    sides = [each for each in (before, after) if each is not None]
    windows = [each.window for each in sides]
    read = relation_windows(sources.history, windows, sources.server_id, (), {})
    is_counted = all(each.is_counted for each in read)
    if not is_counted:
        missing.append(
            "the history has no counters of tables and indexes in one of the windows: collect them"
            " with pgiostat collect --tables-interval 60s"
        )
    elif before is not None and not sources.definitions.at(before.window.until).by_key:
        missing.append(
            "the history has no definitions of the window before: a dropped index or a changed"
            " setting cannot be found"
        )
    if before is None:
        missing.append(
            "there is no window before: only causes that one window shows are named; in a history,"
            " --since and --against choose two windows"
        )
    if any(
        None in {ids[2] for ids in side.counted[sources.server_id].statements} for side in sides
    ):
        missing.append(
            "some statements are hidden from the collector's role: GRANT pg_read_all_stats TO it"
        )
    missing += [
        "no table of this statement is known, so only its own counts were looked at:"
        f" {each.evidence.name}"
        for each in explained
        if is_counted and not each.evidence.tables
    ]
    return missing
