"""PostgreSQL's counters, snapshots of them, and their differences.

Pure: numpy only. May import `units` and `errors`. Must not know a server, a file, a terminal, or
what a statement means.
"""
