"""The public API as its docstrings and signatures describe it."""

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import EnumType
from functools import cached_property
from textwrap import dedent
from typing import Any

import pgiostat

SECTIONS = ("Args", "Attributes", "Returns", "Yields", "Raises")
_HEADING = re.compile(rf"^({'|'.join(SECTIONS)}):$", re.MULTILINE)
_ITEM = re.compile(r"^ {4}(\S+): ", re.MULTILINE)


@dataclass(frozen=True)
class Documented:
    """A public name, or a public member of a public class.

    signature: As it stands in the source, empty for a class.  text: Without its sections.
    sections: Their texts, by name.
    """

    name: str
    subject: Any
    signature: str
    text: str
    sections: dict[str, str]

    def items(self, section: str) -> dict[str, str]:
        """Return the meaning of each name that a section lists, in a line."""
        parts = _ITEM.split(self.sections.get(section, ""))[1:]
        return {
            name: " ".join(text.split()) for name, text in zip(parts[::2], parts[1::2], strict=True)
        }


def public() -> Iterator[Documented]:
    """Yield the public names in alphabetical order, each class followed by its methods."""
    for name in sorted(pgiostat.__all__, key=str.lower):
        subject = getattr(pgiostat, name)
        yield _documented(name, subject)
        if inspect.isclass(subject):
            for member, function in methods(subject):
                yield _documented(f"{name}.{member}", function)


def methods(cls: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the public methods of a class, those of its bases first."""
    for name, member in _members(cls):
        function = getattr(member, "__func__", member)
        if inspect.isfunction(function):
            yield name, function


def properties(cls: type) -> dict[str, str]:
    """Return the public properties of a class, each with its docstring in a line."""
    found = {}
    for name, member in _members(cls):
        if isinstance(member, property | cached_property):
            found[name] = " ".join((member.__doc__ or "").split())
    return found


def _members(cls: type) -> Iterator[tuple[str, Any]]:
    for each in reversed(cls.__mro__):
        if each.__module__.startswith("pgiostat"):
            yield from ((k, v) for k, v in vars(each).items() if not k.startswith("_"))


def _documented(name: str, subject: Any) -> Documented:
    text = inspect.cleandoc(subject.__doc__ or "")
    first, *rest = _HEADING.split(text)
    sections: dict[str, str] = {}
    after = ""
    for heading, body in zip(rest[::2], rest[1::2], strict=True):
        indented = re.match(r"\n(?:(?: {4}.*)?\n)*(?: {4}.*)?", body)
        sections[heading] = (indented[0] if indented else "").strip("\n")
        after += body[indented.end() :] if indented else body
    signature = "" if inspect.isclass(subject) else _signature(subject)
    return Documented(
        name, subject, signature, f"{first.strip()}\n\n{after.strip()}".strip(), sections
    )


def _signature(function: Callable[..., Any]) -> str:
    node = function_node(function)
    arguments = re.sub(r"^self(, )?", "", ast.unparse(node.args))
    returns = "" if node.returns is None else f" -> {ast.unparse(node.returns)}"
    return f"{node.name}({arguments}){returns}".replace("'", "")


def function_node(function: Callable[..., Any]) -> ast.FunctionDef:
    """Return the definition of a function as it stands in the source."""
    node = ast.parse(dedent(inspect.getsource(function))).body[0]
    assert isinstance(node, ast.FunctionDef)
    return node


def is_enum(subject: Any) -> bool:
    """Return whether a name is an enumeration."""
    return isinstance(subject, EnumType)
