"""The process of a demo's workload, run by python -m.

It ends on SIGTERM or SIGINT, and when standard input ends: its parent process holds the other end,
so that it never outlives the parent.
"""

import argparse
import os
import signal
import sys
from pathlib import Path
from threading import Event, Thread

import psycopg

from pgiostat.lab.workload import faults, load
from pgiostat.lab.workload.incidents import IncidentSwitch

__all__: list[str] = []


def main() -> None:
    """Run until the other end of standard input is closed, or a signal arrives."""
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())

    def until_input_ends() -> None:
        # Not by sys.stdin: its lock, held here, would abort the end of the main thread.
        while os.read(0, 4096):
            pass
        stop.set()

    Thread(target=until_input_ends, daemon=True).start()
    try:
        _run(_arguments(), stop)
    except psycopg.OperationalError as error:
        if not stop.is_set():
            sys.exit(f"The workload lost its server: {str(error).splitlines()[0]}.")
    except psycopg.Error as error:
        sys.exit(f"A statement of the workload failed: {str(error).splitlines()[0]}.")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("scenario", choices=("sync", "shop"))
    parser.add_argument("dsn", help="the server, as the application")
    parser.add_argument("--mix", type=int, nargs=3, help="versions, manifests, uploads per second")
    parser.add_argument("--admin", default="", help="the server, as a superuser, for incidents")
    parser.add_argument("--incident", type=Path, help="file that names the incident")
    return parser.parse_args()


def _run(options: argparse.Namespace, stop: Event) -> None:
    if options.scenario == "shop":
        # It needs SQLAlchemy, which the other scenario does without.
        from pgiostat.lab.workload.shop import faults as shop_faults  # noqa: PLC0415
        from pgiostat.lab.workload.shop import pages  # noqa: PLC0415

        switch = IncidentSwitch(shop_faults.INCIDENTS, options.admin, options.incident)
        pages.run(options.dsn, stop, traffic=switch.traffic)
        return
    mix = load.Mix(*options.mix) if options.mix else load.Mix()
    switch = IncidentSwitch(faults.INCIDENTS, options.admin, options.incident)
    load.run(options.dsn, stop, mix=mix, traffic=switch.traffic)


if __name__ == "__main__":
    main()
