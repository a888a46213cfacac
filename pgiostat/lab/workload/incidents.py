"""Incidents: changes that cost reads, to be found with pgiostat and taken back.

One process names the incident in a file. The process of the workload reads the file, changes the
database accordingly, and sends the traffic of the incident.
"""

from collections.abc import Iterable
from pathlib import Path

import psycopg

from pgiostat.lab.faults.incident import WorkloadIncident

__all__ = ["IncidentSwitch", "named_incident"]

LOCK_SECONDS = 2
"""A session of the user may have locked what an incident changes: the traffic goes on meanwhile."""


def named_incident(file: Path | None) -> str:
    """Return the name in the file of the incident, "" without one."""
    if file is None:
        return ""
    try:
        return file.read_text("utf-8").strip()
    except FileNotFoundError:
        return ""


class IncidentSwitch:
    """Keeps a database as the incident in the file requires.

    Args:
        incidents: Those of the workload.
        admin: Connection string of a superuser.
        file: Names the incident; None if there is never one.
    """

    def __init__(
        self, incidents: Iterable[WorkloadIncident], admin: str, file: Path | None
    ) -> None:
        self._incidents = {each.name: each for each in incidents}
        self._admin = admin
        self._file = file
        self._active = ""

    def restore(self) -> None:
        """Take all incidents back; an earlier process may have ended during one."""
        for each in self._incidents.values():
            self._execute(each.back)

    def traffic(self) -> str:
        """Return the name of the traffic of the incident in force, "" for the traffic as always."""
        active = self._incidents.get(self.current())
        return active.traffic if active else ""

    def current(self) -> str:
        """Return the name of the incident that the database is in, "" for none.

        It changes the database first, if the file names another one.
        """
        wanted = named_incident(self._file)
        if wanted not in self._incidents:
            wanted = ""
        if wanted != self._active:
            back = self._incidents[self._active].back if self._active else ()
            cause = self._incidents[wanted].cause if wanted else ()
            if self._execute((*back, *cause)):
                self._active = wanted
        return self._active

    def _execute(self, statements: tuple[str, ...]) -> bool:
        """Run statements in one transaction; return whether no lock was in the way."""
        if not statements:
            return True
        with psycopg.connect(self._admin, application_name="migration") as connection:
            try:
                connection.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'".encode())
                for statement in statements:
                    connection.execute(statement.encode())
            except psycopg.errors.LockNotAvailable:
                connection.rollback()
                return False
        return True
