"""Writing a history: intervals, compaction, retention.

May import `format`.
"""
