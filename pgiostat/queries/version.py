"""Version of the code that determines categories; nothing else is imported with it.

Categories that were determined once are cached under a name with this version. After a change of
the code `python -m tests.queries_version` writes both constants; a test fails until it has run.
"""

__all__ = ["SOURCES", "VERSION"]

VERSION = 13
"""Higher after every change that can give a statement another category."""
SOURCES = "9d3e09927748f8104be3c5d19aadc357"
"""Digest of the sources that VERSION is of."""
