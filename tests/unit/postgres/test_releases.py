"""Releases of PostgreSQL: faults by faked version numbers, end of life, and the files."""

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from pgiostat.postgres.doctor import CheckState, Facts, Finding, findings
from pgiostat.postgres.doctor.releases import (
    Fault,
    FaultKind,
    Major,
    Releases,
    Version,
    known_releases,
    release,
)
from tests.releases import TABLE, Notes, header, majors, read_notes, table, unjudged, wrong

KNOWN = Releases(
    on=date(2026, 11, 30),
    majors={
        16: Major(date(2023, 9, 14), (16, 16), date(2028, 11, 9), "notes"),
        18: Major(date(2025, 9, 25), (18, 6), date(2030, 11, 14), "notes"),
    },
    postgresql=(
        Fault(FaultKind.NUMBERS, "a number is wrong", ((16, 4), (18, 2)), "Fix a number"),
        Fault(FaultKind.CRASH, "it crashes", ((16, 9), (18, 1)), "Avoid crash"),
        Fault(FaultKind.SECURITY, "CVE-1: code", ((18, 6),), "Fix overrun"),
        Fault(FaultKind.NUMBERS, "another one is wrong", ((16, 5),), "Count scans"),
    ),
    kcache=(Fault(FaultKind.NUMBERS, "levels are wrong", ((2, 3, 0),), "Fix levels"),),
)
NOW = datetime(2026, 11, 30, tzinfo=UTC)
UPDATE = "update PostgreSQL to {} or later (the newest known as of 2026-11-30)"


def server(
    version: str, *, now: datetime = NOW, provider: str = "", kcache: tuple[str, str] = ("", "")
) -> Facts:
    """Return a server with a faked version."""
    digits = re.findall(r"\d+", version)
    minor = int(digits[1]) if "." in version else 0
    return Facts(
        host="db:5432", dbname="app", version=version, version_num=int(digits[0]) * 10_000 + minor,
        user="pgiostat", is_superuser=False, reads_all_stats=True, in_recovery=False,
        started=now - timedelta(days=9), now=now, extensions={"pg_stat_kcache": kcache},
        settings={}, provider=provider,
    )  # fmt: skip


def found(facts: Facts) -> list[Finding]:
    return list(release(facts, KNOWN))


def test_each_kind_of_fault_is_a_finding_with_the_version_to_go_to() -> None:
    assert found(server("18.0")) == [
        Finding("security", CheckState.WARNING, "CVE-1: code (fixed in 18.6)",
                UPDATE.format("18.6")),
        Finding("crash", CheckState.WARNING, "it crashes (fixed in 18.1)", UPDATE.format("18.6")),
        Finding("numbers", CheckState.NOTE, "a number is wrong (fixed in 18.2)",
                UPDATE.format("18.6")),
    ]  # fmt: skip
    assert found(server("16.0"))[1:] == [
        Finding(
            "numbers", CheckState.NOTE,
            "a number is wrong (fixed in 16.4); another one is wrong (fixed in 16.5)",
            UPDATE.format("16.16"),
        ),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("version", "aspects"),
    [
        ("18.1", ["security", "numbers"]),
        ("18.2", ["security"]),
        ("18.5", ["security"]),
        ("18.6", ["release"]),
        ("16.3", ["crash", "numbers"]),
        ("16.8", ["crash"]),
        ("16.9", ["release"]),
    ],
)
def test_a_fault_ends_with_the_release_that_fixed_it(version: str, aspects: list[str]) -> None:
    assert [each.aspect for each in found(server(version))] == aspects


def test_a_release_without_known_faults_is_ok_and_names_the_newest() -> None:
    assert found(server("16.9")) == [
        Finding(
            "release", CheckState.OK,
            "16.9: no fault is known that touches what pgiostat shows; the newest known is 16.16"
            " (as of 2026-11-30)",
        ),
    ]  # fmt: skip


@pytest.mark.parametrize("version", ["18.7", "17.1", "20.3"])
def test_a_release_that_is_not_known_has_no_fault(version: str) -> None:
    assert found(server(version)) == [
        Finding(
            "release", CheckState.OK,
            f"{version} is newer than the releases that pgiostat knows (as of 2026-11-30): its"
            " faults are not known",
        ),
    ]  # fmt: skip


@pytest.mark.parametrize("version", ["19rc1", "19beta3", "20devel", "18rc1"])
def test_a_pre_release_is_none_to_rely_on(version: str) -> None:
    assert found(server(version)) == [
        Finding(
            "release", CheckState.NOTE, f"{version} is a pre-release: its faults are not known",
            "update to a release of PostgreSQL",
        ),
    ]  # fmt: skip


def test_a_managed_service_has_releases_of_its_own() -> None:
    (fault,) = found(server("18.5", provider="Amazon RDS"))
    assert fault == Finding(
        "security", CheckState.WARNING,
        "CVE-1: code (fixed in 18.6); unless Amazon RDS fixed it in a release of its own",
        f"{UPDATE.format('18.6')}, by your provider's release that contains it",
    )  # fmt: skip
    (fault,) = found(server("18.5", provider="Amazon Aurora"))
    assert (fault.aspect, fault.state) == ("security", CheckState.NOTE)
    assert fault.reason.endswith("; unless Amazon Aurora fixed it in a release of its own")


NEWER = "upgrade to a newer major version; the newest known is 18"


@pytest.mark.parametrize(
    ("day", "provider", "finding"),
    [
        (date(2028, 5, 12), "", None),
        (date(2028, 5, 13), "", Finding(
            "support", CheckState.NOTE,
            "PostgreSQL 16 reaches its end of life on 2028-11-09: no fixes after that", NEWER)),
        (date(2028, 11, 9), "", Finding(
            "support", CheckState.WARNING,
            "PostgreSQL 16 has reached its end of life: no fixes since 2028-11-09", NEWER)),
        (date(2029, 1, 1), "Amazon RDS", Finding(
            "support", CheckState.WARNING,
            "PostgreSQL 16 has reached its end of life: no fixes since 2028-11-09",
            f"{NEWER}; Amazon RDS may support 16 for longer")),
    ],
)  # fmt: skip
def test_the_end_of_life_is_announced_half_a_year_before(
    day: date, provider: str, finding: Finding | None
) -> None:
    now = datetime(day.year, day.month, day.day, tzinfo=UTC)
    _, *rest = found(server("16.16", now=now, provider=provider))
    assert rest == ([] if finding is None else [finding])


@pytest.mark.parametrize(
    ("available", "is_faulty"), [("2.2.3", True), ("2.3", False), ("2.3.0", False), ("x", False)]
)
def test_the_library_of_pg_stat_kcache_has_the_available_version(
    available: str, *, is_faulty: bool
) -> None:
    _, *rest = found(server("18.6", kcache=(available, "2.1")))
    assert rest == is_faulty * [
        Finding(
            "numbers", CheckState.NOTE,
            f"pg_stat_kcache {available}: levels are wrong (fixed in 2.3.0)",
            "update the package of pg_stat_kcache to 2.3.0 or later, and restart the server",
        )
    ]  # fmt: skip
    assert len(found(server("18.6", kcache=(available, "")))) == 1


# the files of the package


def test_each_fault_was_fixed_in_a_known_release() -> None:
    known = known_releases()
    for fault in known.postgresql:
        assert fault.fixed == tuple(sorted(fault.fixed)), fault.what
        assert set(fault.inferred) <= set(fault.fixed), fault.what
        for each in fault.fixed:
            assert each <= known.majors[each[0]].newest, fault.what
        for each in fault.inferred:  # as the header of the file says
            assert {each[0] - 1, each[0] + 1} <= {other[0] for other in fault.fixed}, fault.what
    assert list(known.majors) == [13, 14, 15, 16, 17, 18]


@pytest.mark.parametrize(
    ("version", "states"),
    [
        ("18.6", {"release": "ok"}),
        ("18.4", {"security": "warning", "crash": "warning"}),
        ("18.1", {"security": "warning", "crash": "warning", "numbers": "note"}),
        ("17.12", {"release": "ok"}),
        ("17.10", {"crash": "warning"}),
        ("16.0", {"crash": "warning", "numbers": "note"}),
        ("15.18", {"crash": "warning"}),
        ("14.24", {"release": "ok", "support": "warning"}),
        ("14.5", {"numbers": "note", "support": "warning"}),
        ("13.23", {"release": "ok", "support": "warning"}),
        ("19.1", {"release": "ok"}),
    ],
)
def test_what_doctor_says_of_releases_today(version: str, states: dict[str, str]) -> None:
    aspects = {*FaultKind, "release", "support"}
    shown = {each.aspect: each.state.value for each in findings(server(version))}
    assert {aspect: state for aspect, state in shown.items() if aspect in aspects} == states


def test_the_overflow_of_pg_stat_statements_is_a_security_fault_of_18_before_18_6() -> None:
    (fault,) = [each for each in known_releases().postgresql if each.kind is FaultKind.SECURITY]
    assert fault.what.startswith("CVE-2026-14676: ")
    assert fault.fixed == ((18, 6),)


# the program that writes them

PAGE = """<title>E.1. Release {version}</title><p><strong>Release date: </strong>{day}</p>
<ul><li class="listitem"><p>Fix a
 number in <code>contrib/pg_stat_statements</code> (Ann) <a href="/c/1">§</a></p></li>
<li class="listitem"><p>Fix the planner&#39;s &amp; (Bob)</p></li></ul>"""
ENTRY = "Fix a number in contrib/pg_stat_statements (Ann)"


def noted(directory: Path, version: str, day: str) -> None:
    page = PAGE.format(version=version, day=day)
    (directory / f"release-{version.replace('.', '-')}.html").write_text(page, "utf-8")


def test_release_notes_are_read_from_pages(tmp_path: Path) -> None:
    noted(tmp_path, "18", "2025-09-25")
    (tmp_path / "more").mkdir()
    noted(tmp_path / "more", "18.7", "2026-11-12")
    noted(tmp_path, "19", "2026-??-??, AS OF 2026-10-09")
    (tmp_path / "release-prior.html").write_text("", "utf-8")
    entries = (ENTRY, "Fix the planner's & (Bob)")
    assert read_notes([tmp_path]) == {
        (18, 0): Notes(date(2025, 9, 25), entries),
        (18, 7): Notes(date(2026, 11, 12), entries),
    }


def test_notes_renew_the_majors_that_they_are_of_and_no_other() -> None:
    notes: dict[Version, Notes] = {
        (18, 7): Notes(date(2026, 11, 12), ()),
        (16, 3): Notes(date(2024, 5, 9), ()),  # older than what is known
        (19, 0): Notes(date(2026, 10, 29), ()),
        (19, 1): Notes(date(2026, 11, 12), ()),
    }
    assert majors(notes, KNOWN.majors) == {
        16: KNOWN.majors[16],
        18: Major(date(2025, 9, 25), (18, 7), date(2030, 11, 14), "release notes of 18.7"),
        19: Major(date(2026, 10, 29), (19, 1), date(2031, 11, 13), "release notes of 19.1"),
    }


def test_an_entry_must_be_in_the_notes_of_each_release_that_a_fault_names() -> None:
    fault = Fault(FaultKind.NUMBERS, "wrong", ((15, 2), (16, 2), (17, 2)), "Fix a", ((16, 2),))
    day = date(2026, 11, 12)
    notes: dict[Version, Notes] = {
        (15, 2): Notes(day, ("Fix b",)),
        (16, 2): Notes(day, ("Fix a number",)),
        (18, 2): Notes(day, ("Fix a number",)),
    }
    assert list(wrong([fault], notes)) == [
        "15.2 has no entry: Fix a",
        "18.2 is not in `fixed`: Fix a",
        "16.2 is not inferred any more: Fix a",
    ]


def test_what_may_touch_our_numbers_is_to_be_judged() -> None:
    day = date(2026, 11, 12)
    entries = (ENTRY, "Fix pg_stat_io", "Fix pg_stat_progress_copy", "Fix a query ID", "Fix psql")
    notes: dict[Version, Notes] = {(18, 0): Notes(day, entries), (18, 1): Notes(day, entries)}
    fault = Fault(FaultKind.NUMBERS, "wrong", ((18, 1),), "Fix a number in contrib")
    assert list(unjudged(notes, [fault], ["Fix a query ID"])) == ["18.1: Fix pg_stat_io"]


def test_the_file_is_what_the_program_writes() -> None:
    known = known_releases()
    assert TABLE.read_text("utf-8") == header(known.on) + table(known.majors)
