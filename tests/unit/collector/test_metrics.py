"""What Prometheus is told is what was committed, and nothing that is not known."""

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from urllib.parse import quote
from urllib.request import urlopen

import pytest

from pgiostat.analysis.rank import rank_totals
from pgiostat.collector.metrics import METRICS, BusiestCategories, Metrics
from pgiostat.collector.metrics_server import Address, MetricsServer, parse_address
from pgiostat.collector.recorder import Recorder
from pgiostat.collector.schedule import Schedule
from pgiostat.collector.targets import Target
from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.extras import install_hint
from pgiostat.history.read.history import History
from pgiostat.history.read.windows import Window
from pgiostat.queries.describe import describer
from pgiostat.queries.rules import rule_book
from pgiostat.statistics.names import OWN, UNREADABLE
from pgiostat.volume.device.discover import NONE, DeviceOption
from pgiostat.volume.device.interval import DeviceInterval, Origin
from tests.conftest import MakeServer
from tests.support.histories import KNOWN, intervals
from tests.support.readings import at, said_to
from tests.support.workloads import client, fill

ROOT = Path(__file__).parents[3]
Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def series(text: str) -> Series:
    """Return the numbers of a page."""
    found: Series = {}
    for line in text.splitlines():
        if match := re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line):
            labels = re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or "")
            found[match[1], tuple(sorted(labels))] = float(match[3])
    return found


def told(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Return what is known of a server, without its label."""
    return {(name, *labels[1:]): value for name, labels, value in metrics.samples()}


def test_intervals_add_up_by_category_and_nothing_unknown_is_there() -> None:
    metrics = Metrics("prod", 10.0, lambda: True)
    assert told(metrics) == {
        ("pgiostat_interval_asked_seconds",): 10.0,
        ("pgiostat_up",): 1.0,
    }
    deltas = intervals(3, 12.5)
    for delta in deltas:
        metrics.tried(None)
        metrics.committed(delta, KNOWN, [])
    found = told(metrics)
    # Three intervals: n * n * queryid blocks by then, a call each.
    assert {key: value for key, value in found.items() if "exec" not in key[0]} == {
        ("pgiostat_category_blocks_read_total", "version"): 9.0,
        ("pgiostat_category_blocks_read_total", "manifest"): 9.0 * 5,
        ("pgiostat_category_blocks_read_total", OWN): 9.0 * 4,
        ("pgiostat_category_bytes_read_total", "version"): 9.0 * 8192,
        ("pgiostat_category_bytes_read_total", "manifest"): 9.0 * 5 * 8192,
        ("pgiostat_category_bytes_read_total", OWN): 9.0 * 4 * 8192,
        ("pgiostat_category_calls_total", "version"): 3.0,
        ("pgiostat_category_calls_total", "manifest"): 6.0,
        ("pgiostat_category_calls_total", OWN): 3.0,
        ("pgiostat_server_blocks_read_total",): 11 * 9 + 3,
        ("pgiostat_statement_blocks_read_total",): 10 * 9.0,
        ("pgiostat_coverage_ratio",): 50 / 56,
        ("pgiostat_evictions_total",): 0.0,
        ("pgiostat_intervals_total", "ok"): 3.0,
        ("pgiostat_own_seconds_total",): 0.0,
        ("pgiostat_interval_seconds",): 12.5,
        ("pgiostat_lag_seconds",): 2.5,
        ("pgiostat_last_interval_timestamp_seconds",): at(37.5).timestamp(),
        ("pgiostat_readings_total",): 3.0,
        ("pgiostat_interval_asked_seconds",): 10.0,
        ("pgiostat_up",): 1.0,
    }


def test_what_has_no_text_yet_waits_for_its_category() -> None:
    metrics = Metrics("prod", 10.0)
    first, second, third, last = intervals(4, 10.0)
    names = replace(KNOWN, statements={}, unreadable={})
    metrics.committed(first, names, [])
    assert not [key for key in told(metrics) if "category" in key[0]]
    # One text comes, one cannot be read, and the others are waited for.
    (one, *others) = sorted(KNOWN.statements)
    names.add(one, KNOWN.statements[one])
    names.unreadable[others[0]] = "Damaged."
    metrics.committed(second, names, [])
    found = {key[1] for key in told(metrics) if key[0] == "pgiostat_category_calls_total"}
    assert found == {KNOWN.statements[one].category, UNREADABLE}
    names.unreadable.clear()
    for key in others:
        names.add(key, KNOWN.statements[key])
    metrics.committed(third, names, [])
    metrics.committed(last, names, [])
    # All is counted, each block once; what could not be read stays where it was.
    whole = Metrics("prod", 10.0)
    for delta in (first, second, third, last):
        whole.committed(delta, KNOWN, [])
    blocks = [
        sum(
            value
            for key, value in told(each).items()
            if key[0].endswith("category_blocks_read_total")
        )
        for each in (metrics, whole)
    ]
    assert blocks[0] == blocks[1] > 0


def test_a_device_is_told_as_far_as_it_is_known() -> None:
    metrics = Metrics("prod", 10.0)
    (delta,) = intervals(1, 10.0)
    minutes = [
        DeviceInterval(at(0), 60.0, Origin.CLOUDWATCH, "db-1", 7, burst_balance=50.0),
        DeviceInterval(at(60), 60.0, Origin.CLOUDWATCH, "db-1", 5, burst_balance=25.0),
    ]
    metrics.committed(delta, KNOWN, minutes)
    assert {key: value for key, value in told(metrics).items() if "db-1" in key} == {
        ("pgiostat_device_reads_total", "db-1"): 12.0,
        ("pgiostat_burst_balance_ratio", "db-1"): 0.25,
    }


def test_failures_are_counted_by_their_names() -> None:
    metrics = Metrics("prod", 10.0)
    lost = PgiostatError("it went", slug="connection-lost")
    metrics.tried(lost)
    metrics.tried(lost)
    metrics.failed(PgiostatError("full", slug="history-unwritable"))
    assert {key: value for key, value in told(metrics).items() if "_total" in key[0]} == {
        ("pgiostat_readings_total",): 2.0,
        ("pgiostat_errors_total", "connection-lost"): 2.0,
        ("pgiostat_errors_total", "history-unwritable"): 1.0,
    }


@contextmanager
def page(*servers: Metrics) -> Iterator[str]:
    """Yield where a page is served."""
    port = free_port()
    end = MetricsServer(lambda: servers).serve(Address("127.0.0.1", port))
    try:
        yield f"http://127.0.0.1:{port}/metrics"
    finally:
        end()


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as one:
        port: int = one.getsockname()[1]
        return port


def fetched(url: str) -> str:
    with urlopen(url, timeout=10) as answer:  # noqa: S310 - our own
        text: str = answer.read().decode()
        return text


def test_the_page_has_all_that_is_documented_and_no_statement() -> None:
    metrics = Metrics("prod", 10.0)
    for delta in intervals(3, 10.0):
        metrics.committed(delta, KNOWN, [])
    with page(metrics, Metrics("test", 5.0)) as url:
        text = fetched(url)
    assert re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE) == [
        (metric.name, "counter" if metric.is_counter else "gauge") for metric in METRICS
    ]
    assert re.findall(r"^# HELP (\w+) (.+)$", text, re.MULTILINE) == [
        (metric.name, f"{metric.meaning}.") for metric in METRICS
    ]
    found = series(text)
    labels = {metric.name: tuple(sorted(metric.labels)) for metric in METRICS}
    assert {(name, tuple(key for key, _ in told)) for name, told in found} <= set(labels.items())
    assert found["pgiostat_servers", ()] == 2
    assert found["pgiostat_up", (("server", "test"),)] == 0
    assert "select" not in text


def test_a_port_that_is_taken_is_said() -> None:
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as taken,
        pytest.raises(PgiostatError) as caught,
    ):
        MetricsServer(list).serve(Address("127.0.0.1", taken.getsockname()[1]))
    assert caught.value.slug == "metrics-address"
    assert caught.value.message.endswith(": Address already in use")


def test_a_host_that_there_is_not_is_said() -> None:
    with pytest.raises(PgiostatError) as caught:
        MetricsServer(list).serve(Address("nowhere.invalid", 9187))
    assert caught.value.slug == "metrics-address"
    assert re.fullmatch(
        r"could not serve metrics on nowhere.invalid:9187: [A-Z][a-z ]+", caught.value.message
    )


def test_the_package_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgiostat.collector.metrics_server.find_spec", lambda _: None)
    with pytest.raises(PgiostatError) as caught:
        MetricsServer(list).serve(Address("127.0.0.1", 1))
    assert (caught.value.slug, caught.value.hint) == (
        "metrics-missing",
        install_hint("metrics"),
    )


@pytest.mark.parametrize("words", ["", "x", "70000", "host:", ":80", "a b:80", "9187/metrics"])
def test_addresses_that_are_none(words: str) -> None:
    with pytest.raises(PgiostatError) as caught:
        parse_address(words)
    assert (caught.value.slug, caught.value.status) == ("option-invalid", ExitStatus.USAGE)


# --- on a server --------------------------------------------------------------------------

VERSION = "SELECT max(rev) FROM parcel"


@contextmanager
def collecting(root: Path, port: int, *dsns: str) -> Iterator["subprocess.Popen[str]"]:
    """Collect with a page, while the block runs."""
    labels = [word for n in range(len(dsns)) for word in ("--label", f"db{n}")]
    with (root.parent / "log").open("w") as log, subprocess.Popen(
        [sys.executable, "-m", "pgiostat", "collect", *dsns, *labels, "--history", str(root),
         "--interval", "300ms", "--metrics", str(port)],
        stderr=log, text=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0, (root.parent / "log").read_text()


def arranged(make_server: MakeServer) -> str:
    """Return a server with a table that has versions."""
    dsn = make_server(**{"pg_stat_statements.track": "all"}).dsn()
    with client(dsn) as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
        fill(connection, "parcel", 2_000)
        connection.execute("ALTER TABLE parcel ADD rev bigint DEFAULT 1")
    return dsn


@pytest.mark.once
def test_the_page_says_what_the_history_holds(make_server: MakeServer, tmp_path: Path) -> None:
    dsn, root, describe = (
        arranged(make_server),
        tmp_path / "history",
        describer(rule_book(preset="sync")),
    )
    metrics, stop, said = Metrics("db0", 0.1, lambda: True), Event(), list[str]()
    recorder = Recorder(
        Target(dsn, "db0", 0.1, DeviceOption(NONE, NONE)),
        root,
        describe,
        Schedule(stop),
        said_to(said),
        observer=metrics,
    )
    collector = Thread(target=recorder.run)
    collector.start()
    with client(dsn) as connection:
        while recorder.samples <= 5 and collector.is_alive():
            connection.execute(VERSION)
    stop.set()
    collector.join()
    assert recorder.samples > 5, said
    port = free_port()
    end_page = MetricsServer(lambda: [metrics]).serve(Address("127.0.0.1", port))
    found = series(fetched(f"http://127.0.0.1:{port}/metrics"))
    end_page()
    with closing(History.open(root)) as history:
        (server,) = history.servers()
        seen = history.totals(Window(server.since, server.until + timedelta(hours=1)))
        names = history.names(describe)
    whose = (("server", "db0"),)
    counted = sum(v for (n, _), v in found.items() if n == "pgiostat_intervals_total")
    assert counted == seen.sampled.samples == recorder.samples
    ranking = rank_totals([(part, names[who]) for who, part in seen.counted.items()])
    assert "version" in {row.name for row in ranking.rows}
    for row in ranking.rows:
        labels = (("category", row.name), *whose)
        assert found["pgiostat_category_calls_total", labels] == row.cost.calls
        assert found["pgiostat_category_bytes_read_total", labels] == row.cost.bytes
    assert found["pgiostat_up", whose] == 1
    assert found["pgiostat_server_blocks_read_total", whose] == seen.sampled.server_blocks
    assert found["pgiostat_statement_blocks_read_total", whose] == seen.sampled.statement_blocks


# --- Prometheus ---------------------------------------------------------------------------


@contextmanager
def prometheus(directory: Path, target: int) -> Iterator[str]:
    """Yield the address of a Prometheus that scrapes a port of this machine, with our alerts."""
    program = shutil.which("prometheus")
    assert program is not None, "Prometheus is needed: apt-get install prometheus"
    port = free_port()
    (directory / "prometheus.yml").write_text(
        f"global: {{scrape_interval: 500ms}}\n"
        f"rule_files: [{ROOT / 'contrib' / 'pgiostat-alerts.yml'}]\n"
        "scrape_configs:\n"
        f"  - {{job_name: pgiostat, static_configs: [{{targets: ['127.0.0.1:{target}']}}]}}\n"
    )
    with (directory / "prometheus.log").open("w") as log, subprocess.Popen(
        [program, f"--config.file={directory / 'prometheus.yml'}",
         f"--storage.tsdb.path={directory / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}"],
        stdout=log, stderr=log,
    ) as process:  # fmt: skip
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)


def asked(address: str, expression: str) -> dict[str, float]:
    """Return the numbers of an expression, by server; none while Prometheus begins."""
    try:
        text = fetched(f"{address}/api/v1/query?query={quote(expression)}")
    except OSError:
        return {}
    found = json.loads(text)["data"]["result"]
    return {each["metric"].get("server", ""): float(each["value"][1]) for each in found}


@pytest.mark.fleet
@pytest.mark.once
def test_prometheus_scrapes_what_is_collected(make_server: MakeServer, tmp_path: Path) -> None:
    dsn, port = arranged(make_server), free_port()
    calls = 'pgiostat_category_calls_total{category="select parcel"}'
    with (
        collecting(tmp_path / "history", port, dsn, dsn),
        prometheus(tmp_path, port) as address,
        client(dsn) as connection,
    ):
        found: dict[str, float] = {}
        for _ in range(300):
            if asked(address, "pgiostat_intervals_total").keys() == {"db0", "db1"}:
                break
            Event().wait(0.1)
        before = asked(address, calls)
        for _ in range(25):
            connection.execute(VERSION)
        wanted = {label: before.get(label, 0.0) + 25 for label in ("db0", "db1")}
        for _ in range(300):
            found = asked(address, calls)
            if found == wanted:
                break
            Event().wait(0.1)
        assert found == wanted
        assert asked(address, "pgiostat_up") == {"db0": 1.0, "db1": 1.0}
        assert asked(address, "up") == {"": 1.0}
        # Everything that the dashboard and the alerts ask is understood.
        for expression in expressions():
            filled = re.sub(r"\$__(rate_interval|range)", "1m", expression)
            text = fetched(f"{address}/api/v1/query?query={quote(filled.replace('$server', '.*'))}")
            assert json.loads(text)["status"] == "success", expression


@pytest.mark.fleet
def test_alerts_are_raised_when_they_should_be() -> None:
    promtool = shutil.which("promtool")
    assert promtool is not None, "promtool is needed: apt-get install prometheus"
    for command in (["check", "rules", "contrib/pgiostat-alerts.yml"],
                    ["test", "rules", "contrib/pgiostat-alerts.test.yml"]):  # fmt: skip
        done = subprocess.run(
            [promtool, *command], capture_output=True, text=True, check=False, cwd=ROOT
        )
        assert done.returncode == 0, done.stdout + done.stderr


def expressions() -> list[str]:
    """Return what the dashboard asks."""
    board = json.loads((ROOT / "contrib" / "grafana-pgiostat.json").read_text("utf-8"))
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


def test_dashboard_and_alerts_name_only_what_the_page_has() -> None:
    alerts = (ROOT / "contrib" / "pgiostat-alerts.yml").read_text("utf-8")
    asked_for = "\n".join([*expressions(), *re.findall(r"expr: (.*(?:\n {10,}.*)*)", alerts)])
    names = set(re.findall(r"pgiostat_\w+", asked_for))
    assert len(names) > 10
    assert names <= {metric.name for metric in METRICS}


def test_the_busiest_categories_have_series_and_keep_them() -> None:
    busiest = BusiestCategories(busiest=2, at_most=3)
    seen = []
    for automatic in (
        {"select a": 5, "select b": 3, "select c": 1},
        {"select c": 9},
        {"select d": 99},
        {"select a": 0},
    ):
        busiest.update(automatic)
        seen.append([busiest.series_of(f"select {name}") for name in "abcd"])
    a, b, c = "select a", "select b", "select c"
    assert seen == [
        [a, b, "other", "other"],
        [a, b, c, "other"],
        [a, b, c, "other"],  # three have series, and each keeps it
        [a, b, c, "other"],
    ]
