"""The tables and the statements of a server, for the commands of `pgiostat rules`."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pgiostat.errors import PgiostatError
    from pgiostat.postgres.since_reset import TotalsSinceReset
    from pgiostat.queries.rules import RuleBook
    from pgiostat.queries.rules.suggest import CatalogTable, Observation, Suggestions
    from pgiostat.render.rules_survey import Survey

__all__ = ["suggest_for", "survey_of"]


def suggest_for(dsn: str, book: "RuleBook") -> "tuple[str, Suggestions]":
    """Return the label of a server, and what is suggested for it.

    Args:
        dsn: The server.
        book: The rules in force.

    Raises:
        PgiostatError: As `connect`, `catalog` and `totals_since_reset` raise it.
    """
    from pgiostat.queries.rules.suggest import suggestions

    label, tables = _tables(dsn)
    return label, suggestions(tables, _observed(dsn, book)[1])


def survey_of(dsn: str, book: "RuleBook", top: int) -> "tuple[Survey, PgiostatError | None]":
    """Return a server's statements by category, with rules for those that match no rule.

    Args:
        dsn: The server.
        book: The rules in force.
        top: Number of statements that match no rule.

    Returns:
        The survey, and why some statements have no text.

    Raises:
        PgiostatError: As `connect`, `catalog` and `totals_since_reset` raise it.
    """
    from pgiostat.analysis.rank import By, rank
    from pgiostat.queries.rules.suggest import proposals
    from pgiostat.render.rules_survey import Survey

    totals, statements = _observed(dsn, book)
    tables = _tables(dsn)[1]
    rows = rank([totals.delta], totals.names, by=By.FINGERPRINT).rows
    examples: dict[str, str] = {}
    for row in rows:
        examples.setdefault(row.category, row.name)
    survey = Survey(
        totals.delta.newer,
        rank([totals.delta], totals.names),
        examples,
        proposals(rows, tables, statements, top),
    )
    return survey, totals.texts_error


def _tables(dsn: str) -> "tuple[str, list[CatalogTable]]":
    from pgiostat.postgres.catalog import catalog
    from pgiostat.postgres.session import connect

    session = connect(dsn)
    try:
        return session.server.label, catalog(session)
    finally:
        session.close()


def _observed(dsn: str, book: "RuleBook") -> "tuple[TotalsSinceReset, Observation]":
    from pgiostat.postgres.since_reset import totals_since_reset
    from pgiostat.queries.describe import describer
    from pgiostat.queries.rules import Classifier
    from pgiostat.queries.rules.suggest import Observer, observation

    classifier = Classifier(book.rules, book.if_sync)
    observer = Observer(describer(book, classifier), classifier)
    totals = totals_since_reset(dsn, observer)
    return totals, observation(totals.delta, totals.names, observer)
