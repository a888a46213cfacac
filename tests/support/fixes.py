"""The fixing statements of doctor, run as they are printed."""

from threading import Event

from pgiostat.postgres.doctor import (
    CheckState,
    Finding,
    examine,
    findings,
)
from tests.support.servers import Server
from tests.support.workloads import client

OF_RELEASE = frozenset({"release", "security", "crash", "numbers", "support"})
"""Aspects that depend on the minor release of the server that a test happens to have."""


def examined(dsn: str) -> tuple[Finding, ...]:
    """Return the findings of a server, without those of its release."""
    found = findings(examine(dsn, wait=lambda _: None))
    return tuple(each for each in found if each.aspect not in OF_RELEASE)


def findings_of(dsn: str, aspect: str) -> list[Finding]:
    return [each for each in examined(dsn) if each.aspect == aspect]


def mended(server: Server, aspect: str, *, by: str = "", asks: str = "") -> Finding:
    """Run what mends a finding, as a person would; return what is found afterwards.

    by, asks: connection strings of who mends and of who asks, if not the server's own.
    """
    (before,) = findings_of(asks or server.dsn(), aspect)
    assert before.state in {CheckState.WARNING, CheckState.ERROR, CheckState.NOTE}
    carried_out(server, before.fix, by=by)
    found = findings_of(asks or server.dsn(), aspect)
    return found[0] if found else Finding(aspect, CheckState.OK, "no longer found")


def carried_out(server: Server, mend: str, *, by: str = "") -> None:
    """Run statements one by one, as psql does with a line of them, and heed the comment."""
    statements, _, comment = mend.partition("--")
    before = loaded(server)
    with client(by or server.dsn()) as other:
        for statement in filter(None, map(str.strip, statements.split(";"))):
            other.execute(statement.encode())
    if "restart" in comment:
        server.stop()
        server.start()
    elif "pg_reload_conf" in statements:
        while loaded(server) == before:  # the server is told by a signal
            Event().wait(0.02)


def loaded(server: Server) -> object:
    """Return when the server last read its configuration."""
    with client(server.dsn()) as other:
        return other.execute("SELECT pg_conf_load_time()").fetchone()
