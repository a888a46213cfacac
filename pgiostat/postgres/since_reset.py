"""The cost of a server's statements since the last reset: one snapshot, all texts."""

from dataclasses import dataclass

from pgiostat.analysis.corrections import without_repeats
from pgiostat.errors import PgiostatError
from pgiostat.postgres.name_reader import add_names
from pgiostat.postgres.session import connect
from pgiostat.postgres.snapshot_reader import SnapshotReader
from pgiostat.statistics.delta import Delta
from pgiostat.statistics.difference import since_reset
from pgiostat.statistics.names import Describe, Names, StatementKey

__all__ = ["TotalsSinceReset", "totals_since_reset"]


@dataclass(frozen=True, slots=True)
class TotalsSinceReset:
    """A whole pg_stat_statements; texts_error: why some statements have no text."""

    delta: Delta
    names: Names
    texts_error: PgiostatError | None


def totals_since_reset(dsn: str, describe: Describe) -> TotalsSinceReset:
    """Read a server once, with the texts of all its statements.

    Raises PgiostatError as connection.connect and SnapshotReader.take do; texts that cannot be
    had are no error.
    """
    session = connect(dsn)
    try:
        collector = SnapshotReader(session)
        delta = since_reset(collector.take())
        names = Names(databases=collector.databases(), roles=collector.roles())
        error: PgiostatError | None = None
        try:
            error = _learn(collector, delta, names, describe)
            delta = without_repeats(delta, names)
        except PgiostatError as raised:
            if raised.slug == "connection-lost":
                raise
            error = raised
    finally:
        session.close()
    return TotalsSinceReset(delta, names, error)


def _learn(
    collector: SnapshotReader, delta: Delta, names: Names, describe: Describe
) -> PgiostatError | None:
    """Learn what all statements are; return why some texts could not be read."""
    rows = delta.statements.rows
    columns = (rows[name].tolist() for name in ("userid", "dbid", "queryid", "masked"))
    missing: set[StatementKey] = {
        (userid, dbid, queryid)
        for userid, dbid, queryid, masked in zip(*columns, strict=True)
        if not masked
    }
    # The size of a batch is limited; statements that never come were evicted meanwhile.
    while missing and (batch := collector.texts(missing)).texts:
        add_names(names, describe, batch.texts, collector.own)
        names.unreadable.update(batch.unreadable)
        missing -= batch.texts.keys() | batch.unreadable.keys()
        if batch.error is not None:
            return batch.error
    return None
