"""Say which kinds of query cost a PostgreSQL server its reads, and how sure that is."""

__version__ = "0.1.0"
