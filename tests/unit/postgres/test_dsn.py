"""Connection strings: what libpq takes works, and nothing of any other string is shown."""

import io
import os
from datetime import UTC, datetime
from logging import makeLogRecord
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgiostat.collector.config import read
from pgiostat.collector.log import LineHandler, error_line
from pgiostat.collector.targets import targets
from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.postgres import dsn as dsn_module
from pgiostat.postgres import dsn_mistakes as mistakes
from pgiostat.postgres.connection import reach
from pgiostat.postgres.dsn import check_dsn, is_dsn, label_of, where
from pgiostat.postgres.dsn import shown as shown_dsn

FORM = (
    'Use a URI ("postgresql://user@host:5432/dbname") or keywords '
    '("host=db dbname=app user=pgiostat").'
)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("PG"):
            monkeypatch.delenv(name)


# String, host, port, label, password.
VALID = [
    ("", "", "5432", "local", None),
    ("dbname=app", "", "5432", "local", None),
    ("host=db", "db", "5432", "db", None),
    ("host=db port=6432", "db", "6432", "db_6432", None),
    ("host = db  port = 6432 ", "db", "6432", "db_6432", None),
    ("host=db\tport=6432\nuser=a", "db", "6432", "db_6432", None),
    ("host='' dbname=app", "", "5432", "local", None),
    ("host=db-1.example.org.", "db-1.example.org.", "5432", "db_1.example.org", None),
    ("host=10.0.0.1", "10.0.0.1", "5432", "10.0.0.1", None),
    ("hostaddr=10.0.0.1", "10.0.0.1", "5432", "10.0.0.1", None),
    ("host=db hostaddr=10.0.0.1", "db", "5432", "db", None),
    ("host=::1", "::1", "5432", "1", None),
    ("host=fe80::1%eth0", "fe80::1%eth0", "5432", "fe80__1_eth0", None),
    ("host=/run/postgresql", "/run/postgresql", "5432", "run_postgresql", None),
    ("host='/srv/my sockets' port=6432", "/srv/my sockets", "6432", "srv_my_sockets_6432", None),
    ("host=@abstract", "@abstract", "5432", "abstract", None),
    ("host=a,b port=1,2", "a,b", "1,2", "a_b_1_2", None),
    ("host=a,/tmp,::1 port=6432", "a,/tmp,::1", "6432", "a__tmp___1_6432", None),
    ("host=db password=s3cret", "db", "5432", "db", "s3cret"),
    ("host=db password='it is' user=a", "db", "5432", "db", "it is"),
    (r"host=db password='it\'s \\' user=a", "db", "5432", "db", "it's \\"),
    (r"host=db password=a\ b user=a", "db", "5432", "db", "a b"),
    ("host=db password=a@b;c&d=e,f user=a", "db", "5432", "db", "a@b;c&d=e,f"),
    ("host=db password=it's user=a", "db", "5432", "db", "it's"),
    ("host=db user='a:b' dbname='x=y;z'", "db", "5432", "db", None),
    ("host=db user=a@tenant.example", "db", "5432", "db", None),
    ("host=db options='-c geqo=off -c search_path=a,b'", "db", "5432", "db", None),
    ("host=db options=-cgeqo=off sslmode=prefer", "db", "5432", "db", None),
    ("host=db connect_timeout=3 keepalives=1", "db", "5432", "db", None),
    ("host=db target_session_attrs=read-write", "db", "5432", "db", None),
    ("host=old host=db", "db", "5432", "db", None),
    ("postgresql://", "", "5432", "local", None),
    ("postgres://db", "db", "5432", "db", None),
    ("postgresql:///app", "", "5432", "local", None),
    ("postgresql://@/app", "", "5432", "local", None),
    ("postgresql://a@db:6432/app", "db", "6432", "db_6432", None),
    ("postgresql://a:s3cret@db/app", "db", "5432", "db", "s3cret"),
    ("postgresql://a:p%40s%2Fs%3F%25%20@db/app", "db", "5432", "db", "p@s/s?% "),
    ("postgresql://a:p:a#s?s@db/app", "db", "5432", "db", "p:a#s?s"),
    ("postgresql://a:[b]@db/app", "db", "5432", "db", "[b]"),
    ("postgresql://a%40b:c@db/x%3Dy", "db", "5432", "db", "c"),
    ("postgresql://[::1]:6432/app", "::1", "6432", "1_6432", None),
    ("postgresql://[fe80::1%25eth0]/app", "fe80::1%eth0", "5432", "fe80__1_eth0", None),
    ("postgresql://a@h1:1,h2:2/app", "h1,h2", "1,2", "h1_h2_1_2", None),
    ("postgresql://a@h1,h2:5/app", "h1,h2", ",5", "h1_h2__5", None),
    ("postgresql://%2Frun%2Fpostgresql/app", "/run/postgresql", "5432", "run_postgresql", None),
    ("postgresql:///app?host=/srv&port=6432", "/srv", "6432", "srv_6432", None),
    ("postgresql:///app?host=@abstract", "@abstract", "5432", "abstract", None),
    ("postgresql://db/app?user=a@b&password=p@s", "db", "5432", "db", "p@s"),
    ("postgresql://db/app?sslmode=disable&connect_timeout=3", "db", "5432", "db", None),
    ("postgresql://db/app?options=-c%20geqo%3Doff", "db", "5432", "db", None),
    ("postgresql://db/app?ssl=true", "db", "5432", "db", None),
]  # fmt: skip


@pytest.mark.parametrize(("dsn", "host", "port", "label", "password"), VALID)
def test_what_libpq_takes_is_taken(
    dsn: str, host: str, port: str, label: str, password: str | None
) -> None:
    known = check_dsn(dsn)
    assert (*where(known), label_of(dsn), known.get("password")) == (host, port, label, password)
    assert not password or password not in shown_dsn(dsn)


# String with the secret Zk7Q, and the mistake that is named.
INVALID = [
    ("postgresql://app:pa@Zk7Q@h:1/db", mistakes.SECOND_AT),
    ("postgresql://app:pa@@Zk7Q@h:1/db", mistakes.SECOND_AT),
    ("postgresql://app@tenant:Zk7Q@h/db", mistakes.SECOND_AT),
    ("postgresql://app:pa/Zk7Q@h:1/db", mistakes.AT_AFTER_SLASH),
    ("postgresql://app:54320/Zk7Q@h/db", mistakes.AT_AFTER_SLASH),
    ("postgresql://app:54320/Zk7Q?x@h/db", mistakes.QUERY),
    ("postgresql://app:pa?x=Zk7Q@h/db", mistakes.AT_AFTER_QUERY),
    ("postgresql://h?user=a&password=x@Zk7Q", mistakes.AT_AFTER_QUERY),
    ("postgresql://app:pa%Zk7Q@h/db", mistakes.PERCENT),
    ("postgresql://app:%00Zk7Q@h/db", mistakes.PERCENT),
    ("postgresql://app:%80Zk7Q@h/db", mistakes.PERCENT),
    ("postgresql://app:pa Zk7Q@h/db", mistakes.SPACE),
    ("postgresql://password=Zk7Q", mistakes.URI_WORD),
    ("postgresql://h/db;password=Zk7Q", mistakes.URI_WORD),
    ("postgresql://h/db&password=Zk7Q", mistakes.URI_WORD),
    ("postgresql://h/db?user=a;password=Zk7Q", mistakes.QUERY),
    ("postgresql://h/db?user=a;Zk7Q", mistakes.SEPARATOR),
    ("postgresql://h/db?user=a%3Bpassword%3DZk7Q", mistakes.SEPARATOR),
    ("postgresql://h/db?password=a&Zk7Q", mistakes.QUERY),
    ("postgresql://h/db?password=a=Zk7Q", mistakes.QUERY),
    ("postgresql://h:Zk7Q/db", mistakes.PORT),
    ("postgresql://h:5432:db:u:Zk7Q", mistakes.PORT),
    ("postgresql://u:Zk7Q@[::1/db", mistakes.BRACKET),
    ("postgresql://u:Zk7Q@[::1]x/db", mistakes.BRACKET),
    ("postgresql://postgresql://u:Zk7Q@h/db", mistakes.AT_AFTER_SLASH),
    ("postgresql+psycopg2://u:Zk7Q@h/db", mistakes.SCHEME),
    ("jdbc:postgresql://h/db?user=a&password=Zk7Q", mistakes.SCHEME),
    ("POSTGRESQL://u:Zk7Q@h", mistakes.SCHEME),
    (" postgresql://u:Zk7Q@h", mistakes.SCHEME),
    ("postgres:/app:Zk7Q@h", mistakes.SCHEME),
    ("u:Zk7Q@h/db", mistakes.NO_SCHEME),
    ("//u:Zk7Q@h/db", mistakes.BARE),
    ("h:5432:db:u:Zk7Q", mistakes.BARE),
    ("Zk7Q", mistakes.BARE),
    ("host=h;password=Zk7Q", mistakes.SEPARATOR),
    ("host=h,password=Zk7Q", mistakes.SEPARATOR),
    ("host=h&password=Zk7Q", mistakes.SEPARATOR),
    ("host=127.0.0.1, port=1, password=Zk7Q", mistakes.SEPARATOR),
    ("dbname=d;password=Zk7Q", mistakes.SEPARATOR),
    ("user=a;password=Zk7Q", mistakes.SEPARATOR),
    ("user='a;password=Zk7Q' host=h", mistakes.SEPARATOR),
    ("application_name=x;password=Zk7Q", mistakes.SEPARATOR),
    ("options=-cgeqo=off;password=Zk7Q", mistakes.SEPARATOR),
    ("password=Zk7Q;host=h;port=1", mistakes.SEPARATOR),
    ("password=a;host=Zk7Q", mistakes.SEPARATOR),
    ("Server=h;Port=1;Pwd=Zk7Q", mistakes.SEPARATOR),
    ("Data Source=h;User Id=a;Password=Zk7Q", mistakes.SEPARATOR),
    ("host=h password='Zk7Q", mistakes.QUOTE),
    ("host=h password=my Zk7Q", mistakes.SPLIT),
    ('host=h password="my Zk7Q"', mistakes.SPLIT),
    ("host=h password='it's Zk7Q'", mistakes.SPLIT),
    ("host=app:Zk7Q@h", mistakes.HOST),
    ("host=@a@Zk7Q", mistakes.HOST),
    ("host='Zk7Q h'", mistakes.HOST),
    ("host=[::1]", mistakes.HOST),
    ("host=h:5432", mistakes.HOST_PORT),
    ("host=a..Zk7Q", mistakes.HOST_PART),
    ("host=127.0.0.1,a..Zk7Q", mistakes.HOST_PART),
    (f"host=Zk7Q{'a' * 60}", mistakes.HOST_PART),
    ("postgresql://u%3AZk7Q@h/d", mistakes.URI_USER),
    ("postgresql:///d?user=u:Zk7Q", mistakes.URI_USER),
    ("postgresql:///d?user=u%3AZk7Q", mistakes.URI_USER),
    ("postgresql://h/d/Zk7Q", mistakes.DATABASE),
    ("postgresql://h?dbname=d/Zk7Q", mistakes.DATABASE),
    ("dbname=Zk7Q@h:5432", mistakes.DATABASE),
    ("hostaddr=Zk7Q", mistakes.ADDRESS),
    ("host=postgresql://u:Zk7Q@h", mistakes.URI_IN_KEYWORD),
    ("dbname='postgresql://u:Zk7Q@h'", mistakes.URI_IN_KEYWORD),
    ("user=app:Zk7Q host=h", mistakes.USER),
    ("host=h port=Zk7Q", mistakes.PORT),
    ("host=a,b,c port=1,2", mistakes.COUNTS),
    ("host=h\0password=Zk7Q", mistakes.NOT_TEXT),
    ("host=h password=\udcffZk7Q", mistakes.NOT_TEXT),
    ("host=h connect_timeout=Zk7Q", "The value of connect_timeout is not a number."),
    ("host=h sslmode=Zk7Q", "libpq rejects the value of sslmode."),
    ("host=h require_auth=Zk7Q", "libpq rejects the value of require_auth."),
    ("host=h pasword=Zk7Q", 'It has a keyword that libpq does not know. Did you mean "password"?'),
    ("host=h Pwd=Zk7Q", 'It has a keyword that libpq does not know. Did you mean "password"?'),
    ("host=h password=my Zk7=Q", "It has a keyword that libpq does not know."),
    ("postgresql://h/db?pasword=Zk7Q",
     'It has a keyword that libpq does not know. Did you mean "password"?'),
]  # fmt: skip


@pytest.mark.parametrize(("dsn", "mistake"), INVALID)
def test_a_mistake_is_named_and_nothing_is_quoted(dsn: str, mistake: str) -> None:
    with pytest.raises(PgiostatError) as raised:
        check_dsn(dsn)
    error = raised.value
    hint = (
        f'{FORM} To name only a database, write "dbname=…".' if mistake == mistakes.BARE else FORM
    )
    assert (error.message, error.detail, error.hint, error.slug, error.status) == (
        "invalid connection string",
        mistake,
        hint,
        "dsn-invalid",
        ExitStatus.USAGE,
    )


def test_a_user_of_a_variable_may_have_an_at_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGUSER", "a@tenant.example")
    assert check_dsn("host=db") == {"host": "db"}


@pytest.mark.parametrize(
    ("variable", "value", "mistake"),
    [
        ("PGHOST", "h;password=Zk7Q", mistakes.HOST),
        ("PGHOST", "postgresql://u:Zk7Q@h/db", mistakes.HOST),
        ("PGDATABASE", "postgresql://u:Zk7Q@h/db", mistakes.URI_IN_KEYWORD),
        ("PGUSER", "a;password=Zk7Q", mistakes.SEPARATOR),
        ("PGUSER", "u:Zk7Q", mistakes.USER),
        ("PGDATABASE", "Zk7Q@h", mistakes.DATABASE),
        ("PGHOST", "a..Zk7Q", mistakes.HOST_PART),
        ("PGPORT", "1;password=Zk7Q", mistakes.PORT),
        ("PGHOSTADDR", "Zk7Q", mistakes.ADDRESS),
        ("PGCONNECT_TIMEOUT", "Zk7Q", "The value of connect_timeout is not a number."),
    ],
)
def test_variables_are_checked_as_the_string_is(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, mistake: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(PgiostatError) as raised:
        check_dsn("sslmode=disable")
    assert (raised.value.detail, raised.value.hint) == (
        mistake,
        f"{FORM} It is the value of {variable}, or of a service file.",
    )


def test_a_service_says_host_and_port_and_is_checked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "services"
    file.write_text(
        "[good]\nhost=db.example\nport=6432\n[bad]\nhost=h;password=Zk7Q\n[worse]\npasword=Zk7Q\n"
    )
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    monkeypatch.setenv("PGHOST", "another")
    assert where(check_dsn("service=good")) == ("db.example", "6432")
    assert label_of("service=good") == "db.example_6432"
    assert label_of("service=good host=own") == "own_6432"
    for name, mistake in (
        ("bad", mistakes.HOST),
        ("worse", "A service file has a mistake in line 7."),
    ):
        with pytest.raises(PgiostatError) as raised:
            check_dsn(f"service={name}")
        assert raised.value.detail == mistake
        assert "Zk7Q" not in raised.value.report()


@pytest.mark.parametrize("by", ["string", "environment"])
def test_where_libpq_looked_for_a_service_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, by: str
) -> None:
    def refused() -> tuple[str | None, str | None]:
        with pytest.raises(PgiostatError) as raised:
            check_dsn("service=Zk7Q" if by == "string" else "")
        assert "Zk7Q" not in raised.value.report()
        return raised.value.detail, raised.value.hint

    if by == "environment":
        monkeypatch.setenv("PGSERVICE", "Zk7Q")
    monkeypatch.delenv("PGSERVICEFILE", raising=False)
    monkeypatch.delenv("PGSYSCONFDIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    own, here = tmp_path / ".pg_service.conf", tmp_path / "etc" / "pg_service.conf"
    unset = "pg_service.conf in its own configuration directory (no PGSYSCONFDIR)."
    told = "libpq looks for services in"
    assert refused() == (mistakes.SERVICE, f'{told} "{own}" (does not exist), then in {unset}')
    own.write_text("[other]\nhost=db\n")
    assert refused() == (mistakes.SERVICE, f'{told} "{own}", then in {unset}')
    own.write_text("[Zk7Q]\nhost=db\nZk7Q\n")
    assert refused() == (
        "A service file has a mistake in line 3.", f'{told} "{own}", then in {unset}',
    )  # fmt: skip
    own.unlink()
    monkeypatch.setenv("PGSYSCONFDIR", str(here.parent))
    assert refused() == (
        mistakes.SERVICE,
        f'{told} "{own}" (does not exist), then in "{here}" (by PGSYSCONFDIR, does not exist).',
    )
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    files = f'"{tmp_path}/services" (by PGSERVICEFILE, does not exist), then in "{here}"'
    assert refused() == (
        mistakes.SERVICE_FILE, f"{told} {files} (by PGSYSCONFDIR, does not exist).",
    )  # fmt: skip


# --- passwords of all kinds, in strings of all kinds -----------------------------------------

RAW = (
    "postgresql://app:{}@127.0.0.1:1/app",
    "postgres://app:{}@127.0.0.1:1,127.0.0.1:2/app?sslmode=disable",
    "postgresql://app:{}@[::1]:1/app?connect_timeout=2",
    "postgresql://127.0.0.1:1/app?user=app&password={}",
    "postgresql://127.0.0.1:1/app?password={}&connect_timeout=2",
    "postgresql://127.0.0.1:1?password={}",
    "postgresql://app:127.0.0.1:1/{}@app",
    "postgresql://127.0.0.1:1/app;password={}",
    "postgresql+psycopg://app:{}@127.0.0.1:1/app",
    "jdbc:postgresql://127.0.0.1:1/app?user=app&password={}",
    "app:{}@127.0.0.1:1/app",
    "127.0.0.1:1:app:app:{}",
    "host=127.0.0.1 port=1 user=app password={}",
    "host=127.0.0.1 port=1 password={} user=app connect_timeout=2",
    "password={} host=127.0.0.1 port=1",
    "host=127.0.0.1 port=1 password='{}' user=app",
    "host=127.0.0.1 port=1 password='{} user=app",
    'host=127.0.0.1 port=1 password="{}" user=app',
    "host=127.0.0.1 port=1 pasword={} user=app",
    "host=127.0.0.1 port=1 passfile=/none sslpassword={}",
    "host=127.0.0.1;port=1;password={}",
    "host=127.0.0.1;password={};port=1",
    "host=127.0.0.1,password={}",
    "host=127.0.0.1, port=1, password={}",
    "user=app;password={} host=127.0.0.1 port=1",
    "Server=127.0.0.1;Port=1;Database=app;User Id=app;Password={};",
    "Driver={{PostgreSQL}};Server=127.0.0.1;Uid=app;Pwd={};",
    "DATABASE_URL=postgresql://app:{}@127.0.0.1:1/app",
)
"""Strings with a password in them that somebody did not encode or quote."""
PASSWORDS = st.text(
    st.one_of(
        st.characters(min_codepoint=0x20, max_codepoint=0x7E),
        st.sampled_from("@/:?#%&=;, '\"\\[]"),
        st.sampled_from("éß€\u00a0\u2028日🔑"),
    ),
    min_size=4,
    max_size=24,
)


def leaks(password: str, form: str, outputs: str, *others: str) -> list[str]:
    """Return four letters of a password that are shown, and that nothing else explains."""
    innocent = "\n".join((form, *others))
    parts = (password[n : n + 4] for n in range(len(password) - 3))
    return [part for part in parts if part in outputs and part not in innocent]


def outputs_of(dsn: str, scratch: Path) -> str:
    """Return all that is made of a string which somebody may see."""
    seen = []
    log = LineHandler(io.StringIO())

    def tried(make: object) -> None:
        try:
            seen.append(f"{make() or ''}")  # type: ignore[operator] # each takes nothing
        except PgiostatError as error:
            seen.append(error.report())
            day = datetime(2026, 11, 30, tzinfo=UTC).timestamp()
            log.handle(makeLogRecord({"msg": error_line(error), "created": day}))

    file = scratch / "pgiostat.toml"
    escaped = dsn.replace("\\", "\\\\").replace('"', '\\"').replace("\x7f", "")
    file.write_text(f'[servers.a]\ndsn = "{escaped}"\n', "utf-8")
    tried(lambda: label_of(dsn))
    tried(lambda: where(check_dsn(dsn)))
    tried(lambda: shown_dsn(dsn) if check_dsn(dsn) else "")
    tried(lambda: targets([dsn], []))
    tried(lambda: read(file))
    file.write_text(f'[servers.a]\ndsn = "{dsn}"\n', "utf-8")
    tried(lambda: read(file))
    tried(lambda: reach(dsn).close() if _leads_here(dsn) else "")
    tried(lambda: targets([""], [dsn]) if is_dsn(dsn) else "")
    return "\n".join((*seen, log.stream.getvalue()))  # type: ignore[attr-defined] # a StringIO


KNOWN = "\n".join(
    (
        FORM,
        str(Path.cwd()),
        *(text for text in (vars(dsn_module) | vars(mistakes)).values() if isinstance(text, str)),
    )
)
"""What is shown whatever the string is."""


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dsn")


@settings(max_examples=400, deadline=None)
@given(form=st.sampled_from(RAW), password=PASSWORDS)
def test_no_part_of_a_password_is_shown(form: str, password: str, scratch: Path) -> None:
    dsn = form.format(password)
    plain = [outputs_of(f"host=127.0.0.1 port=1{more}", scratch) for more in ("", " user")]
    assert leaks(password, form, outputs_of(dsn, scratch), KNOWN, *plain) == []


def _leads_here(dsn: str) -> bool:
    """Return whether nobody else is asked: no name server, and no server of this machine."""
    host, port = where(check_dsn(dsn))
    return set(host.split(",")) <= {"127.0.0.1", "::1"} and set(port.split(",")) <= {"1", "2"}


def test_the_search_for_leaks_finds_them() -> None:
    assert leaks("s3cret", "host={}", "could not find s3cret") == ["s3cr", "3cre", "cret"]
    assert leaks("port=1", "port={}", "port") == []


# --- the command line -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["watch", "--once", "host=127.0.0.1", "port=1", "password=Zk7Q"],
        ["doctor", "host=127.0.0.1", "password=my", "Zk7Q"],
        ["host=127.0.0.1 password=Zk7Q"],
        ["postgresql://u:Zk7Q@h/db"],
        ["rules", "init", "host=h", "password=Zk7Q"],
        ["rules", "test", "Server=h;Password=Zk7Q"],
        ["rules", "test", "User Id=a;Password=Zk7Q"],
        ["rules", "test", "jdbc:postgresql://h/d?password=Zk7Q"],
        ["rules", "test", "u:Zk7Q@h/db"],
        ["collect", "host=h", "--label", "host=h password=Zk7Q"],
        ["collect", "host=h", "--history", "s3://key:Zk7Q@bucket"],
        ["report", "--history", "s3://key:Zk7Q@bucket/path"],
        ["report", "--history", "s3://key:Zk7Q/x@bucket/path"],
        ["report", "--history", "gs://bucket/path?X-Goog-Signature=Zk7Q"],
        ["report", "--history", "s3://bucket/path?Zk7Q"],
        ["report", "--history", "s3://bucket/p?endpoint_override=http://k:Zk7Q@h"],
        ["report", "--history", "postgresql://u:Zk7Q@h/db"],
        ["report", "--engine", "spark://u:Zk7Q"],
        ["report", "--engine", "sc:/h/;token=Zk7Q"],
        ["compare", "s3://key:Zk7Q@bucket", "b"],
    ],
)
def test_no_command_shows_a_secret_that_stands_in_a_wrong_place(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pgiostat.cli import main  # noqa: PLC0415

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    out = io.StringIO()
    monkeypatch.setattr("sys.argv", ["pgiostat", *arguments])
    monkeypatch.setattr("sys.stderr", out)
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("pgiostat.cli.process.leave", _leave)
    monkeypatch.setattr("pgiostat.cli.block_pandas", lambda: None)
    with pytest.raises(_LeftError) as left:
        main()
    assert left.value.status in {ExitStatus.ERROR, ExitStatus.USAGE}
    assert out.getvalue().startswith("pgiostat: error: ")
    assert "Zk7Q" not in out.getvalue()
    assert [path for path in tmp_path.rglob("*") if "Zk7Q" in path.name] == []


class _LeftError(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def _leave(status: int) -> None:
    raise _LeftError(status)
