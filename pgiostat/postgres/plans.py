"""Generic plans of statements, by EXPLAIN without ANALYZE, on request only.

The statement is prepared and never executed, in a read-only transaction that is rolled back, on a
connection of its own with short limits. `PREPARE … AS` takes one statement that returns or changes
rows, and the extended protocol takes one command: a hostile text runs nothing. The planner itself
evaluates functions that are not volatile, with the rights of the role that plans.

EXPLAIN (IO) of PostgreSQL 19 requires ANALYZE, and is not used.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, cast

import psycopg

from pgiostat.analysis.plans import (
    IndexSize,
    NoPlan,
    PlanNode,
    RelationSize,
    StatementPlan,
    node_reads,
    parse_plan,
    shape_of,
)
from pgiostat.errors import PgiostatError
from pgiostat.escape import identifier, line
from pgiostat.postgres.connection import database_beside
from pgiostat.postgres.driver import dbname_of
from pgiostat.postgres.query_errors import explain
from pgiostat.postgres.relation_reader import without_constants
from pgiostat.postgres.sent_sql import plan_prepare, plan_query, text_of
from pgiostat.postgres.session import ServerSession
from pgiostat.postgres.session_settings import PLAN_SETTINGS
from pgiostat.postgres.texts import TextReader
from pgiostat.queries.fingerprint import fingerprint, normalize
from pgiostat.queries.fingerprint.words import words
from pgiostat.queries.plannable import Plannable, plannable
from pgiostat.queries.tables import tables_of
from pgiostat.statistics.names import StatementKey

__all__ = ["plan_of"]

_MODES = (160000, "SET", "MEMBER")
"""Since 16, a role may be a member of another that it may not take."""
_GENERIC_SINCE = 160000
_READ_ALL_SINCE = 140000
_DEFAULT_PATH = '"$user", public'
_PLANNER_PREFIXES, _PLANNER_SUFFIXES = ("enable_", "min_parallel_"), ("_cost", "_collapse_limit")
_PLANNER_SETTINGS = words(
    """work_mem hash_mem_multiplier effective_cache_size effective_io_concurrency geqo
    geqo_threshold jit max_parallel_workers_per_gather constraint_exclusion cursor_tuple_fraction
    temp_buffers parallel_leader_participation"""
)
_OURS = ("plan_cache_mode", "search_path")
"""Settings that we made ourselves: they are not shown as those of the session."""
_DENIED = "42501"
_PATH_ERRORS = {"42P01", "42883", "3F000", "42704"}
"""There is no such table, function, schema or type: on this search_path."""


def plan_of(
    session: ServerSession, keys: Sequence[StatementKey], expected: str = ""
) -> StatementPlan | NoPlan:
    """Return a generic plan of a statement, or why there is none.

    Args:
        session: The server. Its connection only reads the text: the plan has another one.
        keys: The entries of the statement: role, database and queryid. The first one in the
            connected database with a text that may be sent is planned.
        expected: The fingerprint of the statement; empty if any is right.
    """
    here = [key for key in keys if key[1] == session.server.dbid]
    if not here:
        return NoPlan(
            "it runs in another database" if keys else "it has no entry in pg_stat_statements",
            "Connect to the database of the statement." if keys else "",
        )
    try:
        texts = TextReader(session).read(here).texts
        why = Plannable(reason="pg_stat_statements no longer has its text")
        for key in here:
            if key not in texts:
                continue
            if expected and fingerprint(texts[key]) != expected:
                why = Plannable(reason="its entry on this server is another statement")
                continue
            why = plannable(texts[key])
            if why.text:
                return _planned(session, key, why)
        return NoPlan(why.reason)
    except PgiostatError as error:
        return NoPlan(f"{error.message}. {error.detail or ''}".strip(), error.hint or "")


@dataclass(frozen=True, slots=True)
class _Target:
    """The role of a statement, and the one that plans."""

    role: str
    may_take: bool
    session_role: str
    may_run_programs: bool
    has_functions: bool

    @property
    def planner(self) -> str:
        """The role that the statement is planned as."""
        return self.role if self.may_take else self.session_role


def _planned(
    session: ServerSession, key: StatementKey, statement: Plannable
) -> StatementPlan | NoPlan:
    """Plan a statement on a connection of its own."""
    dbname = dbname_of(session.conn)
    with closing(database_beside(session.conn, dbname, settings=PLAN_SETTINGS)) as conn:
        conn.prepare_threshold = None
        with explain(conn), _rolled_back(conn):
            for name in ("statement_timeout", "lock_timeout"):  # a pooler drops ours
                _set(conn, name, PLAN_SETTINGS[name])
            since, newer, older = _MODES
            mode = newer if session.server.version_num >= since else older
            row = conn.execute(text_of("plan_target"), {"userid": key[0], "mode": mode}).fetchone()
            if row is None:
                return NoPlan("its role no longer exists")
            target = _Target(*row)
            if target.may_run_programs and target.has_functions:
                return _unsafe(target)
            settings = _settings(conn, key)
            path = settings.get("search_path", _DEFAULT_PATH)
            path = path.replace('"$user"', identifier(target.role))
            try:
                return _explained(
                    conn, session, statement, target, settings | {"search_path": path}
                )
            except psycopg.Error as error:
                if conn.closed or conn.broken:
                    raise
                return _Refusal(conn, statement, target, path).answer(error)


@contextmanager
def _rolled_back(conn: psycopg.Connection[Any]) -> Iterator[None]:
    conn.execute("START TRANSACTION ISOLATION LEVEL READ COMMITTED READ ONLY")
    try:
        yield
    finally:
        if not conn.closed and not conn.broken:
            conn.execute("ROLLBACK")


def _set(conn: psycopg.Connection[Any], name: str, value: str) -> None:
    """Set a parameter until the transaction ends."""
    conn.execute(text_of("plan_set"), {"name": name, "value": value})


def _settings(conn: psycopg.Connection[Any], key: StatementKey) -> dict[str, str]:
    """Return the settings of the role and the database that decide plans."""
    rows = conn.execute(text_of("plan_settings"), {"userid": key[0], "dbid": key[1]}).fetchall()
    found = dict(row[0].split("=", 1) for row in rows)
    return {name: value for name, value in found.items() if name == "search_path" or _decides(name)}


def _decides(setting: str) -> bool:
    return (
        setting.startswith(_PLANNER_PREFIXES)
        or setting.endswith(_PLANNER_SUFFIXES)
        or setting in _PLANNER_SETTINGS
    )


def _explained(
    conn: psycopg.Connection[Any],
    session: ServerSession,
    statement: Plannable,
    target: _Target,
    settings: Mapping[str, str],
) -> StatementPlan:
    """Return the plan of a statement; raises what psycopg does."""
    if target.role != target.session_role and target.may_take:
        _set(conn, "role", target.role)
    for name, value in settings.items():
        _set(conn, name, value)
    _set(conn, "plan_cache_mode", "force_generic_plan")
    found = _run(conn, session, statement)
    if session.server.version_num < _GENERIC_SINCE and _is_pruned(found):
        # A NULL prunes all partitions where execution begins. Without pruning all are shown, as
        # GENERIC_PLAN of later versions does.
        _set(conn, "enable_partition_pruning", "off")
        found = _run(conn, session, statement)
    root = parse_plan(found["Plan"], without_constants)
    changed = {
        name: str(value) for name, value in found.get("Settings", {}).items() if name not in _OURS
    }
    cost = float(changed.get("random_page_cost", 4.0))
    return StatementPlan(
        nodes=node_reads(root, _sizes(conn, root), cost),
        shape=shape_of(root),
        role=target.planner,
        statement_role=target.role,
        search_path=settings["search_path"],
        settings=tuple(sorted(changed.items())),
    )


def _run(
    conn: psycopg.Connection[Any], session: ServerSession, statement: Plannable
) -> dict[str, Any]:
    """Return what EXPLAIN returns of a statement that is prepared, and prepare it no longer."""
    is_generic = session.server.version_num >= _GENERIC_SINCE
    conn.execute("SAVEPOINT pgiostat_plan")
    is_prepared = False
    try:
        conn.execute(plan_prepare(statement.text))
        is_prepared = True
        row = conn.execute(plan_query(statement.parameters, is_generic=is_generic)).fetchone()
        return cast("tuple[list[dict[str, Any]]]", row)[0][0]
    finally:
        # What is prepared outlives the transaction and, behind a pooler, our use of the connection.
        if not conn.closed and not conn.broken:
            conn.execute("ROLLBACK TO SAVEPOINT pgiostat_plan")
            if is_prepared:
                conn.execute("DEALLOCATE pgiostat_plan")


def _is_pruned(found: Mapping[str, Any]) -> bool:
    return any(each.removed for each in parse_plan(found["Plan"]).walk())


def _sizes(conn: psycopg.Connection[Any], root: PlanNode) -> dict[tuple[str, str], RelationSize]:
    """Return the sizes of the tables of a plan, with their indexes."""
    wanted = {(each.schema, each.relation) for each in root.walk() if each.relation}
    rows = _relations(conn, [each[0] for each in wanted], [each[1] for each in wanted])
    indexes: dict[tuple[str, str], dict[str, IndexSize]] = {}
    for schema, name, *_, index, pages, first in rows:
        here = indexes.setdefault((schema, name), {})
        if index is not None:
            here[index] = IndexSize(float(pages), first or "")
    return {
        (schema, name): RelationSize(float(pages), tuples, float(visible), indexes[schema, name])
        for schema, name, pages, tuples, visible, *_ in rows
        if (schema, name) in wanted
    }


def _unsafe(target: _Target) -> NoPlan:
    return NoPlan(
        f"{target.session_role} may run programs on the server, and a function of another role"
        " that the planner evaluates could do so too",
        "Connect with a role that is no superuser.",
    )


@dataclass(frozen=True, slots=True)
class _Refusal:
    """The server's error for a statement that was to be planned."""

    conn: psycopg.Connection[Any]
    statement: Plannable
    target: _Target
    search_path: str

    def answer(self, error: psycopg.Error) -> NoPlan:
        """Return why there is no plan, and what would allow it."""
        message = line(str(error).splitlines()[0])
        if error.sqlstate == _DENIED:
            return self._denied(message)
        if error.sqlstate not in _PATH_ERRORS:
            return NoPlan(f"the server refused it: {message}")
        hint = (
            f"It was planned with search_path = {self.search_path}, which ALTER ROLE and ALTER"
            " DATABASE set; the application may use another one."
        )
        if self.target.may_take or self.target.role == self.target.session_role:
            return NoPlan(f"the server refused it: {message}", hint)
        return NoPlan(
            f"the server refused it: {message}",
            f"{hint} {self.target.planner} may also lack USAGE on these schemas, which a member of"
            " pg_read_all_data has:",
            self._read_all(),
        )

    def _denied(self, message: str) -> NoPlan:
        role = identifier(self.target.planner)
        if self.statement.changes_rows:
            return NoPlan(
                f"{self.target.planner} may not plan it: {message}",
                "A plan of INSERT, UPDATE, DELETE or MERGE requires the right to write, which"
                " pg_read_all_data does not include. A member of the statement's role may plan as"
                " that role, and may then also write:",
                (f"GRANT {identifier(self.target.role)} TO {role};",),
            )
        tables = self._tables()
        grants = [f"GRANT SELECT ON {', '.join(tables)} TO {role};"] if tables else []
        grants += self._read_all()
        return NoPlan(
            f"{self.target.planner} may not plan it: {message}",
            "One of these allows it:" if len(grants) > 1 else "This allows it:",
            tuple(grants),
        )

    def _read_all(self) -> tuple[str, ...]:
        if self.conn.info.server_version < _READ_ALL_SINCE:
            return ()
        return (f"GRANT pg_read_all_data TO {identifier(self.target.planner)};",)

    def _tables(self) -> list[str]:
        """Return the tables of the statement, each with its schema."""
        names = sorted(tables_of(normalize(self.statement.text).text))
        schemas = [each.strip().strip('"') for each in self.search_path.split(",")]
        bare = [name.strip('"') for name in names if "." not in name]
        found = _relations(self.conn, schemas, bare)
        there = {(schema, name) for schema, name, *_ in found}

        def qualified(name: str) -> str:
            plain = name.strip('"')
            schema = next((each for each in schemas if (each, plain) in there), None)
            return name if schema is None else f"{identifier(schema)}.{identifier(plain)}"

        return [*map(qualified, names)]


def _relations(
    conn: psycopg.Connection[Any], schemas: Sequence[str], names: Sequence[str]
) -> list[tuple[Any, ...]]:
    parameters = {"schemas": [*schemas], "names": [*names]}
    return conn.execute(text_of("plan_relations"), parameters).fetchall()
