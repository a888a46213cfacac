"""Imports of the fork server of tests.support.program: the modules that commands need."""

import importlib
import os
import pkgutil

import pgiostat
from pgiostat.history.without_pandas import block_pandas

# As `main` does, before anything imports numpy or looks for pandas.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
block_pandas()

_APART = ("pgiostat.__main__", "pgiostat.dataframes", "pgiostat.history.engines.spark")
"""They run when they are imported, or need pandas or Java."""


def _unless_apart(name: str) -> None:
    """Raise the error of a package that cannot be imported, unless it is apart."""
    if not name.startswith(_APART):
        raise  # noqa: PLE0704 - walk_packages calls it while it handles the error


for _module in pkgutil.walk_packages(pgiostat.__path__, "pgiostat.", onerror=_unless_apart):
    if not _module.name.startswith(_APART) and not _module.name.endswith("__main__"):
        importlib.import_module(_module.name)
