"""What is known of a statement and of its query blocks."""

from dataclasses import dataclass

__all__ = ["NONE", "BlockFeatures", "Features", "Names"]

Names = frozenset[str]
NONE: Names = frozenset()


@dataclass(frozen=True, slots=True)
class BlockFeatures:
    """What one query block does; columns by their names without table.

    projects: columns of the select list, also within functions and aggregates that keep every
    row (json_agg), not within those that keep one (max).  projects_calls: functions called
    there.  star: whole rows are selected.
    newest: columns whose highest value the block takes, by whatever means: max(), ORDER BY …
    DESC LIMIT, row_number(), NOT EXISTS a newer one.  pinned: compared with = to a constant.
    """

    verb: str = ""
    reads: Names = NONE
    aggregates: Names = NONE
    aggregate_columns: Names = NONE
    calls: Names = NONE
    projects: Names = NONE
    projects_calls: Names = NONE
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
        """Projected columns that = does not hold to one value."""
        return self.projects - self.where_eq

    @property
    def carries(self) -> Names:
        """Projected columns that the block neither walks along nor searches by."""
        walked = {*self.order_by} | self.where_eq | self.where_range | self.where_in
        return self.projects - walked - self.group_by - self.distinct_on


@dataclass(frozen=True, slots=True)
class Features:
    """What a statement does.

    statement: its first word, seen through WITH, EXPLAIN and PREPARE; declare, copy_to and
    copy_from are their own.  wrapper: explain, explain_analyze, prepare, declare, copy or empty.
    reads, writes: tables, as schema.table if the text says so.  tags: comments, and their
    key=value pairs by sqlcommenter's convention.
    """

    statement: str = ""
    wrapper: str = ""
    reads: Names = NONE
    writes: Names = NONE
    calls: Names = NONE
    cursor: str = ""
    tags: Names = NONE
    on_conflict: str = ""
    returning: bool = False
    truncated: bool = False
    blocks: tuple[BlockFeatures, ...] = ()
