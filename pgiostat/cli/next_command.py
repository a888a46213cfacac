"""The next command of an investigation, which the last line of each answer names."""

import re

__all__ = ["NEXT", "in_lines", "next_line", "show_next"]

NEXT = {
    "doctor": "pgiostat watch, with the same connection",
    "doctor after fixes": "apply the fixes, then pgiostat doctor again",
    "watch": "pgiostat collect, with the same connection; then pgiostat report",
    "history": "pgiostat report{history}",
    "report": "pgiostat compare{history} A B, burst --volume gp2:GIB or whatif --drop CATEGORY",
    "compare": "pgiostat report{history} --by fingerprint",
    "why": "pgiostat report{history} --by fingerprint",
    "why server": "pgiostat collect, with the same connection; then pgiostat why",
    "burst": "pgiostat whatif{history} --volume {volume} --drop CATEGORY",
    "whatif": "pgiostat compare{history} A B, once the change is made",
    "export": "pgiostat report{history}",
    "ship": "pgiostat report {to}",
    "demo": "pgiostat demo --scenario {other}; or pgiostat doctor with your own server",
    "demo --attach": "pgiostat doctor with your own server",
    "rules test": "pgiostat watch, with the same connection and rules",
    "rules init": "pgiostat rules test --rules {rules} {server}",
}
"""What follows an answer: what changed, which queries read, why, what would help, did it help."""


_BETWEEN = re.compile(r"(?<=[,;]) | (?=or )")
_INDENT = " " * len("Next: ")


def next_line(command: str, *, history: object = None, **values: str) -> str:
    """Return the line that names the next command.

    Args:
        command: A key of NEXT.
        history: The argument of the command, which the next one needs as well.
        values: Further words of the entry.

    >>> next_line("burst", history="my history", volume="gp2:500")
    "Next: pgiostat whatif 'my history' --volume gp2:500 --drop CATEGORY"
    >>> next_line("history")
    'Next: pgiostat report'
    """
    from shlex import quote

    quoted = {name: quote(value) for name, value in values.items()}
    place = "" if history is None else f" {quote(str(history))}"
    return f"Next: {NEXT[command].format(history=place, **quoted)}"


def in_lines(line: str, width: int) -> list[str]:
    """Return that line in lines of a width: it breaks between commands, and each stays whole.

    >>> in_lines("Next: pgiostat compare h A B, burst --volume gp2:GIB or whatif", 40)
    ['Next: pgiostat compare h A B,', '      burst --volume gp2:GIB or whatif']
    >>> in_lines("Next: pgiostat report /a/long/path", 20)
    ['Next: pgiostat report /a/long/path']
    """
    first, *others = _BETWEEN.split(line)
    lines = [first]
    for part in others:
        if len(lines[-1]) + 1 + len(part) <= width:
            lines[-1] += f" {part}"
        else:
            lines.append(f"{_INDENT}{part}")
    return lines


def show_next(command: str, form: str, *, history: object = None, **values: str) -> None:
    """Print that line below an answer in text; the other forms are for programs and pages."""
    if form != "text":
        return
    from rich.text import Text

    from pgiostat.cli.console import console
    from pgiostat.escape import terminal

    to = console()
    for line in in_lines(terminal(next_line(command, history=history, **values)), to.width):
        to.print(Text(line, "dim"), soft_wrap=True)
