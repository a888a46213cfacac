"""Notices about the numbers of an interval: what is wrong with them, and what to do."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from enum import StrEnum

from pgiostat.analysis.ledger import Line
from pgiostat.analysis.rank import By, Ranking
from pgiostat.errors import PgiostatError
from pgiostat.statistics.capabilities import grant, hidden_from
from pgiostat.statistics.delta import INCOMPARABLE, Delta, Quality
from pgiostat.statistics.names import HIDDEN, UNREAD, UNREADABLE
from pgiostat.units import format_counted, format_duration, format_share

__all__ = [
    "FIRST_TAGS",
    "Notice",
    "NoticeKind",
    "happened",
    "lost",
    "notices",
    "renamed",
    "unexplained",
    "unread",
]

LOW_COVERAGE = 0.9
SHOWN_UNREAD = 0.01
"""Share of reads by statements without a text yet from which it is a notice."""
SHOWN_UNEXPLAINED = 0.02
FIRST_TAGS = (
    "A tag is that of the first text of an entry of pg_stat_statements: calls with other tags count"
    " there, too."
)


class NoticeKind(StrEnum):
    """Duration of a notice's cause: an event, a state until it is fixed, or a passing effect."""

    HAPPENED = "happened"
    HOLDS = "holds"
    PASSING = "passing"


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence about the numbers, and its fix."""

    slug: str
    text: str
    hint: str = ""
    kind: NoticeKind = NoticeKind.HOLDS


def notices(
    delta: Delta,
    ranking: Ranking,
    *,
    coverage: float | None = None,
    texts_error: PgiostatError | None = None,
) -> list[Notice]:
    """Return the notices about an interval and its ranking, the most serious first.

    Args:
        coverage: Of all intervals of the session, because that of a single one is uncertain.
        texts_error: Why the texts of statements could not be read.
    """
    found = [
        *happened(delta.qualities, delta.seconds, delta.evicted, delta.lost_seconds),
        *_settings(delta, ranking),
    ]
    if unknown := delta.newer.server.unknown:
        found.append(Notice("server-newer", f"{unknown}.", "Update pgiostat."))
    if delta.newer.masked:
        found.append(_privilege(delta, ranking))
    if coverage is not None and coverage < LOW_COVERAGE and Quality.EVICTING not in delta.qualities:
        found.append(
            Notice(
                "coverage-low",
                f"Statements explain only {format_share(coverage)} of the server's reads so far.",
                "Cancelled and failed statements, autovacuum and planning are not in "
                "pg_stat_statements.",
            )
        )
    found += [
        Notice("reads-unexplained", causes, kind=NoticeKind.HAPPENED)
        for line in ranking.lines
        if line.blocks > 0 and (causes := unexplained(ranking, line)) is not None
    ]
    if delta.unknown:
        found.append(
            Notice(
                "rows-unknown",
                f"{delta.unknown} statements could not be assigned to this interval; "
                "their numbers are lower bounds.",
            )
        )
    if ranking.absurd_times:
        found.append(
            Notice(
                "times-absurd",
                f"The read times of {ranking.absurd_times} statements exceed the elapsed time; "
                "they are left out.",
            )
        )
    if ranking.by is By.TAG:
        found.append(Notice("tags-first", FIRST_TAGS))
    found += _without_text(ranking)
    if texts_error is not None:
        found.append(Notice(texts_error.slug, _sentence(texts_error), texts_error.hint or ""))
    return found


def lost(delta: Delta) -> list[Notice]:
    """Return the notices about an interval that was lost to another server's snapshot."""
    if delta.lost is None:
        return []
    return happened(delta.qualities, None, lost_seconds=delta.lost.seconds)


def unread(ranking: Ranking) -> Iterator[tuple[str, str]]:
    """Yield the category of statements without a text, and a sentence about their reads."""
    for each in sorted(ranking.unread, key=lambda each: -each.blocks):
        if not each.blocks:
            continue
        share = format_share(ranking.share(each.blocks))
        what = format_counted(each.statements, "statement")
        if each.category == UNREAD:
            yield UNREAD, f"{share} of the reads belong to {what} without a text yet."
        else:
            reason = each.reason.rstrip(".")
            yield UNREADABLE, f"{share} of the reads belong to {what} without a text: {reason}."


def renamed(ranking: Ranking) -> Iterator[str]:
    """Yield a sentence about each name that changed in the time window of a ranking."""
    for each in ranking.renamed:
        when = f"{each.since:%Y-%m-%d %H:%M:%SZ}"
        yield (
            f"{each.kind} {each.before} was renamed to {each.after} at {when}: names and"
            " categories are those at the end of the time window"
        )


def _were(evicted: int) -> str:
    return f"{format_counted(evicted, 'statement')} {'was' if evicted == 1 else 'were'}"


def _without_text(ranking: Ranking) -> Iterator[Notice]:
    blocks = sum(each.blocks for each in ranking.unread if each.category == UNREAD)
    for category, sentence in unread(ranking):
        passing = category == UNREAD
        if passing and (ranking.share(blocks) or 0.0) < SHOWN_UNREAD:
            continue  # texts are fetched within seconds
        yield Notice(
            "text-missing" if passing else "text-unreadable",
            sentence,
            "Their category is corrected as soon as the text is read." if passing else "",
            NoticeKind.PASSING if passing else NoticeKind.HOLDS,
        )


def unexplained(ranking: Ranking, line: Line) -> str | None:
    """Return a sentence about the causes of a line's reads; None if few or without a cause."""
    if not line.causes or abs(line.blocks) <= SHOWN_UNEXPLAINED * ranking.whole:
        return None
    causes, blocks = " or ".join(line.causes), format_counted(line.blocks, "block")
    if line.is_of_interval:
        what = f"{format_share(ranking.share(line.blocks))} of the reads are unattributed"
        return f"{what} ({blocks}); possible cause: {causes}."
    when = "earlier"
    if line.since is not None and line.until is not None:
        begin, end = (each.astimezone(UTC) for each in (line.since, line.until))
        when = f"between {begin:%H:%M:%S} and {end:%H:%M:%SZ}"
    were = "was" if line.blocks == 1 else "were"
    what = f"{blocks} {were} read {when}, and no statement counted them"
    if line.blocks < 0:
        blocks = format_counted(-line.blocks, "block")
        what = f"statements counted {blocks} {when}, and the server did not count them"
    return f"{what[0].upper()}{what[1:]}; possible cause: {causes}."


def _sentence(error: PgiostatError) -> str:
    return f"{error.message[0].upper()}{error.message[1:]}."


def happened(
    qualities: Sequence[Quality],
    seconds: float | None,
    evicted: int | None = None,
    lost_seconds: float | None = None,
) -> list[Notice]:
    """Return the notices about events in an interval.

    Args:
        evicted: Lower bound of the number of evicted entries; None if unknown.
        lost_seconds: Length of the time without counts of statements; None for all of it.
    """
    length = format_duration(seconds)
    were = "Some statements were" if evicted is None else f"At least {_were(evicted)}"
    lost = f"the reads of statements in {format_duration(lost_seconds)} are lost."
    counts_all = lost_seconds is None or bool(set(qualities) & set(INCOMPARABLE))
    restarted = f"The server restarted and pg_stat_statements began empty: {lost}"
    reset = f"pg_stat_statements was reset: {lost}"
    if counts_all:
        restarted = "The server restarted: the counts before the restart are partly lost."
        reset = "Statistics were reset: the counts before the reset are lost."
    sentences = {
        Quality.OTHER_SERVER: f"Another server answers at this address: {lost}",
        Quality.BASELINE_LOST: f"The previous snapshot was damaged: {lost}",
        Quality.EXTENSION_CHANGED: f"pg_stat_statements was updated or created again: {lost}",
        Quality.PRIVILEGES_CHANGED: f"pg_read_all_stats was granted or revoked: {lost}",
        Quality.RESTART: restarted,
        Quality.RESET: reset,
        Quality.CLOCK_JUMP: "The server's clock was changed: "
        "the length of the interval is by the clock of this machine.",
        Quality.GAP: "Snapshots were missed: "
        f"the interval is {length} long, and rates are averaged over it.",
    }
    found = [
        Notice(quality.value.replace(" ", "-"), sentences[quality], kind=NoticeKind.HAPPENED)
        for quality in qualities
        if quality in sentences
    ]
    if Quality.EVICTING in qualities:
        found.append(
            Notice(
                "evicting",
                f"{were} evicted from pg_stat_statements in this interval; "
                "their reads are in unattributed.",
                "Raise pg_stat_statements.max, or choose a shorter interval.",
            )
        )
    return found


def _settings(delta: Delta, ranking: Ranking) -> Iterable[Notice]:
    settings = delta.settings
    if not settings.track_io_timing and ranking.explained.timed_blocks < ranking.explained.blocks:
        yield Notice(
            "io-timing-off",
            "track_io_timing is off: read times are unknown, and the ranking is by blocks.",
            "ALTER SYSTEM SET track_io_timing = on; SELECT pg_reload_conf();",
        )
    if settings.values.get("track_counts") == "off":
        yield Notice(
            "track-counts-off",
            "track_counts is off: the server's own counters do not change, and coverage is"
            " unknown.",
            "ALTER SYSTEM SET track_counts = on; SELECT pg_reload_conf();",
        )
    if settings.track == "none":
        yield Notice(
            "track-none",
            "pg_stat_statements.track is none: nothing is counted.",
            "ALTER SYSTEM SET pg_stat_statements.track = top; SELECT pg_reload_conf();",
        )
    if settings.track == "all" and not delta.newer.has_toplevel:
        yield Notice(
            "nested-twice",
            "pg_stat_statements.track is all, and this version does not mark nested statements: "
            "reads inside functions are counted twice.",
            "SET pg_stat_statements.track = top, or update the extension to 1.9 (PostgreSQL 14).",
        )


def _privilege(delta: Delta, ranking: Ranking) -> Notice:
    user = delta.newer.server.user
    blocks = sum(row.cost.blocks for row in ranking.rows if row.category == HIDDEN)
    share = format_share(ranking.share(blocks))
    shown = f" ({share} of the reads)" if blocks else ""
    return Notice(
        "no-privilege",
        f"{hidden_from(user)}{shown}; they are counted together.",
        grant(user),
    )
