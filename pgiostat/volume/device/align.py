"""What a device did in times that are not its own: its intervals, spread over them."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter

from pgiostat.volume.device.interval import DeviceInterval, Origin

__all__ = ["LEAST_KNOWN", "Overlap", "align"]

LEAST_KNOWN = 0.8
"""A source is believed for a time of which it tells so much."""
_AMOUNTS = ("reads", "writes", "read_bytes", "write_bytes")


@dataclass(frozen=True, slots=True)
class Overlap:
    """What a source tells of a time.  seconds: of how much of it.  share: of all of it."""

    source: Origin
    seconds: float
    share: float
    reads: float
    writes: float
    read_bytes: float
    write_bytes: float

    @property
    def is_enough(self) -> bool:
        """Whether it tells enough to be believed for the whole."""
        return self.share >= LEAST_KNOWN


def align(
    intervals: Iterable[DeviceInterval], times: Sequence[tuple[datetime, datetime]]
) -> list[Overlap | None]:
    """Return for each time what a device did in it, None where nothing is told.

    An interval's amounts are divided between the times that it overlaps, and what is before or
    after all of them is nobody's: nothing is lost, and nothing counted twice.  Of several sources
    the kernel goes before CloudWatch, and who tells enough before who tells less.  A source that
    this version does not know is not used.
    times: in order, and apart.
    """
    whose = attrgetter("source", "name")
    told = (
        each
        for each in intervals
        if isinstance(each.source, Origin) and each.reads is not None and each.writes is not None
    )
    found: list[list[Overlap]] = [[] for _ in times]
    for (source, _), those in groupby(
        sorted(told, key=attrgetter("source", "name", "begin")), whose
    ):
        sums: dict[int, list[float]] = {}
        for place, amounts in _placed(list(those), times):
            sums[place] = [a + b for a, b in zip(sums.get(place, [0.0] * 5), amounts, strict=True)]
        for place, (seconds, *amounts) in sums.items():
            since, until = times[place]
            share = min(seconds / (until - since).total_seconds(), 1.0)
            found[place].append(Overlap(Origin(source), seconds, share, *amounts))
    return [min(there, key=_order, default=None) for there in found]


def _order(each: Overlap) -> tuple[bool, float]:
    if each.is_enough:
        return False, float(list(Origin).index(each.source))
    return True, -each.share


def _placed(
    those: Sequence[DeviceInterval], times: Sequence[tuple[datetime, datetime]]
) -> Iterator[tuple[int, list[float]]]:
    """Yield the seconds and amounts of each interval within each time that it overlaps."""
    begins = [since for since, _ in times]
    covered: datetime | None = None
    for each in those:
        # Two that overlap tell of the same reads.
        begin = each.begin if covered is None else max(each.begin, covered)
        covered = each.end if covered is None else max(each.end, covered)
        place = max(bisect_right(begins, begin) - 1, 0)
        while place < len(times) and times[place][0] < each.end:
            since, until = times[place]
            seconds = (min(each.end, until) - max(begin, since)).total_seconds()
            if seconds > 0:
                share = seconds / each.seconds
                yield place, [seconds, *((getattr(each, name) or 0) * share for name in _AMOUNTS)]
            place += 1
