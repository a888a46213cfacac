"""Compare the output of two revisions byte for byte: python -m tests.same_output BEFORE AFTER.

In a worktree of each revision every report runs in every form on the sample data and on a history
that `same_output_history` records. The commands differ in nothing but the package that they run;
the exports and the Parquet files that were recorded are compared as well. Each command that differs
is printed with the start of a diff, and the exit status is then 1.

What is not compared: the output of commands that need a server (`watch`, `doctor` and `rules test`
on one), of which unit tests hold the forms, and --help, which docs/command-line.md holds.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from difflib import unified_diff
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).parent.parent
RECORDER = Path(__file__).parent / "same_output_history.py"
FORMS = ("text", "csv", "json", "markdown")
WIDTHS = (60, 80, 120, 200)
SHOWN_LINES = 12
BY = ("category", "fingerprint", "statement", "relation", "database", "user", "server", "hour")
HALVES = ("@2026-11-23T18:18..2026-11-23T18:45", "@2026-11-23T18:50..2026-11-23T19:17")
VOLUMES = (
    ("gp2:100",),
    ("gp3:500",),
    ("gp3:500", "--instance", "2000:100:4000:200"),
    ("gp2:20", "--writes", "9"),
    ("st1:500", "--balance", "3"),
    ("rds-gp2:100", "--instance", "db.t3.medium"),
)
STATEMENTS = (
    "SELECT max(version) FROM customer WHERE a = 1",
    "SELECT id, version FROM t WHERE id BETWEEN 1 AND 2; INSERT INTO t VALUES ('\x1b[31m')",
    "DECLARE manifest_7 CURSOR FOR SELECT id, rev FROM t /* job=export */",
)
SERVER = """
import json, os, runpy, sys
import duckdb, numpy, platformdirs, pyarrow.parquet, rich.console, rich.progress, rich.table, typer
for line in sys.stdin:
    width, *words = json.loads(line)
    child = os.fork()
    if not child:
        for number, name in enumerate(("/dev/null", "stdout", "stderr")):
            mode = os.O_RDONLY if not number else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            os.dup2(os.open(name, mode), number)
        os.environ["COLUMNS"] = width
        sys.stdin = open(0)
        sys.stdout, sys.stderr = open(1, "w"), open(2, "w")
        sys.argv = ["pgiostat", *words]
        runpy.run_module("pgiostat", run_name="__main__", alter_sys=True)
        sys.exit()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Runs each command in a process of its own that has imported the libraries already, and nothing of
the package."""
NOW = re.compile(rb'(newest ).*?( ago)|("age_seconds": )[0-9.e+]+')
"""What is counted up to the moment at which the command runs."""

Command = tuple[str, ...]


def forms(
    *words: str, allowed: Sequence[str] = FORMS, widths: Sequence[int] = ()
) -> Iterator[Command]:
    """Yield a command in every form; text also in other widths, as a first word COLUMNS=N."""
    for form in allowed:
        yield (*words, "--format", form)
    for width in widths:
        yield (f"COLUMNS={width}", *words)


def commands() -> Iterator[Command]:
    """Yield everything that is run, with paths relative to a directory that holds the data."""
    sample, recorded, lab = "history", "recorded", "investigation/history"
    for root in (sample, recorded, lab):
        at = ("--history", root)
        yield from forms("history", *at, allowed=("text", "json"), widths=WIDTHS)
        for by in BY[:2] if root == lab else BY:
            yield from forms("report", *at, "--by", by, widths=WIDTHS[::3])
    yield from _reports((("--history", sample), ("--history", recorded)))
    yield from _volumes(("--history", sample), ("--history", recorded, "--label", "prod"))
    yield from _comparisons(sample, recorded, lab)
    yield from forms("lab", "report", "--out", "investigation", widths=WIDTHS)
    yield ("lab", "report", "--out", "investigation", "--check", "--volume", "gp3:80")
    for n, root in enumerate((sample, recorded, lab)):
        yield ("export", "--history", root, "--out", f"exported/{n}")
    yield from _rules()
    yield from forms("doctor", "host=/nonexistent", allowed=("text", "json", "markdown"))
    yield ("watch", "--replay", sample)
    yield ("watch", "host=/nonexistent", "--once", "--format", "json")


def _reports(places: Sequence[Command]) -> Iterator[Command]:
    for at in places:
        for sort in ("time", "temp", "calls", "per-call"):
            yield from forms("report", *at, "--sort", sort, "--top", "2", allowed=("text", "json"))
        for by, step in (("category", "1m"), ("statement", "10m"), ("server", "10m")):
            words = ("report", *at, "--series", step, "--by", by, "--top", "4")
            yield from forms(*words, widths=WIDTHS[::3])
        yield from forms("report", *at, "--last", "7m", "--top", "1")
        yield ("report", *at, "--since", "2020-01-01", "--until", "2020-01-02")
        yield ("report", *at, "--by", "colour")


def _volumes(*places: Command) -> Iterator[Command]:
    for at in places:
        for volume in VOLUMES:
            yield from forms("burst", *at, "--volume", *volume, widths=WIDTHS[:1])
        for volume in VOLUMES[:3]:
            yield from forms("whatif", *at, "--drop", "version", "--volume", *volume)
        yield from forms("whatif", *at, "--drop", "version", widths=WIDTHS)
        words = ("--calls", "manifest=0.3", "--reads", "version=2")
        yield from forms("whatif", *at, *words)


def _comparisons(sample: str, recorded: str, lab: str) -> Iterator[Command]:
    sides = (
        (*HALVES, "--history", sample),
        ("baseline", "version_off", "--history", lab),
        ("prod", "test_1", "--history", recorded),
        (f"{lab}:baseline", sample),
    )
    for side in sides:
        yield from forms("compare", *side, widths=WIDTHS)
        for per in ("call", "version:calls"):
            yield from forms("compare", *side, "--per", per)
        yield from forms("compare", *side, "--top", "3")


def _rules() -> Iterator[Command]:
    yield ("rules", "show")
    yield ("COLUMNS=60", "rules", "show")
    for name in ("version", "manifest", "upload", "@version_columns", "@nothing", "nothing"):
        yield ("rules", "show", name)
    for text in STATEMENTS:
        yield ("rules", "test", text)
        yield ("COLUMNS=60", "rules", "test", text)
    yield ("rules", "init", "--out", "-")


@contextmanager
def worktree(revision: str, place: Path) -> Iterator[Path]:
    """Yield a worktree of a revision, which is removed afterwards."""
    subprocess.run(
        ["git", "worktree", "add", "--quiet", "--detach", str(place), revision],
        cwd=ROOT, check=True,
    )  # fmt: skip
    try:
        yield place
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", str(place)], cwd=ROOT, check=True)


class Revision:
    """A revision with its own copy of the data; each command runs in that copy."""

    def __init__(self, tree: Path, data: Path) -> None:
        self._data = data
        environment = {
            "PATH": os.environ["PATH"], "PYTHONPATH": str(tree), "LC_ALL": "C.UTF-8", "TZ": "UTC",
            "HOME": str(data / "home"), "XDG_CACHE_HOME": str(data / "home" / "cache"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }  # fmt: skip
        shutil.copytree(ROOT / "sample_data", data)
        (data / "exported").mkdir()
        root = data / "recorded"
        recorder = [sys.executable, "-P", str(RECORDER), str(root)]
        done = subprocess.run(recorder, cwd=data, env=environment, capture_output=True, check=False)
        self.recorded = done.stdout + done.stderr + digests(root)
        self._server = subprocess.Popen(
            [sys.executable, "-P", "-c", SERVER], cwd=data, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def output(self, command: Command) -> bytes:
        """Return the status, both streams, and the files that a command left."""
        width = "120"
        if command[0].startswith("COLUMNS="):
            width, command = command[0].partition("=")[2], command[1:]
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps([width, *command]) + "\n")
        self._server.stdin.flush()
        status = self._server.stdout.readline()
        streams = (Path(self._data, name).read_bytes() for name in ("stdout", "stderr"))
        printed = b"--- stderr\n".join(streams) + f"--- status {status}".encode()
        if command[0] == "export":
            printed += digests(self._data / command[command.index("--out") + 1])
        return NOW.sub(rb"\1\3-\2", printed)

    def close(self) -> None:
        """End the process that runs the commands."""
        self._server.communicate()


def digests(root: Path) -> bytes:
    """Return a line for each file below a directory, with the digest of its content."""
    # A lock has the id of the process that wrote.
    files = sorted(p for p in root.rglob("*") if p.is_file() and p.parent.name != "lock")
    lines = (
        f"{sha256(path.read_bytes()).hexdigest()}  {path.relative_to(root)}\n" for path in files
    )
    return "".join(lines).encode()


def difference(before: bytes, after: bytes) -> Iterator[str]:
    """Yield the first lines of a diff."""
    old, new = (each.decode("utf-8", "backslashreplace").splitlines() for each in (before, after))
    shown = list(unified_diff(old, new, lineterm="", n=0))[2:]
    yield from (f"    {line[:300]}" for line in shown[:SHOWN_LINES])
    if len(shown) > SHOWN_LINES:
        yield f"    … {len(shown) - SHOWN_LINES} more lines"
    elif not shown:
        yield "    line ends differ"


def main() -> None:
    """Run both revisions and print what differs."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("before", metavar="BEFORE", help="git revision")
    parser.add_argument("after", metavar="AFTER", help="git revision")
    parser.add_argument("--only", default="", metavar="WORD", help="commands that have this word")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="pgiostat-same-") as place,
        worktree(options.before, Path(place, "tree-before")) as before,
        worktree(options.after, Path(place, "tree-after")) as after,
        ThreadPoolExecutor(2) as pool,
    ):
        # Paths of the same length: a line that is as wide as the screen breaks at the same place.
        places = ((before, Path(place, "data-a")), (after, Path(place, "data-b")))
        both = list(pool.map(lambda each: Revision(*each), places))
        chosen = [each for each in commands() if not options.only or options.only in each]
        outputs = [
            [each.recorded for each in both],
            *(list(pool.map(lambda each, run=run: each.output(run), both)) for run in chosen),
        ]
        for each in both:
            each.close()
        names = ["the files of the recorded history", *(" ".join(each) for each in chosen)]
    differing = 0
    for name, (first, second) in zip(names, outputs, strict=True):
        if first != second:
            differing += 1
            print(f"{name!r}", *difference(first, second), sep="\n")  # noqa: T201 - its purpose
    print(f"{len(names)} outputs compared, {differing} differ")  # noqa: T201 - its purpose
    sys.exit(differing > 0)


if __name__ == "__main__":
    main()
