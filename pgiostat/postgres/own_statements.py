"""Recognise our own statements among those of a server."""

import re
from dataclasses import dataclass
from functools import lru_cache

from pgiostat.postgres.sent_sql import SentSql, is_plan_query
from pgiostat.queries.fingerprint import fingerprint, is_own
from pgiostat.queries.fingerprint.lexer import decode

__all__ = ["MIN_SHOWN", "Own"]

MIN_SHOWN = 99
"""Bytes of a statement that pg_stat_activity shows at least (track_activity_query_size - 1)."""

_PARAMETER = re.compile(r"%\(\w+\)s|%s")

_fingerprint = lru_cache(maxsize=256)(fingerprint)
"""Servers of one version are sent the same statements."""


def _as_sent(text: str) -> str:
    """Return a statement as psycopg sends it: each parameter has a number, by its first place.

    >>> _as_sent("a %(x)s b %(y)s c %(x)s d %%")
    'a $1 b $2 c $1 d %'
    """
    numbers: dict[str, int] = {}
    numbered = _PARAMETER.sub(
        lambda found: f"${numbers.setdefault(found[0], len(numbers) + 1)}", text
    )
    return numbered.replace("%%", "%") if numbers else text


@dataclass(frozen=True, slots=True)
class Own:
    """Which entries of pg_stat_statements are ours.

    Our mark alone proves nothing: anybody can write it, and would vanish from the ranking. An
    entry is ours if our role ran it in our database and its text is one that we send.

    Attributes:
        userid: Our role.
        dbid: The database that we are connected to.
        fingerprints: Those of all statements that we send to this server.
        texts: These statements as the server gets them.
    """

    userid: int
    dbid: int
    fingerprints: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()

    @classmethod
    def of(cls, userid: int, dbid: int, sent: SentSql) -> "Own":
        """Return what recognises the statements of one session."""
        texts = frozenset(_as_sent(text) for _, text in sent.by_name())
        return cls(userid, dbid, frozenset(map(_fingerprint, texts)), texts)

    def includes(self, userid: int, dbid: int, text: str | bytes) -> bool:
        """Return whether an entry of this role and database with this text is ours."""
        return (
            userid == self.userid
            and dbid == self.dbid
            and is_own(text)
            and (fingerprint(text) in self.fingerprints or is_plan_query(decode(text)))
        )

    def is_running(self, userid: int, dbid: int, text: str) -> bool:
        """Return whether a statement in flight is ours.

        pg_stat_activity shows it as it was sent, constants and all, and cuts it off: a text that
        is only alike is somebody else's.
        """
        return (
            userid == self.userid
            and dbid == self.dbid
            and any(
                sent == text or (len(text) >= MIN_SHOWN and sent.startswith(text))
                for sent in self.texts
            )
        )
