"""A disk that fills up while the lab makes something: said as such, and nothing is left behind."""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event

import pytest

from pgiostat.errors import PgiostatError
from pgiostat.history.read.history import History
from pgiostat.lab.environment import Lab
from pgiostat.lab.experiments.run import EXPERIMENTS, HISTORY, Run, run_all
from pgiostat.lab.experiments.stage import Stage
from pgiostat.lab.postgres import disk_space
from pgiostat.lab.workload.schema import TABLES, DataSize
from tests.support.disks import small_disk

SMALL = DataSize(clients=4, rows=300, tables=("customer", "visit"))
WHOLE = DataSize(clients=4, rows=300, tables=(*TABLES, "note"))
LARGE = DataSize(clients=40, rows=1_000, payload=190)


@pytest.fixture
def unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the lab begin without asking how much room there is: others may take it meanwhile."""
    monkeypatch.setattr(disk_space, "require_space", lambda *_: None)


@contextmanager
def disk_of(megabytes: int) -> Iterator[Path]:
    """Yield a file system that the server's user may enter."""
    with tempfile.TemporaryDirectory(prefix="pgiostat-lab-") as directory:
        above = Path(directory)
        above.chmod(0o711)
        with small_disk(above / "disk", megabytes) as place:
            yield place


def fill(place: Path) -> Path:
    """Take all room that is left, and return the file that has it."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1_048_576, 4_096):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError as error:
                assert error.strerror == "No space left on device"  # noqa: PT017 - this alone
    return filler


def servers_below(place: Path) -> list[int]:
    """Return the processes whose command names a directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:  # it ended while we looked
            continue
        if os.fsencode(place) in command:
            found.append(int(process.name))
    return found


@pytest.mark.parametrize(
    ("megabytes", "size"),
    [(20, SMALL), (60, SMALL), (90, LARGE), (130, LARGE)],
    ids=["initdb", "its start", "WAL", "tables"],
)
@pytest.mark.usefixtures("unasked")
def test_what_an_environment_was_is_gone_when_there_is_no_room(
    megabytes: int, size: DataSize
) -> None:
    with disk_of(megabytes) as place:
        lab = Lab(place / "lab")
        with pytest.raises(PgiostatError) as raised:
            lab.up("prod", size)
        assert (raised.value.slug, raised.value.message, raised.value.hint) == (
            "disk-full",
            "there is not enough disk space for the data",
            "Free disk space, or set XDG_CACHE_HOME to a directory with more.",
        )
        assert raised.value.detail is not None
        assert re.search("No space left on device|wrote only", str(raised.value.detail))
        assert "\n" not in raised.value.detail
        assert list(lab.root.iterdir()) == []
        assert servers_below(place) == []


@pytest.mark.usefixtures("unasked")
def test_a_clone_without_room_leaves_the_other_as_it_was() -> None:
    with disk_of(130) as place:
        lab = Lab(place / "lab")
        prod = lab.up("prod", SMALL)
        filler = fill(place)
        try:
            with pytest.raises(PgiostatError) as raised:
                lab.clone("prod", "perf")
            assert raised.value.slug == "disk-full"
            assert [(each.name, each.is_running()) for each in lab.environments()] == [
                ("prod", True)
            ]
            assert not (lab.root / "perf").exists()
            filler.unlink()
            assert lab.clone("prod", "perf").is_running()
        finally:
            for each in lab.environments():
                lab.down(each.name, remove=True)
        assert not prod.place.exists()


@pytest.mark.usefixtures("unasked")
def test_experiments_end_when_there_is_no_room_and_begin_anew_when_there_is() -> None:
    with disk_of(250) as place:
        stage = Stage(place / "stage", WHOLE)
        stage.prepare()
        left: list[Path] = []

        def told(_name: str, share: float) -> None:
            if share > 0.1 and not left:
                left.append(fill(place))

        def run() -> list[Run]:
            return run_all(
                stage, place / "out", seconds=20.0, repeats=1, experiments=EXPERIMENTS[:1],
                progress=told, stop=Event(),
            )  # fmt: skip

        try:
            with pytest.raises(PgiostatError) as raised:
                run()
            # Whoever needs room first says so: the server or the history.
            assert raised.value.slug in {"disk-full", "history-unwritable"}
            assert "No space left on device" in str(raised.value) + str(raised.value.detail)
            assert servers_below(place) == []
            left[0].unlink()
            (done,) = run()
            with closing(History.open(place / "out" / HISTORY)) as history:
                (server,) = history.servers()
            # Nothing is left of what was cut short.
            assert (server.since, server.until) == (done.since, done.until)
        finally:
            stage.remove()


def test_what_was_said_of_a_full_disk_is_found(tmp_path: Path) -> None:
    said = "ready\nPANIC:  could not write: No space left on device\nended\n"
    found = disk_space.disk_full_error(said, tmp_path)
    assert found is not None
    assert found.detail == "PANIC:  could not write: No space left on device"
    assert disk_space.disk_full_error("LOG:  ended", tmp_path) is None


def test_a_log_that_had_no_room_to_say_so_is_not_needed() -> None:
    with disk_of(20) as place:
        assert disk_space.disk_full_error("LOG:  ended", place) is None
        fill(place)
        found = disk_space.disk_full_error("LOG:  ended", place)
    assert found is not None
    assert (found.slug, found.detail) == ("disk-full", f"{place}: No space left on device")
