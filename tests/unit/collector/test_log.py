"""The log of a collector: what is written, in which format, and where a status line is."""

import json
import logging
import os
import re
from io import StringIO

import pytest

from pgiostat.collector.log import (
    PRIORITIES,
    SERVICE_LABEL,
    LogFormat,
    configure,
    server_log,
    status_line,
)


def logged(form: LogFormat | None, *, quiet: bool = False) -> list[str]:
    """Return the lines of a record of each level."""
    out = StringIO()
    logger = configure(out, form, quiet=quiet)
    log = server_log(logger, "prod")
    log.debug("not written")
    log.info("100 % of 3 samples")
    log.warning("no room")
    log.error("the end")
    server_log(logger, SERVICE_LABEL).info("collecting 1 server")
    return out.getvalue().splitlines()


@pytest.mark.parametrize("form", [None, LogFormat.TEXT])
def test_lines_for_people_have_the_time_and_the_server(form: LogFormat | None) -> None:
    lines = logged(form)
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ", line) for line in lines)
    assert [line.partition(" ")[2] for line in lines] == [
        "prod: 100 % of 3 samples",
        "prod: no room",
        "prod: the end",
        "pgiostat: collecting 1 server",
    ]


def test_lines_for_journald_have_the_priority_and_no_time() -> None:
    assert logged(LogFormat.JOURNALD) == [
        "<6>prod: 100 % of 3 samples",
        "<4>prod: no room",
        "<3>prod: the end",
        "<6>pgiostat: collecting 1 server",
    ]
    assert set(PRIORITIES) == set(logging.getLevelNamesMapping().values()) - {logging.NOTSET}


def test_lines_for_programs_are_objects() -> None:
    records = [json.loads(line) for line in logged(LogFormat.JSON)]
    times = [record.pop("time") for record in records]
    assert all(re.fullmatch(r"[\d-]{10}T[\d:]{8}\.\d{6}Z", time) for time in times)
    assert records == [
        {"level": "info", "server": "prod", "message": "100 % of 3 samples"},
        {"level": "warning", "server": "prod", "message": "no room"},
        {"level": "error", "server": "prod", "message": "the end"},
        {"level": "info", "server": "pgiostat", "message": "collecting 1 server"},
    ]


def test_a_quiet_log_has_warnings_and_errors_alone() -> None:
    assert logged(LogFormat.JOURNALD, quiet=True) == ["<4>prod: no room", "<3>prod: the end"]


def test_a_log_that_goes_to_journald_has_its_format(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    there = os.fstat(write)
    monkeypatch.setenv("JOURNAL_STREAM", f"{there.st_dev}:{there.st_ino}")
    with os.fdopen(write, "w", encoding="utf-8") as out:
        server_log(configure(out), "prod").info("1 sample")
        server_log(configure(out, LogFormat.TEXT), "prod").info("2 samples")
    with os.fdopen(read, encoding="utf-8") as lines:
        first, second = lines.read().splitlines()
    assert first == "<6>prod: 1 sample"
    assert second.endswith("Z prod: 2 samples")


class Terminal(StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("out", "form", "has_status"),
    [
        (Terminal, LogFormat.TEXT, True),
        (Terminal, LogFormat.JSON, False),
        (Terminal, LogFormat.JOURNALD, False),
        (StringIO, LogFormat.TEXT, False),
    ],
)
def test_a_status_line_is_on_a_terminal_below_lines_for_people(
    monkeypatch: pytest.MonkeyPatch, out: type[StringIO], form: LogFormat, *, has_status: bool
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = out()
    logger = configure(stream, form)
    with status_line(logger, lambda: "2 servers\x1b[2J"):
        server_log(logger, "prod").warning("no room")
    assert ("2 servers\\u001b[2J" in stream.getvalue()) == has_status
    assert stream.getvalue().count("no room") == 1
    before = len(stream.getvalue())
    server_log(logger, "prod").warning("no room")
    assert "\x1b" not in stream.getvalue()[before:]


def test_a_logger_of_another_program_has_no_status_line() -> None:
    logger = logging.getLogger("tests.other")
    with status_line(logger, lambda: "2 servers"):
        assert logger.handlers == []
