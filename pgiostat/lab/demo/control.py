"""Incidents of a running demo, caused and taken back, and how to look from another terminal."""

from datetime import UTC, datetime
from pathlib import Path
from shlex import quote

from pgiostat.lab.workload.incidents import WorkloadIncident, named_incident

__all__ = ["DemoControl"]


class DemoControl:
    """What the screen of `watch` knows of a demo.

    All screens of a demo have the same incident: it is in a file, which the workload reads.

    Args:
        incidents: The incidents of the scenario.
        file: Names the incident in force.
        log: The errors of the workload.
        command: The command that runs this demo, for the lines of `hints`.
        uri: The connection string for another terminal.
    """

    def __init__(
        self,
        incidents: tuple[WorkloadIncident, ...],
        file: Path,
        log: Path,
        command: str,
        uri: str,
    ) -> None:
        self.incidents = incidents
        self._file, self._log = file, log
        self._command, self._uri = command, uri

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
        """Return the line below the table in several lengths, the longest first."""
        if self._has_failed():
            stopped = "The workload has stopped"
            return (f'{stopped}: its output is in "{self._log}"', f"{stopped}; q shows why")
        if active := self.active:
            text = next((each.text for each in self.incidents if each.name == active), "")
            began = f"Incident{self._since()}: {active}"
            ends = (f"{began} ({text}); ! takes it back", f"{began}; ! takes it back")
            return (*(f"{end}; {self._psql()}" for end in ends), *ends)
        causes = "! causes an incident"
        whole, short = f"psql {quote(self._uri)}", self._psql()
        return (
            f"{self.from_another_terminal}; {causes}",
            f"From another terminal: {whole}; {causes}",
            f"{whole}; {causes}",
            f"{short}; {causes}",
            short,
            causes,
        )

    def _psql(self) -> str:
        return f'psql "$({self._command} --dsn)"'

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
