"""A finding of a doctor."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["CheckState", "Finding"]


class CheckState(StrEnum):
    """How grave a finding is; the gravest last but for what is not known."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One aspect of a server.  mend: a statement to run, or what to do; empty if nothing."""

    aspect: str
    state: CheckState
    reason: str
    fix: str = ""
