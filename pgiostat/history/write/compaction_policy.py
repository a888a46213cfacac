"""When samples are compacted; a collector decides, another process compacts."""

from datetime import UTC, datetime

__all__ = ["MAX_ROWS", "MAX_SAMPLES", "MAX_SHARED_SAMPLES", "is_due"]

MAX_SAMPLES = 720
MAX_SHARED_SAMPLES = 3_600
"""Of several collectors in shared files: each sample is some files until then."""
MAX_ROWS = 500_000
"""A batch is sorted in memory: this number of statements takes some hundred megabytes."""


def is_due(
    samples: int, rows: int, oldest: datetime, newest: datetime, limit: int = MAX_SAMPLES
) -> bool:
    """Return whether compaction is due: an hour is over, or a batch is full.

    Args:
        samples: How many samples wait.
        rows: How many statements they have.
        oldest: When the first of them was committed.
        newest: When the last of them was committed.
        limit: How many samples make a full batch.
    """
    hours = [
        instant.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        for instant in (oldest, newest)
    ]
    return hours[0] < hours[1] or samples >= limit or rows >= MAX_ROWS
