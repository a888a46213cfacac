"""Does whatif's range hold?  Simulated caches, with and without a category.

    python benchmarks/whatif.py [--cases N] [--seed FIRST] [--json]

Each case is a cache that some categories of queries share, with blocks drawn by Zipf's law.  Half
of the caches replace the block that was used least recently, half sweep with a clock as PostgreSQL
does.  A category is dropped, and the others touch the same blocks again.  The output says how often
what was read then lay in the range, by how much of all reads it missed the range at worst, and the
median width of the range; and the same of the range of 0.1.0, which knew reads alone.
"""

import argparse
import json
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from pgiostat.analysis.whatif import Amounts, Assumption, ChangeKind, Estimate, estimate

__all__ = ["KINDS", "POLICIES", "Case", "Dropped", "case", "clock", "drops", "lru", "range_of_0_1"]

TOUCHES = 160_000
WARM_UP = 60_000
"""The touches that fill the cache, and are not counted."""
LEAST_READS = 500
"""Where fewer blocks were read, chance decides."""
MOST_USAGE = 5
"""PostgreSQL's limit of a buffer's usage count."""
KINDS = {
    "mixed": "any categories, each dropped in turn",
    "scans": "the same, but some scan their table again and again",
    "finds": "one that finds all it needs, in blocks of its own",
    "warms": "one that finds all it needs, in blocks that others use too",
}

Touches = Sequence[tuple[int, int]]
"""A category and a block, in turn."""
Policy = Callable[[Touches, int, int, int], list[Amounts]]


def lru(touches: Touches, size: int, categories: int, warm_up: int) -> list[Amounts]:
    """Return what each category read and found in a cache that replaces the least recently used."""
    cache: OrderedDict[int, None] = OrderedDict()
    counts = [[0, 0] for _ in range(categories)]
    for number, (category, block) in enumerate(touches):
        found = block in cache
        if found:
            cache.move_to_end(block)
        else:
            cache[block] = None
            if len(cache) > size:
                cache.popitem(last=False)
        counts[category][found] += number >= warm_up
    return [Amounts(reads, hits) for reads, hits in counts]


def clock(touches: Touches, size: int, categories: int, warm_up: int) -> list[Amounts]:
    """Return what each category read and found in a cache that sweeps as PostgreSQL does."""
    buffers, usage, hand = [-1] * size, [0] * size, 0
    cache: dict[int, int] = {}
    counts = [[0, 0] for _ in range(categories)]
    for number, (category, block) in enumerate(touches):
        there = cache.get(block)
        if there is not None:
            usage[there] = min(usage[there] + 1, MOST_USAGE)
        else:
            while usage[hand]:
                usage[hand] -= 1
                hand = (hand + 1) % size
            cache.pop(buffers[hand], None)
            buffers[hand], usage[hand], cache[block] = block, 1, hand
            hand = (hand + 1) % size
        counts[category][there is not None] += number >= warm_up
    return [Amounts(reads, hits) for reads, hits in counts]


POLICIES: dict[str, Policy] = {"lru": lru, "clock": clock}


@dataclass(frozen=True, slots=True)
class Case:
    """A cache of so many blocks, and what is touched."""

    size: int
    categories: int
    touches: Touches


def case(kind: str, seed: int, touches: int = TOUCHES) -> Case:
    """Return a case by its seed."""
    rng = np.random.default_rng(seed)
    categories = int(rng.integers(2, 5))
    size = int(10 ** rng.uniform(2.5, 3.7))
    rates = 10 ** rng.uniform(-1, 0.5, categories)
    who = rng.choice(categories, size=touches, p=rates / rates.sum())
    common = int(
        size * (rng.uniform(0.1, 0.6) if kind == "warms" else 10 ** rng.uniform(-0.7, 0.7))
    )
    skew = rng.uniform(0.3, 1.2)
    blocks = np.empty(touches, dtype=np.int64)
    for category in range(categories):
        mine = who == category
        own, shared = _own(rng, kind, category, size, int(mine.sum()))
        in_common = _zipf(rng, common, skew, len(own))
        first = (category + 1) * 1_000_000_000
        blocks[mine] = np.where(rng.random(len(own)) < shared, in_common, own + first)
    return Case(size, categories, list(zip(who.tolist(), blocks.tolist(), strict=True)))


def _own(
    rng: np.random.Generator, kind: str, category: int, size: int, touches: int
) -> tuple[NDArray[np.int64], float]:
    """Return the blocks of a category's own table, and the share of touches of the common one."""
    blocks, skew = int(size * 10 ** rng.uniform(-0.8, 0.9)), rng.uniform(0.2, 1.3)
    shared = float(rng.choice([0.0, 0.0, 0.3, 0.6, 1.0]))
    scans = kind == "scans" and rng.random() < 0.4
    if kind == "warms":
        shared = 1.0 if category == 0 else float(rng.choice([0.1, 0.3, 0.6]))
    elif kind == "finds" and category == 0:
        blocks, skew = int(size * rng.uniform(0.02, 0.35)), rng.uniform(0.0, 0.8)
        shared = float(rng.choice([0.0, 0.0, 0.2]))
    if scans:
        return np.arange(touches) % blocks, shared
    return _zipf(rng, blocks, skew, touches), shared


def _zipf(rng: np.random.Generator, blocks: int, skew: float, touches: int) -> NDArray[np.int64]:
    weights = np.arange(1, blocks + 1) ** -skew
    places = rng.permutation(blocks)
    return np.asarray(places[rng.choice(blocks, size=touches, p=weights / weights.sum())])


@dataclass(frozen=True, slots=True)
class Dropped:
    """What was read with a category and is read without it, and the range that was said."""

    kind: str
    policy: str
    seed: int
    had: tuple[Amounts, ...]
    dropped: int
    after: float

    @property
    def said(self) -> Estimate:
        """The range."""
        had = {str(number): each for number, each in enumerate(self.had)}
        return estimate(had, [Assumption(str(self.dropped), ChangeKind.DROP)])


def drops(
    kind: str, policy: str, seed: int, one: Case, warm_up: int = WARM_UP
) -> Iterator[Dropped]:
    """Yield what comes of dropping categories of a case, where enough was read."""
    had = tuple(POLICIES[policy](one.touches, one.size, one.categories, warm_up))
    if sum(each.reads for each in had) < LEAST_READS:
        return
    for category in range(one.categories if kind in {"mixed", "scans"} else 1):
        kept = [touch for touch in one.touches if touch[0] != category]
        warm = sum(touch[0] != category for touch in one.touches[:warm_up])
        after = POLICIES[policy](kept, one.size, one.categories, warm)
        yield Dropped(kind, policy, seed, had, category, sum(each.reads for each in after))


def range_of_0_1(found: Dropped) -> Estimate:
    """Return the range as version 0.1.0 said it, by reads alone."""
    gone = found.had[found.dropped].reads
    now = sum(each.reads for each in found.had)
    hits = sum(each.hits for n, each in enumerate(found.had) if n != found.dropped)
    low, high = (now - gone) * (1 - gone / now), now - gone + min(gone, hits)
    return Estimate(now, low, high, point=now - gone)


@dataclass(frozen=True, slots=True)
class Judged:
    """How often ranges held, and how wide they were, as a share of what was read."""

    kind: str
    policy: str
    drops: int
    held: int
    least_off: float
    most_off: float
    width: float
    held_0_1: int
    off_0_1: float
    width_0_1: float


def judge(kind: str, policy: str, found: Sequence[Dropped]) -> Judged:
    """Return how often the ranges held."""
    now, before = [each.said for each in found], [range_of_0_1(each) for each in found]
    after = [each.after for each in found]
    return Judged(
        kind,
        policy,
        len(found),
        sum(blocks in said for blocks, said in zip(after, now, strict=True)),
        max((s.low - blocks) / s.now for blocks, s in zip(after, now, strict=True)),
        max((blocks - s.high) / s.now for blocks, s in zip(after, now, strict=True)),
        median(said.width or 0.0 for said in now),
        sum(blocks in said for blocks, said in zip(after, before, strict=True)),
        max(
            max(s.low - blocks, blocks - s.high) / s.now
            for blocks, s in zip(after, before, strict=True)
        ),
        median(said.width or 0.0 for said in before),
    )


def _line(one: Judged) -> str:
    off = max(one.least_off, one.most_off, 0.0)
    return (
        f"{one.kind:8}{one.policy:6}{one.drops:6}{one.held:7}{off:8.1%}{one.width:8.0%}{'':13}"
        f"{one.held_0_1:7}{max(one.off_0_1, 0.0):8.1%}{one.width_0_1:8.0%}"
    )


def main() -> None:
    """Run the cases, and print how often the ranges held."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=60, help="of each kind")
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    print(f"{given.cases} caches of each kind, seeds from {given.seed} on\n")
    print(f"{'':14}{'drops':>6}{'held':>7}{'worst':>8}{'width':>8}{'':4}of 0.1.0:{'held':>7}"
          f"{'worst':>8}{'width':>8}")  # fmt: skip
    results = []
    for kind in KINDS:
        found: dict[str, list[Dropped]] = {policy: [] for policy in POLICIES}
        for seed in range(given.seed, given.seed + given.cases):
            policy = list(POLICIES)[seed % len(POLICIES)]
            found[policy] += drops(kind, policy, seed, case(kind, seed))
        for policy, each in found.items():
            one = judge(kind, policy, each)
            results.append(one)
            print(_line(one), flush=True)
    print("\n" + "\n".join(f"{kind}: {meaning}" for kind, meaning in KINDS.items()))
    if given.json:
        print(json.dumps([asdict(each) for each in results]))


if __name__ == "__main__":
    main()
