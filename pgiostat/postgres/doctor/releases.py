"""Minor releases of PostgreSQL, their faults, and the end of life of major versions.

Sources: releases.toml, which `make releases` writes from PostgreSQL's release notes, and
faults.toml.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

from pgiostat.postgres.doctor.check import CheckState, Finding
from pgiostat.postgres.doctor.facts import Facts

__all__ = ["Fault", "FaultKind", "Major", "Releases", "Version", "known_releases", "release"]

KCACHE = "pg_stat_kcache"
SOON = timedelta(days=180)
_OWN_ENGINE = "Amazon Aurora"
"""A provider with minor releases of its own, though with the numbers of PostgreSQL's."""
_PRE_RELEASE = re.compile(r"\d+(?:devel|alpha|beta|rc)\d*")

Version = tuple[int, ...]


class FaultKind(StrEnum):
    """What a fault does; also the aspect of its finding."""

    SECURITY = "security"
    CRASH = "crash"
    NUMBERS = "numbers"


_STATES = {
    FaultKind.SECURITY: CheckState.WARNING,
    FaultKind.CRASH: CheckState.WARNING,
    FaultKind.NUMBERS: CheckState.NOTE,
}


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of PostgreSQL or of an extension.

    Attributes:
        fixed: The releases that fixed it; of PostgreSQL one for each major version that had it.
        note: The first words of the entry in the release notes.
        inferred: The releases of `fixed` that we have read no notes of.
    """

    kind: FaultKind
    what: str
    fixed: tuple[Version, ...]
    note: str
    inferred: tuple[Version, ...] = ()

    def fixed_after(self, version: Version) -> Version | None:
        """Return the release of the same major version that fixed it, None if it is not there."""
        later = (each for each in self.fixed if each[0] == version[0] and each > version)
        return next(later, None)


@dataclass(frozen=True, slots=True)
class Major:
    """A major version of PostgreSQL, and its newest minor release that is known."""

    released: date
    newest: Version
    end_of_life: date
    source: str


@dataclass(frozen=True, slots=True)
class Releases:
    """What is known of releases.

    Attributes:
        on: When it was read.
        majors: By number.
    """

    on: date
    majors: Mapping[int, Major]
    postgresql: tuple[Fault, ...]
    kcache: tuple[Fault, ...]

    @property
    def newest_major(self) -> int:
        """The newest major version that is known."""
        return max(self.majors)


def _version(text: str) -> Version:
    """Return a version as numbers, so that versions compare.

    >>> _version("18.6"), _version("18.10") > _version("18.6")
    ((18, 6), True)
    """
    return tuple(map(int, text.split(".")))


def _text(version: Version) -> str:
    return ".".join(map(str, version))


def _fault(entry: Mapping[str, Any]) -> Fault:
    return Fault(
        kind=FaultKind(entry["kind"]),
        what=entry["what"],
        fixed=tuple(map(_version, entry["fixed"])),
        note=entry["note"],
        inferred=tuple(map(_version, entry.get("inferred", ()))),
    )


@cache
def known_releases() -> Releases:
    """Return what the files of this package say."""
    home = files("pgiostat.postgres.doctor")
    listed = tomllib.loads(home.joinpath("releases.toml").read_text("utf-8"))
    faults = tomllib.loads(home.joinpath("faults.toml").read_text("utf-8"))
    return Releases(
        on=listed.pop("date"),
        majors={
            int(number): Major(**entry | {"newest": _version(entry["newest"])})
            for number, entry in listed.items()
        },
        postgresql=tuple(map(_fault, faults["postgresql"])),
        kcache=tuple(map(_fault, faults[KCACHE])),
    )


def release(facts: Facts, known: Releases | None = None) -> Iterator[Finding]:
    """Yield the faults of a server's release, and the end of its support.

    Args:
        facts: The server.
        known: What is known of releases, if it is not that of this package.
    """
    known = known or known_releases()
    version = divmod(facts.version_num, 10_000)
    major = known.majors.get(version[0])
    if _PRE_RELEASE.fullmatch(facts.version):
        reason = f"{facts.version} is a pre-release: its faults are not known"
        yield Finding("release", CheckState.NOTE, reason, "update to a release of PostgreSQL")
    elif major is None or version > major.newest:
        reason = (
            f"{facts.version} is newer than the releases that pgiostat knows (as of {known.on})"
        )
        yield Finding("release", CheckState.OK, f"{reason}: its faults are not known")
    else:
        yield from _minor(facts, known, major, version)
    if major is not None:
        yield from _support(facts, known, version[0], major.end_of_life)
    yield from _kcache(facts, known)


def _minor(facts: Facts, known: Releases, major: Major, version: Version) -> Iterator[Finding]:
    found = _faults(known.postgresql, version)
    newest = _text(major.newest)
    perhaps = f"; unless {facts.provider} fixed it in a release of its own"
    for kind, reason in found.items():
        yield Finding(
            kind.value,
            CheckState.NOTE if facts.provider == _OWN_ENGINE else _STATES[kind],
            reason + perhaps * bool(facts.provider),
            _update(facts, known, newest),
        )
    if not found:
        reason = f"{_text(version)}: no fault is known that touches what pgiostat shows"
        reason += f"; the newest known is {newest} (as of {known.on})"
        yield Finding("release", CheckState.OK, reason)


def _faults(faults: tuple[Fault, ...], version: Version) -> dict[FaultKind, str]:
    """Return the faults of a version in words, by kind."""
    found: dict[FaultKind, list[str]] = {}
    for fault in faults:
        if fixed := fault.fixed_after(version):
            found.setdefault(fault.kind, []).append(f"{fault.what} (fixed in {_text(fixed)})")
    return {kind: "; ".join(found[kind]) for kind in FaultKind if kind in found}


def _update(facts: Facts, known: Releases, newest: str) -> str:
    fix = f"update PostgreSQL to {newest} or later (the newest known as of {known.on})"
    if facts.provider:
        return f"{fix}, by your provider's release that contains it"
    return fix


def _support(facts: Facts, known: Releases, major: int, end: date) -> Iterator[Finding]:
    today = facts.now.date()
    fix = f"upgrade to a newer major version; the newest known is {known.newest_major}"
    if facts.provider:
        fix += f"; {facts.provider} may support {major} for longer"
    if today >= end:
        reason = f"PostgreSQL {major} has reached its end of life: no fixes since {end}"
        yield Finding("support", CheckState.WARNING, reason, fix)
    elif end - today <= SOON:
        reason = f"PostgreSQL {major} reaches its end of life on {end}: no fixes after that"
        yield Finding("support", CheckState.NOTE, reason, fix)


def _kcache(facts: Facts, known: Releases) -> Iterator[Finding]:
    """Yield the faults of pg_stat_kcache: its library has the version that can be installed."""
    available, installed = facts.extensions.get(KCACHE, ("", ""))
    if not installed or not re.fullmatch(r"\d+(\.\d+)*", available):
        return
    version = (*_version(available), 0, 0)[:3]
    for kind, reason in _faults(known.kcache, version).items():
        newest = _text(max(release for fault in known.kcache for release in fault.fixed))
        yield Finding(
            kind.value,
            _STATES[kind],
            f"{KCACHE} {available}: {reason}",
            f"update the package of {KCACHE} to {newest} or later, and restart the server",
        )
