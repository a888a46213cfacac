"""The points of the story about the experiments, each judged by the measurement."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pgiostat.lab.experiments.outcome import Outcome
from pgiostat.lab.experiments.run import BASELINE
from pgiostat.lab.workload.schema import TABLES

__all__ = ["Point", "story"]

SMALL_FRACTION = 0.1
MUCH = 0.1
"""A fraction of all reads that justifies a cache."""
LITTLE = 0.25
RECOVERED = ("skip_fixed", "cache_update", "cache_invalidate", "both")
"""Experiments without a switched-off query."""


@dataclass(frozen=True, slots=True)
class Point:
    """A point of the story, and whether the measured mean confirms it."""

    sentence: str
    holds: bool


def story(outcomes: Sequence[Outcome]) -> list[Point]:
    """Return the points about the outcomes, which are those of `results.outcomes`."""
    return list(_points({each.name: each for each in outcomes}))


def _points(found: dict[str, Outcome]) -> Iterator[Point]:
    by_reads = sorted(found[BASELINE].by_category.items(), key=lambda item: (-item[1], item[0]))
    yield Point(
        "version queries read most, and manifest queries second most",
        [name for name, _ in by_reads[:2]] == ["version", "manifest"],
    )
    change = {name: each.change for name, each in found.items() if each.change is not None}
    if "uploads_alone" in change:
        yield Point(
            "uploads alone read a small fraction",
            change["uploads_alone"] < SMALL_FRACTION - 1,
        )
    if "cache_update" in change:
        yield Point(
            "a cache of versions reduces reads a lot, but not to zero",
            SMALL_FRACTION - 1 < change["cache_update"] < -MUCH,
        )
    if "skip_fixed" in change:
        yield Point("the skip fix alone reduces reads a little", -LITTLE < change["skip_fixed"] < 0)
    if change.keys() >= set(RECOVERED):
        yield Point(
            "both together reduce reads most",
            change["both"] == min(change[name] for name in RECOVERED),
        )
    if "table_added" in change:
        yield Point(
            "one more table increases reads more than in proportion",
            change["table_added"] > 1 / len(TABLES),
        )
