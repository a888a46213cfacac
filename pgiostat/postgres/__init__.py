"""All contact with a server: connections, snapshots, and the sampling loop.

Its queries are in `sql`. May import `volume`, `queries`, `analysis`, `statistics` and all below
them. Must not import `history` or an output format.
"""
