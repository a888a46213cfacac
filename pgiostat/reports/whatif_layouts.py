"""What supposed indexes and orders of rows do to the statements of a window."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pgiostat.analysis.fixes import Fix, FixKind, blocks_factors
from pgiostat.analysis.fixes.supposed import supposed_index, supposed_order
from pgiostat.analysis.fixes.table_facts import TableFacts, table_facts
from pgiostat.analysis.whatif.layouts import SupposedLayout
from pgiostat.analysis.why.evidence import StatementEvidence
from pgiostat.analysis.why.index_definition import IndexColumns, index_columns
from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.history.read.definitions import DefinitionHistory
from pgiostat.history.read.history import History
from pgiostat.history.read.window_totals import WindowTotals
from pgiostat.reports.relation_history import TableKey
from pgiostat.reports.why_evidence import evidence_of
from pgiostat.reports.why_groups import groups_of
from pgiostat.reports.why_tables import NamedTables, Sources
from pgiostat.statistics.definitions import Definition, Kind
from pgiostat.statistics.names import Names

__all__ = ["LayoutEffect", "StatementEffect", "layout_effects", "sources_of"]

_MOST_NAMES = 12
"""Names in a hint."""
_COLLECT = "Collect with --tables-interval 60s, which reads the definitions of tables."


@dataclass(frozen=True, slots=True)
class StatementEffect:
    """What a layout does to a statement.

    Attributes:
        key: Its fingerprint.
        text: Its text, as shown.
        calls_per_s: Its calls.
        touched_per_call: Blocks that a call touches now.
        fix: The layout as a fix, with its prediction or the reason that there is none.
        factors: By what its blocks change: at least, expected, at most; None if not predicted.
    """

    key: str
    text: str
    calls_per_s: float
    touched_per_call: float | None
    fix: Fix
    factors: tuple[float, float, float] | None


@dataclass(frozen=True, slots=True)
class LayoutEffect:
    """What a layout does to the statements that name its table.

    Attributes:
        layout: The layout.
        table: The table, with its schema unless that is public.
        statements: Those that it changes, or may change.
        others: How many statements of the table it does not change.
    """

    layout: SupposedLayout
    table: str
    statements: tuple[StatementEffect, ...]
    others: int

    @property
    def fix(self) -> Fix | None:
        """The layout as a fix of a statement that uses it: what to run, its size and its costs."""
        return next((each.fix for each in self.statements if each.fix.statements), None)


def sources_of(
    history: History,
    server_id: int,
    names: Names,
    totals: WindowTotals,
) -> Sources:
    """Return where the evidence on the statements of one window comes from."""
    groups = groups_of(history, None, totals, server_id, names)
    definitions = DefinitionHistory(history.dimension("definition"), server_id)
    return Sources(history, server_id, names, None, totals, groups, definitions)


def layout_effects(sources: Sources, layouts: Sequence[SupposedLayout]) -> list[LayoutEffect]:
    """Return what some layouts do to the statements of a window.

    Args:
        sources: Where the evidence comes from.
        layouts: The supposed indexes and orders.

    Raises:
        PgiostatError: relation-unknown, with the tables, columns or indexes that there are.
    """
    named = NamedTables(sources)
    definitions = sources.definitions.at(sources.after.window.until, or_first=True)
    found = []
    for layout in layouts:
        key = _table(named, layout)
        indexes = definitions.of_table(*key, Kind.INDEX)
        effect = (
            _of_order(named, key, layout, indexes)
            if layout.index
            else _of_index(named, key, layout, indexes)
        )
        users = [user for user, _ in named.users(sources.groups, [key])[key]]
        called = [user for user in users if sources.groups[user].sides[1].calls]
        made = [
            each
            for evidence in evidence_of(sources, called)
            if (each := _statement(evidence, named.name(key), effect)) is not None
        ]
        made.sort(key=lambda each: -each.calls_per_s * (each.touched_per_call or 0.0))
        found.append(LayoutEffect(layout, named.name(key), tuple(made), len(called) - len(made)))
    return found


def _statement(
    evidence: StatementEvidence, table: str, effect: Callable[[TableFacts], Fix | None]
) -> StatementEffect | None:
    """Return what a layout does to a statement; None if it does not change it."""
    own = evidence.after
    facts = table_facts(evidence, table)
    if facts is None:
        fix: Fix | None = Fix(
            FixKind.CREATE_INDEX, "", unpredicted="the table was not counted in this window"
        )
    else:
        fix = effect(facts)
    if fix is None:
        return None
    factors = blocks_factors(fix, own.touched_per_call)
    return StatementEffect(
        evidence.key, evidence.name, own.calls_per_s, own.touched_per_call, fix, factors
    )


def _of_index(
    named: NamedTables, key: TableKey, layout: SupposedLayout, indexes: Iterable[Definition]
) -> Callable[[TableFacts], Fix | None]:
    table = named.name(key)
    columns = {each.name: each for each in named.columns(key)}
    if not columns:
        raise _unknown(f'the columns of table "{table}" are not in this history', _COLLECT)
    for name in (*layout.columns, *layout.included):
        if name not in columns:
            raise _unknown(
                f'column "{name}" of table "{table}" does not exist', _there("Columns", columns)
            )
    for each in indexes:
        known = index_columns(each)
        is_same = known is not None and not known.is_partial and known.keys == layout.columns
        if is_same and known is not None and {*layout.included} <= {*known.included}:
            raise PgiostatError(
                f'index "{each.name}" of table "{table}" has these columns already',
                hint=f"Suppose its order of rows: --cluster {table}:{each.name}.",
                slug="option-invalid",
                status=ExitStatus.USAGE,
            )
    keys = [columns[name] for name in layout.columns]
    included = [columns[name] for name in layout.included]
    return lambda facts: supposed_index(facts, keys, included)


def _of_order(
    named: NamedTables, key: TableKey, layout: SupposedLayout, indexes: Sequence[Definition]
) -> Callable[[TableFacts], Fix | None]:
    table = named.name(key)
    index = next((each for each in indexes if each.name == layout.index), None)
    if index is None:
        raise _unknown(
            f'index "{layout.index}" of table "{table}" does not exist',
            _there("Indexes", [each.name for each in indexes]) if indexes else _COLLECT,
        )
    columns = index_columns(index)
    if columns is None or columns.is_partial or columns.method != "btree":
        raise PgiostatError(
            f'rows cannot be in the order of index "{layout.index}"',
            hint="CLUSTER needs a B-tree on all rows.",
            slug="option-invalid",
            status=ExitStatus.USAGE,
        )
    found: tuple[Definition, IndexColumns] = index, columns
    return lambda facts: supposed_order(facts, *found)


def _table(named: NamedTables, layout: SupposedLayout) -> TableKey:
    """Return the table of a layout."""
    *schema, name = layout.table
    found = {
        key
        for key, (in_schema, known) in named.named.items()
        if known == name and (not schema or in_schema == schema[0])
    }
    written = ".".join(layout.table)
    if not found:
        tables = {each for key, each in named.named.items() if each[0] not in _SYSTEM}
        names = [name if schema == "public" else f"{schema}.{name}" for schema, name in tables]
        raise _unknown(f'table "{written}" does not exist in this history', _there("Tables", names))
    if len(found) > 1:
        raise PgiostatError(
            f'table "{written}" exists in several schemas or databases',
            hint=_there("Tables", {".".join(named.named[key]) for key in found}),
            slug="option-invalid",
            status=ExitStatus.USAGE,
        )
    return found.pop()


_SYSTEM = frozenset({"pg_catalog", "information_schema", "pg_toast"})


def _there(what: str, names: Iterable[str]) -> str | None:
    known = sorted(names)
    if not known:
        return None
    rest = f" and {len(known) - _MOST_NAMES} more" if len(known) > _MOST_NAMES else ""
    return f"{what} there: {', '.join(known[:_MOST_NAMES])}{rest}."


def _unknown(message: str, hint: str | None) -> PgiostatError:
    return PgiostatError(message, hint=hint, slug="relation-unknown", status=ExitStatus.USAGE)
