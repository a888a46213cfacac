"""The device of a server on this machine, found through its own processes."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from pgiostat.clock import monotonic
from pgiostat.errors import PgiostatError
from pgiostat.postgres.session import connect
from pgiostat.postgres.snapshot_reader import SnapshotReader
from pgiostat.volume.device.backend_process import BackendProcess, find
from pgiostat.volume.device.discover import AUTOMATIC, choose
from pgiostat.volume.device.diskstats import Diskstats, parse
from pgiostat.volume.device.mounts import Host, holding


@pytest.mark.once
def test_a_server_of_this_machine_is_known_by_the_process_that_answers(database: str) -> None:
    session = connect(database)
    try:
        there = SnapshotReader(session).whereabouts()
        assert there is not None
        assert find(there) == BackendProcess(there.pid, contained=False)
        row = session.conn.execute("SELECT pg_backend_pid(), current_setting('data_directory')")
        assert (there.pid, there.data_directory) == row.fetchone()
        for other in (
            replace(there, port=1),
            replace(there, user="nobody"),
            replace(there, database="other"),
            replace(there, backend_start=there.backend_start.replace(year=2025)),
            replace(there, pid=os.getpid()),
        ):
            assert find(other) is None
    finally:
        session.close()


@pytest.mark.once
def test_a_session_under_another_role_does_not_tell_where_it_is(database: str) -> None:
    session = connect(database)
    try:
        for statement in (
            "SET default_transaction_read_only = off",
            "CREATE ROLE pgiostat_device",
            "SET ROLE pgiostat_device",
        ):
            session.conn.execute(statement)
        assert SnapshotReader(session).whereabouts() is None
    finally:
        session.conn.execute("RESET ROLE")
        session.conn.execute("DROP ROLE pgiostat_device")
        session.close()


@pytest.mark.once
def test_its_data_directory_s_device_is_measured(database: str) -> None:
    session = connect(database)
    try:
        there = SnapshotReader(session).whereabouts()
        assert there is not None
        assert there.data_directory is not None
        device = Path(there.data_directory).stat().st_dev
        try:
            number = holding(device, there.data_directory, Host().mounts("self"), Host())
        except PgiostatError as error:
            pytest.skip(f"the data directory is on no block device: {error.message}")
        source = choose(AUTOMATIC, there, clock=monotonic)
        assert isinstance(source, Diskstats)
        assert source.number == number
        row = parse(Path("/proc/diskstats").read_text())[number]
        assert source.description == f"{row.name} of {there.data_directory}, by /proc/diskstats"
        assert source.poll() == []
        path = Path(there.data_directory) / "probe"
        with path.open("wb") as file:
            file.write(os.urandom(1 << 20))
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
        told = source.poll()
        assert [each.name for each in told] == [row.name]
        assert (told[0].write_bytes or 0) >= 1 << 20
    finally:
        session.close()
