"""Predicted blocks per call of the fixes of `why`, against the fixes applied.

    python -m benchmarks.fixes [--layouts 60] [--seed 1] [--only NAME] [--json FILE]

Each case is a table and a statement on a server of its own, with the history that a collector
writes. `why` proposes fixes; each is applied to a copy of the database, and the same calls run
once more. The table has the blocks that a call touches: now, as predicted, as measured.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psycopg
from psycopg import sql

from benchmarks.fixes_layouts import Case, cases
from benchmarks.recorded_minutes import RecordedMinutes
from pgiostat.analysis.fixes import Fix
from pgiostat.history.read.history import History
from pgiostat.history.read.windows import Window
from pgiostat.lab.postgres.cluster import Cluster, Setting, embedded_binaries
from pgiostat.queries.describe import describer
from pgiostat.reports.why import ExplainedStatement, why_report

SETTINGS: dict[str, Setting] = {
    "shared_preload_libraries": "pg_stat_statements",
    "shared_buffers": "16MB",
    "autovacuum": False,
    "fsync": False,
    "max_parallel_workers_per_gather": 0,
}
CALLS, MINUTES = 20, 2
"""Calls in a minute, and minutes of a window."""
CLOSE = 0.1
TOUCHED = """
SELECT sum(calls)::float8, sum(shared_blks_hit + shared_blks_read)::float8
FROM public.pg_stat_statements AS s JOIN pg_catalog.pg_database AS d ON d.oid = s.dbid
WHERE d.datname = pg_catalog.current_database() AND query LIKE %s
"""


@dataclass(frozen=True, slots=True)
class Judged:
    """A fix with what was predicted and measured; measured is None if it was not applied."""

    case: str
    cause: str
    fix: str
    statement: str
    now: float | None
    low: float | None
    predicted: float | None
    high: float | None
    at_best: bool
    measured: float | None

    @property
    def error(self) -> float | None:
        """The error of the point as a share of what was measured, or of one block."""
        if self.predicted is None or self.measured is None:
            return None
        return (self.predicted - self.measured) / max(self.measured, 1.0)


def _statement(case: Case, key: int) -> str:
    return case.statement.replace("$1", "%(key)s") % {"key": key}


class _Place:
    """A server with the database of a case and copies of it."""

    def __init__(self, cluster: Cluster, case: Case) -> None:
        self.cluster, self.case, self.next_key = cluster, case, 0

    def run(self, database: str, statements: Sequence[str]) -> None:
        with self._connect(database) as connection:
            for each in statements:
                connection.execute(each.replace("{database}", database).encode())
                # Or VACUUM's count of dead rows comes before that of the rows that it removed.
                connection.execute("SELECT pg_stat_force_next_flush()")

    def calls(self, database: str, count: int) -> None:
        """Run the statement with the next keys, in one session."""
        with self._connect(database) as connection:
            for _ in range(count):
                connection.execute(_statement(self.case, self.next_key % self.case.keys).encode())
                self.next_key += 7
            connection.execute("SELECT pg_stat_force_next_flush()")
            connection.execute("SELECT")

    def touched_per_call(self, database: str) -> float:
        """Return the blocks that a call of the statement touches, without its first calls."""
        self.calls(database, 5)
        pattern = self.case.statement.partition("$")[0].replace("%", "%%") + "%"
        with self._connect(database) as connection:
            before = connection.execute(TOUCHED, (pattern,)).fetchone()
            self.calls(database, CALLS * MINUTES)
            after = connection.execute(TOUCHED, (pattern,)).fetchone()
        if before is None or after is None:
            raise RuntimeError("the statement is not in pg_stat_statements")
        return float((after[1] - before[1]) / (after[0] - before[0]))

    def copy(self, name: str) -> str:
        with self._connect("postgres") as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE app").format(sql.Identifier(name))
            )
        return name

    def drop(self, name: str) -> None:
        with self._connect("postgres") as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )

    def _connect(self, database: str) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(self.cluster.dsn(database), autocommit=True)


def judge(cluster: Cluster, case: Case, directory: Path) -> Iterator[Judged]:
    """Yield each fix of a case, predicted and measured."""
    place = _Place(cluster, case)
    place.drop("app")
    place.run("postgres", ["CREATE DATABASE app"])
    place.run("app", ["CREATE EXTENSION pg_stat_statements", *case.setup, "VACUUM (ANALYZE)"])
    recorded = RecordedMinutes(cluster.dsn("app"), directory / "h", "app")
    place.calls("app", CALLS)
    before = recorded.minutes(MINUTES, lambda _: place.calls("app", CALLS))
    place.run("app", case.fault)
    recorded.minutes(1, lambda _: place.calls("app", CALLS))
    after = recorded.minutes(MINUTES, lambda _: place.calls("app", CALLS))
    recorded.close()
    (found,) = _why(directory / "h", before, after, case)
    if not found.fixes:
        causes = (*found.answer.findings, *found.answer.standing)
        named = ", ".join(each.cause for each in causes) or str(found.answer.outcome)
        now = found.evidence.after.touched_per_call
        yield Judged(case.name, named, "", "", now, None, None, None, False, None)
    for number, proposed in enumerate(found.fixes):
        fix = proposed.fix
        measured = None
        if fix.statements and fix.prediction is not None:
            copy = place.copy(f"fix{number}")
            measured = _applied(place, copy, fix)
            place.drop(copy)
        yield _judged(case, found, proposed.finding.cause, fix, measured)


def _judged(
    case: Case, found: ExplainedStatement, cause: str, fix: Fix, measured: float | None
) -> Judged:
    prediction = fix.prediction
    return Judged(
        case.name,
        cause,
        str(fix.kind),
        "; ".join(fix.statements),
        found.evidence.after.touched_per_call,
        prediction.low if prediction else None,
        prediction.point if prediction else None,
        prediction.high if prediction else None,
        prediction.at_best if prediction else False,
        measured,
    )


def _applied(place: _Place, database: str, fix: Fix) -> float:
    """Apply a fix to a copy of the database, and return the blocks that a call touches."""
    if fix.kind == "summary table":
        return _summary(place, database, fix)
    settings = [each for each in fix.statements if each.startswith("SET ")]
    rest = [each.rstrip(";") for each in fix.statements if each not in settings]
    place.run(database, rest)
    for each in settings:
        name, _, value = each.removeprefix("SET ").rstrip(";").partition(" = ")
        place.run(database, [f"ALTER DATABASE {database} SET {name} = {value}"])
    return place.touched_per_call(database)


def _summary(place: _Place, database: str, fix: Fix) -> float:
    """Fill a summary table, and ask it instead."""
    *keys, extreme = fix.columns
    listed = ", ".join(keys)
    place.run(
        database,
        [
            fix.statements[0].rstrip(";"),
            f"INSERT INTO t_latest SELECT {listed}, max({extreme}) FROM t GROUP BY {listed}",
            "VACUUM ANALYZE t_latest",
        ],
    )
    case = place.case
    other = _Place(
        place.cluster,
        Case(case.name, (), f"SELECT {extreme} FROM t_latest WHERE {keys[0]} = $1", case.keys),
    )
    return other.touched_per_call(database)


def _why(history: Path, before: Window, after: Window, case: Case) -> Sequence[ExplainedStatement]:
    opened = History.open(history)
    try:
        report = why_report(
            opened,
            before,
            after,
            describe=describer(),
            target=case.text,
        )
    finally:
        opened.close()
    return [each for each in report.statements if each.evidence.after.calls == CALLS * MINUTES]


def table(found: Sequence[Judged]) -> Iterator[str]:
    """Yield a Markdown table of all fixes, and its summary."""
    yield "| case | cause | fix | now | predicted | measured | error |"
    yield "|---|---|---|---|---|---|---|"
    for each in found:
        error = "–" if each.error is None else f"{each.error:+.0%}"
        predicted = "–" if each.predicted is None else f"{each.predicted:,.1f}"
        predicted = f"≥ {predicted}" if each.at_best else predicted
        measured = "–" if each.measured is None else f"{each.measured:,.1f}"
        now = "–" if each.now is None else f"{each.now:,.1f}"
        yield (
            f"| {each.case} | {each.cause} | {each.fix or 'none'} | {now} | {predicted} |"
            f" {measured} | {error} |"
        )
    yield ""
    for kind in (*sorted({each.fix for each in found if each.fix}), ""):
        of_kind = [each for each in found if not kind or each.fix == kind]
        errors = [
            abs(each.error) for each in of_kind if each.error is not None and not each.at_best
        ]
        unpredicted = sum(1 for each in of_kind if each.fix and each.predicted is None)
        if errors:
            inside = sum(
                1
                for each in of_kind
                if each.measured is not None
                and each.low is not None
                and each.high is not None
                and each.low * (1 - CLOSE) <= each.measured <= each.high * (1 + CLOSE)
            )
            yield (
                f"{kind or 'all'}: {len(errors)} applied, median error {median(errors):.0%}, worst"
                f" {max(errors):.0%}, {inside} in range; {unpredicted} not predicted"
            )


def main() -> int:
    """Run the cases; return 0."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--layouts", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found: list[Judged] = []
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        directory.chmod(0o755)
        with Cluster(embedded_binaries(), directory / "server", settings=SETTINGS) as cluster:
            for number, case in enumerate(cases(options.layouts, options.seed)):
                if options.only not in case.name:
                    continue
                history = directory / str(number)
                history.mkdir()
                for each in judge(cluster, case, history):
                    found.append(each)
                    print(list(table([each]))[2], file=sys.stderr, flush=True)
    if options.json:
        options.json.write_text("".join(f"{json.dumps(asdict(each))}\n" for each in found))
    print("\n".join(table(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
