"""What is known of a statement while it is watched, for the causes that one window shows."""

from collections.abc import Mapping, Sequence

from pgiostat.analysis.fixes import Fix, fixes
from pgiostat.analysis.rank import By, Totals, rank_totals
from pgiostat.analysis.relation_activity import TableActivity
from pgiostat.analysis.why import CauseFinding, explain
from pgiostat.analysis.why.access import TableAccess, columns_of
from pgiostat.analysis.why.evidence import ServerFacts, StatementEvidence, TableEvidence, Usage
from pgiostat.queries.access import accesses
from pgiostat.queries.features.main_relation import partitioned_name
from pgiostat.statistics.definitions import Definition, Kind
from pgiostat.statistics.names import Names
from pgiostat.statistics.statement import split_action
from pgiostat.watch.model.relation_reads import relation_reads
from pgiostat.watch.model.table_counts import SessionTables

__all__ = ["standing_cause", "statement_evidence"]

RowKey = tuple[str, ...]


def statement_evidence(
    counted: Totals | None,
    counts: SessionTables,
    names: Names,
    key: RowKey,
    dbname: str,
    *,
    whole: bool,
) -> StatementEvidence | None:
    """Return what is known of a statement in one window; None if it did nothing in it.

    Args:
        counted: What statements and tables counted.
        counts: What tables and indexes counted, with definitions.
        names: The meaning of ids.
        key: The row of the statement, an entry of pg_stat_statements.
        dbname: The connected database.
        whole: Since the baseline.
    """
    if counted is None:
        return None
    rows = rank_totals([(counted, names)], by=By.STATEMENT).rows
    row = next((row for row in rows if row.key == key), None)
    if row is None or not row.text:
        return None
    reads = relation_reads(counted, names, By.STATEMENT, dbname)
    oids = [*reads.by_statement.get(key, {})]
    figures = counts.figures(oids, names, whole=whole, block_size=counted.block_size)
    known = {} if counts.news is None else counts.news.definitions
    definitions = [each for each in known.values() if each.text is not None]
    of_table: dict[int, list[Definition]] = {}
    for each in definitions:
        of_table.setdefault(each.owner, []).append(each)
    tables = {} if figures is None else figures.tables
    used = _accesses(row.text, oids, names, of_table)
    evidence = [
        _table(
            tables[oid],
            names,
            of_table.get(oid, []),
            used,
            shared_with=["/".join(other) for other in reads.of_table(oid) if other != key],
        )
        for oid in oids
        if oid in tables
    ]
    settings = {e.name: e.text for e in definitions if e.kind == Kind.SETTING and not e.oid}
    cost = row.cost
    return StatementEvidence(
        key=row.fingerprint or row.name,
        name=row.text,
        category=row.category,
        verb=split_action(row.action)[0],
        before=Usage(0.0),
        after=Usage(
            counted.seconds,
            cost.calls or 0,
            cost.rows or 0,
            cost.blocks,
            cost.blocks + cost.shared_blks_hit,
            cost.temp_blks_read,
        ),
        tables=tuple(evidence),
        server=ServerFacts(work_mem=settings.get("work_mem") or ""),
        is_alone=True,
    )


def _accesses(
    text: str, oids: list[int], names: Names, of_table: Mapping[int, list[Definition]]
) -> tuple[TableAccess, ...]:
    columns: dict[str, list[str]] = {}
    for oid in oids:
        _, schema, name, _ = names.relations.get(oid, (oid, "", "", ""))
        for each in of_table.get(oid, []):
            if each.kind == Kind.COLUMNS and each.text:
                listed = [column.name for column in columns_of(each.text)]
                columns |= dict.fromkeys((name, f"{schema}.{name}"), listed)
    return accesses(text, columns)


def _table(
    activity: TableActivity,
    names: Names,
    definitions: Sequence[Definition],
    used: Sequence[TableAccess],
    *,
    shared_with: Sequence[str],
) -> TableEvidence:
    oid = activity.relid
    _, _, name, _ = names.relations.get(oid, (oid, "", "", ""))
    written = {name, partitioned_name(name)}
    columns = next((each.text for each in definitions if each.kind == Kind.COLUMNS), None)
    is_part = not any(each.table.rpartition(".")[2] == name for each in used)
    return TableEvidence(
        name=names.shown_relation(oid),
        before=activity,
        after=activity,
        whole=activity,
        partition_of=partitioned_name(name) if is_part else "",
        index_names={each.oid: each.name for each in definitions if each.kind == Kind.INDEX},
        indexes_after=tuple(each for each in definitions if each.kind == Kind.INDEX),
        shared_with=tuple(shared_with),
        columns=columns_of(columns or ""),
        accesses=tuple(each for each in used if each.table.rpartition(".")[2] in written),
        sql_name=names.shown_relation(oid),
    )


def standing_cause(evidence: StatementEvidence) -> tuple[CauseFinding, Fix | None] | None:
    """Return the first cause that one window shows, with its first fix; None without a cause."""
    finding = next(iter(explain(evidence).standing), None)
    if finding is None:
        return None
    return finding, next(iter(fixes(evidence, finding)), None)
