"""What a collector reads of tables and indexes."""

from collections.abc import Callable, Mapping

from pgiostat.collector.targets import Target
from pgiostat.postgres.other_databases import OtherDatabases
from pgiostat.postgres.relation_sampler import RelationSampler
from pgiostat.statistics.definitions import Definition, DefinitionKey
from pgiostat.statistics.snapshot import Server

__all__ = ["relation_sampler"]


def relation_sampler(
    target: Target,
    clock: Callable[[], float],
    recall: Callable[[Server], Mapping[DefinitionKey, Definition]],
) -> RelationSampler | None:
    """Return what reads the tables and indexes of a server; None if they are not read.

    Args:
        target: The server.
        clock: Monotonic clock in seconds.
        recall: Returns the definitions that the history already has of a server.
    """
    every, databases = target.relations.every, target.relations.databases
    if every is None:
        return None
    others = OtherDatabases(databases, every, clock, recall) if databases else None
    return RelationSampler(every, clock, recall, others)
