"""The demo: a PostgreSQL of its own, an application in another process, and watch on it.

    scenarios  the sync system and the web shop: database, data, workload, incidents
    server     the server with the data of a scenario
    traffic    the workload, in another process
    control    incidents on a key, and how to look from another terminal
    report     rankings and CSV files, without a terminal

May import the rest of `lab` but `experiments` and `replay`.
"""
