"""Find the RDS instance or Aurora cluster of a host name."""

import re
from dataclasses import dataclass

from pgiostat.errors import ExitStatus, PgiostatError

__all__ = ["RdsPlace", "by_host", "named"]

_ENDPOINT = re.compile(
    r"(?P<id>[a-z][a-z0-9-]*)\.(?:(?P<kind>cluster|cluster-ro|cluster-custom|proxy)-)?[a-z0-9]+\."
    r"(?:(?P<region>[a-z]{2}(?:-[a-z]+)+-\d+)\.rds|rds\.(?P<china>cn-[a-z]+-\d+))"
    r"\.amazonaws\.com(?:\.cn)?\.?"
)
"""instance.x.region.rds.amazonaws.com, cluster.cluster-x…, cluster.cluster-ro-x…; in China
…rds.region.amazonaws.com.cn."""
_NAMED = re.compile(r"([a-z]{2}(?:-[a-z]+)+-\d+)/([A-Za-z][A-Za-z0-9-]{0,62})")


@dataclass(frozen=True, slots=True)
class RdsPlace:
    """A server by CloudWatch's dimensions: an instance, or a cluster of Aurora.

    Attributes:
        instance: Identifier; empty for a cluster.
        cluster: Identifier; empty for an instance.
        writer: Whether the address is that of the cluster's writer; a reader's address may lead to
            any of several instances.
    """

    region: str
    instance: str = ""
    cluster: str = ""
    writer: bool = False

    def __str__(self) -> str:
        """Return it as people write it."""
        what = f"cluster {self.cluster}" if self.cluster else self.instance
        return f"{what} in {self.region}"


def by_host(host: str) -> RdsPlace | None:
    """Return the place of a host name; None if it is not of RDS, or of a proxy in front of it.

    >>> print(by_host("db-1.abc123.eu-west-1.rds.amazonaws.com"))
    db-1 in eu-west-1
    >>> print(by_host("app.cluster-ro-abc123.us-gov-west-1.rds.amazonaws.com"))
    cluster app in us-gov-west-1
    >>> print(by_host("db.example.com"))
    None
    """
    found = _ENDPOINT.fullmatch(host.lower())
    if found is None or found["kind"] in {"proxy", "cluster-custom"}:
        return None
    region = found["region"] or found["china"]
    if found["kind"]:
        return RdsPlace(region, cluster=found["id"], writer=found["kind"] == "cluster")
    return RdsPlace(region, instance=found["id"])


def named(words: str) -> RdsPlace:
    """Return the place of an option: region/instance, or a host name of an instance or a cluster.

    Raises:
        PgiostatError: option-invalid.
    """
    found = _NAMED.fullmatch(words)
    place = RdsPlace(found[1], instance=found[2].lower()) if found else by_host(words)
    if place is None:
        raise PgiostatError(
            f'invalid value for cloudwatch: "{words}"',
            hint='Write it like "eu-west-1/db-1", the host name of the RDS instance, or "none".',
            slug="option-invalid",
            status=ExitStatus.USAGE,
        )
    return place
