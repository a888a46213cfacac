"""Record the sample history: an hour of the demo's sync workload, on a PostgreSQL of its own.

    python sample_data/record.py [--minutes 60] [--interval 10] [--to sample_data/history]
    python sample_data/record.py --fix [--minutes 12] [--interval 10] [--to sample_data/fix]

In the first half the sync API queries the version of a table as often as in the demo. In the second
half a cache of table versions answers most of these queries, so that a comparison of the halves
finds a change. With --fix the second half has the indexes that `pgiostat why` proposes for the
first one.
"""

import argparse
import shutil
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from threading import Event, Thread

import psycopg
from rich.console import Console

from pgiostat.analysis.fixes import FixKind
from pgiostat.collector.log import configure, server_log
from pgiostat.collector.recorder import Recorder
from pgiostat.collector.schedule import Schedule
from pgiostat.collector.targets import Target
from pgiostat.history.read.history import History
from pgiostat.history.read.window_spec import window
from pgiostat.history.write.finalize import finalize
from pgiostat.lab.demo.scenarios import scenario_of
from pgiostat.lab.demo.server import reader_dsn, remove, serving
from pgiostat.lab.demo.traffic import working
from pgiostat.lab.postgres.cluster import Cluster
from pgiostat.postgres.relation_options import relation_options
from pgiostat.queries.describe import describer, uncategorized
from pgiostat.reports.why import why_report
from pgiostat.volume.device.discover import DeviceOption

HERE = Path(__file__).parent
LABEL = "demo"
BEFORE = (12, 9, 15)
"""Queries of versions and manifests, and uploads, per second."""
AFTER = (2, 9, 15)
WARM_UP_SECONDS = 60.0


def main() -> None:
    """Record, and compact the recorded intervals."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fix", action="store_true")
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--interval", type=float, default=10.0)
    parser.add_argument("--to", type=Path)
    options = parser.parse_args()
    to: Path = options.to or HERE / ("fix" if options.fix else "history")
    minutes: float = options.minutes or (12.0 if options.fix else 60.0)
    if to.exists():
        sys.exit(f"{to} exists already")
    stop = Event()
    console = Console(stderr=True, highlight=False)
    place = Path(tempfile.mkdtemp(prefix="pgiostat-sample-"))
    log = server_log(configure(sys.stderr), LABEL)
    try:
        scenario = scenario_of("sync")
        with serving(scenario, console, place / "server") as cluster:
            # What the volume of the recording machine did is nobody's story.
            device = DeviceOption(device="none", cloudwatch="none")
            tables = relation_options("10s" if options.fix else "off")
            dsn = reader_dsn(cluster, scenario.database)
            target = Target(dsn, LABEL, options.interval, device, tables)
            recorder = Recorder(target, to, uncategorized, Schedule(stop), log)
            collecting = Thread(target=recorder.run)
            for half, mix in enumerate((BEFORE, BEFORE if options.fix else AFTER)):
                if half and options.fix:
                    _apply(cluster, scenario.database, to)
                with working(cluster, scenario, *mix):
                    if not half:
                        stop.wait(WARM_UP_SECONDS)
                        collecting.start()
                    stop.wait(minutes * 30)
                    console.print(f"half {half + 1} of 2: {recorder.samples} samples")
            stop.set()
            collecting.join()
        remove(place / "server")
    finally:
        shutil.rmtree(place, ignore_errors=True)
    finalize(to, [LABEL])
    size = sum(path.stat().st_size for path in to.rglob("*") if path.is_file())
    console.print(f"{to}: {recorder.samples} samples, {size / 1e6:.1f} MB")


def _apply(cluster: Cluster, database: str, history: Path) -> None:
    """Create the indexes that are proposed for the version queries so far."""
    describe = describer()
    opened = History.open(history)
    try:
        whole = window(opened, datetime.now().astimezone())
        found = why_report(opened, None, whole, describe=describe, target="version").statements
    finally:
        opened.close()
    with psycopg.connect(cluster.dsn(database), autocommit=True) as connection:
        for each in found:
            for proposed in each.fixes:
                if proposed.fix.kind is FixKind.CREATE_INDEX:
                    connection.execute(proposed.fix.statements[0].encode())


if __name__ == "__main__":
    main()
