"""A history as pandas frames, for notebooks: stated dtypes, UTC index, units in attrs.

May import `render` and all below it. Must not import `watch`, `collector` or `export`.
"""

from pgiostat.dataframes.history_frames import Frames, open_history

__all__ = ["Frames", "open_history"]
