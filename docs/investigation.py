"""Write docs/investigation.md and its plots from experiments: python docs/investigation.py [DIR].

DIR is what `pgiostat lab run --out DIR` has measured; sample_data/investigation if not given.
"""

import sys
from pathlib import Path

import altair as alt
import pandas as pd

from pgiostat.lab.experiments import render
from pgiostat.lab.experiments.outcome import Outcome
from pgiostat.lab.experiments.results import outcomes
from pgiostat.lab.experiments.run import EXPERIMENTS, read_runs
from pgiostat.units import format_change, format_count, format_duration, format_share
from pgiostat.volume.models import volume_of

HERE = Path(__file__).parent
MEASURED = HERE.parent / "sample_data" / "investigation"
VOLUME = "gp2:80"
CLASSES = ("version", "manifest", "upload", "other")


def charts(found: list[Outcome]) -> dict[str, alt.TopLevelMixin]:
    """Return the plots by name."""
    order = [each.name for each in found]
    reads = pd.DataFrame(
        [
            {"experiment": each.name, "class": name, "blocks": each.by_category.get(name, 0.0)}
            for each in found
            for name in CLASSES
        ]
    )
    bars = (
        alt.Chart(reads, width=520, title="Blocks read a second, by class")
        .mark_bar()
        .encode(
            x=alt.X("blocks:Q", title="blocks a second"),
            y=alt.Y("experiment:N", sort=order, title=None),
            color=alt.Color("class:N", sort=list(CLASSES)),
            order=alt.Order("class:N", sort="descending"),
        )
    )
    ranges = pd.DataFrame(
        [
            {
                "experiment": each.name, "least": each.range[0], "most": each.range[1],
                "measured": each.change,
            }
            for each in found
            if each.range is not None
        ]
    )  # fmt: skip
    base = alt.Chart(ranges, width=520, title="What whatif said, and what was measured")
    y = alt.Y("experiment:N", sort=order, title=None)
    said = base.mark_bar(height=6, color="#9ecae9").encode(
        x=alt.X("least:Q", title="change of blocks read", axis=alt.Axis(format="%")),
        x2="most:Q",
        y=y,
    )
    was = base.mark_point(filled=True, size=70, color="#e45756").encode(x="measured:Q", y=y)
    return {"reads": bars, "whatif": said + was}


def page(found: list[Outcome], runs: int, traffic: str) -> str:
    """Return the story, with the figures."""
    of = {each.name: each for each in found}
    first = of["baseline"]

    def share(name: str) -> str:
        return format_share(first.by_category[name] / first.blocks_per_s)

    def change(name: str) -> str:
        each = of[name]
        if each.low is None:
            return format_change(each.change)
        return (
            f"{format_change(each.change)} ({format_change(each.low)} to"
            f" {format_change(each.high)})"
        )

    def manifests(name: str) -> str:
        there, before = of[name].by_category["manifest"], first.by_category["manifest"]
        return f"{format_count(before)} → {format_count(there)} blocks/s"

    empty = format_duration(first.to_empty)
    table = render.as_markdown(found, volume_of(VOLUME))
    conclusions, _, tables = table.partition("\n\n")
    return f"""# The investigation

An API that keeps copies of tables on devices in step with a server ran its database volume out of
burst balance. Nobody knew which queries read so much. What was found then, over days, on a clone
with mirrored traffic, `pgiostat lab run` finds again on a PostgreSQL of its own. Every figure below
is measured ({traffic}), and this page is made from the
measurement by `docs/investigation.py`. [The lab](lab.md) says how.

## Who reads

At the traffic's own pace the server reads {format_count(first.blocks_per_s)} blocks a second in
{format_count(first.operations_per_s)} operations. A volume of {VOLUME.partition(":")[2]} GiB of gp2
(240 operations a second for ever) empties its bucket in {empty}.

**Version** queries, which ask for the newest version in a client's table, are
{share("version")} of it; **manifest** queries, keys and versions of a range, {share("manifest")};
uploads {share("upload")}. The ranking is the answer to the first question, and not yet to the
second: what is to be done?

![Blocks read a second, by class](investigation-reads.svg)

## Classes switched off, one at a time

- Without version queries reads change by {change("version_off")}: far less than the
  {share("version")} that they read. Manifests now read what version queries had read for them:
  {manifests("version_off")}. The first toucher pays.
- Without manifest queries: {change("manifest_off")}. Version queries come first anyway; almost all
  that manifests read is saved.
- With both off uploads alone are left: {change("uploads_alone")}. So it is those two, and nothing
  else.

## A table more

The API was about to get one more table, a seventh. Reads change by {change("table_added")}, where a
sixth more would be in proportion: less of everything fits into the cache.

## A cache of versions, and a bug

- A table of table versions, updated by each upload in its transaction: {change("cache_update")}. It
  takes all version reads away, and does not end the trouble, because manifests pay:
  {manifests("cache_update")}.
- The same, invalidated by uploads and filled on demand: {change("cache_invalidate")}. Each upload
  makes the next question an expensive one.
- The skip fix alone, so that the differencing engine stays away from tables that are identical:
  {change("skip_fixed")}.
- Both together: {change("both")}. After a day of it the bucket holds
  {format_share(of["both"].balance.low)}; without, it is empty.

## What was measured

{tables}

## What `whatif` had said

[`pgiostat whatif`](whatif.md) knows the baseline's counters alone. Its range is wide where queries
touch the same tables, and that is said; what was measured lay within it in each of the
{runs} runs of each experiment.

![What whatif said, and what was measured](investigation-whatif.svg)

In short:

{conclusions}
"""


def made(place: Path = MEASURED) -> tuple[str, list[Outcome]]:
    """Return the page, and what came of the experiments."""
    found = outcomes(place, volume_of(VOLUME))
    runs = read_runs(place)
    times = max(run.repeat for run in runs) + 1
    seconds = (runs[0].until - runs[0].since).total_seconds()
    traffic = (
        f"{len(EXPERIMENTS)} experiments, {times} times {format_duration(seconds)} of traffic each"
    )
    return page(found, times, traffic), found


def main() -> None:
    """Write the page and its plots."""
    text, found = made(Path(sys.argv[1]) if len(sys.argv) > 1 else MEASURED)
    (HERE / "investigation.md").write_text(text, "utf-8")
    for name, chart in charts(found).items():
        chart.save(HERE / f"investigation-{name}.svg")


if __name__ == "__main__":
    main()
