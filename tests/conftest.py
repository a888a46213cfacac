"""Servers for tests: which ones (--servers), and the fixtures that hand them out."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from pgiostat.lab.postgres.cluster import Setting
from tests.support.servers import (
    SETTINGS,
    ClusterSource,
    Server,
    Source,
    create_database,
    drop_database,
    meets,
    open_source,
)

_SOURCE = pytest.StashKey[Source]()
_NUMBERS = itertools.count(1)


class CompareGold(Protocol):
    def __call__(self, path: Path, text: str) -> None: ...


class MakeServer(Protocol):
    def __call__(self, **settings: Setting) -> Server: ...


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--servers",
        default="embedded",
        metavar="WHICH",
        help="PostgreSQL to test on: embedded (18), npm (13 to 19), docker, or the connection "
        "string of an existing server (default: %(default)s)",
    )

    parser.addoption(
        "--update-gold",
        action="store_true",
        help="write the gold files as the code draws them now, to be looked at and committed",
    )

    parser.addoption(
        "--short",
        action="store_true",
        help="run what is marked as `ends` on the oldest and the newest of these servers alone",
    )


def pytest_configure(config: pytest.Config) -> None:
    workerinput = getattr(config, "workerinput", {})  # of a worker of pytest-xdist
    if workerinput:
        # The main process imports readline, which sets these for every process that it starts.
        os.environ.pop("COLUMNS", None)
        os.environ.pop("LINES", None)
    directory = Path(workerinput["servers"]) if "servers" in workerinput else None
    config.stash[_SOURCE] = open_source(config.getoption("--servers"), directory)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Let the workers copy the data directories that the first of them makes."""
    source = node.config.stash[_SOURCE]
    if isinstance(source, ClusterSource):
        node.workerinput["servers"] = str(source.directory)


def pytest_unconfigure(config: pytest.Config) -> None:
    if source := config.stash.get(_SOURCE, None):
        source.close()


def pytest_report_header(config: pytest.Config) -> str:
    source = config.stash[_SOURCE]
    return f"servers: {source.name} {', '.join(source.versions().values())}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "major" in metafunc.fixturenames:
        majors = sorted(metafunc.config.stash[_SOURCE].versions())
        ids = [f"pg{major}" for major in majors]
        metafunc.parametrize("major", majors, ids=ids, scope="session")


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if "major" in _fixtures(item):
            item.add_marker(pytest.mark.server)
    out_of_place: list[pytest.Item] = []
    if not isinstance(config.stash[_SOURCE], ClusterSource):
        out_of_place += [item for item in items if "binaries" in _fixtures(item)]
    if config.getoption("--servers") != "embedded":
        out_of_place += [item for item in items if item.get_closest_marker("once")]
    if config.getoption("--short"):
        majors = config.stash[_SOURCE].versions()
        between = set(majors) - {min(majors), max(majors)}
        out_of_place += [
            item
            for item in items
            if item.get_closest_marker("ends") and _param(item, "major") in between
        ]
    if config.getoption("--servers") != "docker":
        out_of_place += [item for item in items if item.get_closest_marker("container")]
    for name in ("engines", "fleet", "packaging"):  # what they need is installed for them alone
        if name not in config.getoption("-m"):
            out_of_place += [item for item in items if item.get_closest_marker(name)]
    # Workers take files in this order: a long one must not be left to the end.
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
    if out_of_place:
        config.hook.pytest_deselected(items=out_of_place)
        items[:] = [item for item in items if item not in out_of_place]


def _param(item: pytest.Item, name: str) -> object:
    return item.callspec.params.get(name) if hasattr(item, "callspec") else None


def _fixtures(item: pytest.Item) -> list[str]:
    return item.fixturenames if isinstance(item, pytest.Function) else []


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("pg"):
        major = _param(item, "major")
        if not isinstance(major, int):
            raise pytest.UsageError(f"{item.nodeid} has a pg mark but asks for no server")
        if not meets(mark.args[0], major):
            pytest.skip(f"needs PostgreSQL {mark.args[0]}, this is {major}")


@pytest.fixture
def compare_gold(request: pytest.FixtureRequest) -> CompareGold:
    """Return the function that compares a text with a gold file, or writes it (--update-gold)."""
    update: bool = request.config.getoption("--update-gold")

    def compare(path: Path, text: str) -> None:
        if update:
            path.write_text(text, "utf-8")
        assert text == path.read_text("utf-8")

    return compare


@pytest.fixture(scope="session")
def source(request: pytest.FixtureRequest) -> Source:
    """Return where servers come from."""
    return request.config.stash[_SOURCE]


@pytest.fixture(scope="session")
def server(source: Source, major: int) -> Server:
    """Return the server of that version which all tests share: leave it as it was."""
    return source.shared(major)


@pytest.fixture
def database(source: Source, major: int) -> Iterator[str]:
    """Yield the connection string of a fresh database, with pg_stat_statements in it."""
    server = source.shared(major)
    name = f"pgiostat_test_{os.getpid()}_{next(_NUMBERS)}"
    yield create_database(server, name)
    drop_database(server, name)


@pytest.fixture
def make_server(source: Source, major: int) -> Iterator[MakeServer]:
    """Yield what makes a private server, with settings of its own, for tests that spoil one.

    Servers made so are copies of one cluster: their system identifiers are equal.
    """
    made: list[Server] = []

    def make(**settings: Setting) -> Server:
        made.append(source.make(major, SETTINGS | settings))
        return made[-1]

    yield make
    for server in made:
        server.destroy()


@pytest.fixture(scope="session")
def binaries(source: Source, major: int) -> Path:
    """Return where that version's postgres and initdb are, for clusters of a test's own."""
    assert isinstance(source, ClusterSource)  # the others' runs leave out what asks for this
    return source.binaries(major)
