"""A load of statements at fixed rates, in one session."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Event
from typing import Any

import psycopg

from pgiostat.lab.workload.pace import Request, send_paced

__all__ = ["Mode", "Query", "run", "up_to"]

Connection = psycopg.Connection[tuple[Any, ...]]
Parameters = Callable[[random.Random, float], Sequence[Any]]
"""Makes the parameters of a call. The number is the share of the keys that may be used."""


@dataclass(frozen=True, slots=True)
class Query:
    """A statement of a load.

    Attributes:
        text: The statement, with placeholders of psycopg.
        per_second: Calls per second.
        parameters: Makes the parameters of a call.
    """

    text: str
    per_second: int
    parameters: Parameters = lambda _dice, _share: ()


@dataclass(frozen=True, slots=True)
class Mode:
    """A kind of traffic.

    Attributes:
        per_second: Calls per second of the statements that differ from the usual traffic.
        share: The share of the keys that are used.
    """

    per_second: Mapping[str, int] = field(default_factory=dict)
    share: float = 1.0


def up_to(count: int) -> Parameters:
    """Return parameters with one key from 1 to a number."""
    return lambda dice, share: (dice.randint(1, max(1, int(count * share))),)


def run(
    dsn: str,
    stop: Event,
    traffic: Callable[[], str],
    queries: Mapping[str, Query],
    modes: Mapping[str, Mode],
) -> int:
    """Run statements on a schedule until a stop; return the number of calls.

    Args:
        dsn: The server, as the application.
        stop: Ends it.
        traffic: Returns the name of the mode; a name that is not in `modes` is the usual one.
        queries: The statements by name.
        modes: The kinds of traffic by name.
    """
    chance = random.Random(1)  # noqa: S311 - the same work each time, nothing secret
    with psycopg.connect(dsn, autocommit=True, application_name="load") as connection:

        def next_round() -> Sequence[Request]:
            mode = modes.get(traffic(), Mode())
            return [
                partial(_call, connection, query, mode.share)
                for name, query in queries.items()
                for _ in range(mode.per_second.get(name, query.per_second))
            ]

        return send_paced(next_round, stop, chance)


def _call(connection: Connection, query: Query, share: float, chance: random.Random) -> None:
    connection.execute(query.text.encode(), query.parameters(chance, share))
