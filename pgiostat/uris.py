"""URIs of object stores and engines for output: without possible secrets.

A URI may have a key before its host, a signature after "?", and a token after ";".
"""

import re
from collections.abc import Iterator
from urllib.parse import unquote_plus

from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.redaction import HIDDEN, has_credentials, may_hold_secret

__all__ = ["check", "has_password", "shown", "without"]

REASON_HIDDEN = "The reason is hidden: it quotes a part of the URI that may be secret."
PLAIN = frozenset({"endpoint_override", "region", "scheme"})
"""Parameters that are no secrets."""
SHORTEST_SECRET = 4
"""What is shorter occurs anywhere by chance."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):/{1,2}")
_HOST = re.compile(r"(?:\[[^\]]*\]|[^:\[\]]*)(?::\d*)?")
_SECRET_NAME = re.compile(r"sig|secret|token|key|passw|x-(?:amz|goog)-", re.IGNORECASE)
"""Parts of the names of parameters that hold a signature, a key or a token."""
_NAMED_USERS = frozenset({"gs", "gcs", "abfs", "abfss", "hdfs"})
"""Schemes with a public user name: a container of Azure, or anonymous."""


def shown(uri: str) -> str:
    """Return a URI without password, parameters and fragment; a path of this machine as it is.

    What may be a URI with a mistake and with a password is not shown.

    >>> shown("s3://metrics/pgiostat?region=eu-west-1"), shown("/var/lib/pgiostat")
    ('s3://metrics/pgiostat', '/var/lib/pgiostat')
    >>> shown("s3://AKIA:s3cret@metrics/pgiostat"), shown("s3://AKIA:s3/cret@metrics/pgiostat")
    ('s3://***@metrics/pgiostat', 's3://***')
    >>> shown("sc://spark:15002/;token=s3cret"), shown("abfs://c@account.dfs.core.windows.net/p")
    ('sc://spark:15002', 'abfs://c@account.dfs.core.windows.net/p')
    >>> shown("AKIA:s3cret@metrics"), shown("s3:///AKIA:s3cret@metrics")
    ('***', 's3://***')
    """
    scheme = _SCHEME.match(uri)
    if scheme is None:
        return HIDDEN if may_hold_secret(uri) else uri
    place, parameters = _parted(uri)
    authority, slash, path = place.removeprefix(scheme[0]).partition("/")
    user, at, host = authority.rpartition("@")
    # A password that is not encoded ends the authority too early.
    is_cut = ":" in authority and "@" in path + parameters
    places = user.replace("@", ""), f"{host}{slash}{path}".lstrip("/")
    if is_cut or not _HOST.fullmatch(host) or any(map(has_credentials, places)):
        return f"{scheme[0]}{HIDDEN}"
    if at and (":" in user or scheme[1].lower() not in _NAMED_USERS):
        user = HIDDEN
    return f"{scheme[0]}{user}{at}{host}{slash}{path}"


def has_password(uri: str) -> bool:
    """Return whether there is a password in a URI, or what may be one, before its parameters."""
    return HIDDEN in shown(uri)


def check(uri: str) -> None:
    """Raise PgiostatError option-invalid for a URI of a store that has a secret in it.

    All who may list processes could read it, and what reads stores quotes it in errors.
    """
    _, parameters = _parted(uri)
    names = (part.partition("=")[0] for part in re.split(r"[&;#]", parameters))
    if has_password(uri) or any(_SECRET_NAME.search(name) for name in names):
        raise PgiostatError(
            f'there is a password, a key or a signature in the URI "{shown(uri)}"',
            hint="Provide credentials as for the tools of the object store: in the environment"
            " or in a file.",
            slug="option-invalid",
            status=ExitStatus.USAGE,
        )


def without(reason: str, uri: str) -> str:
    """Return why something failed, if it quotes no part of a URI that may be secret.

    >>> without("no such bucket: metrics", "s3://metrics?region=eu-west-1")
    'no such bucket: metrics'
    >>> without("bad token: s3cret", "sc://spark/;token=s3cret")
    'The reason is hidden: it quotes a part of the URI that may be secret.'
    """
    return REASON_HIDDEN if any(secret in reason for secret in _secrets(uri)) else reason


def _parted(uri: str) -> tuple[str, str]:
    """Return what comes before the parameters, and the parameters; Spark Connect's follow ";"."""
    ends = r"/?;|[?#]" if uri.lower().startswith("sc:") else r"[?#]"
    found = re.search(ends, uri)
    return (uri[: found.start()], uri[found.end() :]) if found else (uri, "")


def _secrets(uri: str) -> Iterator[str]:
    """Yield words of a URI that may be secret; another may write what is between them otherwise."""
    place, parameters = _parted(uri)
    parts = (part.partition("=") for part in re.split(r"[&;#]", parameters))
    values = [value or name for name, _, value in parts if name not in PLAIN]
    if has_password(uri):
        values += [place.partition(":")[2], parameters]
    for value in values:
        yield from re.findall(rf"\w{{{SHORTEST_SECRET},}}", unquote_plus(value))
