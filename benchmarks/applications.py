"""The categories of applications that nobody here wrote.

    python benchmarks/applications.py [--keep DIR] [--only NAME] [--write]

Four applications run against a server of their own: Django with its admin, a shop by SQLAlchemy,
pgbench, and Sequelize with pg-boss. pip and npm fetch them into a directory, which --keep keeps for
another run. No rules file and no option is given. The output is the share of reads and calls in
`other`, and the categories that read most; the exit status is 1 if `other` has 2 % or more, or a
category is one of a synchronization API. --write puts the table into docs/categories.md.
"""

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgiostat.analysis.rank import Ranking, RankRow, rank
from pgiostat.lab.postgres.cluster import Cluster, Setting, embedded_binaries
from pgiostat.postgres.since_reset import totals_since_reset
from pgiostat.queries.describe import describer
from pgiostat.queries.rules import builtin
from pgiostat.statistics.names import OTHER
from pgiostat.units import format_share

HERE = Path(__file__).parent / "application_programs"
PAGE = Path(__file__).parents[1] / "docs" / "categories.md"
BEGIN, END = "<!-- applications -->\n", "<!-- end of applications -->\n"
PACKAGES = ("django==5.2.*", "sqlalchemy==2.0.43", "psycopg[binary]")
SOURCE = "sqlalchemy==2.0.43"
"""Its source distribution has the examples, which no wheel has."""
BUILDING = ("setuptools", "wheel", "cython")
EXAMPLE = "sqlalchemy-2.0.43/examples/association/basic_association.py"
MODULES = ("sequelize@6", "pg@8", "pg-boss@12")
MOST_OTHER = 0.02
SHOWN = 8
SYNC = frozenset(builtin("sync").categories) - {*builtin("general").categories, "session"}
"""Categories that only the preset sync gives; session is also an automatic one."""
SETTINGS: dict[str, Setting] = {
    "shared_preload_libraries": "pg_stat_statements",
    "shared_buffers": "512kB",
    "track_io_timing": True,
    "fsync": False,
    "autovacuum": False,
}


@dataclass(frozen=True, slots=True)
class Measured:
    """The categories of an application.

    Attributes:
        reads: Share of the statements' blocks read in `other`.
        calls: Share of the statements' calls in `other`.
    """

    name: str
    preset: str
    reads: float
    calls: float
    rows: tuple[RankRow, ...]

    @property
    def faults(self) -> list[str]:
        """What is not as it should be."""
        shares = {"reads": self.reads, "calls": self.calls}
        found = [
            f"{self.name}: {format_share(share)} of {what} in {OTHER}"
            for what, share in shares.items()
            if share >= MOST_OTHER
        ]
        return found + [
            f"{self.name}: category {row.name}"
            for row in self.rows
            if row.name in SYNC - {OTHER} and row.cost.calls
        ]


def fetch(place: Path) -> None:
    """Install what the applications need, unless it is there."""
    python = place / "venv" / "bin" / "python"
    if not python.exists():
        _run(sys.executable, "-m", "venv", str(place / "venv"))
        _run(str(python), "-m", "pip", "install", "--quiet", *PACKAGES, *BUILDING)
    if not (place / EXAMPLE).exists():
        pip = (str(python), "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:")
        _run(*pip, "--no-build-isolation", "--dest", str(place), SOURCE)
        with tarfile.open(next(place.glob("*.tar.gz"))) as archive:
            archive.extract(EXAMPLE, place, filter="data")
    if not (place / "node_modules").exists():
        _run("npm", "install", "--silent", "--no-fund", "--no-audit", *MODULES, cwd=place)


def _run(*command: str, cwd: Path | None = None, more: Mapping[str, str] | None = None) -> None:
    subprocess.run(command, check=True, cwd=cwd, env={**os.environ, **(more or {})})


def _django(place: Path, _cluster: Cluster, dsn: str) -> None:
    _run(str(place / "venv/bin/python"), str(HERE / "django_admin.py"), dsn)


def _sqlalchemy(place: Path, _cluster: Cluster, dsn: str) -> None:
    program = str(HERE / "sqlalchemy_shop.py")
    _run(str(place / "venv/bin/python"), program, dsn, str(place / EXAMPLE))


def _pgbench(_place: Path, cluster: Cluster, dsn: str) -> None:
    program = str(cluster.binaries / "pgbench")
    _run(program, "--initialize", "--quiet", "--scale=2", dsn)
    _run(program, "--client=4", "--transactions=500", dsn)
    _run(program, "--client=4", "--transactions=500", "--select-only", dsn)


def _sequelize(place: Path, cluster: Cluster, dsn: str) -> None:
    given = conninfo_to_dict(dsn)
    more = {
        "PGHOST": str(given["host"]),
        "PGPORT": str(given["port"]),
        "PGUSER": str(given["user"]),
        "PGDATABASE": str(given["dbname"]),
        "PGPASSWORD": cluster.passfile.read_text("utf-8").strip().rpartition(":")[2],
    }
    # Modules are found beside a program.
    program = place / "sequelize_pgboss.mjs"
    program.write_text((HERE / "sequelize_pgboss.mjs").read_text("utf-8"), "utf-8")
    _run("node", str(program), more=more)


APPLICATIONS: dict[str, Callable[[Path, Cluster, str], None]] = {
    "Django with its admin": _django,
    "SQLAlchemy's shop": _sqlalchemy,
    "pgbench": _pgbench,
    "Sequelize with pg-boss": _sequelize,
}


@contextmanager
def server() -> Iterator[Cluster]:
    """Yield a server with pg_stat_statements."""
    with tempfile.TemporaryDirectory() as directory:
        cluster = Cluster(embedded_binaries(), Path(directory) / "server", settings=SETTINGS)
        with cluster:
            with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
                connection.execute("CREATE EXTENSION pg_stat_statements")
            yield cluster


def measure(name: str, place: Path, cluster: Cluster) -> Measured:
    """Run an application in a database of its own, and return its categories."""
    database = f"application_{list(APPLICATIONS).index(name)}"
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {database}".encode())
        connection.execute("SELECT pg_stat_statements_reset()")
    dsn = make_conninfo(cluster.dsn(), dbname=database)
    APPLICATIONS[name](place, cluster, dsn)
    found = totals_since_reset(cluster.dsn(), describer())
    return measured(name, rank([found.delta], found.names))


def measured(name: str, ranking: Ranking) -> Measured:
    """Return what is shown of a ranking by category."""
    other = [row for row in ranking.rows if row.name == OTHER]
    blocks = sum(row.cost.blocks or 0 for row in ranking.rows)
    calls = sum(row.cost.calls or 0 for row in ranking.rows)
    preset = "" if ranking.preset is None else ranking.preset.name
    return Measured(
        name,
        preset,
        sum(row.cost.blocks or 0 for row in other) / blocks,
        sum(row.cost.calls or 0 for row in other) / calls,
        tuple(ranking.rows),
    )


def table(every: list[Measured]) -> str:
    """Return the table of the documentation."""
    lines = [
        "| application | preset | reads of `other` | calls of `other` | categories by reads |",
        "|---|---|---:|---:|---|",
    ]
    for each in every:
        shown = ", ".join(f"`{row.name}` {format_share(row.share)}" for row in each.rows[:SHOWN])
        shares = f"{format_share(each.reads)} | {format_share(each.calls)}"
        lines.append(f"| {each.name} | {each.preset} | {shares} | {shown} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run the applications, print the table, and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--only", choices=list(APPLICATIONS))
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--all", action="store_true", help="print all categories")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        place = (given.keep or Path(directory)).absolute()
        place.mkdir(exist_ok=True)
        fetch(place)
        with server() as cluster:
            chosen = [given.only] if given.only else list(APPLICATIONS)
            every = [measure(name, place, cluster) for name in chosen]
    text = table(every)
    print(text)
    for each in every if given.all else ():
        print(each.name)
        for row in each.rows:
            print(f"  {row.name:44} {row.cost.blocks:10} {row.cost.calls:10}")
    if given.write:
        page = PAGE.read_text("utf-8")
        head, rest = page.split(BEGIN)
        PAGE.write_text(f"{head}{BEGIN}{text}{END}{rest.partition(END)[2]}", "utf-8")
    faults = [fault for each in every for fault in each.faults]
    print("\n".join(faults))
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
