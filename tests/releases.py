"""Write pgiostat/postgres/doctor/releases.toml from PostgreSQL's release notes; check faults.toml.

`make releases NOTES='DIRECTORY ...'` reads HTML pages such as `release-18-6.html` below the
directories. Debian's packages postgresql-doc-13, postgresql-doc-15 and so on have them: `dpkg -x
PACKAGE.deb DIRECTORY` unpacks one. A major version without a page keeps what the file says of it.

Faults are written by hand, in our words. This program fails if an entry of the release notes that a
fault names is not there, or if an entry names a view or an extension that pgiostat reads and is
neither a fault nor in IRRELEVANT: it prints the entry, to be judged by a person.
"""

import html
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from pgiostat.postgres.doctor.releases import Fault, Major, Version, known_releases

TABLE = Path(__file__).parent.parent / "pgiostat" / "postgres" / "doctor" / "releases.toml"

WATCHED = re.compile(
    r"pg_stat_(?:statements|kcache|io|activity|database|all_|user_|bgwriter|checkpointer|reset"
    r"|get_(?!progress|subscription))|pgstats?\b|pgstat_"
    r"|statistics (?:views?|machinery|entr|counter|file)|used for statistics|statistics tracking"
    r"|cumulative statistics|query ID|wait event"
    r"|track_io_timing|stats_fetch_consistency|shared_preload_libraries"
)
"""What an entry names if it may touch what pgiostat shows."""

IRRELEVANT = (
    "Avoid assertion failure when the stats_fetch_consistency setting is changed",
    "Change contrib/pg_stat_statements to read its “query texts” file in units",  # Windows
    "Correct the name of the wait event for SLRU buffer I/O",
    "Ensure cached statistics are discarded after a change to stats_fetch_consistency",
    "Ensure that base backups report checksum failures",
    "Fix assertion failure at shutdown when writing out the statistics file",
    "Fix cleanup of reused pgstats entries",
    "Fix confusion about forced-flush behavior in pgstat_report_wal()",
    "Fix contrib/pg_stat_statements to avoid problems with very large query-text files",  # 32 bits
    "Fix pg_stat_get_backend_wait_event() and pg_stat_get_backend_wait_event_type()",
    "Fix pg_stat_reset_single_table_counters() to do the right thing for a shared catalog",
    "Fix possibly mis-encoded result of pg_stat_get_backend_activity()",
    "Fix race condition in database dropping that could lead to the autovacuum launcher",
    "Fix the background writer to report any WAL writes",
    "Harden pgstats code against partially-completed local pgstats entries",
    "Improve wait logic in RegisterSyncRequest",
    "In contrib/pg_stat_statements, avoid leaving gaps in the set of parameter numbers",
    "In contrib/pg_stat_statements, don't leak memory if an error occurs while parsing",
    "Make walsenders show their latest replication commands in pg_stat_activity",
    "Re-activate reporting of wait event SLRUFlushSync",
    "Remove incorrect assertion in pgstat_report_stat()",
)
"""First words of entries that were read, and touch nothing that pgiostat shows."""

_PAGE = re.compile(r"release-(\d+)(?:-(\d+))?\.html")
_DATE = re.compile(r"Release date:\s*(?:<[^>]+>\s*)*(\d{4}-\d\d-\d\d)")
_ITEM = re.compile(r'<li class="listitem">(.*?)</li>', re.DOTALL)
_YEARS = 5
_THURSDAY = 3


@dataclass(frozen=True, slots=True)
class Notes:
    """The release notes of one release; each entry is one line, without marks of commits."""

    released: date
    entries: tuple[str, ...]


def read_notes(directories: Iterable[Path]) -> dict[Version, Notes]:
    """Return the release notes below directories, by release; N.0 begins a major version."""
    found: dict[Version, Notes] = {}
    for page in sorted(page for each in directories for page in each.rglob("release-*.html")):
        if name := _PAGE.fullmatch(page.name):
            text = page.read_text("utf-8")
            if day := _DATE.search(text):  # a release that is still to come has none
                version = (int(name[1]), int(name[2] or 0))
                entries = tuple(map(_plain, _ITEM.findall(text)))
                found[version] = Notes(date.fromisoformat(day[1]), entries)
    return found


def _plain(markup: str) -> str:
    text = html.unescape(re.sub(r"<[^>]+>", "", markup)).replace("§", "")
    return " ".join(text.split())


def second_thursday(year: int, month: int = 11) -> date:
    """Return the day of a quarterly release.

    >>> second_thursday(2026)
    datetime.date(2026, 11, 12)
    """
    first = date(year, month, 1)
    return first + timedelta(days=(_THURSDAY - first.weekday()) % 7 + 7)


def majors(notes: Mapping[Version, Notes], before: Mapping[int, Major]) -> dict[int, Major]:
    """Return what the file says of major versions, with what release notes say."""
    found = dict(before)
    for number in sorted({version[0] for version in notes}):
        newest = max(version for version in notes if version[0] == number)
        source = f"release notes of {newest[0]}.{newest[1]}"
        if number in found:
            if newest >= found[number].newest:
                found[number] = replace(found[number], newest=newest, source=source)
        elif (number, 0) in notes:
            first = notes[number, 0].released
            end = second_thursday(first.year + _YEARS)
            found[number] = Major(first, newest, end, source)
    return dict(sorted(found.items()))


def header(day: date) -> str:
    """Return the comments above the table, and its date."""
    return (
        "# Minor releases of PostgreSQL, and the end of life of its major versions.\n"
        "# Source: PostgreSQL's release notes, as Debian's packages of its documentation have them,"
        " and its\n# versioning policy: a major version is supported for 5 years after its initial"
        " release, and then has\n# one last minor release. That is in November, on the second"
        " Thursday.\n"
        "# Written by `make releases`, which leaves a major version alone without notes of it.\n"
        f"\ndate = {day.isoformat()}\n"
    )


def table(known: Mapping[int, Major]) -> str:
    """Return the file without its header."""
    return "".join(
        f"\n[{number}]\nreleased = {major.released}\n"
        f'newest = "{".".join(map(str, major.newest))}"\n'
        f'end_of_life = {major.end_of_life}\nsource = "{major.source}"\n'
        for number, major in known.items()
    )


def wrong(faults: Iterable[Fault], notes: Mapping[Version, Notes]) -> Iterator[str]:
    """Yield faults whose entry is not in release notes, and releases that have it unnamed."""
    for fault in faults:
        have = {
            version
            for version, each in notes.items()
            if any(entry.startswith(fault.note) for entry in each.entries)
        }
        for version in sorted(set(notes) & set(fault.fixed) - have):
            yield f"{version[0]}.{version[1]} has no entry: {fault.note}"
        for version in sorted(have - set(fault.fixed)):
            yield f"{version[0]}.{version[1]} is not in `fixed`: {fault.note}"
        for version in sorted(have & set(fault.inferred)):
            yield f"{version[0]}.{version[1]} is not inferred any more: {fault.note}"


def unjudged(
    notes: Mapping[Version, Notes], faults: Iterable[Fault], irrelevant: Iterable[str]
) -> Iterator[str]:
    """Yield entries that may touch what pgiostat shows, and were not judged yet."""
    judged = (*(fault.note for fault in faults), *irrelevant)
    for version, each in sorted(notes.items()):
        if version[1]:
            for entry in each.entries:
                if WATCHED.search(entry) and not entry.startswith(judged):
                    yield f"{version[0]}.{version[1]}: {entry}"


def main(directories: Iterable[Path]) -> int:
    """Write the table; return 1 if a person has something to do."""
    known = known_releases()
    notes = read_notes(directories)
    if not notes:
        sys.stderr.write("no release notes: name directories with release-*.html\n")
        return 2
    text = header(datetime.now(UTC).date()) + table(majors(notes, known.majors))
    TABLE.write_text(text, "utf-8")
    problems = [
        *wrong(known.postgresql, notes),
        *unjudged(notes, known.postgresql, IRRELEVANT),
    ]
    sys.stdout.writelines(f"{each}\n" for each in problems)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(map(Path, sys.argv[1:])))
