"""The command line by itself: what is refused, and how it says so."""

import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import pytest
import typer.main

from pgiostat import __version__, cli
from pgiostat.cli.commands import COMMANDS, QUOTE_DSN, Commands
from tests.support.program import pgiostat


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["watch", "--zzz"],
            ["pgiostat: error: no such option: --zzz", "HINT:  Try: pgiostat watch --help"],
        ),
        (
            ["nosuch"],
            ['pgiostat: error: no such command "nosuch"', "HINT:  Try: pgiostat --help"],
        ),
        (
            ["watch", "-h"],
            [
                "pgiostat: error: option '-h' requires an argument",
                "HINT:  Try: pgiostat watch --help",
            ],
        ),
        (
            ["wacth"],
            [
                'pgiostat: error: no such command "wacth"',
                "HINT:  Did you mean watch? Try: pgiostat --help",
            ],
        ),
        (
            ["rules", "tset"],
            [
                'pgiostat: error: no such command "tset"',
                "HINT:  Did you mean test? Try: pgiostat rules --help",
            ],
        ),
        (
            ["watch", "--intervall", "1"],
            [
                "pgiostat: error: no such option: --intervall",
                "HINT:  Did you mean --interval? Try: pgiostat watch --help",
            ],
        ),
        (
            ["watch", "--out", "x"],
            ["pgiostat: error: no such option: --out", "HINT:  Try: pgiostat watch --help"],
        ),
        (
            ["collect", "--hist", "x"],
            [
                "pgiostat: error: no such option: --hist",
                "HINT:  Did you mean --history? Try: pgiostat collect --help",
            ],
        ),
        (
            ["collect", "postgresql://h/d", "hist"],
            [
                'pgiostat: error: "hist" is no connection string',
                "HINT:  --history hist names the directory; a database is dbname=hist",
            ],
        ),
        (
            ["collect", "host=db", "password=my", "Zk7Q"],
            [
                "pgiostat: error: one of the servers is no connection string",
                f"HINT:  {QUOTE_DSN}",
            ],
        ),
        (
            ["host=db", "password=Zk7Q"],
            [
                "pgiostat: error: no such command",
                f"HINT:  {QUOTE_DSN} Try: pgiostat --help",
            ],
        ),
        (
            ["watch", "--once", "--count", "3"],
            ["pgiostat: error: --once and --count cannot be used together"],
        ),
        (
            ["watch", "--by", "colour"],
            [
                'pgiostat: error: invalid value for --by: "colour"',
                (
                    "HINT:  Allowed are category, verb, table, fingerprint, statement, relation,"
                    " database, user, tag:KEY."
                ),
            ],
        ),
        (
            ["watch", "--by", "tag:"],
            [
                "pgiostat: error: --by tag: needs the key of a tag",
                "HINT:  Try: --by tag:controller",
            ],
        ),
        *(
            (
                [*command, "--by", "tag:controller"],
                [
                    "pgiostat: error: a history has no tags",
                    (
                        "DETAIL:  Tags are comments of statements. A history keeps texts without"
                        " comments, which may hold secrets."
                    ),
                    (
                        "HINT:  pgiostat watch --by tag:controller shows tags of a server. For a"
                        " history, rules by table or role name the parts of an application:"
                        " pgiostat rules init suggests some."
                    ),
                ],
            )
            for command in (["report", "/no/such"], ["report", "/no/such", "--series", "1m"])
        ),
        (
            ["watch", "--sort", "x"],
            [
                'pgiostat: error: invalid value for --sort: "x"',
                "HINT:  Allowed are reads, time, temp, calls, per-call.",
            ],
        ),
        (
            ["watch", "--format", "xml"],
            [
                'pgiostat: error: invalid value for --format: "xml"',
                "HINT:  Allowed are text, csv, json, markdown.",
            ],
        ),
        (
            ["watch", "--interval", "0"],
            [
                'pgiostat: error: invalid value for --interval: "0"',
                "HINT:  It must be from 0.1s to 1d.",
            ],
        ),
        (
            ["watch", "--count", "0"],
            [
                "pgiostat: error: invalid value for --count: 0",
                "HINT:  It must be at least 1.",
            ],
        ),
    ],
)
def test_a_wrong_command_line_is_a_usage_error_that_says_what_is_right(
    arguments: list[str], told: list[str]
) -> None:
    done = pgiostat(*arguments)
    assert (done.returncode, done.stdout, done.stderr.splitlines()) == (2, "", told)


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["-?"], ["help"]])
def test_help_lists_the_commands(arguments: list[str]) -> None:
    done = pgiostat(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\n  watch  " in done.stdout
    assert "\n  demo   " in done.stdout


def test_the_version_is_told() -> None:
    for option in ("-V", "--version"):
        done = pgiostat(option)
        assert (done.returncode, done.stdout) == (0, f"pgiostat {__version__}\n")


def test_a_statement_may_begin_with_a_comment() -> None:
    done = pgiostat("rules", "test", "-- name: Newest :one\nSELECT max(rev) FROM t")
    assert (done.returncode, done.stdout.split("  ")[0]) == (0, "select t")


def test_output_that_cannot_be_written_is_an_error_without_a_traceback() -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        done = subprocess.run(
            [sys.executable, "-m", "pgiostat", "rules", "show"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    told = "pgiostat: error: could not write the output: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, told)


@pytest.mark.parametrize("option", ["--history", "--config", "--rules"])
@pytest.mark.parametrize(
    "value",
    ["host=127.0.0.1 port=1 password=Zk7Q", "postgresql://u:Zk7Q@h/d", "s3:AKIA:Zk7Q@b"],
)
def test_a_name_of_a_file_that_may_hold_a_secret_is_refused(
    tmp_path: Path, option: str, value: str
) -> None:
    with chdir(tmp_path):
        done = pgiostat(
            "collect", option, value, "--for", "100ms", PYTHONPATH=str(Path(__file__).parents[2])
        )
    assert (done.returncode, done.stdout, done.stderr.splitlines()[0], [*tmp_path.iterdir()]) == (
        2,
        "",
        f"pgiostat: error: invalid value for {option}: it may hold a password or a key",
        [],
    )


@pytest.mark.parametrize(
    "arguments",
    [
        *(
            [command, value]
            for command in ("report", "history", "burst", "whatif", "export", "ship")
            for value in ("postgresql://u:Zk7Q@h/d", "host=db password=Zk7Q")
        ),
        ["report", "--history", "host=db"],
        ["compare", "postgresql://u:Zk7Q@h/d", "a", "b"],
        ["compare", "host=db"],
    ],
)
def test_a_command_that_reads_a_history_refuses_a_server(arguments: list[str]) -> None:
    done = pgiostat(*arguments)
    assert (done.returncode, done.stdout, done.stderr.splitlines()) == (
        2,
        "",
        [
            f"pgiostat: error: {arguments[0]} reads a history, not a server",
            "HINT:  pgiostat watch shows a server; pgiostat collect records one.",
        ],
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["watch", "--by", "{}"], 'invalid value for --by: "***"'),
        (["watch", "--top", "{}"], 'invalid value for --top: "***"'),
        (["doctor", "--format", "{}"], 'invalid value for --format: "***"'),
        (["rules", "show", "{}"], 'there is no rule "***"'),
    ],
)
@pytest.mark.parametrize(
    "value", ["host=db password=Zk7Q", "postgresql://u:Zk7Q@h/d", "db:5432:app:app:Zk7Q"]
)
def test_an_error_does_not_quote_an_argument_that_may_hold_a_secret(
    arguments: list[str], told: str, value: str
) -> None:
    done = pgiostat(*(each.format(value) for each in arguments))
    first = done.stderr.splitlines()[0]
    assert (first.startswith(f"pgiostat: error: {told}"), "Zk7Q" in done.stderr) == (True, False)


def test_an_ordinary_error_is_quoted_as_it_is() -> None:
    done = pgiostat("watch", "--once", "postgresql://u:refused@127.0.0.1:1/d")
    assert done.stderr.splitlines()[:2] == [
        'pgiostat: error: could not connect to server "127.0.0.1:1"',
        "DETAIL:  Connection refused.",
    ]
    assert pgiostat("report", "--history", "/no/such").stderr.splitlines()[0] == (
        'pgiostat: error: there is no history in "/no/such"'
    )


@pytest.mark.parametrize(
    "subject",
    [
        "psql postgresql://u:Zk7Q@h/d",
        'psql "host=h password=Zk7Q"',
        '{"host":"h","password":"Zk7Q"}',
        "-h h -U u password=Zk7Q",
    ],
)
def test_what_is_no_statement_is_not_quoted(subject: str) -> None:
    done = pgiostat("rules", "test", "--", subject)
    assert (done.returncode, done.stdout, done.stderr.splitlines()[0]) == (
        1,
        "",
        "pgiostat: error: statement 1 of 1 does not begin with an SQL command",
    )


@pytest.mark.parametrize("command", [["demo"], ["lab", "run"], ["rules", "init"], ["export"]])
def test_no_directory_is_made_of_a_connection_string(tmp_path: Path, command: list[str]) -> None:
    with chdir(tmp_path):
        done = pgiostat(
            *command,
            "--out",
            "postgresql://u:Zk7Q@127.0.0.1:1/d",
            PYTHONPATH=str(Path(__file__).parents[2]),
        )
    assert (done.returncode, done.stdout, done.stderr.splitlines()[0], [*tmp_path.iterdir()]) == (
        2,
        "",
        "pgiostat: error: invalid value for --out: it may hold a password or a key",
        [],
    )


def test_the_demo_refuses_an_unknown_scenario_and_two_tasks_at_once() -> None:
    unknown = pgiostat("demo", "--scenario", "bank")
    assert (unknown.returncode, unknown.stderr.splitlines()) == (
        2,
        ['pgiostat: error: invalid value for scenario: "bank"', "HINT:  Allowed are sync, shop."],
    )
    two = pgiostat("demo", "--attach", "--clean")
    assert (two.returncode, two.stderr) == (
        2,
        "pgiostat: error: --attach, --dsn and --clean cannot be used together\n",
    )


def test_the_list_of_commands_has_the_first_sentence_of_each() -> None:
    group = typer.main.get_command(cli.app)
    assert isinstance(group, Commands)
    for name, (_, summary) in COMMANDS.items():
        group.load(name)
        command = group.commands[name]
        assert command.name == name
        first = " ".join((command.help or "").partition("\n\n")[0].split())
        assert first.startswith(summary), name


def test_help_imports_no_command() -> None:
    program = (
        "import sys; sys.argv = ['pgiostat', '--help']\n"
        "import pgiostat.cli, atexit\n"
        "ours = lambda: sorted(name for name in sys.modules if name.startswith('pgiostat.'))\n"
        "atexit.register(lambda: print(*ours()))\n"
        "pgiostat.cli.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1].split() == [
        "pgiostat.cli",
        "pgiostat.cli.commands",
        "pgiostat.cli.process",
        "pgiostat.cli.streams",
        "pgiostat.errors",
        "pgiostat.escape",
        "pgiostat.history",
        "pgiostat.history.without_pandas",
    ]


def test_a_command_loads_what_an_error_needs_without_descriptors() -> None:
    program = (
        "import sys, typer\n"
        "from pgiostat import cli\n"
        "typer.main.get_command(cli.app).load('collect')\n"
        "print('pgiostat.unexpected' in sys.modules, 'traceback' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "True True\n"
