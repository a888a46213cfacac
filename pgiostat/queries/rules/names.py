"""Names in rules: shell globs, and lists of them that rules and lists refer to by @name."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import translate
from typing import Any

from pgiostat.queries.rules.rule_errors import Mistake

__all__ = ["Globs", "NameLists"]

MAX_DEPTH = 8
MAX_REMEMBERED = 20_000


class Globs:
    """A list of shell globs; the last one that matches a name decides, ! takes it out."""

    def __init__(self, globs: Iterable[str]) -> None:
        self._entries = [_entry(glob) for glob in globs]
        self._known: dict[str, bool] = {}

    def match(self, name: str) -> bool:
        """Return whether a name, perhaps with its schema, is in the list."""
        found = self._known.get(name)
        if found is None:
            short = name.rpartition(".")[2]
            found = False
            for wanted, qualified, matches in self._entries:
                if found is not wanted and matches(name if qualified else short):
                    found = wanted
            if len(self._known) < MAX_REMEMBERED:
                self._known[name] = found
        return found

    def any(self, names: Iterable[str]) -> bool:
        """Return whether one of the names is in the list."""
        return any(map(self.match, names))

    def all(self, names: Iterable[str]) -> bool:
        """Return whether no name is outside the list."""
        return all(map(self.match, names))


def _entry(glob: str) -> tuple[bool, bool, Callable[[str], object]]:
    bare = glob.removeprefix("!")
    return bare == glob, "." in bare, re.compile(translate(bare)).match


class NameLists:
    """Named lists, used as "@name" in rules and in each other."""

    def __init__(self, lists: Mapping[str, list[str]]) -> None:
        self.lists = lists

    def globs(self, key: str, value: object) -> Globs:
        """Return the globs of a value: a name or a list of names."""
        values: list[Any] = value if isinstance(value, list) else [value]
        if not values or not all(isinstance(item, str) and item for item in values):
            message = f'"{key}" must be a name or a list of names'
            raise Mistake("rules-value", message, key=key)
        return Globs(self._expand(values, key, 0))

    def _expand(self, values: list[str], key: str, depth: int) -> Iterator[str]:
        for value in values:
            if not value.startswith("@"):
                yield value
            elif value[1:] not in self.lists or depth > MAX_DEPTH:
                known = ", ".join(f"@{name}" for name in sorted(self.lists)) or "none"
                raise Mistake(
                    "rules-vocab",
                    f'"{value}" is not in the vocabulary',
                    key=key,
                    hint=f"Lists of the vocabulary: {known}.",
                )
            else:
                yield from self._expand(self.lists[value[1:]], key, depth + 1)
