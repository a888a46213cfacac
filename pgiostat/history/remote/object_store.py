"""A place in an object store, or a directory, to which whole files are uploaded."""

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from pathlib import Path, PurePosixPath
from urllib.parse import SplitResult, parse_qsl, urlsplit

import pyarrow as pa
from pyarrow import fs

from pgiostat.errors import PgiostatError
from pgiostat.history.format.durable_io import Disk
from pgiostat.history.format.filesystem import UnsafeFileError, listed, read_small
from pgiostat.uris import check, shown, without

__all__ = ["MOST_BYTES", "Digest", "ObjectStore", "digest_of", "reaching"]

CONNECT_SECONDS, REQUEST_SECONDS = 5, 60
ATTEMPTS = 3
GCS_SECONDS = 15
MOST_BYTES = 2 << 30
"""Size of an uploaded file: it is held in memory, and no compacted file is half as large."""
_S3_PARAMETERS = ("endpoint_override", "region", "scheme")
_GCS_PARAMETERS = ("endpoint_override", "scheme")
_FLAT = ("s3", "gcs", "abfs", "subtree-s3")
"""Stores without directories: to make one would leave an object of that name."""


@dataclass(frozen=True, slots=True)
class Digest:
    """What a file is: its bytes, and their SHA-256."""

    size: int
    sha256: str


def digest_of(content: bytes | memoryview) -> Digest:
    """Return what some bytes are.

    >>> digest_of(b"")
    Digest(size=0, sha256='e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
    """
    return Digest(len(content), sha256(content).hexdigest())


@contextlib.contextmanager
def reaching(uri: str) -> Iterator[None]:
    """Say in our words that a store does not answer, or refuses."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        lines = str(error).splitlines()
        raise PgiostatError(
            f'could not reach "{shown(uri)}"',
            detail=without(lines[0], uri) if lines else type(error).__name__,
            hint="Check the URI (s3://bucket/path, gs:// or abfs://) and the credentials.",
            slug="store-unreachable",
        ) from None


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """A directory below a URI. All operations raise PgiostatError store-unreachable.

    uri: as it is shown, without parameters.  base: what its file system calls it.  full_uri:
    with them.
    """

    uri: str
    filesystem: fs.FileSystem
    base: PurePosixPath
    full_uri: str = field(repr=False)

    @classmethod
    def of(cls, uri: str) -> "ObjectStore":
        """Return the place of a URI; raises PgiostatError option-invalid as uris.check does."""
        check(uri)
        with reaching(uri):
            if uri.startswith("s3://"):
                filesystem, base = _s3(uri)
            elif uri.startswith(("gs://", "gcs://")):
                filesystem, base = _gcs(uri)
            else:
                filesystem, base = fs.FileSystem.from_uri(uri)
        return cls(shown(uri).rstrip("/"), filesystem, PurePosixPath(base), uri)

    @property
    def directory(self) -> Path | None:
        """Where it is on this machine; None if it is not."""
        return Path(self.base) if isinstance(self.filesystem, fs.LocalFileSystem) else None

    def sizes(self, directory: str = "") -> dict[str, int]:
        """Return the size of each file below a directory of it, by its path from here.

        What is not a regular file is left out: nobody follows a symbolic link there.
        """
        if self.directory is not None:
            with reaching(self.full_uri):
                return dict(_sizes(self.directory, PurePosixPath(directory)))
        selector = fs.FileSelector(str(self.base / directory), recursive=True, allow_not_found=True)
        with reaching(self.full_uri):
            infos = self.filesystem.get_file_info(selector)
        return {
            str(PurePosixPath(info.path).relative_to(self.base)): info.size
            for info in infos
            if info.type == fs.FileType.File
        }

    def read(self, path: str, limit: int = MOST_BYTES) -> bytes | None:
        """Return the content of a file up to a size; None if there is no such file."""
        with reaching(self.full_uri):
            try:
                if self.directory is not None:
                    return read_small(self.directory / path, limit, root=self.directory)
                with self.filesystem.open_input_stream(str(self.base / path)) as file:
                    content: bytes = file.read(limit + 1)
            except FileNotFoundError:
                return None
            if len(content) > limit:
                raise ValueError(f"{path} has more than {limit:,} bytes")
            return content

    def put_verified(self, content: bytes, path: str, draft: str) -> None:
        """Write a file whole, by way of a draft; raises OSError if what arrived is not the same.

        In place nobody could cut it short safely: a stream that is closed because of an error
        completes an upload, and half a file would be one.
        """
        with reaching(self.full_uri):
            if self.directory is not None:
                self._put_verified_local(self.directory, content, path, draft)
                return
            self._make(draft)
            with self.filesystem.open_output_stream(str(self.base / draft)) as file:
                file.write(content)
            self._verify(draft, content)
            self._make(path)
            self.filesystem.move(str(self.base / draft), str(self.base / path))

    def _put_verified_local(self, directory: Path, content: bytes, path: str, draft: str) -> None:
        """Write a file of this machine, and wait until it is on the medium with its name.

        Raises:
            PgiostatError: store-unwritable; nothing of the draft is left.
        """
        disk = Disk().below(directory)
        try:
            for name in (draft, path):
                disk.make((directory / name).parent)
            disk.write(directory / draft, content)
            self._verify(draft, content)
            disk.publish(directory / draft, directory / path)
            disk.sync((directory / path).parent)
            disk.sync((directory / draft).parent)
        except UnsafeFileError:
            raise  # somebody else's
        except OSError as error:
            # A full disk has no room for half a file.
            with contextlib.suppress(OSError):
                disk.remove(directory / draft)
            raise PgiostatError(
                f'could not write to "{self.uri}": {error.strerror or error}',
                hint="What was uploaded stays there; the next run continues.",
                slug="store-unwritable",
            ) from None

    def _verify(self, draft: str, content: bytes) -> None:
        if self.read(draft, len(content)) != content:
            raise OSError(f"the content of {draft} differs from what was sent")

    def remove(self, path: str) -> None:
        """Remove a file, if it is there."""
        with reaching(self.full_uri), contextlib.suppress(FileNotFoundError):
            if self.directory is not None:
                Disk().below(self.directory).remove(self.directory / path)
            else:
                self.filesystem.delete_file(str(self.base / path))

    def _make(self, path: str) -> None:
        if self.filesystem.type_name not in _FLAT:
            self.filesystem.create_dir(str((self.base / path).parent), recursive=True)


def _sizes(root: Path, inner: PurePosixPath, depth: int = 4) -> Iterator[tuple[str, int]]:
    """Yield regular files below a directory, with their sizes."""
    for name, kind in listed(root / inner, root):
        if kind == stat.S_IFREG:
            with contextlib.suppress(FileNotFoundError):
                yield str(inner / name), os.lstat(root / inner / name).st_size
        elif kind == stat.S_IFDIR and depth:
            yield from _sizes(root, inner / name, depth - 1)


def _parse(uri: str, allowed: Sequence[str]) -> tuple[SplitResult, dict[str, str]]:
    """Return the parts of a URI, and its parameters.  Raises ValueError for one there is not."""
    parts = urlsplit(uri)
    parameters = dict(parse_qsl(parts.query, keep_blank_values=True))
    # The message omits the parameter: any part of a signed URI may be secret.
    if parameters.keys() - set(allowed):
        raise ValueError(
            f"there is a parameter that is not allowed; allowed are {', '.join(allowed)}"
        )
    if "@" in parameters.get("endpoint_override", ""):
        raise ValueError("there is a user or a password in endpoint_override")
    return parts, parameters


def _gcs(uri: str) -> tuple[fs.FileSystem, str]:
    """Return what reads a gs:// URI, and its path; Arrow's own tries for a quarter of an hour."""
    parts, parameters = _parse(uri, _GCS_PARAMETERS)
    filesystem = fs.GcsFileSystem(
        **parameters,
        anonymous=parts.username == "anonymous",  # as in Arrow's own URIs
        retry_time_limit=timedelta(seconds=GCS_SECONDS),
    )
    return filesystem, f"{parts.hostname}{parts.path}".rstrip("/")


def _s3(uri: str) -> tuple[fs.FileSystem, str]:
    """Return what reads an s3:// URI, and its path; Arrow's own is silent for minutes."""
    parts, parameters = _parse(uri, _S3_PARAMETERS)
    if "region" not in parameters and "endpoint_override" not in parameters and not _has_region():
        parameters["region"] = fs.resolve_s3_region(parts.netloc)
    filesystem = fs.S3FileSystem(
        **parameters,
        connect_timeout=CONNECT_SECONDS,
        request_timeout=REQUEST_SECONDS,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
    )
    return filesystem, f"{parts.netloc}{parts.path}".rstrip("/")


def _has_region() -> bool:
    return bool(os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"))
