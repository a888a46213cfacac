"""What a time of a history did to a volume."""

from collections.abc import Mapping
from datetime import timedelta

from pgiostat.burning import Burning, burning
from pgiostat.burst import Gauge
from pgiostat.device.interval import Origin
from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.history.reader import History
from pgiostat.history.seen import Seen
from pgiostat.history.sides import step_for
from pgiostat.history.steps import series
from pgiostat.names import Names
from pgiostat.rank import rank_counted
from pgiostat.volumes import Volume

__all__ = ["burned"]

MINUTE = timedelta(minutes=1)
"""CloudWatch tells no more often."""


def burned(
    history: History,
    seen: Seen,
    names: Mapping[int, Names],
    volume: Volume,
    *,
    balance: float | None = None,
    writes: float = 0.0,
    reads: float = 1.0,
) -> Burning:
    """Return who emptied a volume's bucket, step by step.

    balance: what was in it at first, a share; CloudWatch's word if None, or full.  writes:
    operations a second that are known to be written.  reads: as if so many times as much had been
    read.
    Raises PgiostatError option-invalid if several servers were seen: they share no volume.
    """
    if len(seen.counted) > 1:
        there = ", ".join(dict.fromkeys(server.label for server in seen.servers))
        raise PgiostatError(
            "several servers do not share a volume",
            hint=f"Choose one by --label: {there}.",
            slug="option-invalid",
            status=ExitStatus.USAGE,
        )
    parts = [(part, names.get(whose, Names())) for whose, part in seen.counted.items()]
    devices = [each for those in history.device(seen.window).values() for each in those]
    step = step_for(seen)
    if any(each.source is Origin.CLOUDWATCH for each in devices):
        step = max(step, MINUTE)
    told = [each.burst_balance for each in devices if each.burst_balance is not None]
    if balance is None:
        balance = told[0] / 100 if told else 1.0
    steps = series(history, seen, names, rank_counted(parts), step)
    return burning(
        [(each.since, each.ranking) for each in steps],
        step,
        Gauge(volume, balance, balance),
        writes,
        devices,
        reads=reads,
    )
