"""Pages that are made from the code: `make docs` writes them, `make docs-check` compares.

A page of docs/ is kept by hand above its line "<!-- made from the code -->" and made below it.
Manual pages are made whole.
"""

import ast
import inspect
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer.main
from typer.testing import CliRunner

from pgiostat import cli
from pgiostat.analysis.ledger import MEANINGS
from pgiostat.analysis.rank import By
from pgiostat.cli.commands import COMMANDS, Commands
from pgiostat.collector.metrics import METRICS as PROMETHEUS
from pgiostat.errors import ExitStatus
from pgiostat.render.activity_columns import ACTIVITY
from pgiostat.render.columns import KEYS, METRICS
from pgiostat.render.csv import BALANCE, header
from pgiostat.render.ledger import NAMES
from pgiostat.statistics.counter_table import CounterColumn
from pgiostat.statistics.counters import TABLES
from pgiostat.units import Unit
from pgiostat.volume.device.interval import MEASURED
from tests.support.docstrings import SECTIONS, properties, public
from tests.support.manual_pages import manual_pages

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PACKAGE = ROOT / "pgiostat"
MANUALS = ROOT / "contrib" / "man"
MARK = "<!-- made from the code -->"


def counters() -> Iterator[str]:
    """Yield the counters of a snapshot."""
    for table in TABLES:
        yield f"\n## {table.name}\n"
        yield f"Source: PostgreSQL documentation, {table.source}. Key: {', '.join(table.key)}.\n"
        yield "| column | unit | kind | since | older names | meaning |"
        yield "|---|---|---|---|---|---|"
        for column in table.columns:
            since = f"{table.versioned_by} {column.since}" if column.since else ""
            cells = [
                column.name,
                column.unit.value,
                _kind(column),
                since,
                ", ".join(column.older),
                column.meaning,
            ]
            yield f"| {' | '.join(cells)} |"


def _kind(column: CounterColumn) -> str:
    return "counter" if column.kind.is_counter else column.kind.name.lower()


def command_line() -> Iterator[str]:
    """Yield the --help of each command."""
    for arguments in _commands(typer.main.get_command(cli.app), []):
        shown = CliRunner().invoke(
            cli.app, [*arguments, "--help"], prog_name="pgiostat", terminal_width=98
        )
        yield f"\n## {' '.join(['pgiostat', *arguments])}\n"
        yield "```text"
        yield "\n".join(line.rstrip() for line in shown.stdout.strip().splitlines())
        yield "```"


def _commands(command: Any, path: list[str]) -> Iterator[list[str]]:
    """Yield the words of a command and of all below it."""
    yield path
    if isinstance(command, Commands):
        for name in COMMANDS:
            command.load(name)
    for name, below in getattr(command, "commands", {}).items():
        yield from _commands(below, [*path, name])


def output() -> Iterator[str]:
    """Yield the columns of CSV and JSON."""
    yield "\n## Keys\n"
    yield "| --by | columns |"
    yield "|---|---|"
    for by in By:
        names = ", ".join(f"`{key.name}` ({key.meaning})" for key in KEYS[by])
        yield f"| {by.value} | {names} |"
    yield "\n## Numbers\n"
    yield "| column | meaning |"
    yield "|---|---|"
    for metric in METRICS:
        yield f"| {metric.name} | {metric.meaning} |"
    yield "\n## Tables and indexes\n"
    yield "At the end of each row, of `pgiostat report` alone ([tables.md](tables.md)):\n"
    yield "| --by | column | meaning |"
    yield "|---|---|---|"
    for columns in dict.fromkeys(ACTIVITY.values()):
        dimensions = ", ".join(by.value for by in ACTIVITY if ACTIVITY[by] is columns)
        for column in columns:
            yield f"| {dimensions} | {column.name} | {column.meaning} |"
    yield "\n## Ledger\n"
    yield "The part of the server's own count that statements do not explain:\n"
    yield "| part | on a screen | meaning |"
    yield "|---|---|---|"
    for account, meaning in MEANINGS.items():
        yield f"| {account.value} | {NAMES[account]} | {meaning} |"
    yield "\n## Burst balance\n"
    yield "At the end of each row of `pgiostat watch --volume`:\n"
    yield "| column | meaning |"
    yield "|---|---|"
    for name, meaning in BALANCE.items():
        yield f"| {name} | {meaning} |"
    yield "\n## Header of --by category\n"
    yield f"```text\n{','.join(header(By.CATEGORY))}\n```"


def device() -> Iterator[str]:
    """Yield the columns of a device."""
    yield "\n| column | unit | meaning |"
    yield "|---|---|---|"
    for name, (unit, meaning) in MEASURED.items():
        yield f"| {name} | {'µs' if unit is Unit.MILLISECONDS else unit.value} | {meaning} |"


def metrics() -> Iterator[str]:
    """Yield the metrics for Prometheus."""
    yield "\n| name | labels | meaning |"
    yield "|---|---|---|"
    for metric in PROMETHEUS:
        yield f"| {metric.name} | {', '.join(metric.labels)} | {metric.meaning} |"


def api() -> Iterator[str]:
    """Yield the public API, as its docstrings have it."""
    for each in public():
        level = "###" if "." in each.name else "##"
        yield f"\n{level} `{each.name}`\n"
        if each.signature:
            yield f"```python\n{each.signature}\n```\n"
        yield _without_doctest(each.text)
        for section in SECTIONS:
            if section not in each.sections:
                continue
            items = each.items(section)
            if section in {"Returns", "Yields"}:
                yield f"\n{section}: {' '.join(each.sections[section].split())}"
            elif items:
                yield f"\n{section}:\n"
                yield from (f"- `{name}`: {text}" for name, text in items.items())
        found = properties(each.subject) if inspect.isclass(each.subject) else {}
        if found:
            yield "\nProperties:\n"
            yield from (f"- `{name}`: {text}" for name, text in found.items())


def _without_doctest(text: str) -> str:
    return text.partition("\n\n>>> ")[0]


def errors() -> Iterator[str]:
    """Yield the exit statuses."""
    yield "\n| exit status | meaning |"
    yield "|---|---|"
    for status in ExitStatus:
        yield f"| {status.value} | {status.name.lower().replace('_', ' ')} |"


def architecture() -> Iterator[str]:
    """Yield the diagram of the packages, and the modules of each."""
    layers = _layers("layers")
    yield "\n```mermaid\nflowchart TD"
    for number, rooms in enumerate(layers):
        yield f'  subgraph L{number}[" "]\n    direction LR'
        yield from (f"    {room}" for room in rooms)
        yield "  end"
    yield from (f"  L{number} --> L{number + 1}" for number in range(len(layers) - 1))
    yield "```\n"
    for room in (room for rooms in layers for room in rooms):
        yield from _room(room, PACKAGE / room)


def _layers(contract: str) -> list[list[str]]:
    """Return the layers of a contract of import-linter, the highest first."""
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = configuration["tool"]["importlinter"]["contracts"]
    (found,) = (each for each in contracts if each["id"] == contract)
    return [[room.strip() for room in layer.split("|")] for layer in found["layers"]]


def _room(name: str, path: Path) -> Iterator[str]:
    """Yield a package with its modules, or a module, with their docstrings."""
    if not path.is_dir():
        yield f"\n### {name}\n\n{_docstring(path.with_suffix('.py'))[0]}"
        return
    yield f"\n### {name}\n"
    yield from _docstring(path / "__init__.py")
    yield "\n| module | contents |\n|---|---|"
    for module in sorted(path.rglob("*.py")):
        if module.name not in {"__init__.py", "__main__.py"}:
            yield f"| `{module.relative_to(path).as_posix()}` | {_docstring(module)[0]} |"


def _docstring(path: Path) -> list[str]:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if not text:
        raise SystemExit(f"{path} has no docstring")
    return text.splitlines()


PAGES: dict[str, Callable[[], Iterator[str]]] = {
    "api.md": api,
    "architecture.md": architecture,
    "counters.md": counters,
    "command-line.md": command_line,
    "output.md": output,
    "errors.md": errors,
    "device.md": device,
    "metrics.md": metrics,
}


def page(name: str) -> str:
    """Return a page: the part kept by hand, and the part made from the code."""
    by_hand, mark, _ = (DOCS / name).read_text(encoding="utf-8").partition(MARK)
    if not mark:
        raise SystemExit(f'docs/{name} has no line "{MARK}"')
    made = "\n".join(PAGES[name]())
    return f"{by_hand}{MARK}\n{made}\n"


def stale_files() -> dict[Path, str | None]:
    """Return what each file should hold that differs; None for a file that should not be there."""
    texts: dict[Path, str | None] = {DOCS / name: page(name) for name in PAGES}
    texts |= dict.fromkeys(MANUALS.glob("*.1"))
    manuals = manual_pages(typer.main.get_command(cli.app))
    texts |= {MANUALS / name: text for name, text in manuals.items()}
    return {
        path: text
        for path, text in texts.items()
        if (path.read_text(encoding="utf-8") if path.exists() else None) != text
    }


def main() -> None:
    """Write the pages, or with --check end with status 1 if any differs."""
    stale = stale_files()
    if "--check" in sys.argv[1:]:
        if stale:
            names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
            raise SystemExit(f"not what the code says: {names}; run: make docs")
        return
    for path, text in stale.items():
        if text is None:
            path.unlink()
        else:
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
