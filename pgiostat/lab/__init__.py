"""A laboratory: PostgreSQL from a package, and the sync workload of the story behind pgiostat.

May import everything but `cli`. Only `cli` imports it.
"""
