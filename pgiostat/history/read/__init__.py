"""Reading a history: windows, totals of a window, and names of statements.

May import `engines`, `remote` and `format`. Must not import `write`.
"""
