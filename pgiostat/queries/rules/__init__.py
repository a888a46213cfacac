"""Which category a statement belongs to: rules over its features, first match wins.

A rules file is TOML, schema 1; builtin.toml, with the built-in rules, is an example. They know
no schema: they go by what a query does, and by the words that names of versions and keys are
made of. A user's rules come before them, and a list of the user's vocabulary replaces the
built-in list of the same name, in the built-in rules too.

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
