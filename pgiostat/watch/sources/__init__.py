"""Where intervals come from: a live server, or the replay of a history.

May import `watch.model` and `watch.state`. Must not import `watch.screen`.
"""
