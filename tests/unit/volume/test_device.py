"""What a device did, from what kernels wrote; and which device holds a directory."""

import os
import stat
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgiostat.errors import PgiostatError
from pgiostat.volume.device.backend_process import Whereabouts
from pgiostat.volume.device.discover import AUTOMATIC, DeviceOption, choose, device_option
from pgiostat.volume.device.diskstats import Counters, Diskstats, difference, parse
from pgiostat.volume.device.interval import Amount, DeviceInterval, DeviceTotal, Origin, totals
from pgiostat.volume.device.mounts import Host, holding, mounts
from pgiostat.volume.device.rds import RdsPlace, by_host, named
from tests.support.readings import at

LINUX_2_6_18 = """\
   8    0 sda 446216 784926 9550688 4382310 424847 312726 5922052 19310380 0 3376340 23705160
   8    1 sda1 35486 38030 38030 38030
"""
LINUX_4_4 = """\
 202       0 xvda 12056 9 370486 5936 22304 11350 719472 61320 0 14456 67256
 202       1 xvda1 12016 0 368110 5920 21262 11350 719472 61304 0 14436 67232
   9     127 md127 9120 0 1167232 0 301 0 2408 0 0 0 0
"""
LINUX_4_18 = """\
 253       0 dm-0 2178 0 129810 911 5001 0 40008 5120 0 1912 6031 0 0 0 0
"""
LINUX_6_18 = """\
 259       0 nvme0n1 255999 814 12369153 47919 996852 81 36123024 425995 0 301795 580470 \
0 0 0 0 60602 106555
 259       1 nvme0n1p1 492 813 17572 96 848 81 108288 210 0 76 307 0 0 0 0 0 0
 259       2 nvme0n1p2 255401 1 12343477 47799 996004 0 36014736 425784 0 344336 473584 \
0 0 0 0 0 0
"""


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        (LINUX_2_6_18, [Counters(8, 0, "sda", 446216, 9550688, 4382310, 424847, 5922052)]),
        (
            LINUX_4_4,
            [
                Counters(202, 0, "xvda", 12056, 370486, 5936, 22304, 719472),
                Counters(202, 1, "xvda1", 12016, 368110, 5920, 21262, 719472),
                Counters(9, 127, "md127", 9120, 1167232, 0, 301, 2408),
            ],
        ),
        (LINUX_4_18, [Counters(253, 0, "dm-0", 2178, 129810, 911, 5001, 40008)]),
        (
            LINUX_6_18,
            [
                Counters(259, 0, "nvme0n1", 255999, 12369153, 47919, 996852, 36123024),
                Counters(259, 1, "nvme0n1p1", 492, 17572, 96, 848, 108288),
                Counters(259, 2, "nvme0n1p2", 255401, 12343477, 47799, 996004, 36014736),
            ],
        ),
        ("", []),
    ],
)
def test_rows_of_diskstats_are_read_as_kernels_write_them(text: str, rows: list[Counters]) -> None:
    assert list(parse(text).values()) == rows


OLDER = Counters(259, 0, "nvme0n1", 100, 800, 50, 10, 80)


def test_what_happened_is_told_in_operations_bytes_and_microseconds() -> None:
    newer = Counters(259, 0, "nvme0n1", 160, 2000, 80, 12, 96)
    assert difference(OLDER, newer, at(0), 10.0) == DeviceInterval(
        begin=at(0), seconds=10.0, source=Origin.DISKSTATS, name="nvme0n1",
        reads=60, read_bytes=1200 * 512, writes=2, write_bytes=16 * 512, read_time=30_000,
    )  # fmt: skip


def test_milliseconds_that_wrapped_leave_the_time_unknown_and_nothing_else() -> None:
    told = difference(OLDER, replace(OLDER, reads=101, ms_reading=3), at(0), 10.0)
    assert told is not None
    assert (told.reads, told.read_time) == (1, None)


counts = st.integers(0, 2**33)


@given(*[st.lists(counts, min_size=5, max_size=5)] * 2, st.floats(0, 100))
def test_nothing_is_ever_negative(older: list[int], newer: list[int], seconds: float) -> None:
    told = difference(Counters(8, 0, "sda", *older), Counters(8, 0, "sda", *newer), at(0), seconds)
    down = any(newer[n] < older[n] for n in (0, 1, 3, 4))
    assert (told is None) == (down or not seconds)
    if told is not None:
        amounts = (told.reads, told.read_bytes, told.writes, told.write_bytes)
        assert amounts == tuple(
            (newer[n] - older[n]) * factor for n, factor in ((0, 1), (1, 512), (3, 1), (4, 512))
        )
        assert (told.read_time is None) == (newer[2] < older[2])
        assert told.read_time is None or told.read_time >= 0


def test_a_device_that_is_detached_and_back_leaves_a_gap(tmp_path: Path) -> None:
    path = tmp_path / "diskstats"
    clock, now = iter(range(0, 1000, 10)), iter(at(n) for n in range(0, 1000, 10))
    disk = Diskstats((259, 0), "nvme0n1", lambda: next(clock), lambda: next(now), path)

    def row(reads: int) -> None:
        path.write_text(f" 259 0 nvme0n1 {reads} 0 0 0 0 0 0 0 0 0 0\n")

    row(5)
    assert disk.poll() == []
    row(7)
    assert [(each.reads, each.seconds) for each in disk.poll()] == [(2, 10.0)]
    row(1)
    assert disk.poll() == []  # began anew: how much there was before cannot be told
    row(4)
    assert [each.reads for each in disk.poll()] == [3]
    path.write_text("")
    with pytest.raises(PgiostatError) as raised:
        disk.poll()
    assert raised.value.slug == "device-missing"
    row(9)
    assert disk.poll() == []
    row(10)
    assert [each.reads for each in disk.poll()] == [1]


# which device


@dataclass
class Machine:
    """A machine made of files, and of what stat tells there."""

    root: Path
    told: dict[str, Any] = field(default_factory=dict)

    @property
    def host(self) -> Host:
        return Host(self.root / "proc", self.root / "sys", self.stat)

    def stat(self, path: str) -> os.stat_result:
        found = self.told.get(path.removeprefix(str(self.root)))
        if found is None:
            raise PermissionError(13, "Permission denied")
        return cast("os.stat_result", found)

    def directory(self, path: str, device: tuple[int, int], uid: int = 26) -> int:
        number = os.makedev(*device)
        self.told[path] = SimpleNamespace(st_dev=number, st_uid=uid, st_mode=stat.S_IFDIR)
        return number

    def node(self, path: str, device: tuple[int, int]) -> None:
        self.told[path] = SimpleNamespace(st_rdev=os.makedev(*device), st_mode=stat.S_IFBLK)

    def disk(self, name: str, device: tuple[int, int], within: str = "", mapped: str = "") -> None:
        place = self.root / "sys" / "devices" / within / name
        self.write(place / "dev", f"{device[0]}:{device[1]}\n")
        if within:
            self.write(place / "partition", "2\n")
        if mapped:
            self.write(place / "dm" / "name", f"{mapped}\n")
        for link in (f"dev/block/{device[0]}:{device[1]}", f"class/block/{name}"):
            path = self.root / "sys" / link
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(place)

    def write(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def holding(self, device: tuple[int, int], path: str, mountinfo: str) -> tuple[int, int]:
        listed = mounts(mountinfo)
        return holding(self.directory(path, device), path, listed, self.host)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


ROOT_ON_XFS = "27 1 259:2 / / rw,relatime shared:1 - xfs /dev/nvme0n1p2 rw,attr2\n"
DATA = "/var/lib/postgresql/16/main"
ON_LVM = f"{ROOT_ON_XFS}61 27 253:3 / /var/lib/postgresql rw - ext4 /dev/mapper/vg-data rw\n"
ON_BTRFS = (
    "27 1 0:24 /@ / rw,noatime shared:1 - btrfs /dev/nvme0n1p2 rw,ssd,subvol=/@\n"
    "41 27 0:24 /@data /srv/pg\\040data rw shared:9 - btrfs /dev/sda rw,subvol=/@data\n"
)
OVERLAY = (
    "512 402 0:51 / / rw,relatime - overlay overlay"
    " rw,lowerdir=/var/lib/docker/l/A,upperdir=/var/lib/docker/b/diff,workdir=/w\n"
)
IN_CONTAINER = (
    f"{OVERLAY}530 512 259:2 /volumes/pg /var/lib/postgresql rw - xfs /dev/nvme0n1p2 rw\n"
)
ON_TMPFS = f"{ROOT_ON_XFS}70 27 0:33 / /var/lib/postgresql rw - tmpfs tmpfs rw\n"
ON_ZFS = f"{ROOT_ON_XFS}70 27 0:44 / /var/lib/postgresql rw - zfs tank/pg rw,xattr,noacl\n"
ON_NFS = f"{ROOT_ON_XFS}70 27 0:45 / /var/lib/postgresql rw - nfs4 10.0.0.9:/pg rw,vers=4.2\n"


def test_a_partition_s_disk_is_measured(machine: Machine) -> None:
    machine.disk("nvme0n1", (259, 0))
    machine.disk("nvme0n1p2", (259, 2), within="nvme0n1")
    assert machine.holding((259, 2), DATA, ROOT_ON_XFS) == (259, 0)


def test_a_volume_of_lvm_is_measured_itself(machine: Machine) -> None:
    machine.disk("dm-3", (253, 3), mapped="vg-data")
    assert machine.holding((253, 3), DATA, ON_LVM) == (253, 3)
    assert machine.host.named("vg-data") == (253, 3)
    assert machine.host.named("/dev/mapper/vg-data") == (253, 3)
    assert machine.host.mapped((253, 3)) == "vg-data"


def test_an_array_of_md_is_measured_itself(machine: Machine) -> None:
    machine.disk("md127", (9, 127))
    assert machine.holding((9, 127), DATA, ROOT_ON_XFS) == (9, 127)


def test_btrfs_is_looked_up_by_its_mount_for_subvolumes_have_numbers_of_their_own(
    machine: Machine,
) -> None:
    machine.disk("sda", (8, 0))
    machine.node("/dev/sda", (8, 0))
    assert machine.holding((0, 77), "/srv/pg data/main", ON_BTRFS) == (8, 0)
    machine.write(machine.root / "sys/fs/btrfs/u/devices/sda/dev", "8:0\n")
    assert machine.holding((0, 77), "/srv/pg data/main", ON_BTRFS) == (8, 0)
    machine.write(machine.root / "sys/fs/btrfs/u/devices/sdb/dev", "8:16\n")
    with pytest.raises(PgiostatError, match="is on btrfs of several devices"):
        machine.holding((0, 77), "/srv/pg data/main", ON_BTRFS)


def test_a_volume_of_a_container_is_one_of_the_machine(machine: Machine) -> None:
    machine.disk("nvme0n1", (259, 0))
    machine.disk("nvme0n1p2", (259, 2), within="nvme0n1")
    assert machine.holding((259, 2), DATA, IN_CONTAINER) == (259, 0)


def test_an_overlay_is_followed_to_where_it_is_written(machine: Machine) -> None:
    machine.disk("nvme0n1", (259, 0))
    with pytest.raises(PgiostatError, match="with layers that are not visible from here"):
        machine.holding((0, 51), DATA, OVERLAY)
    machine.directory("/var/lib/docker/b/diff", (259, 0))
    assert machine.holding((0, 51), DATA, OVERLAY) == (259, 0)


@pytest.mark.parametrize(
    ("device", "mountinfo", "message"),
    [
        ((0, 33), ON_TMPFS, f"{DATA} is on tmpfs, which has no block device of its own"),
        ((0, 44), ON_ZFS, f"{DATA} is on zfs, which has no block device of its own"),
        ((0, 45), ON_NFS, f"{DATA} is on nfs4, which has no block device of its own"),
        ((0, 99), ON_NFS, f"the mount of {DATA} is not visible from here"),
        ((0, 99), "", f"the mount of {DATA} is not visible from here"),
    ],
)
def test_what_has_no_device_is_said_and_not_guessed(
    machine: Machine, device: tuple[int, int], mountinfo: str, message: str
) -> None:
    with pytest.raises(PgiostatError) as raised:
        machine.holding(device, DATA, mountinfo)
    assert (raised.value.slug, raised.value.message) == ("device-unknown", message)


# through the server's process

BOOTED = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
THERE = Whereabouts(
    host="/run/postgresql", pid=812, backend_start=BOOTED + timedelta(seconds=100.4),
    user="pgiostat", database="app", port=None, data_directory=DATA,
)  # fmt: skip


def server(machine: Machine, pid: int = 812, within: int | None = None, who: str = "") -> Path:
    """Make a server's process, and the machine's tables of disks and mounts."""
    machine.disk("nvme0n1", (259, 0))
    machine.disk("nvme0n1p2", (259, 2), within="nvme0n1")
    proc = machine.root / "proc"
    machine.write(proc / "stat", f"cpu 1 2\nbtime {int(BOOTED.timestamp())}\n")
    machine.write(proc / "diskstats", LINUX_6_18)
    machine.write(proc / "self" / "mountinfo", ROOT_ON_XFS)
    place = proc / str(pid)
    title = who or "postgres: 16/main: pgiostat app [local] SELECT"
    machine.write(place / "cmdline", f"{title}\0\0")
    numbers = f"{pid}\t{within}" if within else f"{pid}"
    machine.write(place / "status", f"Name:\tpostgres\nNSpid:\t{numbers}\n")
    hertz = os.sysconf("SC_CLK_TCK")
    fields = " ".join(["S", "1", *["0"] * 17, str(100 * hertz), "0"])
    machine.write(place / "stat", f"{pid} (postgres: (x) y) {fields}\n")
    machine.directory(f"/proc/{pid}", (0, 5))
    return place


def chosen(machine: Machine, there: Whereabouts = THERE, wanted: DeviceOption = AUTOMATIC) -> str:
    source = choose(wanted, there, clock=lambda: 0.0, host=machine.host)
    return "" if source is None else source.description


def refused(machine: Machine, there: Whereabouts = THERE, wanted: DeviceOption = AUTOMATIC) -> str:
    with pytest.raises(PgiostatError) as raised:
        choose(wanted, there, clock=lambda: 0.0, host=machine.host)
    return f"{raised.value.slug}: {raised.value.message}"


def test_who_may_look_sees_where_the_process_works(machine: Machine) -> None:
    place = server(machine)
    (place / "cwd").symlink_to("/srv/pg/main")
    machine.directory("/proc/812/cwd", (259, 2))
    assert chosen(machine) == "nvme0n1 of /srv/pg/main, by /proc/diskstats"


def test_who_may_not_is_told_by_the_server_if_its_role_may_ask(machine: Machine) -> None:
    server(machine)
    why = refused(machine)
    assert why == f"device-unknown: could not read {DATA}: Permission denied"
    machine.directory(DATA, (259, 2), uid=0)
    why = refused(machine)
    assert why == f"device-unknown: {DATA} does not belong to the server's processes"
    machine.directory(DATA, (259, 2))
    assert chosen(machine) == f"nvme0n1 of {DATA}, by /proc/diskstats"
    why = refused(machine, replace(THERE, data_directory=None))
    assert why == "device-unknown: this role may not read data_directory"


def test_a_server_in_a_container_has_a_process_of_another_number_here(machine: Machine) -> None:
    place = server(machine, pid=90_210, within=812)
    why = "device-unknown: the server is in a container, and its files are not visible from here"
    assert refused(machine) == why
    (place / "cwd").symlink_to("/var/lib/postgresql/data")
    machine.directory("/proc/90210/cwd", (259, 2))
    machine.write(place / "mountinfo", IN_CONTAINER)
    assert chosen(machine) == "nvme0n1 of /var/lib/postgresql/data, by /proc/diskstats"


def test_a_server_that_is_elsewhere_is_not_taken_for_one_of_this_machine(machine: Machine) -> None:
    server(machine, who="postgres: pgiostat app 127.0.0.1(40112) idle")
    tunnel = replace(THERE, host="db.example", port=40_113)
    assert refused(machine, tunnel) == "device-elsewhere: the server is on another machine"
    here = "device-unknown: the server's processes are not visible from here"
    assert refused(machine, replace(tunnel, host="127.0.0.1")) == here
    assert refused(machine) == here


def test_a_device_that_is_named_is_measured_wherever_the_server_is(machine: Machine) -> None:
    server(machine)
    far = replace(THERE, host="db.example")
    assert chosen(machine, far, DeviceOption("nvme0n1p2")) == "nvme0n1p2, by /proc/diskstats"
    assert chosen(machine, far, DeviceOption("/dev/nvme0n1")) == "nvme0n1, by /proc/diskstats"
    why = 'device-missing: there is no block device "sdz"'
    assert refused(machine, far, DeviceOption("sdz")) == why
    machine.disk("loop9", (7, 9))
    why = "device-missing: device 7:9 has no row in /proc/diskstats"
    assert refused(machine, far, DeviceOption("loop9")) == why
    assert chosen(machine, THERE, DeviceOption("none")) == ""


# RDS


@pytest.mark.parametrize(
    ("host", "place"),
    [
        ("db-1.abc123.eu-west-1.rds.amazonaws.com", RdsPlace("eu-west-1", "db-1")),
        ("DB-1.abc123.EU-West-1.rds.amazonaws.com.", RdsPlace("eu-west-1", "db-1")),
        ("db-1.abc123.us-gov-west-1.rds.amazonaws.com", RdsPlace("us-gov-west-1", "db-1")),
        ("db-1.abc123.cn-north-1.rds.amazonaws.com.cn", RdsPlace("cn-north-1", "db-1")),
        ("db-1.abc123.rds.cn-north-1.amazonaws.com.cn", RdsPlace("cn-north-1", "db-1")),
        (
            "app.cluster-abc123.eu-west-1.rds.amazonaws.com",
            RdsPlace("eu-west-1", cluster="app", writer=True),
        ),
        (
            "app.cluster-ro-abc123.eu-west-1.rds.amazonaws.com",
            RdsPlace("eu-west-1", cluster="app"),
        ),
        ("any.cluster-custom-abc123.eu-west-1.rds.amazonaws.com", None),
        ("app.proxy-abc123.eu-west-1.rds.amazonaws.com", None),
        ("db-1.abc123.eu-west-1.rds.amazonaws.com.evil.example", None),
        ("db-1.example.com", None),
        ("10.0.0.1", None),
        ("", None),
    ],
)
def test_a_host_name_of_rds_tells_region_and_instance(host: str, place: RdsPlace | None) -> None:
    assert by_host(host) == place


def test_words_name_an_instance_too() -> None:
    assert named("eu-west-1/DB-1") == RdsPlace("eu-west-1", "db-1")
    endpoint = "app.cluster-abc123.eu-west-1.rds.amazonaws.com"
    assert named(endpoint) == RdsPlace("eu-west-1", cluster="app", writer=True)


@pytest.mark.parametrize(
    ("device", "cloudwatch", "message"),
    [
        (None, "db-1", 'invalid value for cloudwatch: "db-1"'),
        (None, "eu-west-1/", 'invalid value for cloudwatch: "eu-west-1/"'),
        ("a\x1b[2Jb", None, "invalid name of a device"),
        (
            "sda",
            "eu-west-1/db-1",
            "a device and an instance of CloudWatch were named for one server",
        ),
    ],
)
def test_words_that_name_nothing_are_refused(
    device: str | None, cloudwatch: str | None, message: str
) -> None:
    with pytest.raises(PgiostatError) as raised:
        device_option(device, cloudwatch)
    assert (raised.value.slug, raised.value.message) == ("option-invalid", message)


# added up


def told(seconds: float, reads: int | None = 600, **more: Any) -> DeviceInterval:
    given: dict[str, Any] = {
        "begin": at(seconds), "seconds": 60.0, "source": Origin.CLOUDWATCH, "name": "db-1",
    }  # fmt: skip
    return DeviceInterval(**given | {"reads": reads} | more)


def test_what_is_known_is_added_up_and_how_much_is_known_is_told() -> None:
    found = totals(
        [
            told(120, 300, read_bytes=8192, burst_balance=40.0),
            told(0, 600, burst_balance=90.0),
            told(60, None, burst_balance=30.0),
            told(-60, 9_999),
            told(240, 9_999),
            told(0, 70, source=Origin.DISKSTATS, name="sda", read_time=140_000),
            told(60, 30, source=Origin.DISKSTATS, name="sda"),
        ],
        at(0),
        at(240),
    )
    nothing = Amount()
    assert found == [
        DeviceTotal(
            source=Origin.CLOUDWATCH, name="db-1", known=0.5, reads=Amount(900, 120.0),
            read_bytes=Amount(8192, 60.0), writes=nothing, write_bytes=nothing, read_time=None,
            timed_reads=None, burst_balance=40.0, lowest_burst_balance=30.0, io_balance=None,
            byte_balance=None,
        ),
        DeviceTotal(
            source=Origin.DISKSTATS, name="sda", known=0.5, reads=Amount(100, 120.0),
            read_bytes=nothing, writes=nothing, write_bytes=nothing, read_time=140_000,
            timed_reads=70, burst_balance=None, lowest_burst_balance=None, io_balance=None,
            byte_balance=None,
        ),
    ]  # fmt: skip
    assert [each.reads.per_second for each in found] == [7.5, 100 / 120]
    assert [each.read_await_ms for each in found] == [None, 2.0]


def test_a_time_that_ends_after_the_window_counts_whole_and_is_known_within_it() -> None:
    (found,) = totals([told(30)], at(0), at(60))
    assert (found.reads, found.known) == (Amount(600, 60.0), 0.5)
    assert totals([], at(0), at(60)) == []
