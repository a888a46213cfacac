"""A question about a time window, answered in numbers.

May import `history`, `volume`, `analysis`, `statistics` and all below them. Must not import
`render`: a report does not know its output format.
"""
