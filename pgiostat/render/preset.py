"""The preset of rules in force, as reports state it."""

from pgiostat.statistics.preset import PresetInForce

__all__ = ["preset_lines", "preset_object"]


def preset_lines(preset: PresetInForce | None) -> list[str]:
    """Return the line of a report that states the preset and the reason; none if it is unknown."""
    return [] if preset is None else [str(preset)]


def preset_object(preset: PresetInForce | None) -> dict[str, str] | None:
    """Return the preset as JSON has it, with the keys name and reason; None if it is unknown."""
    return None if preset is None else preset._asdict()
