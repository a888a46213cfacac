"""The text of a suggested rules file."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC

from pgiostat.escape import terminal, toml, toml_value
from pgiostat.queries.rules.suggest.groups import MeasuredRule, glob_of
from pgiostat.queries.rules.suggest.observed import Observation
from pgiostat.queries.rules.suggest.suggestions import Suggestions
from pgiostat.queries.short_form import short_form
from pgiostat.units import format_counted, format_share

__all__ = ["rule_lines", "rules_file", "taken_words"]

_HEAD = """\
# Categories for pgiostat{server}.
#
# Rules are tried in the order of this file, before those of the preset. The first that matches
# gives a statement its category. What no rule matches is named after what it does, for example
# "select orders".
#   pgiostat rules test --rules {path} DSN      the categories of the server's statements
#   pgiostat rules test --rules {path} 'SQL'    why a statement has its category
#   pgiostat rules show --rules {path}          the rules in force and their vocabulary
"""

_VOCABULARY = """
# A list of one of these names replaces that of the preset sync, and its rules become exact.
# Names are shell globs on identifiers as PostgreSQL folds them; schema.table also matches
# the schema, and ! excludes a name.
"""
_NOT_SYNC = """
# Vocabulary of the preset sync: versions, manifests, uploads, downloads. It is a comment, because
# nothing shows that these tables are synchronized, and synced or versions put the preset in force.
# Of {with_keys} with a primary key, {synced} a version, a time of change or a publication.
"""

_LISTS = {
    "synced": (
        "Synchronized tables: versions, manifests and downloads are read from these.",
        ["customer*", "invoice*"],
    ),
    "versions": (
        "Columns that increase with every change.",
        ["row_version", "RowVersion"],
    ),
    "changed": (
        "Columns with the time of a change; treated as versions where their use is unambiguous.",
        ["updated_at"],
    ),
    "keys": ("Columns of primary keys.", ["id", "*_id"]),
    "caches": (
        "Small tables with the versions of other tables: version caches.",
        ["table_version"],
    ),
}

_TABLES = """
# Groups of tables, and of functions and procedures. {share} of all reads are of statements that
# match these rules. A share leaves out statements that match a rule above. An example is shown in
# short: verb (none for a SELECT), tables, conditions, columns. A category may have the placeholders
# {{verb}}, {{schema}} and {{table}}: "orders {{verb}}" makes orders select, orders update, …
"""
_NO_GROUPS = """
# No tables of the catalog belong together, and none reads much: what reads is named after tables.
"""
_TABLES_BESIDE_SYNC = """
# Groups of tables, as comments: tried before the rules of the preset sync, they
# would match its versions, manifests, uploads and downloads.
"""
_ROLES = """
# Roles. Uncomment a rule, and move it before the rules of tables, to separate the reads of a role.
"""
_TAGS = """
# Tags in the comments of statements. The server keeps the first text of an entry of
# pg_stat_statements: a tag of later calls is lost. Histories have no comments, so these rules hold
# for a live server alone; so does pgiostat watch --by tag:KEY.
"""

_BRACES = """\
# A category has parentheses in place of the braces of a name: braces in it are placeholders.
"""

_EXAMPLES = """
# A category of your own: every report that groups stock. Keys of "when" must all hold, a list
# means any of it, and "block" must hold within one SELECT.
#
# [[rule]]
# name = "stock-report"
# category = "report"
# when = { statement = "select", reads = "stock_*", block = { group_by = "*" } }
#
# One statement, by the fingerprint that pgiostat shows for it.
#
# [[rule]]
# name = "that-one"
# category = "legacy"
# when = { fingerprint = ["2:5f0839ecfbcb918f"] }
#
# Statements with a comment at their end, /* job='nightly' */. Leading comments are dropped by
# PostgreSQL 18.
#
# [[rule]]
# name = "nightly"
# category = "batch"
# when = { tag = "job=nightly" }
"""

_LONGEST_LINE = 100
_LONGEST_EXAMPLE = 94


def rules_file(found: Suggestions | None, *, path: str, server: str = "") -> str:
    """Return the text of a rules file.

    Empty lists become comments, so that the built-in ones apply.

    Args:
        found: From a server; None without one.
        path: Of the file, for its examples of commands.
        server: Label for its first line; empty without one.
    """
    return "".join(_lines(found, path, server))


def _lines(found: Suggestions | None, path: str, server: str) -> Iterator[str]:
    # A comment ends with its line: a name in it must not.
    yield _HEAD.format(path=terminal(path), server=f" on {terminal(server)}" if server else "")
    if found is not None:
        yield f"#\n# {_measured_on(found.observed)}\n"
        if found.observed.missing:
            yield f"# {terminal(found.observed.missing)}\n"
    yield "schema = 1\n"
    if found is None or found.is_sync:
        yield from (_VOCABULARY, "[vocab]\n", *_lists(found))
    if found is not None:
        yield from _groups(found)
    if found is not None and not found.is_sync:
        yield _NOT_SYNC.format(
            with_keys=format_counted(found.with_keys, "table"),
            synced=_have(len(found.lists.synced)),
        )
        yield from map(_commented, ("\n", _VOCABULARY.lstrip(), "[vocab]\n", *_lists(found)))
    yield _EXAMPLES


def _have(count: int) -> str:
    return {0: "none has", 1: "1 has"}.get(count, f"{count} have")


def _measured_on(observed: Observation) -> str:
    """Return what shares are of."""
    since = "" if observed.since is None else f" since {observed.since.astimezone(UTC):%F %TZ}"
    of = f" of database {terminal(observed.dbname)}" if observed.dbname else ""
    return (
        f"{format_counted(len(observed.statements), 'statement')}{of},"
        f" {format_counted(observed.blocks, 'block')} read{since}: shares are of these blocks."
    )


def _lists(found: Suggestions | None) -> Iterator[str]:
    for name, (meaning, example) in _LISTS.items():
        yield f"\n# {meaning}\n"
        listed: dict[str, str] = getattr(found.lists, name) if found is not None else {}
        if not listed:
            if found is not None:
                yield "# None found in the catalog.\n"
            yield f"# {name} = [{', '.join(map(toml, example))}]\n"
            continue
        yield f"{name} = [\n"
        written = [f"{toml(glob_of(item))}," for item in listed]
        if name == "versions" and "xmin" not in listed:
            written.append('"xmin",')
        width = max(map(len, written))
        for item, why in zip(written, [*listed.values(), "the system column"], strict=False):
            yield f"    {item:<{width}}  # {terminal(why)}\n"
        yield "]\n"


def _braces(groups: Sequence[MeasuredRule]) -> str:
    """Return why categories have parentheses, if the names of their groups have braces."""
    return _BRACES if any(set("{}") & set(each.group.name) for each in groups) else ""


def _groups(found: Suggestions) -> Iterator[str]:
    if not found.tables:
        yield _NO_GROUPS
    else:
        share = format_share(found.share)
        yield _TABLES_BESIDE_SYNC if found.is_sync else _TABLES.format(share=share)
        yield _braces(found.tables)
        yield from _rules(found.tables, are_comments=found.is_sync)
    for head, groups in ((_ROLES, found.roles), (_TAGS, found.tags)):
        if groups:
            yield head
            yield _braces(groups)
            yield from _rules(groups, are_comments=True)


def _rules(groups: Sequence[MeasuredRule], *, are_comments: bool) -> Iterator[str]:
    for each in groups:
        yield "\n"
        text = "\n".join([*rule_lines(each), ""])
        yield _commented(text) if are_comments else text


def _commented(text: str) -> str:
    """Return lines as comments; a blank line stays one."""
    return "".join(
        line if line.startswith("#") or not line.strip() else f"# {line}"
        for line in text.splitlines(keepends=True)
    )


def rule_lines(each: MeasuredRule) -> Iterator[str]:
    """Yield the lines of a suggested rule: what matches it, an example, and the rule."""
    yield f"# {taken_words(each)}: {terminal(each.group.why)}"
    if each.statements:
        yield f"#   {_example(each.statements[0].subject.normalized_text or '')}"
    yield "[[rule]]"
    yield f"name = {toml(each.group.name)}"
    yield f"category = {toml(each.group.category)}"
    line = f"when = {toml_value(each.group.when)}"
    if len(line) <= _LONGEST_LINE:
        yield line
        return
    yield "[rule.when]"
    for key, value in each.group.when.items():
        if isinstance(value, list):
            yield from (f"{key} = [", *_wrapped(map(toml, value)), "]")
        else:
            yield f"{key} = {toml_value(value)}"


def taken_words(each: MeasuredRule) -> str:
    """Return what matches a rule: its share of reads, calls and statements."""
    if not each.statements:
        return "no statement yet"
    return (
        f"{format_share(each.share)} of reads, {format_counted(each.calls, 'call')},"
        f" {format_counted(len(each.statements), 'statement')}"
    )


def _example(text: str) -> str:
    """Return the short form of a statement, as lists of statements have it."""
    shown = terminal(" ".join(short_form(text).split()))
    return shown if len(shown) <= _LONGEST_EXAMPLE else f"{shown[: _LONGEST_EXAMPLE - 1]}…"


def _wrapped(items: Iterable[str]) -> Iterator[str]:
    """Yield items of an array, as many in a line as there is room for."""
    line = "   "
    for item in items:
        if len(line) + len(item) + 2 > _LONGEST_LINE and line.strip():
            yield line
            line = "   "
        line += f" {item},"
    yield line
