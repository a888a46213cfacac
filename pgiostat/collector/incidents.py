"""What is wrong for a while: said when it begins and when it ends, not each time it is met."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from pgiostat.units import format_duration

__all__ = ["IncidentLog", "LogLine"]


class LogLine(Protocol):
    """Takes a line of the log."""

    def __call__(self, line: str, *, trouble: bool = False) -> None:
        """Say it; trouble: something is to be done, or was lost."""


@dataclass(slots=True)
class _Incident:
    """One kind of trouble from its beginning to its end, whatever its words are meanwhile."""

    began: float
    last: str
    message: set[str] = field(default_factory=set)


@dataclass(slots=True)
class IncidentLog:
    """What is wrong now, by its kind."""

    say: LogLine
    clock: Callable[[], float]
    _spells: dict[str, _Incident] = field(default_factory=dict)

    def begin(
        self,
        kind: str,
        what: str,
        reason: str | None = None,
        hint: str | None = None,
        *,
        logged: bool = True,
    ) -> None:
        """Say what is wrong and what mends it, unless it was said since this trouble began.

        Args:
            kind: What is affected; it ends as a whole.
            what: What happened.
            reason: Why.
            hint: What mends it.
            logged: False where a line of the log would only repeat an earlier one.
        """
        spell = self._spells.setdefault(kind, _Incident(self.clock(), what))
        spell.last = what
        if logged and what not in spell.message:
            spell.message.add(what)
            why = f": {reason.rstrip('.')}" if reason else ""
            mend = f". {hint}" if hint else ""
            self.say(f"{what}{why}; trying again{mend}", trouble=True)

    def end(self, kind: str) -> bool:
        """Say that it is over and how long it lasted; False if there was none.

        What began without a line ends without one.
        """
        spell = self._spells.pop(kind, None)
        if spell is None:
            return False
        if spell.message:
            self.say(f"mended after {format_duration(self.clock() - spell.began)}: {spell.last}")
        return True

    def now(self, *kinds: str) -> str:
        """Return what is wrong, of some kinds or of any; empty if nothing is."""
        found = (s.last for kind, s in list(self._spells.items()) if not kinds or kind in kinds)
        return next(found, "")
