"""Everything on the screen: tables, header line, footer, pages.

May import `watch.model` and `watch.state`. Must not read a server.
"""
