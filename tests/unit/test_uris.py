"""URIs of stores and engines: what is shown of them, and which are refused."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.history.read import window_spec
from pgiostat.history.remote.object_store import ObjectStore, reaching
from pgiostat.uris import REASON_HIDDEN, check, has_password, shown, without


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("s3://metrics/pgiostat", "s3://metrics/pgiostat"),
        ("s3://metrics/a@b;c", "s3://metrics/a@b;c"),
        ("s3:/metrics/pgiostat?region=x", "s3:/metrics/pgiostat"),
        ("s3://metrics?endpoint_override=minio%3A9000#x", "s3://metrics"),
        ("gs://anonymous@metrics/x", "gs://anonymous@metrics/x"),
        ("abfs://c@a.dfs.core.windows.net/p", "abfs://c@a.dfs.core.windows.net/p"),
        ("hdfs://host:9000/p", "hdfs://host:9000/p"),
        ("sc://spark:15002/;token=Zk7Q", "sc://spark:15002"),
        ("sc://spark:15002;token=Zk7Q", "sc://spark:15002"),
        ("sc://[::1]:15002/;user_id=x", "sc://[::1]:15002"),
        ("spark://master:7077", "spark://master:7077"),
        ("local[2]", "local[2]"),
        ("/var/lib/a:b@c?d", "/var/lib/a:b@c?d"),
    ],
)
def test_a_uri_without_a_password_is_shown_without_its_parameters(uri: str, told: str) -> None:
    assert (shown(uri), has_password(uri)) == (told, False)


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("s3://AKIA:Zk7Q@metrics/p", "s3://***@metrics/p"),
        ("s3://AKIA:a@Zk7Q@metrics/p", "s3://***@metrics/p"),
        ("s3://AKIA:a/Zk7Q@metrics/p", "s3://***"),
        ("s3://AKIA:1/Zk7Q@metrics/p", "s3://***"),
        ("s3://AKIA:a?Zk7Q@metrics/p", "s3://***"),
        ("s3://AKIA:a#Zk7Q@metrics/p", "s3://***"),
        ("s3://AKIA:Zk7Q", "s3://***"),
        ("s3:/AKIA:Zk7Q@metrics", "s3:/***@metrics"),
        ("s3://AKIA@metrics", "s3://***@metrics"),
        ("abfs://account:Zk7Q@container/p", "abfs://***@container/p"),
        ("sc://u:a;Zk7Q@spark:15002", "sc://***"),
        ("spark://u:Zk7Q@master:7077", "spark://***@master:7077"),
        ("postgresql://u:Zk7Q@db/app", "postgresql://***@db/app"),
    ],
)
def test_a_uri_with_a_password_is_shown_without_it(uri: str, told: str) -> None:
    assert (shown(uri), has_password(uri)) == (told, True)


@pytest.mark.parametrize(
    "uri",
    [
        "s3://AKIA:Zk7Q@metrics/p",
        "s3://metrics/p?X-Amz-Signature=Zk7Q",
        "gs://metrics/p?X-Goog-Credential=Zk7Q",
        "abfs://c@a.dfs.core.windows.net/p?sv=1&sig=Zk7Q",
        "abfs://c@a.dfs.core.windows.net/p?client_secret=Zk7Q",
        "abfs://a:Zk7Q@c/p",
    ],
)
def test_a_store_is_given_no_secret_by_its_uri(uri: str) -> None:
    with pytest.raises(PgiostatError) as raised:
        ObjectStore.of(uri)
    assert (raised.value.message, raised.value.slug, raised.value.status) == (
        f'there is a password, a key or a signature in the URI "{shown(uri)}"',
        "option-invalid",
        ExitStatus.USAGE,
    )


@pytest.mark.parametrize(
    "uri",
    [
        "s3://m/p?region=eu-west-1&scheme=http&endpoint_override=h%3A1",
        "file:///var/x",
        "gs://anonymous@m/p",
        "abfs://c@a.dfs.core.windows.net/p?enable_tls=false",
    ],
)
def test_a_uri_without_secrets_is_taken(uri: str) -> None:
    check(uri)


def test_reasons_that_quote_a_secret_are_not_shown() -> None:
    uri = "abfs://c@a/p?region=westus&sv=abcdef%2Fghij"
    assert without("no such region: westus", uri) == "no such region: westus"
    assert without("GET https://a/p?sv=abcdef/ghij", uri) == REASON_HIDDEN
    assert without("GET https://a/p?sv=abcdef%2Fghij", uri) == REASON_HIDDEN
    with pytest.raises(PgiostatError) as raised, reaching(uri):
        raise OSError("GET https://a/p?sv=abcdef%2Fghij failed")
    assert (raised.value.message, raised.value.detail) == (
        'could not reach "abfs://c@a/p"',
        REASON_HIDDEN,
    )


def test_a_strange_parameter_is_not_quoted() -> None:
    with pytest.raises(PgiostatError) as raised:
        ObjectStore.of("gs://metrics/x?Zk7Q")
    assert raised.value.detail == (
        "there is a parameter that is not allowed; allowed are endpoint_override, scheme"
    )
    with pytest.raises(PgiostatError) as raised:
        ObjectStore.of("s3://metrics/x?endpoint_override=http://k:Zk7Q@h")
    assert raised.value.detail == "there is a user or a password in endpoint_override"


@pytest.mark.parametrize(
    "text",
    [
        "s3://AKIA:Zk7Q@metrics/p:a@-2h..-1h",
        "s3://AKIA:1/Zk7Q@metrics/p:a@-2h..-1h",
        "s3://AKIA:Zk7Q@metrics",
        "gs://u:a@Zk7Q@metrics",
    ],
)
def test_a_window_of_a_uri_with_a_password_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(PgiostatError) as raised:
        window_spec.parse_window_spec(text, tmp_path, datetime.now(UTC))
    assert raised.value.slug == "option-invalid"
    assert "Zk7Q" not in raised.value.report()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("prod@-2h..-1h", ("prod", "@", "-2h..-1h")),
        ("s3://metrics/p:prod@-2h..-1h", ("s3://metrics/p:prod", "@", "-2h..-1h")),
        ("s3://metrics:prod@..", ("s3://metrics:prod", "@", "..")),
        ("hdfs://h:9000/p:prod@..-1h", ("hdfs://h:9000/p:prod", "@", "..-1h")),
        ("abfs://c@a/p:prod@-2h..-1h", ("abfs://c@a/p:prod", "@", "-2h..-1h")),
        ("abfs://c@a/p", ("abfs://c@a/p", "", "")),
    ],
)
def test_a_window_of_a_uri_may_have_an_at_sign_of_its_own(
    text: str, parts: tuple[str, str, str]
) -> None:
    assert window_spec._parted(text) == parts


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("s3:AKIA:Zk7Q@b", "***"),
        ("s3//AKIA:Zk7Q@b", "***"),
        ("AKIA:Zk7Q@b/p", "***"),
        ("AKIA:pa Zk7Q@b/p", "***"),
        ("DefaultEndpointsProtocol=https;AccountKey=Zk7Q", "***"),
        ("sc//h;token=Zk7Q", "***"),
        ("s3:///AKIA:Zk7Q@b", "s3://***"),
        ("s3://b/p;secret_key=Zk7Q", "s3://***"),
        ("s3://b;secret_key=Zk7Q", "s3://***"),
        ("s3://b;secret_key=pa@Zk7Q", "s3://***"),
        ("s3://b/p%3Fsecret_key=Zk7Q", "s3://***"),
        ("s3://b/AKIA:Zk7Q@x", "s3://***"),
        ("file://u:Zk7Q@h/x", "file://***@h/x"),
        ("sc://h:1/token=Zk7Q", "sc://***"),
    ],
)
def test_a_malformed_uri_with_a_key_is_refused_and_not_shown(uri: str, told: str) -> None:
    with pytest.raises(PgiostatError) as raised:
        check(uri)
    assert (shown(uri), raised.value.message) == (
        told,
        f'there is a password, a key or a signature in the URI "{told}"',
    )


def test_a_scheme_may_have_capital_letters() -> None:
    assert shown("SC://h/;token=Zk7Q") == "SC://h"
