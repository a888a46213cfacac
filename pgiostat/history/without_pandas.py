"""Blocks pandas, which other libraries import to check whether a value is a frame."""

import sys

__all__ = ["allow_pandas", "block_pandas"]


class _PandasBlocker:
    """Finds no pandas.

    Arrow and DuckDB import it, which takes a third of a second, and no command makes a frame;
    without it they take no value for one.  No importlib.abc.MetaPathFinder: to import that takes a
    sixth of what --help takes beside typer.
    """

    def find_spec(self, fullname: str, _path: object = None, _target: object = None) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError(name=fullname)


def block_pandas() -> None:
    """Do without pandas from now on; the process is to make no frame."""
    sys.meta_path.insert(0, _PandasBlocker())


def allow_pandas() -> None:
    """Let it be imported again, by who cannot do without."""
    sys.meta_path[:] = [
        finder for finder in sys.meta_path if not isinstance(finder, _PandasBlocker)
    ]
