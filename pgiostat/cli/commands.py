"""The commands by purpose and name, and the group that imports a command when it runs."""

from difflib import get_close_matches
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

__all__ = [
    "COMMANDS",
    "PURPOSES",
    "QUOTE_DSN",
    "Command",
    "Commands",
    "similar_command",
    "similar_option",
]

PURPOSES = {
    "Live": {
        "watch": ("watch:watch", "Show live which queries cause disk reads on a server."),
        "doctor": ("doctor:doctor", "Check whether a server is ready, and print what fixes it."),
    },
    "Record": {
        "collect": ("collect:collect", "Record intervals of servers into a history until stopped."),
        "history": ("inventory:contents", "Show what a history holds: servers, time spans, sizes."),
        "ship": ("ship:ship", "Upload compacted history files to an object store; verify them."),
    },
    "Ask": {
        "report": ("report:report", "Rank queries by reads over a time window."),
        "compare": ("compare:compare", "Compare the reads of two time windows, with error bounds."),
        "why": ("why:why", "Name the causes of reads that grew, with evidence from counters."),
        "burst": ("burst:burst", "Show what uses a volume's burst balance, and when it runs out."),
        "whatif": (
            "whatif:whatif",
            "Estimate the reads if a category or statement were gone or cheaper.",
        ),
    },
    "Share": {
        "export": ("export:export", "Write a time window as CSV files with a data dictionary."),
    },
    "Set up": {
        "rules": ("rules:app", "Write, show and test the rules that assign categories."),
    },
    "Try": {
        "demo": ("demo:demo", "Start a local PostgreSQL with a workload, and watch it."),
        "lab": ("lab:app", "Reproduce the whole investigation on a local PostgreSQL."),
    },
}
"""Module and summary of each command, by purpose; a test compares summaries and help."""
QUOTE_DSN = "A connection string is one argument, after a command: enclose it in quotes."
_CLOSE_OPTION = 0.76
"""difflib's ratio from which an option is suggested for another word."""
COMMANDS = {name: entry for group in PURPOSES.values() for name, entry in group.items()}


class _OrderedHelpNames:
    """Lists the names of the help option in their order; -h gives way to a command's own -h."""

    params: list[Any]

    def get_help_option_names(self, ctx: Any) -> list[str]:
        """Return the names of --help that no other option has."""
        others = {name for each in self.params for name in (*each.opts, *each.secondary_opts)}
        return [name for name in ctx.help_option_names if name not in others]


class Command(_OrderedHelpNames, TyperCommand):
    """A command."""


class Group(_OrderedHelpNames, TyperGroup):
    """Commands of a command."""

    def __init__(self, **settings: Any) -> None:
        # An error of ours suggests the similar command.
        super().__init__(**settings | {"suggest_commands": False})


class Commands(Group):
    """The commands of pgiostat, of which one is imported when it runs: --help needs none."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, (_, summary) in COMMANDS.items():
            self.add_command(TyperCommand(name, help=summary, short_help=summary))
        self._loaded: set[str] = set()

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Return the arguments of a command: `help COMMAND` is `COMMAND --help`."""
        return super().parse_args(ctx, [*args[1:], "--help"] if args[:1] == ["help"] else args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands by purpose, each summary whole."""
        del ctx
        width = max(map(len, COMMANDS))
        for purpose, commands in PURPOSES.items():
            with formatter.section(purpose):
                rows = [(f"{name:{width}}", summary) for name, (_, summary) in commands.items()]
                formatter.write_dl(rows)

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
            for each in command.registered_commands:
                each.cls = Command
            parent.add_typer(command, name=name, cls=Group)
        else:
            parent.command(name, cls=Command)(command)
        group = typer.main.get_command(parent)
        self.add_command(group.commands[name])  # type: ignore[attr-defined]
        self._loaded.add(name)


def similar_option(word: str, options: Any) -> str | None:
    """Return the option that a misspelt one resembles closely, or begins; None if there is none.

    >>> similar_option("--intervall", ["--interval"]), similar_option("--db", ["--dbname"])
    ('--interval', '--dbname')
    >>> similar_option("--out", ["--port", "--count"]), similar_option("--rules", ["--preset"])
    (None, None)
    """
    # The dashes, which all options have, make short words alike.
    names = {option.lstrip("-"): option for option in options}
    plain = word.lstrip("-")
    close = get_close_matches(plain, list(names), n=1, cutoff=_CLOSE_OPTION)
    begun = [name for name in names if plain and name.startswith(plain)]
    return next((names[name] for name in (*begun, *close)), None)


def similar_command(word: str, names: Any) -> str | None:
    """Return the command that a misspelt word most resembles, None if there is none.

    >>> similar_command("wacth", COMMANDS), similar_command("frobnicate", COMMANDS)
    ('watch', None)
    """
    return next(iter(get_close_matches(word, list(names), n=1)), None)
