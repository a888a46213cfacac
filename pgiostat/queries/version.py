"""Version of the code that determines categories; nothing else is imported with it.

Categories that were determined once are cached under a name with this version. After a change of
the code `python -m tests.queries_version` writes both constants; a test fails until it has run.
"""

__all__ = ["SOURCES", "VERSION"]

VERSION = 7
"""Higher after every change that can give a statement another category."""
SOURCES = "ccac8c8ce1484e5218bc58b6a7f27b47"
"""Digest of the sources that VERSION is of."""
