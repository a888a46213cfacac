"""Presets: rules for a kind of application, which know no schema.

- `sync`: a synchronization API: version, manifest, upload, download.
- `general`: any other application: loads of object-relational mappers; all else is named after
  what it does.
- `none`: no rules but the user's.

Rules for the tables of frameworks are part of `sync` and `general`.
"""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal, cast, get_args

from pgiostat.queries.rules.names import NameLists
from pgiostat.queries.rules.rules_file import RulesFile, parse, read
from pgiostat.queries.rules.verdicts import Rules
from pgiostat.statistics.preset import FixedPreset

__all__ = [
    "PRESETS",
    "Preset",
    "PresetChoice",
    "RuleBook",
    "builtin",
    "fixed_preset",
    "load",
    "rule_book",
]

Preset = Literal["sync", "general", "none"]
PRESETS: tuple[Preset, ...] = get_args(Preset)
PresetChoice = Literal["auto", "sync", "general", "none"]

_FILES: dict[Preset, tuple[str, ...]] = {
    "sync": ("framework", "sync"),
    "general": ("framework", "orm"),
    "none": (),
}
"""Files of rules, in the order in which they are tried after the user's."""


@dataclass(frozen=True, slots=True)
class RuleBook:
    """The rules that categories follow from.

    Attributes:
        rules: Those in force.
        if_sync: Those in force once the statements show that the application is a sync API; None
            where the preset is fixed.
        fixed: The preset, where it is fixed.
    """

    rules: Rules
    if_sync: Rules | None = None
    fixed: FixedPreset | None = None


def rule_book(
    path: str | Path | None = None, preset: PresetChoice = "auto", *, by: str = "--preset"
) -> RuleBook:
    """Return the rules of a file, followed by those of a preset.

    Args:
        path: A user's rules file; None for no rules but the preset's.
        preset: Its name. "auto" is the preset that the file fixes. Without one it is "sync" where
            the statements hold a version and a manifest shape on the same table, and "general"
            elsewhere.
        by: What fixes the preset, if it is not "auto".

    Raises:
        PgiostatError: rules-…, for a file with a mistake, with its line.
    """
    user = [] if path is None else [read(path)]
    fixed = fixed_preset(preset, by) or _fixed(user)
    if fixed is None:
        return RuleBook(_combined(user, "general"), _combined(user, "sync"))
    return RuleBook(_combined(user, cast("Preset", fixed.name)), fixed=fixed)


def fixed_preset(preset: PresetChoice, by: str = "--preset") -> FixedPreset | None:
    """Return the preset that an option fixes; None for "auto"."""
    return None if preset == "auto" else FixedPreset(preset, by)


def _fixed(user: list[RulesFile]) -> FixedPreset | None:
    """Return the preset that a rules file fixes: it names one, or lists what is synchronized."""
    for file in user:
        if file.preset:
            return FixedPreset(file.preset, "the rules file")
        if "synced" in file.vocab or "versions" in file.vocab:
            return FixedPreset("sync", "the lists of the rules file")
    return None


def builtin(preset: Preset = "sync") -> Rules:
    """Return the rules of a preset."""
    return _combined([], preset)


def load(path: str | Path, preset: Preset = "sync") -> Rules:
    """Return a user's rules, followed by those of a preset.

    Raises:
        PgiostatError: rules-…, for a file with a mistake, with its line.
    """
    return _combined([read(path)], preset)


def _combined(user: list[RulesFile], preset: Preset) -> Rules:
    presets = [_preset_file(name) for name in _FILES[preset]]
    # Rules of the user may refer to a list of any preset, whichever is in force.
    lists: dict[str, list[str]] = {}
    for file in [*map(_preset_file, ("framework", "orm", "sync")), *user]:
        lists |= file.vocab
    vocabulary = NameLists(lists)
    files_in_order = [*user, *presets]
    return Rules((rule for file in files_in_order for rule in file.compile(vocabulary)), vocabulary)


def _preset_file(name: str) -> RulesFile:
    text = files(__package__).joinpath(f"{name}.toml").read_text("utf-8")
    return parse(f"preset {name}", text)
