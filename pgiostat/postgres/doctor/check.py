"""A finding of a doctor."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["CheckState", "Finding"]


class CheckState(StrEnum):
    """Severity of a finding, the most severe last; UNKNOWN is apart."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One aspect of a server; fix: a statement to run, or what to do, or empty."""

    aspect: str
    state: CheckState
    reason: str
    fix: str = ""
