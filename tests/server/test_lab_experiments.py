"""The investigation: its outcomes, the same each time, and as auto_explain saw it."""

import json
import re
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import pytest

from pgiostat.analysis.rank import By, rank_totals
from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.history.read.history import History
from pgiostat.history.read.windows import Window
from pgiostat.lab.environment import SIZE
from pgiostat.lab.experiments.hypotheses import story
from pgiostat.lab.experiments.outcome import Outcome
from pgiostat.lab.experiments.results import outcomes
from pgiostat.lab.experiments.run import (
    EXPERIMENTS,
    HISTORY,
    RUNS,
    Run,
    forget,
    measure,
    read_runs,
    run_all,
    trace_of,
)
from pgiostat.lab.experiments.stage import Stage
from pgiostat.queries.describe import uncategorized
from pgiostat.volume.models import volume_of
from tests.support.program import pgiostat

pytestmark = pytest.mark.long

SECONDS = 80.0
BEGAN = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
LOGGED: dict[str, str | int | bool] = {
    "shared_preload_libraries": "pg_stat_statements,auto_explain",
    "auto_explain.log_min_duration": 0,
    "auto_explain.log_analyze": True,
    "auto_explain.log_buffers": True,
    "auto_explain.log_timing": False,
    "auto_explain.log_verbose": True,  # tells the identifier
    "auto_explain.log_format": "json",
    "log_min_messages": "log",
}


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """Yield a directory that the server's user may enter; what is made in it is removed."""
    root = Path(tempfile.mkdtemp(prefix="pgiostat-lab-"))
    root.chmod(0o711)
    yield root
    for path in sorted(root.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    root.rmdir()


@pytest.fixture(scope="module")
def stage(place: Path) -> Iterator[Stage]:
    made = Stage(place / "stage", SIZE)
    made.prepare()
    yield made
    made.remove()


def run(stage: Stage, out: Path, name: str = "baseline", warm_up: float = 0.25) -> Run:
    """Run an experiment once."""
    experiment = next(each for each in EXPERIMENTS if each.name == name)
    trace = trace_of(1, SECONDS, SIZE)
    with stage.fresh() as dsns:
        return measure(
            experiment, trace, dsns, out,
            repeat=0, began=BEGAN, progress=lambda _share: None, stop=Event(), warm_up=warm_up,
        )  # fmt: skip


def counted(out: Path, told: Run) -> dict[str, tuple[int, int, int]]:
    """Return calls, rows and blocks read of each statement of a run, by its text."""
    with closing(History.open(out / HISTORY)) as history:
        window = Window(told.since, told.until, told.experiment)
        frame = history.totals(window, By.STATEMENT)
        names = history.names(uncategorized)
        found: dict[str, tuple[int, int, int]] = {}
        for whose, each in frame.counted.items():
            for row in rank_totals([(each, names[whose])], by=By.STATEMENT).rows:
                found[row.text] = (row.cost.calls or 0, row.cost.rows or 0, row.cost.blocks)
    return found


def test_the_same_trace_gives_the_same_statements_calls_rows_and_nearly_the_same_blocks(
    stage: Stage, tmp_path: Path
) -> None:
    first, second = (counted(tmp_path / n, run(stage, tmp_path / n)) for n in "ab")
    assert first.keys() == second.keys()
    assert any("max(row_version)" in text for text in first)
    for text, (calls, rows, _) in first.items():
        assert second[text][:2] == (calls, rows), text
    a, b = (sum(blocks for *_, blocks in each.values()) for each in (first, second))
    assert a > 10_000
    assert abs(a - b) <= 0.01 * a


def test_blocks_are_those_that_auto_explain_logged(place: Path, tmp_path: Path) -> None:
    stage = Stage(place / "logged", replace(SIZE, clients=20, rows=500), settings=LOGGED)
    stage.prepare()
    experiment = next(each for each in EXPERIMENTS if each.name == "cache_invalidate")
    trace = trace_of(1, 40.0, stage.size)
    try:
        with stage.fresh() as dsns:
            told = measure(
                experiment, trace, dsns, tmp_path,
                repeat=0, began=BEGAN, progress=lambda _share: None, stop=Event(), warm_up=0.0,
            )  # fmt: skip
            log = stage.log.read_text("utf-8")
    finally:
        stage.remove()
    logged: dict[int, Counter[str]] = defaultdict(Counter)
    for plan in re.findall(r"plan:\n\t(\{.*?\n\t\})", log, re.DOTALL):
        found = json.loads(plan.replace("\n\t", "\n"))
        node = found["Plan"]
        logged[found["Query Identifier"]].update(
            calls=1, read=node["Shared Read Blocks"], hit=node["Shared Hit Blocks"]
        )
    with closing(History.open(tmp_path / HISTORY)) as history:
        seen = history.totals(Window(told.since, told.until, told.experiment), By.STATEMENT)
        ((whose, each),) = seen.counted.items()
        names = history.names(uncategorized)[whose]
        rows = rank_totals([(each, names)], by=By.STATEMENT).rows
    compared = 0
    for row in rows:
        if "flush" in row.text or row.user != "sync_api":
            continue
        assert row.queryid in logged or not row.cost.blocks, row.text
        if row.queryid in logged:
            seen_by = logged[row.queryid]
            assert (row.cost.calls, row.cost.blocks, row.cost.shared_blks_hit) == (
                seen_by["calls"], seen_by["read"], seen_by["hit"],
            ), row.text  # fmt: skip
            compared += row.cost.blocks
    assert compared > 1_000


@pytest.fixture(scope="module")
def investigated(stage: Stage, place: Path) -> Path:
    """Return where all experiments were measured."""
    out = place / "out"
    told: list[tuple[str, float]] = []
    run_all(stage, out, seconds=SECONDS, repeats=1, progress=lambda *what: told.append(what))
    assert [share for _, share in told] == sorted(share for _, share in told)
    assert told[-1] == ("both", 1.0)
    return out


@pytest.fixture(scope="module")
def found(investigated: Path) -> dict[str, Outcome]:
    return {each.name: each for each in outcomes(investigated, volume_of("gp2:80"))}


def test_the_story_comes_out_as_it_was(found: dict[str, Outcome]) -> None:
    assert list(found) == [each.name for each in EXPERIMENTS]
    baseline = found["baseline"]
    shares = {name: n / baseline.blocks_per_s for name, n in baseline.by_category.items()}
    # Version queries cost most, then manifests, and both far more than uploads.
    assert shares["version"] > 0.5 > shares["manifest"] > 0.2
    assert shares["upload"] < 0.01
    changes = {name: each.change or 0.0 for name, each in found.items()}
    # Uploads alone read a small fraction.
    assert changes["uploads_alone"] < -0.95
    # The cache alone lowers reads much, and does not end them: the manifests now pay.
    assert -0.5 < changes["cache_update"] < -0.15
    assert found["cache_update"].by_category["manifest"] > 1.5 * baseline.by_category["manifest"]
    # To fill it on demand saves less than to keep it.
    assert changes["cache_update"] < changes["cache_invalidate"] < -0.05
    # The skip fix alone lowers them a little; both together most of what is no switching off.
    assert -0.25 < changes["skip_fixed"] < -0.02
    assert changes["both"] == min(
        changes[name] for name in ("both", "cache_update", "cache_invalidate", "skip_fixed")
    )
    # A table more, of six: more than in proportion, because less of all fits.
    assert changes["table_added"] > 1 / 6
    # What version queries read first, manifests read instead.
    displaced = found["version_off"].displaced
    assert displaced is not None
    assert displaced > 0.3 * baseline.by_category["version"]


def test_points_of_the_story_that_do_not_hold_are_told(found: dict[str, Outcome]) -> None:
    assert [point.holds for point in story([*found.values()])] == [True] * 6
    turned = {
        name: replace(
            each,
            change=None
            if each.change is None
            else {"both": 0.2, "cache_update": -0.05}.get(name, 0.1),
            by_category={"manifest": 5.0, "version": 3.0, "upload": 4.0},
        )
        for name, each in found.items()
    }
    missed = [point for point in story([*turned.values()]) if not point.holds]
    assert len(missed) == 6
    assert missed[0].sentence == "version queries read most, and manifest queries second most"
    # What was not run is not judged.
    assert len(story([found["baseline"], found["skip_fixed"]])) == 2


def test_whatif_holds_what_was_measured(found: dict[str, Outcome]) -> None:
    held = {name: each.held for name, each in found.items()}
    assert held == {name: None if name == "baseline" else True for name in held}
    for name, each in found.items():
        if name != "baseline":
            assert all(0 < (imagined.width or 0) <= 1 for imagined in each.imagined), name


def test_the_table_is_made_again_from_the_history(investigated: Path) -> None:
    text = pgiostat("lab", "report", "--out", str(investigated), COLUMNS="120").stdout
    lines = text.splitlines()
    assert lines[0].startswith("most costly: version ")
    assert "the range of whatif held in 8 of 8 experiments" in lines
    assert "the story holds in 6 of 6 points" in lines
    headings = next(line for line in lines if line.startswith("experiment"))
    assert "gp2:80, a day" in headings
    narrow = pgiostat("lab", "report", "--out", str(investigated), COLUMNS="80").stdout
    assert max(map(len, narrow.splitlines())) <= 80
    words, all_words = (set(each.replace(";", "").split()) for each in (narrow, text))
    assert all_words <= words
    judged = pgiostat("lab", "report", "--out", str(investigated), "--check")
    assert (judged.returncode, judged.stderr) == (0, "")
    told = pgiostat("lab", "report", "--out", str(investigated), "--format", "json").stdout
    rows = [json.loads(line) for line in told.splitlines()]
    assert [row["experiment"] for row in rows] == [each.name for each in EXPERIMENTS]
    assert rows[0]["change"] is None
    assert all(row["whatif_held"] for row in rows[1:])
    for form, first in (("csv", "experiment,what,"), ("markdown", "- most costly: ")):
        told = pgiostat("lab", "report", "--out", str(investigated), "--format", form).stdout
        assert told.startswith(first)
    assert len(read_runs(investigated)) == len(EXPERIMENTS)


def test_what_was_written_of_runs_may_be_cut_short_or_damaged(
    investigated: Path, tmp_path: Path
) -> None:
    whole = (investigated / RUNS).read_text("utf-8")
    (tmp_path / RUNS).write_text(whole[:-20], "utf-8")
    assert read_runs(tmp_path) == read_runs(investigated)[:-1]
    first, _, rest = whole.partition("\n")
    for content, slug in ((f"{first[:-9]}\n{rest}", "lab-unreadable"), (rest, "lab-empty")):
        (tmp_path / RUNS).write_text(content, "utf-8")
        with pytest.raises(PgiostatError) as raised:
            read_runs(tmp_path)
        assert raised.value.slug == slug


def test_what_was_measured_stays_until_it_can_be_measured_again(
    investigated: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(investigated, out)
    before = read_runs(out)
    asked = ("lab", "run", "--again", "--out", str(out))
    for dsn, slug in (
        ("host=/nowhere", "could not connect"),
        ("host=x;port=1", "invalid connection"),
    ):
        done = pgiostat(*asked, "--dsn", dsn, XDG_CACHE_HOME=str(tmp_path))
        assert done.returncode in {ExitStatus.ERROR, ExitStatus.USAGE}
        assert slug in done.stderr.splitlines()[0]
        assert read_runs(out) == before
    for words in (("--repeats", "0"), ("--seconds", "0")):
        done = pgiostat(*asked, *words, XDG_CACHE_HOME=str(tmp_path))
        assert done.returncode == ExitStatus.USAGE
        assert done.stderr.startswith(f"pgiostat: error: invalid value for {words[0]}: ")


def test_two_do_not_take_place_at_once(stage: Stage, place: Path) -> None:
    with (
        stage.alone(),
        pytest.raises(PgiostatError) as raised,
        Stage(place / "stage", SIZE).alone(),
    ):
        pass
    assert raised.value.slug == "lab-running"
    with stage.alone():
        pass


@pytest.mark.once
def test_two_do_not_take_place_in_one_database(database: str, tmp_path: Path) -> None:
    first, second = (Stage(tmp_path, SIZE, database) for _ in range(2))
    with first.alone(), pytest.raises(PgiostatError) as raised, second.alone():
        pass
    assert raised.value.slug == "lab-running"
    with second.alone():
        pass


def test_what_was_measured_is_not_measured_over(stage: Stage, investigated: Path) -> None:
    with pytest.raises(PgiostatError) as raised:
        run_all(stage, investigated, seconds=SECONDS, repeats=1)
    assert raised.value.slug == "lab-exists"


def test_a_stop_ends_the_experiments_and_their_server(stage: Stage, tmp_path: Path) -> None:
    stop = Event()

    def told(_name: str, share: float) -> None:
        if share > 0.02:
            stop.set()

    with pytest.raises(PgiostatError) as raised:
        run_all(stage, tmp_path / "out", seconds=SECONDS, repeats=1, progress=told, stop=stop)
    assert raised.value.slug == "lab-stopped"
    assert not stage.log.exists()
    with pytest.raises(PgiostatError) as raised:
        read_runs(tmp_path / "out")
    assert raised.value.slug == "lab-empty"


@pytest.mark.once
def test_a_server_of_others_is_measured_within_a_schema(database: str, tmp_path: Path) -> None:
    small = replace(SIZE, clients=5, rows=100)
    stage = Stage(tmp_path, small, database)
    stage.prepare()
    run_all(stage, tmp_path / "out", seconds=40.0, repeats=1, experiments=EXPERIMENTS[:2])
    found = outcomes(tmp_path / "out", volume_of("gp2:80"))
    assert [each.name for each in found] == ["baseline", "table_added"]


def test_only_what_was_measured_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    forget(tmp_path)
    (tmp_path / HISTORY).mkdir()
    (tmp_path / HISTORY / "notes").touch()
    with pytest.raises(PgiostatError) as raised:
        forget(tmp_path)
    assert raised.value.slug == "not-a-history"
    assert sorted(path.name for path in tmp_path.iterdir()) == [HISTORY, "mine"]
