"""Faults: changes that cost reads, each with the cause that explains them.

    incident  what is done to a system and taken back, as the workload and the demo use it
    fault     a fault, and where it hits a system
    indexes, rows, planner, server, traffic
              the faults
    library   all of them

A system lists for each fault where it hits it: one target for each severity, the mild one first. A
fault that does not apply to a system has no target there. May import `analysis.why`.
"""
