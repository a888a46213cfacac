"""Seal a collector's samples: python -m pgiostat.history ROOT COLLECTOR [ROWS HOURS].

ROWS, HOURS: how many seconds these are kept, - for ever; what is older is removed.
"""

import sys
from datetime import timedelta
from pathlib import Path

from pgiostat.errors import PgiostatError
from pgiostat.history.layout import check
from pgiostat.history.retain import Keep, retain
from pgiostat.history.seal import seal


def main() -> int:
    """Seal, and return the exit status."""
    root, collector, *spans = sys.argv[1:]
    keep = Keep(*(None if span == "-" else timedelta(seconds=float(span)) for span in spans))
    try:
        layout = check(Path(root))
        seal(layout, collector)
        retain(layout, collector, keep)
    except (PgiostatError, OSError) as error:
        print(f"pgiostat: error: sealing: {error}", file=sys.stderr)  # noqa: T201 - its log
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
