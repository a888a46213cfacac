"""Seal a collector's samples: python -m pgiostat.history ROOT COLLECTOR [ROWS HOURS].

ROWS, HOURS: how many seconds these are kept, - for ever; what is older is removed.
"""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from pgiostat.errors import PgiostatError
from pgiostat.history.layout import check
from pgiostat.history.retain import Keep, retain
from pgiostat.history.seal import seal


def main() -> int:
    """Seal and remove, and return the exit status; the last line says what is wrong."""
    root, collector, *spans = sys.argv[1:]
    keep = Keep(*(None if span == "-" else timedelta(seconds=float(span)) for span in spans))
    work = "seal"
    try:
        layout = check(Path(root))
        seal(layout, collector)
        work = "remove what is too old"
        retain(layout, collector, keep, clock=datetime.now(UTC))
    except (PgiostatError, OSError, pa.ArrowException) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        print(f"could not {work}: {reason}", file=sys.stderr)  # noqa: T201 - for who started us
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
