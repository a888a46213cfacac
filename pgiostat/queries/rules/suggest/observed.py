"""The statements of a server, observed once: what suggested rules are measured on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from pgiostat.analysis.rank import By, RankRow, rank
from pgiostat.queries.features import tag_pairs
from pgiostat.queries.rules.classifier import Classifier
from pgiostat.queries.rules.conditions import Subject
from pgiostat.statistics.capabilities import grant, hidden_from
from pgiostat.statistics.delta import Delta
from pgiostat.statistics.names import OWN, Describe, Names, Statement, StatementKey

__all__ = ["Observation", "ObservedStatement", "Observer", "observation"]


@dataclass(frozen=True, slots=True)
class ObservedStatement:
    """A statement with its cost since the last reset.

    Attributes:
        subject: What rules match.
        is_ruled: Whether a rule gives it its category.
        tags: Pairs in its comments.
    """

    subject: Subject
    is_ruled: bool
    tags: Mapping[str, str]
    blocks: int
    calls: int


@dataclass(frozen=True, slots=True)
class Observation:
    """The statements of a server since the last reset, the greatest reads first.

    Attributes:
        blocks: Blocks read of which statements have shares.
        is_sync: Whether the preset sync is in force.
        since: When the counters were reset; None if unknown.
        missing: Why statements are missing; empty if none is.
        dbname: The connected database, which the catalog is of; empty if it is unknown.
    """

    statements: tuple[ObservedStatement, ...] = ()
    blocks: int = 0
    is_sync: bool = False
    since: datetime | None = None
    missing: str = ""
    dbname: str = ""

    def of_database(self) -> "Observation":
        """Return the statements of the connected database alone, and shares of their blocks."""
        if not self.dbname:
            return self
        kept = tuple(each for each in self.statements if each.subject.database == self.dbname)
        others = sum(each.blocks for each in self.statements) - sum(each.blocks for each in kept)
        return replace(self, statements=kept, blocks=self.blocks - others)


class Observer:
    """Describes statements, and keeps what rules match: it is a `Describe`.

    Args:
        describe: Describes a statement.
        classifier: That which it uses: each text is read once.
    """

    def __init__(self, describe: Describe, classifier: Classifier) -> None:
        self._describe, self._classifier = describe, classifier
        self.subjects: dict[tuple[str, str, int], tuple[Subject, Mapping[str, str]]] = {}

    def __call__(self, text: str | bytes, *, user: str, database: str, queryid: int) -> Statement:
        """Return the description of a statement."""
        normalized, features = self._classifier.read(text)
        subject = Subject(
            features, normalized.fingerprint, normalized.text, user, database, queryid
        )
        self.subjects[user, database, queryid] = subject, tag_pairs(text)
        return self._describe(text, user=user, database=database, queryid=queryid)


def observation(delta: Delta, names: Names, observer: Observer) -> Observation:
    """Return the statements of a snapshot; not those of pgiostat, and none without a text.

    Args:
        delta: All that was counted since the last reset.
        names: The meaning of its ids, as the observer described them.
        observer: Its subjects.
    """
    ranking = rank([delta], names, by=By.STATEMENT)
    found = (_observed(row, names, observer) for row in ranking.rows if row.queryid is not None)
    preset, newer = ranking.preset, delta.newer
    user = newer.server.user
    return Observation(
        statements=tuple(each for each in found if each is not None),
        blocks=ranking.whole,
        is_sync=preset is not None and preset.name == "sync",
        since=newer.markers.statements_reset,
        missing=f"{hidden_from(user)}: {grant(user)}" if newer.masked else "",
        dbname=newer.server.dbname,
    )


def _observed(row: RankRow, names: Names, observer: Observer) -> ObservedStatement | None:
    queryid, dbid, userid = map(int, row.key)
    key: StatementKey = (userid, dbid, queryid)
    known = names.described(key)
    found = observer.subjects.get((names.role(userid), names.database(dbid), queryid))
    if found is None or known.category == OWN:
        return None
    subject, tags = found
    is_ruled = known.category != known.action
    return ObservedStatement(subject, is_ruled, tags, row.cost.blocks, row.cost.calls or 0)
