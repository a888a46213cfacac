"""What is done to a system and taken back."""

from dataclasses import dataclass

__all__ = ["WorkloadIncident"]


@dataclass(frozen=True, slots=True)
class WorkloadIncident:
    """An incident of a workload.

    Attributes:
        name: Its name in the list and in the file.
        text: What happens, as a sentence without a full stop.
        cause: Statements of a superuser that cause it.
        back: Statements that take it back, whether it was caused or not.
        traffic: The name of the traffic during it; empty if it is as always.
        alone: Whether its statements cannot be in one transaction.
        holds_snapshot: Whether an old transaction is open from before it until its end.
        restarts: Whether the server restarts.
    """

    name: str
    text: str
    cause: tuple[str, ...] = ()
    back: tuple[str, ...] = ()
    traffic: str = ""
    alone: bool = False
    holds_snapshot: bool = False
    restarts: bool = False
