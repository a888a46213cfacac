"""What contrib/ and .github/ say of the command line, the version and the Makefile is true."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

import pgiostat
from pgiostat import cli
from pgiostat.cli.commands import Commands
from tests.support.distributions import ROOT

CONTRIB = ROOT / "contrib"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def documents(path: Path) -> list[Any]:
    return [*yaml.safe_load_all(path.read_text("utf-8"))]


def in_compose() -> list[str]:
    (compose,) = documents(CONTRIB / "compose" / "compose.yaml")
    command: list[str] = compose["services"]["pgiostat"]["command"]
    return command


def in_kubernetes() -> list[str]:
    manifests = documents(CONTRIB / "kubernetes" / "pgiostat.yaml")
    (each,) = (each for each in manifests if each["kind"] == "StatefulSet")
    (container,) = each["spec"]["template"]["spec"]["containers"]
    arguments: list[str] = container["args"]
    return arguments


def in_image() -> list[str]:
    text = (ROOT / "Containerfile").read_text("utf-8")
    (found,) = re.findall(r"^CMD (\[.*\])$", text, re.MULTILINE)
    arguments: list[str] = yaml.safe_load(found)
    return arguments


def in_unit() -> list[str]:
    text = (CONTRIB / "pgiostat-collect.service").read_text("utf-8")
    (found,) = re.findall(r"^ExecStart=\S+/pgiostat (.*)$", text, re.MULTILINE)
    return shlex.split(found)


@pytest.mark.parametrize("command", [in_compose, in_kubernetes, in_image, in_unit])
def test_each_command_has_options_that_there_are(command: Any) -> None:
    name, *arguments = command()
    root = typer.main.get_command(cli.app)
    assert isinstance(root, Commands)
    root.load(name)
    root.commands[name].make_context(name, arguments)  # raises for an unknown option


def versions() -> Iterator[tuple[str, str]]:
    """Yield each place outside the package that names the version, with the version there."""
    for name, pattern in {
        "homebrew/pgiostat.rb": r"/v([\d.]+)/pgiostat-",
        "debian/changelog": r"^pgiostat \(([\d.]+)-1\)",
        "kubernetes/pgiostat.yaml": r"image: pgiostat:(\S+)",
    }.items():
        found = re.findall(pattern, (CONTRIB / name).read_text("utf-8"))
        yield name, found[0]


def test_each_file_names_this_version() -> None:
    assert set(dict(versions()).values()) == {pgiostat.__version__}


def steps(path: Path) -> Iterator[dict[str, Any]]:
    (workflow,) = documents(path)
    for job in workflow["jobs"].values():
        yield from job.get("steps", [])


def test_workflows_make_what_the_makefile_has() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    made = {
        word
        for path in WORKFLOWS
        for step in steps(path)
        if step.get("run", "").startswith("make ")
        for word in shlex.split(step["run"])[1:]
        if "=" not in word
    }
    assert {"lint", "test", "matrix", "package", "site", "release"} <= made
    assert made <= targets


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_read_and_a_job_asks_for_more(path: Path) -> None:
    (workflow,) = documents(path)
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        assert "uses" in job or job["timeout-minutes"] <= 60, name


def test_the_collector_runs_without_rights_in_each_file() -> None:
    (compose,) = documents(CONTRIB / "compose" / "compose.yaml")
    service = compose["services"]["pgiostat"]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    manifests = documents(CONTRIB / "kubernetes" / "pgiostat.yaml")
    (each,) = (each for each in manifests if each["kind"] == "StatefulSet")
    pod = each["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "\nUSER 10001:10001\n" in (ROOT / "Containerfile").read_text("utf-8")


def test_files_that_compose_mounts_are_there() -> None:
    (compose,) = documents(CONTRIB / "compose" / "compose.yaml")
    volumes = [line for each in compose["services"].values() for line in each.get("volumes", [])]
    mounted = [line.partition(":")[0] for line in volumes if line.startswith(".")]
    assert len(mounted) == 6
    assert [name for name in mounted if not (CONTRIB / "compose" / name).exists()] == []
