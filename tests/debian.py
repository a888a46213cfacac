"""A PostgreSQL of Debian's with pg_stat_kcache: its packages unpacked, nothing installed."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.servers import npm_cache

MAJOR = 15
PACKAGES = (f"postgresql-{MAJOR}", f"postgresql-{MAJOR}-pg-stat-kcache")


def binaries() -> Path:
    """Return the directory of its programs; skips the test where Debian's packages cannot be had.

    PostgreSQL finds its own files from where its programs are, so that no place is asked for.
    """
    home = npm_cache() / f"debian-{MAJOR}"
    found = home / "usr" / "lib" / "postgresql" / str(MAJOR) / "bin"
    if not found.exists():
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent, prefix="fetching-") as place:
            _unpack(Path(place) / "root", Path(place))
            (Path(place) / "root").rename(home)
    _run([str(found / "postgres"), "--version"], found)
    return found


def _unpack(root: Path, place: Path) -> None:
    for program in ("apt-get", "dpkg"):
        if shutil.which(program) is None:
            pytest.skip(f"needs Debian's packages {', '.join(PACKAGES)}: there is no {program}")
    root.mkdir()
    for package in PACKAGES:
        _run(["apt-get", "download", package], place)
    for archive in place.glob("*.deb"):
        _run(["dpkg", "-x", str(archive), str(root)], place)
    for path in (root, *root.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)


def _run(command: list[str], place: Path) -> None:
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines()
        pytest.skip(f"Debian's PostgreSQL cannot be had: {words[-1] if words else command[0]}")
