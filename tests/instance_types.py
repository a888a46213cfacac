"""Write pgiostat/volume/instances.csv: the limits that EC2 publishes of its instance types.

`make instances` writes it from what DescribeInstanceTypes answers, which moto carries a copy of.
Without an EbsOptimizedInfo in the answer a type has its name alone: nothing is known of its limits.
"""

import csv
import gzip
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from importlib.metadata import version
from importlib.resources import files
from io import StringIO
from pathlib import Path
from typing import Any

from pgiostat.volume.instances import COLUMNS

TABLE = Path(__file__).parent.parent / "pgiostat" / "volume" / "instances.csv"


def answered() -> Mapping[str, Any]:
    """Return moto's copy of what EC2 answers, by instance type."""
    copy = files("moto").joinpath("ec2", "resources", "instance_types.json.gz")
    found: Mapping[str, Any] = json.loads(gzip.decompress(copy.read_bytes()))
    return found


def table(answer: Mapping[str, Any]) -> str:
    """Return the table without its header of comments, sorted by name."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_rows(answer))
    return out.getvalue()


def _rows(answer: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, told in sorted(answer.items()):
        limits = told["EbsInfo"].get("EbsOptimizedInfo")
        if limits is None:
            yield (name, "", "", "", "")
        else:
            yield (
                name,
                f"{limits['BaselineIops']:g}",
                f"{limits['BaselineThroughputInMBps']:.10g}",
                f"{limits['MaximumIops']:g}",
                f"{limits['MaximumThroughputInMBps']:.10g}",
            )


def header(moto: str, day: date) -> str:
    """Return the comments above the table: its source and date."""
    return (
        "# Limits of Amazon EC2 instance types on the way to their EBS volumes.\n"
        "# Source: DescribeInstanceTypes, EbsInfo.EbsOptimizedInfo, as moto"
        f" {moto} carries it.\n"
        f"# Date: {day.isoformat()}. Written by `make instances`: do not edit.\n"
        "# MB are 1,000,000 bytes. A name alone: EC2 publishes no limits of this type.\n"
    )


if __name__ == "__main__":
    TABLE.write_text(header(version("moto"), datetime.now(UTC).date()) + table(answered()), "utf-8")
