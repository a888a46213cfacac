"""Programs of Debian's: packages unpacked, nothing installed."""

import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.support.server_cache import server_cache

MAJOR = 15
KCACHE = (f"postgresql-{MAJOR}", f"postgresql-{MAJOR}-pg-stat-kcache")
POOLER = ("pgbouncer", "libevent-2.1-7", "libc-ares2")


def kcache_binaries() -> Path:
    """Return the programs of a PostgreSQL with pg_stat_kcache; skips the test where there is none.

    PostgreSQL finds its own files from where its programs are, so that no place is asked for.
    """
    found = _tree(f"debian-{MAJOR}", KCACHE) / "usr" / "lib" / "postgresql" / str(MAJOR) / "bin"
    _run([str(found / "postgres"), "--version"], found)
    return found


def pooler() -> tuple[Path, Mapping[str, str]]:
    """Return PgBouncer, and the environment that it finds its libraries by; or skips the test."""
    root = _tree("debian-pgbouncer", POOLER)
    program = root / "usr" / "sbin" / "pgbouncer"
    (libraries,) = (root / "usr" / "lib").glob("*-linux-gnu*")
    environment = {"LD_LIBRARY_PATH": str(libraries)}
    _run([str(program), "--version"], root, environment)
    return program, environment


def _tree(name: str, packages: Sequence[str]) -> Path:
    """Return the directory into which packages are unpacked, now or in an earlier run."""
    home = server_cache() / name
    if not home.exists():
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent, prefix="fetching-") as place:
            _unpack(packages, Path(place) / "root", Path(place))
            (Path(place) / "root").rename(home)
    return home


def _unpack(packages: Sequence[str], root: Path, place: Path) -> None:
    for program in ("apt-get", "dpkg"):
        if shutil.which(program) is None:
            pytest.skip(f"needs Debian's packages {', '.join(packages)}: there is no {program}")
    root.mkdir()
    for package in packages:
        _run(["apt-get", "download", package], place)
    for archive in place.glob("*.deb"):
        _run(["dpkg", "-x", str(archive), str(root)], place)
    for path in (root, *root.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)


def _run(command: list[str], place: Path, environment: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(
        command, cwd=place, capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines()
        pytest.skip(f"Debian's {command[0]} cannot be had: {words[-1] if words else 'no reason'}")
