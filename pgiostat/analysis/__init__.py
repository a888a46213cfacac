"""Pure answers: what causes the reads, did it change, and what would a change save.

numpy only. May import `statistics`, `units` and `errors`. Must not know a server, a disk or an
output format.
"""
