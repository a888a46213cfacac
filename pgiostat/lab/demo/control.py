"""Incidents of a running demo, caused and taken back, and how to look from another terminal."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote

from pgiostat.lab.faults.incident import WorkloadIncident
from pgiostat.lab.workload.incidents import named_incident

__all__ = ["DemoControl"]


class DemoControl:
    """What the screen of `watch` knows of a demo.

    All screens of a demo have the same incident: it is in a file, which the workload reads.

    Args:
        incidents: The incidents of the scenario.
        file: Names the incident in force.
        log: The errors of the workload.
        command: The command that runs this demo in any terminal, with the path of its program.
        short: The same without the path, for narrow terminals.
        uri: The connection string for another terminal.
        is_running: Returns whether the server of this demo still runs.
    """

    def __init__(
        self,
        incidents: tuple[WorkloadIncident, ...],
        file: Path,
        log: Path,
        *,
        command: str,
        short: str,
        uri: str,
        is_running: Callable[[], bool],
    ) -> None:
        self.incidents = incidents
        self._file, self._log = file, log
        self._command, self._short, self._uri = command, short, uri
        self.is_running = is_running

    @property
    def active(self) -> str:
        """The name of the incident in force, "" for none."""
        return named_incident(self._file)

    def switch(self, name: str) -> None:
        """Cause an incident in place of the one in force; "" takes that one back."""
        if not name:
            self._file.unlink(missing_ok=True)
            return
        draft = self._file.with_suffix(".draft")
        draft.write_text(f"{name}\n", "utf-8")
        draft.rename(self._file)

    @property
    def from_another_terminal(self) -> str:
        """How to look from another terminal, in one line."""
        return f"From another terminal: {self._command} --attach, or psql {quote(self._uri)}"

    def hints(self) -> tuple[str, ...]:
        """Return the line below the table in several lengths, the longest first.

        Each has a way in from another terminal, unless the workload has stopped.
        """
        if self._has_failed():
            stopped = "The workload has stopped"
            return (f'{stopped}: its output is in "{self._log}"', f"{stopped}; q shows why")
        return self._of_incident(active) if (active := self.active) else self._without_incident()

    def _of_incident(self, name: str) -> tuple[str, ...]:
        text = next((each.text for each in self.incidents if each.name == name), "")
        ends, since = "! takes it back", f"Incident{self._since()}: {name}"
        return (
            f"{since} ({text}); {ends}; {self._psql}",
            f"{since}; {ends}; {self._psql}",
            f"{since}; {ends}; {self._prints}",
            f"Incident: {name}; {ends}; {self._prints}",
            f"{name}; {ends}; {self._short} --dsn",
            f"{ends}; {self._short} --dsn",
            f"{self._short} --dsn",
        )

    def _without_incident(self) -> tuple[str, ...]:
        causes, whole = "! causes an incident", f"psql {quote(self._uri)}"
        return (
            f"{self.from_another_terminal}; {causes}",
            f"From another terminal: {whole}; {causes}",
            f"{whole}; {causes}",
            f"{self._psql}; {causes}",
            f"{self._prints}; {causes}",
            f"{self._short} --dsn; {causes}",
            f"{self._short} --dsn",
        )

    @property
    def _psql(self) -> str:
        return f'psql "$({self._command} --dsn)"'

    @property
    def _prints(self) -> str:
        return f"{self._short} --dsn prints the DSN"

    def _has_failed(self) -> bool:
        """Return whether the workload wrote an error; it ends with its first one."""
        return self._log.exists() and self._log.stat().st_size > 0

    def _since(self) -> str:
        """Return when the incident in force was caused; "" if it was taken back just now."""
        try:
            seconds = self._file.stat().st_mtime
        except FileNotFoundError:
            return ""
        return f" since {datetime.fromtimestamp(seconds, UTC):%H:%M:%SZ}"
