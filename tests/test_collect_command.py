"""pgiostat collect as a service: signals, a configuration file, its log, and what it keeps."""

import os
import pty
import re
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest

from pgiostat.collecting.check import check
from pgiostat.collecting.config import read
from pgiostat.collecting.log import is_journal
from pgiostat.collecting.targets import Plan, Target
from pgiostat.errors import PgiostatError
from pgiostat.history.layout import Layout
from pgiostat.history.reader import History
from pgiostat.history.retain import Keep, retain
from pgiostat.history.seal import seal
from tests.readings import Unsynced, at
from tests.test_cli import pgiostat
from tests.test_history_reader import MINUTE, intervals, write

ROOT = Path(__file__).parent.parent
PATIENCE = 60.0


class Collector:
    """A collector that runs."""

    def __init__(self, log: Path, *arguments: str, **environment: str) -> None:
        self.log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pgiostat", "collect", *arguments],
                stderr=out,
                env={**os.environ, **environment},
            )

    def said(self) -> list[str]:
        """Return what was said, without the times."""
        lines = self.log.read_text("utf-8").splitlines()
        return [re.sub(r"^\S+Z ", "", line) for line in lines]

    def until(self, *words: str) -> None:
        """Wait until something is said."""
        waiting = Event()
        for _ in range(round(PATIENCE / 0.05)):
            if all(any(word in line for line in self.said()) for word in words):
                return
            waiting.wait(0.05)
        pytest.fail(f"never said {words}: {self.said()}")

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextmanager
def collecting(log: Path, *arguments: str, **environment: str) -> Iterator[Collector]:
    """Yield a collector, and end it at last."""
    there = Collector(log, *arguments, **environment)
    try:
        yield there
    finally:
        if there.process.poll() is None:
            there.process.kill()
            there.process.wait()


def samples(root: Path) -> dict[str, int]:
    """Return how many samples each server has."""
    return {server.label: server.samples for server in History.open(root).servers()}


def committed(root: Path, label: str, least: int = 1) -> None:
    """Wait until a server has so many samples."""
    waiting = Event()
    for _ in range(round(PATIENCE / 0.05)):
        if len(list(root.glob(f"hot/{label}/*"))) >= least:
            return
        waiting.wait(0.05)
    pytest.fail(f"{label} never had {least} samples")


@pytest.mark.once
def test_a_file_read_again_changes_what_it_changes_and_nothing_else(
    database: str, tmp_path: Path
) -> None:
    config, root = tmp_path / "pgiostat.toml", tmp_path / "history"

    def tell(*servers: str) -> None:
        lines = ['history = "history"', 'interval = "0.2s"']
        for server in servers:
            label, _, interval = server.partition("@")
            lines += [f"[servers.{label}]", f'dsn = "{database}"']
            lines += [f'interval = "{interval}"'] * bool(interval)
        config.write_text("\n".join(lines))

    tell("same", "changes", "goes")
    with collecting(tmp_path / "log", "--config", str(config)) as there:
        for label in ("same", "changes", "goes"):
            committed(root, label)
        tell("same", "changes@0.3s", "comes")
        there.process.send_signal(signal.SIGHUP)
        there.until("SIGHUP: collecting 3 servers", "goes: is not collected any more")
        there.until("changes: going on from the sample of")
        committed(root, "comes")
        config.write_text("[servers.same]\ncolour = 1\n")
        there.process.send_signal(signal.SIGHUP)
        there.until("nothing is changed: " + f'{config}, line 2: "colour" is not a key of')
        before = samples(root)["same"]
        committed(root, "same", before + 2)
        assert there.end() == 0
    said = there.said()
    assert not [line for line in said if line.startswith("same: going on")]
    ends = [line.split(":")[0] for line in said if line.endswith("samples committed")]
    assert sorted(ends[:2]) == ["changes", "goes"]
    assert sorted(ends[2:]) == ["changes", "comes", "same"]
    assert {"same", "changes", "goes", "comes"} == samples(root).keys()


@pytest.mark.once
def test_a_server_that_never_answers_holds_nobody_up(database: str, tmp_path: Path) -> None:
    root = tmp_path / "history"
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        hanging = f"host=127.0.0.1 port={deaf.getsockname()[1]} connect_timeout=3"
        arguments = (hanging, database, "--label", "deaf", "--label", "good", "-i", "0.1s")
        with collecting(tmp_path / "log", *arguments, "--history", str(root)) as there:
            committed(root, "good", 10)
            assert there.end() == 0
    assert samples(root).keys() == {"good"}
    starts = [row.since for row in History.open(root).servers()]
    assert len(starts) == 1


@pytest.mark.once
def test_what_is_in_trouble_is_said_once_and_ends_with_an_error(
    database: str, tmp_path: Path
) -> None:
    arguments = ("host=/nowhere", database, "--label", "bad", "--label", "good", "-i", "0.2s")
    done = pgiostat("collect", *arguments, "--for", "2s", "--history", str(tmp_path / "history"))
    assert done.returncode == 1
    said = [re.sub(r"^\S+Z ", "", line) for line in done.stderr.splitlines()]
    assert len([line for line in said if line.startswith("bad: could not connect")]) == 1
    assert "bad: 0 samples committed" in said
    assert [line for line in said if line.startswith("good: ") and "samples in" in line]


@pytest.mark.once
def test_a_second_collector_under_one_label_is_refused(database: str, tmp_path: Path) -> None:
    root = tmp_path / "history"
    arguments = (database, "--label", "prod", "--history", str(root), "-i", "0.2s")
    with collecting(tmp_path / "log", *arguments) as there:
        committed(root, "prod")
        done = pgiostat("collect", *arguments, "--for", "1s")
        assert there.end() == 0
    assert done.returncode == 1
    told = f'prod: a collector "prod" is writing to "{root}" already.'
    assert f"{told} Its process is {there.process.pid}. Give this one another --label." in (
        done.stderr
    )


def as_nobody(root: Path, *lines: str) -> str:
    """Run some lines as a user without rights; return what they said."""
    for directory in root.parents:
        if directory.stat().st_uid == os.geteuid() and directory != directory.parent:
            directory.chmod(directory.stat().st_mode | 0o011)
    before = (
        "import os, sys; from pathlib import Path; from threading import Event",
        "from pgiostat import collecting",
        "from pgiostat.collecting.check import check",
        "from pgiostat.collecting.log import Log",
        "from pgiostat.collecting.targets import Plan, Target",
        "os.setgid(65534); os.setuid(65534)",
        "root = Path(sys.argv[1])",
    )
    command = [sys.executable, "-c", "\n".join([*before, *lines]), str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_a_directory_that_cannot_be_written_to_is_an_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    root = tmp_path / "history"
    assert as_nobody(root, "print(*next(check(Plan(()), root)))") == (
        f'history: error: could not write to "{tmp_path}": Permission denied\n'
        "HINT:  Give the user who collects the right to, and room. 1\n"
    )
    root.mkdir()
    run = "print(collecting.run(Plan((Target('host=/nowhere', 'prod'),)), root, Log(sys.stdout)))"
    assert [re.sub(r"^\S+Z ", "", line) for line in as_nobody(root, run).splitlines()] == [
        f"pgiostat: collecting 1 server into {root}",
        f'prod: could not make a history in "{root}": Permission denied.',
        "1",
    ]


ROOM = "HINT:  Give the user who collects the right to, and room."


def test_a_check_leaves_nothing_behind_and_knows_what_a_history_is(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    copied = week(tmp_path).root
    (copied / "tmp").rmdir()
    before = sorted(tmp_path.rglob("*"))
    told = {
        name: next(check(Plan(()), tmp_path / name))
        for name in ("new/history", "empty", "history", "other", "other/file")
    }
    other = f'history: error: "{tmp_path}/other" is not a history'
    assert told == {
        "new/history": (f"history: {tmp_path}/new/history, which will be made", 0),
        "empty": (f"history: {tmp_path}/empty, which will be made", 0),
        "history": (f"history: {copied}", 0),
        "other": (f'{other}\nDETAIL:  There is no "format.json".', 1),
        "other/file": (
            f'history: error: could not write to "{tmp_path}/other/file": Not a directory\n{ROOM}',
            1,
        ),
    }
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.once
def test_journald_gets_priorities_and_no_times(database: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()
    there_ = log.stat()
    stream = f"{there_.st_dev}:{there_.st_ino}"
    arguments = (database, "host=/nowhere", "--label", "a", "--label", "b", "-i", "0.2s")
    with collecting(
        log, *arguments, "--history", str(tmp_path / "h"), JOURNAL_STREAM=stream
    ) as there:
        committed(tmp_path / "h", "a", 2)
        there.until("b: could not connect")
        assert there.end() == 0
    said = log.read_text("utf-8").splitlines()
    assert said[0] == f"<6>pgiostat: collecting 2 servers into {tmp_path / 'h'}"
    assert [line[:3] for line in said if "could not connect" in line] == ["<4>"]
    with log.open() as file:
        assert is_journal(file, {"JOURNAL_STREAM": stream})
        assert not is_journal(file, {"JOURNAL_STREAM": "1:2"})
        assert not is_journal(file, {})


@pytest.mark.once
def test_a_terminal_has_a_line_that_tells_how_it_goes(database: str, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [
        sys.executable, "-m", "pgiostat", "collect", database, "--label", "prod", "-i", "0.2s",
        "--for", "4s", "--history", str(tmp_path / "h"),
    ]  # fmt: skip
    child = subprocess.Popen(command, stderr=theirs, env={**os.environ, "TERM": "xterm"})
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 65_536):
            shown += part
    except OSError:
        pass  # the other end is closed
    assert child.wait(PATIENCE) == 0
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())
    assert re.search(r"1 server · \d+ samples · newest [\d.]+ s ago", text)
    assert "samples committed" in text
    assert shown.count(b"\x1b[?25l") == shown.count(b"\x1b[?25h")  # the cursor is back


ONE = '[servers.a]\ndsn = ""\n'
HOW_TO_CONNECT = (
    'Use a URI ("postgresql://user@host:5432/dbname") or keywords '
    '("host=db dbname=app user=pgiostat").'
)
MISTAKES = [
    ("", "1: there is no server in it", "Add a table: [servers.prod]"),
    ("servers = 3\n", "1: there is no server in it", "Add a table: [servers.prod]"),
    ("[servers]\na = 1\n", '2: "a" must be a table', "Write [servers.a]."),
    ("[servers.a]\n", '1: [servers.a] has no "dsn"', 'Write dsn = "host=db dbname=app".'),
    ("[servers.a]\ndsn = 1\n", '2: "dsn" must be a string',
     'Write dsn = "host=db dbname=app", with the quotation marks.'),
    (f"interval = 10\n{ONE}", '1: "interval" must be a string',
     'Write interval = "10s", with the quotation marks.'),
    (f"{ONE}port = 1\n", '3: "port" is not a key of [servers.a]', "Allowed are dsn, interval."),
    (f'# colour = "x"\ncolour = "x"\n{ONE}', '2: "colour" is not a key of this file',
     "Allowed are history, interval, keep, keep_hours, servers."),
    (ONE.replace("a]", '"a b"]'), '1: invalid collector id: "a b"',
     "Letters, digits, _ and . only, at most 63."),
    ('[servers.a]\ndsn = "host=h pasword=s3cret"\n', "2: invalid connection string",
     HOW_TO_CONNECT),
    (f'interval = "x"\n{ONE}', '1: invalid length of time: "x"',
     "Write it like 30s, 10m, 1h30m, 7d."),
    (f'{ONE}[servers.b]\ndsn = ""\ninterval = "1ms"\n', '5: invalid interval: "1ms"',
     "It must be at least 0.1s."),
    (f'keep = "1d"\n{ONE}', "1: history would be kept for less than 2 days",
     "Give 2d or more: whole days go."),
    (f'keep = "9d"\nkeep_hours = "1h"\n{ONE}', "2: history would be kept for less than 2 days",
     "Give 2d or more: whole days go."),
    (f'keep = "9d"\nkeep_hours = "3d"\n{ONE}',
     "2: hours would be kept for a shorter time than the rows they are made of",
     "--keep-hours must be as long as --keep, or longer."),
    ("[servers.a\n", "1: Expected ']' at the end of a table declaration", None),
    ('\n[servers.a]\ndsn = """x', "3: Unterminated string", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "told", "hint"), MISTAKES)
def test_mistakes_in_the_file_are_told_with_their_line(
    tmp_path: Path, text: str, told: str, hint: str | None
) -> None:
    path = tmp_path / "pgiostat.toml"
    path.write_text(text)
    with pytest.raises(PgiostatError) as raised:
        read(path)
    error = raised.value
    assert (error.slug, error.message, error.hint) == (
        "config-invalid",
        f"{path}, line {told}",
        hint,
    )
    assert "s3cret" not in error.report()


def test_what_is_said_beside_the_file_wins_over_the_same_in_it(tmp_path: Path) -> None:
    path = tmp_path / "pgiostat.toml"
    path.write_text(
        'history = "h"\ninterval = "5s"\nkeep = "30d"\nkeep_hours = "400d"\n'
        '[servers.a]\ndsn = "dbname=x"\n[servers.b]\ndsn = ""\ninterval="1s"'
    )
    a, b = Target("dbname=x", "a", 5.0), Target("", "b", 1.0)
    month, year = timedelta(days=30), timedelta(days=400)
    assert read(path) == Plan((a, b), tmp_path / "h", Keep(month, year))
    slower = tuple(replace(target, interval=120.0) for target in (a, b))
    assert read(path, every="2m", keep="10d", history=Path("other")) == Plan(
        slower, Path("other"), Keep(timedelta(days=10), year)
    )
    assert read(path, keep_hours="60d").keep == Keep(month, timedelta(days=60))
    for wrong in ({"every": "x"}, {"keep": "1h"}, {"keep_hours": "1h"}):
        with pytest.raises(PgiostatError) as raised:
            read(path, **wrong)  # type: ignore[arg-type] # words, all of them
        assert raised.value.slug in {"time-invalid", "option-invalid"}


def test_the_example_is_a_file_that_can_be_read() -> None:
    plan = read(ROOT / "contrib" / "pgiostat.toml")
    assert [(target.label, target.interval) for target in plan.targets] == [
        ("prod", 10.0),
        ("perf", 2.0),
    ]
    assert plan.keep == Keep(timedelta(days=30), timedelta(days=400))
    shown = (ROOT / "docs" / "collect.md").read_text("utf-8").split("```toml\n")[1].split("```")[0]
    assert tomllib.loads(shown)["servers"].keys() == {"prod", "perf"}


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    done = pgiostat("collect", "--config", str(tmp_path / "none.toml"))
    assert done.returncode == 1
    assert done.stderr.startswith("pgiostat: error: could not read configuration file")
    done = pgiostat("collect", "host=x", "--config", str(tmp_path / "none.toml"))
    assert done.returncode == 2


DAY = 24 * 60 * MINUTE


def listed(root: Path) -> dict[str, list[str]]:
    """Return the days of each table."""
    tables = ("sample", "stmt", "stmt_1h", "database", "relation")
    days = {
        table: [f"{file.day:%d}" for file in Layout(root).sealed_files(table)] for table in tables
    }
    return {table: sorted(set(found)) for table, found in days.items()}


def week(tmp_path: Path) -> Layout:
    """Return a history of seven days."""
    root = tmp_path / "history"
    write(root, intervals(7 * 4, DAY / 4))
    seal(Layout(root), "prod", Unsynced())
    return Layout(root)


LATER = at(365 * DAY)
DAYS = ["23", "24", "25", "26", "27", "28", "29"]


def test_rows_go_before_hours_and_whole_days_go(tmp_path: Path) -> None:
    layout = week(tmp_path)
    assert listed(layout.root) == dict.fromkeys(listed(layout.root), DAYS)
    assert retain(layout, "prod", Keep(), clock=LATER) == 0
    keep = Keep(timedelta(days=2), timedelta(days=5))
    (layout.root / "stmt" / f"date=2026-11-{DAYS[0]}" / "theirs").touch()
    (layout.root / "io" / "date=2026-11-01").mkdir()  # left by one that was cut short
    assert retain(layout, "other", keep, clock=LATER) == 0
    removed = retain(layout, "prod", keep, clock=LATER)
    # The newest day may have just begun, and is not counted.
    assert listed(layout.root) == {
        "sample": DAYS[1:], "stmt": DAYS[4:], "stmt_1h": DAYS[1:], "database": DAYS[1:],
        "relation": DAYS[1:],
    }  # fmt: skip
    assert removed == 1 * 5 + 4  # io has an empty file for each day too
    empty = [path for path in layout.root.glob("*/date=*") if not any(path.iterdir())]
    assert empty == []
    assert retain(layout, "prod", keep, clock=LATER) == 0


def test_a_server_whose_clock_is_ahead_costs_no_history(tmp_path: Path) -> None:
    layout = week(tmp_path)
    keep = Keep.of("2d", None)
    assert retain(layout, "prod", keep, clock=at(0)) == 0
    assert retain(layout, "prod", keep, clock=at(3 * DAY)) == 5 + 1
    assert listed(layout.root) == dict.fromkeys(listed(layout.root), DAYS[1:])


class Failing(Unsynced):
    """A disk on which a removal fails."""

    def __init__(self, after: int) -> None:
        self.left = after

    def remove(self, path: Path) -> None:
        """Remove, unless enough was removed."""
        if not self.left:
            raise OSError(5, "Input/output error")
        self.left -= 1
        super().remove(path)


def test_a_removal_that_was_interrupted_anywhere_leaves_no_interval_without_its_hours(
    tmp_path: Path,
) -> None:
    keep = Keep(timedelta(days=2), timedelta(days=4))
    for after in range(0, 2 * 5 + 4, 3):
        layout = week(tmp_path / str(after))
        with pytest.raises(OSError, match="Input/output error"):
            retain(layout, "prod", keep, Failing(after), clock=LATER)
        days = listed(layout.root)
        assert set(days["sample"]) <= set(days["stmt_1h"])
        retain(layout, "prod", keep, clock=LATER)
        assert listed(layout.root) == {
            "sample": DAYS[2:], "stmt": DAYS[4:], "stmt_1h": DAYS[2:], "database": DAYS[2:],
            "relation": DAYS[2:],
        }  # fmt: skip


def test_words_of_retention_that_make_no_sense_are_refused() -> None:
    for keep, hours, told in [
        ("1d", None, "history would be kept for less than 2 days"),
        ("30d", "0", "history would be kept for less than 2 days"),
        ("30d", "7d", "hours would be kept for a shorter time"),
        (None, "30d", "hours would be kept for a shorter time"),
        ("soon", None, "invalid length of time"),
    ]:
        with pytest.raises(PgiostatError, match=told):
            Keep.of(keep, hours)
    assert Keep.of("30d", None) == Keep(timedelta(days=30), timedelta(days=30))
    assert Keep.of("30d", "60d") == Keep(timedelta(days=30), timedelta(days=60))
    assert Keep.of(None, None) == Keep(None, None)
