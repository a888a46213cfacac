"""A short recording of one server, for a command that needs a history of it."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from pgiostat.clock import monotonic
from pgiostat.collector.relations import relation_sampler
from pgiostat.collector.targets import Target
from pgiostat.history.format.layout import Layout
from pgiostat.history.write.newest_definitions import newest_definitions
from pgiostat.history.write.writer import Writer
from pgiostat.postgres.relation_options import RelationOptions
from pgiostat.postgres.sampler import Sampler
from pgiostat.statistics.delta import Delta
from pgiostat.statistics.names import Describe

__all__ = ["short_recording"]

INTERVAL_SECONDS = 5.0
LABEL = "server"


def short_recording(
    dsn: str,
    directory: Path,
    describe: Describe,
    seconds: float,
    wait: Callable[[float], bool],
    *,
    clock: Callable[[], float] = monotonic,
) -> None:
    """Record a server into a new history.

    Args:
        dsn: The server.
        directory: Where the history is written.
        describe: Describes statements by their texts.
        seconds: How long.
        wait: Waits for some seconds; returns True to end.
        clock: Monotonic clock in seconds.

    Raises:
        PgiostatError: As `Sampler.intervals` does; the error of an interval, as there is no time to
            try again.
    """
    end = clock() + seconds
    target = Target(dsn, LABEL, relations=RelationOptions(INTERVAL_SECONDS))
    with closing(Writer.open(directory, LABEL)) as writer:

        def accept(delta: Delta) -> bool:
            if delta.older is not None:
                writer.append(delta, sampler.names)
            return True

        sampler = Sampler(
            dsn,
            INTERVAL_SECONDS,
            describe,
            lambda pause: clock() >= end or wait(min(pause, max(end - clock(), 0.0))),
            label=LABEL,
            clock=clock,
            on_interval=accept,
            final=True,
            relations=relation_sampler(
                target, clock, lambda server: newest_definitions(Layout(directory), server)
            ),
        )
        for result in sampler.intervals():
            if result.error is not None:
                raise result.error
