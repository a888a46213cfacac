"""The help of every command: what a person reads first, in 80 columns and in plain words."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from pgiostat import cli
from pgiostat.cli.commands import COMMANDS, PURPOSES, Commands
from tests.support.prose import forbidden

WIDTH = 80
MAX_OPTION_HELP = 100


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield all commands with the words that name them."""
    yield path, command
    if isinstance(command, Commands):
        for name in COMMANDS:
            command.load(name)
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*path, name))


ALL = dict(commands(typer.main.get_command(cli.app)))


def shown(*words: str) -> str:
    """Return the help of a command on a terminal of 80 columns."""
    done = CliRunner().invoke(
        cli.app, [*words, "--help"], prog_name="pgiostat", terminal_width=WIDTH
    )
    assert done.exit_code == 0
    return done.stdout


def summary_of(command: Any) -> str:
    return " ".join((command.help or "").partition("\n\n")[0].split())


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_help_fits_a_terminal_and_cuts_nothing(path: tuple[str, ...]) -> None:
    lines = shown(*path).splitlines()
    assert [line for line in lines if len(line) > WIDTH or line.endswith("...")] == [
        line for line in lines if line.startswith("Usage:") and line.endswith("...")
    ]


def test_commands_are_in_groups_each_with_its_summary() -> None:
    text = shown()
    places = [text.index(f"\n{purpose}:\n") for purpose in PURPOSES]
    assert places == sorted(places)
    assert list(PURPOSES) == ["Live", "Record", "Ask", "Share", "Set up", "Try"]
    for name, (_, summary) in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(summary)}$", text, re.MULTILINE), name


@pytest.mark.parametrize("path", [path for path in ALL if len(path) > 1], ids=" ".join)
def test_the_summary_of_a_command_of_a_command_is_a_line(path: tuple[str, ...]) -> None:
    line = rf"^  {path[-1]} +{re.escape(summary_of(ALL[path]).removesuffix('.'))}\.?$"
    assert re.search(line, shown(*path[:-1]), re.MULTILINE)


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_the_help_of_an_option_is_short(path: tuple[str, ...]) -> None:
    options = [each for each in ALL[path].params if each.param_type_name == "option"]
    ours = [each for each in options if not each.name.endswith("_completion")]
    assert [each.name for each in ours if not each.help or len(each.help) >= MAX_OPTION_HELP] == []


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_help_has_none_of_the_words_to_be_avoided(path: tuple[str, ...]) -> None:
    assert forbidden(shown(*path)) == []


@pytest.mark.parametrize(
    "arguments", [["help", "rules", "test"], ["rules", "test", "-?"], ["rules", "test", "--help"]]
)
def test_help_is_asked_for_in_three_ways(arguments: list[str]) -> None:
    done = CliRunner().invoke(cli.app, arguments, prog_name="pgiostat", terminal_width=WIDTH)
    assert (done.exit_code, done.stdout) == (0, shown("rules", "test"))


def test_h_is_the_host_of_a_command_that_connects_and_help_elsewhere() -> None:
    hosts = {path for path, each in ALL.items() if any("-h" in one.opts for one in each.params)}
    assert hosts == {
        ("watch",), ("doctor",), ("collect",), ("why",), ("rules", "init"), ("rules", "test"),
    }  # fmt: skip
    for path in ALL:
        first, *others = re.findall(r"^  (-h, -\?|-\?), --help ", shown(*path), re.MULTILINE)
        assert (first, others) == ("-?" if path in hosts else "-h, -?", [])
