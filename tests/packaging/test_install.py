"""The wheel in fresh environments: what each installation can do, and how large it is."""

import csv
import io
import json
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo

import pgiostat
from tests.support.distributions import ROOT, build
from tests.support.interpreters import MINORS, Environment, interpreter

pytestmark = pytest.mark.packaging

LARGEST_CORE = 120_000_000
"""Bytes of a core installation, with compiled modules, as pip leaves it."""
SAMPLE = ROOT / "sample_data" / "history"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("wheel"), "wheel")


@pytest.fixture(scope="session", params=MINORS, ids=lambda minor: f"python3.{minor}")
def python(request: pytest.FixtureRequest) -> Path:
    found = interpreter(request.param)
    if found is None:
        pytest.skip(f"this machine has no Python 3.{request.param}")
    return found


@pytest.fixture(scope="session")
def core(python: Path, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return Environment.make(tmp_path_factory.mktemp("core") / "venv", python, str(wheel))


@pytest.fixture(scope="session")
def history(python: Path, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    directory = tmp_path_factory.mktemp("history") / "venv"
    return Environment.make(directory, python, f"pgiostat[history] @ {wheel.as_uri()}")


def test_the_core_is_small_and_starts(core: Environment) -> None:
    assert core.run("python", "-m", "compileall", "-q", "lib").stderr == ""
    assert core.size <= LARGEST_CORE
    assert core.run("pgiostat", "--version").stdout == f"pgiostat {pgiostat.__version__}\n"
    for command in ([], ["watch"], ["doctor"], ["report"], ["collect"], ["rules"], ["lab"]):
        done = core.run("pgiostat", *command, "--help")
        assert (done.returncode, done.stderr) == (0, "")


def test_the_core_watches_and_checks_a_server(core: Environment, database: str) -> None:
    dsn = make_conninfo(database, application_name="core")
    done = core.run("pgiostat", "watch", dsn, "--once", "--interval", "0.5", "--format", "csv")
    assert (done.returncode, done.stderr) == (0, "")
    assert "category" in next(csv.reader(io.StringIO(done.stdout)))
    doctor = core.run("pgiostat", "doctor", dsn, "--format", "json")
    assert (doctor.returncode, doctor.stderr) == (0, "")
    assert json.loads(doctor.stdout)["verdict"].startswith("ready")


@pytest.mark.parametrize(
    "command",
    [
        ("report", "--history", str(SAMPLE)),
        ("history", "--history", str(SAMPLE)),
        ("burst", "--history", str(SAMPLE), "--volume", "gp2:500"),
        ("export", "--history", str(SAMPLE), "--out", "export"),
        ("collect", "--check"),
    ],
    ids=lambda command: command[0],
)
def test_a_history_needs_its_extra(
    core: Environment, history: Environment, command: tuple[str, ...]
) -> None:
    done = core.run("pgiostat", *command)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith('pgiostat: error: the extra "history" of pgiostat is not')
    assert "pip install 'pgiostat[history]'" in done.stderr
    if command[0] != "collect":  # which needs a server
        done = history.run("pgiostat", *command)
        assert (done.returncode, done.stderr) == (0, "")


def test_a_history_is_collected_and_reported(history: Environment, database: str) -> None:
    collect = ("collect", database, "--label", "here", "--history", "recorded")
    done = history.run("pgiostat", *collect, "--interval", "1s", "--for", "3s")
    assert done.returncode == 0, done.stderr
    done = history.run("pgiostat", "history", "--history", "recorded", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert '"here"' in done.stdout


def test_frames_need_their_extra(history: Environment) -> None:
    done = history.run("python", "-c", "import pgiostat; pgiostat.open_history")
    assert done.returncode == 1
    assert 'the extra "notebook" of pgiostat is not installed' in done.stderr
