"""The live source of intervals: a server, with optional recording."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from pgiostat.analysis.notices import Notice
from pgiostat.analysis.plans import NoPlan, StatementPlan
from pgiostat.errors import PgiostatError
from pgiostat.statistics.definitions import Definition, DefinitionKey
from pgiostat.statistics.delta import Delta
from pgiostat.statistics.names import Describe, Names, Statement, StatementKey
from pgiostat.statistics.snapshot import Server
from pgiostat.volume.bucket import CreditBucket
from pgiostat.volume.demand import Demand
from pgiostat.watch.model.interval import Interval, interval_of
from pgiostat.watch.model.running_totals import SPARE
from pgiostat.watch.model.session import WatchSession
from pgiostat.watch.model.table_counts import TableNews

if TYPE_CHECKING:
    from pgiostat.history.write.background import BackgroundCompaction
    from pgiostat.history.write.writer import Writer
    from pgiostat.postgres.relation_sampler import RelationSampler
    from pgiostat.postgres.sampler import IntervalResult, Sampler
    from pgiostat.watch.sources.disk import LiveDisk

__all__ = ["LiveSource"]

COVERAGE_AFTER_SECONDS = 10.0
"""The server's own counters lag so much behind its statements."""

FIRST_INTERVAL_SECONDS = 0.5
"""Rates are of measured time: those of so little of it are right, and soon there."""


class LiveSource:
    """A server that is read at an interval, in a thread of its own.

    describer: makes what describes statements, there.  record: a history that the intervals are
    written to.  writes: operations a second that are known to be written.  tables_interval: seconds
    between reads of tables and indexes, None if they are not read.  clock: in place of the one that
    nobody sets.
    """

    def __init__(
        self,
        dsn: str,
        describer: Callable[[], Describe],
        interval: float,
        *,
        label: str = "",
        gauge: CreditBucket | None = None,
        writes: float = 0.0,
        record: Path | None = None,
        tables_interval: float | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.session = WatchSession(Names(), gauge)
        self._interval = interval
        self._dsn, self._describer, self._label = dsn, describer, label
        self._demand, self._record, self._clock = Demand(writes), record, clock
        self._tables_interval = tables_interval
        self._relations: RelationSampler | None = None
        self._tables = TableNews()
        self._sampler: Sampler | None = None
        self._writer: Writer | None = None
        self._compaction: BackgroundCompaction | None = None
        self._refused: PgiostatError | None = None
        self._known: Describe | None = None
        self._disk: LiveDisk | None = None

    @property
    def interval(self) -> float:
        """Seconds between readings; a change holds from the next one on."""
        return self._interval

    @interval.setter
    def interval(self, seconds: float) -> None:
        self._interval = seconds
        if self._sampler is not None:
            self._sampler.interval = seconds

    def intervals(self, stop: Event) -> Iterator[Interval]:
        """Yield what happens; raises PgiostatError as Sampler.intervals and Writer.open do."""
        # The first screen is there while psycopg is imported.
        from pgiostat.clock import monotonic  # noqa: PLC0415
        from pgiostat.postgres.sampler import Sampler  # noqa: PLC0415

        if self._record is not None:
            # A history takes half of the memory of a session, and most are not recorded.
            from pgiostat.history.write.background import BackgroundCompaction  # noqa: PLC0415
            from pgiostat.history.write.writer import Writer  # noqa: PLC0415
            from pgiostat.postgres.dsn import label_of  # noqa: PLC0415

            # One name for the server and for who writes, as where it is collected.
            self._label = self._label or label_of(self._dsn)
            self._writer = Writer.open(self._record, self._label)
            self._compaction = BackgroundCompaction(self._record, self._label, monotonic)
        if self._tables_interval is not None and self._relations is None:
            from pgiostat.postgres.relation_sampler import RelationSampler  # noqa: PLC0415

            self._relations = RelationSampler(
                self._tables_interval, self._clock or monotonic, self._definitions
            )
        self._sampler = Sampler(
            self._dsn,
            self._interval,
            self._describe,
            stop.wait,
            label=self._label,
            # After an unexpected error the next interval begins where the last one ended.
            older=None if self._sampler is None else self._sampler.older,
            clock=self._clock or monotonic,
            names=self.session.names,
            on_interval=self._accept if self._writer is not None else None,
            running=True,
            by_table=True,
            first_interval=FIRST_INTERVAL_SECONDS,
            max_stale_names=SPARE,
            names_in_use=self.session.names_in_use,
            relations=self._relations,
        )
        try:
            for result in self._sampler.intervals():
                session = self.session
                known = session.coverage if session.seconds >= COVERAGE_AFTER_SECONDS else None
                interval = interval_of(result, self._sampler.names, self._demand, known)
                interval = self._with_disk(interval, result.delta)
                interval = self._with_tables(interval, result)
                yield interval if self._refused is None else _refused(interval, self._refused)
                self._made_describe()
                if self._disk is None:
                    self._measure_disk(result.delta)
                if self._compaction is not None:
                    self._compaction.poll()
        finally:
            if self._disk is not None:
                self._disk.end()
                self._disk = None
            if self._writer is not None:
                self._writer.close()
            if self._compaction is not None:
                self._compaction.finish()

    def plan(self, keys: Sequence[StatementKey]) -> StatementPlan | NoPlan:
        """Return a generic plan of a statement, on connections of its own."""
        from pgiostat.postgres.plans import plan_of  # noqa: PLC0415 - most sessions need none
        from pgiostat.postgres.session import connect  # noqa: PLC0415 - as above

        try:
            session = connect(self._dsn)
        except PgiostatError as error:
            return NoPlan(error.message, error.hint or "")
        try:
            return plan_of(session, keys)
        finally:
            session.close()

    def _measure_disk(self, delta: Delta | None) -> None:
        """Begin to measure the server's device: the first screen does not wait for it."""
        from pgiostat.clock import monotonic  # noqa: PLC0415 - as above
        from pgiostat.watch.sources.disk import LiveDisk  # noqa: PLC0415

        self._disk = LiveDisk(self._clock or monotonic)
        if self._sampler is not None:
            self._disk.reads(delta, self._sampler.whereabouts)

    def _with_disk(self, interval: Interval, delta: Delta | None) -> Interval:
        """Return an interval with the reads of the server's device."""
        if self._disk is None or self._sampler is None:
            return interval
        return replace(interval, disk=self._disk.reads(delta, self._sampler.whereabouts))

    def _with_tables(self, interval: Interval, result: "IntervalResult") -> Interval:
        """Return an interval with what is new of tables and indexes of the connected database."""
        sampler, delta = self._relations, result.delta
        if sampler is None or delta is None:
            return interval
        changes, dbid = delta.relation_changes, delta.newer.server.dbid
        ended = () if changes is None else changes.intervals
        if changes is not None or self._tables.known is not sampler.known:
            # As many as there are indexes, and as they were between two reads.
            self._tables = TableNews(None, sampler.known, sampler.definitions, sampler.every)
        one = next((each for each in ended if each.dbid == dbid), None)
        news = self._tables if one is None else replace(self._tables, interval=one)
        error = result.relations_error
        if error is not None:
            text = f"Tables and indexes are not read: {error.message}."
            notice = Notice(error.slug, text, error.detail or "")
            interval = replace(interval, notices=(*interval.notices, notice))
        return replace(interval, tables=news)

    def _definitions(self, server: Server) -> Mapping[DefinitionKey, Definition]:
        """Return the definitions that the recorded history has of a server."""
        if self._writer is None:
            return {}
        from pgiostat.history.write.newest_definitions import newest_definitions  # noqa: PLC0415

        return newest_definitions(self._writer.layout, server)

    def _made_describe(self) -> Describe:
        if self._known is None:
            self._known = self._describer()
        return self._known

    def _describe(self, text: str | bytes, *, user: str, database: str, queryid: int) -> Statement:
        """Say what a statement is; rules are made ready when the first reading is on the screen."""
        return self._made_describe()(text, user=user, database=database, queryid=queryid)

    def _accept(self, delta: Delta) -> bool:
        """Write an interval down; one that could not be is part of the next."""
        if self._writer is None or (delta.seconds is None and delta.lost is None):
            return True
        try:
            self._writer.append(delta, self.session.names)
        except PgiostatError as error:
            self._refused = error
            return False
        self._refused = None
        if self._compaction is not None:
            self._compaction.add(len(delta.statements))
        return True


def _refused(interval: Interval, error: PgiostatError) -> Interval:
    """Return a interval that says what is not recorded."""
    notice = Notice(error.slug, f"Not recorded: {error.message}.", error.detail or "")
    return replace(interval, notices=(notice, *interval.notices))
