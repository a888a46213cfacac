"""Fingerprint, features and category of a statement, from its text alone.

Pure. May import `statistics`, `units` and `errors`. Must not import `postgres`: no server is needed
to classify a text.
"""
