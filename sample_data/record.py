"""Record the sample history: an hour of the demo's sync workload, on a PostgreSQL of its own.

    python sample_data/record.py [--minutes 60] [--interval 10] [--to sample_data/history]

In the first half the sync API queries the version of a table as often as in the demo. In the second
half a cache of table versions answers most of these queries, so that a comparison of the halves
finds a change.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from threading import Event, Thread

from rich.console import Console

from pgiostat.collector.log import configure, server_log
from pgiostat.collector.recorder import Recorder
from pgiostat.collector.schedule import Schedule
from pgiostat.collector.targets import Target
from pgiostat.history.write.finalize import finalize
from pgiostat.lab.demo.scenarios import scenario_of
from pgiostat.lab.demo.server import reader_dsn, remove, serving
from pgiostat.lab.demo.traffic import working
from pgiostat.queries.describe import uncategorized
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
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--interval", type=float, default=10.0)
    parser.add_argument("--to", type=Path, default=HERE / "history")
    asked = parser.parse_args()
    if asked.to.exists():
        sys.exit(f"{asked.to} exists already")
    stop = Event()
    console = Console(stderr=True, highlight=False)
    place = Path(tempfile.mkdtemp(prefix="pgiostat-sample-"))
    log = server_log(configure(sys.stderr), LABEL)
    try:
        scenario = scenario_of("sync")
        with serving(scenario, console, place / "server") as cluster:
            # What the volume of the recording machine did is nobody's story.
            device = DeviceOption(device="none", cloudwatch="none")
            target = Target(reader_dsn(cluster, scenario.database), LABEL, asked.interval, device)
            recorder = Recorder(target, asked.to, uncategorized, Schedule(stop), log)
            collecting = Thread(target=recorder.run)
            for half, mix in enumerate((BEFORE, AFTER)):
                with working(cluster, scenario, *mix):
                    if not half:
                        stop.wait(WARM_UP_SECONDS)
                        collecting.start()
                    stop.wait(asked.minutes * 30)
                    console.print(f"half {half + 1} of 2: {recorder.samples} samples")
            stop.set()
            collecting.join()
        remove(place / "server")
    finally:
        shutil.rmtree(place, ignore_errors=True)
    finalize(asked.to, [LABEL])
    size = sum(path.stat().st_size for path in asked.to.rglob("*") if path.is_file())
    console.print(f"{asked.to}: {recorder.samples} samples, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
