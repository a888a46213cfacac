"""Whether `pgiostat why` names the cause of faults that are injected.

    python -m benchmarks.why run --version 18 --system sync --results FILE [--keep DIR] [--worst]
    python -m benchmarks.why replay DIR --results FILE
    python -m benchmarks.why shorten FILE... > FILE
    python -m benchmarks.why table FILE...

`run` injects faults, each into a server of its own, and appends what `why` answers to a file, a
line of JSON each. With --keep it keeps the histories, and `replay` judges them again in seconds.
`shorten` prints results, with evidence where one is not right. `table` prints the tables
of docs/why-benchmark.md as Markdown.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.why_judge import QUESTIONS, Verdict, judge
from benchmarks.why_run import HEALTHY, Meta, Times, run
from benchmarks.why_systems import SYSTEMS
from benchmarks.why_table import tables
from pgiostat.errors import PgiostatError
from pgiostat.lab.faults.fault import FaultTarget, InjectableFault
from pgiostat.lab.faults.library import FAULTS, SEVERITIES, injections
from tests.support.servers import MATRIX, matrix_binaries

HEALTHY_SECONDS = 125.0
RULES = ("pgiostat/analysis/why", ":(glob)pgiostat/reports/why*.py")
"""Where the rules are."""
_META = "meta.json"


def commit() -> str:
    """Return the last commit of the rules, with a mark if they were changed since."""
    found = _git("log", "-1", "--format=%h", "--abbrev=10", "--", *RULES)
    return found + ("-dirty" if _git("status", "--porcelain", "--", *RULES) else "")


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def keep(history: Path, meta: Meta, directory: Path) -> None:
    """Pack a history with what is known of its run."""
    directory.mkdir(parents=True, exist_ok=True)
    target = directory / f"{meta.name}.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(_META, json.dumps(meta.as_record(), indent=1))
        for path in sorted(history.rglob("*")):
            if path.is_file():
                archive.write(path, Path("history") / path.relative_to(history))


def kept(path: Path) -> dict[str, Any]:
    """Judge a kept history."""
    with tempfile.TemporaryDirectory() as place, zipfile.ZipFile(path) as archive:
        archive.extractall(place)
        meta = labelled(Meta(**json.loads((Path(place) / _META).read_text("utf-8"))))
        return record(Path(place) / "history", meta)


def labelled(meta: Meta) -> Meta:
    """Return what is known of a run, with the truth as the library has it now."""
    for fault, severity, target in injections(SYSTEMS[meta.system].targets):
        if (fault.name, severity) == (meta.fault, meta.severity):
            return meta.labelled(fault, target)
    return meta


def record(history: Path, meta: Meta) -> dict[str, Any]:
    """Return the result of a run, for a line of JSON."""
    return {"commit": commit(), **meta.as_record(), "result": judge(history, meta)}


def shortened(found: dict[str, Any]) -> dict[str, Any]:
    """Return a result without its evidence, if it is right."""
    result = found["result"]
    if any(
        result.get(each, {}).get("verdict", Verdict.RIGHT) != Verdict.RIGHT for each in QUESTIONS
    ):
        return found
    kept_keys = {*QUESTIONS, "effect", "pairs", "alarms"} | (
        {"named"} if result.get("named") else set()
    )
    return found | {"result": {name: result[name] for name in result if name in kept_keys}}


def _append(results: Path, found: dict[str, Any]) -> None:
    results.parent.mkdir(parents=True, exist_ok=True)
    with results.open("a", encoding="utf-8") as file:
        file.write(json.dumps(found) + "\n")
    result = found["result"]
    words = (
        (f"{result['alarms']} of {result['pairs']} pairs with a cause",)
        if found["fault"] == HEALTHY
        else (
            f"{each}: {result[each]['verdict']} {result[each]['cause']}"
            for each in ("top", "asked")
        )
    )
    name = " ".join((found["version"], found["system"], found["fault"], found["severity"]))
    print(name, *words, *found["errors"], sep="; ", flush=True)


def _wanted(
    options: argparse.Namespace, system: str
) -> Iterator[tuple[InjectableFault, str, FaultTarget] | None]:
    found = [(each[0].name, each[1], each) for each in injections(SYSTEMS[system].targets)]
    worst = {name: severity for name, severity, _ in found}
    for name, severity, injected in found:
        if (
            (not options.fault or name in options.fault)
            and (not options.severity or severity in options.severity)
            and not (options.worst and worst[name] != severity)
        ):
            yield injected
    if not options.fault or HEALTHY in options.fault:
        yield None


def _run(options: argparse.Namespace) -> None:
    for version in options.version:
        for system in options.system:
            for injected in _wanted(options, system):
                times = Times()
                if injected is None:
                    times = Times(healthy=HEALTHY_SECONDS / 2, fault=HEALTHY_SECONDS / 2)
                binaries = matrix_binaries(version)
                try:
                    meta, history = run(binaries, options.work, system, injected, times)
                except (PgiostatError, psycopg.Error) as error:
                    name = injected[0].name if injected else HEALTHY
                    print(f"{version} {system} {name}: failed: {error}", flush=True)
                    continue
                if options.keep:
                    keep(history, meta, options.keep)
                _append(options.results, record(history, meta))


def main() -> int:
    """Run, replay or print; return 0."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run")
    running.add_argument("--version", type=int, action="append", choices=MATRIX, required=True)
    running.add_argument("--system", action="append", choices=[*SYSTEMS], required=True)
    running.add_argument("--fault", action="append", choices=[*FAULTS, HEALTHY])
    running.add_argument("--severity", action="append", choices=SEVERITIES)
    running.add_argument("--worst", action="store_true", help="the last severity of each fault")
    running.add_argument("--results", type=Path, required=True)
    running.add_argument("--keep", type=Path)
    running.add_argument("--work", type=Path, default=Path(tempfile.gettempdir(), "pgiostat-why"))
    replaying = commands.add_parser("replay")
    replaying.add_argument("directory", type=Path)
    replaying.add_argument("--results", type=Path, required=True)
    for name in ("shorten", "table"):
        commands.add_parser(name).add_argument("results", type=Path, nargs="+")
    options = parser.parse_args()
    if options.command == "run":
        _run(options)
    elif options.command == "replay":
        for path in sorted(options.directory.glob("*.zip")):
            _append(options.results, kept(path))
    else:
        results = [json.loads(line) for path in options.results for line in path.open("rb")]
        if options.command == "shorten":
            printed: Iterable[str] = (json.dumps(shortened(each)) for each in results)
        else:
            printed = tables(results)
        for line in printed:
            print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
