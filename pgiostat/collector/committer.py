"""Committing intervals to a history, and recording the time of lost statements."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from pgiostat.history.write.newest_definitions import newest_definitions
from pgiostat.history.write.writer import Writer
from pgiostat.statistics.definitions import Definition, DefinitionKey
from pgiostat.statistics.delta import Delta, Lost, Quality
from pgiostat.statistics.names import Names, StatementKey
from pgiostat.statistics.snapshot import Server, Snapshot
from pgiostat.volume.device.interval import DeviceInterval

__all__ = ["Committer"]


@dataclass(slots=True)
class Committer:
    """Commits the intervals of one server, over all attempts of a process.

    Attributes:
        root: The directory of the history.
        label: The server's name in it.
        samples: How many intervals were committed.
        broken_off: When the newest interval in the history ended, if its snapshot cannot be read:
            what statements did since then is lost. None after the next commit.
    """

    root: Path
    label: str
    samples: int = 0
    broken_off: datetime | None = None
    _writer: Writer | None = None

    @property
    def writer(self) -> Writer:
        """The writer of this attempt, between `open` and the next `open`."""
        if self._writer is None:
            raise RuntimeError("the history is not open")
        return self._writer

    def open(self) -> None:
        """Open the history; raises PgiostatError as Writer.open does."""
        self._writer = Writer.open(self.root, self.label)

    def close(self) -> None:
        """Let another process write under the same label."""
        self.writer.close()

    def resume(self) -> Snapshot | None:
        """Return the snapshot that the next interval begins with; None if there is none."""
        self.broken_off = self.writer.ends
        older = self.writer.resume()
        if older is not None:
            self.broken_off = None
        return older

    def definitions(self, server: Server) -> dict[DefinitionKey, Definition]:
        """Return the newest definitions of a server in the history."""
        return newest_definitions(self.writer.layout, server)

    def with_lost(self, delta: Delta) -> Delta:
        """Return a baseline with the time that is lost; any other interval as it is.

        A baseline in the middle of a run follows a snapshot that could not be subtracted.
        """
        since = self.broken_off or (self.writer.ends if self.samples else None)
        if since is None or delta.seconds is not None or delta.lost is not None:
            return delta
        seconds = max(0.0, (delta.until - since).total_seconds())
        lost = Lost(since, seconds, delta.newer.server)
        return replace(delta, qualities=(Quality.BASELINE_LOST,), lost=lost)

    def not_committed(self, reason: str) -> str:
        """Return the end of a line that has what could not be written, and why."""
        ends = None if self._writer is None else self._writer.ends
        since = "" if ends is None else f" since {ends:%Y-%m-%d %H:%M:%S %Z}"
        goes_on = "" if ends is None else "; the next run continues from there"
        return f"; not committed: statement activity{since} ({reason}){goes_on}"

    def append(
        self, delta: Delta, names: Names, devices: Sequence[DeviceInterval]
    ) -> Collection[StatementKey]:
        """Commit an interval; return the statements with a text in the history from now on.

        Raises PgiostatError as Writer.append does: then the next interval must cover this one.
        """
        written = self.writer.append(delta, names, devices)
        self.samples += 1
        self.broken_off = None
        return written
