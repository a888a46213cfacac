"""Totals since a baseline, by statement and relation, in bounded memory."""

from collections.abc import Container, Hashable, Sequence
from dataclasses import dataclass, field
from itertools import compress, islice
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from pgiostat.analysis.cost import FIELDS, blocks_of
from pgiostat.statistics.columnar import Counts

__all__ = ["KEPT_GONE", "SPARE", "RunningTotals"]

KEPT_GONE = 2_000
"""Entries kept after their statement disappears from the server: those with the most reads."""
SPARE = 2_000
"""New entries before the next search for entries that disappeared."""
_MARKS = 1 << 23

K = TypeVar("K", bound=Hashable)


def _nothing() -> Counts:
    return np.zeros((len(FIELDS), 0), dtype=np.int64)


@dataclass(slots=True)
class _Marks:
    """What was forgotten, in a mebibyte: whoever was is known, and hardly anyone who was not."""

    _bits: bytearray = field(default_factory=lambda: bytearray(_MARKS >> 3))

    def add(self, key: Hashable) -> None:
        number = hash(key) % _MARKS
        self._bits[number >> 3] |= 1 << (number & 7)

    def __contains__(self, key: Hashable) -> bool:
        number = hash(key) % _MARKS
        return bool(self._bits[number >> 3] & 1 << (number & 7))


@dataclass(slots=True)
class RunningTotals(Generic[K]):
    """Amounts by key: as large as there are different ones, until some are forgotten."""

    _places: dict[K, int] = field(default_factory=dict)
    _amounts: Counts = field(default_factory=_nothing)
    _uncertain: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))
    _forgotten: _Marks | None = None
    _room: int = KEPT_GONE

    def __len__(self) -> int:
        return len(self._places)

    @property
    def keys(self) -> list[K]:
        """What there are amounts of."""
        return list(self._places)

    @property
    def amounts(self) -> Counts:
        """A matrix of FIELDS with a column for each; it does not change when more is added."""
        return self._amounts[:, : len(self)].copy()

    @property
    def uncertain(self) -> list[bool]:
        """Which of them are uncertain: by what was added, or because part may be forgotten."""
        listed: list[bool] = self._uncertain[: len(self)].tolist()
        return listed

    def add(self, keys: Sequence[K], amounts: Counts, uncertain: Sequence[bool]) -> None:
        """Add columns; a key may be in them more than once, as hidden statements are."""
        before = len(self)
        places = self._places
        at = np.array([places.setdefault(key, len(places)) for key in keys], dtype=np.intp)
        missing = len(self) - self._amounts.shape[1]
        if missing > 0:
            room = max(missing, self._amounts.shape[1])
            self._amounts = np.pad(self._amounts, ((0, 0), (0, room)))
            self._uncertain = np.pad(self._uncertain, (0, room))
        for sums, values in zip(self._amounts, amounts, strict=True):
            np.add.at(sums, at, values)
        self._uncertain[at[np.array(uncertain, dtype=bool)]] = True
        if self._forgotten is not None:
            for place, key in enumerate(islice(places, before, None), before):
                self._uncertain[place] |= key in self._forgotten

    @property
    def is_full(self) -> bool:
        """Whether it is time to look who has gone."""
        return len(self) > self._room + SPARE

    def forget(self, living: Container[K]) -> tuple[list[K], Counts, list[bool]]:
        """Forget most of those that do not live; return them, with what they amounted to.

        An entry that comes back restarts at zero, and is uncertain.
        """
        blocks = blocks_of(self._amounts).tolist()
        gone = [
            (blocks[place], place, key) for key, place in self._places.items() if key not in living
        ]
        gone.sort(key=lambda each: each[:2], reverse=True)
        dropped = gone[KEPT_GONE:]
        at = np.array([place for _, place, _ in dropped], dtype=np.intp)
        found = (
            [key for _, _, key in dropped],
            self._amounts[:, at],
            self._uncertain[at].tolist(),
        )
        stays = np.ones(self._amounts.shape[1], dtype=bool)
        stays[at] = False
        stays[len(self) :] = False
        self._places = {key: n for n, key in enumerate(compress(self._places, stays.tolist()))}
        self._amounts, self._uncertain = self._amounts[:, stays], self._uncertain[stays]
        if dropped:
            self._forgotten = self._forgotten or _Marks()
            for _, _, key in dropped:
                self._forgotten.add(key)
        self._room = len(self)
        return found
