"""A standby: it counts what it reads itself, and the ledger of it is its own."""

import json
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from pgiostat.analysis.rank import rank
from pgiostat.postgres.doctor import CheckState, verdict
from pgiostat.statistics.delta import Quality
from pgiostat.statistics.difference import diff
from pgiostat.statistics.names import Names
from tests.conftest import MakeServer
from tests.support.fixes import carried_out, examined, mended
from tests.support.program import pgiostat, watch_once
from tests.support.servers import ClusterServer
from tests.support.settling import quiet, settled
from tests.support.standbys import ROWS, standby_of
from tests.support.workloads import Connection, client, collecting

LEAST = ROWS // 16 - 2048
"""What a scan reads at least: all blocks but those that shared_buffers hold."""


@pytest.fixture
def standby(make_server: MakeServer, binaries: Path, tmp_path: Path) -> Iterator[ClusterServer]:
    """Yield a hot standby of a server with a table `big`, far larger than its buffers."""
    primary = make_server()
    assert isinstance(primary, ClusterServer)
    with standby_of(primary, binaries, tmp_path / "standby") as made:
        yield made


@pytest.mark.once
def test_a_standby_is_watched_examined_and_its_ledger_adds_up(standby: ClusterServer) -> None:
    with client(standby.dsn()) as reader:
        told = json.loads(pgiostat("doctor", standby.dsn(), "--format", "json").stdout)
        role = next(each for each in told["findings"] if each["aspect"] == "role")
        assert (role["state"], role["reason"]) == (
            "note", "standby: it counts its own reads, not those of the primary",
        )  # fmt: skip
        assert [each["aspect"] for each in told["findings"] if each["state"] == "error"] == []
        reader.execute("SELECT sum(client_id) FROM big")
    done = watch_once(standby.dsn(), "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    interval = json.loads(done.stdout.splitlines()[-1])
    assert interval["server"]["in_recovery"] is True


def test_a_scan_on_a_standby_is_its_own_and_goes_on_when_it_is_promoted(
    standby: ClusterServer,
) -> None:
    def scan() -> None:
        # A session that ends hands over what it counted.
        with client(standby.dsn()) as reader:
            reader.execute("SELECT sum(client_id) FROM big")

    with collecting(standby.dsn()) as collector:
        older = quiet(collector)
        scan()
        scanned = settled(collector, older, LEAST)
        ranking = rank([scanned], Names())
        assert ranking.explained.blocks >= LEAST
        assert ranking.server_blocks == ranking.explained.blocks + sum(
            line.blocks for line in ranking.lines
        )
        assert scanned.newer.markers.in_recovery

        with client(standby.dsn()) as other:
            assert other.execute("SELECT pg_promote()").fetchone() == (True,)
        before = collector.take()
        scan()
        promoted = settled(collector, before, LEAST)
        assert not promoted.newer.markers.in_recovery
        assert rank([promoted], Names()).explained.blocks >= LEAST
        # Nothing was counted anew: a promotion is no restart.
        whole = diff(older, promoted.newer)
        assert whole.qualities == (Quality.OK,)
        assert whole.statement_blocks == (
            scanned.statement_blocks
            + diff(scanned.newer, before).statement_blocks
            + promoted.statement_blocks
        )


@pytest.mark.once
def test_what_writes_is_to_be_run_on_the_primary_and_mends_the_standby(
    standby: ClusterServer,
) -> None:
    primary = str(standby.cluster.settings["primary_conninfo"]) + " dbname=postgres"
    with client(primary) as writer:
        writer.execute("ALTER ROLE postgres SET track_io_timing = off")
        writer.execute("DROP EXTENSION pg_stat_statements")
        replayed(standby, writer)
        mends = {each.aspect: each.fix for each in examined(standby.dsn()) if each.fix}
        assert mends.pop("privileges").endswith("-- on the primary")  # we are a superuser
        assert mends == {
            "extension": "CREATE EXTENSION pg_stat_statements; -- on the primary",
            "track_io_timing": 'ALTER ROLE "postgres" RESET track_io_timing; -- on the primary',
        }
        for mend in mends.values():
            writer.execute(mend.encode())
        replayed(standby, writer)
    assert verdict(examined(standby.dsn())) == "ready, with 1 warning: privileges"


def replayed(standby: ClusterServer, writer: Connection) -> None:
    """Wait until a standby has what its primary has written."""
    there = writer.execute("SELECT pg_current_wal_lsn()").fetchone()
    asked = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
    with client(standby.dsn()) as reader:
        while reader.execute(asked, there).fetchone() != (True,):
            Event().wait(0.02)


@pytest.mark.once
def test_settings_are_a_standbys_own(standby: ClusterServer) -> None:
    with client(standby.dsn()) as other:
        other.execute("ALTER SYSTEM SET track_io_timing = off")
    carried_out(standby, "SELECT pg_reload_conf();")
    assert mended(standby, "track_io_timing").state is CheckState.OK
