"""What categories and chosen statements of a window read, and in which tables."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pgiostat.analysis.cost import FIELDS
from pgiostat.analysis.rank import Ranking, Totals
from pgiostat.analysis.whatif import Amounts, Touches
from pgiostat.errors import ExitStatus, PgiostatError, invalid_option
from pgiostat.queries.tables import tables_of
from pgiostat.reports.statement_match import matching
from pgiostat.statistics.names import HIDDEN, OWN, Names

__all__ = ["CountedStatement", "Parts", "amounts_of", "counted_statements", "parts_of"]

_READ, _HIT = FIELDS.index("shared_blks_read"), FIELDS.index("shared_blks_hit")
_NOTHING = Amounts(0.0, 0.0)


@dataclass(slots=True)
class CountedStatement:
    """A statement of one category, with what it read and found.

    Attributes:
        key: Its fingerprint.
        category: Its category.
        text: Its normalized text.
        tables: The tables that it names, with server and database; none if they are not known.
        queryids: Its queryids.
        amounts: What it read and found.
    """

    key: str
    category: str
    text: str
    tables: tuple[str, ...]
    queryids: set[int] = field(default_factory=set)
    amounts: Amounts = _NOTHING


@dataclass(frozen=True, slots=True)
class Parts:
    """What a change is computed from.

    Attributes:
        amounts: What each category, chosen statement, and part of the ledger read, by name.
        touches: What statements touched, under these names.
        statements: The statements of each name that is not a category.
    """

    amounts: Mapping[str, Amounts]
    touches: Sequence[Touches]
    statements: Mapping[str, Sequence[CountedStatement]]


def amounts_of(ranking: Ranking) -> dict[str, Amounts]:
    """Return the blocks that each part of a ranking by category read, and its cache hits."""
    rows = [*ranking.rows, *(row for row in (ranking.rest, ranking.own) if row is not None)]
    had = {
        row.name: Amounts(float(row.cost.blocks), float(row.cost.shared_blks_hit or 0))
        for row in rows
    }
    # No change reaches what no statement explains.
    return had | {
        line.account.value: Amounts(float(max(line.blocks, 0)), 0.0) for line in ranking.lines
    }


def counted_statements(parts: Iterable[tuple[Totals, Names]]) -> list[CountedStatement]:
    """Return the statements of a window by category, fingerprint and tables.

    Args:
        parts: The counts of each server, with the meaning of its ids.
    """
    found: dict[tuple[str, str, tuple[str, ...]], CountedStatement] = {}
    for number, (counted, names) in enumerate(parts):
        amounts = counted.statement_amounts[[_READ, _HIT]].T.tolist()
        for (userid, dbid, queryid), (reads, hits) in zip(counted.statements, amounts, strict=True):
            category, fingerprint, text = HIDDEN, "", ""
            tables: tuple[str, ...] = ()
            if queryid is not None:
                known = names.described((userid, dbid, queryid))
                category, fingerprint, text = known.category, known.fingerprint, known.text
                tables = tuple(f"{number} {dbid} {name}" for name in sorted(tables_of(text)))
            key = (category, fingerprint, tables)
            each = found.setdefault(key, CountedStatement(fingerprint, category, text, tables))
            each.amounts += Amounts(float(reads), float(hits))
            if queryid is not None:
                each.queryids.add(queryid)
    return [*found.values()]


def parts_of(
    ranking: Ranking, statements: Sequence[CountedStatement], targets: Sequence[str]
) -> Parts:
    """Return what each category read, and the chosen statements apart from their categories.

    Args:
        ranking: A ranking by category.
        statements: The statements of the same window.
        targets: Categories, fingerprints, queryids or parts of texts.

    Raises:
        PgiostatError: category-unknown; option-invalid if a statement is named twice.
    """
    categories = [row.name for row in ranking.rows]
    had = amounts_of(ranking)
    chosen: dict[str, list[CountedStatement]] = {}
    for target in targets:
        if target not in categories:
            chosen[target] = _chosen(statements, target, categories)
    name_of = _names(chosen, {*targets})
    amounts = {name: had[name] for name in categories} | dict.fromkeys(chosen, _NOTHING) | had
    for target, some in chosen.items():
        for each in some:
            amounts[target] += each.amounts
            amounts[each.category] = amounts.get(each.category, _NOTHING).less(each.amounts)
    touches = [
        Touches(name, each.tables, each.amounts)
        for each in statements
        if (name := name_of.get(id(each), each.category)) in amounts
    ]
    return Parts(amounts, touches, chosen)


def _chosen(
    statements: Sequence[CountedStatement], target: str, categories: Sequence[str]
) -> list[CountedStatement]:
    found = matching([each for each in statements if each.category != OWN], target)
    if not found:
        hint = f"Categories there: {', '.join(categories)}." if categories else None
        raise PgiostatError(
            f'no category or statement "{target}" was called in this window',
            hint=hint,
            slug="category-unknown",
            status=ExitStatus.USAGE,
        )
    return found


def _names(chosen: Mapping[str, Sequence[CountedStatement]], targets: set[str]) -> dict[int, str]:
    """Return the name of each chosen statement.

    Raises:
        PgiostatError: option-invalid if two targets choose one statement.
    """
    found: dict[int, str] = {}
    for target, some in chosen.items():
        for each in some:
            other = found.get(id(each)) or (each.category if each.category in targets else "")
            if other:
                raise invalid_option(
                    f'a statement of "{target}" is also one of "{other}"',
                    hint="Name each statement in one option.",
                )
            found[id(each)] = target
    return found
