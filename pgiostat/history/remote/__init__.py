"""A history in an object store: upload, manifest, and layout.

May import `write` and `format`.
"""
