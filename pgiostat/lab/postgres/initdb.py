"""The creation of a data directory: by initdb, or as a copy of another cluster's."""

import secrets
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pgiostat.errors import PgiostatError
from pgiostat.lab.postgres.disk_space import disk_full_error
from pgiostat.lab.postgres.files import ClusterFiles, last_lines

__all__ = ["create_data"]


def create_data(
    files: ClusterFiles, binaries: Path, copy_of: ClusterFiles | None, options: Sequence[str]
) -> None:
    """Create a data directory, with options for initdb; a failure leaves no files.

    Raises:
        PgiostatError: cluster-exists, directory-not-empty, directory-not-writable, disk-full,
            initdb-failed.
    """
    if files.is_initialised():
        raise PgiostatError(
            f'there is already a cluster in "{files.directory}"', slug="cluster-exists"
        )
    files.remove()  # the rest of a creation that was killed
    files.create_directory()
    try:
        done = _copy(files, copy_of) if copy_of else _initdb(files, binaries, options)
    except BaseException:
        shutil.rmtree(files.directory)
        raise
    if done.returncode:
        full = disk_full_error(done.stdout, files.directory)
        shutil.rmtree(files.directory)
        raise full or PgiostatError(
            f'could not create a PostgreSQL cluster in "{files.directory}"',
            slug="initdb-failed",
            detail=last_lines(done.stdout) or f"{done.args[0]} ended with {done.returncode}.",
        )
    files.unfinished.rename(files.data)


def _copy(files: ClusterFiles, origin: ClusterFiles) -> subprocess.CompletedProcess[str]:
    files.write_private(files.passfile, origin.passfile.read_text("utf-8"), server_reads=False)
    return files.account.run(["cp", "-Rp", origin.data, files.unfinished])


def _initdb(
    files: ClusterFiles, binaries: Path, options: Sequence[str]
) -> subprocess.CompletedProcess[str]:
    password = secrets.token_urlsafe(24)
    files.write_private(files.passfile, f"*:*:*:postgres:{password}\n", server_reads=False)
    files.write_private(files.password_argument, f"{password}\n")
    try:
        done = files.account.run(
            [
                binaries / "initdb",
                f"--pgdata={files.unfinished}",
                f"--pwfile={files.password_argument}",
                "--username=postgres",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                *options,
            ]
        )
    finally:
        files.password_argument.unlink()
    if not done.returncode:
        with (files.unfinished / "postgresql.conf").open("a", encoding="utf-8") as configuration:
            configuration.write("include 'pgiostat.conf'\n")
    return done
