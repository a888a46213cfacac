"""Output of reports: one file per report builds a `Document`, one file per form renders it.

A module of a report takes numbers and returns a `Document`: `report`, `series`, `compare`, `burst`,
`whatif`, `inventory`, `doctor`. A module of a form has `write(document, out)`: `text`, `markdown`,
`csv`, `json`. Neither derives a number. A new form is a module with a function `write`.

May import `reports` and all below it. Must not read a server or a history.
"""

from importlib import import_module
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from pgiostat.render.document import Document

__all__ = ["render"]


def render(document: "Document", form: str, out: TextIO) -> None:
    """Write a document in a form.

    Args:
        document: The report.
        form: The name of the module that renders it.
        out: Where it goes. Text is as wide as the terminal, or as COLUMNS says.
    """
    import_module(f"pgiostat.render.{form}").write(document, out)
