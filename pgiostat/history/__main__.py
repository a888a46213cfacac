"""Compact samples: python -m pgiostat.history ROOT COLLECTOR [ROWS HOURS [COLLECTOR ...]].

ROWS, HOURS: how many seconds these are kept, - forever; what is older is removed.  Collectors that
come after them compact together, under the first name.
"""

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from pgiostat.errors import PgiostatError
from pgiostat.history.format.compacted import CompactedFile
from pgiostat.history.format.layout import Layout
from pgiostat.history.format.root import check
from pgiostat.history.write.compaction import compact, compact_shared
from pgiostat.history.write.retention import Keep, retain


def removable(layout: Layout) -> Callable[[CompactedFile], bool]:
    """Return the test for removal: a file of an uploaded history must be uploaded first."""
    if not layout.records():
        return lambda _: True
    from pgiostat.history.remote.manifest import Removable  # noqa: PLC0415 - Arrow's file systems take time

    return Removable.of(layout)


def main() -> int:
    """Compact and remove, and return the exit status; the last line says what is wrong."""
    root, name, *more = sys.argv[1:]
    spans, together = more[:2], more[2:]
    keep = Keep(*(None if span == "-" else timedelta(seconds=float(span)) for span in spans))
    work = "compact"
    try:
        layout = check(Path(root))
        if together:
            compact_shared(layout, name, together)
        else:
            compact(layout, name)
        work = "remove expired files"
        # Of those that share files now, some may have had their own before.
        compacted = {file.collector for file in layout.compacted_files("sample")}
        may = removable(layout)
        for collector in compacted & {name, *together}:
            retain(layout, collector, keep, clock=datetime.now(UTC), may=may)
    except (PgiostatError, OSError, pa.ArrowException) as error:
        cause = getattr(error, "strerror", None) or error
        detail = getattr(error, "detail", None)
        reason = " ".join((f"{cause}: {detail}" if detail else str(cause)).split())
        print(f"could not {work}: {reason}", file=sys.stderr)  # noqa: T201 - for who started us
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
