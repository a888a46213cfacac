"""Writing a history: `writer` commits intervals, `compaction` makes daily files.

`retention` removes old files; `background` runs both beside a collector. May import
`history.format`, and `statistics`, `volume` and what is below them. Must not import `history.read`,
`history.remote` or `history.engines`.
"""
