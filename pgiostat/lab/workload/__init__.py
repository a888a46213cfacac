"""The sync system that the lab simulates.

    schema         its tables, rows and queries
    version_cache  the cache of the newest versions, in the database
    trace          traffic as a file, made from a seed
    client         the clients: skipping, comparing, and requests as events happen
    api            the requests, as statements
    resume         the state of the data after earlier traffic
    load           the demo's steady load, as a process

May import `errors` and libraries.  Must not import any other package of `lab`.
"""
