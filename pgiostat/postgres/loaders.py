"""Loaders of results that check what they load.

psycopg's own in C trust the lengths in an answer. One that is damaged makes them read beyond it,
which can end the process, with all servers that it collects. Those in Python raise an exception.
A snapshot is one row of a few values: the cost is negligible.
"""

from collections.abc import Iterator
from types import ModuleType

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import AdaptersMap, Loader
from psycopg.pq import Format
from psycopg.types import array, bool, datetime, numeric, string, uuid  # noqa: A004 - modules

__all__ = ["checked_adapters"]

_MODULES: tuple[ModuleType, ...] = (array, bool, datetime, numeric, string, uuid)
_TEXTS = ("text", "name", "varchar", "bpchar")


class LenientText(Loader):
    """Decodes a name or a text of any bytes.

    Names in shared catalogs and texts of statements are bytes in the encoding of the session that
    wrote them. What is no UTF-8 becomes U+FFFD.
    """

    format = Format.BINARY

    def load(self, data: Buffer) -> str:
        """Return a text."""
        return bytes(data).decode("utf-8", "replace")


class Plain(Loader):
    """Decodes a value in text format; no query of ours requests one."""

    format = Format.TEXT

    def load(self, data: Buffer) -> str:
        """Return a text."""
        return bytes(data).decode("utf-8", "replace")


def checked_adapters() -> AdaptersMap:
    """Return psycopg's adapters with loaders that check lengths in place of those that do not."""
    made = AdaptersMap(psycopg.adapters)
    for oid, loader in _loaders():
        made.register_loader(oid, loader)
    for name in _TEXTS:
        made.register_loader(name, LenientText)
    return made


def _loaders() -> Iterator[tuple[int, type[Loader]]]:
    """Yield the loader for each type that has one in C."""
    for info in psycopg.adapters.types:
        for oid in filter(None, (info.oid, info.array_oid)):
            known = psycopg.adapters.get_loader(oid, Format.BINARY)
            if known is not None and (checked := _in_python(known)) is not None:
                yield oid, checked
            if psycopg.adapters.get_loader(oid, Format.TEXT) is not None:
                yield oid, Plain


def _in_python(loader: type) -> type[Loader] | None:
    """Return psycopg's loader in Python for one in C, None if it is not in C.

    psycopg takes its own class for that in C again: a subclass is another one.
    """
    if loader.__module__.partition(".")[0] == "psycopg":
        return None
    plain = next(
        (found for module in _MODULES if (found := getattr(module, loader.__name__, None))), None
    )
    return None if plain is None else type(loader.__name__, (plain,), {"__module__": __name__})
