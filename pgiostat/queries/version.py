"""Version of the code that determines categories; nothing else is imported with it.

Categories that were determined once are cached under a name with this version. After a change of
the code `python -m tests.queries_version` writes both constants; a test fails until it has run.
"""

__all__ = ["SOURCES", "VERSION"]

VERSION = 13
"""Higher after every change that can give a statement another category."""
SOURCES = "9e81b64d8941641a411eb09b5b8037a1"
"""Digest of the sources that VERSION is of."""
