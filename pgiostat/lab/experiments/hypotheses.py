"""What the story tells of the experiments, point by point, and whether it was measured so."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pgiostat.lab.experiments.outcome import Outcome
from pgiostat.lab.experiments.run import BASELINE
from pgiostat.lab.workload.schema import TABLES

__all__ = ["Point", "story"]

SMALL_FRACTION = 0.1
MUCH = 0.1
"""A share of all reads that is worth the building of a cache."""
LITTLE = 0.25
RECOVERED = ("skip_fixed", "cache_update", "cache_invalidate", "both")
"""What switches nothing off."""


@dataclass(frozen=True, slots=True)
class Point:
    """A point of the story, and whether the mean of what was measured bears it out."""

    sentence: str
    holds: bool


def story(outcomes: Sequence[Outcome]) -> list[Point]:
    """Return the points whose experiments were run; outcomes: as of results.outcomes."""
    return list(_points({each.name: each for each in outcomes}))


def _points(found: dict[str, Outcome]) -> Iterator[Point]:
    by_reads = sorted(found[BASELINE].by_category.items(), key=lambda item: (-item[1], item[0]))
    yield Point(
        "version queries cost most, and manifest queries next",
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
            "a cache of versions lowers reads much, and does not end them",
            SMALL_FRACTION - 1 < change["cache_update"] < -MUCH,
        )
    if "skip_fixed" in change:
        yield Point("the skip fix alone lowers them a little", -LITTLE < change["skip_fixed"] < 0)
    if change.keys() >= set(RECOVERED):
        yield Point(
            "both together lower them most",
            change["both"] == min(change[name] for name in RECOVERED),
        )
    if "table_added" in change:
        yield Point(
            "a table more raises them more than in proportion",
            change["table_added"] > 1 / len(TABLES),
        )
