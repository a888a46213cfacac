"""pgiostat collect --device and --cloudwatch, and what --check says of them."""

from pathlib import Path

import pytest

from tests.support.clouds import REGION, cloud
from tests.support.program import pgiostat


def checked(database: str, root: Path, *options: str) -> tuple[int, list[str]]:
    """Return the exit status of a check, and what it says of the device."""
    done = pgiostat(
        "collect", database, "--label", "a", "--history", str(root), "--check", *options
    )
    assert not done.stderr
    return done.returncode, done.stdout.splitlines()[2:]


@pytest.mark.once
def test_a_check_says_what_is_measured_or_why_nothing_is(database: str, tmp_path: Path) -> None:
    assert checked(database, tmp_path, "--device", "none") == (
        0,
        ["a: device: none, as configured"],
    )
    assert checked(database, tmp_path, "--device", "nodisk") == (
        1,
        [
            'a: device: error: there is no block device "nodisk"',
            "HINT:  lsblk lists the block devices.",
        ],
    )
    instance, permission = f"{REGION}/db-1", "cloudwatch:GetMetricData"
    with cloud() as there:
        assert checked(database, tmp_path, "--cloudwatch", instance) == (
            0,
            [f"a: device: db-1 in {REGION}, by CloudWatch"],
        )
        there.refusals = [(403, "AccessDenied")]
        assert checked(database, tmp_path, "--cloudwatch", instance) == (
            1,
            [
                f"a: device: error: CloudWatch refuses: {permission} is not allowed",
                "DETAIL:  AccessDenied it is",
                "HINT:  Allow it for the role or user of the credentials that boto3 finds.",
            ],
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--device", "a\tb"], "invalid name of a device"),
        (["--cloudwatch", "db-1"], 'invalid value for cloudwatch: "db-1"'),
        (["--device", "sda", "host=b"], "one device was named for 2 servers"),
        (
            ["--device", "sda", "--config", "x.toml"],
            "--config cannot be used together with servers or labels",
        ),
    ],
)
def test_what_names_nothing_is_refused(tmp_path: Path, options: list[str], message: str) -> None:
    done = pgiostat("collect", "host=a", "--history", str(tmp_path), "--check", *options)
    assert (done.returncode, done.stderr.splitlines()[0]) == (2, f"pgiostat: error: {message}")


def test_a_file_names_devices_itself(tmp_path: Path) -> None:
    done = pgiostat("collect", "--config", str(tmp_path / "x.toml"), "--cloudwatch", "none")
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        2,
        "pgiostat: error: --config cannot be used together with --device or --cloudwatch",
    )
