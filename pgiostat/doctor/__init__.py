"""Is a server ready to say who reads?  Facts are read, findings are made of them."""

from pgiostat.doctor.examine import examine
from pgiostat.doctor.facts import Facts, Statements
from pgiostat.doctor.findings import Finding, State, findings, verdict

__all__ = ["Facts", "Finding", "State", "Statements", "examine", "findings", "verdict"]
