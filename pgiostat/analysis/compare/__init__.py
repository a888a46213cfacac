"""Did it change: two windows, whether they are comparable, and how sure the answer is.

May import `analysis.cost` and what `analysis` may import.
"""
