"""The configuration file: what it says, and how its mistakes are told."""

import tomllib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pgiostat.collector.config import read
from pgiostat.collector.targets import Plan, Target
from pgiostat.errors import PgiostatError
from pgiostat.history.write.retention import Keep
from pgiostat.volume.device.discover import AUTOMATIC, DeviceOption

ROOT = Path(__file__).parents[3]
ONE = '[servers.a]\ndsn = ""\n'
HOW_TO_CONNECT = (
    'Use a URI ("postgresql://user@host:5432/dbname") or keywords '
    '("host=db dbname=app user=pgiostat").'
)
MISTAKES = [
    (
        'history = "host=h password=Zk7Q"\n[servers.a]\ndsn = ""\n',
        "1: history may hold a password or a key",
        "Name a directory. A connection string is the value of dsn.",
    ),
    (
        '[servers.a]\ndsn = ""\npasswordZk7Q = 3\n',
        "3: an entry is not a key of [servers.a]",
        ("Allowed are dsn, interval, tables_interval, databases, device,"
     " cloudwatch."),
    ),
    ("", "1: it defines no server", "Add a table: [servers.prod]"),
    ("servers = 3\n", "1: it defines no server", "Add a table: [servers.prod]"),
    ("[servers]\na = 1\n", '2: "a" must be a table', "Write [servers.a]."),
    ("[servers.a]\n", '1: [servers.a] has no "dsn"', 'Write dsn = "host=db dbname=app".'),
    ("[servers.a]\ndsn = 1\n", '2: "dsn" must be a string',
     'Write dsn = "host=db dbname=app", with quotes.'),
    (f"interval = 10\n{ONE}", '1: "interval" must be a string',
     'Write interval = "10s", with quotes.'),
    (f"{ONE}port = 1\n", '3: "port" is not a key of [servers.a]',
     ("Allowed are dsn, interval, tables_interval, databases, device,"
     " cloudwatch.")),
    (f"{ONE}device = 1\n", '3: "device" must be a string',
     'Write device = "nvme0n1", with quotes.'),
    (f'{ONE}device = "sda"\ncloudwatch = "db-1"\n', '4: invalid value for cloudwatch: "db-1"',
     'Write it like "eu-west-1/db-1", the host name of the RDS instance, or "none".'),
    (f'{ONE}device = "sda"\ncloudwatch = "eu-west-1/db-1"\n',
     "4: a device and an instance of CloudWatch were named for one server",
     "Name only one of them: both count the same reads."),
    (f'# colour = "x"\ncolour = "x"\n{ONE}', '2: "colour" is not a key of this file',
     ("Allowed are history, interval, tables_interval, databases, keep,"
     " keep_hours, servers.")),
    (ONE.replace("a]", '"a b"]'), '1: invalid label: "a b"',
     "Letters, digits, _ and . only, a letter or digit first, at most 63."),
    ('[servers.a]\ndsn = "host=h pasword=s3cret"\n', "2: invalid connection string",
     HOW_TO_CONNECT),
    (f'interval = "x"\n{ONE}', '1: invalid duration: "x"',
     "Write it like 30s, 10m, 1h30m, 7d."),
    (f'{ONE}[servers.b]\ndsn = ""\ninterval = "1ms"\n', '5: invalid interval: "1ms"',
     "It must be from 0.1s to 1d."),
    (f'keep = "1d"\n{ONE}', "1: history would be kept for less than 2 days",
     "keep must be 2d or more: whole days are removed."),
    (f"history = 5\n{ONE}", '1: "history" must be a string',
     'Write history = "/var/lib/pgiostat", with quotes.'),
    (f'keep = "9d"\nkeep_hours = "1h"\n{ONE}', "2: history would be kept for less than 2 days",
     "keep_hours must be 2d or more: whole days are removed."),
    (f'keep = "9d"\nkeep_hours = "3d"\n{ONE}',
     "2: the hourly rollup would be kept for a shorter time than its rows",
     "keep_hours must be as long as keep, or longer."),
    (f'keep_hours = "3d"\n{ONE}',
     "1: the hourly rollup would be kept for a shorter time than its rows",
     "keep_hours must be as long as keep, or longer, and rows are never removed without keep."),
    ('[servers."host=h;password=s3cret"]\ndsn = ""\n',
     "1: the name of a server is a connection string",
     'Write [servers.prod], and the connection string as dsn = "…".'),
    (f'{ONE}"h:1:d:u:s3cret" = 1\n', "3: an entry is not a key of [servers.a]",
     ("Allowed are dsn, interval, tables_interval, databases, device,"
     " cloudwatch.")),
    (f'history = "s3://key:s3cret@bucket"\n{ONE}', "1: history must be a directory",
     "pgiostat ship uploads it to an object store."),
    ('[servers.a]\ndsn = "host=h;password=s3cret"\n', "2: invalid connection string",
     HOW_TO_CONNECT),
    (f'{ONE}[servers.a]\n"s3cret" = 1\n', "3: Cannot declare … twice", None),
    ('[servers.a]\ndsn = "password=a" s3cret = "b"\n',
     "2: Expected newline or end of document after a statement", None),
    ("[servers.a\n", "1: Expected ']' at the end of a table declaration", None),
    ('\n[servers.a]\ndsn = """x', "3: Unterminated string", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "told", "hint"), MISTAKES)
def test_mistakes_in_the_file_are_told_with_their_line(
    tmp_path: Path, text: str, told: str, hint: str | None
) -> None:
    path = tmp_path / "pgiostat.toml"
    path.write_text(text)
    with pytest.raises(PgiostatError) as raised:
        read(path)
    error = raised.value
    assert (error.slug, error.message, error.hint) == (
        "config-invalid",
        f"{path}, line {told}",
        hint,
    )
    assert "s3cret" not in error.report()


def test_what_is_said_beside_the_file_wins_over_the_same_in_it(tmp_path: Path) -> None:
    path = tmp_path / "pgiostat.toml"
    path.write_text(
        'history = "h"\ninterval = "5s"\nkeep = "30d"\nkeep_hours = "400d"\n'
        '[servers.a]\ndsn = "dbname=x"\n[servers.b]\ndsn = ""\ninterval="1s"'
    )
    a, b = Target("dbname=x", "a", 5.0), Target("", "b", 1.0)
    month, year = timedelta(days=30), timedelta(days=400)
    assert read(path) == Plan((a, b), tmp_path / "h", Keep(month, year))
    slower = tuple(replace(target, interval=120.0) for target in (a, b))
    assert read(path, every="2m", keep="10d", history=Path("other")) == Plan(
        slower, Path("other"), Keep(timedelta(days=10), year)
    )
    assert read(path, keep_hours="60d").keep == Keep(month, timedelta(days=60))
    for wrong in ({"every": "x"}, {"keep": "1h"}, {"keep_hours": "1h"}):
        with pytest.raises(PgiostatError) as raised:
            read(path, **wrong)  # type: ignore[arg-type] # words, all of them
        assert raised.value.slug in {"time-invalid", "option-invalid"}


def test_what_is_said_on_both_sides_is_told_by_the_name_it_has_on_each(tmp_path: Path) -> None:
    path = tmp_path / "pgiostat.toml"
    path.write_text(f'keep_hours = "3d"\n{ONE}')
    for arguments, hint in (
        ({"keep": "30d"}, "keep_hours must be as long as --keep, or longer."),
        ({"keep": "30d", "keep_hours": "9d"}, "--keep-hours must be as long as --keep, or longer."),
        ({"keep_hours": "1d"}, "--keep-hours must be 2d or more: whole days are removed."),
    ):
        with pytest.raises(PgiostatError) as raised:
            read(path, **arguments)  # type: ignore[arg-type] # words, all of them
        assert raised.value.hint == hint


def test_a_server_s_device_is_told_in_its_table(tmp_path: Path) -> None:
    path = tmp_path / "pgiostat.toml"
    path.write_text(
        '[servers.a]\ndsn = ""\ndevice = "sda"\n[servers.b]\ndsn = ""\ndevice = "none"\n'
        'cloudwatch = "eu-west-1/db-1"\n[servers.c]\ndsn = ""'
    )
    told = {target.label: target.device for target in read(path).targets}
    assert told == {
        "a": DeviceOption("sda"),
        "b": DeviceOption("none", "eu-west-1/db-1"),
        "c": AUTOMATIC,
    }


def test_the_example_is_a_file_that_can_be_read() -> None:
    plan = read(ROOT / "contrib" / "pgiostat.toml")
    assert [(target.label, target.interval) for target in plan.targets] == [
        ("prod", 10.0),
        ("perf", 2.0),
    ]
    assert plan.keep == Keep(timedelta(days=30), timedelta(days=400))
    shown = (ROOT / "docs" / "collect.md").read_text("utf-8").split("```toml\n")[1].split("```")[0]
    assert tomllib.loads(shown)["servers"].keys() == {"prod", "perf"}


@pytest.mark.parametrize("key", ["interval", "device", "cloudwatch"])
@pytest.mark.parametrize("value", ["postgresql://u:Zk7Q@h/d", "host=h password=Zk7Q"])
def test_a_secret_as_the_value_of_another_key_is_not_quoted(
    tmp_path: Path, key: str, value: str
) -> None:
    path = tmp_path / "pgiostat.toml"
    path.write_text(f'[servers.a]\ndsn = ""\n{key} = "{value}"\n')
    with pytest.raises(PgiostatError) as raised:
        read(path)
    assert (raised.value.slug, "Zk7Q" in raised.value.report()) == ("config-invalid", False)
    assert raised.value.message.startswith(f"{path}, line 3: ")
