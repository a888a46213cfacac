"""Names of statements in a list on a screen: short, and no two of them alike."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations, takewhile

from rich.cells import cell_len

from pgiostat.analysis.rank import RankRow
from pgiostat.escape import terminal
from pgiostat.queries.short_form import short_form
from pgiostat.render.ledger import displayed
from pgiostat.render.table import cut

__all__ = [
    "database_sign",
    "distinct",
    "distinguishable",
    "fingerprint_mark",
    "marks_of",
    "need_column",
    "screen_name",
    "shown_category",
]

HASH_DIGITS, LAST_DIGITS = 6, 5
"""First digits of a fingerprint, and last of a queryid, that are shown to distinguish rows."""


def screen_name(row: RankRow) -> str:
    """Return the name of a row on a screen: of a statement its short form, printable."""
    return terminal(short_form(row.text) if row.text else displayed(row.name))


def database_sign(row: RankRow) -> str:
    """Return the database of a merged statement, or how many; empty if there is only one in all."""
    if len(row.databases) < 2:  # noqa: PLR2004 - several
        return terminal(next(iter(row.databases), ""))
    return f"{len(row.databases)} databases"


def need_column(categories: Sequence[str]) -> bool:
    """Return whether categories need a column: at least a third of the rows has one to show.

    A column for a few rows takes the place of what distinguishes all statements.
    """
    return 3 * sum(map(bool, categories)) >= len(categories) > 0 and any(categories)


def shown_category(row: RankRow) -> str:
    """Return the category of a statement; empty where its short form says the same.

    An automatic category is the verb and the table. A row without a text has its reason as name.
    """
    return "" if not row.text or row.category == row.action else row.category


def marks_of(row: RankRow) -> tuple[str, ...]:
    """Return what distinguishes a statement from others of the same short form, the shortest first.

    Entries of one fingerprint differ in the user or the database, or in their queryid.
    """
    place = f"{row.user}@{row.database}" if row.user or row.database else ""
    queryid = "" if row.queryid is None else str(row.queryid)
    last = f"…{queryid[-LAST_DIGITS:]}" if len(queryid) > LAST_DIGITS else queryid
    return (fingerprint_mark(row.fingerprint), terminal(place), last, queryid)


def fingerprint_mark(fingerprint: str) -> str:
    """Return the first digits of a fingerprint; empty without one.

    >>> fingerprint_mark("2:cbe5303a073e2a97"), fingerprint_mark("")
    ('#cbe530', '')
    """
    digest = fingerprint.rpartition(":")[2]
    return f"#{digest[:HASH_DIGITS]}" if digest else ""


def distinct(
    texts: Sequence[str],
    marks: Sequence[tuple[str, ...]],
    width: int,
    beside: Sequence[str] = (),
    signs: Sequence[str] = (),
) -> list[str]:
    """Return texts for a column, no two of which are shown alike.

    Args:
        texts: Printable texts.
        marks: For each text what distinguishes it from an equal one. It takes at most half of the
            column, unless rows would be alike.
        width: Of the column, in cells.
        beside: What another column shows of each; rows that differ there need no mark.
        signs: What is shown after each text in any case, in parentheses; empty for nothing.

    >>> distinct(["orders · a", "orders · a", "items"], [("#1",), ("#2",), ("#3",)], 9)
    ['order… #1', 'order… #2', 'items']
    >>> distinct(["orders · id = $", "items"], [("#1",), ("#2",)], 16, signs=["2 dbs", ""])
    ['orders… (2 dbs)', 'items']
    """
    longest = max(map(cell_len, signs), default=0)
    if longest:
        room = min(longest, max(width // 2 - len(" ()"), 1))
        others = distinct(texts, marks, width, beside)
        signed = distinct(texts, marks, max(width - room - len(" ()"), 1), beside)
        return [
            f"{cut(text, width - cell_len(cut(sign, room)) - len(' ()'))} ({cut(sign, room)})"
            if sign
            else other
            for text, other, sign in zip(signed, others, signs, strict=True)
        ]
    shown = distinguishable(texts, width)
    groups: dict[tuple[str, str], list[int]] = {}
    for place, text in enumerate(shown):
        key = cut(text, width), beside[place] if beside else ""
        groups.setdefault(key, []).append(place)
    for places in groups.values():
        chosen = [marks[place] for place in places]
        for place, mark in zip(places, _apart_by(chosen, width // 2 - 1), strict=True):
            if mark:
                text = cut(shown[place], max(width - cell_len(mark) - 1, 1))
                # One ellipsis is enough between a text that is cut and the end of a queryid.
                text = text.removesuffix("…").rstrip() if mark.startswith("…") else text
                shown[place] = f"{text} {mark}".lstrip()
    return shown


def _apart_by(marks: Sequence[tuple[str, ...]], room: int) -> list[str]:
    """Return for each text the fewest of its marks that no other text of the group has.

    Those that fit the room come first; longer ones are cut to it if they still differ.
    """
    if len(marks) < 2:  # noqa: PLR2004 - a pair
        return [""] * len(marks)
    alike = [" ".join(filter(None, dict.fromkeys(each))) for each in marks]
    found: dict[int, list[str]] = {row: [] for row in range(len(marks))}
    for size in range(1, len(marks[0]) + 1):
        # The last marks first if several are needed: entries of a group share their fingerprint.
        places = combinations(range(len(marks[0])), size)
        for chosen in places if size == 1 else sorted(places, key=lambda each: (-each[0], each)):
            values = [tuple(each[place] for place in chosen) for each in marks]
            counts = Counter(values)
            for row, value in enumerate(values):
                if counts[value] == 1 and all(value):
                    found[row].append(" ".join(dict.fromkeys(value)))
    shown = [
        next((mark for mark in found[row] if cell_len(mark) <= room), (found[row] or [whole])[0])
        for row, whole in enumerate(alike)
    ]
    shared = _shared(min(shown), max(shown))
    for kept in (shown, [f"…{mark[shared:]}" for mark in shown]):
        shorter = [_without_middle(mark, room) for mark in kept]
        if len(set(shorter)) == len(set(shown)):
            return shorter
    return shown


def _without_middle(mark: str, room: int) -> str:
    """Return the beginning and the end of a mark that is too long.

    >>> _without_middle("reporting@warehouse", 9), _without_middle("app@shop", 9)
    ('repo…ouse', 'app@shop')
    """
    if cell_len(mark) <= max(room, 3):
        return mark
    half = (room - 1) // 2
    return f"{mark[: room - 1 - half]}…{mark[-half:]}" if half else mark


def distinguishable(texts: Sequence[str], width: int) -> list[str]:
    """Return texts for a column; those that would be cut alike leave out what they share.

    >>> distinguishable(["select a from one", "select a from two", "drop"], 14)
    ['selec…one', 'selec…two', 'drop']
    >>> distinguishable(["select 1", "select 1"], 6)
    ['select 1', 'select 1']
    """
    shown: dict[str, str] = {}
    for alike in _cut_alike({text: text for text in texts}, width):
        shown |= _apart(alike, width)
    return [shown[text] for text in texts]


def _apart(alike: Sequence[str], width: int) -> dict[str, str]:
    """Return what to show of each of some texts that are cut alike."""
    if len(alike) == 1:
        return {alike[0]: alike[0]}
    first, last = min(alike), max(alike)
    shared = _shared(first, last)
    # From the beginning of the word in which they differ, if that is near.
    near = alike[0].rfind(" ", max(shared - width // 3, 0), shared) + 1
    begin, head = near or shared, width * 2 // 5
    if begin <= head + 1:
        return {text: text for text in alike}
    shown = {text: f"{text[:head]}…{text[begin:]}" for text in alike}
    for group in _cut_alike(shown, width):
        if 1 < len(group) < len(alike):
            shown |= _apart(group, width)
    return shown


def _shared(first: str, last: str) -> int:
    """Return how many characters two texts begin with alike."""
    beginning = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return sum(1 for _ in beginning)


def _cut_alike(shown: Mapping[str, str], width: int) -> list[list[str]]:
    groups: dict[str, list[str]] = {}
    for text, each in shown.items():
        groups.setdefault(cut(each, width), []).append(text)
    return list(groups.values())
