"""Simulated systems that judge the point of whatif: tables, statements that share them, caches.

    python benchmarks/whatif_systems.py [--runs N] [--seed FIRST] [--json]

The output says how often the point was within 10 points of the truth, its mean and worst error, and
how often the range held; then how often the point was within 10 points without the tables, and how
often reads in proportion to the calls were.

Each run is a system by its seed. Statements of several categories touch several tables, and share
them. A statement that names one table is known by table; one that joins two is known by its whole,
as in a history. Then a category or a statement is dropped, or some of its calls are left out. The
other calls repeat their touches, and what they read is compared with the point and the range.

These systems differ from those of benchmarks/whatif.py in structure: calls touch many blocks,
popular rows are popular with several statements, tables grow at one end, sessions call one
statement after another for the same client, and the caches replace in other ways.
"""

import argparse
import json
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from pgiostat.analysis.whatif import (
    Amounts,
    Assumption,
    ChangeKind,
    Estimate,
    Touches,
    estimate,
)

__all__ = [
    "POLICIES",
    "SYSTEMS",
    "Run",
    "Statement",
    "System",
    "judge",
    "judged",
    "run_of",
    "runs",
    "system_of",
]

TOUCHES = 90_000
WARM_UP = 0.4
"""Share of the touches that fill the cache, and are not counted."""
LEAST_READS = 500
"""Chance decides where fewer blocks were read."""
WITHIN = 0.1
"""A point is right within this share of all reads."""
MOST_USAGE = 5
RING = 32
"""Blocks of the ring buffer of a large scan."""
TABLE = 1_000_000_000
"""Block numbers of a table start at a multiple of this."""

Blocks = NDArray[np.int64]
Policy = Callable[[Sequence[int], Sequence[bool], int, np.random.Generator], list[bool]]
"""From blocks, whether each belongs to a large scan, and the cache's size: whether it was found."""


def clock(blocks: Sequence[int], scans: Sequence[bool], size: int, _: object) -> list[bool]:
    """Sweep as PostgreSQL does, and give large scans a ring of their own."""
    buffers, usage, hand = [-1] * size, [0] * size, 0
    cache: dict[int, int] = {}
    ring: list[int] = []
    turn = 0
    found = []
    for block, is_scan in zip(blocks, scans, strict=True):
        place = cache.get(block)
        found.append(place is not None)
        if place is not None:
            usage[place] = min(usage[place] + 1, MOST_USAGE)
            continue
        if is_scan and len(ring) == RING:
            turn = (turn + 1) % RING
            mine = ring[turn]
            if usage[mine] <= 1:
                cache.pop(buffers[mine], None)
                buffers[mine], usage[mine], cache[block] = block, 1, mine
                continue
        while usage[hand]:
            usage[hand] -= 1
            hand = (hand + 1) % size
        cache.pop(buffers[hand], None)
        buffers[hand], usage[hand], cache[block] = block, 1, hand
        if is_scan:
            if len(ring) < RING:
                ring.append(hand)
            else:
                ring[turn] = hand
        hand = (hand + 1) % size
    return found


def at_random(blocks: Sequence[int], _: object, size: int, rng: np.random.Generator) -> list[bool]:
    """Replace any block."""
    places = iter(rng.integers(0, size, len(blocks)).tolist())
    buffers: list[int] = []
    cache: set[int] = set()
    found = []
    for block in blocks:
        found.append(block in cache)
        if found[-1]:
            continue
        cache.add(block)
        if len(buffers) < size:
            buffers.append(block)
            continue
        place = next(places)
        cache.discard(buffers[place])
        buffers[place] = block
    return found


def two_queues(blocks: Sequence[int], _: object, size: int, __: object) -> list[bool]:
    """Keep a block that was touched twice in a protected queue of three quarters of the cache."""
    protected: OrderedDict[int, None] = OrderedDict()
    probation: OrderedDict[int, None] = OrderedDict()
    most = size * 3 // 4
    found = []
    for block in blocks:
        if block in protected:
            protected.move_to_end(block)
            found.append(True)
            continue
        found.append(block in probation)
        if found[-1]:
            del probation[block]
            protected[block] = None
            if len(protected) > most:
                probation[protected.popitem(last=False)[0]] = None
        else:
            probation[block] = None
        if len(probation) + len(protected) > size:
            probation.popitem(last=False)
    return found


POLICIES: dict[str, Policy] = {"clock": clock, "random": at_random, "two queues": two_queues}


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement: its category, and the tables that it names."""

    category: str
    tables: tuple[int, ...]


@dataclass(slots=True)
class System:
    """A cache, statements, and their calls in order.

    Attributes:
        size: Blocks of the cache.
        statements: All statements.
        calls: The statement of each call, the blocks that it touches, and whether it is a large
            scan.
    """

    size: int
    statements: list[Statement]
    calls: list[tuple[int, Blocks, bool]] = field(default_factory=list)

    def add(self, statement: int, blocks: Blocks, *, is_scan: bool = False) -> int:
        """Add a call; return how many blocks it touches."""
        self.calls.append((statement, blocks, is_scan))
        return len(blocks)


def _zipf(rng: np.random.Generator, blocks: int, skew: float) -> Callable[[int], Blocks]:
    """Return a function that draws blocks by Zipf's law; popular ones lie anywhere."""
    weights = np.arange(1, blocks + 1) ** -skew
    edges = np.cumsum(weights / weights.sum())
    places = rng.permutation(blocks)

    def draw(many: int) -> Blocks:
        drawn = np.searchsorted(edges, rng.random(many)).clip(max=blocks - 1)
        return np.asarray(places[drawn], dtype=np.int64)

    return draw


def _statements(
    rng: np.random.Generator, tables: int, least: int, most: int, *, joins: float
) -> list[Statement]:
    """Return statements of two to four categories; each category has favourite tables."""
    categories = int(rng.integers(2, 5))
    favourites = [rng.choice(tables, size=min(3, tables), replace=False) for _ in range(categories)]
    made = []
    for number in range(int(rng.integers(max(least, categories), most + 1))):
        category = number if number < categories else int(rng.integers(categories))
        many = 2 if rng.random() < joins else 1
        names = rng.choice(favourites[category], size=many, replace=False)
        made.append(Statement(f"category {category}", tuple(sorted(map(int, names)))))
    return made


def shop(rng: np.random.Generator) -> System:
    """Lookups and joins of tables with popular rows, that several statements share."""
    size = int(10 ** rng.uniform(2.7, 3.5))
    tables = int(rng.integers(3, 7))
    statements = _statements(rng, tables, 5, 10, joins=0.3)
    sizes = [int(size * 10 ** rng.uniform(-0.9, 0.6)) for _ in range(tables)]
    skews = [float(rng.uniform(0.3, 1.1)) for _ in range(tables)]
    shared = [_zipf(rng, *each) for each in zip(sizes, skews, strict=True)]
    # Some statements have popular rows of their own.
    draws = {
        (number, table): _zipf(rng, sizes[table], float(rng.uniform(0.1, 1.2)))
        if rng.random() < 0.3
        else shared[table]
        for number, each in enumerate(statements)
        for table in each.tables
    }
    per_call = rng.integers(1, 9, len(statements))
    rates = 10 ** rng.uniform(-0.8, 0.5, len(statements))
    system, touches = System(size, statements), 0
    while touches < TOUCHES:
        for who in rng.choice(len(statements), size=1000, p=rates / rates.sum()).tolist():
            parts = [
                draws[who, table](int(per_call[who])) + table * TABLE
                for table in statements[who].tables
            ]
            touches += system.add(who, np.concatenate(parts))
    return system


def feed(rng: np.random.Generator) -> System:
    """Tables that grow at one end: the newest blocks, clients that catch up, and old rows."""
    size = int(10 ** rng.uniform(2.7, 3.5))
    tables = int(rng.integers(2, 5))
    statements = _statements(rng, tables, 4, 9, joins=0.2)
    lengths = [int(size * 10 ** rng.uniform(0, 0.9)) for _ in range(tables)]
    growth = [float(rng.uniform(0.0, 0.4)) for _ in range(tables)]
    how = rng.choice(["newest", "catches up", "anywhere"], size=len(statements), p=[0.4, 0.4, 0.2])
    reach = size * 10 ** rng.uniform(-1.3, 0.2, len(statements))
    per_call = rng.integers(2, 20, len(statements))
    rates = 10 ** rng.uniform(-0.8, 0.5, len(statements))
    system, touches = System(size, statements), 0
    while touches < TOUCHES:
        for who in rng.choice(len(statements), size=1000, p=rates / rates.sum()).tolist():
            parts = []
            for table in statements[who].tables:
                head = lengths[table] + int(growth[table] * len(system.calls))
                many = int(per_call[who])
                if how[who] == "anywhere":
                    mine = rng.integers(0, head, many)
                elif how[who] == "newest":
                    mine = head - 1 - (rng.random(many) ** 2 * reach[who] / 2).astype(np.int64)
                else:
                    first = head - int(rng.exponential(reach[who])) - many
                    mine = np.arange(first, first + many)
                parts.append(mine.clip(0, head - 1).astype(np.int64) + table * TABLE)
            touches += system.add(who, np.concatenate(parts))
    return system


def tenants(rng: np.random.Generator) -> System:
    """Sessions of clients whose rows lie scattered, and reports that scan."""
    size = int(10 ** rng.uniform(2.7, 3.5))
    tables = int(rng.integers(2, 5))
    statements = _statements(rng, tables, 4, 8, joins=0.2)
    lengths = [int(size * 10 ** rng.uniform(0, 0.8)) for _ in range(tables)]
    clients = int(rng.integers(30, 400))
    rows = [int(rng.integers(5, 50)) for _ in range(tables)]
    mine = [rng.integers(0, lengths[table], (clients, rows[table])) for table in range(tables)]
    client = _zipf(rng, clients, float(rng.uniform(0.0, 0.9)))
    part = rng.uniform(0.3, 1.0, len(statements))
    chance = rng.uniform(0.1, 1.0, len(statements))
    scans = int(rng.integers(0, 3))
    categories = sorted({each.category for each in statements})
    for _ in range(scans):
        statements.append(Statement(str(rng.choice(categories)), (int(rng.integers(tables)),)))
    every = rng.integers(40, 400)
    system, touches = System(size, statements), 0
    while touches < TOUCHES:
        one = int(client(1)[0])
        for who in rng.permutation(len(statements) - scans).tolist():
            if rng.random() > chance[who]:
                continue
            parts = [
                mine[table][one][: max(1, int(rows[table] * part[who]))] + table * TABLE
                for table in statements[who].tables
            ]
            touches += system.add(who, np.concatenate(parts))
        if scans and rng.random() < 1 / every:
            who = len(statements) - 1 - int(rng.integers(scans))
            table = statements[who].tables[0]
            whole = np.arange(lengths[table], dtype=np.int64) + table * TABLE
            touches += system.add(who, whole, is_scan=lengths[table] > size / 4)
    return system


SYSTEMS: dict[str, Callable[[np.random.Generator], System]] = {
    "shop": shop,
    "feed": feed,
    "tenants": tenants,
}


@dataclass(frozen=True, slots=True)
class Run:
    """A change of a system, what a history knows before it, and what was read after it.

    Attributes:
        kind: The system.
        policy: How its cache replaces.
        seed: Its seed.
        statements: Its statements.
        counted: Blocks read and found of each statement.
        changed: The category or the number of the statement that is changed.
        factor: The share of its calls that is left; 0 if it is dropped.
        after: Blocks read after the change.
    """

    kind: str
    policy: str
    seed: int
    statements: tuple[Statement, ...]
    counted: tuple[tuple[int, int], ...]
    changed: str | int
    factor: float
    after: int

    @property
    def now(self) -> int:
        """Blocks read before the change."""
        return sum(reads for reads, _ in self.counted)


def system_of(seed: int) -> tuple[str, str, System]:
    """Return a system by its seed: its kind, how its cache replaces, and its calls."""
    kind = list(SYSTEMS)[seed % len(SYSTEMS)]
    policy = list(POLICIES)[seed // len(SYSTEMS) % len(POLICIES)]
    return kind, policy, SYSTEMS[kind](np.random.default_rng(seed))


def run_of(seed: int) -> Run | None:
    """Return the run of a seed; None where too little was read."""
    kind, policy, system = system_of(seed)
    rng = np.random.default_rng([seed, 1])
    changed, factor, leaves = _change(rng, system)
    first = int(len(system.calls) * WARM_UP)
    counted = _counted(system, policy, system.calls, first, seed)
    kept = [call for call, leave in zip(system.calls, leaves, strict=True) if not leave]
    after = _counted(system, policy, kept, first - sum(leaves[:first]), seed)
    run = Run(
        kind,
        policy,
        seed,
        tuple(system.statements),
        counted,
        changed,
        factor,
        sum(reads for reads, _ in after),
    )
    return run if run.now >= LEAST_READS else None


def _change(rng: np.random.Generator, system: System) -> tuple[str | int, float, list[bool]]:
    """Return what is changed, the share of its calls that is left, and the calls that go."""
    called = sorted({who for who, *_ in system.calls})
    changed: str | int
    if rng.random() < 1 / 3:
        changed = int(rng.choice(called))
        mine = {changed}
    else:
        changed = str(rng.choice(sorted({system.statements[who].category for who in called})))
        mine = {n for n, each in enumerate(system.statements) if each.category == changed}
    factor = float(rng.choice([0.0, 0.0, 0.3, 0.6]))
    stays = rng.random(len(system.calls)) < factor
    return (
        changed,
        factor,
        [
            who in mine and not stay
            for (who, *_), stay in zip(system.calls, stays.tolist(), strict=True)
        ],
    )


def _counted(
    system: System, policy: str, calls: Sequence[tuple[int, Blocks, bool]], first: int, seed: int
) -> tuple[tuple[int, int], ...]:
    """Return what each statement read and found, from a call on."""
    lengths = [len(blocks) for _, blocks, _ in calls]
    blocks = np.concatenate([blocks for _, blocks, _ in calls])
    who = np.repeat([who for who, *_ in calls], lengths)
    scans = np.repeat([is_scan for *_, is_scan in calls], lengths)
    rng = np.random.default_rng([seed, 2])
    found = np.array(POLICIES[policy](blocks.tolist(), scans.tolist(), system.size, rng))
    start = sum(lengths[:first])
    many = len(system.statements)
    hits = np.bincount(who[start:][found[start:]], minlength=many)
    reads = np.bincount(who[start:][~found[start:]], minlength=many)
    return tuple(zip(reads.tolist(), hits.tolist(), strict=True))


def runs(first: int, many: int) -> Iterator[Run]:
    """Yield runs from a seed on."""
    for seed in range(first, first + many):
        if (run := run_of(seed)) is not None:
            yield run


def judged(run: Run, *, by_table: bool = True) -> Estimate:
    """Return the estimate for a run, with or without the tables of its statements."""
    touches = []
    for number, (statement, counts) in enumerate(zip(run.statements, run.counted, strict=True)):
        name = str(number) if run.changed == number else statement.category
        tables = tuple(map(str, statement.tables)) if by_table else ()
        touches.append(Touches(name, tables, Amounts(*map(float, counts))))
    had: dict[str, Amounts] = {}
    for each in touches:
        had[each.name] = had.get(each.name, Amounts(0.0, 0.0)) + each.amounts
    how = ChangeKind.CALLS if run.factor else ChangeKind.DROP
    return estimate(had, [Assumption(str(run.changed), how, run.factor)], touches)


@dataclass(frozen=True, slots=True)
class Row:
    """How often points and ranges were right in some runs; errors as shares of all reads."""

    of: str
    runs: int
    within: int
    mean: float
    worst: float
    held: int
    within_without_tables: int
    within_proportion: int


def judge(of: str, found: Sequence[Run]) -> Row:
    """Return how often points and ranges were right."""
    said = [judged(run) for run in found]
    plain = [judged(run, by_table=False) for run in found]
    off = [abs(each.point - run.after) / run.now for each, run in zip(said, found, strict=True)]
    off_plain = [abs(e.point - run.after) / run.now for e, run in zip(plain, found, strict=True)]
    in_proportion = [abs(_in_proportion(run) - run.after) / run.now for run in found]
    return Row(
        of,
        len(found),
        sum(each <= WITHIN for each in off),
        fmean(off),
        max(off),
        sum(run.after in each for each, run in zip(said, found, strict=True)),
        sum(each <= WITHIN for each in off_plain),
        sum(each <= WITHIN for each in in_proportion),
    )


def _in_proportion(run: Run) -> float:
    """Return what is read if only what is changed reads less, in proportion to its calls."""
    mine = sum(
        reads
        for number, (statement, (reads, _)) in enumerate(
            zip(run.statements, run.counted, strict=True)
        )
        if run.changed in (number, statement.category)
    )
    return run.now - mine * (1 - run.factor)


def main() -> None:
    """Print how often points and ranges were right."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    parser.add_argument("--json", action="store_true", help="print each run")
    given = parser.parse_args()
    found = list(runs(given.seed, given.runs))
    if given.json:
        for run in found:
            said = judged(run)
            print(json.dumps(asdict(run) | {"now": run.now, "said": asdict(said)}))
        return
    print(f"{'':12}{'runs':>5}{'within 10 points':>18}{'mean':>7}{'worst':>7}{'held':>6}"
          f"{'no tables':>11}{'proportion':>12}")  # fmt: skip
    groups = {"all": found}
    groups |= {kind: [run for run in found if run.kind == kind] for kind in SYSTEMS}
    groups |= {policy: [run for run in found if run.policy == policy] for policy in POLICIES}
    for of, some in groups.items():
        row = judge(of, some)
        print(
            f"{of:12}{row.runs:5}{row.within:18}{row.mean:7.1%}{row.worst:7.0%}{row.held:6}"
            f"{row.within_without_tables:11}{row.within_proportion:12}"
        )


if __name__ == "__main__":
    main()
