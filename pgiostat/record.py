"""Collecting: a server's intervals into a history, until told to stop."""

import math
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from pgiostat.collect import Sampler, Tick
from pgiostat.collector import monotonic
from pgiostat.delta import Delta, Quality
from pgiostat.errors import PgiostatError
from pgiostat.history.retain import Keep
from pgiostat.history.writer import Writer
from pgiostat.ledger import reads_of
from pgiostat.names import Describe
from pgiostat.sealing import Sealing
from pgiostat.trouble import Said, Trouble
from pgiostat.units import format_duration, format_share

__all__ = ["Recorder"]

SHORTEST_RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 60.0
SUMMARY_SECONDS = 3600.0
HOPELESS = "dsn-invalid"
"""Nobody else can mend it; a password or a role can be set right on the server."""
_COLLECTING = ("server", "history")
"""Kinds of trouble with which nothing is collected."""


@dataclass(slots=True)
class Recorder:
    """Collects one server into a history.

    interval: seconds.  ends: how many seconds to collect, None until stopped.  keep: for how long;
    may change.  samples: committed.
    """

    dsn: str
    label: str
    root: Path
    describe: Describe
    stop: Event
    say: Said
    interval: float = 10.0
    ends: float | None = None
    keep: Keep = field(default_factory=Keep)
    clock: Callable[[], float] = monotonic
    samples: int = 0
    _writer: Writer | None = None
    _sampler: Sampler | None = None
    _trouble: Trouble = field(init=False)
    _sealing: Sealing = field(init=False)
    _pause: float = SHORTEST_RETRY_SECONDS
    _began: float = 0.0
    _qualities: set[Quality] = field(default_factory=set)
    _explained: bool = True
    _hour: "_Hour | None" = None
    _newest: float | None = None

    def __post_init__(self) -> None:
        self._trouble = Trouble(self.say, self.clock)
        self._sealing = Sealing(self.root, self.label, self.clock)

    @property
    def age(self) -> float | None:
        """How many seconds ago the newest sample was committed."""
        return None if self._newest is None else self.clock() - self._newest

    @property
    def is_sealing(self) -> bool:
        """Whether samples are being sealed."""
        return self._sealing.is_running

    @property
    def trouble(self) -> str:
        """What is wrong now, empty if nothing is."""
        return self._trouble.now()

    @property
    def is_collecting(self) -> bool:
        """Whether nothing keeps intervals from being read and committed."""
        return not self._trouble.now(*_COLLECTING)

    def run(self) -> None:
        """Collect until the time is over or the event is set.

        Raises PgiostatError for a history that cannot be written to from the start, and for a
        connection string that cannot be read; other trouble is said and tried again.
        """
        self._writer = Writer.open(self.root, self.label)
        self._began = self.clock()
        try:
            self._collect(self._writer)
        finally:
            self._summarise()
            self._writer.close()
            self._sealing.finish()
            self._tell_sealing()

    def _collect(self, writer: Writer) -> None:
        older = writer.resume()
        if older is not None:
            self.say(f"going on from the sample of {older.taken_at:%Y-%m-%d %H:%M:%S %Z}")
        while not self.stop.is_set() and self._left > 0:
            self._sampler = Sampler(
                self.dsn,
                self.interval,
                self.describe,
                self.stop.wait,
                label=self.label,
                older=older,
                accept=self._accept,
                final=True,
            )
            try:
                self._ticks(self._sampler)
            except PgiostatError as error:
                if error.slug == HOPELESS:
                    raise
                self._trouble.begin("server", error.message, error.detail)
            else:
                return
            older = self._sampler.older
            # Not all of a fleet at once.
            jittered = self._pause * random.uniform(0.5, 1.0)  # noqa: S311 - nothing secret
            self.stop.wait(max(0.0, min(jittered, self._left)))
            self._pause = min(self._pause * 2, LONGEST_RETRY_SECONDS)

    @property
    def _left(self) -> float:
        """How many seconds are left to collect."""
        return math.inf if self.ends is None else self.ends - (self.clock() - self._began)

    def _ticks(self, sampler: Sampler) -> None:
        for tick in sampler.ticks():
            self._told(tick)
            self._sealing.keep = self.keep
            self._sealing.turn()
            self._tell_sealing()
            if self._left <= 0:
                self.stop.set()  # after one more reading

    def _told(self, tick: Tick) -> None:
        if tick.error is not None:
            self._trouble.begin("server", tick.error.message, tick.error.detail)
        elif tick.delta is not None:
            self._pause = SHORTEST_RETRY_SECONDS
            if tick.texts_error is not None:
                error = tick.texts_error
                self._trouble.begin("texts", f"texts are missing: {error.message}", error.detail)
            else:
                self._trouble.end("texts")
        if self._hour is not None and self.clock() - self._hour.began >= SUMMARY_SECONDS:
            self._summarise()

    def _judge(self, delta: Delta) -> None:
        """Say what is to be known of an interval, once an hour: the hour's line counts them."""
        quality = delta.quality
        known = self._explained and quality is Quality.GAP
        self._explained = False
        if quality is not Quality.OK and not known and quality not in self._qualities:
            self._qualities.add(quality)
            self.say(f"interval of {delta.until:%H:%M:%S}: {quality.value}", trouble=True)

    def _summarise(self) -> None:
        """Say what was collected since it was said last."""
        hour, self._hour = self._hour, None
        self._qualities.clear()
        if hour is not None:
            self.say(hour.told())

    def _accept(self, delta: Delta) -> bool:
        """Commit an interval; tell whether the next one begins where it ends."""
        self._explained |= self._trouble.end("server")
        if delta.seconds is None or self._writer is None or self._sampler is None:
            return True
        try:
            self._writer.append(delta, self._sampler.names)
        except PgiostatError as error:
            self._trouble.begin("history", error.message, error.detail)
            return False
        self._explained |= self._trouble.end("history")
        self.samples += 1
        self._newest = self.clock()
        self._hour = self._hour or _Hour(self.clock())
        self._hour.add(delta)
        self._judge(delta)
        began = delta.older.taken_at if delta.older else delta.until
        self._sealing.add(began, len(delta.statements))
        return True

    def _tell_sealing(self) -> None:
        if self._sealing.trouble:
            self._trouble.begin("sealing", self._sealing.trouble)
        elif not self._sealing.is_running:
            self._trouble.end("sealing")


@dataclass(slots=True)
class _Hour:
    """What was collected for some time, to be said."""

    began: float
    seconds: float = 0.0
    rows: int = 0
    qualities: Counter[Quality] = field(default_factory=Counter)
    statement_blocks: int = 0
    server_blocks: int = 0

    def add(self, delta: Delta) -> None:
        self.seconds += delta.seconds or 0.0
        self.rows += len(delta.statements)
        self.qualities[delta.quality] += 1
        if (blocks := reads_of(delta).blocks) is not None:
            self.statement_blocks += delta.statement_blocks
            self.server_blocks += blocks

    def told(self) -> str:
        samples = self.qualities.total()
        covered = self.statement_blocks / self.server_blocks if self.server_blocks else None
        flawed = [
            f", {self.qualities[quality]} × {quality.value}"
            for quality in Quality
            if quality is not Quality.OK and self.qualities[quality]
        ]
        return (
            f"{samples} sample{'s' * (samples != 1)} in {format_duration(self.seconds)},"
            f" {self.rows:,} rows, coverage {format_share(covered)}{''.join(flawed)}"
        )
