"""The attrs of a frame, in values that JSON has, so that Parquet keeps them."""

import pandas as pd

from pgiostat.dataframes.dtypes import units
from pgiostat.history.read.window_totals import WindowTotals
from pgiostat.history.read.windows import Window
from pgiostat.render.csv import timestamp
from pgiostat.render.report import labels, remarks

__all__ = ["with_attrs"]


def with_attrs(frame: pd.DataFrame, span: Window, totals: WindowTotals | None) -> pd.DataFrame:
    """Return a frame with its attrs; totals: None if the window has no interval."""
    shown = span if totals is None else totals.span
    frame.attrs = {
        "servers": [] if totals is None else labels(totals).split(", "),
        "since": timestamp(shown.since),
        "until": timestamp(shown.until),
        "coverage": None if totals is None else totals.sampled.coverage,
        "remarks": [] if totals is None else list(remarks(totals)),
        "units": units(frame),
    }
    return frame
