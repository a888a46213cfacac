"""pgiostat collect as a service: signals, a configuration file, its log, and what it keeps."""

import contextlib
import fcntl
import json
import os
import pty
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
from pathlib import Path
from threading import Event

import pytest
from psycopg.conninfo import make_conninfo

from pgiostat.collector.log import is_journal
from pgiostat.collector.preflight import check
from pgiostat.collector.targets import Plan
from pgiostat.errors import PgiostatError
from pgiostat.history.read.history import History
from pgiostat.history.write.writer import Writer
from tests.support.collectors import PATIENCE, collecting
from tests.support.histories import intervals, write
from tests.support.program import pgiostat
from tests.support.workloads import client

ROOT = Path(__file__).parents[2]


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


def connected(dsn: str) -> None:
    """Wait until a collector is connected to a database that is ours alone."""
    there = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    waiting = Event()
    with client(dsn) as other:
        for _ in range(round(PATIENCE / 0.05)):
            if other.execute(there).fetchone() == (2,):
                return
            waiting.wait(0.05)
    pytest.fail("nobody ever connected")


@pytest.mark.once
def test_a_file_read_again_changes_what_it_changes_and_nothing_else(
    database: str, tmp_path: Path
) -> None:
    config, root = tmp_path / "pgiostat.toml", tmp_path / "history"

    def tell(*servers: str, keep: str = "30d") -> None:
        lines = ['history = "history"', 'interval = "0.2s"', f'keep = "{keep}"']
        for server in servers:
            label, _, interval = server.partition("@")
            lines += [f"[servers.{label}]", f'dsn = "{database}"']
            lines += [f'interval = "{interval}"'] * bool(interval)
        config.write_text("\n".join(lines))

    held = Writer.open(root, "taken")
    tell("same", "changes", "goes", "taken")
    with collecting(tmp_path / "log", "--config", str(config)) as there:
        for label in ("same", "changes", "goes"):
            committed(root, label)
        there.until('taken: a collector "taken" is already writing')
        held.close()
        tell("same", "changes@0.3s", "comes", "taken", keep="40d")
        there.process.send_signal(signal.SIGHUP)
        there.until("goes: no longer collected", "changes: continuing from the snapshot of")
        committed(root, "comes")
        committed(root, "taken")
        tell("same", "changes@0.3s", "comes", "taken", keep="40d")
        there.process.send_signal(signal.SIGHUP)
        there.until("nothing changed")
        config.write_text("[servers.same]\ncolour = 1\n")
        there.process.send_signal(signal.SIGHUP)
        there.until(f'{config}, line 2: "colour" is not a key of')
        before = samples(root)["same"]
        committed(root, "same", before + 2)
        assert there.end() == 0
    said = there.said()
    changed = "new: comes; removed: goes; interval changed: changes; retried: taken"
    mistake = f'{config}, line 2: "colour" is not a key of [servers.same]'
    allowed = "Allowed are dsn, interval, tables_interval, databases, device, cloudwatch."
    assert [line for line in said if "SIGHUP" in line] == [
        f"pgiostat: SIGHUP: collecting 4 servers: {changed}; retention changed",
        "pgiostat: SIGHUP: collecting 4 servers: nothing changed",
        f"pgiostat: SIGHUP: nothing changed: {mistake}. {allowed}",
    ]
    assert not [line for line in said if line.startswith("same: continuing")]
    ends = [line.split(":")[0] for line in said if "intervals committed" in line]
    assert sorted(ends[:2]) == ["changes", "goes"]
    assert sorted(ends[2:]) == ["changes", "comes", "same", "taken"]
    assert {"same", "changes", "goes", "comes", "taken"} == samples(root).keys()


@pytest.mark.once
def test_a_stop_is_heard_after_one_more_reading_and_a_hangup_changes_nothing(
    database: str, tmp_path: Path
) -> None:
    root = tmp_path / "history"
    with collecting(tmp_path / "log", database, "--label", "prod", "-i", "1h",
                    "--history", str(root)) as there:  # fmt: skip
        there.until("pgiostat: collecting 1 server")
        there.process.send_signal(signal.SIGHUP)
        there.until("pgiostat: SIGHUP: there is no configuration file to reload")
        connected(database)
        assert there.end() == 0
    assert samples(root) == {"prod": 1}
    # The device is looked for beside the readings, and may be found at any time.
    said = [line for line in there.said() if not line.startswith("prod: device:")]
    ending, end = said[-2:]
    assert ending == "pgiostat: stopping after one more snapshot of each server"
    assert re.fullmatch(r"prod: 1 interval committed in .*, \d+ rows, coverage .*", end)


@pytest.mark.once
def test_what_is_in_trouble_is_said_once_and_ends_with_an_error(
    database: str, tmp_path: Path
) -> None:
    arguments = ("host=/nowhere", database, "--label", "bad", "--label", "good", "-i", "0.2s")
    done = pgiostat("collect", *arguments, "--for", "1s", "--history", str(tmp_path / "history"))
    assert done.returncode == 1
    said = [re.sub(r"^\S+Z ", "", line) for line in done.stderr.splitlines()]
    why = 'could not connect to server "/nowhere:5432": No such file or directory; trying again.'
    assert [line for line in said if line.startswith("bad: ")] == [
        f"bad: {why} Check that the server is running and accepts connections at this address.",
        "bad: 0 intervals committed",
    ]
    assert len([line for line in said if line.startswith("good: ") and "intervals" in line]) == 1


@pytest.mark.once
def test_a_second_collector_under_one_label_is_refused(database: str, tmp_path: Path) -> None:
    root = tmp_path / "history"
    arguments = (database, "--label", "prod", "--history", str(root), "-i", "0.2s")
    with collecting(tmp_path / "log", *arguments) as there:
        committed(root, "prod")
        done = pgiostat("collect", *arguments, "--for", "1s")
        assert there.end() == 0
    assert done.returncode == 1
    told = f'prod: a collector "prod" is already writing to "{root}".'
    assert (
        f"{told} Its process is {there.process.pid}. Use another --label for this collector."
        in (done.stderr)
    )


@pytest.mark.once
def test_a_check_says_what_will_keep_a_collector_from_starting(
    database: str, tmp_path: Path
) -> None:
    root = tmp_path / "history"
    held = Writer.open(root, "prod")
    done = pgiostat("collect", database, "--label", "prod", "--history", str(root), "--check")
    assert done.returncode == 1
    assert done.stdout.splitlines()[:4] == [
        f"history: {root}",
        f'prod: error: a collector "prod" is already writing to "{root}"',
        f"DETAIL:  Its process is {os.getpid()}.",
        "HINT:  Use another --label for this collector.",
    ]
    with pytest.raises(PgiostatError, match="is already writing to"):
        Writer.open(root, "prod")
    held.close()
    done = pgiostat("collect", database, "--label", "prod", "--history", str(root), "--check")
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 3)


@pytest.mark.once
def test_a_role_that_sees_its_own_statements_alone_is_told_how_to_see_all(
    database: str, tmp_path: Path
) -> None:
    with client(database) as other:
        other.execute("SELECT 1")
        other.execute('CREATE ROLE "see""r" LOGIN PASSWORD \'s\'')
    try:
        dsn = make_conninfo(database, user='see"r', password="s")
        arguments = ("collect", dsn, "--label", "p", "--history", str(tmp_path / "history"))
        done = pgiostat(*arguments, "--check")
        hidden = 'Statements of other users are hidden from see"r and counted together'
        grant = 'GRANT pg_read_all_stats TO "see""r";'
        assert done.returncode == 0
        assert done.stdout.splitlines()[2:4] == [f"p: warning: {hidden}", f"HINT:  {grant}"]
        done = pgiostat(*arguments, "-i", "0.2s", "--for", "1s")
        said = [re.sub(r"^\S+Z ", "", line) for line in done.stderr.splitlines()]
        assert [line for line in said if "hidden" in line] == [f"p: {hidden}. {grant}"]
    finally:
        with client(database) as other:
            other.execute('DROP ROLE "see""r"')


def as_nobody(root: Path, *lines: str) -> str:
    """Run some lines as a user without rights; return what they said."""
    for directory in root.parents:
        if directory.stat().st_uid == os.geteuid() and directory != directory.parent:
            directory.chmod(directory.stat().st_mode | 0o011)
    before = (
        "import os, sys; from pathlib import Path; from threading import Event",
        "from pgiostat.collector import service as collecting",
        "from pgiostat.collector.preflight import check",
        "from pgiostat.collector.log import configure",
        "from pgiostat.collector.targets import Plan, Target",
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
        "HINT:  Grant the user of this process write permission, and free disk space. 1\n"
    )
    (tmp_path / "closed").mkdir(mode=0o700)
    place = tmp_path / "closed" / "history"
    inside = "root = root / 'history'"
    told = as_nobody(place.parent, inside, "print(*next(check(Plan(()), root)))")
    assert (
        told.splitlines()[0] == f'history: error: could not write to "{place}": Permission denied'
    )
    opening = (
        "from pgiostat.errors import PgiostatError; from pgiostat.history.format.root import check",
        "try: check(root)",
        "except PgiostatError as error: print(error.report())",
    )
    assert as_nobody(place.parent, inside, *opening).splitlines() == [
        f'pgiostat: error: could not read the history in "{place}": Permission denied',
        "HINT:  Run this as the user of pgiostat collect, or as a member of its group.",
    ]
    root.mkdir()
    plan = "plan = Plan((Target('host=/nowhere', 'prod'),))"
    run = "print(collecting.run(plan, root, configure(sys.stdout)))"
    assert [re.sub(r"^\S+Z ", "", line) for line in as_nobody(root, plan, run).splitlines()] == [
        f"pgiostat: collecting 1 server into {root}",
        f'prod: could not create a history in "{root}": Permission denied.',
        "1",
    ]


ROOM = "HINT:  Grant the user of this process write permission, and free disk space."


def test_a_check_leaves_nothing_behind_and_knows_what_a_history_is(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    copied = tmp_path / "history"
    write(copied, intervals(1, 60))
    (copied / "tmp").rmdir()
    before = sorted(tmp_path.rglob("*"))
    told = {
        name: next(check(Plan(()), tmp_path / name))
        for name in ("new/history", "empty", "history", "other", "other/file")
    }
    other = f'history: error: "{tmp_path}/other" is not a history'
    assert told == {
        "new/history": (f"history: {tmp_path}/new/history; pgiostat collect will create it", 0),
        "empty": (f"history: {tmp_path}/empty; pgiostat collect will create it", 0),
        "history": (f"history: {copied}", 0),
        "other": (f'{other}\nDETAIL:  There is no "format.json".', 1),
        "other/file": (
            f'history: error: could not write to "{tmp_path}/other/file": Not a directory\n{ROOM}',
            1,
        ),
    }
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "option",
    [
        "--for=99999999d", "--for=soon", "--interval=1ms", "--interval=99999999d",
        "--keep=99999999d", "--keep=1s", "--keep-hours=soon", "--metrics=127.0.0.1:99999",
        "--shard=9/8", "--label=a/b", "--rules=/nowhere/rules.toml", "--cloudwatch=nowhere",
    ],
)  # fmt: skip
def test_a_value_that_is_not_taken_is_refused_by_a_check_too(tmp_path: Path, option: str) -> None:
    page = ["--metrics=127.0.0.1:9188"] if option.startswith("--rules") else []
    history = f"--history={tmp_path / 'history'}"
    command = ("collect", "host=/nowhere", history, "--for=1s", *page, option)
    collected, checked = pgiostat(*command), pgiostat(*command, "--check")
    assert collected.stderr.startswith("pgiostat: error: ")
    assert (checked.returncode, checked.stderr, checked.stdout) == (
        collected.returncode, collected.stderr, "",
    )  # fmt: skip


@pytest.mark.once
def test_journald_gets_priorities_and_no_times_and_systemd_is_told(
    database: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    log.touch()
    place = log.stat()
    stream = f"{place.st_dev}:{place.st_ino}"
    arguments = (database, "host=/nowhere", "--label", "a", "--label", "b", "-i", "0.2s")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(PATIENCE)
        with collecting(
            log, *arguments, "--history", str(tmp_path / "h"),
            JOURNAL_STREAM=stream, NOTIFY_SOCKET=str(tmp_path / "notify"),
        ) as there:  # fmt: skip
            assert systemd.recv(1000) == b"READY=1"
            committed(tmp_path / "h", "a", 2)
            there.until("b: could not connect")
            assert there.end() == 0
            while (last := systemd.recv(1000)).startswith(b"STATUS=2 servers"):
                pass
            assert last == b"STOPPING=1"
    said = log.read_text("utf-8").splitlines()
    assert said[0] == f"<6>pgiostat: collecting 2 servers into {tmp_path / 'h'}"
    assert [line[:3] for line in said if "could not connect" in line] == ["<4>"]
    assert [line for line in said if not re.match(r"<[46]>(pgiostat|a|b): ", line)] == []
    with log.open() as file:
        assert is_journal(file, {"JOURNAL_STREAM": stream})
        assert not is_journal(file, {"JOURNAL_STREAM": "1:2"})
        assert not is_journal(file, {})


def on_a_terminal(columns: int, *arguments: str) -> tuple[subprocess.Popen[bytes], int]:
    """Start a collector on a terminal of its own; return it and our end."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in {"COLUMNS", "LINES"}}
    child = subprocess.Popen(
        [sys.executable, "-m", "pgiostat", "collect", *arguments, "-i", "0.2s", "--for", "2s"],
        stderr=theirs,
        env={**environment, "TERM": "xterm"},
    )
    os.close(theirs)
    return child, ours


@pytest.mark.once
def test_a_terminal_has_a_line_that_tells_how_it_goes(database: str, tmp_path: Path) -> None:
    arguments = (database, "host=/nowhere", "--label", "prod", "--label", "bad")
    child, ours = on_a_terminal(46, *arguments, "--history", str(tmp_path / "h"))
    shown = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while part := os.read(ours, 65_536):
            shown += part
    os.close(ours)
    assert child.wait(PATIENCE) == 1
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())
    lines = re.split(r"[\r\n]+", text)
    status = [line for line in lines if line.startswith("2 servers · 1 failing: bad · ")]
    assert any(re.fullmatch(r".* · \d+ intervals.*…", line) for line in status)
    assert max(map(len, status)) == 46
    assert re.search(r"prod: \d+ intervals committed", text)
    assert shown.count(b"\x1b[?25l") == shown.count(b"\x1b[?25h") == 1  # the cursor is back


@pytest.mark.once
def test_a_log_that_nobody_reads_any_more_ends_no_collecting(database: str, tmp_path: Path) -> None:
    at_terminal, ours = on_a_terminal(80, database, "--history", str(tmp_path / "terminal"))
    reading, writing = os.pipe()
    piped = subprocess.Popen(
        [sys.executable, "-m", "pgiostat", "collect", database, "--history",
         str(tmp_path / "pipe"), "-i", "0.2s", "--for", "2s"],
        stderr=writing,
    )  # fmt: skip
    os.close(writing)
    assert os.read(ours, 10)
    assert os.read(reading, 10)
    os.close(ours)
    os.close(reading)
    assert [child.wait(PATIENCE) for child in (at_terminal, piped)] == [0, 0]
    for name in ("terminal", "pipe"):
        assert sum(samples(tmp_path / name).values()) > 1  # of ten, on a machine that is busy


def test_labels_that_no_file_can_have_are_a_usage_error(tmp_path: Path) -> None:
    done = pgiostat("collect", "host=x", "--label", "a b", "--history", str(tmp_path / "h"))
    assert (done.returncode, done.stderr.splitlines()) == (2, [
        'pgiostat: error: invalid label: "a b"',
        "HINT:  Letters, digits, _ and . only, a letter or digit first, at most 63.",
    ])  # fmt: skip


def test_a_format_that_no_log_has_is_a_usage_error_and_json_is_one(tmp_path: Path) -> None:
    root = tmp_path / "history"
    root.write_text("")
    arguments = ("collect", "host=/nowhere", "--label", "a", "--history", str(root), "--log-format")
    done = pgiostat(*arguments, "xml")
    assert (done.returncode, done.stderr.splitlines()) == (2, [
        'pgiostat: error: invalid value for --log-format: "xml"',
        "HINT:  Allowed are text, journald, json.",
    ])  # fmt: skip
    done = pgiostat(*arguments, "json")
    records = [json.loads(line) for line in done.stderr.splitlines()]
    assert (done.returncode, [record["level"] for record in records]) == (1, ["info", "error"])
    assert [record["server"] for record in records] == ["pgiostat", "a"]


def test_a_connection_string_that_cannot_be_read_is_refused_at_once(tmp_path: Path) -> None:
    root = tmp_path / "history"
    done = pgiostat("collect", "host=x", "host=y password=s3 cret", "--history", str(root))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("pgiostat: error: invalid connection string\nDETAIL:  ")
    assert "cret" not in done.stderr
    assert not root.exists()


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    done = pgiostat("collect", "--config", str(tmp_path / "none.toml"))
    assert done.returncode == 1
    assert done.stderr.startswith("pgiostat: error: could not read configuration file")
    done = pgiostat("collect", "host=x", "--config", str(tmp_path / "none.toml"))
    assert done.returncode == 2


def test_the_unit_is_one_that_systemd_reads(tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("systemd-analyze is not there")
    text = (ROOT / "contrib" / "pgiostat-collect.service").read_text("utf-8")
    unit = tmp_path / "pgiostat-collect.service"
    # The program need not be installed to see whether the rest is right.
    unit.write_text(text.replace("/opt/pgiostat/bin/pgiostat", "/bin/true"))
    done = subprocess.run(
        [verify, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    told = [line for line in done.stderr.splitlines() if unit.name in line]
    assert (done.returncode, told) == (0, [])
