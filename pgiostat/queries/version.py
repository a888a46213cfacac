"""Version of the code that determines categories; nothing else is imported with it.

Categories that were determined once are cached under a name with this version. After a change of
the code `python -m tests.queries_version` writes both constants; a test fails until it has run.
"""

__all__ = ["SOURCES", "VERSION"]

VERSION = 14
"""Higher after every change that can give a statement another category."""
SOURCES = "61ce1b8947455ff6fa36d88697d58b30"
"""Digest of the sources that VERSION is of."""
