"""Category of a statement by rules over its features; the first match wins.

A rules file is TOML, schema 1; builtin.toml, with the built-in rules, is an example. The built-in
rules know no schema: they go by features, and by the words in names of versions and keys. A user's
rules come before them, and a list of the user's vocabulary replaces the built-in list of the same
name, in the built-in rules too.

May import `features` and `fingerprint`.
"""

from pgiostat.queries.rules.classifier import Classified, Classifier
from pgiostat.queries.rules.conditions import Condition, Subject, observed
from pgiostat.queries.rules.rules_file import Rule, builtin_file
from pgiostat.queries.rules.verdicts import OTHER, Match, Rules, RuleVerdict, builtin, load

__all__ = [
    "OTHER",
    "Classified",
    "Classifier",
    "Condition",
    "Match",
    "Rule",
    "RuleVerdict",
    "Rules",
    "Subject",
    "builtin",
    "builtin_file",
    "load",
    "observed",
]
