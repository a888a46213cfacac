"""A history as pandas frames, for notebooks: stated dtypes, UTC index, units in attrs."""

from pgiostat.frames.frames import Frames, open_history

__all__ = ["Frames", "open_history"]
