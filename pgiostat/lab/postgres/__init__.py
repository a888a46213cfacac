"""The laboratory's own PostgreSQL server: its files, processes and disk space.

Must not import any other package of `lab`.
"""
