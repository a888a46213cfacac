"""The findings of doctor, for people and programs."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from pgiostat.escape import terminal
from pgiostat.postgres.doctor import CheckState, Facts, Finding, verdict
from pgiostat.render import markdown
from pgiostat.render.json import dumps

__all__ = ["as_json", "as_markdown", "as_text"]

_STYLES = {
    CheckState.OK: "green",
    CheckState.NOTE: "cyan",
    CheckState.WARNING: "bold yellow",
    CheckState.ERROR: "bold red",
    CheckState.UNKNOWN: "dim",
}
FIX_INDENT = 4
REASON_INDENT, LEAST_REASON = 2, 24
"""A reason is below its aspect where there is less room beside it."""


def _who(facts: Facts) -> str:
    return f"{facts.user}@{facts.host}/{facts.dbname}  PostgreSQL {facts.version}"


def as_text(facts: Facts, found: Sequence[Finding], *, width: int) -> Iterator[Text]:
    """Yield lines: findings, the fix of each below it, and the verdict.

    A fix may be longer than a screen. It is there to be copied: a terminal may break the line, but
    nothing is cut from it and nothing comes between.
    """
    yield Text("pgiostat doctor  ", "bold").append(terminal(_who(facts)), "not bold")
    aspects = max(len(finding.aspect) for finding in found) + 1
    states = max(len(state) for state in CheckState) + 1
    for finding in found:
        head = Text(f"{finding.aspect:{aspects}}")
        head.append(f"{finding.state.value:{states}}", _STYLES[finding.state])
        indent = aspects + states
        if width - indent < LEAST_REASON:
            head.rstrip()
            yield head
            head, indent = Text(" " * REASON_INDENT), REASON_INDENT
        first, *others = folded(terminal(finding.reason), max(width - indent, 1))
        yield head.append(first)
        yield from (Text(" " * indent + line) for line in others)
        if finding.fix:
            yield Text(" " * FIX_INDENT + terminal(finding.fix), "bold")
    yield Text(verdict(found), "bold")


def folded(text: str, cells: int) -> list[str]:
    """Return a text in lines of so many cells, broken between words; a long word is divided.

    >>> folded("is not in shared_preload_libraries yet", 12)
    ['is not in', 'shared_prelo', 'ad_libraries', 'yet']
    """
    return [
        line.plain.strip() for line in Text(text).wrap(Console(markup=False, emoji=False), cells)
    ] or [""]


def as_json(facts: Facts, found: Sequence[Finding]) -> str:
    """Return findings as one JSON object."""
    server = ("host", "dbname", "user", "version", "in_recovery")
    return dumps(
        {
            "server": {name: getattr(facts, name) for name in server},
            "verdict": verdict(found),
            "findings": [
                {"aspect": f.aspect, "state": f.state, "reason": f.reason, "mend": f.fix}
                for f in found
            ],
        }
    )


def as_markdown(facts: Facts, found: Sequence[Finding]) -> str:
    """Return findings for a page or an issue."""
    lines = [f"**{markdown.name(_who(facts))}**: {verdict(found)}.", ""]
    lines += ["| aspect | state | reason | fix |", "|---|---|---|---|"]
    for each in found:
        fix = markdown.code(each.fix, cell=True) if each.fix else ""
        reason = markdown.sentence(each.reason, cell=True)
        lines.append(f"| {each.aspect} | {each.state} | {reason} | {fix} |")
    return "\n".join(lines)
