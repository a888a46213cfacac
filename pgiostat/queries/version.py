"""Version of the code that determines categories; nothing else is imported with it.

Categories that were determined once are cached under a name with this version. After a change of
the code `python -m tests.queries_version` writes both constants; a test fails until it has run.
"""

__all__ = ["SOURCES", "VERSION"]

VERSION = 6
"""Higher after every change that can give a statement another category."""
SOURCES = "0e1d8c134ea64512c38b1c03e0af894a"
"""Digest of the sources that VERSION is of."""
