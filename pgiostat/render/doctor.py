"""A doctor's findings, for people and programs."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

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
MEND_INDENT = 4
REASON_INDENT, LEAST_REASON = 2, 24
"""Where there is less room beside its aspect a reason is below it."""


def _who(facts: Facts) -> str:
    return f"{facts.user}@{facts.host}/{facts.dbname}  PostgreSQL {facts.version}"


def as_text(facts: Facts, found: Sequence[Finding], *, width: int) -> Iterator[Text]:
    """Yield lines: findings, what mends each below it, and a sentence.

    What mends is longer than a screen at times: it is there to be copied, so a terminal may break
    the line, but nothing is cut from it and nothing comes between.
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
            yield Text(" " * MEND_INDENT + terminal(finding.fix), "bold")
    yield Text(verdict(found), "bold")


def folded(text: str, cells: int) -> list[str]:
    """Return a text in lines of so many cells: between words, but nothing is lost of a long one.

    >>> folded("is not in shared_preload_libraries yet", 12)
    ['is not in', 'shared_prelo', 'ad_libraries', 'yet']
    """
    return [
        line.plain.strip() for line in Text(text).wrap(Console(markup=False, emoji=False), cells)
    ] or [""]


def as_json(facts: Facts, found: Sequence[Finding]) -> str:
    """Return findings as one JSON object."""
    server = {
        "host": facts.host, "dbname": facts.dbname, "user": facts.user, "version": facts.version,
        "in_recovery": facts.in_recovery,
    }  # fmt: skip
    told = {
        "server": server, "verdict": verdict(found), "findings": [asdict(each) for each in found],
    }  # fmt: skip
    return dumps(told)


def as_markdown(facts: Facts, found: Sequence[Finding]) -> str:
    """Return findings for a page or an issue."""
    lines = [f"**{markdown.name(_who(facts))}**: {verdict(found)}.", ""]
    lines += ["| aspect | state | reason | what mends it |", "|---|---|---|---|"]
    for each in found:
        mend = markdown.code(each.fix, cell=True) if each.fix else ""
        reason = markdown.sentence(each.reason, cell=True)
        lines.append(f"| {each.aspect} | {each.state} | {reason} | {mend} |")
    return "\n".join(lines)
