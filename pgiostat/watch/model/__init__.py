"""What is watched, in numbers: interval, running totals, session.

Must not import any other module of `watch`.
"""
