"""Parses time windows: label@from..to, -2h, yesterday 14:00."""

import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.history.engines import DUCKDB
from pgiostat.history.read.history import History
from pgiostat.history.read.windows import ServerSpan, Window, nothing_between
from pgiostat.timespec import Instant, Length, duration, instant, is_clock
from pgiostat.uris import check

__all__ = ["WindowSpec", "open_pair", "parse_window_spec", "window"]

_MOST_SLACK = timedelta(seconds=5)
_SPAN = re.compile(r"(.*?)(?:\.\.| – )(.*)", re.DOTALL)
"""Two times as options have them, or as a report prints them."""


@dataclass(frozen=True, slots=True)
class WindowSpec:
    """A window of a history; whole: no time was selected, and it is all that there is."""

    history: History
    window: Window
    whole: bool = False


def window(
    history: History,
    now: datetime,
    *,
    label: str = "",
    since: Instant | None = None,
    until: Instant | None = None,
    last: Length | None = None,
) -> Window:
    """Return the window that options select; all of a history or label without a time.

    Raises PgiostatError option-invalid, time-invalid, label-unknown, history-empty, window-empty.
    """
    if last is not None and since is not None:
        raise PgiostatError(
            "--last and --since cannot be used together",
            slug="option-invalid",
            status=ExitStatus.USAGE,
        )
    servers = history.choose(label)
    end = max(server.until for server in servers) if until is None else instant(until, now)
    if last is not None and until is None:
        end = history.newest(servers, now)
    if last is not None:
        seconds = duration(last)
        if seconds <= 0:
            raise PgiostatError(
                f'invalid duration: "{last}"',
                hint="It must be longer than 0.",
                slug="time-invalid",
                status=ExitStatus.USAGE,
            )
        # An interval counts where it begins: one that lies in the window for the most part too.
        begin = end - timedelta(seconds=seconds) - _half_an_interval(servers)
    elif since is not None:
        begin = instant(since, now)
    else:
        begin = min(server.since for server in servers)
    if is_clock(until) and begin >= end:
        end += timedelta(days=1)  # 09:00..18:00 at noon: today's 18:00 is to come
    # By the clock of a server that is ahead of ours there are intervals in our future.
    if begin > now and begin >= end and until is None:
        raise PgiostatError(
            f"the time window begins in the future, at {begin.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}",
            slug="time-invalid",
            status=ExitStatus.USAGE,
        )
    if begin >= end and until is None:
        raise nothing_between(begin, max(end, now), servers, history.left_out)
    if begin >= end:
        raise PgiostatError(
            "the time window ends before it begins",
            detail=f"It begins at {begin.astimezone(UTC):%Y-%m-%d %H:%M:%SZ} and ends at"
            f" {end.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}.",
            slug="time-invalid",
            status=ExitStatus.USAGE,
        )
    return Window(begin, end, label)


def _half_an_interval(servers: Sequence[ServerSpan]) -> timedelta:
    """Return half the mean interval of servers, and a few seconds at most."""
    mean = ((each.until - each.since) / max(each.samples, 1) for each in servers)
    return min(max(mean), 2 * _MOST_SLACK) / 2


def _parted(text: str) -> tuple[str, str, str]:
    """Return where a window is and its time; a URI may have an "@" of its own."""
    if "://" not in text:
        return text.partition("@")
    where, at, span = text.rpartition("@")
    parts = (where, at, span) if ".." in span else (text, "", "")
    if "@" in parts[0]:
        check(parts[0])
    return parts


def parse_window_spec(
    text: str, root: Path | str, now: datetime, *, skip_bad: bool = False, engine: str = DUCKDB
) -> WindowSpec:
    """Return the window that words name: [DIR | DIR:]label@from..to, each part of it optional.

    DIR: a directory, or the URI of a history in an object store.
    Raises PgiostatError option-invalid, and as window and History.open do.
    """
    where, at, span = _parted(text)
    directory, colon, label = where.rpartition(":")
    place: Path | str
    if "://" in where and "/" in label:
        place, label = where, ""  # its only colon is the scheme's
    elif "://" in where:
        place = directory
    elif colon:
        place = Path(directory)
    elif "/" in where or (Path(where) / "format.json").is_file():
        place, label = Path(where), ""
    else:
        place, label = root, where
    if not at and "/" not in where and ".." in where:
        raise PgiostatError(
            f'there is no "@" before the times of the window: "{text}"',
            hint=f"Write @{text}, or prod@{text}.",
            slug="option-invalid",
            status=ExitStatus.USAGE,
        )
    found = _SPAN.fullmatch(span if at else "..")
    if found is None:
        raise PgiostatError(
            "invalid window" if "://" in text else f'invalid window: "{text}"',
            hint="Write it like prod@-2h..-1h or prod@09:00..10:00.",
            slug="option-invalid",
            status=ExitStatus.USAGE,
        )
    since, until = (words.strip() or None for words in found.groups())
    try:
        opened = History.open(place, skip_bad=skip_bad, engine=engine)
    except PgiostatError as error:
        if place is root and label and error.slug == "history-missing":
            error.hint = f'"{label}" is a label there. Name the directory first: HISTORY A B.'
        raise
    found_window = window(opened, now, label=label, since=since, until=until)
    return WindowSpec(opened, found_window, whole=since is None and until is None)


@contextmanager
def open_pair(
    a: str, b: str, root: Path | str, now: datetime, *, skip_bad: bool = False, engine: str = DUCKDB
) -> Iterator[tuple[WindowSpec, WindowSpec]]:
    """Yield the two windows that words name, as chosen does; close their histories at the end."""
    before = parse_window_spec(a, root, now, skip_bad=skip_bad, engine=engine)
    with closing(before.history):
        after = parse_window_spec(b, root, now, skip_bad=skip_bad, engine=engine)
        with closing(after.history):
            yield before, after
