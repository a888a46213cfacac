"""The sync system that the lab simulates, and the web shop of the demo.

    schema         its tables, rows and queries
    version_cache  the cache of the newest versions, in the database
    trace          traffic as a file, made from a seed
    client         the clients: skipping, comparing, and requests as events happen
    api            the requests, as statements
    resume         the state of the data after earlier traffic
    load           the demo's steady traffic on the sync system
    shop/          the web shop: tables, rows, visitors
    incidents      changes that cost reads, caused and taken back
    pace           requests on a schedule
    worker         the traffic of the demo, as a process

May import `errors` and libraries.  Must not import any other package of `lab`.
"""
