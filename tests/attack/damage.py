"""Damaged files of a history: is the damage told, or is the answer silently another?

Every file of a history is damaged in one place, and the same questions are asked again. A reading
that a collector goes on from has single bits changed.
"""

import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pgiostat
from benchmarks.history_load import World, ticks
from pgiostat.errors import PgiostatError
from pgiostat.history.format import checkpoint
from pgiostat.history.format.layout import Layout
from pgiostat.history.write.compaction import compact
from pgiostat.history.write.writer import Writer
from tests.attack import Outcome, Scale

__all__ = ["attack"]

LABEL = "prod"
BEGIN = datetime(2026, 11, 23, 10, tzinfo=UTC)
STATEMENTS, SEALED, HOT = 60, 12, 4
STEP = timedelta(seconds=10)
SAME, TOLD, AFRESH, SILENT, UNTOLD = (
    "no difference", "refused by name", "begun afresh", "another answer", "an exception",
)  # fmt: skip
CELLS = (SAME, TOLD, AFRESH, SILENT, UNTOLD)
WRONG = {SILENT, UNTOLD}

Damages = Callable[[bytearray, random.Random], bytes]


def _flip(content: bytearray, rng: random.Random) -> bytes:
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return bytes(content)


def _cut(content: bytearray, rng: random.Random) -> bytes:
    return bytes(content[: rng.randrange(len(content))])


def _zeros(content: bytearray, rng: random.Random) -> bytes:
    place = rng.randrange(len(content))
    content[place : place + 64] = bytes(len(content[place : place + 64]))
    return bytes(content)


def _twice(content: bytearray, rng: random.Random) -> bytes:
    place = rng.randrange(len(content))
    return bytes(content[:place] + content[place : place + 512] + content[place:])


KINDS: dict[str, Damages] = {
    "a bit changed": _flip,
    "the end missing": _cut,
    "64 bytes of zeros": _zeros,
    "a part written twice": _twice,
}


def attack(scale: Scale) -> Outcome:
    """Damage the files of a history one at a time, and ask."""
    damages, flips = (24, 300) if scale.quick else (150, 3_000)
    root = _made(scale.scratch / "history")
    outcome = Outcome(
        "Damaged files",
        f"{damages} times one place in one file of a history was damaged, and five queries ran:"
        " rankings by statement and by relation, statements, intervals and pg_stat_io."
        f" {flips:,} times one bit was changed in the snapshot from which a collector continues. A"
        " cell counts an outcome.",
        ("damage", *CELLS),
    )
    found: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    for kind, came, where in _damaged(root, damages):
        found[kind][came] += 1
        if came in WRONG:
            outcome.failures.append(f"{kind}: {where}: {came}")
    readings: Counter[str] = Counter()
    for came, where in _flipped(root, flips):
        readings[came] += 1
        if came in WRONG:
            outcome.failures.append(f"a bit of a snapshot: {where}: {came}")
    for name, counts in (*found.items(), ("a bit of a snapshot", readings)):
        total = counts.total()
        outcome.rows.append((name, *(f"{counts[cell]:,} of {total:,}" for cell in CELLS)))
    return outcome


def _made(root: Path) -> Path:
    """Make a history of which the most is sealed."""
    world = World(STATEMENTS)
    when = ticks(BEGIN, BEGIN + (SEALED + HOT) * STEP, round(STEP.total_seconds()), seed=4)
    writer = Writer.open(root, LABEL)
    for number, delta in enumerate(world.deltas(when, seed=5), start=1):
        writer.append(delta, world.names)
        if number == SEALED:
            compact(Layout(root), LABEL)
    writer.close()
    return root


@dataclass(frozen=True, slots=True)
class _File:
    """A file that is damaged, and mended again."""

    path: Path
    content: bytes

    @classmethod
    def of(cls, path: Path) -> "_File":
        return cls(path, path.read_bytes())

    def write(self, content: bytes) -> None:
        self.path.write_bytes(content)


def _damaged(root: Path, count: int) -> Iterator[tuple[str, str, str]]:
    """Yield the kind of each damage, what came of it, and where it was."""
    rng = random.Random(5)  # noqa: S311 - nothing secret
    files = sorted(
        (_File.of(path) for path in root.rglob("*") if path.is_file() and path.stat().st_size),
        key=lambda each: each.path,
    )
    truth = _answer(root)
    kinds = [*KINDS, "a bit changed", "a bit changed"]  # disks and memory do that most
    for number in range(count):
        kind = kinds[number % len(kinds)]
        file = rng.choice(files)
        damaged = KINDS[kind](bytearray(file.content), rng)
        file.write(damaged)
        try:
            came = SAME if _answer(root) == truth else SILENT
        except PgiostatError as error:
            named = file.path.name in error.report() or file.path.parent.name in error.report()
            came = TOLD if named else f"{UNTOLD}"
        except Exception:  # noqa: BLE001 - what it is does not matter
            came = UNTOLD
        file.write(file.content)
        yield kind, came, f"{file.path.relative_to(root)}, damage {number}"


def _answer(root: Path) -> str:
    """Return what a history says."""
    held = pgiostat.open_history(root)
    parts = [
        held.ranking(by="statement"), held.ranking(by="relation"), held.statements(),
        held.samples(), held.io(),
    ]  # fmt: skip
    return "".join(part.to_csv() for part in parts)


def _flipped(root: Path, count: int) -> Iterator[tuple[str, str]]:
    """Yield what came of each bit that was changed in a reading, and which it was."""
    rng = random.Random(3)  # noqa: S311 - nothing secret
    file = _File.of(max(root.glob(f"hot/{LABEL}/*/baseline")))
    work = root.with_name("resumed")
    shutil.copytree(root, work)
    there = _File(work / file.path.relative_to(root), file.content)
    for number in range(count):
        there.write(_flip(bytearray(file.content), rng))
        try:
            yield _resumed(work, file.content), f"flip {number}"
        except PgiostatError:
            yield TOLD, ""


def _resumed(root: Path, truth: bytes) -> str:
    """Return what a collector goes on from."""
    writer = Writer.open(root, LABEL)
    try:
        reading = writer.resume()
    except PgiostatError:
        raise
    except Exception:  # noqa: BLE001 - what it is does not matter
        return UNTOLD
    finally:
        writer.close()
    if reading is None:
        return AFRESH
    return SAME if checkpoint.dump(reading) == checkpoint.dump(checkpoint.load(truth)) else SILENT
