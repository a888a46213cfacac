"""What installing costs: size, packages, and the time of imports, beside pg_activity.

    python benchmarks/install.py [--json] [--repeat 7] [--python python3.13]

It builds the wheel, and installs it into empty virtual environments by pip: the core, each extra,
and pg_activity[psycopg] from the registry. Sizes are what pip added to the empty environment, with
compiled modules. Times are user and system CPU of the process, the median of as many starts,
taken in turns: of Python alone, of the version, and of the modules that a live screen imports.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXTRAS = ("", "history", "notebook", "fleet", "demo", "all")
LIVE = "import pgiostat.cli.watch_screen, pgiostat.watch.app, pgiostat.watch.sources.live"
SERVER = f"{LIVE}, pgiostat.postgres.sampler"
PEER = "import pgactivity.cli, pgactivity.ui, pgactivity.views, psycopg"
STARTS = {
    "pgiostat": {"version": ("-m", "pgiostat", "--version"), "live": ("-c", SERVER)},
    "pg_activity": {"version": ("-m", "pgactivity", "--version"), "live": ("-c", PEER)},
}


@dataclass(frozen=True, slots=True)
class Installed:
    """An installation: its requirement, what pip added in MB, and the number of packages."""

    what: str
    megabytes: float
    packages: int


@dataclass(frozen=True, slots=True)
class Started:
    """Milliseconds of CPU: of the interpreter, of `--version`, of what a live screen imports."""

    what: str
    python: float
    version: float
    live: float


def size(directory: Path) -> int:
    """Return the bytes of the files below a directory."""
    files = (path for path in directory.rglob("*") if not path.is_symlink())
    return sum(path.stat().st_size for path in files if path.is_file())


def install(python: str, directory: Path, requirement: str) -> Installed:
    """Install a requirement into an empty environment and return what that added."""
    subprocess.run([python, "-m", "venv", directory], check=True)
    site = next((directory / "lib").glob("python*")) / "site-packages"
    before, there = size(directory), set(site.glob("*.dist-info"))
    pip = (directory / "bin" / "python", "-m", "pip", "install", "--quiet", requirement)
    subprocess.run(pip, check=True, stderr=subprocess.DEVNULL)
    added = set(site.glob("*.dist-info")) - there
    name = requirement.partition(" @ ")[0]
    return Installed(name, (size(directory) - before) / 1e6, len(added))


def cpu_ms(command: list[str | Path]) -> float:
    """Return the CPU time of a process."""
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "LC_ALL": "C.UTF-8"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} ended with status {process.returncode}")
    return (usage.ru_utime + usage.ru_stime) * 1000


def start(environments: dict[str, Path], repeat: int) -> list[Started]:
    """Return the times of each program, started in turns."""
    times: dict[tuple[str, str], list[float]] = {}
    for number in range(repeat + 1):
        for program, directory in environments.items():
            python = directory / "bin" / "python"
            starts = {"python": ("-c", "pass"), **STARTS[program]}
            for name, arguments in starts.items():
                took = cpu_ms([python, *arguments])
                if number:  # the first start reads files that are not in memory
                    times.setdefault((program, name), []).append(took)
    medians = {key: statistics.median(values) for key, values in times.items()}
    return [
        Started(program, *(medians[program, name] for name in ("python", "version", "live")))
        for program in environments
    ]


def measure(python: str, repeat: int) -> tuple[list[Installed], list[Started]]:
    """Build, install and start all of it in a temporary directory."""
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        build = (sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(work))
        subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
        (wheel,) = work.glob("*.whl")
        installed = []
        for extra in EXTRAS:
            name = f"pgiostat[{extra}]" if extra else "pgiostat"
            requirement = f"{name} @ {wheel.as_uri()}"
            installed.append(install(python, work / (extra or "core"), requirement))
        installed.append(install(python, work / "peer", "pg_activity[psycopg]"))
        environments = {"pgiostat": work / "core", "pg_activity": work / "peer"}
        return installed, start(environments, repeat)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--python", default=sys.executable)
    options = parser.parse_args()
    installed, started = measure(options.python, options.repeat)
    if options.json:
        print(json.dumps([*map(asdict, installed), *map(asdict, started)]))
        return
    print("| installed | MB | packages |\n|---|---:|---:|")
    for each in installed:
        print(f"| `{each.what}` | {each.megabytes:,.0f} | {each.packages} |")
    print(
        "\n| CPU ms | Python alone | --version | imports of a live screen |\n|---|---:|---:|---:|"
    )
    for took in started:
        print(f"| {took.what} | {took.python:.0f} | {took.version:.0f} | {took.live:.0f} |")


if __name__ == "__main__":
    main()
