"""Seal a collector's samples: python -m pgiostat.history ROOT COLLECTOR."""

import sys
from pathlib import Path

from pgiostat.errors import PgiostatError
from pgiostat.history.layout import check
from pgiostat.history.seal import seal


def main() -> int:
    """Seal, and return the exit status."""
    root, collector = sys.argv[1:]
    try:
        seal(check(Path(root)), collector)
    except (PgiostatError, OSError) as error:
        print(f"pgiostat: error: sealing: {error}", file=sys.stderr)  # noqa: T201 - its log
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
