"""The outcome of experiments: the arithmetic of each against the baseline, by repetition."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from pgiostat.analysis.compare.significance import student
from pgiostat.analysis.whatif import Amounts, Assumption, Estimate, Touches, estimate
from pgiostat.volume.bucket import Balance, CreditBucket, Load
from pgiostat.volume.models import Volume

__all__ = ["DAY_SECONDS", "Measured", "Outcome", "outcome"]

DAY_SECONDS = 86_400
CHANCE = 0.05
"""The probability that a confidence interval misses the true change."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One run.

    Attributes:
        amounts: blocks read and hit by category, without pgiostat's own queries.
        load: on the volume.
        touches: what statements touched, by category and table.
    """

    seconds: float
    amounts: Mapping[str, Amounts]
    load: Load
    touches: tuple[Touches, ...] = ()

    @property
    def blocks(self) -> float:
        """Blocks read."""
        return sum(each.reads for each in self.amounts.values())


@dataclass(frozen=True, slots=True)
class Outcome:
    """An experiment against the baseline.

    Attributes:
        blocks_per_s, operations_per_s: means over the repetitions, at the trace's pace.
        by_category: blocks per second.
        change: of blocks; -0.5 is half as many.
        low, high: the change's confidence interval; None from a single repetition or for the
            baseline.
        displaced: further blocks per second of the categories without a change of their own; None
            for the baseline.
        balance: of the volume after a day of such traffic.
        to_empty: seconds until the balance is zero.
        assumed: the input of whatif, for the first repetition with a change.
        imagined: the estimates of whatif, for each repetition with a change.
        held: whether all measured changes lie within their estimates.
    """

    name: str
    blocks_per_s: float
    operations_per_s: float
    by_category: Mapping[str, float]
    change: float | None
    low: float | None
    high: float | None
    displaced: float | None
    balance: Balance
    to_empty: float | None
    assumed: tuple[Assumption, ...] = ()
    imagined: tuple[Estimate, ...] = ()
    held: bool | None = None

    @property
    def range(self) -> tuple[float, float] | None:
        """The estimates of whatif as changes, over all repetitions."""
        if not self.imagined:
            return None
        return (
            min(each.low / each.now for each in self.imagined) - 1,
            max(each.high / each.now for each in self.imagined) - 1,
        )

    @property
    def expected(self) -> float | None:
        """The mean of the points of whatif over all repetitions, as a change."""
        if not self.imagined:
            return None
        return fmean(each.point / each.now for each in self.imagined) - 1


def outcome(
    name: str,
    runs: Sequence[Measured],
    baseline: Sequence[Measured],
    volume: Volume,
    *,
    targets: Sequence[str] = (),
    supposed: Sequence[Sequence[Assumption]] = (),
) -> Outcome:
    """Return the outcome of an experiment.

    Args:
        runs: its repetitions.
        baseline: the same repetitions without the change; `runs` itself for the baseline.
        targets: the changed categories.
        supposed: the input of whatif, for each repetition; empty for the baseline.
    """
    seconds = sum(run.seconds for run in runs)
    categories = dict.fromkeys(name for run in runs for name in run.amounts)
    found = {each: _per_s(runs, each) for each in categories}
    is_baseline = runs is baseline
    logs = [
        math.log(run.blocks / before.blocks)
        for run, before in zip(runs, baseline, strict=True)
        if run.blocks and before.blocks
    ]
    low, high = (None, None) if is_baseline else _interval(logs)
    load = Load(
        seconds,
        sum(run.load.operations or 0.0 for run in runs),
        sum(run.load.read_bytes or 0.0 for run in runs),
    )
    balance, to_empty = _day(load, volume)
    # A repetition may happen to have the same traffic: then there is nothing to estimate.
    estimates = [
        (run, estimate(before.amounts, assumptions, before.touches))
        for run, before, assumptions in zip(runs, baseline, supposed, strict=False)
        if assumptions
    ]
    return Outcome(
        name=name,
        blocks_per_s=sum(run.blocks for run in runs) / seconds,
        operations_per_s=(load.operations or 0.0) / seconds,
        by_category=found,
        change=None if is_baseline or not logs else math.expm1(fmean(logs)),
        low=low,
        high=high,
        displaced=None if is_baseline else _displaced(found, baseline, targets),
        balance=balance,
        to_empty=to_empty,
        assumed=tuple(next(filter(None, supposed), ())),
        imagined=tuple(each for _, each in estimates),
        held=all(run.blocks in each for run, each in estimates) if estimates else None,
    )


def _per_s(runs: Sequence[Measured], category: str) -> float:
    nothing = Amounts(0.0, 0.0)
    return sum(run.amounts.get(category, nothing).reads for run in runs) / sum(
        run.seconds for run in runs
    )


def _interval(logs: Sequence[float]) -> tuple[float | None, float | None]:
    """Return the confidence interval of the mean change, by Student's t on logarithms of ratios.

    >>> low, high = _interval([-0.11, -0.10, -0.09])
    >>> f"{low:.3f} {high:.3f}"
    '-0.117 -0.073'
    """
    if len(logs) < 2:  # noqa: PLR2004 - one has no spread
        return None, None
    reach = student(1 - CHANCE / 2, len(logs) - 1) * stdev(logs) / math.sqrt(len(logs))
    return math.expm1(fmean(logs) - reach), math.expm1(fmean(logs) + reach)


def _displaced(
    found: Mapping[str, float], baseline: Sequence[Measured], targets: Sequence[str]
) -> float:
    return sum(
        per_s - _per_s(baseline, name) for name, per_s in found.items() if name not in targets
    )


def _day(load: Load, volume: Volume) -> tuple[Balance, float | None]:
    """Return the balance after a day of such traffic from a full bucket, and seconds to zero."""
    full = CreditBucket(volume, 1.0, 1.0)
    each = DAY_SECONDS / load.seconds
    day = Load(DAY_SECONDS, (load.operations or 0.0) * each, (load.read_bytes or 0.0) * each)
    rate = min(day.rate(volume) or 0.0, day.limit(volume))
    return full.advance(day)[1], full.to_empty(rate)
