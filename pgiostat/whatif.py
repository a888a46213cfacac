"""What would be read if a class of queries were gone, called less often, or read less.

A ranking alone does not tell it, because queries share a cache: what one has read another one
finds there, and what one reads pushes out what another one needs.  So the answer is a range.

Reads of a class that is taken away.  At least they are saved less what the others must then read
first: as many blocks as the class read, or as the others found in the cache, whichever is
fewer.  At most all of them are saved, and with them what others read again only because the
class had pushed it out.  Each block read pushes one out: of what others read, as large a share
as the class has of all reads.  (A cache that all the rest fits into would save more.)

Calls that are taken away, when not all are: nobody knows which.  Those that stay may read as
much as all did before, but no more blocks than they touch.  Those that go may be the ones that
read, but no more blocks than they touched.

Calls that are added.  At least they find all that they need; at most they read all that they
touch, and push as much out, which others then read again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pgiostat.errors import invalid_option

__all__ = ["Had", "How", "Imagined", "Supposed", "imagine", "parse"]


class How(StrEnum):
    """What is supposed of a class."""

    DROP = "drop"
    CALLS = "calls"
    READS = "reads"


@dataclass(frozen=True, slots=True)
class Supposed:
    """A class, and what becomes of its calls or of its reads: a factor, 0 when it is dropped."""

    category: str
    how: How
    factor: float = 0.0

    def __str__(self) -> str:
        """Return it as it is given on a command line."""
        told = "" if self.how is How.DROP else f"={self.factor:g}"
        return f"--{self.how} {self.category}{told}"


@dataclass(frozen=True, slots=True)
class Had:
    """Blocks that a class read, and that it found in the cache."""

    reads: float
    hits: float

    @property
    def touched(self) -> float:
        """Both."""
        return self.reads + self.hits


@dataclass(frozen=True, slots=True)
class Imagined:
    """Blocks read: now, and then at least and at most."""

    now: float
    low: float
    high: float

    def share(self, blocks: float) -> float | None:
        """Return blocks as a share of those of now."""
        return blocks / self.now if self.now else None

    @property
    def width(self) -> float | None:
        """How far the ends of the range are apart, as a share of now."""
        return self.share(self.high - self.low)

    def __contains__(self, blocks: float) -> bool:
        """Tell whether so many lie within the range."""
        return self.low <= blocks <= self.high


@dataclass(frozen=True, slots=True)
class _Part:
    """What becomes of a class.

    saved: reads that go, at most.  kept: reads that stay, at most, before others' are displaced.
    hits: of what stays, at most, what is found only because others read it.  added: blocks touched.
    """

    saved: float
    kept: float
    hits: float
    added: float = 0.0


def imagine(had: Mapping[str, Had], supposed: Sequence[Supposed]) -> Imagined:
    """Return the range of what would be read.

    had: what each class read and found, also what no class explains; the reads add up to all.

    >>> had = {"version": Had(60, 40), "manifest": Had(40, 20)}
    >>> found = imagine(had, [Supposed("version", How.DROP)])
    >>> found.now, found.low, found.high
    (100, 16.0, 60.0)
    """
    by_category = {each.category: each for each in supposed}
    parts = [_part(amounts, by_category.get(name)) for name, amounts in had.items()]
    now = sum(amounts.reads for amounts in had.values())
    saved = sum(part.saved for part in parts)
    kept = sum(part.kept for part in parts)
    added = sum(part.added for part in parts)
    low = (now - saved) * (1 - saved / now) if now else 0.0
    high = min(now, kept + min(now - kept, sum(part.hits for part in parts)))
    found_now = sum(amounts.hits for amounts in had.values())
    return Imagined(now, low, high + added + min(added, found_now))


def _part(had: Had, supposed: Supposed | None) -> _Part:
    if supposed is None:
        return _Part(0.0, had.reads, had.hits)
    factor = supposed.factor
    if supposed.how is not How.CALLS or not factor:
        gone = had.reads * (1 - factor)
        return (
            _Part(gone, had.reads - gone, 0.0)
            if factor <= 1
            else _Part(0.0, had.reads, had.hits, -gone)
        )
    if factor >= 1:
        return _Part(0.0, had.reads, had.hits, had.touched * (factor - 1))
    stay = had.touched * factor
    kept = min(had.reads, stay)
    return _Part(min(had.reads, had.touched - stay), kept, stay - kept)


def parse(drop: Sequence[str], calls: Sequence[str], reads: Sequence[str]) -> list[Supposed]:
    """Return what is supposed, from a command line's words.

    Raises PgiostatError option-invalid for what is no factor, and for a class named twice.

    >>> [str(each) for each in parse(["version"], ["manifest=0.3"], [])]
    ['--drop version', '--calls manifest=0.3']
    """
    found = [Supposed(name, How.DROP) for name in drop]
    found += [_factor(How.CALLS, text) for text in calls]
    found += [_factor(How.READS, text) for text in reads]
    names = [each.category for each in found]
    for name in names:
        if names.count(name) > 1:
            raise invalid_option(
                f'category "{name}" is named twice', hint="Say one thing of each category."
            )
    if not found:
        raise invalid_option(
            "nothing is supposed",
            hint="Say what changes: --drop version, --calls manifest=0.3 or --reads version=0.",
        )
    return found


def _factor(how: How, text: str) -> Supposed:
    name, sign, number = text.rpartition("=")
    try:
        factor = float(number)
    except ValueError:
        factor = -1.0
    if not sign or not name or not 0 <= factor < 1e6:  # noqa: PLR2004 - also refuses nan and inf
        raise invalid_option(
            f'invalid value for --{how}: "{text}"',
            hint=f"It is a category and a factor: --{how} manifest=0.3 for three calls of ten"
            if how is How.CALLS
            else f"It is a category and a factor: --{how} version=0 for none of its reads",
        )
    return Supposed(name, how, factor)
