"""A laboratory: PostgreSQL from a package, and the sync workload of the story behind pgiostat.

    demo           the main job on a small server, with a workload in another process
    environment    named servers with the data, and copies of them
    replay         a trace sent to environments
    experiments/   one change each, run, measured and judged
    data           the data on a server: database, roles, schema, rows
    server_errors  the server's errors, with the remedy
    workload/      the sync system: schema, clients, traffic
    postgres/      the lab's own servers

May import everything but `cli`.  Only `cli` imports it.
"""
