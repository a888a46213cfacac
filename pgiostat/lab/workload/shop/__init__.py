"""A web shop: an application on SQLAlchemy, with statements as an ORM writes them.

    model      its tables, as SQLAlchemy's classes
    rows       the rows of its tables
    incidents  incidents of the shop
    pages      its visitors: pages, baskets and orders

It needs SQLAlchemy, which the extra "demo" installs.  May import what `workload` may.
"""
