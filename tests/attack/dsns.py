"""Malformed connection strings and URIs: does any part of a secret come out anywhere?"""

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copytree, rmtree
from unittest import mock

from pgiostat.history.write.writer import Writer
from tests.attack import Outcome, Scale
from tests.support.histories import KNOWN, intervals

__all__ = ["attack"]

MARK = "Zk7Q"
"""The part of each password by which it is found again, wherever it is shown."""
TIMEOUT_SECONDS = 60.0

PASSWORDS = (
    f"{MARK}x", f"pa@{MARK}", f"pa/{MARK}", f"5432/{MARK}", f"pa?{MARK}", f"pa?x={MARK}",
    f"pa#{MARK}", f"pa:{MARK}", f"pa%{MARK}", f"pa%41{MARK}", f"pa%80{MARK}", f"pa {MARK}",
    f"pa'{MARK}", f"'pa' {MARK}", f'pa"{MARK}', f"pa\\{MARK}", f"pa={MARK}", f"pa&{MARK}",
    f"pa&x={MARK}", f"pa;{MARK}", f"pa,{MARK}", f"pa[{MARK}]", f"@{MARK}@", f"é{MARK}€",
    f"pa@h/{MARK}@", f"a@b?c={MARK}@d", f"pa,host={MARK}", f"x=y {MARK}=z", f"$({MARK})", "Zk7Q",
)  # fmt: skip
QUICK_PASSWORDS = (1, 3, 11)
QUICK_STEP = 11
FORMS: dict[str, tuple[str, ...]] = {
    "a password in a URI, as it is": (
        "postgresql://app:{}@127.0.0.1:1/app",
        "postgres://app:{}@[::1]:1,127.0.0.1:1/app?sslmode=disable",
    ),
    "a password in the parameters of a URI": (
        "postgresql://127.0.0.1:1/app?user=app&password={}",
        "postgresql://127.0.0.1:1?password={}&connect_timeout=2",
    ),
    "a password after a wrong sign in a URI": (
        "postgresql://password={}",
        "postgresql://127.0.0.1:1/app;password={}",
        "postgresql://127.0.0.1:1/app&password={}",
    ),
    "a URI of another driver, or without its scheme": (
        "jdbc:postgresql://127.0.0.1:1/app?user=app&password={}",
        "postgresql+psycopg://app:{}@127.0.0.1:1/app",
        "app:{}@127.0.0.1:1/app",
        "127.0.0.1:1:app:app:{}",
    ),
    "a password without quotation marks": (
        "host=127.0.0.1 port=1 user=app password={}",
        "password={} host=127.0.0.1 port=1 connect_timeout=2",
    ),
    "wrong quotation marks": (
        "host=127.0.0.1 port=1 password='{} user=app",
        'host=127.0.0.1 port=1 password="{}" user=app',
        "host=127.0.0.1 port=1 password='{}' user=app",
    ),
    "keywords separated by a semicolon or a comma": (
        "host=127.0.0.1;port=1;password={}",
        "host=127.0.0.1, port=1, password={}",
        "user=app;password={} host=127.0.0.1 port=1",
    ),
    "keywords of another driver": (
        "Server=127.0.0.1;Port=1;User Id=app;Password={};",
        "Driver={{PostgreSQL}};Server=127.0.0.1;Uid=app;Pwd={}",
        "Host=127.0.0.1 Port=1 Password={}",
    ),
    "a keyword that is misspelt": ("host=127.0.0.1 port=1 pasword={}",),
    "a password as another value": (
        "host=app:{}@127.0.0.1 port=1",
        "host=127.0.0.1 port={}",
        "host=127.0.0.1 port=1 user=app:{}",
        "host=127.0.0.1 port=1 sslmode={}",
        "host=127.0.0.1 port=1 connect_timeout={}",
        "postgresql://app%3A{}@127.0.0.1:1/app",
        "postgresql://127.0.0.1:1/app?user=app:{}",
        "postgresql://127.0.0.1:1/app/{}",
        "host=127.0.0.1 port=1 dbname={}@h:5432",
        "host=127.0.0.1..{}",
        "dbname='postgresql://app:{}@127.0.0.1:1/app' host=127.0.0.1 port=1",
    ),
}
URIS = (
    "s3://AKIA:{}@bucket/path",
    "s3://bucket/path?X-Amz-Signature={}",
    "s3://bucket/path?{}",
    "s3://bucket/path?endpoint_override=http://key:{}@127.0.0.1:1",
    "gs://user:{}@bucket/path",
    "abfss://account:{}@container/path",
    "abfss://container@127.0.0.1/path?sv=1&sig={}",
    "ftp://user:{}@127.0.0.1/path",
)
ENGINES = ("sc://127.0.0.1:1/;token={}", "sc://127.0.0.1:1;token={}", "spark://user:{}@127.0.0.1:1")
WRONG_URIS = (
    "s3:AKIA:{}@bucket",
    "s3//AKIA:{}@bucket",
    "AKIA:{}@bucket/path",
    "DefaultEndpointsProtocol=https;AccountKey={}",
    "s3:///AKIA:{}@bucket",
    "s3://bucket/path;secret_key={}",
    "s3://bucket;secret_key={}",
    "s3://bucket/path%3Fsecret_key={}",
    "s3://bucket/AKIA:{}@x",
    "S3://AKIA:{}@bucket",
    "file://user:{}@127.0.0.1/path",
)
WRONG_ENGINES = (
    "SC://127.0.0.1:1/;token={}",
    "sc//127.0.0.1:1;token={}",
    "sc:127.0.0.1:1;token={}",
    "sc://127.0.0.1:1/token={}",
    "user:{}@127.0.0.1:1",
)
ELSEWHERE = (
    "host=127.0.0.1 port=1 password={}",
    "postgresql://user:{}@127.0.0.1:1/app",
    "127.0.0.1:1:app:app:{}",
    "AKIA:{}@bucket/path",
    "AccountKey={}",
)
"""What somebody puts where something else belongs."""
OPTIONS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("watch", "--once", "host=127.0.0.1 port=1"): (
        "--rules", "--sort", "--by", "--top", "--interval", "--format", "--count", "--record",
        "--volume", "--instance", "--balance", "--theme", "--device", "--cloudwatch", "--bogus",
    ),
    ("watch",): ("--replay",),
    ("collect", "--for", "100ms", "host=127.0.0.1 port=1"): (
        "--history", "--config", "--interval", "--keep", "--keep-hours", "--shard", "--device",
        "--cloudwatch", "--metrics", "--rules", "--label", "--for",
    ),
    ("report", "--history", "shipped"): (
        "--history", "--series", "--format", "--since", "--until", "--last", "--label", "--by",
        "--sort", "--top", "--rules", "--engine",
    ),
    ("export", "--history", "shipped"): ("--out",),
    ("history",): ("--history",),
    ("compare", "a", "b"): ("--history", "--rules", "--per", "--format"),
    ("compare", "a", "--history", "shipped"): ("",),
    ("burst", "--history", "shipped"): ("--volume", "--instance", "--balance", "--writes"),
    ("whatif", "--history", "shipped"): ("--volume", "--instance", "--rules", "--drop"),
    ("doctor", "host=127.0.0.1 port=1"): ("--format",),
    ("rules", "test"): ("-f", "--file"),
    ("rules", "test", "SELECT 1"): ("--rules", "--top"),
    ("rules", "show"): ("--rules", ""),
    ("rules", "init"): ("--out",),
    ("lab", "run"): ("--volume", "--seed"),
    ("lab", "trace"): ("", "--seconds"),
    ("lab", "replay", "--to", "none"): ("",),
    ("lab", "down"): ("",),
    ("lab", "up"): ("",),
    ("ship", "--to", "file:///dev/null/x"): ("--history", "--every", "--keep"),
    ("demo",): ("--seconds", "--scenario"),
}  # fmt: skip
"""Commands, and their options; the empty one is an argument.

demo and lab run start servers if they take --out: tests/cli/test_usage.py tries them.
"""
FILES = (
    'history = "{}"\n[servers.a]\ndsn = "host=127.0.0.1 port=1"\n',
    'interval = "{}"\n[servers.a]\ndsn = "host=127.0.0.1 port=1"\n',
    'keep = "{}"\n[servers.a]\ndsn = "host=127.0.0.1 port=1"\n',
    '[servers.a]\ninterval = "{}"\ndsn = "host=127.0.0.1 port=1"\n',
    '[servers.a]\ncloudwatch = "{}"\ndsn = "host=127.0.0.1 port=1"\n',
    '[servers.a]\ndevice = "{}"\ndsn = "host=127.0.0.1 port=1"\n',
    '[servers.a]\n"{}" = 3\ndsn = "host=127.0.0.1 port=1"\n',
    '"{}" = 3\n[servers.a]\ndsn = "host=127.0.0.1 port=1"\n',
    '[servers."{}"]\ndsn = "host=127.0.0.1 port=1"\n',
)
STATEMENTS = (
    "psql postgresql://user:{}@127.0.0.1/app",
    'psql "host=127.0.0.1 password={}"',
    '{{"host":"127.0.0.1","password":"{}"}}',
    "-h 127.0.0.1 -U user password={}",
    "SELECT 1; psql postgresql://user:{}@127.0.0.1/app",
    "/* a */ psql postgresql://user:{}@127.0.0.1/app",
)
VARIABLES = ("PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGHOSTADDR", "PGSERVICE", "PGSSLMODE")
DATABASE = "a connection string or a URI in an environment variable"
STORE, ENGINE = "a secret in the URI of an object store", "a secret in the address of an engine"
MISPLACED = "a connection string or a key as the value of another option"
PLACED = "a connection string or a key as the value or the key of a file"
STATEMENT = "a connection string in the place of a statement"
WRONG_STORE = "a malformed URI of an object store, with a key"
WRONG_ENGINE = "a malformed address of an engine, with a token"
SPLIT = "no quotation marks in the shell"

Run = Callable[[list[str], dict[str, str], Path], str]
"""Runs a command and returns all that it says."""


@dataclass(slots=True)
class _Count:
    """How often a secret was found, of how often it was looked for."""

    found: int = 0
    tried: int = 0

    def add(self, *, found: bool) -> None:
        self.tried += 1
        self.found += found

    def __str__(self) -> str:
        return f"{self.found} of {self.tried}" if self.tried else "–"


@dataclass(slots=True)
class _Row:
    """Where a secret was found, of one kind of mistake."""

    said: _Count = field(default_factory=_Count)
    log: _Count = field(default_factory=_Count)
    names: _Count = field(default_factory=_Count)
    files: _Count = field(default_factory=_Count)
    first: str = ""

    def cells(self) -> tuple[str, ...]:
        return tuple(str(each) for each in (self.said, self.log, self.names, self.files))


def attack(scale: Scale) -> Outcome:
    """Give each mistake, with passwords of all kinds, to each command that takes one."""
    passwords = [PASSWORDS[n] for n in QUICK_PASSWORDS] if scale.quick else list(PASSWORDS)
    outcome = Outcome(
        "Secrets in malformed connection strings",
        f"{len(passwords)} passwords with special characters, put unchanged into strings of each"
        " kind, and each string passed to each command that takes one. A cell counts the attempts"
        " in which a part of the password came out.",
        ("mistake", "output", "log", "names of directories", "files"),
    )
    # In processes of their own the others would take hours.
    apart = {} if scale.quick else _cases([PASSWORDS[QUICK_PASSWORDS[0]]])
    for mistake, cases in _cases(passwords).items():
        row = _Row()
        for arguments, variables in cases:
            _try(_here, arguments, variables, scale.scratch, row)
        for arguments, variables in apart.get(mistake, []):
            _try(_apart, arguments, variables, scale.scratch, row)
        outcome.rows.append((mistake, *row.cells()))
        if row.first:
            outcome.failures.append(f"{mistake}: {', '.join(row.cells())}: first by {row.first}")
    return outcome


Case = tuple[list[str], dict[str, str]]


def _cases(passwords: list[str]) -> dict[str, list[Case]]:
    """Return the commands to run for each mistake, with their environment."""
    cases: dict[str, list[Case]] = {}
    for mistake, forms in FORMS.items():
        dsns = [form.format(password) for form in forms for password in passwords]
        cases[mistake] = [(command, {}) for dsn in dsns for command in _commands(dsn)]
    split = [
        form.format(passwords[0]).split() for form in FORMS["a password without quotation marks"]
    ]
    cases[SPLIT] = [
        ([*command, *words], {})
        for words in split
        for command in (["watch", "--once"], ["doctor"], ["rules", "init"], ["rules", "test"], [])
    ]
    dsns = [
        form.format(password)
        for form in FORMS["a password in a URI, as it is"]
        for password in passwords
    ]
    dsns += [f"127.0.0.1;password={password}" for password in passwords]
    cases[DATABASE] = [
        (command, {"PGPORT": "1", "PGHOST": "127.0.0.1", variable: dsn})
        for variable in VARIABLES
        for dsn in dsns
        for command in (["watch", "--once", "connect_timeout=2"], _collecting("connect_timeout=2"))
    ]
    uris = [form.format(password) for form in URIS for password in passwords]
    cases[STORE] = [
        (command, {})
        for uri in uris
        for command in (
            ["report", "--history", uri],
            ["history", "--history", uri],
            ["compare", f"{uri}:a@-2h..-1h", "b"],
            ["collect", "--history", uri, "--for", "100ms", "host=127.0.0.1 port=1"],
            ["collect", "--config", "history.toml", "--check", uri],
            ["ship", "--history", "shipped", "--to", uri],
        )
    ]
    cases[WRONG_STORE] = [
        (command, {})
        for form in WRONG_URIS
        for password in passwords
        for uri in (form.format(password),)
        for command in (
            ["report", "--history", uri],
            ["collect", "--history", uri, "--for", "100ms", "host=127.0.0.1 port=1"],
            ["ship", "--history", "shipped", "--to", uri],
        )
    ]
    cases |= _elsewhere([MARK, *passwords])
    if len(passwords) < len(PASSWORDS):
        # Coprime to the numbers of forms and passwords: each option meets another of them.
        cases[MISPLACED] = cases[MISPLACED][::QUICK_STEP]
    engines = [form.format(password) for form in ENGINES for password in passwords]
    cases[ENGINE] = [(["report", "--history", "shipped", "--engine", each], {}) for each in engines]
    return cases


def _elsewhere(passwords: list[str]) -> dict[str, list[Case]]:
    """Return commands that are given a secret where something else belongs."""
    values = [form.format(password) for form in ELSEWHERE for password in passwords]
    texts = [form.format(value) for form in FILES for value in values]
    texts += [f"password{password} = 3" for password in passwords]
    return {
        MISPLACED: [
            ([*command, *([option] if option else []), value], {})
            for command, options in OPTIONS.items()
            for option in options
            for value in values
        ],
        PLACED: [(["collect", "--check", "--config", "given.toml", text], {}) for text in texts],
        STATEMENT: [
            (["rules", "test", "--", form.format(password)], {})
            for form in STATEMENTS
            for password in passwords
        ],
        WRONG_ENGINE: [
            (["report", "--history", "shipped", "--engine", form.format(password)], {})
            for form in WRONG_ENGINES
            for password in passwords
        ],
    }


def _commands(dsn: str) -> Iterator[list[str]]:
    """Yield the commands that take a connection string; a file of it is written for each."""
    yield ["watch", "--once", "--", dsn]
    yield ["doctor", "--", dsn]
    yield ["rules", "init", "--out", "-", "--", dsn]
    yield ["rules", "test", "--", dsn]
    yield ["lab", "up", "attacked", "--dsn", dsn]
    yield ["--", dsn]
    yield ["collect", "--check", "--history", "h", "--", dsn]
    yield ["collect", "--history", "h", "--label", dsn, "host=127.0.0.1 port=1"]
    yield _collecting(dsn)
    yield ["collect", "--config", "pgiostat.toml", "--history", "h", "--check", dsn]
    yield ["collect", "--config", "pgiostat.toml", "--history", "h", "--for", "100ms", dsn]


def _collecting(dsn: str) -> list[str]:
    return ["collect", "--history", "h", "--for", "100ms", "--interval", "100ms", "--", dsn]


def _try(
    run: Run, arguments: list[str], variables: dict[str, str], scratch: Path, row: _Row
) -> None:
    """Run a command, and look for the secret in all that it leaves."""
    place = scratch / "place"
    place.mkdir()
    if "shipped" in arguments:
        copytree(_history(scratch / "made"), place / "shipped")
    arguments = [*arguments]
    if "--config" in arguments and arguments[arguments.index("--config") + 1].endswith(".toml"):
        # The last argument is what goes into the file.
        name, value = arguments[arguments.index("--config") + 1], arguments.pop()
        _configure(place, name, value)
    said = run(arguments, variables, place)
    collects = arguments[:1] == ["collect"] and "--check" not in arguments
    written = [path for path in place.rglob("*") if path.suffix != ".toml"]
    looked = (
        (row.log if collects else row.said, MARK in said),
        (row.names, any(MARK in str(path.relative_to(place)) for path in written)),
        (row.files, any(MARK.encode() in path.read_bytes() for path in written if path.is_file())),
    )
    for count, found in looked:
        count.add(found=found)
        row.first = row.first or (f"{arguments} {variables}: {said!r}" if found else "")
    rmtree(place)


def _history(root: Path) -> Path:
    """Return a history that is long enough to be asked; it is made once."""
    if root.exists():
        return root
    writer = Writer.open(root, "a")
    for delta in intervals(3, 10.0):
        writer.append(delta, KNOWN)
    writer.close()
    return root


def _configure(place: Path, name: str, value: str) -> None:
    """Write a file in which a value stands as somebody pastes it: between quotation marks."""
    if name == "given.toml":
        (place / name).write_text(value, "utf-8")
        return
    quote = "'" if '"' in value and "'" not in value else '"'
    server = f"[servers.a]\ndsn = {quote}{value}{quote}\n"
    if name == "history.toml":
        server = f'history = "{value}"\n[servers.a]\ndsn = "host=127.0.0.1 port=1"\n'
    (place / name).write_text(server, "utf-8")


def _environment(variables: dict[str, str], place: Path) -> dict[str, str]:
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("PG", "AWS_"))
    }
    home = str(place / "home")
    return clean | {
        "HOME": home,
        "XDG_CACHE_HOME": home,
        "XDG_DATA_HOME": home,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_REGION": "eu-west-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        **variables,
    }


def _apart(arguments: list[str], variables: dict[str, str], place: Path) -> str:
    """Run a command as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "pgiostat", *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=TIMEOUT_SECONDS,
        cwd=place,
        env=_environment(variables, place),
        check=False,
    )
    return done.stdout + done.stderr


class _LeftError(Exception):
    """The command has ended."""


def _leave(status: int) -> None:
    raise _LeftError(status)


def _here(arguments: list[str], variables: dict[str, str], place: Path) -> str:
    """Run a command in this process."""
    from pgiostat import cli  # noqa: PLC0415 - of the checkout that is attacked

    said = io.StringIO()
    with (
        mock.patch.dict(os.environ, _environment(variables, place), clear=True),
        mock.patch.object(sys, "argv", ["pgiostat", *arguments]),
        mock.patch.object(cli.process, "leave", _leave),
        mock.patch.object(cli, "block_pandas"),
        redirect_stdout(said),
        redirect_stderr(said),
        chdir(place),
    ):
        try:
            cli.main()
        except _LeftError:
            pass
        except Exception as error:  # noqa: BLE001 - a crash shows what it is about
            said.write(repr(error))
    return said.getvalue()
