"""Category of a statement by rules over its features; the first match wins.

A rules file is TOML, schema 1; those in presets/ are examples. Presets know no schema: their rules
go by features, and by the words in names. A user's rules come before them, and a list of the user's
vocabulary replaces the list of the same name in the presets' rules too. What no rule matches is
named after what it does, and to which table.

May import `features` and `fingerprint`.
"""

from pgiostat.queries.rules.classifier import Classified, Classifier
from pgiostat.queries.rules.conditions import Condition, Subject, observed
from pgiostat.queries.rules.presets import (
    PRESETS,
    Preset,
    PresetChoice,
    RuleBook,
    builtin,
    fixed_preset,
    load,
    rule_book,
)
from pgiostat.queries.rules.rules_file import RESERVED, Rule
from pgiostat.queries.rules.verdicts import Match, Rules, RuleVerdict

__all__ = [
    "PRESETS",
    "RESERVED",
    "Classified",
    "Classifier",
    "Condition",
    "Match",
    "Preset",
    "PresetChoice",
    "Rule",
    "RuleBook",
    "RuleVerdict",
    "Rules",
    "Subject",
    "builtin",
    "fixed_preset",
    "load",
    "observed",
    "rule_book",
]
