"""A sequence that makes its items at their first use: few of thousands are shown."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar, overload

__all__ = ["LazySequence"]

T = TypeVar("T")


class LazySequence(Sequence[T]):
    """A sequence of known length that makes each item at its first use, and keeps it.

    >>> squares = LazySequence(4, lambda place: place**2)
    >>> squares[-1], squares[1:3], squares == (0, 1, 4, 9)
    (9, (1, 4), True)
    """

    __slots__ = ("_length", "_made", "_make")

    def __init__(self, length: int, make: Callable[[int], T]) -> None:
        self._length, self._make = length, make
        self._made: dict[int, T] = {}

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[T, ...]: ...

    def __getitem__(self, place: int | slice) -> T | tuple[T, ...]:
        if isinstance(place, slice):
            return tuple(map(self._one, range(self._length)[place]))
        return self._one(range(self._length)[place])

    def _one(self, place: int) -> T:
        if place not in self._made:
            self._made[place] = self._make(place)
        return self._made[place]

    def __len__(self) -> int:
        return self._length

    def __eq__(self, other: object) -> bool:
        """Compare with any sequence of items."""
        return isinstance(other, Iterable) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))
