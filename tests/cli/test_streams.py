"""Output where a locale has no such signs, where streams are closed or full, and without files."""

import contextlib
import functools
import json
import os
import pty
import re
import resource
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pgiostat.cli import streams
from pgiostat.history.read.history import History
from tests.conftest import MakeServer
from tests.support.workloads import client

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
HISTORY = ROOT / "sample_data" / "history"
LOCALES = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "c": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    "latin1": {"PYTHONIOENCODING": "latin-1"},
}
COMMANDS = [
    ["report", "--history", str(HISTORY)],
    ["report", "--history", str(HISTORY), "--format", "markdown"],
    ["report", "--history", str(HISTORY), "--format", "csv"],
    ["report", "--history", str(HISTORY), "--series", "10m"],
    ["history", "--history", str(HISTORY)],
    ["burst", "--history", str(HISTORY), "--volume", "gp2:500"],
    ["whatif", "--history", str(HISTORY), "--drop", "manifest"],
    ["rules", "show"],
    ["rules", "test", "SELECT 'ä商' FROM \"Tabelle ß\""],
    ["--help"],
    ["watch", "host=/nowhere"],
    ["doctor", "host=/nowhere"],
]


def run(
    *arguments: str, shell: str = "", files: int | None = None, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """Run the program; shell: redirections."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PG")}

    def limited() -> None:
        if files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    command = [sys.executable, "-m", "pgiostat", *arguments]
    if shell:
        command = ["sh", "-c", f'exec "$@" {shell}', "sh", *command]
    return subprocess.run(
        command, capture_output=True, timeout=60, env=clean | environment, check=False,
        preexec_fn=limited,
    )  # fmt: skip


@functools.cache
def in_utf8(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run the program once with all signs, to compare each locale with."""
    return run(*arguments, PYTHONIOENCODING="utf-8")


AGE = re.compile(r"newest .* ago")
"""The two runs may be in two hours."""


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_locale_without_our_signs_gets_signs_that_it_has(
    arguments: list[str], locale: str
) -> None:
    done = run(*arguments, files=None, **LOCALES[locale])
    wide = in_utf8(*arguments)
    assert done.returncode == wide.returncode
    encoding = "latin-1" if locale == "latin1" else "ascii"
    for narrow, whole in ((done.stdout, wide.stdout), (done.stderr, wide.stderr)):
        lines, expected = narrow.decode(encoding).splitlines(), whole.decode().splitlines()
        assert len(lines) == len(expected)
        assert "Traceback" not in "".join(lines)
        for line, other in zip(lines, expected, strict=True):
            # Nothing moves: each sign has as much room as the one that it stands for.
            same = other.encode(encoding, streams.PLAIN).decode(encoding)
            alike = AGE.sub("", line) == AGE.sub("", same)
            assert alike or arguments[0] in {"rules", "watch", "doctor"}


def test_json_is_whole_in_any_locale() -> None:
    arguments = ["report", "--history", str(HISTORY), "--format", "json"]
    told = run(*arguments, PYTHONIOENCODING="ascii").stdout
    assert told.isascii()
    assert json.loads(told) == json.loads(in_utf8(*arguments).stdout)


@pytest.fixture(autouse=True)
def _handlers() -> None:
    streams.prepare()


def test_signs_that_stand_for_others() -> None:
    text = "a – b … × 3 µs → █▁ │ 商 é\u0301 ⣿"
    assert text.encode("ascii", streams.PLAIN) == b"a - b . x 3 us > #_ | ?? ? ."
    assert json.loads(f'"{text}"'.encode("ascii", streams.JSON)) == text
    assert json.loads('"🐘\udc80"'.encode("ascii", streams.JSON)) == "🐘\udc80"
    assert "a\udcff".encode("utf-8", streams.PLAIN) == b"a?"


CLOSED = "pgiostat: error: could not write the output: Bad file descriptor\n"
FULL = "pgiostat: error: could not write the output: No space left on device\n"


@pytest.mark.parametrize(
    "arguments", [COMMANDS[0], COMMANDS[4], ["--help"], ["rules", "show"]], ids=" ".join
)
@pytest.mark.parametrize(
    ("shell", "status", "said"),
    [
        (">&-", 1, CLOSED),
        ("2>&-", 0, ""),
        (">&- 2>&-", 1, ""),
        ("<&-", 0, ""),
        ("<&- >&- 2>&-", 1, ""),
        (">/dev/full", 1, FULL),
        ("2>/dev/full", 0, ""),
        (">/dev/full 2>/dev/full", 1, ""),
        (">/dev/full 2>&-", 1, ""),
    ],
)
def test_streams_that_cannot_be_used(
    arguments: list[str], shell: str, status: int, said: str
) -> None:
    done = run(*arguments, shell=shell)
    assert (done.returncode, done.stderr.decode()) == (status, said)
    assert bool(done.stdout) == (status == 0)


@pytest.mark.parametrize("shell", ["", ">&-", "2>&-", "2>/dev/full", "<&- >&- 2>&-"])
@pytest.mark.parametrize("arguments", [["watch", "host=/nowhere"], ["report", "--top", "x"]])
def test_an_error_has_its_status_whoever_hears_it(arguments: list[str], shell: str) -> None:
    done = run(*arguments, shell=shell)
    assert done.returncode == (1 if arguments[0] == "watch" else 2)
    assert b"Traceback" not in done.stderr


@pytest.mark.once
@pytest.mark.parametrize("shell", [">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full 2>/dev/full"])
def test_collecting_needs_no_stream(database: str, tmp_path: Path, shell: str) -> None:
    root = tmp_path / "h"
    done = run("collect", database, "--for", "2s", "-i", "0.3", "--history", str(root), shell=shell)
    assert done.returncode == 0, done.stderr
    with contextlib.closing(History.open(root)) as history:
        assert [each.label for each in history.servers()]


@pytest.mark.once
def test_a_terminal_without_utf8_is_drawn_on(make_server: MakeServer) -> None:
    dsn = make_server().dsn()
    with client(dsn) as other:
        other.execute("CREATE EXTENSION pg_stat_statements")
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ |= LOCALES["latin1"] | {"TERM": "xterm", "COLUMNS": "100", "LINES": "24"}
        os.execv(sys.executable, [sys.executable, "-m", "pgiostat", "watch", dsn, "-i", "0.5"])  # noqa: S606
    seen, ends = b"", time.monotonic() + 40
    while b"blocks/s" not in seen and time.monotonic() < ends:
        if select.select([terminal], [], [], 0.2)[0]:
            with contextlib.suppress(OSError):
                seen += os.read(terminal, 65536)
    os.write(terminal, b"q")
    with contextlib.suppress(OSError):
        while True:
            seen += os.read(terminal, 65536)
    _, status = os.waitpid(pid, 0)
    assert (os.waitstatus_to_exitcode(status), b"blocks/s" in seen) == (0, True)
    # The terminal is as it was: the alternate screen is left.
    assert b"\x1b[?1049l" in seen


@pytest.mark.parametrize("files", [6, 8])
@pytest.mark.parametrize("arguments", [COMMANDS[0], COMMANDS[4]], ids=" ".join)
def test_a_lack_of_descriptors_is_called_so(arguments: list[str], files: int) -> None:
    done = run(*arguments, files=files)
    assert done.returncode == 1
    lines = done.stderr.decode().splitlines()
    assert lines[0] == "pgiostat: error: too many open files"
    assert lines[-1] == (
        "HINT:  Raise the limit: ulimit -n in a shell, LimitNOFILE= in a systemd unit."
    )
