"""The user that the server runs as.

PostgreSQL refuses to run as root.  Root's server runs as *nobody*, the account with the fewest
rights: as *postgres* it could touch the files of another PostgreSQL on the same machine, and enter
its databases by peer authentication.
"""

import contextlib
import os
import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pgiostat.errors import PgiostatError

__all__ = ["Account", "server_account"]

# In the order of preference.
_CANDIDATES = ("nobody", "daemon", "postgres")


@dataclass(frozen=True, slots=True)
class Account:
    """A user who runs programs and owns files: another one, or the current user without a name."""

    name: str = ""
    uid: int | None = None
    gid: int | None = None

    def can_enter(self, directory: Path) -> bool:
        """Return whether the user can enter a directory; the kernel decides, not its mode bits."""
        return self.run(["/bin/sh", "-c", 'cd -- "$0"', directory]).returncode == 0

    def take_ownership(self, path: Path | int) -> None:
        """Make the user the owner of a file or a descriptor, not of what a link points to."""
        if self.uid is None or self.gid is None:
            return
        if isinstance(path, int):
            os.fchown(path, self.uid, self.gid)
        else:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def run(self, command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
        """Run a command as `popen` does; return its standard output and error as one text."""
        process = self.popen(command, output=subprocess.PIPE)
        output, _ = process.communicate()
        return subprocess.CompletedProcess(
            process.args, process.returncode, output.decode("utf-8", "replace")
        )

    def popen(
        self,
        command: Sequence[str | Path],
        *,
        stdin: int = subprocess.DEVNULL,
        output: int | IO[bytes] = subprocess.DEVNULL,
    ) -> subprocess.Popen[bytes]:
        """Start a command without the terminal, working directory and environment of this process.

        Raises:
            FileNotFoundError: there is no such program.
            PgiostatError: program-did-not-run.
        """
        try:
            return subprocess.Popen(  # noqa: S603 - programs of this package or of its caller
                command,
                stdin=stdin,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",  # the other user may not enter the current directory
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},  # no PG* variables
                start_new_session=True,  # Ctrl-C reaches this process alone; it stops the server
                user=self.uid,
                group=self.gid,
                extra_groups=[] if self.name else None,
            )
        except FileNotFoundError:
            raise
        except OSError as error:
            raise PgiostatError(
                f'could not run "{command[0]}"{f" as {self.name}" if self.name else ""}',
                slug="program-did-not-run",
                detail=f"The system reports: {error.strerror}.",
            ) from error


def server_account() -> Account:
    """Return the account for a server that this process starts.

    Raises:
        PgiostatError: no-server-account, for root where none of the candidates exists.
    """
    if os.geteuid() != 0:
        return Account()
    for name in _CANDIDATES:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise PgiostatError(
        "PostgreSQL cannot run as root, and there is no other user to run it",
        slug="no-server-account",
        detail=f"None of the users {', '.join(_CANDIDATES)} exists.",
        hint="Run this as an ordinary user.",
    )
