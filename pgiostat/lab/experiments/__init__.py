"""Experiments: one change each, run, measured and judged.

May import the rest of `lab`, but not `demo`.
"""
