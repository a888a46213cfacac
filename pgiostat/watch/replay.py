"""A history, shown as it was: interval by interval, on the same screen."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Condition, Event

from pgiostat.burning import Provenance
from pgiostat.burst import Gauge, Load
from pgiostat.delta import Quality
from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.history.reader import History, instants
from pgiostat.history.windows import Window
from pgiostat.names import Describe
from pgiostat.rank import By, Counted
from pgiostat.times import instant
from pgiostat.units import blocks_to_bytes, format_version
from pgiostat.watch.moment import IoRow, Moment, Who
from pgiostat.watch.sitting import Sitting

__all__ = ["Replay"]

_JUST = timedelta(microseconds=1)


class Replay:
    """The intervals of one server of a history, played at a pace.

    window: what is played; it stops at its end.  interval: seconds that each is shown for.
    Raises PgiostatError as History.choose, option-invalid for a label of several servers, and
    window-empty.
    """

    def __init__(
        self,
        history: History,
        describe: Describe,
        window: Window,
        *,
        interval: float = 1.0,
        gauge: Gauge | None = None,
    ) -> None:
        self._history = history
        servers = history.choose(window.label)
        if len({server.label for server in servers}) > 1:
            there = ", ".join(dict.fromkeys(server.label for server in servers))
            raise PgiostatError(
                "one server is replayed at a time",
                hint=f"Choose one by --label: {there}.",
                slug="option-invalid",
                status=ExitStatus.USAGE,
            )
        self._label = servers[0].label
        history.seen(window)  # raises where there is nothing
        rows = history.facts("sample", window, [server.server_id for server in servers])
        self._starts = instants(rows["ts"])
        self._rows = rows
        names = history.names(describe)
        # A server that answered under one label after another has names of its own.
        self._names = names
        self._whose = rows["server_id"].to_pylist()
        self.sitting = Sitting(names[self._whose[0]], gauge)
        self.interval = interval
        self.is_playing = True
        self._at = 0
        self._asked: int | None = None
        self._changed = Condition()

    @property
    def position(self) -> tuple[int, int]:
        """Which interval is shown, of how many."""
        return min(self._at, len(self._starts)), len(self._starts)

    def started(self, place: int) -> datetime:
        """Return when an interval began."""
        return self._starts[place]

    def play(self, *, playing: bool) -> None:
        """Go on, or stand still."""
        with self._changed:
            self.is_playing = playing
            self._changed.notify()

    def seek(self, steps: int) -> None:
        """Show an interval so many before or after the one that is shown."""
        self._go(self._at - 1 + steps)

    def jump(self, words: str, now: datetime) -> None:
        """Show the interval of an instant: words as for --since. Raises PgiostatError."""
        # A time of day is that of the day that is shown.
        day = self._starts[max(min(self._at - 1, len(self._starts) - 1), 0)]
        there = instant(words, day.astimezone(now.tzinfo))
        self._go(max(bisect_right(self._starts, there) - 1, 0))

    def _is_asked(self) -> bool:
        return self._asked is not None

    def _go(self, place: int) -> None:
        with self._changed:
            self._asked = min(max(place, 0), len(self._starts) - 1)
            self._changed.notify()

    def moments(self, stop: Event) -> Iterator[Moment]:
        """Yield interval after interval, until told to stop."""
        while not stop.is_set():
            with self._changed:
                asked, self._asked = self._asked, None
                if asked is not None and asked != self._at:
                    self._at = asked
                    self.sitting.begin()
                due = asked is not None or self.is_playing
                due = due and self._at < len(self._starts)
            if due:
                moment = self._moment(self._at)
                self._at += 1
                yield moment
            with self._changed:
                # Told to stop by the event, which tells no condition.
                waited = 0.0
                while not self._is_asked() and waited < self.interval and not stop.is_set():
                    self._changed.wait(min(0.1, self.interval - waited))
                    waited += 0.1

    def _moment(self, place: int) -> Moment:
        begin = self._starts[place]
        row = self._rows.slice(place, 1).to_pylist()[0]
        window = Window(begin, begin + _JUST, self._label)
        counted = self._counted(window, self._whose[place])
        self.sitting.names = self._names[self._whose[place]]
        seconds = row["dur_us"] / 1e6
        qualities = tuple(Quality(word) for word in row["qualities"].split(", ") if word)
        read = counted.reads.blocks
        blocks = max(read or 0, row["statement_blocks"])
        each = counted.reads.per_block.shared
        return Moment(
            Who(self._label, version=format_version(row["version_num"])),
            begin,
            (begin + timedelta(seconds=seconds)).astimezone(UTC),
            qualities,
            counted,
            statement_blocks=row["statement_blocks"],
            server_blocks=row["server_blocks"],
            io=self._io(window, self._whose[place], counted.block_size),
            load=Load(
                seconds,
                blocks * (1.0 if each is None else each),
                float(blocks_to_bytes(blocks, counted.block_size)),
            ),
            provenance=Provenance.BLOCKS if each is None else Provenance.PG_STAT_IO,
        )

    def _counted(self, window: Window, server: int) -> Counted:
        of_statements = self._history.seen(window, By.STATEMENT).counted[server]
        of_relations = self._history.seen(window, By.RELATION).counted[server]
        return replace(
            of_statements,
            relations=of_relations.relations,
            relation_amounts=of_relations.relation_amounts,
            relation_uncertain=of_relations.relation_uncertain,
            database_blocks=of_relations.database_blocks,
        )

    def _io(self, window: Window, server: int, block_size: int) -> tuple[IoRow, ...] | None:
        rows = self._history.facts("io", window, [server]).to_pylist()
        found = []
        for row in rows:
            reads = row["reads"] or 0
            size = row["read_bytes"]
            found.append(
                IoRow(
                    row["backend_type"],
                    row["object"],
                    row["context"],
                    reads,
                    reads * block_size if size is None else size,
                    row["read_time"],
                    row["hits"],
                )
            )
        return tuple(found) or None
