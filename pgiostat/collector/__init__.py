"""The collecting service: many servers, one thread each, one history.

May import `render` and all below it. Must not import `watch`, `dataframes` or `export`.
"""
