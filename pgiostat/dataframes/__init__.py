"""A history as pandas frames, for notebooks: stated dtypes, UTC index, units in attrs.

May import `render` and all below it. Must not import `watch`, `collector` or `export`.
"""

from pgiostat.extras import extra_missing

try:
    from pgiostat.dataframes.history_frames import Frames, open_history
except ModuleNotFoundError as error:
    if missing := extra_missing(error):
        raise missing from None
    raise

__all__ = ["Frames", "open_history"]
