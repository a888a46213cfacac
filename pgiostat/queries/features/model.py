"""Features of a statement and of its query blocks."""

from dataclasses import dataclass

__all__ = ["NONE", "BlockFeatures", "Features", "MainRelation", "Names"]

Names = frozenset[str]
NONE: Names = frozenset()
_ROUTINES = ("function", "procedure")


@dataclass(frozen=True, slots=True)
class MainRelation:
    """What a statement is about.

    Attributes:
        action: select, insert, update, delete, merge; the first word of COPY, TRUNCATE, VACUUM and
            the like; create for a table or materialized view that a query fills; index for CREATE
            INDEX; function for a query of no table; procedure for CALL; what PostgreSQL does for a
            foreign key; empty for other statements.
        name: The table, function or procedure, with its schema if the text has it. A partition has
            the name of its table where its own name shows that.
        source: The table that it reads, where name is the target of an INSERT or the table that is
            created, or empty because the statement is maintenance or a definition.
    """

    action: str = ""
    name: str = ""
    source: str = ""

    @property
    def table(self) -> str:
        """The name, if it is that of a table."""
        return "" if self.action in _ROUTINES else self.name


@dataclass(frozen=True, slots=True)
class BlockFeatures:
    """Features of one query block; columns by their names without table.

    Attributes:
        aggregate_columns: Their columns.
        projects: Columns of the select list, also within functions and aggregates that keep every
            row (json_agg), not within those that keep one (max).
        projects_calls: Functions in the select list.
        row_calls: Functions in the select list around a whole row, as in md5(t::text).
        star: Whether whole rows are selected.
        order_dir: asc or desc, of the first one.
        limit: Whether there is a LIMIT or FETCH.
        where_eq: Columns compared by = with a constant.
        where_range: Columns compared with a constant by an inequality.
        where_in: Columns compared with a list of constants.
        where_in_negated: The same with NOT.
        newest: Columns of which the block takes the highest value: by max(), ORDER BY … DESC
            LIMIT, row_number(), or NOT EXISTS of a newer row.
    """

    verb: str = ""
    reads: Names = NONE
    aggregates: Names = NONE
    aggregate_columns: Names = NONE
    calls: Names = NONE
    projects: Names = NONE
    projects_calls: Names = NONE
    row_calls: Names = NONE
    star: bool = False
    mentions: Names = NONE
    order_by: tuple[str, ...] = ()
    order_dir: str = ""
    limit: bool = False
    group_by: Names = NONE
    distinct_on: Names = NONE
    where_eq: Names = NONE
    where_range: Names = NONE
    where_in: Names = NONE
    where_in_negated: Names = NONE
    newest: Names = NONE

    @property
    def varies(self) -> Names:
        """Projected columns without a single value by =."""
        return self.projects - self.where_eq

    @property
    def carries(self) -> Names:
        """Projected columns by which the block neither orders, groups nor searches."""
        walked = {*self.order_by} | self.where_eq | self.where_range | self.where_in
        return self.projects - walked - self.group_by - self.distinct_on


@dataclass(frozen=True, slots=True)
class Features:
    """Features of a statement.

    Attributes:
        statement: Its first word, that after WITH, EXPLAIN or PREPARE; also declare, copy_to and
            copy_from.
        wrapper: explain, explain_analyze, prepare, declare, copy or empty.
        reads: Tables, with their schema if the text has it.
        main: What the statement is about.
        tags: Comments, and their pairs.
        on_conflict: update, nothing or empty.
        truncated: Whether the text seems to end before its statement does.
    """

    statement: str = ""
    wrapper: str = ""
    reads: Names = NONE
    writes: Names = NONE
    main: MainRelation = MainRelation()
    calls: Names = NONE
    cursor: str = ""
    tags: Names = NONE
    on_conflict: str = ""
    returning: bool = False
    truncated: bool = False
    blocks: tuple[BlockFeatures, ...] = ()
