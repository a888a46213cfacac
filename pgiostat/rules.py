"""Which category a statement belongs to: rules over its features, first match wins.

A rules file is TOML, schema 1; rules.toml, the built-in one, is an example. The built-in rules
know no schema: they go by what a query does, and by the words that names of versions and keys
are made of. A user's rules come before them, and a list of the user's vocabulary replaces the
built-in list of the same name, in the built-in rules too.
"""

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import translate
from hashlib import blake2b
from importlib.resources import files
from pathlib import Path
from typing import Any

from pgiostat.errors import PgiostatError
from pgiostat.features import BlockFeatures, Features, extract
from pgiostat.fingerprint import Normalized, normalize

__all__ = ["OTHER", "Classified", "Classifier", "Match", "Rules", "builtin", "load"]

OTHER = "other"
"""The category of what no rule matches."""

SCHEMA = 1
MAX_VOCAB_DEPTH = 8


@dataclass(frozen=True, slots=True)
class Match:
    """A category, and the rule that gave it; no rule gives OTHER."""

    category: str
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class Classified:
    """A text with its fingerprint and category."""

    normalized: Normalized
    category: str
    rule: str | None


@dataclass(frozen=True, slots=True)
class _Subject:
    """A statement, with what is known of it beyond its features."""

    features: Features
    fingerprint: str | None
    normalized_text: str | None
    user: str | None
    database: str | None
    queryid: int | None


# --- values ------------------------------------------------------------------------------


class _WrongError(Exception):
    """A mistake in a rules file; whoever knows the place makes a PgiostatError of it."""

    def __init__(self, slug: str, message: str, *, key: str = "", hint: str | None = None) -> None:
        super().__init__(message)
        self.slug = slug
        self.message = message
        self.key = key
        self.hint = hint


class _Globs:
    """A list of shell globs; the last one that matches a name decides, ! takes it out."""

    def __init__(self, globs: Iterable[str]) -> None:
        self._entries = [_entry(glob) for glob in globs]
        self._known: dict[str, bool] = {}

    def match(self, name: str) -> bool:
        """Tell whether a name, perhaps with its schema, is in the list."""
        found = self._known.get(name)
        if found is None:
            short = name.rpartition(".")[2]
            found = False
            for wanted, qualified, matches in self._entries:
                if found is not wanted and matches(name if qualified else short):
                    found = wanted
            if len(self._known) < CACHED:
                self._known[name] = found
        return found

    def any(self, names: Iterable[str]) -> bool:
        return any(map(self.match, names))

    def only(self, names: Iterable[str]) -> bool:
        return all(map(self.match, names))


def _entry(glob: str) -> tuple[bool, bool, Callable[[str], object]]:
    bare = glob.removeprefix("!")
    return bare == glob, "." in bare, re.compile(translate(bare)).match


class _Vocabulary:
    """Named lists, used as "@name" in rules and in each other."""

    def __init__(self, lists: dict[str, list[str]]) -> None:
        self.lists = lists

    def names(self, key: str, value: object) -> list[str]:
        """Return the globs that a value stands for."""
        values: list[Any] = value if isinstance(value, list) else [value]
        if not values or not all(isinstance(item, str) and item for item in values):
            raise _WrongError("rules-value", f'"{key}" must be a name or a list of names', key=key)
        return list(self._expand(values, key, 0))

    def _expand(self, values: list[str], key: str, depth: int) -> Iterable[str]:
        for value in values:
            if not value.startswith("@"):
                yield value
            elif value[1:] not in self.lists or depth > MAX_VOCAB_DEPTH:
                known = ", ".join(f"@{name}" for name in sorted(self.lists)) or "none"
                raise _WrongError(
                    "rules-vocab",
                    f'"{value}" is not in the vocabulary',
                    key=key,
                    hint=f"Lists of the vocabulary: {known}.",
                )
            else:
                yield from self._expand(self.lists[value[1:]], key, depth + 1)


_Make = Callable[[str, Any, _Vocabulary], Callable[[Any], bool]]


def _any_of(get: Callable[[Any], Iterable[str]]) -> _Make:
    """At least one name is in the list; true and false: there is one at all."""

    def make(key: str, value: Any, vocabulary: _Vocabulary) -> Callable[[Any], bool]:
        if isinstance(value, bool):
            return lambda subject: bool(get(subject)) is value
        globs = _Globs(vocabulary.names(key, value))
        return lambda subject: globs.any(get(subject))

    return make


def _all_of(get: Callable[[Any], Iterable[str]]) -> _Make:
    """Each item of the list has a name."""

    def make(key: str, value: Any, vocabulary: _Vocabulary) -> Callable[[Any], bool]:
        values = value if isinstance(value, list) else [value]
        each = [_Globs(vocabulary.names(key, item)) for item in values]
        return lambda subject: all(globs.any(get(subject)) for globs in each)

    return make


def _only(get: Callable[[Any], Iterable[str]]) -> _Make:
    """No name is outside the list, and none is hidden behind a *."""

    def make(key: str, value: Any, vocabulary: _Vocabulary) -> Callable[[Any], bool]:
        globs = _Globs(vocabulary.names(key, value))
        return lambda block: not block.star and globs.only(get(block))

    return make


def _number(key: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _WrongError("rules-value", f'"{key}" must be a whole number', key=key)
    return value


def _is(get: Callable[[Any], bool]) -> _Make:
    def make(key: str, value: Any, _vocabulary: _Vocabulary) -> Callable[[Any], bool]:
        if not isinstance(value, bool):
            raise _WrongError("rules-value", f'"{key}" must be true or false', key=key)
        return lambda subject: get(subject) is value

    return make


def _at_most(get: Callable[[BlockFeatures], int]) -> _Make:
    def make(key: str, value: Any, _vocabulary: _Vocabulary) -> Callable[[Any], bool]:
        most = _number(key, value)
        return lambda block: not block.star and get(block) <= most

    return make


def _at_least(get: Callable[[BlockFeatures], int]) -> _Make:
    def make(key: str, value: Any, _vocabulary: _Vocabulary) -> Callable[[Any], bool]:
        least = _number(key, value)
        return lambda block: block.star or get(block) >= least

    return make


def _queryid(key: str, value: Any, _vocabulary: _Vocabulary) -> Callable[[_Subject], bool]:
    wanted = {_number(key, item) for item in (value if isinstance(value, list) else [value])}
    return lambda subject: subject.queryid in wanted


def _regex(key: str, value: Any, _vocabulary: _Vocabulary) -> Callable[[_Subject], bool]:
    try:
        search = re.compile(value).search
    except (re.error, TypeError) as error:
        message = f'"{key}" is not a regular expression: {error}'
        raise _WrongError("rules-value", message, key=key) from None
    return lambda subject: bool(search(subject.normalized_text or ""))


def _block(key: str, value: Any, vocabulary: _Vocabulary) -> Callable[[_Subject], bool]:
    tests = _tests(key, value, BLOCK_KEYS, vocabulary)
    return lambda subject: any(
        all(test(block) for test in tests) for block in subject.features.blocks
    )


def _not(key: str, value: Any, vocabulary: _Vocabulary) -> Callable[[_Subject], bool]:
    tests = _tests(key, value, STATEMENT_KEYS, vocabulary)
    return lambda subject: not all(test(subject) for test in tests)


def _known(value: str | None) -> tuple[str, ...]:
    return (value,) if value else ()


STATEMENT_KEYS: dict[str, _Make] = {
    "statement": _any_of(lambda subject: _known(subject.features.statement)),
    "wrapper": _any_of(lambda subject: _known(subject.features.wrapper)),
    "writes": _any_of(lambda subject: subject.features.writes),
    "reads": _any_of(lambda subject: subject.features.reads),
    "calls": _any_of(lambda subject: subject.features.calls),
    "cursor": _any_of(lambda subject: _known(subject.features.cursor)),
    "tag": _any_of(lambda subject: subject.features.tags),
    "user": _any_of(lambda subject: _known(subject.user)),
    "database": _any_of(lambda subject: _known(subject.database)),
    "fingerprint": _any_of(lambda subject: _known(subject.fingerprint)),
    "queryid": _queryid,
    "text_regex": _regex,
    "block": _block,
    "not": _not,
}
"""What "when" may say of a statement."""

BLOCK_KEYS: dict[str, _Make] = {
    "reads": _any_of(lambda block: block.reads),
    "aggregates": _any_of(lambda block: block.aggregates),
    "aggregate_columns": _any_of(lambda block: block.aggregate_columns),
    "newest": _any_of(lambda block: block.newest),
    "calls": _any_of(lambda block: block.calls),
    "projects": _any_of(lambda block: block.projects),
    "projects_calls": _any_of(lambda block: block.projects_calls),
    "projects_all": _all_of(lambda block: block.projects),
    "projects_only": _only(lambda block: block.projects),
    "carries_only": _only(lambda block: block.carries),
    "mentions": _any_of(lambda block: block.mentions),
    "mentions_all": _all_of(lambda block: block.mentions),
    "star": _is(lambda block: block.star),
    "order_by": _any_of(lambda block: block.order_by),
    "order_dir": _any_of(lambda block: _known(block.order_dir)),
    "limit": _is(lambda block: block.limit),
    "group_by": _any_of(lambda block: block.group_by),
    "distinct_on": _any_of(lambda block: block.distinct_on),
    "max_columns": _at_most(lambda block: len(block.projects)),
    "min_columns": _at_least(lambda block: len(block.projects)),
    "min_varying": _at_least(lambda block: len(block.varies)),
    "where_eq": _any_of(lambda block: block.where_eq),
    "where_range": _any_of(lambda block: block.where_range),
    "where_in": _any_of(lambda block: block.where_in),
    "where_in_negated": _any_of(lambda block: block.where_in_negated),
}
"""What "block" may say; all of it must hold for one query block."""

_FILE_KEYS = ("schema", "vocab", "rule")
_RULE_KEYS = ("name", "category", "when")


def _tests(
    key: str,
    table: Any,
    makers: dict[str, _Make],
    vocabulary: _Vocabulary,
) -> list[Callable[[Any], bool]]:
    if not isinstance(table, dict):
        raise _WrongError("rules-value", f'"{key}" must be a table, {key} = {{ … }}', key=key)
    _allow(table, makers, f'"{key}"')
    return [makers[name](name, value, vocabulary) for name, value in table.items()]


def _allow(table: dict[str, Any], allowed: Iterable[str], where: str) -> None:
    for key in table:
        if key not in allowed:
            raise _WrongError(
                "rules-key",
                f'"{key}" is not a key of {where}',
                key=key,
                hint=f"Keys of {where}: {', '.join(allowed)}.",
            )


# --- files -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Rule:
    name: str
    category: str
    tests: tuple[Callable[[_Subject], bool], ...]


@dataclass(frozen=True, slots=True)
class _File:
    """A rules file as read, with its text to find the line of a mistake in."""

    name: str
    text: str
    vocab: dict[str, list[str]]
    rules: list[dict[str, Any]]

    def compile(self, vocabulary: _Vocabulary) -> list[_Rule]:
        compiled: list[_Rule] = []
        for index, table in enumerate(self.rules):
            try:
                compiled.append(_rule(table, vocabulary))
            except _WrongError as wrong:
                raise self.error(wrong, index) from None
        return compiled

    def error(self, wrong: _WrongError, rule: int | None = None) -> PgiostatError:
        line = _line(self.text, wrong.key, rule)
        return PgiostatError(
            f"{self.name}, line {line}: {wrong.message}",
            slug=wrong.slug,
            hint=wrong.hint,
        )


def _rule(table: dict[str, Any], vocabulary: _Vocabulary) -> _Rule:
    _allow(table, _RULE_KEYS, "a rule")
    for key in ("name", "category"):
        if not isinstance(table.get(key), str) or not table[key]:
            raise _WrongError("rules-value", f'a rule needs a "{key}", a text', key=key)
    tests = _tests("when", table.get("when"), STATEMENT_KEYS, vocabulary)
    return _Rule(table["name"], table["category"], tuple(tests))


def _line(text: str, key: str, rule: int | None) -> int:
    """Return the line of a key, in the rule of an index; the rule's own if the key has none."""
    lines = text.splitlines()
    starts = [n for n, line in enumerate(lines) if line.replace(" ", "").startswith("[[rule]]")]
    first, last = 0, len(lines)
    if rule is not None and rule < len(starts):
        first = starts[rule]
        last = starts[rule + 1] if rule + 1 < len(starts) else last
    wanted = re.compile(rf"(?<![\w-])[\"']?{re.escape(key)}[\"']?\s*(?:=|\.)")
    for number, line in enumerate(lines[first:last], first + 1):
        if key and wanted.search(line):
            return number
    return first + 1


def _parse(name: str, text: str) -> _File:
    file = _File(name, text, {}, [])
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PgiostatError(f"{name}: {error}", slug="rules-toml") from None
    try:
        _check(tables)
    except _WrongError as wrong:
        raise file.error(wrong) from None
    return _File(name, text, tables.get("vocab", {}), tables.get("rule", []))


def _check(tables: dict[str, Any]) -> None:
    """Check the frame of a rules file; each rule is checked when it is compiled."""
    _allow(tables, _FILE_KEYS, "a rules file")
    if tables.get("schema") != SCHEMA:
        hint = f"The first line of a rules file is: schema = {SCHEMA}"
        raise _WrongError("rules-schema", f"schema is not {SCHEMA}", key="schema", hint=hint)
    vocab, rules = tables.get("vocab", {}), tables.get("rule", [])
    if not isinstance(vocab, dict):
        raise _WrongError("rules-value", '"vocab" must be a table, [vocab]', key="vocab")
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        raise _WrongError("rules-value", "each rule must be a table, [[rule]]", key="rule")
    for key, value in vocab.items():
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise _WrongError("rules-value", f'"{key}" must be a list of names', key=key)


class Rules:
    """Rules in order; the first one that matches a statement gives its category."""

    def __init__(self, rules: Iterable[_Rule]) -> None:
        self._rules = tuple(rules)

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories there are, in order of their first rule, OTHER last."""
        return tuple(dict.fromkeys([*(rule.category for rule in self._rules), OTHER]))

    def classify(
        self,
        features: Features,
        *,
        fingerprint: str | None = None,
        normalized_text: str | None = None,
        user: str | None = None,
        database: str | None = None,
        queryid: int | None = None,
    ) -> Match:
        """Return the first match, or OTHER."""
        subject = _Subject(features, fingerprint, normalized_text, user, database, queryid)
        return next(self._matches(subject), Match(OTHER))

    def matches(
        self,
        features: Features,
        *,
        fingerprint: str | None = None,
        normalized_text: str | None = None,
        user: str | None = None,
        database: str | None = None,
        queryid: int | None = None,
    ) -> list[Match]:
        """Return every match in order: the winner and the runners-up."""
        subject = _Subject(features, fingerprint, normalized_text, user, database, queryid)
        return list(self._matches(subject))

    def _matches(self, subject: _Subject) -> Iterator[Match]:
        for rule in self._rules:
            if all(test(subject) for test in rule.tests):
                yield Match(rule.category, rule.name)


def builtin() -> Rules:
    """Return the rules that know no schema."""
    file = _builtin()
    return Rules(file.compile(_Vocabulary(file.vocab)))


def load(path: str | Path) -> Rules:
    """Return a user's rules, followed by the built-in ones.

    Raises PgiostatError rules-… for a file with a mistake, with its line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        message = f'could not read rules file "{path}": {reason}'
        raise PgiostatError(message, slug="rules-file") from None
    user, ours = _parse(str(path), text), _builtin()
    vocabulary = _Vocabulary(ours.vocab | user.vocab)
    return Rules([*user.compile(vocabulary), *ours.compile(vocabulary)])


def _builtin() -> _File:
    return _parse("rules.toml", files("pgiostat").joinpath("rules.toml").read_text("utf-8"))


# --- texts -------------------------------------------------------------------------------

CACHED = 20_000
LONG = 4096


class Classifier:
    """Classifies texts, each once; features are extracted once per fingerprint."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._texts: dict[str | bytes, tuple[Normalized, Features]] = {}
        self._features: dict[str, Features] = {}

    def classify_text(
        self,
        text: str | bytes,
        *,
        user: str | None = None,
        database: str | None = None,
        queryid: int | None = None,
    ) -> Classified:
        """Return a text's normalized form and category."""
        normalized, features = self._read(text)
        match = self.rules.classify(
            features,
            fingerprint=normalized.fingerprint,
            normalized_text=normalized.text,
            user=user,
            database=database,
            queryid=queryid,
        )
        return Classified(normalized, match.category, match.rule)

    def _read(self, text: str | bytes) -> tuple[Normalized, Features]:
        key = text if len(text) < LONG else _digest(text)
        found = self._texts.get(key)
        if found is None:
            normalized = normalize(text)
            base = self._features.get(normalized.fingerprint)
            features = extract(text, normalized=normalized, base=base)
            found = normalized, features
            _keep(self._features, normalized.fingerprint, features)
            _keep(self._texts, key, found)
        return found


def _digest(text: str | bytes) -> bytes:
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return blake2b(raw, digest_size=32).digest()


def _keep(cache: dict[Any, Any], key: object, value: object) -> None:
    """Remember a value; the oldest one goes when there are too many."""
    if len(cache) >= CACHED:
        del cache[next(iter(cache))]
    cache[key] = value
