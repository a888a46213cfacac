"""The wheel and the source distribution, as a release builds them."""

import subprocess
import sys
from pathlib import Path

__all__ = ["ROOT", "build"]

ROOT = Path(__file__).parents[2]


def build(directory: Path, target: str) -> Path:
    """Build a distribution into a directory and return its file.

    Args:
        directory: Where it is written.
        target: wheel or sdist.
    """
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(directory)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (built,) = directory.glob("*.whl" if target == "wheel" else "*.tar.gz")
    return built
