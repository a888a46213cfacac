"""Statements with a secret in each place where the grammar has a value, and what is shown of them.

S is the secret: a bare word in PLACES, which SPELLINGS write as a constant too. Each place is one
of gram.y: what stands there is no name of a relation, column, function, role or database.
"""

import re
from collections.abc import Iterator
from itertools import chain

from tests.support.scanning import constants_and_comments
from tests.support.soup import SECRET_MARK

__all__ = ["KEPT", "LITERALS", "PLACES", "SECRET", "SPELLINGS", "in_places", "spelled"]

# ruff: noqa: E501 - a text and what is shown of it are read best on one line

SECRET = "Zk7Qsecret"

SPELLINGS = ("{}", '"{}"', "'{}'", "E'\\'{}'", "$${}$$", "$a${}$a$", "N'{}'", "U&'{}'")
"""How a value may be written; some places accept constants alone."""

PLACES = {
    "settings": [
        ("SET my.key = S", "set my.key = ?"),
        ("SET SESSION my.key TO S", "set session my.key = ?"),
        ("SET LOCAL my.key = S, S", "set local my.key = ?"),
        ("SET a.b.c.d.e.f.g = S", "set a.b.c.d.e.f.g = ?"),
        ("SET session.key = S", "set session.key = ?"),
        ("SET transaction.key TO S", "set transaction.key = ?"),
        ("SET time.zone TO S", "set time.zone = ?"),
        ("SET ROLE S", "set role ?"),
        ("SET SESSION AUTHORIZATION S", "set session authorization ?"),
        ("SET TIME ZONE S", "set time zone ?"),
        ("SET XML OPTION S", "set xml option ?"),
        ("SET TRANSACTION SNAPSHOT S", "set transaction snapshot ?"),
        ("SET NAMES S", "set names ?"),
        ("SET SCHEMA S", "set schema ?"),
        ("ALTER SYSTEM SET my.key TO S", "alter system set my.key = ?"),
        ("ALTER DATABASE d SET my.key = S, S", "alter database d set my.key = ?"),
        ("ALTER ROLE bob SET my.key = S(1", "alter role bob set my.key = ?"),
        ("ALTER ROLE set IN DATABASE set SET my.key TO S", "alter role set in database set set my.key = ?"),
        ("ALTER USER ALL SET my.key TO S", "alter user all set my.key = ?"),
        ("ALTER FUNCTION f(int, text) STABLE SET my.key TO S", "alter function f(int, text) stable set my.key = ?"),
        ("ALTER PROCEDURE f SET my.key = S", "alter procedure f set my.key = ?"),
        ("CREATE FUNCTION return() RETURNS int SET my.key = S, S SET ROLE S PARALLEL S LANGUAGE sql RETURN 1",
         "create function return() returns int set my.key = ? set role ? parallel ? language sql return ?"),
        ("CREATE OR REPLACE PROCEDURE f(a int DEFAULT 1) SET begin.atomic TO S SET TIME ZONE S SET a FROM CURRENT LANGUAGE sql BEGIN ATOMIC UPDATE t SET a = b; SELECT a FROM t; END",
         "create or replace procedure f(a int default ?) set begin.atomic = ? set time zone ? set a from current language sql begin atomic update t set a = b; select a from t; end"),
    ],
    "definitions": [
        ("CREATE TABLE t (a int) WITH (fillfactor = S, toast.x = S)", "create table t (a int) with (fillfactor = ?, toast.x = ?)"),
        ("CREATE TABLE t WITH (fillfactor = S) AS SELECT a FROM u WHERE (b = c)", "create table t with (fillfactor = ?) as select a from u where (b = c)"),
        ("CREATE TABLE t (a int, UNIQUE (a) WITH (fillfactor = S))", "create table t (a int, unique (a) with (fillfactor = ?))"),
        ("CREATE TABLE t PARTITION OF p FOR VALUES WITH (modulus S, remainder S)", "create table t partition of p for values with (modulus ?, remainder ?)"),
        ("CREATE INDEX i ON t USING gist (a public.ops (siglen = S), (b = c), f(d = e)) WITH (x = S) WHERE (a = b)",
         "create index i on t using gist(a public.ops(siglen = ?), (b = c), f(d = e)) with (x = ?) where (a = b)"),
        ("CREATE VIEW v WITH (security_barrier = S) AS SELECT f(a = b) FROM t WHERE c = d", "create view v with (security_barrier = ?) as select f(a = b) from t where c = d"),
        ("ALTER TABLE t SET (autovacuum_enabled = S, toast.x = S)", "alter table t set (autovacuum_enabled = ?, toast.x = ?)"),
        ("ALTER TABLE t ALTER a SET (n_distinct = S), ADD CHECK (a = b)", "alter table t alter a set (n_distinct = ?), add check (a = b)"),
        ("ALTER TABLE t ALTER a SET STORAGE S, ALTER b SET COMPRESSION S", "alter table t alter a set storage ?, alter b set compression ?"),
        ("CREATE AGGREGATE s.a (int, text) (sfunc = f, stype = int, initcond = S)", "create aggregate s.a(int, text) (sfunc = ?, stype = ?, initcond = ?)"),
        ("CREATE AGGREGATE a (basetype = int, initcond = S)", "create aggregate a(basetype = ?, initcond = ?)"),
        ("CREATE OPERATOR @@ (leftarg = int, procedure = S)", "create operator @@(leftarg = ?, procedure = ?)"),
        ("ALTER OPERATOR @@ (int, int) SET (restrict = S)", "alter operator @@(int, int) set (restrict = ?)"),
        ("CREATE TYPE t (input = f, delimiter = S)", "create type t(input = ?, delimiter = ?)"),
        ("CREATE TYPE t AS RANGE (subtype = S)", "create type t as range(subtype = ?)"),
        ("CREATE TEXT SEARCH DICTIONARY d (template = simple, stopwords = S)", "create text search dictionary d(template = ?, stopwords = ?)"),
        ("ALTER TEXT SEARCH DICTIONARY d (stopwords = S)", "alter text search dictionary d(stopwords = ?)"),
        ("CREATE COLLATION c (provider = icu, locale = S)", "create collation c(provider = ?, locale = ?)"),
        ("CREATE PUBLICATION p FOR TABLE t WHERE (a = b) WITH (publish = S)", "create publication p for table t where (a = b) with (publish = ?)"),
        ("CREATE SUBSCRIPTION s CONNECTION S PUBLICATION p WITH (slot_name = S)", "create subscription s connection ? publication p with (slot_name = ?)"),
        ("ALTER SUBSCRIPTION s SET (slot_name = S)", "alter subscription s set (slot_name = ?)"),
        ("ALTER SUBSCRIPTION s SKIP (lsn = S)", "alter subscription s skip(lsn = ?)"),
        ("CREATE FOREIGN TABLE t (a int OPTIONS (c S)) SERVER s OPTIONS (p S)", "create foreign table t (a int options (c ?)) server s options (p ?)"),
        ("ALTER USER MAPPING FOR u SERVER s OPTIONS (SET password S, ADD a S, DROP b, c S)", "alter user mapping for u server s options (set password ?, add a ?, drop b, c ?)"),
        ("IMPORT FOREIGN SCHEMA x LIMIT TO (a, b) FROM SERVER s INTO y OPTIONS (a S)", "import foreign schema x limit to (a, b) from server s into y options (a ?)"),
    ],
    "options": [
        ("EXPLAIN (ANALYZE, FORMAT S) SELECT a FROM t WHERE (b = c)", "explain (analyze, format ?) select a from t where (b = c)"),
        ("VACUUM (INDEX_CLEANUP S, FULL) t (a, b)", "vacuum(index_cleanup ?, full) t(a, b)"),
        ("ANALYZE (SKIP_LOCKED S) t", "analyze (skip_locked ?) t"),
        ("REINDEX (TABLESPACE S, VERBOSE) TABLE t", "reindex(tablespace ?, verbose) table t"),
        ("CLUSTER (VERBOSE S) t USING i", "cluster(verbose ?) t using i"),
        ("COPY t (a, b) FROM STDIN (FORMAT S, FORCE_NULL (S, c)) WHERE (a = b)", "copy t (a, b) from stdin(format ?, force_null ?) where (a = b)"),
        ("COPY t TO STDOUT WITH (DELIMITER S, FORCE_QUOTE *)", "copy t to stdout with (delimiter ?, force_quote ?)"),
        ("COPY (SELECT a FROM t WHERE (b = c)) TO STDOUT (FORMAT S)", "copy (select a from t where (b = c)) to stdout(format ?)"),
        ("COPY t FROM PROGRAM S", "copy t from program ?"),
        ("COPY t TO S", "copy t to ?"),
        ("CREATE DATABASE d WITH OWNER = S TEMPLATE S CONNECTION LIMIT = S LOCALE S", "create database d with owner = ? template ? connection limit = ? locale ?"),
        ("ALTER DATABASE d ALLOW_CONNECTIONS S", "alter database d allow_connections ?"),
        ("CREATE EXTENSION IF NOT EXISTS x WITH SCHEMA s VERSION S CASCADE", "create extension if not exists x with schema s version ? cascade"),
        ("ALTER EXTENSION x UPDATE TO S", "alter extension x update to ?"),
        ("CREATE SERVER s TYPE S VERSION S FOREIGN DATA WRAPPER w", "create server s type ? version ? foreign data wrapper w"),
        ("CREATE TABLESPACE s OWNER bob LOCATION S", "create tablespace s owner bob location ?"),
        ("CREATE POLICY p ON t AS S USING (a = b)", "create policy p on t as ? using (a = b)"),
        ("CREATE EVENT TRIGGER x ON S EXECUTE FUNCTION f()", "create event trigger x on ? execute function f()"),
        ("SECURITY LABEL FOR S ON ROLE bob IS S", "security label for ? on role bob is ?"),
        ("COMMENT ON COLUMN t.is IS S", "comment on column t.is is ?"),
        ("LOAD S", "load ?"),
    ],
    "passwords": [
        ("CREATE ROLE bob LOGIN PASSWORD S VALID UNTIL S", "create role bob login password ? valid until ?"),
        ("ALTER ROLE password WITH ENCRYPTED PASSWORD S", "alter role password with encrypted password ?"),
        ("CREATE USER bob IN ROLE staff PASSWORD S", "create user bob in role staff password ?"),
        ("CREATE GROUP g PASSWORD S", "create group g password ?"),
        ("CREATE USER MAPPING IF NOT EXISTS FOR bob SERVER s OPTIONS (user S, password S)", "create user mapping if not exists for bob server s options (user ?, password ?)"),
    ],
    "triggers": [
        ("CREATE TRIGGER x AFTER INSERT ON t FOR EACH ROW WHEN (new.a = new.b) EXECUTE FUNCTION s.f(S, 12, S)",
         "create trigger x after insert on t for each row when (new.a = new.b) execute function s.f(?, ?, ?)"),
        ("CREATE OR REPLACE CONSTRAINT TRIGGER x AFTER UPDATE ON t EXECUTE PROCEDURE f(S)", "create or replace constraint trigger x after update on t execute procedure f(?)"),
        ("CREATE SCHEMA s CREATE TRIGGER x AFTER INSERT ON t EXECUTE FUNCTION f(S)", "create schema s create trigger x after insert on t execute function f(?)"),
    ],
    "session": [
        ("LISTEN S", "listen ?"),
        ("UNLISTEN S", "unlisten ?"),
        ("NOTIFY S, 'a'", "notify ?, ?"),
        ("CREATE RULE r AS ON UPDATE TO t DO ALSO (NOTIFY S; NOTIFY S)", "create rule r as on update to t do also(notify ?; notify ?)"),
        ("CREATE RULE r AS ON UPDATE TO t DO INSTEAD NOTIFY S", "create rule r as on update to t do instead notify ?"),
        ("SAVEPOINT S", "savepoint ?"),
        ("RELEASE S", "release ?"),
        ("ROLLBACK TO S", "rollback to ?"),
        ("ROLLBACK WORK TO SAVEPOINT S", "rollback work to savepoint ?"),
        ("PREPARE TRANSACTION S", "prepare transaction ?"),
        ("COMMIT PREPARED S", "commit prepared ?"),
        ("ROLLBACK PREPARED S", "rollback prepared ?"),
        ("PREPARE S (int) AS SELECT a FROM t", "prepare ? (int) as select a from t"),
        ("EXECUTE S (1)", "execute ? (?)"),
        ("EXPLAIN ANALYZE EXECUTE S (1)", "explain analyze execute ? (?)"),
        ("EXPLAIN (BUFFERS) CREATE TABLE t AS EXECUTE S (1)", "explain (buffers) create table t as execute ? (?)"),
        ("DEALLOCATE PREPARE S", "deallocate prepare ?"),
        ("DECLARE S CURSOR FOR SELECT a FROM t", "declare ? cursor for select a from t"),
        ("FETCH FORWARD ALL IN S", "fetch forward all in ?"),
        ("FETCH ABSOLUTE -1 S", "fetch absolute ? ?"),
        ("MOVE S", "move ?"),
        ("CLOSE S", "close ?"),
        ("UPDATE t SET a = 1 WHERE CURRENT OF S", "update t set a = ? where current of ?"),
        ("DELETE FROM ONLY t WHERE CURRENT OF S", "delete from only t where current of ?"),
    ],
}  # fmt: skip
"""By kind: a statement with a secret, and what is shown of it."""

LITERALS = {
    "constants": [
        ("SELECT 'S', E'\\'S', N'S', U&'S' UESCAPE '!', X'S', $$S$$, $a$ $$S$$ $a$", "select ?, ?, ?, ?, ?, ?, ?"),
        ("ALTER ROLE bob PASSWORD E'x'\n'y\\'S'", "alter role bob password ?"),
        ("ALTER ROLE bob PASSWORD E'x' -- it's\n -- S\n 'y\\'S' VALID UNTIL 'S'", "alter role bob password ? valid until ?"),
        ("SELECT U&'x'\n'\\0041 S', X'1'\n'S', 'x'\n'S', N'x'\n'S' FROM t", "select ?, ?, ?, ? from t"),
        ("DO LANGUAGE plpgsql $x$ BEGIN PERFORM 'S'; END $x$", "do language plpgsql ?"),
        ("ALTER ROLE bob PASSWORD 'S", "alter role bob password ?"),
        ("ALTER ROLE bob PASSWORD E'a\\'S", "alter role bob password ?"),
        ("SELECT $a$ S $b$ S", "select ?"),
    ],
    "either reading": [
        ("ALTER ROLE bob PASSWORD 'pa\\'ss S words'", "alter role bob password ?"),
        ("COPY (SELECT 1 WHERE 'a' = 'it\\'s S') TO '/dev/null'", "copy (select ? where ? = ?"),
        ("SELECT a, 'y\\'', ' S ' FROM t /* S */ -- S", "select a, ?"),
        ("SELECT N'y\\'S', ' S ' FROM t", "select ?"),
        ("SELECT 'a' 'y\\' || S || ' S '", "select ?"),
        ("INSERT INTO t VALUES ('a', 'b\\'), (1, S'), ('c', 'S')", "insert into t values (?, ?"),
        ("SELECT 'a\\\\', 'b\\n', b FROM t WHERE a = 'S'", "select ?, ?, b from t where a = ?"),
        ("SELECT a FROM t WHERE b LIKE 'S' ESCAPE '\\'", "select a from t where b like ? escape ?"),
    ],
    "comments": [
        ("/* S */ SELECT 1 /* /* S */ S */ -- S", "select ?"),
        ("SELECT a -- S\r, b /*S*/FROM t /* S", "select a, b from t"),
        ("ALTER ROLE bob/*S*/PASSWORD/*S*/'S'", "alter role bob password ?"),
    ],
    "several statements": [
        ("SELECT pg_sleep(12); SET my.key TO S", "select pg_sleep(?); set my.key = ?"),
        ("BEGIN; ALTER ROLE bob SET my.key TO S; COMMIT", "begin; alter role bob set my.key = ?; commit"),
        (";; SELECT 1;; PREPARE S AS SELECT 1; ;LISTEN S;", "select ?; prepare ? as select ?; listen ?"),
        ("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE 1 WHEN 2 THEN 3 END; END; SET my.key = S", "create function f() returns int begin atomic select case ? when ? then ? end; end; set my.key = ?"),
    ],
}  # fmt: skip
"""By kind: statements whose secrets are constants and comments, whatever the place."""

KEPT = [
    ("SELECT a FROM t WHERE b = c -- d", "select a from t where b = c"),
    ("SELECT a FROM t; SELECT b FROM u;", "select a from t; select b from u"),
    ("CREATE INDEX ON t USING gin (a) WHERE b = 1", "create index on t using gin(a) where b = ?"),
    ("ALTER TABLE t ADD CONSTRAINT c CHECK (a = b), ADD d int DEFAULT f(a = b)", "alter table t add constraint c check (a = b), add d int default f(a = b)"),
    ("CREATE POLICY p ON t USING (a = b) WITH CHECK (c = d)", "create policy p on t using (a = b) with check (c = d)"),
    ("CREATE STATISTICS s ON (a = b), (c = d) FROM t", "create statistics s on (a = b), (c = d) from t"),
    ("EXPLAIN (SELECT a FROM t WHERE b = c)", "explain (select a from t where b = c)"),
    ("SELECT current FROM t WHERE current = of", "select current from t where current = of"),
    ("GRANT SELECT ON t TO bob", "grant select on t to bob"),
    ("RESET my.key", "reset my.key"),
    ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY", "set transaction isolation level serializable, read only"),
    ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "set session characteristics as transaction read only"),
    ("SET CONSTRAINTS a, b DEFERRED", "set constraints a, b deferred"),
    ("UNLISTEN *", "unlisten *"),
    ("ALTER DATABASE d OWNER TO bob", "alter database d owner to bob"),
    ("COMMENT ON TABLE t IS NULL", "comment on table t is null"),
    ("PREPARE p AS UPDATE t SET (a, b) = (c, d)", "prepare ? as update t set (a, b) =(c, d)"),
    ('SELECT "n$1" FROM t', 'select "n$1" from t'),
]  # fmt: skip
"""Names that stay: nothing in these is a value but what is one."""


def in_places() -> Iterator[tuple[str, str]]:
    """Yield each statement of PLACES in each spelling of its secret, with what is shown of it."""
    for text, shown in chain.from_iterable(PLACES.values()):
        for spelling in SPELLINGS:
            yield spelled(text, spelling.format(SECRET)), shown


def spelled(text: str, secret: str = SECRET) -> str:
    """Return a text with the secret in the places of S."""
    return _PLACE.sub(lambda _: secret, text)


_PLACE = re.compile(r"\bS\b")


CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def leaked(text: str, shown: str) -> set[str]:
    """Return the secrets of a text that are shown, and stand in a constant or comment of it."""
    marks = [mark for mark in SECRET_MARK.finditer(text) if mark[0].lower() in shown.lower()]
    return {
        mark[0]
        for conforming in ((True, False) if marks else ())
        for start, end, _ in constants_and_comments(text, conforming=conforming)
        for mark in marks
        if start <= mark.start() and mark.end() <= end
    }
