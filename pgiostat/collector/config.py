"""The configuration file: TOML, a table for each server. A mistake names the file and the line."""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pgiostat.collector.targets import (
    INTERVAL_SECONDS,
    TABLES_INTERVAL,
    Plan,
    Target,
    interval,
    may_be_label,
)
from pgiostat.errors import PgiostatError
from pgiostat.history.format.root import check_collector
from pgiostat.history.write.retention import Keep
from pgiostat.postgres.dsn import check_dsn
from pgiostat.postgres.relation_options import relation_options
from pgiostat.redaction import has_credentials, hidden, may_hold_secret
from pgiostat.volume.device.discover import DeviceOption, device_option

__all__ = ["read"]

_AT = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)")
_QUOTED = re.compile(r"\(.+\)|'[^']{3,}'|\"[^\"]{3,}\"")
"""Parts of a file in messages of tomllib, except single characters: they may be of a password."""
_PLAIN_KEY = re.compile(r"[\w.-]+")
_RELATION_KEYS = ("tables_interval", "databases")
_FILE_KEYS = ("history", "interval", *_RELATION_KEYS, "keep", "keep_hours", "servers")
_KEYS = ("keep", "keep_hours")
_SERVER_KEYS = ("dsn", "interval", *_RELATION_KEYS, "device", "cloudwatch")
_LIKE = {"dsn": "host=db dbname=app", "history": "/var/lib/pgiostat", "interval": "10s"}
_LIKE |= {"tables_interval": "60s", "databases": "all"}
_LIKE |= {"keep": "30d", "keep_hours": "400d"}
_LIKE |= {"device": "nvme0n1", "cloudwatch": "eu-west-1/db-1"}

Made = TypeVar("Made")


def read(
    path: Path,
    *,
    history: Path | None = None,
    every: str | None = None,
    keep: str | None = None,
    keep_hours: str | None = None,
) -> Plan:
    """Return the plan of a configuration file; options win over the same keys in it.

    Args:
        path: The file.
        history: The option --history.
        every: The option --interval.
        keep: The option --keep.
        keep_hours: The option --keep-hours.

    Raises:
        PgiostatError: config-file if the file cannot be read; config-invalid for a mistake, with
            its line; time-invalid or option-invalid for an option.
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
        line = (place and place[1]) or text.rstrip("\n").count("\n") + 1
        message = _QUOTED.sub("…", _AT.sub("", str(error)).strip())
        raise PgiostatError(f"{path}, line {line}: {message}", slug="config-invalid") from None
    file = _File(path, text, tables)
    file.allow(tables, _FILE_KEYS, "this file")
    there = file.word("history")
    if there is not None and "://" in there:
        raise file.error(
            "history must be a directory", "history", "pgiostat ship uploads it to an object store."
        )
    if there is not None and may_hold_secret(there):
        raise file.error(
            "history may hold a password or a key",
            "history",
            "Name a directory. A connection string is the value of dsn.",
        )
    root = history or (None if there is None else path.parent / Path(there).expanduser())
    return Plan(file.targets(every), root, file.keep(keep, keep_hours))


@dataclass(frozen=True, slots=True)
class _File:
    """The tables of a configuration file; errors name its lines."""

    path: Path
    text: str
    tables: Mapping[str, Any]

    def targets(self, every: str | None) -> tuple[Target, ...]:
        servers = self.tables.get("servers")
        if not isinstance(servers, dict) or not servers:
            raise self.error("it defines no server", "servers", "Add a table: [servers.prod]")
        if every is not None:
            interval(every)
        common = self.word("interval") or f"{INTERVAL_SECONDS:g}s"
        self._checked(lambda: interval(common), "interval")
        return tuple(self._target(label, common, every) for label in servers)

    def _target(self, label: str, common: str, every: str | None) -> Target:
        server = self.tables["servers"][label]
        if not may_be_label(label):
            raise self.error(
                "the name of a server is a connection string",
                "servers",
                'Write [servers.prod], and the connection string as dsn = "…".',
            )
        self._checked(lambda: check_collector(label), label)
        if not isinstance(server, dict):
            raise self.error(f'"{label}" must be a table', label, f"Write [servers.{label}].")
        self.allow(server, _SERVER_KEYS, f"[servers.{label}]", label)
        dsn = self.word("dsn", label)
        if dsn is None:
            raise self.error(
                f'[servers.{label}] has no "dsn"', label, f'Write dsn = "{_LIKE["dsn"]}".'
            )
        self._checked(lambda: check_dsn(dsn), "dsn", label)
        own = self.word("interval", label)
        if own is not None:
            self._checked(lambda: interval(own), "interval", label)
        tables = self.word("tables_interval", label) or self.word("tables_interval")
        databases = self.word("databases", label) or self.word("databases")
        relations = self._checked(
            lambda: relation_options(tables or TABLES_INTERVAL, databases), "tables_interval", label
        )
        seconds = interval(every or own or common)
        return Target(dsn, label, seconds, self.device(label), relations)

    def device(self, label: str) -> DeviceOption:
        """Return the device that is measured beside a server."""
        name, place = self.word("device", label), self.word("cloudwatch", label)
        self._checked(lambda: device_option(name, None), "device", label)
        return self._checked(lambda: device_option(name, place), "cloudwatch", label)

    def keep(self, rows: str | None, hours: str | None) -> Keep:
        """Return how long the history keeps what it has; each option wins over its own key."""
        Keep.of(rows, rows)
        Keep.of(hours, hours, ("--keep-hours", "--keep-hours"))
        file_rows, file_hours = self.word("keep"), self.word("keep_hours")
        self._checked(lambda: Keep.of(file_rows, None, _KEYS), "keep")
        self._checked(lambda: Keep.of(file_hours, file_hours, _KEYS[1:] * 2), "keep_hours")
        names = "--keep" if rows else "keep", "--keep-hours" if hours else "keep_hours"
        return self._checked(
            lambda: Keep.of(rows or file_rows, hours or file_hours, names), "keep_hours"
        )

    def allow(
        self, table: Mapping[str, Any], keys: Sequence[str], what: str, label: str = ""
    ) -> None:
        for key in table:
            if key not in keys:
                allowed = f"Allowed are {', '.join(keys)}."
                raise self.error(f"{_shown_key(key)} is not a key of {what}", key, allowed, label)

    def word(self, key: str, label: str = "") -> str | None:
        table = self.tables["servers"][label] if label else self.tables
        value = table.get(key)
        if value is not None and not isinstance(value, str):
            hint = f'Write {key} = "{_LIKE[key]}", with quotes.'
            raise self.error(f'"{key}" must be a string', key, hint, label)
        return value

    def _checked(self, make: Callable[[], Made], key: str, label: str = "") -> Made:
        """Return the value that `make` makes of a key, or raise its error with the key's line."""
        try:
            return make()
        except PgiostatError as error:
            raise self.error(error.message, key, error.hint, label, error.detail) from None

    def error(
        self, message: str, key: str, hint: str | None, label: str = "", detail: str | None = None
    ) -> PgiostatError:
        """Return an error with the line of a key, in the table of a label unless that is empty."""
        lines = self.text.splitlines()
        first = 0
        if label:
            table = re.compile(rf"\s*\[\s*servers\s*\.\s*[\"']?{re.escape(label)}[\"']?\s*\]")
            first = next((n for n, line in enumerate(lines) if table.match(line)), 0)
        wanted = re.compile(rf"(?<![\w-])[\"']?{re.escape(key)}[\"']?\s*(?:=|\.|\])")
        found = (
            n
            for n, line in enumerate(lines[first:], first + 1)
            if wanted.search(line) and not line.lstrip().startswith("#")
        )
        number = next(found, first + 1)
        texts = tuple(_texts(self.tables))
        return PgiostatError(
            f"{self.path}, line {number}: {hidden(message, texts)}",
            detail=detail and hidden(detail, texts),
            hint=hint and hidden(hint, texts),
            slug="config-invalid",
        )


def _shown_key(key: str) -> str:
    """Return a key for a message; any text that is no plain word may be part of a secret."""
    is_plain = _PLAIN_KEY.fullmatch(key) and not has_credentials(f"{key}=")
    return f'"{key}"' if is_plain else "an entry"


def _texts(value: object) -> Iterator[str]:
    """Yield all texts in a value: keys and values."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield key
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
