"""Rules: the built-in ones on schemas they do not know, and the rules file."""

from pathlib import Path

import pytest

from pgiostat.errors import PgiostatError
from pgiostat.queries.features import extract
from pgiostat.queries.fingerprint import Normalized
from pgiostat.queries.rules import Classifier, Match, Rules, Subject, builtin, load
from pgiostat.statistics.names import OTHER

SYNC = ("upload", "manifest", "version", "download")

SHAPES = [
    # the highest version of a table
    ("version", "SELECT max(row_version) FROM parcel WHERE depot_id = $1"),
    ("version", "SELECT coalesce(max(p.rev), $2) FROM parcel p"),
    ("version", 'SELECT MAX(p."RowVersion") FROM "Parcels" AS p'),
    ("version", "SELECT count(*), max(row_version) FROM parcel"),
    ("version", "SELECT row_version FROM parcel ORDER BY row_version DESC LIMIT 1"),
    ("version", "SELECT DISTINCT ON (depot) depot, rev FROM parcel ORDER BY depot, rev DESC"),
    ("version", "SELECT rev FROM parcel a WHERE NOT EXISTS (SELECT FROM parcel b WHERE b.rev > a.rev)"),
    ("version", "SELECT max(x) FROM (SELECT rev AS x FROM parcel UNION SELECT rev FROM van) v"),
    ("version", "SELECT 'parcel', max(rev) FROM parcel UNION ALL SELECT 'van', max(rev) FROM van"),
    ("version", "SELECT EXISTS (SELECT 1 FROM parcel WHERE row_version > $1)"),
    ("version", "SELECT version FROM entity_version WHERE entity = $1"),
    ("version", "SELECT table_name, last_version FROM sync_state"),
    ("version", "SELECT last_value FROM row_version_seq"),
    ("version", "SELECT * FROM current_version_of($1)"),
    # keys with versions
    ("manifest", "SELECT id, row_version FROM parcel WHERE depot_id = $1 AND id >= $2 AND id < $3"),
    ("manifest", "SELECT id, row_version FROM parcel WHERE id BETWEEN $1 AND $2 ORDER BY id"),
    ("manifest", "SELECT barcode, rev FROM parcel WHERE barcode > $1 ORDER BY barcode LIMIT 99"),
    ("manifest", "SELECT van_id, stop_no, rev, deleted FROM stop WHERE van_id = $1"),
    ("manifest", "SELECT id || ':' || rev FROM parcel WHERE id > $1"),
    ("manifest", "SELECT md5(string_agg(id::text || rev::text, ',')) FROM parcel WHERE id < 9"),
    ("manifest", "SELECT jsonb_object_agg(id, rev) FROM parcel"),
    ("manifest", "SELECT (p).id, (p).rev FROM (SELECT p FROM parcel p WHERE p.id > $1) q"),
    ("manifest", "SELECT id / 1000, count(*), max(rev) FROM parcel GROUP BY id / 1000"),
    ("manifest", "DECLARE c CURSOR FOR SELECT id, rev FROM parcel ORDER BY id"),
    ("manifest", "COPY (SELECT id, rev FROM parcel WHERE id BETWEEN 1 AND 9) TO STDOUT"),
    ("manifest", "FETCH FORWARD 100 FROM parcel_manifest_7"),
    ("manifest", "MOVE 100 IN manifest_7"),
    # writes
    ("upload", "INSERT INTO parcel (id, rev) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING"),
    ("upload", "UPDATE parcel SET rev = v.rev FROM (VALUES (1, 2)) AS v(id, rev) WHERE v.id = parcel.id"),
    ("upload", "WITH d AS (DELETE FROM parcel WHERE id = 1 RETURNING rev) SELECT max(rev) FROM d"),
    ("upload", "MERGE INTO parcel USING s ON s.id = parcel.id WHEN MATCHED THEN DELETE"),
    ("upload", "COPY pg_temp.parcel FROM STDIN"),
    ("upload", "SELECT upsert_parcel($1)"),
    ("upload", "CALL save_parcels($1)"),
    ("upload", "EXPLAIN ANALYZE DELETE FROM parcel"),
    # whole rows by a list of keys
    ("download", "SELECT * FROM parcel WHERE id = ANY ($1)"),
    ("download", "SELECT id, rev, weight FROM parcel WHERE id IN (1, 2)"),
    ("download", "SELECT p.* FROM unnest($1::bigint[]) AS k(id) JOIN parcel p ON p.id = k.id"),
    ("download", "WITH k(id) AS (VALUES ($1), ($2)) SELECT p.* FROM parcel p JOIN k USING (id)"),
    ("download", "SELECT row_to_json(p) FROM parcel p WHERE (p.depot_id, p.id) IN ((1, 2), (3, 4))"),
    # none of these
    (OTHER, "SELECT row_version FROM parcel WHERE id = $1"),
    (OTHER, "SELECT id, row_version FROM parcel WHERE id = $1"),
    (OTHER, "SELECT min(row_version) FROM parcel"),
    (OTHER, "SELECT row_version FROM parcel ORDER BY row_version LIMIT 1"),
    (OTHER, "SELECT max(weight) FROM parcel"),
    (OTHER, "SELECT id, weight FROM parcel WHERE id BETWEEN 1 AND 9"),
    (OTHER, "SELECT id, weight, rev FROM parcel WHERE depot_id = 1"),
    (OTHER, "SELECT * FROM parcel WHERE colour IN ('red', 'blue')"),
    (OTHER, "SELECT * FROM parcel WHERE id NOT IN (1, 2)"),
    (OTHER, "SELECT * FROM parcel WHERE id IN (SELECT parcel_id FROM stop)"),
    (OTHER, "SELECT version()"),
    (OTHER, "SELECT version_num FROM alembic_version"),
    (OTHER, "SELECT max(row_version) FROM pg_temp.parcel"),
    (OTHER, "INSERT INTO parcel_audit SELECT max(row_version) FROM parcel"),
    (OTHER, "EXPLAIN INSERT INTO parcel VALUES (1)"),
    (OTHER, "CLOSE manifest_7"),
    (OTHER, "CREATE INDEX ON parcel (row_version)"),
    (OTHER, "SET work_mem = '1MB'"),
    (OTHER, "BEGIN"),
    (OTHER, "COMMIT"),
    (OTHER, ""),
]  # fmt: skip
# ruff: noqa: E501 - a statement and its category are read best on one line


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(builtin())


@pytest.mark.parametrize(("category", "text"), SHAPES)
def test_the_shape_of_a_query_tells_its_category(
    category: str,
    text: str,
    classifier: Classifier,
) -> None:
    found = classifier.classify(text).category
    assert (found if found in SYNC else OTHER) == category


def write(directory: Path, text: str) -> Path:
    path = directory / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def rules(directory: Path, when: str, vocab: str = "") -> Rules:
    rule = f'[[rule]]\nname = "mine"\ncategory = "mine"\nwhen = {when}\n'
    return load(write(directory, f"schema = 1\n[vocab]\n{vocab}\n{rule}"))


MATCHES = [
    ('{ reads = "parc*" }', "SELECT a FROM parcel"),
    ('{ reads = "s.*" }', "SELECT a FROM s.parcel"),
    ('{ reads = ["van", "parcel"] }', "SELECT a FROM s.parcel"),
    ('{ statement = "select", not = { reads = true } }', "SELECT 1"),
    ('{ wrapper = "prepare" }', "PREPARE p AS SELECT 1"),
    ('{ calls = "f" }', "SELECT f(1)"),
    ('{ tag = "route=/sync*" }', "SELECT 1 /*route='%2Fsync%2F1'*/"),
    ('{ cursor = "c_*" }', "FETCH 1 FROM c_1"),
    ('{ text_regex = "a, b" }', "SELECT A,B FROM t"),
    ('{ block = { projects_all = ["a", "b"], projects_only = ["a", "b"] } }', "SELECT b, a FROM t"),
    ('{ block = { mentions_all = ["a", ["b", "c"]] } }', "SELECT a FROM t WHERE c = 1"),
    ('{ block = { order_by = "a", order_dir = "desc", limit = true } }', "SELECT a FROM t ORDER BY a DESC LIMIT 1"),
    ('{ block = { where_eq = "a", where_range = "b", where_in = "c" } }', "SELECT 1 FROM t WHERE a = 1 AND b > 1 AND c IN (1)"),
    ('{ block = { where_in_negated = "a", star = true } }', "SELECT * FROM t WHERE a NOT IN (1, 2)"),
    ('{ block = { group_by = "a", aggregates = "sum", aggregate_columns = "b" } }', "SELECT sum(b) FROM t GROUP BY a"),
    ('{ block = { distinct_on = "a", max_columns = 2, min_columns = 2 } }', "SELECT DISTINCT ON (a) a, b FROM t"),
]  # fmt: skip


@pytest.mark.parametrize(("when", "text"), MATCHES)
def test_each_key_of_a_rule_matches_what_it_names(when: str, text: str, tmp_path: Path) -> None:
    assert Classifier(rules(tmp_path, when)).classify(text).match.rule == "mine"


MISSES = [
    ('{ reads = "parcel" }', "SELECT a FROM parcels"),
    ('{ reads = "s.*" }', "SELECT a FROM parcel"),
    ('{ reads = ["*", "!van"] }', "SELECT a FROM van"),
    ('{ block = { projects = "a", reads = "u" } }', "SELECT a FROM t WHERE b IN (SELECT c FROM u)"),
    ('{ block = { projects_only = "a" } }', "SELECT * FROM t"),
    ("{ block = { max_columns = 1 } }", "SELECT * FROM t"),
    ('{ text_regex = "secret" }', "SELECT 'secret'"),
]  # fmt: skip


@pytest.mark.parametrize(("when", "text"), MISSES)
def test_a_rule_matches_nothing_else(when: str, text: str, tmp_path: Path) -> None:
    assert Classifier(rules(tmp_path, when)).classify(text).match.rule != "mine"


def test_user_database_queryid_and_fingerprint_can_be_asked_for(tmp_path: Path) -> None:
    when = '{ user = "app*", database = "shop", queryid = [7, 8], fingerprint = "1:ab" }'
    ruled = rules(tmp_path, when)
    features = extract("SELECT 1 FROM t")
    asked = {"user": "app_1", "database": "shop", "queryid": 8, "fingerprint": "1:ab"}
    assert ruled.classify(features, **asked) == Match("mine", "mine")  # type: ignore[arg-type]
    # A rule that was written for an earlier version still holds where the tokens are the same.
    newer = asked | {"fingerprint": "2:ab"}
    assert ruled.classify(features, **newer) == Match("mine", "mine")  # type: ignore[arg-type]
    for key in asked:
        assert ruled.classify(features, **(asked | {key: None})) == Match("select t")  # type: ignore[arg-type]


def test_the_users_rules_come_first_and_the_winner_has_runners_up(tmp_path: Path) -> None:
    ruled = rules(tmp_path, '{ reads = "parcel" }')
    verdicts = ruled.verdicts(Subject(extract("SELECT max(rev) FROM parcel")))
    matching = [(verdict.place, verdict.rule.name) for verdict in verdicts if not verdict.failed]
    assert matching == [(1, "mine"), (10, "version-newest")]


def test_a_rule_that_loses_says_what_was_seen_instead(tmp_path: Path) -> None:
    when = '{ reads = "van", block = { newest = "rev", max_columns = 0 }, not = { calls = "max" } }'
    subject = Subject(extract("SELECT rev, max(rev) FROM parcel WHERE id IN (SELECT id FROM t)"))
    failed = rules(tmp_path, when).verdicts(subject)[0].failed
    assert [(condition.key, condition.value, seen) for condition, seen in failed] == [
        ("reads", "van", {"parcel", "t"}),
        ("max_columns", 0, 1),
        ("not", {"calls": "max"}, subject),
    ]


def test_the_users_vocabulary_sharpens_the_built_in_rules(tmp_path: Path) -> None:
    ruled = load(write(tmp_path, 'schema = 1\n[vocab]\nsynced = ["parcel"]\nversions = ["tick"]\n'))
    classify = Classifier(ruled).classify
    found = [
        classify(f"SELECT max({c}) FROM {t}").category
        for c, t in [("tick", "parcel"), ("tick", "van"), ("rev", "parcel")]
    ]
    assert found == ["version", "select van", "select parcel"]


def test_a_vocabulary_may_use_its_own_lists(tmp_path: Path) -> None:
    vocab = 'small = ["van"]\nall = ["parcel", "@small"]\n'
    ruled = rules(tmp_path, '{ reads = "@all" }', vocab)
    assert ruled.classify(extract("SELECT a FROM van")) == Match("mine", "mine")


def test_categories_of_a_preset_are_in_the_order_of_its_rules() -> None:
    frameworks = ("queue", "migration", "web session")
    assert builtin("sync").categories == (*frameworks, "explain", *SYNC, "session")
    assert builtin("general").categories == (*frameworks, "preload {table}")
    assert builtin("none").categories == ()


RULE = 'schema = 1\n[[rule]]\nname = "a"\ncategory = "b"\n'
MISTAKES = [
    ("schema = 2\n", "rules-schema", "line 1: schema is not 1"),
    ("[vocab]\n", "rules-schema", "line 1: schema is not 1"),
    ("schema = 1\nrules = 1\n", "rules-key", 'line 2: "rules" is not a key of a rules file'),
    (RULE + "when = { read = 'a' }\n", "rules-key", 'line 5: "read" is not a key of "when"'),
    (
        RULE + "[rule.when]\nreads = 'a'\n[rule.when.block]\nwhere = 'a'\n",
        "rules-key",
        'line 8: "where" is not a key of "block"',
    ),
    (RULE + "colour = 1\nwhen = {}\n", "rules-key", 'line 5: "colour" is not a key of a rule'),
    (RULE, "rules-value", 'line 2: "when" must be a table, when = { … }'),
    ("schema = 1\n[[rule]]\ncategory = 'b'\n", "rules-value", 'line 2: a rule needs "name", a string'),
    (RULE + "when = { reads = 1 }\n", "rules-value", 'line 5: "reads" must be a name or a list of names'),
    (RULE + "when = { reads = '@no' }\n", "rules-vocab", 'line 5: "@no" is not in the vocabulary'),
    (RULE + "when = { queryid = 'x' }\n", "rules-value", 'line 5: "queryid" must be a whole number'),
    (RULE + "when = { block = { limit = 1 } }\n", "rules-value", 'line 5: "limit" must be true or false'),
    (RULE + "when = { block = 1 }\n", "rules-value", 'line 5: "block" must be a table, block = { … }'),
    (RULE + "when = {}\n", "rules-value", 'line 5: "when" must not be empty: it would match everything'),
    (RULE + "when = { wrapper = 'xx' }\n", "rules-value", 'line 5: "wrapper" can never be "xx"'),
    (RULE + "when = { block = { order_dir = 'up' } }\n", "rules-value", 'line 5: "order_dir" can never be "up"'),
    (RULE + "when = { block = { max_columns = -3 } }\n", "rules-value", 'line 5: "max_columns" must not be negative'),
    (RULE.replace('"b"', '"hidden"') + "when = { tag = 'x' }\n", "rules-value", 'line 4: a rule cannot use the category "hidden"'),
    ("schema = true\n", "rules-schema", "line 1: schema is not 1"),
    ("schema = 1\n[vocab]\nkeys = 'id'\n", "rules-value", 'line 3: "keys" must be a list of names'),
    ("schema = 1\nvocab = 1\n", "rules-value", 'line 2: "vocab" must be a table, [vocab]'),
    ("schema = 1\nrule = 1\n", "rules-value", "line 2: each rule must be a table, [[rule]]"),
    (RULE + "when = { tag = 'x' }\n" + RULE[11:] + "when = { x = 1 }", "rules-key", 'line 9: "x" is not a key of "when"'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "slug", "message"), MISTAKES)
def test_a_mistake_is_told_with_its_file_line_and_key(
    text: str,
    slug: str,
    message: str,
    tmp_path: Path,
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(PgiostatError) as raised:
        load(path)
    assert (raised.value.slug, raised.value.message) == (slug, f"{path}, {message}")


def test_an_unknown_key_is_told_with_the_keys_there_are(tmp_path: Path) -> None:
    with pytest.raises(PgiostatError) as raised:
        load(write(tmp_path, RULE + "when = { read = 'a' }\n"))
    assert raised.value.hint is not None
    assert raised.value.hint.startswith('Keys of "when": statement, wrapper, verb, table, writes')


def test_a_bad_regular_expression_is_told_with_its_reason(tmp_path: Path) -> None:
    path = write(tmp_path, RULE + "when = { text_regex = '(' }\n")
    with pytest.raises(PgiostatError, match='line 5: "text_regex" is not a regular expression'):
        load(path)


def test_a_file_that_is_no_toml_is_told_with_the_parsers_reason(tmp_path: Path) -> None:
    with pytest.raises(PgiostatError) as raised:
        load(write(tmp_path, "schema = 1\nkeys = \n"))
    assert raised.value.slug == "rules-toml"
    assert raised.value.message == f"{tmp_path}/mine.toml, line 2: Invalid value"


def test_a_file_of_a_windows_editor_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xef\xbb\xbfschema = 1\r\n")
    assert load(path).categories == builtin().categories


def test_a_file_that_cannot_be_read_is_told_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"
    with pytest.raises(PgiostatError) as raised:
        load(path)
    assert raised.value.message == f'could not read rules file "{path}": No such file or directory'
    path.write_bytes(b"\xff")
    with pytest.raises(PgiostatError, match="it is not UTF-8"):
        load(path)


def test_a_classifier_reads_each_text_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | bytes] = []
    monkeypatch.setattr("pgiostat.queries.rules.classifier.CACHED", 2)
    classifier = Classifier(builtin())
    real = classifier.classify("SELECT 0").normalized

    def normalize(text: str | bytes) -> Normalized:
        asked.append(text)
        return real

    monkeypatch.setattr("pgiostat.queries.rules.classifier.normalize", normalize)
    for text in ("SELECT 1", "SELECT 1", b"SELECT 1", "x" * 5000, "x" * 5000, "SELECT 1"):
        classifier.classify(text)
    assert asked == ["SELECT 1", b"SELECT 1", "x" * 5000, "SELECT 1"]


def test_texts_with_one_fingerprint_may_differ_by_cursor(classifier: Classifier) -> None:
    one = classifier.classify("FETCH 10 FROM parcel_manifest")
    other = classifier.classify("FETCH 10 FROM something_else")
    assert one.normalized == other.normalized
    assert (one.category, other.category) == ("manifest", OTHER)
