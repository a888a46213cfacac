"""When samples are sealed; known to a collector, which does not do it itself."""

from datetime import UTC, datetime

__all__ = ["MOST_ROWS", "MOST_SAMPLES", "is_due"]

MOST_SAMPLES = 720
MOST_ROWS = 500_000
"""A batch is sorted in memory: so many rows of statements are some hundred megabytes."""


def is_due(samples: int, rows: int, oldest: datetime, newest: datetime) -> bool:
    """Tell whether to seal: an hour is over, or there is much to seal."""
    hours = [
        instant.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        for instant in (oldest, newest)
    ]
    return hours[0] < hours[1] or samples >= MOST_SAMPLES or rows >= MOST_ROWS
