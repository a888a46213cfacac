"""Experiments out of the history that they were measured into."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TypedDict

from pgiostat.analysis.ledger import ServerReads
from pgiostat.analysis.rank import rank_totals
from pgiostat.analysis.whatif import Assumption
from pgiostat.history.read.history import History
from pgiostat.history.read.windows import Window
from pgiostat.lab.experiments.outcome import Measured, Outcome, outcome
from pgiostat.lab.experiments.run import (
    BASELINE,
    EXPERIMENTS,
    HISTORY,
    Experiment,
    Run,
    assumptions,
    read_runs,
)
from pgiostat.queries.describe import describer
from pgiostat.reports.whatif import amounts_of
from pgiostat.statistics.names import OWN, Names
from pgiostat.volume.demand import attribute_blocks, load_of, split_operations
from pgiostat.volume.models import Volume

__all__ = ["outcomes"]


def outcomes(out: Path, volume: Volume) -> list[Outcome]:
    """Return what came of the experiments in a directory, as they were run, the baseline first.

    Only repetitions that all experiments were run in count.
    Raises PgiostatError: lab-empty, and the history's.
    """
    runs = read_runs(out)
    by_name = {each.name: each for each in EXPERIMENTS}
    names = list(dict.fromkeys(run.experiment for run in runs))
    whole = min(sum(run.experiment == name for run in runs) for name in names)
    of = {name: [run for run in runs if run.experiment == name][:whole] for name in names}
    with closing(History.open(out / HISTORY)) as history:
        known = history.names(describer())
        measured = {
            name: [_measured(history, known, run) for run in those] for name, those in of.items()
        }
    baseline = measured[BASELINE]
    return [
        outcome(
            name, measured[name], baseline, volume,
            **_recorded(by_name[name], of[name], of[BASELINE]),
        )
        for name in names
    ]  # fmt: skip


class _Recorded(TypedDict):
    targets: tuple[str, ...]
    supposed: list[list[Assumption]]


def _recorded(experiment: Experiment, runs: Sequence[Run], before: Sequence[Run]) -> _Recorded:
    """Return what was changed, and what whatif is told of it."""
    if experiment.name == BASELINE:
        return {"targets": (), "supposed": []}
    told = [assumptions(experiment, run, first) for run, first in zip(runs, before, strict=True)]
    targets = dict.fromkeys(each.category for some in told for each in some)
    return {"targets": tuple(targets), "supposed": told}


def _measured(history: History, names: Mapping[int, Names], run: Run) -> Measured:
    seen = history.totals(Window(run.since, run.until, run.experiment))
    parts = [(part, names.get(whose, Names())) for whose, part in seen.counted.items()]
    ranking = rank_totals(parts)
    reads = ServerReads.of_servers(part.reads for part, _ in parts)
    each = reads.per_block.shared
    load, _ = load_of(reads, ranking.seconds, ranking.explained.block_size, each)
    # The more is read, the more intervals we read as well: our own is no part of the traffic.
    [by_part] = attribute_blocks([ranking])
    whole = load.operations or 0.0
    ours = split_operations(whole, by_part).get(OWN, 0.0)
    return Measured(
        ranking.seconds,
        amounts_of(replace(ranking, own=None)),
        replace(load, operations=whole - ours),
    )
