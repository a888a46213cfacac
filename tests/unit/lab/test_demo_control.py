"""Incidents of a demo on the screen, and the line that leads in from another terminal."""

import os
import sys
from pathlib import Path

import pytest

from pgiostat.cli.demo import program
from pgiostat.lab.demo.control import DemoControl
from pgiostat.lab.faults.incident import WorkloadIncident

URI = "postgresql://pgiostat@127.0.0.1:21162/shop?passfile=/home/ann/passfile"
INCIDENTS = (
    WorkloadIncident("index dropped", "the index is gone"),
    WorkloadIncident("skip bug", "nothing is skipped"),
)


@pytest.fixture
def control(tmp_path: Path) -> DemoControl:
    return control_in(tmp_path)


def control_in(directory: Path, words: str = "demo") -> DemoControl:
    return DemoControl(
        INCIDENTS,
        directory / "incident",
        directory / "workload.log",
        command=f"/venv/bin/pgiostat {words}",
        short=f"pgiostat {words}",
        uri=URI,
        is_running=lambda: True,
    )


def test_an_incident_is_in_force_on_all_screens_until_it_is_taken_back(
    control: DemoControl, tmp_path: Path
) -> None:
    other = control_in(tmp_path)
    assert control.active == ""
    control.switch("index dropped")
    assert other.active == "index dropped"
    other.switch("skip bug")
    assert control.active == "skip bug"
    control.switch("")
    control.switch("")
    assert other.active == ""
    assert list(tmp_path.iterdir()) == []


def test_the_line_below_the_table_leads_in_or_names_the_incident(
    control: DemoControl, tmp_path: Path
) -> None:
    assert control.hints() == (
        (
            f"From another terminal: /venv/bin/pgiostat demo --attach, or psql '{URI}';"
            " ! causes an incident"
        ),
        f"From another terminal: psql '{URI}'; ! causes an incident",
        f"psql '{URI}'; ! causes an incident",
        'psql "$(/venv/bin/pgiostat demo --dsn)"; ! causes an incident',
        "pgiostat demo --dsn prints the DSN; ! causes an incident",
        "pgiostat demo --dsn; ! causes an incident",
        "pgiostat demo --dsn",
    )
    control.switch("index dropped")
    os.utime(tmp_path / "incident", (1_790_000_000, 1_790_000_000))
    assert control.hints() == (
        (
            "Incident since 14:13:20Z: index dropped (the index is gone); ! takes it back;"
            ' psql "$(/venv/bin/pgiostat demo --dsn)"'
        ),
        (
            "Incident since 14:13:20Z: index dropped; ! takes it back;"
            ' psql "$(/venv/bin/pgiostat demo --dsn)"'
        ),
        (
            "Incident since 14:13:20Z: index dropped; ! takes it back;"
            " pgiostat demo --dsn prints the DSN"
        ),
        "Incident: index dropped; ! takes it back; pgiostat demo --dsn prints the DSN",
        "index dropped; ! takes it back; pgiostat demo --dsn",
        "! takes it back; pgiostat demo --dsn",
        "pgiostat demo --dsn",
    )


@pytest.mark.parametrize("words", ["demo", "demo --scenario shop"])
@pytest.mark.parametrize("incident", ["", "index dropped"])
def test_each_line_has_a_way_in_and_the_key_is_in_all_of_eighty_columns(
    tmp_path: Path, words: str, incident: str
) -> None:
    control = control_in(tmp_path, words)
    control.switch(incident)
    hints = control.hints()
    assert [hint for hint in hints if f"{words} --" not in hint and URI not in hint] == []
    assert len(hints[-1]) <= 40
    widest = next(hint for hint in hints if len(hint) <= 80)
    assert "! takes it back" in widest if incident else "! causes an incident" in widest


def test_the_line_below_the_table_says_that_the_workload_has_stopped(
    control: DemoControl, tmp_path: Path
) -> None:
    log = tmp_path / "workload.log"
    log.touch()
    assert control.hints()[-1] == "pgiostat demo --dsn"
    log.write_text("Traceback\n")
    assert control.hints() == (
        f'The workload has stopped: its output is in "{log}"',
        "The workload has stopped; q shows why",
    )


def test_the_program_is_named_so_that_the_words_run_it_in_another_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "bin" / "pgiostat"
    installed.parent.mkdir()
    installed.touch(0o755)
    monkeypatch.setenv("PATH", str(installed.parent))
    assert program(str(installed)) == "pgiostat"
    assert program("my venv/bin/pgiostat") == f"'{Path.cwd()}/my venv/bin/pgiostat'"
    assert program("/somewhere/pgiostat/__main__.py") == f"{sys.executable} -m pgiostat"
    # Another terminal does not have this virtual environment on its PATH.
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert program(str(installed)) == str(installed)
