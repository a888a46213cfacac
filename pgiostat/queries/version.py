"""Version of the code that determines categories; nothing else is imported with it.

Categories that were determined once are cached under a name with this version. After a change of
the code `python -m tests.queries_version` writes both constants; a test fails until it has run.
"""

__all__ = ["SOURCES", "VERSION"]

VERSION = 11
"""Higher after every change that can give a statement another category."""
SOURCES = "e50663a8f2cc09e4fb09f474f186c065"
"""Digest of the sources that VERSION is of."""
