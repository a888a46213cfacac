"""The Python interpreters of this machine, and virtual environments of them."""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["MINORS", "Environment", "interpreter"]

MINORS = range(11, 15)
"""The Python 3 versions that pgiostat supports."""


def interpreter(minor: int) -> Path | None:
    """Return a Python of that version that can make environments, None if there is none."""
    name = f"python3.{minor}"
    found = [Path(path) for path in (shutil.which(name), sys.executable) if path]
    versions = Path.home() / ".pyenv" / "versions"
    found += sorted(versions.glob(f"3.{minor}.*/bin/{name}"))
    return next((path for path in found if _is(path, minor)), None)


def _is(path: Path, minor: int) -> bool:
    code = "import ensurepip, sys, venv; print(*sys.version_info[:2])"
    done = subprocess.run([path, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.split() == ["3", str(minor)]  # a shim of pyenv may have none behind it


@dataclass(frozen=True)
class Environment:
    """A virtual environment that knows nothing of this one."""

    directory: Path

    @classmethod
    def make(cls, directory: Path, python: Path, *requirements: str) -> "Environment":
        """Make an environment and install requirements into it, from wheels alone."""
        _run(sys.executable, "-m", "uv", "venv", "--quiet", "--python", python, directory)
        made = cls(directory)
        made.install(*requirements)
        return made

    def install(self, *requirements: str) -> None:
        """Install requirements."""
        pip = (sys.executable, "-m", "uv", "pip", "install", "--quiet", "--only-binary", ":all:")
        _run(*pip, "--python", self.directory / "bin" / "python", *requirements)

    @property
    def size(self) -> int:
        """The bytes of its files."""
        files = (path for path in self.directory.rglob("*") if not path.is_symlink())
        return sum(path.stat().st_size for path in files if path.is_file())

    def run(
        self, *arguments: str | Path, env: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run a program of the environment, in its directory."""
        program, *rest = arguments
        return subprocess.run(
            [self.directory / "bin" / program, *rest],
            cwd=self.directory,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.directory)} | dict(env or {}),
            capture_output=True,
            text=True,
            check=False,
        )


def _run(*command: str | Path) -> None:
    done = subprocess.run([*command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
