"""Engines side by side: each question is asked of two, and their answers must be the same."""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import pyarrow as pa
import pyarrow.parquet as pq

from pgiostat.history.engines import DuckDB, Engine, Source

WAIT_SECONDS = 60.0


class Both:
    """Asks two engines the same, and compares whole answers: names, order of rows, and values.

    What the two write differently is left open until each is asked.  What was asked before has the
    answer of before.  asked: texts, as often as they were asked.
    """

    name = "both"

    def __init__(self, other: Engine) -> None:
        self.engines: tuple[Engine, Engine] = (DuckDB(), other)
        self.asked: list[str] = []
        self._open: dict[str, tuple[str, str]] = {}
        self._answers: dict[str, pa.Table] = {}

    def _left(self, kind: str, first: str, second: str) -> str:
        mark = f"<<{kind}{len(self._open)}>>"
        self._open[mark] = first, second
        return mark

    def instant(self, when: datetime) -> str:
        first, second = (engine.instant(when) for engine in self.engines)
        return self._left("instant", first, second)

    def bucket(self, step_us: int, column: str = "ts") -> str:
        first, second = (engine.bucket(step_us, column) for engine in self.engines)
        return self._left("bucket", first, second)

    def ends(self) -> str:
        first, second = (engine.ends() for engine in self.engines)
        return self._left("ends", first, second)

    def _for(self, engine: int, sql: str) -> str:
        return re.sub("<<[a-z]+[0-9]+>>", lambda found: self._open[found[0]][engine], sql)

    def query(self, sql: str, sources: Mapping[str, Source]) -> pa.Table:
        self.asked.append(sql)
        texts = [self._for(one, sql) for one in (0, 1)]
        key = f"{texts} { {name: _known_by(source) for name, source in sources.items()} }"
        if key not in self._answers:
            ours, theirs = (
                engine.query(text, sources)
                for engine, text in zip(self.engines, texts, strict=True)
            )
            same(ours, theirs, sql)
            streamed = list(self.engines[0].stream(texts[0], sources))
            assert pa.Table.from_batches(streamed, ours.schema) == ours
            self._answers[key] = ours
        return self._answers[key]

    def stream(self, sql: str, sources: Mapping[str, Source]) -> Iterator[pa.RecordBatch]:
        yield from self.query(sql, sources).to_batches()

    def close(self) -> None:
        for engine in self.engines:
            engine.close()


def _known_by(source: Source) -> object:
    """Return what tells one source from another."""
    return source.to_pydict() if isinstance(source, pa.Table) else (source[0], str(source[1]))


def same(ours: pa.Table, theirs: pa.Table, sql: str) -> None:
    """Check that two answers are one."""
    assert ours.column_names == theirs.column_names, sql
    for name in ours.column_names:
        mine, other = ours[name].to_pylist(), theirs[name].to_pylist()
        assert mine == other, f"{name} of {sql}"
        kinds = [{type(value) for value in values if value is not None} for values in (mine, other)]
        assert kinds[0] == kinds[1], f"{name} of {sql}"


class ClickHouse:
    """ClickHouse in this process, by chdb: a third engine, for the texts alone."""

    name = "chdb"

    def __init__(self, directory: Path) -> None:
        from chdb.session import Session  # noqa: PLC0415 - not there where it is not tested

        self._directory = directory
        self._session = Session(":memory:")
        self._session.query(
            "SET join_use_nulls = 1, cast_keep_nullable = 1, session_timezone = 'UTC'"
        )

    def instant(self, when: datetime) -> str:
        return f"toDateTime64('{when.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}', 6, 'UTC')"

    def bucket(self, step_us: int, column: str = "ts") -> str:
        return f"intDiv(toUnixTimestamp64Micro({column}), {step_us})"

    def ends(self) -> str:
        return "fromUnixTimestamp64Micro(toUnixTimestamp64Micro(ts) + dur_us, 'UTC')"

    def query(self, sql: str, sources: Mapping[str, Source]) -> pa.Table:
        tables = ", ".join(f"{name} AS ({self._table(n, s)})" for n, (name, s) in
                           enumerate(sources.items()))  # fmt: skip
        found: pa.Table = self._session.query(f"WITH {tables}\n{sql}", "ArrowTable")
        return pa.table([_plain(column) for column in found.columns], found.column_names)

    def stream(self, sql: str, sources: Mapping[str, Source]) -> Iterator[pa.RecordBatch]:
        yield from self.query(sql, sources).to_batches()

    def _table(self, number: int, source: Source) -> str:
        directory = self._directory / str(number)
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        paths: Sequence[Path] = ()
        if isinstance(source, pa.Table):
            schema = source.schema
            pq.write_table(source, directory / "0.parquet")
        else:
            paths, schema = source
        for one, path in enumerate(paths):  # its names of files are patterns, ours may be like one
            (directory / f"{one}.parquet").symlink_to(path.absolute())
        typed = ", ".join(f"{field.name} Nullable({_CLICKHOUSE[field.type]})" for field in schema)
        if not any(directory.iterdir()):
            return f"SELECT * FROM null('{typed}')"
        return f"SELECT * FROM file('{directory}/*.parquet', Parquet, '{typed}')"

    def close(self) -> None:
        self._session.close()


_CLICKHOUSE = {
    pa.int64(): "Int64",
    pa.int8(): "Int8",
    pa.float64(): "Float64",
    pa.bool_(): "Bool",
    pa.string(): "String",
    pa.timestamp("us", tz="UTC"): "DateTime64(6, \\'UTC\\')",
}


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column as others have it: ClickHouse's texts are bytes, its flags numbers."""
    if pa.types.is_binary(column.type):
        return column.cast(pa.string())
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("us", tz="UTC"))
    return column


# Spark


@contextmanager
def spark_cluster(directory: Path) -> Iterator[tuple[str, str]]:
    """Yield the addresses of a master with two workers, and of Spark Connect on it; on loopback."""
    master, connect, page = (_free_port() for _ in range(3))
    address = f"spark://127.0.0.1:{master}"
    loopback = ["--host", "127.0.0.1"]
    deploy = "org.apache.spark.deploy"
    running = [
        _class(directory, f"{deploy}.master.Master", *loopback, "--port", str(master),
               "--webui-port", str(page)),
    ]  # fmt: skip
    try:
        _listening(master, running)
        for worker in ("a", "b"):
            port = _free_port()
            running.append(
                _class(directory, f"{deploy}.worker.Worker", *loopback, "--cores", "1",
                       "--memory", "1g", "--webui-port", str(port),
                       "--work-dir", str(directory / worker), address)
            )  # fmt: skip
        running.append(
            _class(
                directory,
                f"{deploy}.SparkSubmit",
                "--master", address,
                "--class", "org.apache.spark.sql.connect.service.SparkConnectServer",
                "--conf", f"spark.connect.grpc.binding.port={connect}",
                "--conf", "spark.connect.grpc.binding.address=127.0.0.1",
                "--conf", "spark.driver.host=127.0.0.1",
                "--conf", "spark.cores.max=1",
                "--conf", "spark.ui.enabled=false",
                "--conf", "spark.sql.shuffle.partitions=2",
                "spark-internal",
            )
        )  # fmt: skip
        _listening(connect, running)
        yield address, f"sc://127.0.0.1:{connect}"
    finally:
        for process in reversed(running):
            process.terminate()
        for process in running:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _class(directory: Path, *command: str) -> "subprocess.Popen[bytes]":
    """Start a class of Spark; what it says goes to a file."""
    import pyspark  # noqa: PLC0415 - the same

    home = Path(pyspark.__file__).parent
    environment = os.environ | {
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_DAEMON_MEMORY": "512m",  # of Connect's driver too, which refuses less
        "PYSPARK_PYTHON": sys.executable,
    }
    java = shutil.which("java")
    assert java is not None, "Java is needed: apt-get install openjdk-17-jre-headless"
    with (directory / f"{command[0].rpartition('.')[2]}.log").open("ab") as log:
        return subprocess.Popen(
            [str(home / "bin" / "spark-class"), *command],
            env=environment, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port: int = one.getsockname()[1]
        return port


def _listening(port: int, running: "list[subprocess.Popen[bytes]]") -> None:
    wait = Event()
    for _ in range(int(WAIT_SECONDS / 0.2)):
        assert all(process.poll() is None for process in running), "a part of Spark ended"
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            wait.wait(0.2)
        else:
            return
    raise AssertionError(f"nothing listens on port {port}")
