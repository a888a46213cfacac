"""The preset of rules in force, and the reason."""

from collections.abc import Collection, Iterable
from typing import NamedTuple

__all__ = ["FixedPreset", "PresetInForce", "preset_in_force"]

SHOWN_TABLES = 2
"""Tables that the reason names."""


class FixedPreset(NamedTuple):
    """A preset that does not depend on the statements.

    Attributes:
        name: sync, general or none.
        by: What fixes it: --preset, the rules file.
    """

    name: str
    by: str


class PresetInForce(NamedTuple):
    """The preset of rules in force.

    Attributes:
        name: sync, general or none.
        reason: Why it is in force, in a few words.
    """

    name: str
    reason: str

    def __str__(self) -> str:
        """Return the name and the reason, as a header states them."""
        return f"preset {self.name}: {self.reason}"


def preset_in_force(
    fixed: FixedPreset | None, versions: Collection[str], manifests: Collection[str]
) -> PresetInForce:
    """Return the preset in force, and the reason.

    Args:
        fixed: The preset that an option or a rules file fixes, if any.
        versions: Tables of which a statement reads the newest version.
        manifests: Tables of which a statement reads a manifest.

    Returns:
        The fixed preset; or sync, if a table has both a version and a manifest; or general.

    >>> str(preset_in_force(FixedPreset("none", "the rules file"), (), ()))
    'preset none: fixed by the rules file'
    >>> str(preset_in_force(None, ["a", "b", "c", "d", "e"], ["e", "d", "c", "b", "x"]))
    'preset sync: versions and manifests of b, c, …'
    >>> str(preset_in_force(None, ["public.a"], ["public.a"]))
    'preset sync: versions and manifests of a'
    >>> str(preset_in_force(None, ["a"], ["b"]))
    'preset general: no table has both versions and manifests'
    """
    if fixed is not None:
        return PresetInForce(fixed.name, f"fixed by {fixed.by}")
    both = sorted(_plain(versions) & _plain(manifests))
    if not both:
        return PresetInForce("general", "no table has both versions and manifests")
    shown = [*both[:SHOWN_TABLES], *(["…"] if len(both) > SHOWN_TABLES else [])]
    return PresetInForce("sync", f"versions and manifests of {', '.join(shown)}")


def _plain(tables: Iterable[str]) -> set[str]:
    return {table.removeprefix("public.") for table in tables}
