"""Find the block device of a directory, without guessing.

Sources: proc_pid_mountinfo(5), Documentation/ABI/stable/sysfs-block.
"""

import os
import re
import stat as modes
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pgiostat.errors import PgiostatError

__all__ = ["Host", "Mount", "holding", "mounts", "unknown"]

Number = tuple[int, int]
"""Major and minor number."""

NAME_IT = 'Name the device with --device, or in the file: device = "nvme0n1".'
_ESCAPED = re.compile(r"\\([0-7]{3})")
_MAX_OVERLAYS = 4
"""Overlays upon each other that are followed."""


def unknown(message: str, detail: str | None = None, hint: str | None = NAME_IT) -> PgiostatError:
    """Return the error for a device that cannot be determined."""
    return PgiostatError(message, detail=detail, hint=hint, slug="device-unknown")


@dataclass(frozen=True, slots=True)
class Mount:
    """A line of mountinfo."""

    number: Number
    point: str
    kind: str
    source: str
    options: tuple[str, ...]

    def holds(self, path: str) -> bool:
        """Whether a path is below it, by names alone."""
        return PurePosixPath(path).is_relative_to(self.point)


@dataclass(frozen=True, slots=True)
class Host:
    """This machine; proc, sys, stat: for tests."""

    proc: Path = Path("/proc")
    sys: Path = Path("/sys")
    stat: Callable[[str], os.stat_result] = field(default=os.stat)

    def mounts(self, pid: int | str) -> list[Mount]:
        """Return the mounts of a process, or ours if we may not read them."""
        for process in (str(pid), "self"):
            with suppress(OSError):
                return mounts((self.proc / process / "mountinfo").read_text("utf-8", "replace"))
        return []

    def whole(self, number: Number) -> Number:
        """Return the disk of a partition, and any other device unchanged.

        A volume's limits and credits are those of the disk.
        """
        place = self.sys / "dev" / "block" / f"{number[0]}:{number[1]}"
        if not (place / "partition").exists():
            return number
        return _numbers((place.resolve().parent / "dev").read_text("ascii")) or number

    def mapped(self, number: Number) -> str:
        """Return the device mapper's name of a device; empty for other devices."""
        path = self.sys / "dev" / "block" / f"{number[0]}:{number[1]}" / "dm" / "name"
        return path.read_text("utf-8", "replace").strip() if path.exists() else ""

    def named(self, name: str) -> Number | None:
        """Return the number of a device named as sda, /dev/sda, vg-data or /dev/mapper/vg-data."""
        path = name if name.startswith("/") else f"/dev/{name}"
        try:
            found = self.stat(path)
        except OSError:
            pass
        else:
            if modes.S_ISBLK(found.st_mode):
                return os.major(found.st_rdev), os.minor(found.st_rdev)
        # A service may see no devices: systemd.exec(5), PrivateDevices.
        bare = name.rpartition("/")[2]
        there = self.sys / "class" / "block"
        if (there / bare / "dev").exists():
            return _numbers((there / bare / "dev").read_text("ascii"))
        for mapped in there.glob("dm-*/dm/name"):
            if mapped.read_text("utf-8", "replace").strip() == bare:
                return _numbers((mapped.parent.parent / "dev").read_text("ascii"))
        return None

    def members(self, number: Number) -> int:
        """Return the number of devices of a device's btrfs; 1 for any other device."""
        for devices in (self.sys / "fs" / "btrfs").glob("*/devices"):
            listed = list(devices.iterdir())
            if any(_numbers((each / "dev").read_text("ascii")) == number for each in listed):
                return len(listed)
        return 1


def _numbers(text: str) -> Number | None:
    found = re.fullmatch(r"(\d+):(\d+)", text.strip())
    return (int(found[1]), int(found[2])) if found else None


def mounts(text: str) -> list[Mount]:
    """Return the lines of a mountinfo, in their order."""
    found = []
    for line in text.splitlines():
        mine, dash, theirs = line.partition(" - ")
        parts, rest = mine.split(), theirs.split()
        number = _numbers(parts[2]) if len(parts) > 4 else None  # noqa: PLR2004 - the mount point
        if dash and number is not None and len(rest) > 1:
            options = tuple(rest[2].split(",")) if len(rest) > 2 else ()  # noqa: PLR2004
            found.append(Mount(number, _plain(parts[4]), rest[0], _plain(rest[1]), options))
    return found


def _plain(text: str) -> str:
    r"""Return a name without the escapes of mountinfo: a space is \040 there."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)), text)


def holding(device: int, path: str, listed: Sequence[Mount], host: Host) -> Number:
    """Return the block device of a directory, the disk of a partition.

    Args:
        device: The directory's st_dev.
        path: The directory, in the mount namespace of the listed mounts.

    Raises:
        PgiostatError: device-unknown.
    """
    return host.whole(_holding(device, path, listed, host, _MAX_OVERLAYS))


def _holding(device: int, path: str, listed: Sequence[Mount], host: Host, depth: int) -> Number:
    number = os.major(device), os.minor(device)
    if number[0]:
        return number
    # Numbers 0:N are the kernel's own, for anything but a single block device.
    mount = _mount(number, path, listed)
    if mount is None:
        raise unknown(f"the mount of {path} is not visible from here")
    if mount.kind == "overlay" and depth:
        return _below(mount, path, host, depth - 1)
    there = host.named(mount.source) if mount.source.startswith("/") else None
    if there is None:
        raise unknown(f"{path} is on {mount.kind}, which has no block device of its own")
    if host.members(there) > 1:
        raise unknown(f"{path} is on {mount.kind} of several devices")
    return there


def _mount(number: Number, path: str, listed: Sequence[Mount]) -> Mount | None:
    """Return the mount of a path; the later hides the earlier.

    Subvolumes of btrfs have numbers that no mount has.
    """
    above = [mount for mount in listed if mount.holds(path)]
    nearest = max(reversed(above), key=lambda mount: len(mount.point), default=None)
    if nearest is None or (nearest.number != number and nearest.kind != "btrfs"):
        return None
    return nearest


def _below(mount: Mount, path: str, host: Host, depth: int) -> Number:
    """Return the device of an overlay's upper directory, where all writes go."""
    upper = next(
        (option.partition("=")[2] for option in mount.options if option.startswith("upperdir=")), ""
    )
    try:
        device = host.stat(upper).st_dev if upper else 0
    except OSError:
        device = 0
    if not device:
        raise unknown(f"{path} is on an overlay with layers that are not visible from here")
    # Its path is one of this machine, in whatever namespace it was mounted.
    return _holding(device, upper, host.mounts("self"), host, depth)
