"""URIs of object stores and of engines, as they may be shown: without what may be secret.

A URI may have a key before its host, a signature after "?", and a token after ";".
"""

import re
from collections.abc import Iterator
from urllib.parse import unquote_plus

__all__ = ["has_password", "shown", "without"]

HIDDEN = "***"
UNSAID = "The reason is not shown: it quotes a part of the URI that may be secret."
PLAIN = frozenset({"endpoint_override", "region", "scheme"})
"""Parameters that are no secrets."""
SHORTEST_SECRET = 4
"""What is shorter occurs anywhere by chance."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):/{1,2}")
_HOST = re.compile(r"(?:\[[^\]]*\]|[^:\[\]]*)(?::\d*)?")
_NAMED_USERS = frozenset({"gs", "gcs", "abfs", "abfss", "hdfs"})
"""Schemes whose user is a name: a container of Azure's, or anonymous."""


def shown(uri: str) -> str:
    """Return a URI without password, parameters and fragment; a path of this machine as it is.

    >>> shown("s3://metrics/pgiostat?region=eu-west-1"), shown("/var/lib/pgiostat")
    ('s3://metrics/pgiostat', '/var/lib/pgiostat')
    >>> shown("s3://AKIA:s3cret@metrics/pgiostat"), shown("s3://AKIA:s3/cret@metrics/pgiostat")
    ('s3://***@metrics/pgiostat', 's3://***')
    >>> shown("sc://spark:15002/;token=s3cret"), shown("abfs://c@account.dfs.core.windows.net/p")
    ('sc://spark:15002', 'abfs://c@account.dfs.core.windows.net/p')
    """
    scheme = _SCHEME.match(uri)
    if scheme is None:
        return uri
    place, parameters = _parted(uri)
    authority, slash, path = place.removeprefix(scheme[0]).partition("/")
    user, at, host = authority.rpartition("@")
    # A password that is not encoded ends the authority too early.
    is_cut = ":" in authority and "@" in path + parameters
    if is_cut or not _HOST.fullmatch(host):
        return f"{scheme[0]}{HIDDEN}"
    if at and (":" in user or scheme[1] not in _NAMED_USERS):
        user = HIDDEN
    return f"{scheme[0]}{user}{at}{host}{slash}{path}"


def has_password(uri: str) -> bool:
    """Return whether there is a password in a URI, or what may be one, before its parameters."""
    return HIDDEN in shown(uri)


def without(reason: str, uri: str) -> str:
    """Return why something failed, if it quotes no part of a URI that may be secret.

    >>> without("no such bucket: metrics", "s3://metrics?region=eu-west-1")
    'no such bucket: metrics'
    >>> without("bad token: s3cret", "sc://spark/;token=s3cret")
    'The reason is not shown: it quotes a part of the URI that may be secret.'
    """
    return UNSAID if any(secret in reason for secret in _secrets(uri)) else reason


def _parted(uri: str) -> tuple[str, str]:
    """Return what comes before the parameters, and the parameters; Spark Connect's follow ";"."""
    ends = r"/?;|[?#]" if uri.startswith("sc:") else r"[?#]"
    found = re.search(ends, uri)
    return (uri[: found.start()], uri[found.end() :]) if found else (uri, "")


def _secrets(uri: str) -> Iterator[str]:
    """Yield parts of a URI that may be secret, as they are written and as they are meant."""
    place, parameters = _parted(uri)
    parts = [pair for pair in re.split(r"[&;#]", parameters) if pair]
    values = [
        value or name for name, _, value in (p.partition("=") for p in parts) if name not in PLAIN
    ]
    if has_password(uri):
        values += re.split(r"[/:@]+", place)[1:] + re.split(r"[/:@?&=;#]+", parameters)
    for value in values:
        if len(value) >= SHORTEST_SECRET:
            yield value
            yield unquote_plus(value)
