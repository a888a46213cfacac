"""All that is suggested for a server: from its catalog, and from its statements."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pgiostat.queries.rules.suggest.application_groups import application_groups
from pgiostat.queries.rules.suggest.catalog_table import CatalogTable
from pgiostat.queries.rules.suggest.groups import MeasuredRule, SuggestedRule, measured
from pgiostat.queries.rules.suggest.observed import Observation
from pgiostat.queries.rules.suggest.statement_groups import preloads, role_groups, tag_groups
from pgiostat.queries.rules.suggest.sync_lists import SuggestedLists, suggest

__all__ = ["Suggestions", "suggestions"]


@dataclass(frozen=True, slots=True)
class Suggestions:
    """What is suggested for a server.

    Attributes:
        lists: The vocabulary of the preset sync.
        is_sync: Whether these lists are in force; the rules by table are comments then.
        tables: Rules by table, function and procedure, in the order in which they are tried.
        roles: Rules by role, each as if it were alone.
        tags: Rules by tag, each as if it were alone.
        with_keys: Tables with a primary key.
        observed: The statements that the rules were measured on.
    """

    lists: SuggestedLists
    is_sync: bool = False
    tables: tuple[MeasuredRule, ...] = ()
    roles: tuple[MeasuredRule, ...] = ()
    tags: tuple[MeasuredRule, ...] = ()
    with_keys: int = 0
    observed: Observation = field(default_factory=Observation)

    @property
    def share(self) -> float | None:
        """Share of all reads of statements that match one of these; None if nothing was read."""
        shares = [each.share for each in self.tables if each.share is not None]
        return sum(shares) if shares else None


def suggestions(tables: Sequence[CatalogTable], observed: Observation) -> Suggestions:
    """Return what is suggested for a server.

    Rules are for the connected database, as its catalog alone is known.

    Args:
        tables: Its tables.
        observed: Its statements, of all databases.
    """
    observed = observed.of_database()
    statements, whole, lists = observed.statements, observed.blocks, suggest(tables)
    # The preset is that of the server: its evidence may be in another database.
    is_sync = observed.is_sync and bool(lists.synced)
    by_table = application_groups(tables, statements)
    if by_table and not is_sync:
        by_table = [*_used([preloads()], observed), *by_table]

    def alone(groups: list[SuggestedRule]) -> tuple[MeasuredRule, ...]:
        return tuple(measured(groups, statements, whole, in_order=False))

    return Suggestions(
        lists=lists,
        is_sync=is_sync,
        tables=tuple(measured(by_table, statements, whole, in_order=not is_sync)),
        roles=alone(role_groups(statements)),
        tags=alone(tag_groups(statements)),
        with_keys=sum(bool(table.keys) for table in tables),
        observed=observed,
    )


def _used(groups: list[SuggestedRule], observed: Observation) -> list[SuggestedRule]:
    """Return the rules that a statement matches."""
    found = measured(groups, observed.statements, observed.blocks, in_order=False)
    return [each.group for each in found if each.statements]
