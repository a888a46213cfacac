"""Incidents: the log has their begin and their end, not each failure in between."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pgiostat.collector.log import ServerLog
from pgiostat.errors import PgiostatError
from pgiostat.unexpected import UNEXPECTED, as_error
from pgiostat.units import format_duration

__all__ = ["IncidentLog"]

_LOGGED_ONCE = frozenset({UNEXPECTED, "reply-unreadable"})
"""Errors with a reference: the first is logged, the others are counted.

At each snapshot they would fill the log, also where snapshots in between succeed.
"""


@dataclass(slots=True)
class _Incident:
    """What is wrong with one thing from begin to end, whatever the messages are meanwhile."""

    began: float
    newest: str
    messages: set[str] = field(default_factory=set)


@dataclass(slots=True)
class IncidentLog:
    """What is wrong now, one incident for each thing affected.

    Attributes:
        log: The log.
        clock: Monotonic seconds.
        on_failure: Called with each error that `guard` contains.
    """

    log: ServerLog
    clock: Callable[[], float]
    on_failure: Callable[[PgiostatError], None] = lambda _: None
    _incidents: dict[str, _Incident] = field(default_factory=dict)
    _errors: set[str] = field(default_factory=set)
    _repeated: Counter[str] = field(default_factory=Counter)

    def begin(
        self,
        affected: str,
        message: str,
        reason: str | None = None,
        hint: str | None = None,
        *,
        logged: bool = True,
    ) -> None:
        """Begin an incident, or continue it; log a message that is new in it.

        Args:
            affected: What fails: `end` takes the same word.
            message: What happened.
            reason: Why.
            hint: What fixes it.
            logged: False for a line that would only repeat an earlier incident's.
        """
        incident = self._incidents.setdefault(affected, _Incident(self.clock(), message))
        incident.newest = message
        if logged and message not in incident.messages:
            incident.messages.add(message)
            why = f": {reason.rstrip('.')}" if reason else ""
            fix = f". {hint}" if hint else ""
            self.log.warning(f"{message}{why}; trying again{fix}")

    def begin_error(self, affected: str, error: PgiostatError, prefix: str = "") -> None:
        """Begin an incident with an error; one with a reference is logged once in all incidents.

        Args:
            affected: What fails.
            error: Why.
            prefix: Words before the error's message.
        """
        message, is_new = f"{prefix}{error.message}", True
        if error.slug in _LOGGED_ONCE:
            named = f"{message}: {(error.detail or '').rstrip('.')}"
            is_new = named not in self._errors
            self._errors.add(named)
            self._repeated[named] += not is_new
        self.begin(affected, message, error.detail, error.hint, logged=is_new)

    def track(self, affected: str, message: str, *, is_over: bool = True) -> None:
        """Begin an incident if there is a message, else end it if it is over."""
        if message:
            self.begin(affected, message)
        elif is_over:
            self.end(affected)

    def end(self, affected: str) -> bool:
        """End an incident and log how long it lasted; return False if there was none.

        An incident without a line at its start has none at its end.
        """
        incident = self._incidents.pop(affected, None)
        if incident is None:
            return False
        if incident.messages:
            lasted = format_duration(self.clock() - incident.began)
            self.log.info(f"recovered after {lasted}: {incident.newest}")
        return True

    @contextmanager
    def guard(self, task: str) -> Iterator[None]:
        """Contain every failure of a task beside the intervals, which continue without it."""
        affected = f"beside: {task}"
        try:
            yield
        except Exception as raised:  # noqa: BLE001 - intervals continue without it
            error = as_error(raised)
            self.on_failure(error)
            self.begin_error(affected, error)
        else:
            self.end(affected)

    def log_repeated(self) -> None:
        """Log how often errors were repeated that only the first line of is in the log."""
        for named, count in self._repeated.items():
            if count:
                self.log.warning(f"{named}: {count} more time{'s' * (count != 1)}")
        self._repeated.clear()

    def now(self, *affected: str) -> str:
        """Return a message of what is wrong now, with some things or any; empty if nothing is."""
        found = (
            incident.newest
            for name, incident in list(self._incidents.items())
            if not affected or name in affected
        )
        return next(found, "")
