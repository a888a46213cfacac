"""Servers in containers, by testcontainers.

The official images, postgres:13 to postgres:18; or the one image that PGIOSTAT_TEST_IMAGE names,
which has the modules it needs preloaded by itself (as the one that ./build makes has).
"""

import os
import re
import secrets
import threading
import time
from typing import Any

import docker.errors  # type: ignore[import-untyped] # docker ships no types
import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.docker_client import DockerClient

from pgiostat.lab.postgres.cluster import Setting, ShutdownMode, free_port
from tests.support.servers import SETTINGS, Server, Source

MAJORS = range(13, 19)
PATIENCE = 60.0
SIGNALS: dict[ShutdownMode, str] = {"smart": "TERM", "fast": "INT", "immediate": "QUIT"}
READY = b"ready to accept connections"


class ContainerServer(Server):
    def __init__(self, image: str, version: str, settings: dict[str, Setting]) -> None:
        self.version = version
        self.major = _major(version)
        options = [part for item in settings.items() for part in ("-c", _option(*item))]
        password = secrets.token_urlsafe(12)
        self.container = PostgresContainer(image, username="postgres", password=password)
        self.container.with_command(options)
        # A port of Docker's choice would be another one after a restart.
        port = free_port()
        self.container.with_bind_ports(5432, port)
        self.container.start()
        host = self.container.get_container_host_ip()
        self._dsn = make_conninfo(
            host=host, port=port, user="postgres", password=password, sslmode="disable"
        )
        self._wait_until_ready()

    def dsn(self, dbname: str = "postgres") -> str:
        return make_conninfo(self._dsn, dbname=dbname)

    def is_running(self) -> bool:
        self.container.reload()
        return self.container.status == "running"

    def start(self) -> None:
        self._container.start()
        self._wait_until_ready()

    def stop(self, mode: ShutdownMode = "fast") -> None:
        if self.is_running():
            self._container.kill(signal=SIGNALS[mode])
            self._container.wait(timeout=PATIENCE)

    def crash(self) -> None:
        self._container.kill(signal="KILL")
        self._container.wait(timeout=PATIENCE)

    def kill_backend(self, pid: int) -> None:
        times_ready = self._times_ready()
        done = self.container.exec(["sh", "-c", f"kill -9 {pid}"])
        assert done.exit_code == 0, done.output
        deadline = time.monotonic() + PATIENCE
        while self._times_ready() == times_ready:
            assert time.monotonic() < deadline, self._container.logs().decode()
            threading.Event().wait(0.05)

    def run(self, *command: str) -> str:
        """Run a program as the server's user, where its processes and files are."""
        done = self._container.exec_run(list(command), user="postgres")
        assert done.exit_code == 0, done.output
        return str(done.output.decode())

    def destroy(self) -> None:
        self.container.stop()

    @property
    def _container(self) -> Any:
        return self.container.get_wrapped_container()

    def _times_ready(self) -> int:
        return bytes(self._container.logs()).count(READY)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                psycopg.connect(self.dsn(), connect_timeout=5).close()
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline or not self.is_running():
                    said = self._container.logs().decode()
                    raise AssertionError(
                        f"the container's server does not answer: {said}"
                    ) from error
                threading.Event().wait(0.05)
            else:
                return


class ContainerSource(Source):
    name = "docker"

    def __init__(self) -> None:
        super().__init__()
        self._own_image = os.environ.get("PGIOSTAT_TEST_IMAGE")
        names = [self._own_image] if self._own_image else [f"postgres:{n}" for n in MAJORS]
        found = {name: _version(name) for name in names}
        self._images = {_major(version): name for name, version in found.items()}
        self._versions = {_major(version): version for version in found.values()}

    def versions(self) -> dict[int, str]:
        return self._versions

    def make(self, major: int, settings: dict[str, Setting]) -> Server:
        preload = "shared_preload_libraries"
        if self._own_image and settings.get(preload) == SETTINGS[preload]:
            settings = {name: value for name, value in settings.items() if name != preload}
        return ContainerServer(self._images[major], self._versions[major], settings)


def _version(image: str) -> str:
    """Return the version of the server in an image, which is pulled if it is not here."""
    try:
        client = DockerClient().client
        try:
            client.images.get(image)
        except docker.errors.ImageNotFound:
            client.images.pull(image)
        said = client.containers.run(image, ["--version"], entrypoint="postgres", remove=True)
    except docker.errors.DockerException as error:
        raise pytest.UsageError(
            f"--servers docker: image {image} cannot be had: {error}\n"
            "PGIOSTAT_TEST_IMAGE names an image that this machine has; tests/docker/build makes one"
        ) from error
    found = re.search(r"\d+(\.\d+|\w+)", said.decode())
    assert found, said
    return found.group()


def _major(version: str) -> int:
    return int(re.split(r"\D", version, maxsplit=1)[0])


def _option(name: str, value: Setting) -> str:
    return f"{name}={'on' if value is True else 'off' if value is False else value}"
