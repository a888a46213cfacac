"""Which servers are collected, how often and for how long it is kept: from words or from a file."""

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.history.layout import check_collector
from pgiostat.history.retain import Keep
from pgiostat.times import duration

__all__ = ["SHORTEST_INTERVAL_SECONDS", "Plan", "Target", "from_file", "interval", "targets"]

DEFAULT_PORT = "5432"
LONGEST_LABEL = 60
SHORTEST_INTERVAL_SECONDS = 0.1
INTERVAL_SECONDS = 10.0
_FILE_KEYS = ("history", "interval", "keep", "keep_hours", "servers")
_SERVER_KEYS = ("dsn", "interval")
NO_DSN = '[servers.{}] has no "dsn"'
_AT = re.compile(r"\s*\(at line (\d+), column \d+\)")


@dataclass(frozen=True, slots=True)
class Target:
    """A server to collect from; label: its name in the history, and its collector's id.

    interval: seconds between readings.
    """

    dsn: str
    label: str
    interval: float = INTERVAL_SECONDS


@dataclass(frozen=True, slots=True)
class Plan:
    """What to collect, and where to; None is what the command line or a default says."""

    targets: tuple[Target, ...]
    history: Path | None = None
    keep: Keep = field(default_factory=Keep)


def interval(text: str) -> float:
    """Return seconds between readings.

    Raises PgiostatError time-invalid, and option-invalid for one that is too short.
    """
    seconds = duration(text)
    if seconds < SHORTEST_INTERVAL_SECONDS:
        raise _wrong(
            f'invalid interval: "{text}"', f"It must be at least {SHORTEST_INTERVAL_SECONDS:g}s."
        )
    return seconds


def targets(dsns: Sequence[str], labels: Sequence[str], every: str = "10s") -> list[Target]:
    """Return what to collect from.

    Raises PgiostatError option-invalid if labels and servers do not go together.
    """
    if labels and len(labels) != len(dsns):
        raise _wrong(
            f"{len(dsns)} servers and {len(labels)} labels were given",
            "Give --label once for each server, in their order.",
        )
    given = list(labels) or [_label(dsn) for dsn in dsns]
    for label in given:
        check_collector(label)
    twice = next((label for label in given if given.count(label) > 1), None)
    if twice is not None:
        raise _wrong(
            f'two servers would have the label "{twice}"',
            "Tell them apart by --label, one for each.",
        )
    seconds = interval(every)
    return [Target(dsn, label, seconds) for dsn, label in zip(dsns, given, strict=True)]


def _label(dsn: str) -> str:
    """Return a name made of a server's address, of letters that a file name may have."""
    try:
        given = conninfo_to_dict(dsn)
    except ProgrammingError:
        given = {}  # connecting says what is wrong with it
    host = str(given.get("host") or os.environ.get("PGHOST") or "local").strip("/")
    port = str(given.get("port") or os.environ.get("PGPORT") or DEFAULT_PORT)
    name = host if port == DEFAULT_PORT else f"{host}_{port}"
    return re.sub(r"[^A-Za-z0-9_.]", "_", name)[:LONGEST_LABEL].strip("_.") or "server"


def _wrong(message: str, hint: str) -> PgiostatError:
    return PgiostatError(message, hint=hint, slug="option-invalid", status=ExitStatus.USAGE)


def from_file(path: Path, every: str | None = None) -> Plan:
    """Return what a configuration file says; every: an interval that wins over the file's own.

    Raises PgiostatError config-file if it cannot be read, and config-invalid for a mistake, with
    its line.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise PgiostatError(
            f'could not read configuration file "{path}": {reason}', slug="config-file"
        ) from None
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _AT.search(str(error))
        where = f"{path}, line {place[1]}" if place else str(path)
        told = _AT.sub("", str(error)).strip()
        raise PgiostatError(f"{where}: {told}", slug="config-invalid") from None
    return _File(path, text).plan(tables, every)


@dataclass(frozen=True, slots=True)
class _File:
    """A configuration file that is read; mistakes name its lines."""

    path: Path
    text: str

    def plan(self, tables: Mapping[str, Any], every: str | None) -> Plan:
        self.allow(tables, _FILE_KEYS, "this file")
        servers = tables.get("servers")
        if not isinstance(servers, dict) or not servers:
            raise self.wrong("servers", "there is no server in it", "Add a table: [servers.prod]")
        common = every or self.word(tables, "interval") or f"{INTERVAL_SECONDS:g}s"
        try:
            interval(common)
        except PgiostatError as error:
            raise self.wrong("interval", error.message, error.hint) from None
        found = []
        for label, server in servers.items():
            if not isinstance(server, dict):
                raise self.wrong(label, f'"{label}" must be a table', f"Write [servers.{label}].")
            self.allow(server, _SERVER_KEYS, f"[servers.{label}]", label)
            dsn = self.word(server, "dsn", label)
            if dsn is None:
                raise self.wrong(
                    label, f'[servers.{label}] has no "dsn"', 'Write dsn = "host=...".'
                )
            own = every or self.word(server, "interval", label) or common
            try:
                check_collector(label)
                found.append(Target(dsn, label, interval(own)))
            except PgiostatError as error:
                key = "interval" if "interval" in server else label
                raise self.wrong(key, error.message, error.hint, label) from None
        history = self.word(tables, "history")
        try:
            keep = Keep.of(self.word(tables, "keep"), self.word(tables, "keep_hours"))
        except PgiostatError as error:
            raise self.wrong("keep", error.message, error.hint) from None
        base = self.path.parent
        return Plan(tuple(found), None if history is None else base / history, keep)

    def allow(
        self, table: Mapping[str, Any], keys: Sequence[str], what: str, label: str = ""
    ) -> None:
        for key in table:
            if key not in keys:
                allowed = f"Allowed are {', '.join(keys)}."
                raise self.wrong(key, f'"{key}" is not a key of {what}', allowed, label)

    def word(self, table: Mapping[str, Any], key: str, label: str = "") -> str | None:
        value = table.get(key)
        if value is not None and not isinstance(value, str):
            raise self.wrong(key, f'"{key}" must be a string', 'Write it like "10s".', label)
        return value

    def wrong(self, key: str, message: str, hint: str | None, label: str = "") -> PgiostatError:
        """Return a mistake with the line of its key, in the table of a label if one is given."""
        lines = self.text.splitlines()
        first = 0
        if label:
            table = re.compile(rf"\s*\[\s*servers\s*\.\s*[\"']?{re.escape(label)}[\"']?\s*\]")
            first = next((n for n, line in enumerate(lines) if table.match(line)), 0)
        wanted = re.compile(rf"(?<![\w-])[\"']?{re.escape(key)}[\"']?\s*(?:=|\.|\])")
        found = (n for n, line in enumerate(lines[first:], first + 1) if wanted.search(line))
        number = next(found, first + 1)
        return PgiostatError(
            f"{self.path}, line {number}: {message}", hint=hint, slug="config-invalid"
        )
