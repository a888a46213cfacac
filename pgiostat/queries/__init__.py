"""What a statement is, from its text alone: fingerprint, features, category.

Pure. May import `statistics`, `units` and `errors`. Must not import `postgres`: no server is needed
to classify a text.
"""
