"""A volume's burst balance as a frame."""

import pandas as pd

from pgiostat.dataframes.attrs import with_attrs
from pgiostat.dataframes.dtypes import typed
from pgiostat.history.read.window_totals import WindowTotals
from pgiostat.render.burst import HEADER, records
from pgiostat.volume.burst import BurstReport

__all__ = ["burst_frame"]


def burst_frame(seen: WindowTotals, found: BurstReport) -> pd.DataFrame:
    """Return the rows of `pgiostat burst --format csv`, by when the step begins.

    part is missing in the row of a step as a whole.  attrs tell the volume and what follows.
    """
    frame = pd.DataFrame(list(records(seen, found)), columns=list(HEADER), dtype=object)
    frame = frame.drop(columns="interval_end").rename(columns={"interval_start": "step"})
    frame["step"] = pd.to_datetime(frame["step"], utc=True, format="ISO8601")
    frame = typed(frame.replace({"": None})).set_index("step")
    told = with_attrs(frame, seen.window, seen)
    forecast = found.forecast
    told.attrs["volume"] = {
        "name": found.volume.name,
        "unit": found.volume.unit,
        "baseline_per_s": found.volume.baseline,
        "ceiling_per_s": found.volume.ceiling,
        "credits": found.volume.credits,
    }
    told.attrs["units"] |= dict.fromkeys(("demand_per_s", "over_per_s"), f"{found.volume.unit}/s")
    told.attrs["to_empty_s"] = forecast.to_empty
    told.attrs["to_refill_s"] = forecast.to_refill
    told.attrs["must_drop"] = None if forecast.must_drop is None else list(forecast.must_drop)
    told.attrs["model_error"] = found.error
    return told
