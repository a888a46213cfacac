"""A report in parts, with nothing of a form: each renderer decides how the parts look."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

__all__ = ["Curve", "Document", "Mark", "Piece", "Records", "Table", "TableColumn", "Value"]

Value: TypeAlias = int | float | str | None
Piece: TypeAlias = tuple[str, str, int]
"""Text, its style, and its rank in the order in which pieces give way; 0 stays."""


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of a table.

    Attributes:
        heading: The words above it.
        right: Whether it holds numbers.
        least: Its least width in characters; 0 for what its cells need.
        most: The width at which longer text is cut; None for never.
        optional: Whether it gives way, the last one first, where there is no room.
        format: Makes words of a value; None if values are names, which may hold anything.
        style: The style of its cells.
        extra: Whether a page leaves it out: it draws what another column says, or says more.
        from_width: The width of a screen from which it is shown.
        rest: Whether it is cut to the room that the others leave; a page has it first.
        quantity: Columns of one quantity have the same unit and precision; empty for its own.
    """

    heading: str
    right: bool = False
    least: int = 0
    most: int | None = None
    optional: bool = False
    format: Callable[[Any], str] | None = None
    style: str = ""
    extra: bool = False
    from_width: int = 0
    rest: bool = False
    quantity: str = ""


@dataclass(frozen=True, slots=True)
class Bound:
    """A number that is a lower bound, or uncertain: shown with ~ before it."""

    value: float | None


@dataclass(frozen=True, slots=True)
class Mark:
    """A value with a style of its own."""

    value: Any
    style: str


@dataclass(frozen=True, slots=True)
class Curve:
    """Rates over time, to be drawn; None is unknown."""

    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Table:
    """A table for people.

    Attributes:
        columns: Its columns.
        rows: A value for each column; a `Mark` has its own style, a `Curve` is drawn.
        apart: Whether a blank line comes before it.
        extra: Whether a page leaves it out, because it has no room or another table says it.
        gap: The blanks between its columns.
        legend: Lines below it, each with its style; a page has no need of them.
        fit: Returns the table for a screen of a width in characters; None if it is this one.
    """

    columns: Sequence[TableColumn]
    rows: Iterable[Sequence[Any]]
    apart: bool = False
    extra: bool = False
    gap: int = 1
    legend: Sequence[tuple[str, str]] = ()
    fit: "Callable[[int], Table] | None" = None


@dataclass(frozen=True, slots=True)
class Records:
    """The long table for programs.

    Attributes:
        names: The names of its columns, units in them.
        rows: A value for each column, raw; None is unknown.
        exact: Whether numbers keep all digits, and lines end with a line feed alone.
    """

    names: Sequence[str]
    rows: Iterable[Iterable[Value]]
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """A report, for people and programs.

    Attributes:
        subject: What it is about, as the title of a page; empty if the head says it.
        summary: What follows the subject in that title.
        head: Lines of pieces for the head of a screen.
        facts: Sentences on what the numbers are of.
        warnings: Sentences on the quality of the numbers.
        findings: Sentences on what follows from the numbers.
        conclusion: The main finding, and how it was found.
        curve: Shares over time, drawn below the findings.
        tables: The numbers for people.
        notes: Sentences below the tables, each with shorter ones for a narrow screen.
        trimmed: Whether lines of facts and findings never end in a blank.
        records: The numbers for programs, in rows.
        objects: The numbers for programs, as objects of which each is whole.
    """

    subject: str = ""
    summary: str = ""
    head: Sequence[Sequence[Piece]] = ()
    facts: Sequence[str] = ()
    warnings: Sequence[str] = ()
    findings: Sequence[str] = ()
    conclusion: tuple[str, str] | None = None
    curve: Sequence[float] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[Sequence[str]] = ()
    trimmed: bool = False
    records: Records = field(default_factory=lambda: Records((), ()))
    objects: Iterable[Mapping[str, Any]] = ()
