"""The files of a history: names, schemas, and writes that survive a crash.

Must not import any other package of `history`.
"""
