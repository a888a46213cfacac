"""What a frame tells of itself: in values that JSON has, so that Parquet keeps them."""

import pandas as pd

from pgiostat.dataframes.dtypes import units
from pgiostat.history.read.window_totals import WindowTotals
from pgiostat.history.read.windows import Window
from pgiostat.render.csv import timestamp
from pgiostat.render.report import labels, remarks

__all__ = ["with_attrs"]


def with_attrs(frame: pd.DataFrame, span: Window, seen: WindowTotals | None) -> pd.DataFrame:
    """Return a frame that tells what it is of; seen: None if nothing was."""
    frame.attrs = {
        "servers": [] if seen is None else labels(seen).split(", "),
        "since": timestamp(span.since),
        "until": timestamp(span.until),
        "coverage": None if seen is None else seen.sampled.coverage,
        "remarks": [] if seen is None else list(remarks(seen)),
        "units": units(frame),
    }
    return frame
