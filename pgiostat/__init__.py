"""Which kinds of query cost a PostgreSQL server its reads, and how sure is that?"""

__version__ = "0.1.0"
