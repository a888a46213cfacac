"""Requests on a schedule, each round of them in a second."""

import random
import time
from collections.abc import Callable, Sequence
from threading import Event
from typing import TypeAlias

__all__ = ["Request", "send_paced"]

Request: TypeAlias = Callable[[random.Random], object]
"""Sends one request; the argument chooses what of."""


def send_paced(
    next_round: Callable[[], Sequence[Request]], stop: Event, chance: random.Random
) -> int:
    """Send rounds of requests until a stop; return the number of answered requests.

    A delay of more than a second is not made up for.

    Args:
        next_round: Returns the requests of the next second.
        stop: Ends the traffic, also within a round.
        chance: The order of the requests, and their choices.
    """
    answered = 0
    due = time.monotonic()
    while not stop.is_set():
        requests = list(next_round())
        chance.shuffle(requests)
        for request in requests:
            request(chance)
            answered += 1
            due = max(due + 1 / len(requests), time.monotonic() - 1)
            if stop.wait(max(0.0, due - time.monotonic())):
                break
    return answered
