"""Device intervals divided over other intervals of time."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from math import isnan, nan
from operator import attrgetter

from pgiostat.volume.device.interval import DeviceInterval, Origin

__all__ = ["MIN_SHARE", "Overlap", "align"]

MIN_SHARE = 0.8
"""A source that covers this share of a span represents all of it."""
_AMOUNTS = ("reads", "writes", "read_bytes", "write_bytes")


@dataclass(frozen=True, slots=True)
class Overlap:
    """Counts of a source within a span of time.

    Attributes:
        seconds: Length of the measured part.
        share: The same as a share of the span.
        name: Of the device, or of the instance or cluster of its volume.
        reads: Operations in the measured part; so are the other amounts.
        read_us: Microseconds that these reads took together; None if unknown.
    """

    source: Origin
    seconds: float
    share: float
    reads: float
    writes: float
    read_bytes: float
    write_bytes: float
    name: str = ""
    read_us: float | None = None

    @property
    def is_enough(self) -> bool:
        """Whether the measured part represents the span."""
        return self.share >= MIN_SHARE


def align(
    intervals: Iterable[DeviceInterval], spans: Sequence[tuple[datetime, datetime]]
) -> list[Overlap | None]:
    """Divide device intervals over spans of time.

    The amounts of an interval are divided in proportion to the overlap; what lies in no span is
    left out. Of several sources the kernel precedes CloudWatch, and a source that covers enough of
    a span precedes one that does not. Sources that this version does not know are not used.

    Args:
        intervals: Of one server, in any order.
        spans: Begin and end of each; in order, without overlaps.

    Returns:
        For each span the counts of one source; None where nothing was measured.
    """
    by_source = attrgetter("source", "name")
    known = (
        each
        for each in intervals
        if isinstance(each.source, Origin) and each.reads is not None and each.writes is not None
    )
    found: list[list[Overlap]] = [[] for _ in spans]
    ordered = sorted(known, key=attrgetter("source", "name", "begin"))
    for (source, name), group in groupby(ordered, by_source):
        sums: dict[int, list[float]] = {}
        for index, amounts in _divided(list(group), spans):
            before = sums.get(index, [0.0] * len(amounts))
            sums[index] = [a + b for a, b in zip(before, amounts, strict=True)]
        for index, (seconds, read_us, *amounts) in sums.items():
            since, until = spans[index]
            share = min(seconds / (until - since).total_seconds(), 1.0)
            reads, writes, read_bytes, write_bytes = amounts
            found[index].append(
                Overlap(
                    Origin(source),
                    seconds,
                    share,
                    reads,
                    writes,
                    read_bytes,
                    write_bytes,
                    name,
                    None if isnan(read_us) else read_us,
                )
            )
    return [min(overlaps, key=_order, default=None) for overlaps in found]


def _order(each: Overlap) -> tuple[bool, float]:
    if each.is_enough:
        return False, float(list(Origin).index(each.source))
    return True, -each.share


def _divided(
    intervals: Sequence[DeviceInterval], spans: Sequence[tuple[datetime, datetime]]
) -> Iterator[tuple[int, list[float]]]:
    """Yield the index of each span that an interval overlaps, with seconds, read_us and amounts."""
    begins = [since for since, _ in spans]
    covered: datetime | None = None
    for each in intervals:
        # Where two intervals overlap, both count the same reads.
        begin = each.begin if covered is None else max(each.begin, covered)
        covered = each.end if covered is None else max(each.end, covered)
        index = max(bisect_right(begins, begin) - 1, 0)
        while index < len(spans) and spans[index][0] < each.end:
            since, until = spans[index]
            seconds = (min(each.end, until) - max(begin, since)).total_seconds()
            if seconds > 0:
                share = seconds / each.seconds
                took = nan if each.read_time is None else each.read_time * share
                amounts = ((getattr(each, name) or 0) * share for name in _AMOUNTS)
                yield index, [seconds, took, *amounts]
            index += 1
