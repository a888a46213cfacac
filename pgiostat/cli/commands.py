"""The commands by name, and the group that imports a command when it runs."""

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

__all__ = ["COMMANDS", "Commands"]

COMMANDS = {
    "demo": (
        "demo:demo",
        "Run the main job on a PostgreSQL of its own: data, a sync workload, and watch on it.",
    ),
    "watch": (
        "watch:watch",
        "Show live which kinds of query read, how much, and how sure that is.",
    ),
    "collect": ("collect:collect", "Collect intervals of servers into a history, until stopped."),
    "report": ("report:report", "Say who read what in a time of a history, and how sure that is."),
    "export": (
        "export:export",
        "Write all tables of a time of a history as CSV files, with a data dictionary.",
    ),
    "ship": (
        "ship:ship",
        "Bring what is sealed of a history to an object store, whole and verified.",
    ),
    "history": (
        "inventory:contents",
        "Say what a history holds: labels, their times, gaps and rows, and what it takes on disk.",
    ),
    "compare": (
        "compare:compare",
        "Say what reads more or less in B than in A, and how sure that is.",
    ),
    "burst": (
        "burst:burst",
        "Say when a volume's burst balance ends, who burned it, and what must go to stop the fall.",
    ),
    "whatif": (
        "whatif:whatif",
        "Say what a time would have read without a category, or with fewer calls or reads of it.",
    ),
    "doctor": (
        "doctor:doctor",
        "Say whether a server is ready to say who reads, and what mends what is not.",
    ),
    "rules": ("rules:app", "Write, show and try the rules that sort statements into categories."),
    "lab": ("lab:app", "The whole investigation, reproduced on a PostgreSQL of its own."),
}
"""Module and name of each command, and the first sentence of its help, which a test compares."""


class Commands(TyperGroup):
    """The commands of pgiostat, of which one is imported when it runs: --help needs none."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, (_, summary) in COMMANDS.items():
            self.add_command(TyperCommand(name, help=summary))
        self._loaded: set[str] = set()

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the name, the command and its arguments; the command is imported now."""
        self.load(args[0])
        return super().resolve_command(ctx, args)

    def load(self, name: str) -> None:
        """Import a command, and what an error needs that comes when nothing can be imported."""
        if name in self._loaded or name not in COMMANDS:
            return
        import_module("pgiostat.unexpected")
        module, _, attribute = COMMANDS[name][0].partition(":")
        command = getattr(import_module(f"pgiostat.cli.{module}"), attribute)
        parent = typer.Typer(rich_markup_mode=None, add_completion=False)
        parent.callback()(lambda: None)
        if isinstance(command, typer.Typer):
            parent.add_typer(command, name=name)
        else:
            parent.command(name)(command)
        group = typer.main.get_command(parent)
        self.add_command(group.commands[name])  # type: ignore[attr-defined]
        self._loaded.add(name)
