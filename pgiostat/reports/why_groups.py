"""The statements of two windows by fingerprint, with what each counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from pgiostat.analysis.cost import FIELDS
from pgiostat.analysis.rank import By, group_of
from pgiostat.analysis.why.evidence import Usage
from pgiostat.errors import PgiostatError
from pgiostat.history.read.history import History
from pgiostat.history.read.window_totals import WindowTotals
from pgiostat.reports.steps import Ids, resample, step_for
from pgiostat.statistics.names import OWN, Names, StatementKey
from pgiostat.statistics.statement import split_action

__all__ = ["Groups", "StatementGroup", "groups_of"]


@dataclass(slots=True)
class StatementGroup:
    """The statements of a fingerprint in both windows.

    Attributes:
        number: Its place among them.
        key: Its fingerprint.
        text: Its normalized text.
        category: Its category.
        verb: What it does.
        dbids: Its databases.
        queryids: Its queryids.
        entries: Its entries of pg_stat_statements: role, database and queryid.
        sides: What it counted in the window before and after.
    """

    number: int
    key: str
    text: str
    category: str
    verb: str
    dbids: set[int] = field(default_factory=set)
    queryids: set[int] = field(default_factory=set)
    entries: list[StatementKey] = field(default_factory=list)
    sides: list[Usage] = field(default_factory=list)


Groups = Mapping[str, StatementGroup]


def groups_of(
    history: History,
    before: WindowTotals | None,
    after: WindowTotals,
    server_id: int,
    names: Names,
) -> dict[str, StatementGroup]:
    """Return the statements of two windows by fingerprint, without our own and hidden ones.

    Without a window before, each has counted nothing in it.
    """
    groups: dict[str, StatementGroup] = {}
    sides = [each for each in (before, after) if each is not None]
    numbers = [
        [_number(groups, ids, names) for ids in side.counted[server_id].statements]
        for side in sides
    ]
    step = step_for(*sides)
    rest = len(groups)
    for side, of_side in zip(sides, numbers, strict=True):
        placed = [rest if number is None else number for number in of_side]
        steps = _stepped(history, side, server_id, placed, count=rest + 1, step=step)
        counted = side.counted[server_id]
        sums = [[0] * len(FIELDS) for _ in groups]
        for number, amounts in zip(of_side, counted.statement_amounts.T.tolist(), strict=True):
            if number is not None:
                sums[number] = [a + b for a, b in zip(sums[number], amounts, strict=True)]
        for number, (group, amounts) in enumerate(zip(groups.values(), sums, strict=True)):
            group.sides.append(_usage(counted.seconds, amounts, steps[number] if steps else []))
    if before is None:
        for group in groups.values():
            group.sides.insert(0, Usage(0.0))
    return groups


def _number(groups: dict[str, StatementGroup], ids: Ids, names: Names) -> int | None:
    userid, dbid, queryid = ids
    if queryid is None:
        return None
    known = names.described((userid, dbid, queryid))
    if known.category == OWN:
        return None
    key = group_of(By.FINGERPRINT, ids, names)[0]
    if key not in groups:
        text = known.text or names.placeholder((userid, dbid, queryid))
        groups[key] = StatementGroup(
            len(groups), key, text, known.category, split_action(known.action)[0]
        )
    groups[key].dbids.add(dbid)
    groups[key].queryids.add(queryid)
    if (userid, dbid, queryid) not in groups[key].entries:
        groups[key].entries.append((userid, dbid, queryid))
    return groups[key].number


def _stepped(
    history: History,
    side: WindowTotals,
    server_id: int,
    numbers: Sequence[int],
    *,
    count: int,
    step: timedelta,
) -> list[list[list[int]]]:
    """Return the amounts by group, step and field; nothing if only hourly totals are left."""
    of_server = {server: [count - 1] * len(t.statements) for server, t in side.counted.items()}
    try:
        steps = resample(history, side, of_server | {server_id: numbers}, count, step)
    except PgiostatError as error:
        if error.slug != "step-too-short":
            raise
        return []
    found: list[list[list[int]]] = steps.amounts.transpose(1, 2, 0).tolist()
    return found


def _usage(seconds: float, amounts: Sequence[int], steps: Sequence[Sequence[int]]) -> Usage:
    def named(values: Sequence[int]) -> dict[str, int]:
        return dict(zip(FIELDS, values, strict=True))

    def blocks(values: dict[str, int]) -> tuple[int, int, int]:
        read = values["shared_blks_read"]
        return values["calls"], read, read + values["shared_blks_hit"]

    whole = named(amounts)
    calls, read, touched = blocks(whole)
    in_steps = tuple(blocks(named(each)) for each in steps)
    rows, temp = whole["rows"], whole["temp_blks_read"]
    return Usage(seconds, calls, rows, read, touched, temp, in_steps)
