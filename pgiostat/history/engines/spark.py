"""Apache Spark: the same texts on the same files, when a history outgrows a machine.

The first query opens a session; all queries of a process to the same Spark share it. Java's output
goes to a file of its own, and errors quote it.
"""

import contextlib
import os
import re
import shutil
import socket
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

import pyarrow as pa

from pgiostat.errors import PgiostatError
from pgiostat.extras import install_hint
from pgiostat.history.engines.engine import Source, UnreadableError
from pgiostat.history.format.filesystem import LOCAL, Filesystem
from pgiostat.history.without_pandas import allow_pandas
from pgiostat.uris import shown, without

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Spark"]

BATCH_ROWS = 50_000
CONNECT_SECONDS = 5.0
_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",  # a sum that does not fit is an error, not another number
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
    # Sums by statement are few millions at most; the default of 200 costs a second a question.
    "spark.sql.shuffle.partitions": "16",
    # A file removed meanwhile is listed again; a damaged one is an error, and not left out.
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.sql.files.ignoreCorruptFiles": "false",
}
_CONNECT_SETTINGS = tuple(name for name in _SETTINGS if name.startswith("spark.sql."))
"""A server of Spark Connect has its own idea of the rest."""
_ANSWER = re.compile(r"(?:file:|s3a?:|gs:|abfss?:)[^\s'\"]+\.parquet|/[^\s'\"]+\.parquet")


@dataclass(slots=True)
class _Session:
    """A session of Spark, and how many ask it."""

    spark: "SparkSession"
    queries: int = 0


class Spark:
    """Spark under an address: spark://host:port, sc://host:port or local[N].

    Its first query raises PgiostatError spark-missing, java-missing or spark-unreachable.
    """

    _sessions: ClassVar[dict[str, _Session]] = {}
    _lock: ClassVar[RLock] = RLock()  # names of tables are one session's

    def __init__(self, address: str, stored: Filesystem = LOCAL) -> None:
        self._address, self._stored = address, stored
        self._session: _Session | None = None

    @property
    def name(self) -> str:
        """Its address."""
        return self._address

    def instant(self, when: datetime) -> str:
        """Return a timestamp, which Spark counts in UTC."""
        return f"TIMESTAMP '{when.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00:00'"

    def bucket(self, step_us: int, column: str = "ts") -> str:
        """Return whole steps since 1970."""
        return f"unix_micros({column}) div {step_us}"

    def ends(self) -> str:
        """Return start plus duration."""
        return "timestamp_micros(unix_micros(ts) + dur_us)"

    def close(self) -> None:
        """Let go of the session; the last one ends it."""
        with self._lock:
            session, self._session = self._session, None
            if session is None:
                return
            session.queries -= 1
            if session.queries == 0:
                del self._sessions[self._address]
                session.spark.stop()
                if not any(map(_connects, self._sessions)):
                    # Else no session of the other kind can be had from then on.
                    os.environ.pop("SPARK_CONNECT_MODE_ENABLED", None)

    def query(self, sql: str, sources: Mapping[str, Source]) -> pa.Table:
        """Return the rows of a query.

        Raises PgiostatError history-unreadable, history-changed, engine-blind for a path that
        Spark's workers do not see, and engine-failed.
        """
        with self._lock, self._translating_errors(sources), warnings.catch_warnings():
            # It warns of versions of pandas, which is not used here.
            warnings.simplefilter("ignore")
            spark = self._spark()
            for name, source in sources.items():
                self._table(spark, source).createOrReplaceTempView(name)
            found: pa.Table = spark.sql(sql).toArrow()
            return found

    def stream(self, sql: str, sources: Mapping[str, Source]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a query that orders them; the driver holds all of them."""
        yield from self.query(sql, sources).to_batches(BATCH_ROWS)

    def _table(self, spark: "SparkSession", source: Source) -> "DataFrame":
        from pyspark.sql.functions import broadcast
        from pyspark.sql.pandas.types import from_arrow_schema

        rows = source if isinstance(source, pa.Table) else None
        paths, schema = ([], rows.schema) if rows is not None else source
        # Passed, not inferred: a column that came later is NULL in older files.
        structure = from_arrow_schema(schema, prefer_timestamp_ntz=False)
        if rows is not None and len(rows):
            # Small: every worker gets all of it, and no fact travels.
            return broadcast(spark.createDataFrame(rows))
        if not paths:
            return spark.createDataFrame([], structure)
        return spark.read.schema(structure).parquet(*map(self._stored.uri, paths))

    # the session

    def _spark(self) -> "SparkSession":
        if self._session is None:
            session = self._sessions.get(self._address)
            if session is None:
                session = self._sessions[self._address] = _Session(self._begin())
            session.queries += 1
            self._session = session
        return self._session.spark

    def _begin(self) -> "SparkSession":
        connects = _connects(self._address)
        needed = ("pyspark", "grpc") if connects else ("pyspark",)
        if not all(map(find_spec, needed)):
            raise PgiostatError(
                "Spark is not installed",
                detail=f"--engine {shown(self._address)} needs the Python package pyspark.",
                hint=install_hint("spark"),
                slug="spark-missing",
            )
        if not connects and (why := _no_java()):
            raise _java_missing("Spark needs Java, which is not installed", why)
        self._reach()
        allow_pandas()
        from pyspark.sql import SparkSession

        builder: Any = SparkSession.builder.appName("pgiostat")
        settings = _SETTINGS
        if connects:
            settings = {name: _SETTINGS[name] for name in _CONNECT_SETTINGS}
            builder = builder.remote(self._address)
        else:
            builder = builder.master(self._address)
        for name, value in settings.items():
            builder = builder.config(name, value)
        with _elsewhere() as output:
            try:
                spark: SparkSession = builder.getOrCreate()
            except Exception as error:  # noqa: BLE001 - whatever it is, there is no Spark
                if "JAVA_GATEWAY_EXITED" in str(error):
                    why = _last(output) or "It printed nothing."
                    raise _java_missing("Java did not start", self._reason(why)) from None
                raise _unreachable(
                    shown(self._address), self._reason(_complaint(output) or _first_line(error))
                ) from None
        return spark

    def _reach(self) -> None:
        """Try the port: Spark itself tries for minutes."""
        found = re.fullmatch(r"(?:spark|sc)://([^/:;]+):?(\d+)?.*", self._address)
        if found is None:
            return
        host, port = found[1], int(found[2] or "15002")
        try:
            socket.create_connection((host, port), CONNECT_SECONDS).close()
        except OSError as error:
            message = f"{host}:{port}: {error.strerror or error}."
            raise _unreachable(shown(self._address), self._reason(message)) from None

    def _reason(self, output: str) -> str:
        """Return why something failed, without what is secret of the address."""
        return without(output, self._address)

    @contextlib.contextmanager
    def _translating_errors(self, sources: Mapping[str, Source]) -> Iterator[None]:
        """Say in our words what went wrong."""
        try:
            yield
        except PgiostatError:
            raise
        except Exception as error:  # noqa: BLE001 - of Java and Python: all are reported
            text = str(error)
            known = {
                str(path): path
                for source in sources.values()
                if not isinstance(source, pa.Table)
                for path in source[0]
            }
            named = next((known[path] for path in known if path in text), None)
            missing = "FileNotFound" in text or "NOT_EXIST" in text or "does not exist" in text
            if named is not None and missing:
                if self._stored.is_missing(named):
                    raise UnreadableError(
                        named, self._reason(_first_line(error)), gone=True
                    ) from None
                raise PgiostatError(
                    f'Spark cannot find "{named}"',
                    detail=f"It exists for this process, but not for what runs at"
                    f" {shown(self._address)}.",
                    hint="Every worker must have the history under the same path: on a shared file"
                    " system, or in an object store.",
                    slug="engine-blind",
                ) from None
            if named is not None or _ANSWER.search(text):
                raise UnreadableError(named, self._reason(_first_line(error)), gone=False) from None
            raise PgiostatError(
                f"Spark at {shown(self._address)} could not run the query",
                detail=self._reason(_first_line(error)),
                hint="Spark reads object stores with its own packages: see docs/fleet.md."
                if self._stored.is_remote
                else None,
                slug="engine-failed",
            ) from None


def _connects(address: str) -> bool:
    return address.startswith("sc://")


def _no_java() -> str:
    """Return why there is no Java, empty if there is; Spark itself looks no further either."""
    home = os.environ.get("JAVA_HOME")
    if home:
        there = (Path(home) / "bin" / "java").exists()
        return "" if there else f'JAVA_HOME is "{home}", and there is no bin/java.'
    return "" if shutil.which("java") else "Neither JAVA_HOME nor PATH names a java program."


def _java_missing(message: str, why: str) -> PgiostatError:
    return PgiostatError(
        message,
        detail=why,
        hint="Install a Java runtime, version 17 or 21; sc:// needs none here.",
        slug="java-missing",
    )


@contextlib.contextmanager
def _elsewhere() -> Iterator[BinaryIO]:
    """Yield a file that takes what this process, and Java begun by it, say on standard error."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as output, contextlib.ExitStack() as after:
        try:
            before = os.dup(2)
        except OSError:  # there is none
            yield output
            return
        after.callback(os.close, before)
        after.callback(os.dup2, before, 2)
        os.dup2(output.fileno(), 2)
        yield output


def _lines(output: BinaryIO) -> list[str]:
    output.seek(0)
    lines = output.read().decode("utf-8", "replace").splitlines()
    # Spark's own script stumbles over what Java did not answer.
    return [line.strip() for line in lines if line.strip() and "/spark-class: line " not in line]


def _complaint(output: BinaryIO) -> str:
    """Return the last error in Java's output."""
    worth = [line for line in _lines(output) if " ERROR " in line or "Exception" in line]
    return worth[-1] if worth else ""


def _last(output: BinaryIO) -> str:
    """Return the last complaint, or all else failing the last line."""
    return _complaint(output) or next(iter(_lines(output)[-1:]), "")


def _first_line(error: BaseException) -> str:
    """Return what went wrong; of an error of Java its first line, not that of who called it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    message = next((line[2:] for line in lines if line.startswith(": ")), "")
    return message or (lines[0] if lines else type(error).__name__)


def _unreachable(address: str, detail: str) -> PgiostatError:
    return PgiostatError(
        f"could not reach Spark at {address}",
        detail=detail,
        hint="Is it running, and may this machine connect to it?",
        slug="spark-unreachable",
    )
