"""Version of the code that determines categories; nothing else is imported with it.

Categories that were determined once are cached under a name with this version. After a change of
the code `python -m tests.queries_version` writes both constants; a test fails until it has run.
"""

__all__ = ["SOURCES", "VERSION"]

VERSION = 10
"""Higher after every change that can give a statement another category."""
SOURCES = "8e8650eb0cc8f0539e836098e53875c3"
"""Digest of the sources that VERSION is of."""
