"""A fault, where it hits a system, and the truth about it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pgiostat.analysis.why import Cause
from pgiostat.lab.faults.incident import WorkloadIncident

__all__ = [
    "FaultTarget",
    "FaultTargets",
    "InjectableFault",
    "ServerChange",
    "no_change",
    "of_setting",
    "written",
]


@dataclass(frozen=True, slots=True)
class FaultTarget:
    """Where a fault hits a system, at one severity.

    Attributes:
        statement: Part of the text of the victim, which no other statement has.
        table: The table that is changed or read, with its schema if that is not public.
        index: The index that is changed.
        columns: The columns of the index, or the column that is written.
        wrong: The columns in another order.
        where: The condition on the rows that are written.
        key: Columns by which rows are found again.
        amount: How much: what it means is the fault's.
        is_key: Whether the index is a primary key.
        sql: Statements of the system's own that cause the fault.
        back: Statements of the system's own that take it back.
        traffic: The name of the traffic during the fault.
        healthy: The name of the traffic before it.
        prepare: Statements that come before the healthy time, in autocommit.
        causes: The causes that are right here, if they are not those of the fault.
        text: What happens, as a sentence without a full stop; empty for the fault's.
    """

    statement: str
    table: str = ""
    index: str = ""
    columns: str = ""
    wrong: str = ""
    where: str = ""
    key: str = ""
    amount: float = 1
    is_key: bool = False
    sql: tuple[str, ...] = ()
    back: tuple[str, ...] = ()
    traffic: str = ""
    healthy: str = ""
    prepare: tuple[str, ...] = ()
    causes: tuple[Cause, ...] = ()
    text: str = ""

    @property
    def schema(self) -> str:
        """The schema of the table with its dot; empty for public."""
        schema, dot, _ = self.table.rpartition(".")
        return schema + dot


FaultTargets = Mapping[str, Sequence[FaultTarget]]
"""The targets of a system by fault: one for each severity, the mild one first."""


@dataclass(frozen=True, slots=True)
class ServerChange:
    """What a fault does to the server; see `WorkloadIncident`."""

    cause: tuple[str, ...] = ()
    back: tuple[str, ...] = ()
    alone: bool = False
    holds_snapshot: bool = False
    restarts: bool = False


def no_change(target: FaultTarget) -> ServerChange:
    """Return the system's own statements: the rest of the fault is in the traffic."""
    return ServerChange(target.sql, target.back)


@dataclass(frozen=True, slots=True)
class InjectableFault:
    """A fault.

    Attributes:
        name: Its name.
        text: What it does, as a sentence without a full stop.
        causes: The names of the cause that are right.
        change: What it does to the server.
    """

    name: str
    text: str
    causes: tuple[Cause, ...]
    change: Callable[[FaultTarget], ServerChange] = no_change

    def on(self, target: FaultTarget) -> WorkloadIncident:
        """Return the fault as an incident of a system."""
        change = self.change(target)
        return WorkloadIncident(
            self.name,
            target.text or self.text,
            change.cause,
            change.back,
            target.traffic,
            change.alone,
            change.holds_snapshot,
            change.restarts,
        )

    def right_causes(self, target: FaultTarget) -> tuple[Cause, ...]:
        """Return the names of the cause that are right for a target."""
        return target.causes or self.causes


def of_setting(name: str, value: str, table: str) -> ServerChange:
    """Return the change of a setting for all sessions, also for statements that are prepared.

    Args:
        name: The setting.
        value: Its value.
        table: Statements that use this table are planned again; empty for all tables.
    """
    reload = ("SELECT pg_reload_conf()", f"ANALYZE {table}".strip())
    return ServerChange(
        (f"ALTER SYSTEM SET {name} = {value}", *reload),
        (f"ALTER SYSTEM RESET {name}", *reload),
        alone=True,
    )


def written(table: str, *statements: str) -> str:
    """Return a transaction that writes rows of a table alone: it must not deadlock with others."""
    lock = f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE"
    return "; ".join(("BEGIN", lock, *statements, "COMMIT"))
