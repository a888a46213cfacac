"""The outcome of experiments, from the history that they were measured into."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TypedDict

from pgiostat.analysis.server_reads import ServerReads
from pgiostat.analysis.whatif import Assumption, Touches
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
from pgiostat.queries.rules import rule_book
from pgiostat.reports.ranking import ranking_report
from pgiostat.reports.whatif_parts import amounts_of, counted_statements
from pgiostat.statistics.names import OTHER, OWN, Describe, Statement
from pgiostat.volume.demand import attribute_blocks, load_of, split_operations
from pgiostat.volume.models import Volume

__all__ = ["outcomes"]

_RULES = Path(__file__).with_name("rules.toml")


def outcomes(out: Path, volume: Volume) -> list[Outcome]:
    """Return the outcome of each experiment, in the order in which they ran, the baseline first.

    Args:
        out: Directory of the experiments. Repetitions that some experiment lacks are left out.
        volume: The volume that the traffic is replayed against.

    Raises:
        PgiostatError: lab-empty, and the history's.
    """
    runs = read_runs(out)
    by_name = {each.name: each for each in EXPERIMENTS}
    names = list(dict.fromkeys(run.experiment for run in runs))
    whole = min(sum(run.experiment == name for run in runs) for name in names)
    of = {name: [run for run in runs if run.experiment == name][:whole] for name in names}
    with closing(History.open(out / HISTORY)) as history:
        describe = cache(_describer())  # every run has the same statements
        measured = {
            name: [_measured(history, describe, run) for run in repetitions]
            for name, repetitions in of.items()
        }
    baseline = measured[BASELINE]
    return [
        outcome(
            name,
            measured[name],
            baseline,
            volume,
            **_changed(by_name[name], of[name], of[BASELINE]),
        )
        for name in names
    ]


def _describer() -> Describe:
    """Return what describes statements by the rules of the lab; what none takes is `other`."""
    describe = describer(rule_book(_RULES, "sync", by="the lab"))

    def described(text: str | bytes, *, user: str, database: str, queryid: int) -> Statement:
        found = describe(text, user=user, database=database, queryid=queryid)
        return replace(found, category=OTHER) if found.category == found.action else found

    return described


class _Changed(TypedDict):
    targets: tuple[str, ...]
    supposed: list[list[Assumption]]


def _changed(experiment: Experiment, runs: Sequence[Run], before: Sequence[Run]) -> _Changed:
    """Return the categories that an experiment changed, and the changes as whatif takes them."""
    if experiment.name == BASELINE:
        return {"targets": (), "supposed": []}
    changes = [assumptions(experiment, run, first) for run, first in zip(runs, before, strict=True)]
    targets = dict.fromkeys(each.category for some in changes for each in some)
    return {"targets": tuple(targets), "supposed": changes}


def _measured(history: History, describe: Describe, run: Run) -> Measured:
    window = Window(run.since, run.until, run.experiment)
    report = ranking_report(history, window, describe)
    ranking = report.ranking
    reads = ServerReads.of_servers(part.reads for part in report.totals.counted.values())
    each = reads.per_block.shared
    load, _ = load_of(reads, ranking.seconds, ranking.explained.block_size, each)
    # Our own operations grow with the number of snapshots: they are no part of the traffic.
    [by_part] = attribute_blocks([ranking])
    whole = load.operations or 0.0
    ours = split_operations(whole, by_part).get(OWN, 0.0)
    amounts = amounts_of(replace(ranking, own=None))
    statements = counted_statements(report.totals.parts(history.names(describe, window)))
    return Measured(
        ranking.seconds,
        amounts,
        replace(load, operations=whole - ours),
        tuple(
            Touches(each.category, each.tables, each.amounts)
            for each in statements
            if each.category in amounts
        ),
    )
