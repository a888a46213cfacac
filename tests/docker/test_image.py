"""The image of the Containerfile: it collects, without rights and without a writable root."""

import json
import os
import re
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from packaging.markers import Marker
from psycopg.conninfo import conninfo_to_dict

import pgiostat
from tests.conftest import MakeServer
from tests.docker.containers import ContainerServer
from tests.support.distributions import build

pytestmark = pytest.mark.container

BASE = os.environ.get("PGIOSTAT_TEST_BASE", "python:3.13-slim")
"""An image with Python; tests/docker/build-python makes one where none can be pulled."""
IMAGE = "pgiostat:test"
HARDENED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")
PATIENCE = 60.0


def docker(*arguments: str, status: int = 0) -> str:
    """Run docker and return its output."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Build the image from the source distribution, with packages that this machine fetched."""
    directory = tmp_path_factory.mktemp("image")
    with tarfile.open(build(directory, "sdist")) as source:
        source.extractall(directory, filter="data")
    context = directory / f"pgiostat-{pgiostat.__version__}"
    _fetch(context, docker("run", "--rm", BASE, "python", "-c", VERSION_OF_PYTHON).strip())
    arguments = ("--build-arg", f"BASE={BASE}", "--build-arg", "PIP_NO_INDEX=1")
    offline = ("--network=none", *arguments, "--build-arg", "PIP_FIND_LINKS=/src/wheels")
    docker("build", *offline, "-t", IMAGE, "-f", str(context / "Containerfile"), str(context))
    return IMAGE


VERSION_OF_PYTHON = "import sys; print('%d.%d' % sys.version_info[:2])"


def _fetch(context: Path, python: str) -> None:
    """Download the locked packages for another Python into a directory of the context."""
    names = ("fleet.txt", "build.txt")
    texts = [(context / "requirements" / name).read_text("utf-8") for name in names]
    wanted = context / "wanted.txt"
    wanted.write_text("".join(_locked("".join(texts), python)), "utf-8")
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--no-deps")
    wheels = ("--python-version", python, "-d", str(context / "wheels"), "-r", str(wanted))
    done = subprocess.run([*pip, *wheels], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _locked(text: str, python: str) -> Iterator[str]:
    """Yield the locked requirements for a Python, whose markers pip would judge by its own."""
    target = {"python_version": python, "python_full_version": f"{python}.0"}
    for line in re.findall(r"^([\w.-]+==[^\\\n]+)", text, re.MULTILINE):
        requirement, _, marker = line.partition(";")
        if not marker or Marker(marker).evaluate(target):
            yield f"{requirement}\n"


@pytest.fixture
def volume() -> Iterator[str]:
    name = f"pgiostat-test-{uuid4().hex}"
    docker("volume", "create", name)
    yield name
    docker("volume", "rm", name)


def test_the_image_has_the_program_and_no_rights(image: str) -> None:
    version = docker("run", "--rm", *HARDENED, image, "--version")
    assert version == f"pgiostat {pgiostat.__version__}\n"
    user = docker("run", "--rm", *HARDENED, "--entrypoint", "id", image, "-u")
    assert user == "10001\n"
    pip = ("-c", "import importlib.util as u; print(u.find_spec('pip'))")
    assert docker("run", "--rm", "--entrypoint", "python", image, *pip) == "None\n"


def test_the_image_collects_a_server_and_answers_for_it(
    image: str, volume: str, make_server: MakeServer
) -> None:
    server = make_server()
    assert isinstance(server, ContainerServer)
    with server.connect() as setup:
        setup.execute("CREATE EXTENSION pg_stat_statements")
    known = conninfo_to_dict(server.dsn())
    # Beside the server, so that neither needs to know the other's address.
    beside = f"--network=container:{server.container.get_wrapped_container().id}"
    place = f"--volume={volume}:/var/lib/pgiostat"
    variables = ("-e", "PGHOST=127.0.0.1", "-e", "PGDATABASE=postgres", "-e", "PGUSER=postgres")
    login = (*variables, "-e", f"PGPASSWORD={known['password']}")
    health = ("--health-interval=1s", "--health-start-period=1s")
    run = ("run", "--detach", *HARDENED, beside, place, *login, *health, image)
    container = docker(*run).strip()
    try:
        _wait_until_healthy(container)
        served = docker("exec", container, "python", "-c", METRICS)
        assert "pgiostat_servers 1.0" in served
        docker("stop", "--time=30", container)
        assert docker("inspect", "--format={{.State.ExitCode}}", container) == "0\n"
    finally:
        log = _log(container)
        docker("rm", "--force", container)
    held = ("history", "--history", "history", "--format", "json")
    contents = docker("run", "--rm", *HARDENED, place, image, *held)
    labels = [each["label"] for each in json.loads(contents)["labels"]]
    assert labels == ["127.0.0.1"], log


METRICS = (
    "from urllib.request import urlopen;"
    "print(urlopen('http://127.0.0.1:9187/metrics').read().decode())"
)


def _wait_until_healthy(container: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while docker("inspect", "--format={{.State.Health.Status}}", container).strip() != "healthy":
        assert time.monotonic() < deadline, _log(container)
        threading.Event().wait(0.2)


def _log(container: str) -> str:
    """Return the log of a container, which goes to standard error."""
    done = subprocess.run(["docker", "logs", container], capture_output=True, text=True, check=True)
    return done.stdout + done.stderr
