"""A doctor's findings, for people and programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pgiostat.doctor import Facts, Finding, State, verdict
from pgiostat.render.columns import printable
from pgiostat.render.report import escaped

__all__ = ["as_json", "as_markdown", "as_text"]

_STYLES = {
    State.OK: "green",
    State.NOTE: "cyan",
    State.WARNING: "bold yellow",
    State.ERROR: "bold red",
    State.UNKNOWN: "dim",
}
MEND_INDENT = 4


def _who(facts: Facts) -> str:
    return f"{facts.user}@{facts.host}/{facts.dbname}  PostgreSQL {facts.version}"


def as_text(facts: Facts, found: Sequence[Finding]) -> RenderableType:
    """Return findings as a table, what mends each below it on a line of its own, and a sentence."""
    parts: list[RenderableType] = [
        Text("pgiostat doctor  ", "bold").append(printable(_who(facts)), "not bold")
    ]
    widths = [max(len(finding.aspect) for finding in found), max(len(state) for state in State)]
    for finding in found:
        row = Table(box=None, padding=(0, 1, 0, 0), show_header=False, pad_edge=False)
        for width in widths:
            row.add_column(width=width, no_wrap=True)
        row.add_column(overflow="fold")
        state = Text(finding.state.value, _STYLES[finding.state])
        row.add_row(Text(finding.aspect), state, Text(printable(finding.reason)))
        parts.append(row)
        if finding.mend:
            # Never cut: it is there to be copied.
            mend = " " * MEND_INDENT + printable(finding.mend)
            parts.append(Text(mend, "bold", no_wrap=True, overflow="ignore"))
    parts.append(Text(verdict(found), "bold"))
    return Group(*parts)


def as_json(facts: Facts, found: Sequence[Finding]) -> str:
    """Return findings as one JSON object."""
    server = {
        "host": facts.host, "dbname": facts.dbname, "user": facts.user, "version": facts.version,
        "in_recovery": facts.in_recovery,
    }  # fmt: skip
    told = {
        "server": server, "verdict": verdict(found), "findings": [asdict(each) for each in found],
    }  # fmt: skip
    return json.dumps(told, ensure_ascii=False)


def as_markdown(facts: Facts, found: Sequence[Finding]) -> str:
    """Return findings for a page or an issue."""
    lines = [f"**{escaped(_who(facts))}**: {verdict(found)}.", ""]
    lines += ["| aspect | state | reason | what mends it |", "|---|---|---|---|"]
    for each in found:
        mend = f"`{each.mend}`" if each.mend else ""
        lines.append(f"| {each.aspect} | {each.state} | {escaped(each.reason)} | {mend} |")
    return "\n".join(lines)
