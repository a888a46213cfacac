"""The conventions of psql, journalctl and others that the command line keeps."""

import json
import re
import shlex
import sys
from contextlib import closing
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict

from pgiostat.cli import connection
from pgiostat.cli.commands import COMMANDS
from pgiostat.cli.next_command import NEXT
from pgiostat.errors import PgiostatError
from pgiostat.history.read.history import History
from pgiostat.history.read.window_spec import window
from pgiostat.postgres.refusal import WITHOUT_ONE
from pgiostat.statistics.difference import diff
from pgiostat.timespec import instant
from tests.support.histories import intervals, write
from tests.support.program import pgiostat
from tests.support.readings import at, reading

NO_OPTIONS: dict[str, Any] = {name: default for name, (_, default) in connection.OPTIONS.items()}


def merged(text: str | None, **options: Any) -> dict[str, Any] | None:
    """Return the keywords of the connection string that an argument and options make."""
    made = connection.merged(text, NO_OPTIONS | options)
    return None if made is None else conninfo_to_dict(made)


# --- psql --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        (None, {}, None),
        ("", {}, {}),
        ("shop", {}, {"dbname": "shop"}),
        ("", {"host": "localhost", "port": "5433", "dbname": "shop"},
         {"host": "localhost", "port": "5433", "dbname": "shop"}),
        (None, {"username": "me"}, {"user": "me"}),
        ("shop", {"host": "db", "username": "a b"},
         {"host": "db", "user": "a b", "dbname": "shop"}),
        ("", {"dbname": "host=db dbname=shop"}, {"host": "db", "dbname": "shop"}),
        ("", {"dbname": "postgresql://db/shop", "port": "6432"},
         {"host": "db", "port": "6432", "dbname": "shop"}),
        ("host=db port=5432 dbname=shop", {"port": "6432"},
         {"host": "db", "port": "6432", "dbname": "shop"}),
        ("postgresql://me@db/shop", {"host": "other", "dbname": "till"},
         {"host": "other", "user": "me", "dbname": "till"}),
        ("host=db", {"no_password": True}, {"host": "db"}),
    ],
)  # fmt: skip
def test_argument_and_options_make_one_connection_string(
    text: str | None, options: dict[str, str], expected: dict[str, str] | None
) -> None:
    assert merged(text, **options) == expected


@pytest.mark.parametrize(
    "text",
    ["host=db", "db:5432:app:app:s3cret", "u:s3cret@db", "a;b", "SELECT 1", "", "pg/shop", "a'b"],
)
def test_what_is_no_name_of_a_database_stays_as_it_is(text: str) -> None:
    assert connection.merged(text, NO_OPTIONS) == text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["shop", "-d", "till"],
         "the database is specified twice: as an argument and with --dbname"),
        (["host=db", "-d", "host=other"],
         "the database is specified twice: as an argument and with --dbname"),
        (["shop", "-w", "-W"], "--password and --no-password cannot be used together"),
        (["shop", "-W"], "--password needs a terminal"),
        (["-p", "54e3"], "invalid value for --port"),
        (["-h", "db:5432"], "invalid connection string"),
        (["u:s3cret@db", "-p", "5432"], "invalid connection string"),
    ],
)  # fmt: skip
def test_options_that_contradict_are_a_usage_error(arguments: list[str], message: str) -> None:
    done = pgiostat("watch", *arguments)
    assert (done.returncode, done.stdout, done.stderr.splitlines()[0]) == (
        2, "", f"pgiostat: error: {message}",
    )  # fmt: skip
    assert "s3cret" not in done.stderr


def test_options_are_of_one_server() -> None:
    done = pgiostat("collect", "shop", "till", "-h", "db")
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        2, "pgiostat: error: connection options cannot be used together with several servers",
    )  # fmt: skip


@pytest.mark.ends
def test_a_server_is_named_as_for_psql(database: str, tmp_path: Path) -> None:
    keywords = conninfo_to_dict(database)
    host, port, user, dbname = (str(keywords[name]) for name in ("host", "port", "user", "dbname"))
    secret = {"PGPASSFILE": str(keywords.get("passfile", ""))}
    options = ("-h", host, "-p", port, "-U", user)
    once = ("--once", "-i", "200ms", "--format", "json")
    variables = {"PGHOST": host, "PGPORT": port, "PGUSER": user, **secret}
    for words, environment in (
        ((*options, "-d"), secret), (options, secret), ((), variables)
    ):  # fmt: skip
        done = pgiostat("watch", *words, dbname, *once, **environment)
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["server"]["dbname"] == dbname
        wrong = pgiostat("watch", *words, "no_such", *once, **environment)
        assert (wrong.returncode, wrong.stderr.splitlines()[0]) == (
            1, 'pgiostat: error: database "no_such" does not exist',
        )  # fmt: skip
    doctor = pgiostat("doctor", *options, dbname, "--format", "json", **secret)
    assert json.loads(doctor.stdout)["server"]["dbname"] == dbname
    collected = pgiostat(
        "collect", *options, "-d", dbname, "--check", "--history", tmp_path / "history", **secret
    )
    assert (collected.returncode, collected.stderr) == (0, "")
    rules = pgiostat("rules", "test", *options, dbname, **secret)
    assert (rules.returncode, rules.stderr) == (0, "")
    init = pgiostat("rules", "init", *options, "-d", dbname, "--out", tmp_path / "r", **secret)
    assert (init.returncode, init.stderr) == (0, "")


@pytest.mark.ends
@pytest.mark.once  # its password file is known
def test_a_password_is_prompted_for_where_one_is_missing(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keywords = conninfo_to_dict(database)
    *_, password = Path(str(keywords.pop("passfile"))).read_text().strip().split(":")
    del keywords["password"]
    monkeypatch.setenv("PGPASSFILE", "/dev/null")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    prompts: list[str] = []

    def getpass(prompt: str) -> str:
        prompts.append(prompt)
        return password

    monkeypatch.setattr("getpass.getpass", getpass)
    users: list[tuple[str, ...]] = []

    @connection.connects()
    def command(dsn: str) -> None:
        from pgiostat.postgres.session import connect  # noqa: PLC0415 - as commands do

        session = connect(dsn)
        users.append(tuple(session.conn.execute("SELECT current_user").fetchone() or ()))
        session.close()

    dsn = " ".join(f"{name}={value}" for name, value in keywords.items())
    command(dsn=dsn, **NO_OPTIONS)
    assert prompts == ["Password: "]
    command(dsn=dsn, **NO_OPTIONS | {"password": True})
    assert prompts == ["Password: "] * 2
    with pytest.raises(PgiostatError, match=WITHOUT_ONE):
        command(dsn=dsn, **NO_OPTIONS | {"no_password": True})
    assert (len(prompts), users) == (2, [(keywords["user"],)] * 2)


# --- a history as an argument ------------------------------------------------------------


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a history of three intervals of ten minutes, from 10:00 on."""
    write(tmp_path / "history", intervals(3, 600))
    return tmp_path / "history"


@pytest.mark.parametrize(
    "arguments",
    [
        ["report"],
        ["history"],
        ["burst", "--volume", "gp2:100"],
        ["whatif", "--drop", "version"],
    ],
)
def test_a_history_is_an_argument_or_an_option(root: Path, arguments: list[str]) -> None:
    command, *options = arguments
    form = ("--format", "json")
    as_option = pgiostat(command, *options, "--history", root, *form)
    as_argument = pgiostat(command, root, *options, *form)
    assert (as_argument.returncode, as_argument.stderr) == (0, "")
    ages = re.compile(r'"age_seconds": [\d.]+')
    assert ages.sub("", as_argument.stdout) == ages.sub("", as_option.stdout)
    twice = pgiostat(command, root, *options, "--history", root)
    assert (twice.returncode, twice.stderr) == (
        2,
        "pgiostat: error: the history is specified twice: as an argument and with --history\n",
    )


def test_a_history_is_exported_and_uploaded_by_its_name(root: Path, tmp_path: Path) -> None:
    done = pgiostat("export", root, "--out", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out" / "README.md").is_file()
    done = pgiostat("ship", root, "--to", f"file://{tmp_path}/there")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("uploaded ")


def test_compare_takes_a_history_before_its_two_windows(root: Path) -> None:
    sides = ("@10:00:00Z..10:15:00Z", "@10:15:00Z..10:30:00Z")
    day = tuple(side.replace("10:", "2026-11-23T10:") for side in sides)
    as_option = pgiostat("compare", *day, "--history", root, "--format", "csv")
    as_argument = pgiostat("compare", root, *day, "--format", "csv")
    assert (as_argument.returncode, as_argument.stdout) == (0, as_option.stdout)
    wrongs: tuple[tuple[tuple[str | Path, ...], str], ...] = (
        ((root,), "compare takes two time windows, not 1"),
        ((root, *day, "c"), "compare takes two time windows, not 4"),
        (
            (root, *day, "--history", root),
            "the history is specified twice: as an argument and with --history",
        ),
    )
    for words, message in wrongs:
        wrong = pgiostat("compare", *words)
        assert (wrong.returncode, wrong.stderr.splitlines()[0]) == (
            2, f"pgiostat: error: {message}",
        )  # fmt: skip


# --- times -------------------------------------------------------------------------------


@pytest.mark.parametrize("since", ["1 hour ago", "1h", "now-1h", "-1h", "-3600"])
def test_a_window_begins_an_hour_ago_in_any_spelling(tmp_path: Path, since: str) -> None:
    # An hour ago is in the middle of the sixth interval from the end.
    first = (datetime.now(UTC) - at(0)).total_seconds() - 125 * 60
    readings = [
        reading(first + n * 600, [{"queryid": 1, "calls": n, "shared_blks_read": n}])
        for n in range(13)
    ]
    write(tmp_path, [diff(a, b) for a, b in pairwise(readings)])
    done = pgiostat("report", tmp_path, "--since", since, "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["samples"] == 5


@pytest.mark.parametrize(
    "arguments",
    [
        ["report"],
        ["report", "--by", "hour"],
        ["report", "--series", "10m"],
        ["history"],
        ["burst", "--volume", "gp2:100"],
        ["compare", "@..2026-11-23T10:15:00Z", "@2026-11-23T10:15:00Z.."],
        ["report", "--since", "2026-11-24"],
    ],
)
def test_each_time_that_is_printed_has_its_zone(root: Path, arguments: list[str]) -> None:
    command, *words = arguments
    done = pgiostat(command, root, *words, TZ="Asia/Tokyo")
    printed = re.findall(r"(?:[\d-]{10}[ T])?\d\d:\d\d(?::\d\d)?\S*", done.stdout + done.stderr)
    assert printed != []
    assert [text for text in printed if not re.fullmatch(r"\S+( \S+)?Z[.,;]?", text)] == []
    for text in (each.rstrip(".,;") for each in printed):
        back = instant(text, datetime.now(UTC)).astimezone(UTC)
        forms = ("%H:%M:%SZ", "%Y-%m-%d %H:%MZ", "%Y-%m-%d %H:%M:%SZ", "%Y-%m-%dT%H:%M:%SZ")
        assert text in {back.strftime(form) for form in forms}


def test_a_time_that_a_screen_printed_is_accepted_back(root: Path) -> None:
    line = pgiostat("report", root, "--by", "hour").stdout
    hour = re.search(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", line)
    assert hour is not None
    done = pgiostat("report", root, "--since", hour[0], "--last", "10m")
    assert done.returncode == 2
    done = pgiostat("report", root, "--since", hour[0], "--format", "json")
    assert json.loads(done.stdout)["samples"] == 3


@pytest.mark.parametrize(
    ("now", "since", "until", "expected"),
    [
        ("12:00", "09:00", "18:00", ("2026-11-23 09:00", "2026-11-23 18:00")),
        ("20:00", "09:00", "18:00", ("2026-11-23 09:00", "2026-11-23 18:00")),
        ("00:30", "23:50", "00:10", ("2026-11-22 23:50", "2026-11-23 00:10")),
        ("08:00", "09:00", "07:00", ("2026-11-22 09:00", "2026-11-23 07:00")),
        ("12:00", "yesterday 09:00", "18:00", ("2026-11-22 09:00", "2026-11-22 18:00")),
    ],
)
def test_the_end_of_a_window_of_times_of_day_follows_its_beginning(
    root: Path, now: str, since: str, until: str, expected: tuple[str, str]
) -> None:
    with closing(History.open(root)) as opened:
        at_now = datetime.fromisoformat(f"2026-11-23 {now}Z")
        found = window(opened, at_now, since=since, until=until)
    assert (f"{found.since:%Y-%m-%d %H:%M}", f"{found.until:%Y-%m-%d %H:%M}") == expected


@pytest.mark.parametrize("interval", ["200ms", "0.2", "0.2s"])
def test_an_interval_has_a_unit_or_is_seconds(interval: str) -> None:
    done = pgiostat("watch", "host=127.0.0.1 port=1", "--once", "-i", interval)
    assert done.stderr.splitlines()[0] == (
        'pgiostat: error: could not connect to server "127.0.0.1:1"'
    )


# --- the next command --------------------------------------------------------------------


def test_the_next_command_is_named_in_text_alone(root: Path) -> None:
    assert pgiostat("history", root).stdout.splitlines()[-1] == (
        f"Next: pgiostat report {shlex.quote(str(root))}"
    )
    for form in ("csv", "json", "markdown"):
        assert "Next:" not in pgiostat("report", root, "--format", form).stdout


def test_each_next_command_exists() -> None:
    named = {word for line in NEXT.values() for word in re.findall(r"pgiostat ([a-z]+)", line)}
    assert named <= set(COMMANDS)


# --- completion --------------------------------------------------------------------------


def proposed(line: str, **variables: str) -> set[str]:
    """Return the words that bash is offered at the end of a line."""
    words = re.split(r"(?<!\\) ", line)
    done = pgiostat(
        _PGIOSTAT_COMPLETE="complete_bash",
        COMP_WORDS="\n".join(words),
        COMP_CWORD=str(len(words) - 1),
        **variables,
    )
    assert done.stderr == ""
    return set(filter(None, done.stdout.splitlines()))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("pgiostat do", {"doctor"}),
        ("pgiostat burst --vol", {"--volume"}),
        ("pgiostat burst --volume rds-gp", {"rds-gp2:", "rds-gp3:"}),
        ("pgiostat burst --instance db.m5.l", {"db.m5.large"}),
        ("pgiostat report --format m", {"markdown"}),
        ("pgiostat report --by da", {"database"}),
        ("pgiostat report --sort t", {"time", "temp"}),
        ("pgiostat whatif --drop versi", {"version"}),
        ("pgiostat whatif --calls versi", {"version="}),
        ("pgiostat compare --per versi", {"version:calls"}),
        ("pgiostat rules show @sync", {"@sync_bookkeeping", "@synced"}),
        ("pgiostat whatif --drop web", {r"web\ session"}),
        ("pgiostat whatif --drop web\\ s", {r"web\ session"}),
        ('pgiostat whatif --drop "web', {"web session"}),
        ("pgiostat report --rules /nowhere --label x", set()),
        ("pgiostat whatif --rules /nowhere --drop versi", set()),
    ],
)
def test_a_shell_completes_words(line: str, expected: set[str]) -> None:
    assert proposed(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        "pgiostat report {} --label ",
        "pgiostat report --history {} --label ",
        "pgiostat compare {} ",
        "pgiostat watch --replay {} --label ",
    ],
)
def test_a_shell_completes_the_labels_of_a_history(root: Path, line: str) -> None:
    assert proposed(line.format(root)) == {"prod"}


def test_labels_are_those_of_the_default_history(tmp_path: Path) -> None:
    place = tmp_path / "pgiostat" / "history"
    place.parent.mkdir()
    assert proposed("pgiostat report --label ", XDG_DATA_HOME=str(tmp_path)) == set()
    write(place, intervals(1, 600))
    assert proposed("pgiostat report --label ", XDG_DATA_HOME=str(tmp_path)) == {"prod"}


@pytest.mark.ends
def test_watch_has_a_page_for_each_interval(database: str) -> None:
    done = pgiostat("watch", database, "-n", "2", "-i", "200ms", "--format", "markdown")
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.strip().split("\n\n- ")
    for page in (first.removeprefix("- "), second):
        assert page.startswith("pgiostat, ")
        assert page.count("\n| category | share | ") == 1
