"""Forms of the same numbers: one file a form.  A renderer receives numbers and derives none.

May import `reports` and all below it. Must not read a server or a history.
"""
