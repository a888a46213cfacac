"""Collect the tables and indexes of a real server into a history, step by step."""

from pathlib import Path

from pgiostat.collector.relations import relation_sampler
from pgiostat.collector.targets import Target
from pgiostat.history.format.layout import Layout
from pgiostat.history.write.newest_definitions import newest_definitions
from pgiostat.history.write.writer import Writer
from pgiostat.postgres.relation_options import relation_options
from pgiostat.postgres.sampler import Sampler
from pgiostat.queries.describe import describer
from pgiostat.statistics.delta import Delta
from tests.support.readings import Unsynced


class Collected:
    """A server that is collected step by step, each a minute after the one before."""

    def __init__(self, dsn: str, history: Path, databases: str | None = None) -> None:
        self.history = history
        self.now = 0.0
        self.writer = Writer.open(history, "prod", Unsynced())
        self.errors: list[str] = []
        options = relation_options("60s", databases)
        target = Target(dsn, "prod", relations=options)
        self.sampler = Sampler(
            dsn,
            10.0,
            describer(),
            self._wait,
            label="prod",
            clock=lambda: self.now,
            on_interval=self._accept,
            relations=relation_sampler(
                target,
                lambda: self.now,
                lambda which: newest_definitions(Layout(history), which),
            ),
        )
        self.results = self.sampler.intervals()

    def step(self, seconds: float = 60.0) -> None:
        """Take the next snapshot."""
        self.now += seconds
        result = next(self.results)
        assert result.error is None
        if result.relations_error is not None:
            self.errors.append(result.relations_error.report())

    @staticmethod
    def _wait(seconds: float) -> bool:
        del seconds
        return False

    def _accept(self, delta: Delta) -> bool:
        if delta.seconds is not None:
            self.writer.append(delta, self.sampler.names)
        return True

    def close(self) -> None:
        """End the history."""
        self.results.close()  # type: ignore[attr-defined]
        self.writer.close()
