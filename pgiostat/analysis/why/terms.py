"""Which term of the reads moved: calls, blocks touched per call, or the share of misses."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf, sqrt

from pgiostat.analysis.why.evidence import StatementEvidence, Step, Usage

__all__ = ["LEAST_CALLS", "LEAST_SECONDS", "Term", "Terms", "enough", "is_grown", "moved_terms"]

LEAST_SECONDS = 15.0
LEAST_CALLS = 12
"""With shorter windows or fewer calls, chance looks like a cause."""
LEAST_STEPS = 3
CALLS_RATIO, CALLS_ERRORS = 1.4, 3
TOUCHED_RATIO, TOUCHED_BLOCKS = 1.3, 1.5
SURE_RATIO, SURE_BLOCKS, SURE_CALLS, SURE_Z = 1.15, 0.5, 10, 5
"""A smaller growth of touched blocks counts too, if it is well above the spread of the steps."""
FOLLOWED_RATIO = 1.3
MISS_READS, MISS_RISE, MISS_RATIO = 15, 0.15, 2.5
TEMP_BLOCKS, TEMP_RATIO = 5, 1.5


class Term(StrEnum):
    """A term that may move."""

    TOUCHED = "blocks touched per call"
    MISSES = "share of misses"
    CALLS = "calls"
    TEMP = "spill files"


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms that moved.

    Attributes:
        moved: Those that grew by more than chance, the one first that added most reads.
        miss_z: How many standard errors the share of misses rose; None without enough steps.
    """

    moved: tuple[Term, ...]
    miss_z: float | None = None


def enough(usage: Usage) -> bool:
    """Return whether a window is long enough, with enough calls."""
    return usage.seconds >= LEAST_SECONDS and usage.calls >= LEAST_CALLS


def moved_terms(evidence: StatementEvidence) -> Terms:
    """Return the terms that grew significantly; both windows must have calls."""
    before, after = evidence.before, evidence.after
    found = {
        Term.CALLS: _calls_moved(before, after),
        Term.TOUCHED: _touched_moved(before, after),
        Term.MISSES: _misses_moved(before, after),
        Term.TEMP: _temp_moved(before, after),
    }
    shares = _shares(before, after)
    ratio = _over(after.touched_per_call, before.touched_per_call)
    if ratio >= FOLLOWED_RATIO:
        # Larger reads of its own make it miss more, too.
        shares[Term.TOUCHED] = inf
    moved = sorted((term for term in found if found[term]), key=lambda term: -shares[term])
    return Terms(tuple(moved), _z(before, after, _misses))


def is_grown(before: Usage, after: Usage) -> bool:
    """Return whether a statement is called more, or touches more in each call, beyond chance."""
    if not before.calls:
        return bool(after.calls)
    return _calls_moved(before, after) or _touched_moved(before, after)


def _over(after: float | None, before: float | None) -> float:
    if not after:
        return 0.0
    return after / before if before else inf


def _shares(before: Usage, after: Usage) -> dict[Term, float]:
    """Split the growth of calls × touched × misses into symmetric shares, in blocks per second."""
    old, new = (
        (each.calls_per_s, each.touched_per_call or 0.0, each.miss_share or 0.0)
        for each in (before, after)
    )
    shares = {Term.TEMP: -inf}
    for n, term in enumerate((Term.CALLS, Term.TOUCHED, Term.MISSES)):
        (b0, c0), (b1, c1) = (
            [value for k, value in enumerate(side) if k != n] for side in (old, new)
        )
        others = (b0 * c0 + b1 * c1) / 3 + (b0 * c1 + b1 * c0) / 6
        shares[term] = (new[n] - old[n]) * others
    return shares


def _calls_moved(before: Usage, after: Usage) -> bool:
    scale = after.seconds / before.seconds
    chance = CALLS_ERRORS * sqrt(after.calls + scale * scale * before.calls)
    rose = after.calls - scale * before.calls > chance
    return rose and _over(after.calls_per_s, before.calls_per_s) >= CALLS_RATIO


def _touched_moved(before: Usage, after: Usage) -> bool:
    old, new = before.touched_per_call or 0.0, after.touched_per_call or 0.0
    ratio, growth = _over(new, old), new - old
    if ratio >= TOUCHED_RATIO and growth >= TOUCHED_BLOCKS:
        return True
    z = _z(before, after, _touched)
    large = ratio >= SURE_RATIO and growth >= SURE_BLOCKS
    return large and min(before.calls, after.calls) >= SURE_CALLS and (z or 0.0) >= SURE_Z


def _misses_moved(before: Usage, after: Usage) -> bool:
    old, new = before.miss_share or 0.0, after.miss_share or 0.0
    rose = new - old >= MISS_RISE or (new > old and _over(new, old) >= MISS_RATIO)
    return after.read >= MISS_READS and rose


def _temp_moved(before: Usage, after: Usage) -> bool:
    old, new = before.temp_per_call or 0.0, after.temp_per_call or 0.0
    return new - old >= TEMP_BLOCKS and _over(new, old) >= TEMP_RATIO


Ratio = tuple[list[int], list[int]]


def _touched(steps: Sequence[Step]) -> Ratio:
    return [each[0] for each in steps], [each[2] for each in steps]


def _misses(steps: Sequence[Step]) -> Ratio:
    return [each[2] for each in steps], [each[1] for each in steps]


def _z(before: Usage, after: Usage, ratio_of: Callable[[Sequence[Step]], Ratio]) -> float | None:
    """Return how many standard errors a ratio rose, by the spread of the steps about its mean."""
    sides = [_mean_and_variance(*ratio_of(each.steps)) for each in (before, after)]
    (old, old_variance), (new, new_variance) = sides
    if old is None or new is None:
        return None
    error = sqrt(old_variance + new_variance)
    return (new - old) / error if error else inf if new > old else 0.0


def _mean_and_variance(whole: Sequence[int], part: Sequence[int]) -> tuple[float | None, float]:
    """Return a ratio of sums and its variance; None with too few steps."""
    total, count = sum(whole), sum(1 for each in whole if each)
    if count < LEAST_STEPS or not total:
        return None, 0.0
    mean = sum(part) / total
    spread = sum((p - mean * w) ** 2 for w, p in zip(whole, part, strict=True)) / (count - 1)
    return mean, count * spread / total**2
