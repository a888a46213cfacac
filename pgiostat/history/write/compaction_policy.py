"""When samples are sealed; known to a collector, which does not do it itself."""

from datetime import UTC, datetime

__all__ = ["MOST_ROWS", "MOST_SAMPLES", "MOST_TOGETHER", "is_due"]

MOST_SAMPLES = 720
MOST_TOGETHER = 3_600
"""Of several collectors that seal together: each sample is some files until then."""
MOST_ROWS = 500_000
"""A batch is sorted in memory: so many rows of statements are some hundred megabytes."""


def is_due(
    samples: int, rows: int, oldest: datetime, newest: datetime, most: int = MOST_SAMPLES
) -> bool:
    """Tell whether to seal: an hour is over, or there is much to seal."""
    hours = [
        instant.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        for instant in (oldest, newest)
    ]
    return hours[0] < hours[1] or samples >= most or rows >= MOST_ROWS
