"""Whether a server reports all that is needed: facts are read, findings derived from them.

May import the rest of `postgres`; no other module of `postgres` imports it.
"""

from pgiostat.postgres.doctor.check import CheckState, Finding
from pgiostat.postgres.doctor.checks import findings, verdict
from pgiostat.postgres.doctor.facts import Facts, ForeignObject, Override, Statements
from pgiostat.postgres.doctor.probe import examine

__all__ = [
    "CheckState",
    "Facts",
    "Finding",
    "ForeignObject",
    "Override",
    "Statements",
    "examine",
    "findings",
    "verdict",
]
