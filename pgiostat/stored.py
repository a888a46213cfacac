"""Where files are that an engine reads: on this machine's file systems, or in an object store."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow.fs

__all__ = ["HERE", "Stored"]


@dataclass(frozen=True, slots=True)
class Stored:
    """Where the paths of a history lead.

    filesystem: what reads them; None for those of this machine.  scheme: how others name it.
    """

    filesystem: "pyarrow.fs.FileSystem | None" = None
    scheme: str = "file"

    @property
    def is_far(self) -> bool:
        """Whether files are not this machine's own."""
        return self.filesystem is not None

    def lacks(self, path: Path | None) -> bool:
        """Tell whether a file is not there any more."""
        if path is None:
            return False
        if self.filesystem is None:
            return not Path(path).exists()
        from pyarrow.fs import FileType  # noqa: PLC0415 - only for an object store

        kind = self.filesystem.get_file_info(str(path)).type
        return bool(kind == FileType.NotFound)

    def uri(self, path: Path) -> str:
        r"""Return a path as Hadoop's file systems name it, for Spark, which reads it as a pattern.

        >>> from pathlib import Path
        >>> Stored(scheme="s3").uri(Path("bucket/prod/stmt/a.parquet"))
        's3a://bucket/prod/stmt/a.parquet'
        >>> Stored().uri(Path("/var/lib/pg io/a.parquet"))
        'file:///var/lib/pg io/a.parquet'
        >>> print(Stored().uri(Path("/srv/[eu] {1}/a.parquet")))
        file:///srv/\[eu\] \{1\}/a.parquet
        """
        if self.scheme == "file":
            path = path.absolute()
        literal = re.sub(r"([\[\]{}*?\\,])", r"\\\1", str(path))
        return f"{_HADOOP.get(self.scheme, self.scheme)}://{literal}"


_HADOOP = {"s3": "s3a", "gcs": "gs"}

HERE = Stored()
