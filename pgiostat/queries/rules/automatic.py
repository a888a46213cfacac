"""The category of a statement that no rule matches: what it does, and to which table.

`select orders`, `insert events`, `function app.search`, and one name each for commands that are
not about the rows of a table.
"""

import re

from pgiostat.queries.features import Features
from pgiostat.queries.fingerprint.words import words
from pgiostat.statistics.names import OTHER, split_action

__all__ = ["CATALOG", "automatic_category", "table_read"]

CATALOG = "catalog queries"
"""Category of queries of system catalogs and system views."""

_COMMANDS = {
    verb: category
    for category, verbs in {
        "copy": "copy_to copy_from",
        "procedure": "do",
        "explain": "explain",
        "maintenance": "vacuum analyze analyse reindex cluster repack checkpoint",
        "ddl": "create alter drop grant revoke comment security reassign import",
        "session": """begin start commit end rollback abort savepoint release set reset show discard
            listen unlisten notify deallocate prepare execute close lock load
            wait""",
    }.items()
    for verb in verbs.split()
}
"""Categories of commands that are not about the rows of a table."""
_NAMED = words("create refresh procedure")
"""Commands that run a query, or statements of a procedure: their names lead to what reads."""
_QUERIES = words("select values table declare")

_WITHOUT_READS = frozenset({CATALOG, "function", "procedure", "session"})
"""Verbs of statements that a ranking by table puts under no table."""

_SESSION_FUNCTIONS = words(
    """clock_timestamp current_catalog current_database current_schema current_schemas
    current_setting current_user inet_client_addr inet_server_addr now set_config
    statement_timestamp timeofday transaction_timestamp version"""
)
_CATALOG_FUNCTIONS = re.compile(
    r"to_reg\w+|has_\w+_privilege|format_type|(?:col|obj|shobj)_description"
)
_SYSTEM_SCHEMAS = ("pg_catalog.", "information_schema.")


def automatic_category(features: Features) -> str:
    """Return what a statement does, and to which table; "other" if its text does not say so.

    >>> from pgiostat.queries.features import extract
    >>> def named(text):
    ...     return automatic_category(extract(text))
    >>> named("SELECT * FROM public.orders o JOIN items i ON i.order_id = o.id")
    'select orders'
    >>> named("WITH next AS (SELECT id FROM job LIMIT 1) UPDATE job SET state = 1 FROM next")
    'update job'
    >>> named("CREATE INDEX ON orders (day)"), named("VACUUM orders"), named("CALL close_day(1)")
    ('maintenance', 'maintenance', 'procedure close_day')
    >>> named("CREATE TABLE top AS SELECT 1"), named("REFRESH MATERIALIZED VIEW sales.by_day")
    ('create top', 'refresh sales.by_day')
    """
    if features.wrapper == "explain":
        return "explain"
    if features.main.action == "index":
        return "maintenance"
    if features.main.action in _NAMED:
        return _of(features.main.action, features.main.name)
    return _COMMANDS.get(features.statement) or _about_rows(features)


def table_read(features: Features) -> str:
    """Return the table that a statement reads, as a ranking by table has it; empty for none.

    That of an INSERT is the table of its query, if it has one; a COPY and a CREATE TABLE AS have
    that of their query, too. An UPDATE, a DELETE and a MERGE have their target. A function is no
    table.

    >>> from pgiostat.queries.features import extract
    >>> [
    ...     table_read(extract(text))
    ...     for text in ("INSERT INTO a SELECT * FROM s.b", "INSERT INTO a VALUES (1)", "VACUUM c")
    ... ]
    ['s.b', 'a', 'c']
    >>> table_read(extract("SELECT f()")), table_read(extract("SELECT * FROM pg_class"))
    ('', '')
    """
    verb, _ = split_action(automatic_category(features))
    if verb in _WITHOUT_READS:
        return ""
    target = "" if features.main.action == "create" else features.main.table
    names = filter(None, (features.main.source, target))
    return next((name.removeprefix("public.") for name in names if not _is_system(name)), "")


def _is_system(name: str) -> bool:
    return name.startswith(_SYSTEM_SCHEMAS) or (name.startswith("pg_") and "." not in name)


def _about_rows(features: Features) -> str:
    action, name = features.main.action, features.main.name
    if action == "function":
        return _without_table(features, name)
    if not name:
        return OTHER
    if _is_system(name):
        return CATALOG
    return _of(action, name)


def _without_table(features: Features, function: str) -> str:
    """Return the category of a query of no table."""
    plain = function.removeprefix("pg_catalog.")
    if _CATALOG_FUNCTIONS.fullmatch(plain):
        return CATALOG
    if plain in _SESSION_FUNCTIONS or plain.startswith("pg_"):
        return "session"
    if function:
        return _of("function", function)
    return OTHER if features.truncated or features.statement not in _QUERIES else "session"


def _of(action: str, name: str) -> str:
    return f"{action} {name.removeprefix('public.')}".rstrip()
