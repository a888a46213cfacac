"""A volume's burst balance as a frame."""

import pandas as pd

from pgiostat.dataframes.attrs import with_attrs
from pgiostat.dataframes.dtypes import typed
from pgiostat.render.burst import HEADER, records
from pgiostat.reports.burst import WindowBurst

__all__ = ["burst_frame"]


def burst_frame(report: WindowBurst) -> pd.DataFrame:
    """Return the rows of `pgiostat burst --format csv`, by the start of the step.

    The column part is missing in the row of a step as a whole. attrs has the volume and the
    forecast.
    """
    totals, found = report.totals, report.burst
    frame = pd.DataFrame(list(records(totals, found)), columns=list(HEADER), dtype=object)
    frame = frame.drop(columns="interval_end").rename(columns={"interval_start": "step"})
    frame["step"] = pd.to_datetime(frame["step"], utc=True, format="ISO8601")
    frame = typed(frame.replace({"": None})).set_index("step")
    described = with_attrs(frame, totals.window, totals)
    forecast = found.forecast
    described.attrs["volume"] = {
        "name": found.volume.name,
        "unit": found.volume.unit,
        "baseline_per_s": found.volume.baseline,
        "ceiling_per_s": found.volume.ceiling,
        "credits": found.volume.credits,
    }
    described.attrs["units"] |= dict.fromkeys(
        ("demand_per_s", "over_per_s"), f"{found.volume.unit}/s"
    )
    described.attrs["to_empty_s"] = forecast.to_empty
    described.attrs["to_refill_s"] = forecast.to_refill
    described.attrs["to_go"] = None if forecast.must_drop is None else list(forecast.must_drop)
    described.attrs["model_error"] = found.error
    return described
