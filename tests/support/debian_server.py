"""A PostgreSQL server of a newer Debian, unpacked beside its own libraries: nothing is installed.

The newest major version is in Debian before npm has a package of it. Its programs need a newer C
library than this machine may have, so they are made to use the one that is unpacked with them.
"""

import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.support.server_cache import server_cache

__all__ = ["DEBIAN_SERVERS", "debian_server_binaries"]

DEBIAN_SERVERS = {19: "experimental"}
"""Major versions that npm has no package of, and the suite of Debian that has them."""

_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_LIBRARIES = "$ORIGIN/../../../x86_64-linux-gnu"
_LOADER = Path("usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")


def debian_server_binaries(major: int) -> Path:
    """Return the programs of a version; they are fetched if they are not there yet.

    Args:
        major: One of DEBIAN_SERVERS.

    Raises:
        pytest.UsageError: The packages cannot be fetched or do not run here.
    """
    suite = DEBIAN_SERVERS[major]
    home = server_cache() / f"debian-{suite}-{major}"
    binaries = Path("usr/lib/postgresql", str(major), "bin")
    if not home.exists():
        if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
            raise pytest.UsageError(f"PostgreSQL {major}: its packages are for Linux on x86_64")
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent, prefix="fetching-") as place:
            root = Path(place) / "root"
            root.mkdir()
            _unpack(_Archive(Path(place), suite), major, root)
            _use_own_libraries(root / binaries, home, _patchelf(Path(place)))
            if not home.exists():  # another run may have been quicker
                root.rename(home)
    return home / binaries


class _Archive:
    """Packages of a suite of Debian, from the archive that this machine installs from.

    Args:
        place: A directory for the lists and the packages.
        suite: The suite; sid is used beside it.
    """

    def __init__(self, place: Path, suite: str) -> None:
        self.place = place
        for directory in (
            "etc/apt.conf.d",
            "etc/preferences.d",
            "state/lists/partial",
            "cache/archives/partial",
        ):
            (place / directory).mkdir(parents=True)
        (place / "status").touch()
        listed = _run(
            "apt-get", "indextargets", "--format", "$(REPO_URI)",
            "Created-By: Packages", "Origin: Debian", "Label: Debian",
        )  # fmt: skip
        if not listed:
            raise pytest.UsageError("apt on this machine has no archive of Debian")
        sources = place / "sources.list"
        sources.write_text(
            "".join(
                f"deb [signed-by={_KEYRING}] {listed.split()[0]} {each} main\n"
                for each in ("sid", suite)
            ),
            encoding="utf-8",
        )
        values = {
            "Dir::Etc": place / "etc",
            "Dir::Etc::sourcelist": sources,
            "Dir::State": place / "state",
            "Dir::State::status": place / "status",
            "Dir::Cache": place / "cache",
            "APT::Sandbox::User": "root",
            "Acquire::Check-Valid-Until": "false",  # an archive may be a copy of some weeks ago
        }
        self._options = [
            part for name, value in values.items() for part in ("-o", f"{name}={value}")
        ]
        self.apt("apt-get", "-qq", "update")

    def apt(self, program: str, *arguments: str) -> str:
        """Run a program of apt on these suites."""
        return _run(program, *self._options, *arguments, place=self.place)

    def libraries_of(self, *packages: str) -> list[str]:
        """Return the libraries that packages depend on; not their other dependencies."""
        shown = self.apt("apt-cache", "show", "--no-all-versions", *packages)
        depends = (line for line in shown.splitlines() if line.startswith("Depends: "))
        names = (
            each.split("|")[0].split("(")[0].strip()
            for line in depends
            for each in line.removeprefix("Depends: ").split(",")
        )
        return sorted({name for name in names if name.startswith(("lib", "zlib"))})


def _unpack(archive: _Archive, major: int, root: Path) -> None:
    """Unpack a server, its clients and the libraries of both, also those of the libraries."""
    wanted = (f"postgresql-{major}", f"postgresql-client-{major}")
    archive.apt(
        "apt-get", "install", "--download-only", "-qq", "-y", "--no-install-recommends",
        *archive.libraries_of(*wanted),
    )  # fmt: skip
    archive.apt("apt-get", "download", "-qq", *wanted)
    for package in archive.place.rglob("*.deb"):
        _run("dpkg", "-x", str(package), str(root))
    for path in (root, *root.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)


def _patchelf(place: Path) -> str:
    """Return the program that changes which loader a program uses; the machine's own, if any."""
    if found := shutil.which("patchelf"):
        return found
    fetched = place / "patchelf"
    fetched.mkdir()
    _run("apt-get", "-o", "APT::Sandbox::User=root", "download", "-qq", "patchelf", place=fetched)
    _run("dpkg", "-x", *map(str, fetched.glob("*.deb")), str(fetched))
    return str(fetched / "usr" / "bin" / "patchelf")


def _use_own_libraries(binaries: Path, home: Path, patchelf: str) -> None:
    """Make programs use the loader below their home, and the libraries beside it.

    With RPATH, not RUNPATH: what a library needs is looked up in the same place.
    """
    for program in binaries.iterdir():
        if program.is_file() and program.read_bytes()[:4] == b"\x7fELF":
            _run(
                patchelf, "--set-interpreter", str(home / _LOADER), "--force-rpath",
                "--set-rpath", _LIBRARIES, str(program),
            )  # fmt: skip


def _run(*command: str, place: Path | None = None) -> str:
    try:
        done = subprocess.run(
            command,
            cwd=place,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError as error:
        raise pytest.UsageError(f"there is no {command[0]} on the PATH") from error
    if done.returncode:
        raise pytest.UsageError(f"{' '.join(command)} failed:\n{done.stderr or done.stdout}")
    return done.stdout
