"""The theme: the requested one, or else the last choice."""

from collections.abc import Container
from contextlib import suppress
from dataclasses import dataclass
from os import environ
from pathlib import Path

from pgiostat.errors import ExitStatus, PgiostatError

__all__ = ["Themes"]


@dataclass(frozen=True, slots=True)
class Themes:
    """The requested name, if any, and the file with the last choice."""

    kept: Path | None = None
    requested: str = ""

    def chosen(self, known: Container[str], names: str) -> str:
        """Return a theme, empty for the usual one.

        known: themes there are; names: the same in words.  Raises PgiostatError for another.
        """
        if self.requested and self.requested not in known:
            raise PgiostatError(
                f'there is no theme "{self.requested}"',
                hint=f"Themes: {names}.",
                slug="option-invalid",
                status=ExitStatus.USAGE,
            )
        if self.requested or self.kept is None or "TEXTUAL_THEME" in environ:
            return self.requested
        try:
            last = self.kept.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return ""
        return last if last in known else ""

    def keep(self, name: str) -> None:
        """Remember a choice; where that is not to be had it holds until the end."""
        if self.kept is None:
            return
        with suppress(OSError):
            self.kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.kept.write_text(f"{name}\n", "utf-8")
