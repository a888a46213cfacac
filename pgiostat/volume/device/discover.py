"""Find the device of a server, and a source of its counters."""

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address

from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.redaction import may_hold_secret
from pgiostat.volume.device import rds
from pgiostat.volume.device.backend_process import BackendProcess, Whereabouts, find
from pgiostat.volume.device.diskstats import Diskstats, parse
from pgiostat.volume.device.interval import DeviceSource
from pgiostat.volume.device.mounts import NAME_IT, Host, holding, unknown

__all__ = ["AUTOMATIC", "ELSEWHERE", "NONE", "DeviceOption", "choose", "device_option"]

NONE = "none"
"""The value of an option that turns measuring off."""
ELSEWHERE = "device-elsewhere"
_MAX_NAME = 255


@dataclass(frozen=True, slots=True)
class DeviceOption:
    """A device's name and an RDS instance; each empty to find it, or "none"."""

    device: str = ""
    cloudwatch: str = ""

    @property
    def by_name(self) -> bool:
        """Whether the user named the device or the instance."""
        return any(word not in {"", NONE} for word in (self.device, self.cloudwatch))


AUTOMATIC = DeviceOption()


def device_option(device: str | None, cloudwatch: str | None) -> DeviceOption:
    """Return the option of two words from the command line or a file.

    Raises:
        PgiostatError: option-invalid.
    """
    device, cloudwatch = device or "", cloudwatch or ""
    # The log quotes the name of a device that is not there.
    is_strange = len(device) > _MAX_NAME or any(not each.isprintable() for each in device)
    if is_strange or may_hold_secret(device):
        raise _usage_error("invalid name of a device", 'Write it like "nvme0n1", or "none".')
    if cloudwatch not in {"", NONE}:
        rds.named(cloudwatch)
        if device not in {"", NONE}:
            raise _usage_error(
                "a device and an instance of CloudWatch were named for one server",
                "Name only one of them: both count the same reads.",
            )
    return DeviceOption(device, cloudwatch)


def choose(
    wanted: DeviceOption,
    there: Whereabouts | None,
    *,
    clock: Callable[[], float],
    host: Host | None = None,
) -> DeviceSource | None:
    """Return the source of a server's device counters.

    Args:
        there: Where the server runs; None if it did not answer.
        clock: Monotonic seconds.
        host: This machine, for tests.

    Returns:
        None if the user turned measuring off.

    Raises:
        PgiostatError: device-elsewhere if the server is on another machine without a source here;
            device-unknown, device-missing and aws-missing if the source cannot be used.
    """
    host = host or Host()
    if wanted.cloudwatch not in {"", NONE}:
        return _cloudwatch(rds.named(wanted.cloudwatch))
    if wanted.device not in {"", NONE}:
        return _by_name(wanted.device, clock, host)
    place = rds.by_host(there.host) if there is not None else None
    if place is not None and wanted.cloudwatch != NONE:
        return _cloudwatch(place)
    if NONE in {wanted.device, wanted.cloudwatch} and (place or wanted.device == NONE):
        return None
    if there is None:
        raise unknown("the server does not report where it runs")
    return _found(there, clock, host)


def _cloudwatch(place: rds.RdsPlace) -> DeviceSource:
    from pgiostat.volume.device.cloudwatch import CloudWatch  # noqa: PLC0415 - needs boto3

    return CloudWatch(place)


def _by_name(name: str, clock: Callable[[], float], host: Host) -> DeviceSource:
    number = host.named(name)
    if number is None:
        raise PgiostatError(
            f'there is no block device "{name}"',
            hint="lsblk lists the block devices.",
            slug="device-missing",
        )
    return _counted(number, "", clock, host)


def _found(there: Whereabouts, clock: Callable[[], float], host: Host) -> DeviceSource:
    """Return the counters of the device that holds the data directory of a server of this host."""
    process = find(there, host.proc)
    if process is None:
        if _is_here(there.host):
            raise unknown("the server's processes are not visible from here")
        raise _elsewhere()
    path, device = _directory(there, process, host)
    return _counted(holding(device, path, host.mounts(process.pid), host), path, clock, host)


def _elsewhere() -> PgiostatError:
    """Return the error for a server on another machine."""
    return PgiostatError("the server is on another machine", hint=NAME_IT, slug="device-elsewhere")


def _directory(there: Whereabouts, process: BackendProcess, host: Host) -> tuple[str, int]:
    """Return the data directory, as its processes see it, and its st_dev.

    It is the working directory of a server's processes: ChangeToDataDir (miscinit.c).  Only root
    and the server's own user may read that; others depend on the setting data_directory.
    """
    work = host.proc / str(process.pid) / "cwd"
    with suppress(OSError):
        return str(work.readlink()), host.stat(str(work)).st_dev
    if process.contained:
        raise unknown("the server is in a container, and its files are not visible from here")
    path = there.data_directory
    if path is None:
        raise unknown(
            "this role may not read data_directory",
            hint=f"GRANT pg_monitor to the role. {NAME_IT}",
        )
    try:
        found, owner = host.stat(path), host.stat(str(work.parent)).st_uid
    except OSError as error:
        raise unknown(f"could not read {path}: {error.strerror}") from None
    if found.st_uid != owner:
        raise unknown(f"{path} does not belong to the server's processes")
    return os.path.realpath(path), found.st_dev


def _counted(
    number: tuple[int, int], path: str, clock: Callable[[], float], host: Host
) -> Diskstats:
    """Return the counters of a device.

    Raises:
        PgiostatError: device-missing if it has none.
    """
    rows = parse((host.proc / "diskstats").read_text("ascii", "replace"))
    row = rows.get(number)
    if row is None:
        raise PgiostatError(
            f"device {number[0]}:{number[1]} has no row in /proc/diskstats", slug="device-missing"
        )
    mapped = host.mapped(number)
    name = f"{row.name} ({mapped})" if mapped else row.name
    what = f"{name} of {path}" if path else name
    return Diskstats(number, what, clock, path=host.proc / "diskstats")


def _is_here(host: str) -> bool:
    """Whether an address is one of this machine: then `find` should have found the server."""
    if not host or host.startswith(("/", "@")):
        return True
    if host == "localhost":
        return True
    try:
        address = ip_address(host)
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
    except (ValueError, OSError):
        return False
    return True


def _usage_error(message: str, hint: str) -> PgiostatError:
    return PgiostatError(message, hint=hint, slug="option-invalid", status=ExitStatus.USAGE)
