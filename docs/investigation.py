"""Write docs/investigation.md and its plots from experiments: python docs/investigation.py [DIR].

DIR has the measurements of `pgiostat lab run --out DIR`; the default is sample_data/investigation.
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
CATEGORIES = ("version", "manifest", "upload", "other")


def charts(found: list[Outcome]) -> dict[str, alt.TopLevelMixin]:
    """Return the plots by name."""
    order = [each.name for each in found]
    reads = pd.DataFrame(
        [
            {"experiment": each.name, "category": name, "blocks": each.by_category.get(name, 0.0)}
            for each in found
            for name in CATEGORIES
        ]
    )
    bars = (
        alt.Chart(reads, width=520, title="Blocks read per second, by category")
        .mark_bar()
        .encode(
            x=alt.X("blocks:Q", title="blocks per second"),
            y=alt.Y("experiment:N", sort=order, title=None),
            color=alt.Color("category:N", sort=list(CATEGORIES)),
            order=alt.Order("category:N", sort="descending"),
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
    base = alt.Chart(ranges, width=520, title="Predicted range of whatif, and measurement")
    y = alt.Y("experiment:N", sort=order, title=None)
    predicted = base.mark_bar(height=6, color="#9ecae9").encode(
        x=alt.X("least:Q", title="change of blocks read", axis=alt.Axis(format="%")),
        x2="most:Q",
        y=y,
    )
    measured = base.mark_point(filled=True, size=70, color="#e45756").encode(x="measured:Q", y=y)
    return {"reads": bars, "whatif": predicted + measured}


def page(found: list[Outcome], runs: int, traffic: str) -> str:
    """Return the page, with the figures."""
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

An API that synchronizes copies of tables on devices with a server drained the burst balance of
its database volume. It was unknown which queries caused the reads. The original analysis took days,
on a clone with mirrored traffic. `pgiostat lab run` repeats it on a PostgreSQL of its own. Every
figure below is measured ({traffic}).
`docs/investigation.py` writes this page from the measurement. [The lab](lab.md) describes how.

## Which queries read

At the traffic's own pace the server reads {format_count(first.blocks_per_s)} blocks per second in
{format_count(first.operations_per_s)} operations. An {VOLUME.partition(":")[2]} GiB gp2 volume
(baseline 240 IOPS) uses up its I/O credits in {empty}.

**Version** queries, which find the newest version in a client's table, cause
{share("version")} of the reads. **Manifest** queries, keys and versions of a range, cause
{share("manifest")}, and uploads {share("upload")}. The ranking answers the first question, but not
the second: what would help?

![Blocks read per second, by category](investigation-reads.svg)

## Categories switched off, one at a time

- Without version queries reads change by {change("version_off")}: far less than their
  {share("version")}. Manifests now read the blocks that version queries had read for them:
  {manifests("version_off")}. The first query to touch a block pays.
- Without manifest queries: {change("manifest_off")}. Version queries come first anyway, so almost
  all reads of manifests are saved.
- With both off only uploads are left: {change("uploads_alone")}. So the cause is those two, and
  nothing else.

## One more table

The API was about to get one more table, a seventh. Reads change by {change("table_added")}, where a
sixth more would be in proportion: less of everything fits into the cache.

## A cache of versions, and a bug

- A table of table versions, updated by each upload in its transaction: {change("cache_update")}. It
  removes all version reads, but does not solve the problem, because manifests pay:
  {manifests("cache_update")}.
- The same, invalidated by uploads and filled on demand: {change("cache_invalidate")}. Each upload
  makes the next query an expensive one.
- The skip fix alone, so that the differencing engine skips tables that are identical:
  {change("skip_fixed")}.
- Both together: {change("both")}. After a day of it the burst balance is
  {format_share(of["both"].balance.low)}; without, it is empty.

## Measurements

{tables}

## Prediction of `whatif`

[`pgiostat whatif`](whatif.md) uses only the baseline's counters. Its range is wide where queries
touch the same tables, and the output says so. The measurement was within it in each of the
{runs} runs of each experiment.

![Predicted range of whatif, and measurement](investigation-whatif.svg)

In short:

{conclusions}
"""


def made(place: Path = MEASURED) -> tuple[str, list[Outcome]]:
    """Return the page, and the outcomes of the experiments."""
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
