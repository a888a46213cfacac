"""Demand of each step of a time window on a volume: by its device, by the server, or estimated."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pgiostat.analysis.operations import DividedBy, Division
from pgiostat.analysis.rank import Ranking
from pgiostat.analysis.server_reads import ServerReads
from pgiostat.volume.bucket import Load
from pgiostat.volume.demand import (
    DIVIDED,
    Provenance,
    Range,
    attribute_blocks,
    load_of,
    ranges_of,
    split_operations,
)
from pgiostat.volume.device.align import Overlap, align
from pgiostat.volume.device.interval import DeviceInterval

__all__ = ["SHORTEST_GAP", "LoadStep", "StepDemand", "step_demands"]

SHORTEST_GAP = 0.05
"""Seconds; a shorter time without intervals is the clock's inaccuracy."""
WRITES = "writes"


@dataclass(frozen=True, slots=True, eq=False)
class LoadStep:
    """A step of a time window, with its ranking and the server's own counts.

    Attributes:
        since: Time of its first snapshot.
        until: Time of its last snapshot.
        seconds: Length of its intervals together, without gaps.
        division: Operations for each block by category; None divides in proportion to blocks.
    """

    since: datetime
    until: datetime
    seconds: float
    ranking: Ranking
    reads: ServerReads
    division: Division | None = None


@dataclass(frozen=True, slots=True, eq=False)
class StepDemand:
    """Demand of a step on a volume.

    Attributes:
        load: Operations and bytes; unknown in a gap.
        parts: Operations by category, and of writes.
        provenance: Source of the operations; None in a gap.
        missed: Seconds of the step without an interval, with unknown demand.
        divided_by: How the operations are divided; None where that is not known.
        ranges: 95 % interval of the operations of each category; None if unknown.
    """

    since: datetime
    until: datetime
    load: Load
    parts: Mapping[str, float]
    provenance: Provenance | None
    missed: float = 0.0
    divided_by: DividedBy | None = None
    ranges: Mapping[str, Range] | None = None

    def scaled(self, factor: float) -> "StepDemand":
        """Return the demand if reads are multiplied, and writes are not."""
        if factor == 1.0 or self.provenance is None:
            return self
        scaled = {name: n * (1.0 if name == WRITES else factor) for name, n in self.parts.items()}
        ranges = None
        if self.ranges is not None:
            ranges = {
                name: (low * factor, high * factor) for name, (low, high) in self.ranges.items()
            }
        operations, whole = sum(scaled.values()), sum(self.parts.values())
        # Where writes are known, their bytes are too: operations keep their mean size.
        volume = (self.load.read_bytes or 0.0) * (operations / whole if whole else 1.0)
        return replace(
            self,
            load=Load(self.load.seconds, operations, volume),
            parts=scaled,
            ranges=ranges,
        )


def step_demands(
    steps: Sequence[LoadStep], writes: float, devices: Sequence[DeviceInterval]
) -> Iterator[StepDemand]:
    """Yield the demand of each step, and of each gap between two.

    Args:
        writes: Known write operations per second, used where no device was measured.
        devices: Intervals of the server's device; empty if unknown.
    """
    each = ServerReads.total(step.reads for step in steps).per_block.shared
    spans = list(_spans(steps))
    measured = align(devices, [(since, until) for since, until, _ in spans])
    blocks = attribute_blocks(step.ranking for step in steps)
    loads = [
        None
        if step is None
        else load_of(step.reads, step.seconds, step.ranking.explained.block_size, each)
        for _, _, step in spans
    ]
    rates = _DeviceRates.of(
        measured, [0.0 if of is None else of[0].operations or 0.0 for of in loads]
    )
    for (since, until, step), device, of_step in zip(spans, measured, loads, strict=True):
        extent = (until - since).total_seconds()
        by_part = {} if step is None else next(blocks)
        division = None if step is None else step.division
        if device is not None and device.is_enough:
            yield _measured(since, until, device, by_part, division)
        elif step is None or of_step is None:
            yield StepDemand(since, until, Load(extent, None, None), {}, None)
        elif rates is not None:
            counted = of_step[0].operations or 0.0
            yield rates.filled(since, until, device, counted, by_part)
        else:
            load, provenance = of_step
            if provenance is not Provenance.PG_STAT_IO:
                division = None
            parts = split_operations(load.operations or 0.0, by_part, division)
            ranges = None if division is None else ranges_of(parts, division)
            if writes:
                parts[WRITES] = writes * step.seconds
                load = replace(load, operations=sum(parts.values()))
            yield StepDemand(
                since,
                until,
                load,
                parts,
                provenance,
                extent - step.seconds,
                _divided_by(provenance, division),
                ranges,
            )


def _spans(steps: Sequence[LoadStep]) -> Iterator[tuple[datetime, datetime, LoadStep | None]]:
    """Yield begin and end of each step with the step, and of each gap with None."""
    end: datetime | None = None
    for step in steps:
        if end is not None and (step.since - end).total_seconds() > SHORTEST_GAP:
            yield end, step.since, None
        yield step.since, step.until, step
        end = step.until


def _measured(
    since: datetime,
    until: datetime,
    device: Overlap,
    blocks: Mapping[str, float],
    division: Division | None,
) -> StepDemand:
    """Return the demand of a step with a measured device; only the split is an estimate."""
    reads, writes, *volumes = (
        amount / device.share
        for amount in (device.reads, device.writes, device.read_bytes, device.write_bytes)
    )
    # How much the operating system's cache serves differs by category: there is no interval.
    parts = split_operations(reads, blocks, division) | {WRITES: writes}
    load = Load((until - since).total_seconds(), reads + writes, sum(volumes))
    provenance = Provenance(device.source.value)
    divided_by = _divided_by(provenance, division)
    return StepDemand(since, until, load, parts, provenance, divided_by=divided_by)


def _divided_by(provenance: Provenance, division: Division | None) -> DividedBy | None:
    if provenance not in DIVIDED:
        return None
    return DividedBy.BLOCKS if division is None else DividedBy.REGRESSION


@dataclass(frozen=True, slots=True)
class _DeviceRates:
    """Means of a device over the steps in which it was measured, for the other steps.

    Attributes:
        each: Its reads for each read operation that the server counted; None without any.
        size: Bytes of one operation.
    """

    each: float | None
    reads: float
    writes: float
    size: float

    @classmethod
    def of(
        cls, measured: Sequence[Overlap | None], counted: Sequence[float]
    ) -> "_DeviceRates | None":
        """Return the means; None if no step was measured well enough.

        Args:
            measured: By the device, of each step.
            counted: Read operations by the server, of each step.
        """
        known = [(each, n) for each, n in zip(measured, counted, strict=True) if each is not None]
        if not any(each.is_enough for each, _ in known):
            return None
        reads = sum(each.reads for each, _ in known)
        writes = sum(each.writes for each, _ in known)
        volume = sum(each.read_bytes + each.write_bytes for each, _ in known)
        seconds = sum(each.seconds for each, _ in known)
        by_server = sum(n * each.share for each, n in known)
        return cls(
            each=reads / by_server if by_server else None,
            reads=reads / seconds,
            writes=writes / seconds,
            size=volume / (reads + writes) if reads + writes else 0.0,
        )

    def filled(
        self,
        since: datetime,
        until: datetime,
        device: Overlap | None,
        counted: float,
        blocks: Mapping[str, float],
    ) -> StepDemand:
        """Return the measured part of a step, completed by the means."""
        seconds = (until - since).total_seconds()
        share = 1.0 if device is None else 1.0 - device.share
        reads = (self.reads * seconds if self.each is None else self.each * counted) * share
        writes = self.writes * seconds * share
        if device is not None:
            reads, writes = reads + device.reads, writes + device.writes
        parts = split_operations(reads, blocks) | {WRITES: writes}
        load = Load(seconds, reads + writes, (reads + writes) * self.size)
        return StepDemand(since, until, load, parts, Provenance.ESTIMATED)
