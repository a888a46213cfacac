"""Settle recorded intervals once more: whether a change of the rule keeps steady loads steady.

    python -m benchmarks.first_minutes_replay FILE... [--seconds N] [--losses N] [--share S]

FILE holds the counts that first_minutes.py recorded.  Each load is settled from its start, and
again from later instants with --starts.  Intervals can be joined to longer ones.  --losses adds
50,000 blocks that no statement counts at N instants of each load, each in a replay of its own.
"""

import argparse
import json
import random
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgiostat.analysis.in_transit import InTransit
from pgiostat.analysis.ledger import unexplained_blocks
from pgiostat.analysis.server_reads import EARLIER, ServerReads

LOW, HIGH = -0.01, 0.02
LEAST_READS = 0.1
LOST = 50_000
WARM = 60


@dataclass(frozen=True, slots=True)
class Interval:
    """Counts of an interval."""

    seconds: float
    transaction: float
    explained: int
    reads: ServerReads

    def with_loss(self, blocks: int) -> "Interval":
        """Return the interval with blocks that the server counted and no statement did."""
        counts = {name: getattr(self.reads, name) for name in ServerReads.__slots__}
        counts["blocks"] = (self.reads.blocks or 0) + blocks
        counts["failures"] = (self.reads.failures or 0) + 1
        return Interval(self.seconds, self.transaction, self.explained, ServerReads(**counts))


def loaded(path: Path) -> dict[str, list[Interval]]:
    """Return the intervals of each load in a file."""
    found: dict[str, list[Interval]] = defaultdict(list)
    for line in path.read_text("utf-8").splitlines():
        each: dict[str, Any] = json.loads(line)
        reads = each["reads"] | dict.fromkeys(
            ("in_transit_blocks", "settled_catalog_blocks", *EARLIER)
        )
        found[f"{each['version'] // 10000} {each['load']}"].append(
            Interval(each["seconds"], each["transaction"], each["explained"], ServerReads(**reads))
        )
    return found


def joined(intervals: Sequence[Interval], count: int) -> list[Interval]:
    """Return intervals that are joined from several each."""
    return [
        Interval(
            sum(each.seconds for each in some),
            some[-1].transaction,
            sum(each.explained for each in some),
            ServerReads.total(each.reads for each in some),
        )
        for some in (intervals[at : at + count] for at in range(0, len(intervals), count))
        if len(some) == count
    ]


def settled(intervals: Sequence[Interval]) -> Iterator[tuple[int, int]]:
    """Yield the blocks in transit and unattributed of each interval."""
    state = InTransit()
    for each in intervals:
        left = unexplained_blocks(each.explained, each.reads) or 0
        state = state.note(each.seconds, each.transaction, each.explained, each.reads)
        state, found = state.settle(left)
        yield found.in_transit, left - found.in_transit - found.catalogs


def steadiness(intervals: Sequence[Interval], starts: int) -> str:
    """Return how often unattributed blocks were outside of the bounds."""
    mean = statistics.fmean(each.reads.blocks or 0 for each in intervals)
    shares: list[float] = []
    sums = []
    for start in range(starts):
        some = intervals[start * len(intervals) // (2 * starts) :]
        found = list(settled(some))
        shares += [
            blocks / each.reads.blocks
            for each, (_, blocks) in zip(some, found, strict=True)
            if each.reads.blocks and each.reads.blocks >= LEAST_READS * mean
        ]
        sums.append(
            sum(blocks for _, blocks in found) / sum(each.reads.blocks or 0 for each in some)
        )
    outside = sum(not LOW <= share <= HIGH for share in shares)
    left = sum(unexplained_blocks(each.explained, each.reads) or 0 for each in intervals)
    return (
        f"{outside} of {len(shares)} outside, {min(shares):+.2%} to {max(shares):+.2%}; mean"
        f" {statistics.fmean(sums):+.2%}, lost {left / mean / len(intervals):+.2%}"
    )


def losses(intervals: Sequence[Interval], count: int) -> str:
    """Return after how many seconds 80 % of losses were unattributed."""
    chance = random.Random(1)  # noqa: S311 - instants, no secret
    after: list[float] = []
    for _ in range(count):
        place = chance.randrange(min(WARM, len(intervals) // 2), len(intervals) - 30)
        with_loss = list(intervals)
        with_loss[place] = intervals[place].with_loss(LOST)
        shown, seconds = 0, 0.0
        plain = [blocks for _, blocks in settled(intervals)]
        for number, (_, blocks) in enumerate(settled(with_loss)):
            if number <= place:
                continue
            shown += blocks - plain[number]
            seconds += intervals[number].seconds
            if shown >= 0.8 * LOST:
                after.append(seconds)
                break
        else:
            after.append(float("inf"))
    return f"losses after {min(after):.0f}, {statistics.median(after):.0f}, {max(after):.0f} s"


def main() -> None:
    """Print a line for each load of each file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="+", type=Path)
    parser.add_argument("--join", type=int, default=1, help="intervals that are one")
    parser.add_argument("--starts", type=int, default=1, help="instants from which to replay")
    parser.add_argument("--losses", type=int, default=0, help="losses in each load")
    options = parser.parse_args()
    for path in options.file:
        for name, intervals in loaded(path).items():
            some = joined(intervals, options.join)
            found = [steadiness(some, options.starts)]
            if options.losses and len(some) > 2 * 30:
                found.append(losses(some, options.losses))
            print(f"{name}: {'; '.join(found)}", flush=True)


if __name__ == "__main__":
    main()
