"""Run the attacks: `python -m tests.attack [--quick] [--write] [--on MAJOR] [NAME ...]`.

--write puts the tables into docs/trust.md. The exit status is 1 if any defence did not hold.
"""

import argparse
import importlib
import pkgutil
import re
import sys
import tempfile
import time
import traceback
from pathlib import Path

import tests.attack
from tests.attack import Outcome, Scale
from tests.support.servers import MATRIX

DOCS = Path(__file__).parent.parent.parent / "docs" / "trust.md"


def main() -> int:
    """Run the attacks that are named, or all; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the shortened form")
    parser.add_argument("--write", action="store_true", help="write the tables to docs/trust.md")
    parser.add_argument(
        "--on", type=int, action="append", choices=MATRIX, help="only this version; may be repeated"
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(_names()))
    given = parser.parse_args()
    unknown = set(given.names) - set(_names())
    if unknown:
        parser.error(f"no such attack: {', '.join(sorted(unknown))}")
    versions = (MATRIX[0], MATRIX[-1]) if given.quick else tuple(MATRIX)
    if given.on:
        versions = tuple(sorted(given.on))
    failed = False
    for name in given.names or _names():
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="pgiostat-attack-") as scratch:
            Path(scratch).chmod(0o755)
            attack = importlib.import_module(f"tests.attack.{name}").attack
            try:
                outcome = attack(Scale(given.quick, versions, Path(scratch)))
            except Exception:  # noqa: BLE001 - the others are still to be tried
                failed = True
                sys.stdout.write(f"FAILED {name}: {traceback.format_exc()}\n")
                continue
        lines = ["", table(outcome), f"({name}: {time.monotonic() - began:.0f} s)"]
        lines += [f"FAILED {name}: {failure}" for failure in outcome.failures]
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
        failed = failed or bool(outcome.failures)
        if given.write:
            write(name, outcome)
    return int(failed)


def _names() -> list[str]:
    return sorted(
        module.name
        for module in pkgutil.iter_modules(tests.attack.__path__)
        if not module.name.startswith("_")
    )


def table(outcome: Outcome) -> str:
    """Return an outcome as Markdown."""
    lines = [f"### {outcome.title}", "", outcome.tried, ""]
    lines += [f"| {' | '.join(outcome.columns)} |", f"|{'---|' * len(outcome.columns)}"]
    lines += [f"| {' | '.join(row)} |" for row in outcome.rows]
    return "\n".join(lines)


def write(name: str, outcome: Outcome) -> None:
    """Replace the table of an attack in docs/trust.md."""
    begin, end = f"<!-- attack: {name} -->", f"<!-- end of attack: {name} -->"
    page = DOCS.read_text("utf-8")
    within = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not within.search(page):
        sys.exit(f"{DOCS.name} has no place for the attack {name!r}: {begin} … {end}")
    made = f"{begin}\n{table(outcome)}\n{end}"
    DOCS.write_text(within.sub(lambda _: made, page), "utf-8")


if __name__ == "__main__":
    sys.exit(main())
