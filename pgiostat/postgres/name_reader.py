"""Read the names of statements, databases, roles and relations as they appear in intervals."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from pgiostat.errors import PgiostatError
from pgiostat.postgres.base_tables import BaseTables
from pgiostat.postgres.own_statements import Own
from pgiostat.postgres.snapshot_reader import SnapshotReader
from pgiostat.statistics.delta import Delta
from pgiostat.statistics.names import OTHER, OWN, Describe, Names, Statement, StatementKey
from pgiostat.statistics.snapshot import Snapshot
from pgiostat.unexpected import as_error

__all__ = ["MAX_STALE_NAMES", "NameReader", "NamesInUse", "add_names"]

TEXTS_EVERY_SECONDS = 10.0
TEXTS_AFTER_FAILURE_SECONDS = 60.0
TEXTS_AT_ONCE_SHARE = 0.005
TEXTS_PER_REQUEST = 3
NAMES_EVERY_SECONDS = 60.0
"""Maximum age of names of databases, roles and relations: they may be renamed."""
EVICTED = "its entry was evicted before its text was read"
OWN_REQUESTED = 5
"""How often new statements of our own role cause an immediate request.

Our own statements are few and soon known. Other users of the same role must not cause a request in
every interval.
"""
MAX_STALE_NAMES = 50_000
"""Number of names that are kept after what they name has disappeared."""

NamesInUse = Callable[[], tuple[Collection[StatementKey], Collection[int]]]
"""Returns statements and relations with names that are needed even after they disappear."""


Complete = Callable[[Mapping[StatementKey, Statement]], Mapping[StatementKey, Statement]]
"""Returns descriptions of statements with what their texts do not say."""


def add_names(
    names: Names,
    describe: Describe,
    texts: Mapping[StatementKey, str | bytes],
    own: Own,
    complete: Complete = dict,
) -> PgiostatError | None:
    """Describe statements by their texts and remember what they are, our own as such.

    Args:
        names: Where they are remembered.
        describe: Describes a text.
        texts: The texts.
        own: Which statements are ours.
        complete: Adds to the descriptions what the catalog says.

    Returns:
        The error of a text that could not be described: it costs that text alone.
    """
    failed = None
    described: dict[StatementKey, Statement] = {}
    for key, text in texts.items():
        userid, dbid, queryid = key
        user, database = names.role(userid), names.database(dbid)
        try:
            statement = describe(text, user=user, database=database, queryid=queryid)
        except Exception as error:  # noqa: BLE001 - one text must not cost all snapshots
            statement = Statement("", "", OTHER)
            failed = as_error(error)
        if own.includes(userid, dbid, text):
            statement = replace(statement, category=OWN)
        described[key] = statement
    for key, statement in complete(described).items():
        before = names.statements.get(key)
        names.add(key, statement)
        if before is not None and not before.text:
            names.drop_texts([key])  # somebody else has the text
    return failed


def _renamed(before: Mapping[int, str], after: Mapping[int, str]) -> set[int]:
    """Return the oids that had another name before."""
    return {oid for oid, name in after.items() if before.get(oid, name) != name}


@dataclass(slots=True)
class NameReader:
    """Keeps the names of one server, and decides when to request new and old ones.

    Attributes:
        names: Names by id; filled as statements appear.
        describe: Finds the category of a statement.
        clock: Monotonic clock in seconds.
        max_stale_names: Number of names kept after their statement or relation disappears.
        names_in_use: Returns statements and relations with names that are never dropped.
        texts_due: When texts are requested again, by the clock; 0 is at once.
        base_tables: The tables behind views and partitions; None if nothing is ranked by table.
        texts_error: Why texts of statements are missing.
    """

    names: Names
    describe: Describe
    clock: Callable[[], float]
    max_stale_names: int
    names_in_use: NamesInUse
    base_tables: BaseTables | None = None
    texts_due: float = 0.0
    texts_error: PgiostatError | None = None
    _room: int = 0
    _pending: dict[StatementKey, int] = field(default_factory=dict)
    _names_due: float = 0.0
    _own_requested: int = 0

    def turn_to_another(self, newer: Snapshot) -> None:
        """Look at all names again: ids may mean something else on the server that answers now.

        Statements without a text here are dropped: a history holds their texts, and these belong
        to the other server.
        """
        names = self.names
        names.statements = {key: each for key, each in names.statements.items() if each.text}
        names.unreadable = {}
        if self.base_tables is not None:
            self.base_tables = BaseTables()
        self._pending = dict.fromkeys(names.statements.keys() & newer.living, 0)
        self.texts_due = self._names_due = 0.0

    def learn(self, collector: SnapshotReader, delta: Delta, interval: float) -> None:
        """Request the names in an interval that are unknown or old."""
        if delta.seconds is None:
            return
        rows = delta.statements.rows
        dbids, userids = set(rows["dbid"].tolist()), set(rows["userid"].tolist())
        relids = set(delta.relations.rows["relid"].tolist())
        # The next look must come before a name may be older.
        is_due = self.clock() + interval > self._names_due
        if is_due:
            self._names_due = self.clock() + NAMES_EVERY_SECONDS
        names = self.names
        if is_due or not dbids <= names.databases.keys():
            self.read_databases(collector)
        if is_due or not userids <= names.roles.keys():
            self.read_roles(collector)
        requested = relids if is_due else relids - names.relations.keys()
        if is_due:
            requested |= set(self.names_in_use()[1])
        if requested:
            relations, index_names = collector.relations(sorted(requested))
            names.relations = names.relations | relations
            names.index_names = names.index_names | index_names
        self._learn_texts(collector, delta)
        self._forget(delta.newer)

    def read_databases(self, collector: SnapshotReader) -> None:
        """Read the names of databases; texts of a renamed one are requested again."""
        found = collector.databases()
        self._describe_again(_renamed(self.names.databases, found), place=1)
        self.names.databases = self.names.databases | found  # what was dropped keeps its name

    def read_roles(self, collector: SnapshotReader) -> None:
        """Read the names of roles; texts of a renamed one are requested again."""
        found = collector.roles()
        self._describe_again(_renamed(self.names.roles, found), place=0)
        self.names.roles = self.names.roles | found

    def _describe_again(self, oids: Collection[int], place: int) -> None:
        """Request texts again after their role or database was renamed: rules may depend on it.

        Args:
            oids: What was renamed.
            place: Index of such an oid in the key of a statement.
        """
        if oids:
            again = [key for key in self.names.statements if key[place] in oids]
            self._pending.update(dict.fromkeys(again, 0))
            self.texts_due = 0.0

    def _learn_texts(self, collector: SnapshotReader, delta: Delta) -> None:
        """Request texts of unknown statements: at once if they read much, otherwise now and then.

        The server reads its whole file of texts for any of them.
        """
        rows = delta.statements.rows
        blocks = (rows["shared_blks_read"] + rows["local_blks_read"]).tolist()
        unread = 0
        ours = False  # texts distinguish our own statements from others of our role
        for userid, dbid, queryid, masked, read in zip(
            rows["userid"].tolist(),
            rows["dbid"].tolist(),
            rows["queryid"].tolist(),
            rows["masked"].tolist(),
            blocks,
            strict=True,
        ):
            key = (userid, dbid, queryid)
            if not masked and key not in self.names.statements:
                # Remembered: it may not run any more when its text is requested.
                self._pending.setdefault(key, 0)
                # Unreadable texts are requested again, but not sooner because of their reads.
                if key not in self.names.unreadable:
                    unread += read
                    ours |= userid == delta.newer.server.userid
        now = self.clock()
        matters = unread > TEXTS_AT_ONCE_SHARE * sum(blocks)
        if ours and self._own_requested < OWN_REQUESTED:
            self._own_requested += 1
            matters = True
        if not self._pending or (
            now < self.texts_due and not (matters and self.texts_error is None)
        ):
            return
        try:
            batch = collector.texts(self._pending)
        except PgiostatError as error:
            if error.slug == "connection-lost":
                raise
            # The counters are safe; only names are missing.
            if error.slug == "texts-unreadable":
                self._note_unreadable(dict.fromkeys(self._pending, error.detail or error.message))
            self.texts_error = error
            self.texts_due = now + TEXTS_AFTER_FAILURE_SECONDS
            return
        complete: Complete = dict
        if self.base_tables is not None:
            complete = partial(self.base_tables.apply, collector, delta.newer.server.dbid)
        not_described = add_names(self.names, self.describe, batch.texts, collector.own, complete)
        self.texts_error = batch.error or not_described
        self._note_unreadable(batch.unreadable)
        failed = bool(batch.unreadable) and not batch.texts
        self.texts_due = now + (TEXTS_AFTER_FAILURE_SECONDS if failed else TEXTS_EVERY_SECONDS)
        # A missing text did not fit into the batch, or was evicted: it is requested again, but only
        # a few times, unless the statement runs again.
        left = {
            key: requested + 1 for key, requested in self._pending.items() if key not in batch.texts
        }
        self._pending = {
            key: requested for key, requested in left.items() if requested < TEXTS_PER_REQUEST
        }
        self._note_unreadable(dict.fromkeys(left.keys() - self._pending.keys(), EVICTED))

    def _note_unreadable(self, reasons: Mapping[StatementKey, str]) -> None:
        """Keep why texts of statements could not be read; one that was read before is known."""
        known, unreadable = self.names.statements, self.names.unreadable
        for key, reason in reasons.items():
            if key not in known:
                unreadable.setdefault(key, reason)

    def _forget(self, newer: Snapshot) -> None:
        """Keep names of what is there or needed, when there are many others."""
        names, pending = self.names, self._pending
        if self._known() <= self._room + self.max_stale_names:
            return
        living = newer.living
        statements, relations = self.names_in_use()
        names.retain(living.union(statements), {*newer.relations["relid"].tolist(), *relations})
        self._pending = {key: requested for key, requested in pending.items() if key in living}
        self._room = self._known()

    def _known(self) -> int:
        """Return how many names are kept, and reasons why there is none."""
        names = self.names
        statements = len(names.statements) + len(names.unreadable) + len(self._pending)
        return statements + len(names.relations)
