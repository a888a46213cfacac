"""Is a server ready to say who reads?  Facts are read, findings are made of them."""

from pgiostat.doctor.examine import examine
from pgiostat.doctor.facts import Facts, ForeignObject, Override, Statements
from pgiostat.doctor.finding import Finding, State
from pgiostat.doctor.findings import findings, verdict

__all__ = [
    "Facts",
    "Finding",
    "ForeignObject",
    "Override",
    "State",
    "Statements",
    "examine",
    "findings",
    "verdict",
]
