"""What may hold a secret does not come back in a message, in whichever form."""

import pytest

from pgiostat.redaction import hidden, may_hold_secret
from tests.support.program import pgiostat


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("host=h password=S3KRéT", "host=h password=s3krét"),
        ("gp2:500:pwd=S3KReT", "GP2:500:PWD=S3KRET"),
        ("gp2:S3KReT@h", "gp2:s3kret@h"),
    ],
)
def test_a_message_that_changes_case_hides_it_too(text: str, quoted: str) -> None:
    assert hidden(f'invalid volume: "{quoted}"', [text]) == 'invalid volume: "***"'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("u:S3KReT@db..example", True),
        ("u:S3KReT@h/a..b", True),
        ("h:prod@-2h..now", False),
        ("h:prod@yesterday 14:00..-30min", False),
        ("h:prod@2026-11-23T10:00+02:00..2026-11-23T11:00Z", False),
        ("s3://bucket/h:prod@10:30..11:30", False),
    ],
)
def test_only_times_make_a_window(text: str, expected: bool) -> None:  # noqa: FBT001 - a case
    assert may_hold_secret(text) is expected


@pytest.mark.parametrize("volume", ["host=h password=S3KReT", "gp2:500:pwd=S3KReT", "gp2:S3KReT@h"])
def test_a_volume_that_is_a_connection_string_is_not_quoted(volume: str) -> None:
    done = pgiostat("burst", "--volume", volume, "--history", "sample_data/history")
    assert (done.returncode, "s3kret" in done.stderr.lower(), done.stdout) == (2, False, "")
