"""Weeks of intervals on disk: one collector writes a label, any process reads at any time.

`format` defines the files; `write` writes, compacts and removes them; `remote` uploads them to an
object store and finds them there; `engines` run SQL over them; `read` answers questions through an
engine. Queries are in `sql`. May import `volume`, `analysis`, `statistics` and all below them. Must
not import `postgres` or `queries`: a history is read without a server.
"""
