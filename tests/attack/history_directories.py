"""History directories that somebody hostile made, given to every command that takes one."""

import json
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from queue import SimpleQueue
from typing import TypeAlias

from tests.attack import Outcome, Scale
from tests.support.hostile import DAMAGES, Damage, copied, state_of, victims

__all__ = ["attack"]

PATIENCE_SECONDS = 10.0
MOST_MEMORY = 1_500 << 20
"""DuckDB may have 800 MB; Python, Arrow and what is not counted come to it."""
AT_ONCE = 2
QUICK_OF_A_KIND = 1

UNAFFECTED, REFUSED, SKIPPED, OTHER = (
    "unaffected", "refused by name", "skipped by name", "other values",
)  # fmt: skip
_NOBODY = "host=127.0.0.1 port=1"
COMMANDS: Mapping[str, Sequence[str]] = {
    "report": ("report", "--history", "ROOT", "--format", "json", "--by", "statement"),
    "report --skip-bad": (
        "report", "--history", "ROOT", "--format", "json", "--by", "statement", "--skip-bad",
    ),
    "history": ("history", "--history", "ROOT", "--format", "json"),
    "export": ("export", "--history", "ROOT", "--out", "OUT"),
    "compare": (
        "compare", "--history", "ROOT", "--format", "json",
        "demo@2026-11-23T18:20Z..2026-11-23T18:40Z", "demo@2026-11-23T18:40Z..2026-11-23T19:00Z",
    ),
    "watch --replay": ("replay", "ROOT"),
    "collect": (
        "collect", _NOBODY, "--label", "demo", "--history", "ROOT", "--for", "0.1s",
    ),
    "collect --check": (
        "collect", _NOBODY, "--label", "demo", "--history", "ROOT", "--check",
    ),
    "compaction": ("seal", "ROOT", "demo", "172800", "172800"),
    "ship": ("ship", "--history", "ROOT", "--to", "file://THERE"),
}  # fmt: skip
WRITE = {"collect", "collect --check", "compaction", "ship"}
"""Commands whose answer is not a sum: they say what they refuse."""


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended; status: None if it did not."""

    status: int | None
    memory: int
    said: str
    answered: str


Ask: TypeAlias = Callable[[Sequence[str], Path], Ran]


def attack(scale: Scale) -> Outcome:
    """Give every damaged history to every command."""
    truth = _truth(scale.scratch / "truth")
    chosen = [
        damage
        for _, those in groupby(DAMAGES, key=lambda damage: damage.kind)
        for damage in ([*those][:QUICK_OF_A_KIND] if scale.quick else [*those])
    ]
    outcome = Outcome(
        "History directories that others made",
        f"{len(chosen)} histories, each damaged in one way, are passed to {len(COMMANDS)} commands."
        " A cell has the outcome: the damage was refused or skipped with its name in a message, or"
        " nothing changed. Values in an intact file are returned as they are. No command may wait,"
        " end in a traceback, take more memory than an intact history needs, or change anything"
        " outside of the history.",
        ("damage", *COMMANDS),
    )
    cells: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    with _servers() as ask, ThreadPoolExecutor(AT_ONCE) as pool:
        tried = pool.map(
            lambda each: [*_tried(scale.scratch / str(each[0]), each[1], truth, ask)],
            enumerate(chosen),
        )
        for damage, found in zip(chosen, tried, strict=True):
            for command, cell, failure in found:
                cells[damage.kind][command].add(cell)
                if failure:
                    outcome.failures.append(f"{damage.kind}, {damage.name!r}, {command}: {failure}")
    for kind, of_kind in cells.items():
        row = [", ".join(sorted(of_kind[command])) for command in COMMANDS]
        count = sum(damage.kind == kind for damage in chosen)
        outcome.rows.append((f"{kind} ({count})", *row))
    return outcome


def _truth(place: Path) -> dict[str, str]:
    """Return what the commands answer of the history when nothing is wrong."""
    place.mkdir()
    with _servers() as ask:
        return {
            command: _run(ask, place / command.replace(" ", "_"), command, None).answered
            for command in COMMANDS
        }


def _tried(
    place: Path, damage: Damage, truth: Mapping[str, str], ask: Ask
) -> Iterator[tuple[str, str, str]]:
    """Yield of each command the cell and the failure, empty if there is none."""
    for command in COMMANDS:
        there = place / command.replace(" ", "_")
        ran = _run(ask, there, command, damage)
        before, after = ((there / f"state-{when}").read_text() for when in ("before", "after"))
        yield command, *_judged(damage, command, ran, truth[command], untouched=before == after)
        shutil.rmtree(there)


def _run(ask: Ask, there: Path, command: str, damage: Damage | None) -> Ran:
    there.mkdir(parents=True)
    root, outside = copied(there / "history"), victims(there / "outside")
    if damage is not None:
        damage.act(root, outside)
    names = {"ROOT": str(root), "OUT": str(there / "out")}
    words = [names.get(word, word).replace("THERE", f"{there}/there") for word in COMMANDS[command]]
    (there / "state-before").write_text(repr(state_of(outside)))
    ran = ask(words, there)
    (there / "state-after").write_text(repr(state_of(outside)))
    return ran


def _judged(
    damage: Damage, command: str, ran: Ran, truth: str, *, untouched: bool
) -> tuple[str, str]:
    """Return the cell, and what failed."""
    if failure := _harm(command, ran, untouched=untouched):
        return failure
    named = damage.told != "" and damage.told in ran.said.replace("\\\\", "\\")
    same = command in WRITE or (ran.status == 0 and ran.answered == truth)
    if named:
        return (SKIPPED if ran.status == 0 else REFUSED), ""
    if same or damage.kind == "Parquet: values":
        return (UNAFFECTED if same else OTHER), ""
    said = ran.said[-300:]
    return "silent", f"status {ran.status}, another answer without {damage.told!r}: {said}"


def _harm(command: str, ran: Ran, *, untouched: bool) -> tuple[str, str] | None:
    """Return the cell and the failure of a command that did harm; None if it did none."""
    if ran.status is None:
        return "hang", f"it took more than {PATIENCE_SECONDS} s"
    if "Traceback" in ran.said or ran.status < 0:
        return "traceback", ran.said[:2_000]
    if not untouched:
        return "changed", "something outside of the history changed"
    if ran.memory > MOST_MEMORY:
        return "memory", f"it took {ran.memory >> 20} MiB"
    if "\x1b" in ran.said and command != "watch --replay":  # which shows what it reads as Python
        return "escape", "an escape character went to the terminal"
    return None


# running


_SERVER = """
import json, os, resource, sys, time
from pathlib import Path
import duckdb, pyarrow.parquet, pgiostat.cli
import pgiostat.cli.report, pgiostat.cli.export, pgiostat.cli.collect
import pgiostat.history.read.history, pgiostat.history.__main__
import pgiostat.history.remote.upload, pgiostat.export
import pgiostat.watch.sources.replay, pgiostat.render.report
import pgiostat.collector.service, pgiostat.analysis.compare.compare

def replay(root):
    from contextlib import closing
    from threading import Event
    from pgiostat.queries.describe import uncategorized
    from pgiostat.errors import PgiostatError
    from pgiostat.history.read.window_spec import window
    from pgiostat.history.read.history import History
    from pgiostat.watch.sources.replay import ReplaySource
    from datetime import datetime
    try:
        with closing(History.open(Path(root))) as opened:
            span = window(opened, datetime.now().astimezone())
            feed = ReplaySource(opened, uncategorized, span, interval=0.0)
            stop = Event()
            for place in (0, feed.position[1] // 2, feed.position[1]):
                feed.seek(place)
                print(next(iter(feed.intervals(stop))).counted)
            return 0
    except PgiostatError as error:
        print(error.report(), file=sys.stderr)
        return 1

def command(words):
    if words[0] == "replay":
        return replay(words[1])
    if words[0] == "seal":
        sys.argv = words
        return pgiostat.history.__main__.main()
    sys.argv = ["pgiostat", *words]
    return pgiostat.cli.main()

for line in sys.stdin:
    words, there, patience = json.loads(line)
    child = os.fork()
    if not child:
        os.setsid()
        for name, number in (("out", 1), ("err", 2)):
            os.dup2(os.open(f"{there}/std{name}", os.O_WRONLY | os.O_CREAT), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ["XDG_CACHE_HOME"] = there
        status = 99
        try:
            status = command(words)
        except SystemExit as ended:
            status = ended.code
        except BaseException:
            import traceback
            traceback.print_exc()
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(int(status or 0))
    ends = time.monotonic() + patience
    while True:
        done, status, used = os.wait4(child, os.WNOHANG)
        if done or time.monotonic() > ends:
            break
        time.sleep(0.005)
    if not done:
        os.killpg(child, 9)
        os.wait4(child, 0)
    print(json.dumps([os.waitstatus_to_exitcode(status) if done else None,
                      used.ru_maxrss if done else 0]), flush=True)
"""
"""Runs commands, each in a process of its own that need not import everything once more."""


@contextmanager
def _servers() -> Iterator[Ask]:
    """Yield what runs a command: words, and a directory of its own for what it says."""
    free: SimpleQueue[subprocess.Popen[str]] = SimpleQueue()
    started = [
        subprocess.Popen(
            [sys.executable, "-c", _SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(AT_ONCE)
    ]
    for each in started:
        free.put(each)

    def ask(words: Sequence[str], there: Path) -> Ran:
        server = free.get()
        try:
            assert server.stdin is not None
            assert server.stdout is not None
            server.stdin.write(json.dumps([list(words), str(there), PATIENCE_SECONDS]) + "\n")
            server.stdin.flush()
            status, kibibytes = json.loads(server.stdout.readline())
        finally:
            free.put(server)
        said, out = (
            (there / f"std{name}").read_bytes().decode("utf-8", "backslashreplace")
            for name in ("err", "out")
        )
        exported = sorted((there / "out").glob("*.csv"))
        answered = out + "".join(path.read_text("utf-8", "replace") for path in exported)
        where = str(there)
        return Ran(status, kibibytes << 10, said + out, _timeless(answered.replace(where, "THERE")))

    try:
        yield ask
    finally:
        for each in started:
            assert each.stdin is not None
            each.stdin.close()
            each.wait()


def _timeless(answer: str) -> str:
    """Return an answer without what changes from one minute to the next, and with what is read."""
    lines = (line for line in answer.splitlines() if "age" not in line and '"bytes"' not in line)
    return "\n".join(lines)
