"""The sync workload: schema, version cache, clients, traces.

Must not import any other package of `lab`.
"""
