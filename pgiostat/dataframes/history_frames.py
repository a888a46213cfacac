"""The reports of a history as frames."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from pgiostat.analysis.compare.compare import Per
from pgiostat.analysis.rank import By, Ranking, Sort
from pgiostat.analysis.whatif import parse
from pgiostat.dataframes.arguments import step_of, usage_error
from pgiostat.dataframes.attrs import with_attrs
from pgiostat.dataframes.burst import burst_frame
from pgiostat.dataframes.dtypes import framed, units
from pgiostat.dataframes.statements import statements_frame
from pgiostat.dataframes.why import WhyFrames
from pgiostat.errors import choice
from pgiostat.history.engines import DUCKDB
from pgiostat.history.read.history import History
from pgiostat.history.read.window_spec import open_pair
from pgiostat.history.read.window_totals import WindowTotals
from pgiostat.queries.describe import describer
from pgiostat.queries.rules import PresetChoice, rule_book
from pgiostat.render.activity_columns import columns_of
from pgiostat.render.columns import KEYS
from pgiostat.render.compare import COLUMNS, rows_of, side_of
from pgiostat.render.csv import records
from pgiostat.render.whatif import records as range_of
from pgiostat.reports.burst import burst_report
from pgiostat.reports.compare import compare_windows
from pgiostat.reports.ranking import ranking_report
from pgiostat.reports.series import labels_report, statements_report
from pgiostat.reports.whatif import whatif_report
from pgiostat.timespec import Instant, Length
from pgiostat.volume.instances import instance_of
from pgiostat.volume.models import volume_of

__all__ = ["Frames", "open_history"]

_STORED = tuple(each for each in By if each is not By.TAG)
"""What a ranking can be by: a history has no comments of statements, and so no tags."""
_RATES = {Per.SECOND: "blocks/s", Per.CALL: "blocks/call", Per.ANCHOR: "blocks/anchor call"}


def open_history(
    path: str | Path,
    *,
    rules: str | Path | None = None,
    preset: PresetChoice = "auto",
    skip_bad: bool = False,
    engine: str = DUCKDB,
) -> "Frames":
    """Open a history for a notebook; a collector may go on writing to it.

    Args:
        path: Its directory, or its URI in an object store: s3://bucket/path.
        rules: A rules file, before the rules of the preset.
        preset: "auto", "sync", "general" or "none" (docs/categories.md).
        skip_bad: Leave out files that cannot be read; attrs["remarks"] of a frame names them.
        engine: What runs the queries: "duckdb", or Spark as "spark://HOST:PORT",
            "sc://HOST:PORT" or "local[N]".

    Returns:
        The history as frames.

    Raises:
        PgiostatError: history-missing, not-a-history, history-newer, history-unreadable,
            store-unreachable, option-invalid, and rules-file or rules-toml for the rules.
    """
    describe = describer(rule_book(rules, preset))
    return Frames(History.open(path, skip_bad=skip_bad, engine=engine), describe)


@dataclass(slots=True, repr=False)
class Frames(WhyFrames):
    """A history as pandas frames.

    Times are words as on the command line (since="-2h", until="2026-11-23T10:00Z", last="7d"), or
    datetime and timedelta, also of pandas; one without a zone is in the zone of the machine.

    Whole numbers are Int64, where an unknown one is NA; other numbers are float64 with NaN, texts
    string. attrs has units, window, servers, coverage, and remarks on the quality of the numbers,
    in values that JSON has, so that to_parquet keeps them.

    Attributes:
        history: The history.
        describe: Returns the category of a statement, by the current rules.
    """

    def ranking(
        self,
        by: str = "category",
        *,
        sort: str = "reads",
        top: int | None = None,
        label: str = "",
        since: Instant | None = None,
        until: Instant | None = None,
        last: Length | None = None,
    ) -> pd.DataFrame:
        """Rank the reads of a window: the rows of `pgiostat report --format csv`.

        Args:
            by: What a row is: "category", "verb", "table", "fingerprint", "statement", "relation",
                "index", "database", "user", "server" or "hour".
            sort: "reads", "time", "temp", "calls" or "per-call", the greatest first.
            top: Number of rows; the others are one row, rest. None for all.
            label: One server; all if empty.
            since: Start of the window; the start of the history if None.
            until: End of the window; the end of the newest interval if None.
            last: Length of the window, instead of a start.

        Returns:
            A row for each, in order. part is row, rest, own or an account of the ledger;
            blocks_read of all parts adds up to the server's own count.

        Raises:
            PgiostatError: option-invalid, window-empty, time-invalid, label-unknown,
                history-empty, history-unreadable.
        """
        ranked, sorting = choice("by", by, _STORED), choice("sort", sort, Sort)
        if top is not None and top < 1:
            raise usage_error(f"invalid value for top: {top}", "It must be at least 1.")
        span = self._window(label, since, until, last)
        report = ranking_report(self.history, span, self.describe, by=ranked, sort=sorting, top=top)
        totals = report.totals
        return with_attrs(framed(_records(report.ranking)), totals.window, totals)

    def categories(
        self,
        every: Length | None = None,
        *,
        label: str = "",
        since: Instant | None = None,
        until: Instant | None = None,
        last: Length | None = None,
    ) -> pd.DataFrame:
        """Return the reads of each category in each step on each server.

        Args:
            every: Length of a step, for example "1m"; about 120 steps if None.
            label: One server; all if empty.
            since: Start of the window; the start of the history if None.
            until: End of the window; the end of the newest interval if None.
            last: Length of the window, instead of a start.

        Returns:
            A row for each step, server and part, by the start of the step (UTC); part is as in
            ranking. attrs["step_seconds"] is the length of a step.

        Raises:
            PgiostatError: option-invalid, step-too-short, step-invalid, window-empty, time-
                invalid, label-unknown, history-empty, history-unreadable.
        """
        step = None if every is None else step_of(every)
        span = self._window(label, since, until, last)
        report = labels_report(self.history, span, self.describe, step)
        rows: list[dict[str, Any]] = []
        for server, steps in report.steps.items():
            for each in steps:
                of_step = {
                    "step": each.since,
                    "seconds": each.sampled.seconds,
                    "coverage": each.sampled.coverage,
                    "server": server,
                }
                rows += [of_step | record for record in _records(each.ranking)]
        frame = framed(rows).sort_values("step", kind="stable").set_index("step")
        return _stepped(frame, report.totals, report.step)

    def statements(
        self,
        every: Length | None = None,
        *,
        label: str = "",
        since: Instant | None = None,
        until: Instant | None = None,
        last: Length | None = None,
    ) -> pd.DataFrame:
        """Return the counts of each statement in each step in which it was called.

        Args:
            every: Length of a step, for example "1m"; about 120 steps if None.
            label: One server; all if empty.
            since: Start of the window; the start of the history if None.
            until: End of the window; the end of the newest interval if None.
            last: Length of the window, instead of a start.

        Returns:
            A row for each step and statement of a user, database and server, by the start of the
            step (UTC). attrs["step_seconds"] is the length of a step.

        Raises:
            PgiostatError: option-invalid, step-too-short, window-empty, time-invalid,
                label-unknown, history-empty, history-unreadable.
        """
        step = None if every is None else step_of(every)
        span = self._window(label, since, until, last)
        report = statements_report(self.history, span, self.describe, step)
        return _stepped(statements_frame(report), report.totals, report.steps.step)

    def burst(
        self,
        volume: str,
        *,
        instance: str = "",
        balance: float | None = None,
        writes: float = 0.0,
        label: str = "",
        since: Instant | None = None,
        until: Instant | None = None,
        last: Length | None = None,
    ) -> pd.DataFrame:
        """Return a volume's burst balance, and who used its credits: `pgiostat burst`.

        Args:
            volume: As "gp2:500".
            instance: Instance type, for example "db.t3.medium"; its own limits if empty.
            balance: Balance at the start in per cent; CloudWatch's if None, or 100 without it.
            writes: Known write operations per second.
            label: One server; all if empty.
            since: Start of the window; the start of the history if None.
            until: End of the window; the end of the newest interval if None.
            last: Length of the window, instead of a start.

        Returns:
            The rows of `pgiostat burst --format csv`, by the start of the step (UTC). attrs has the
            volume and the forecast: to_empty_s, to_refill_s (seconds), to_go (categories).

        Raises:
            PgiostatError: option-invalid, window-empty, time-invalid, label-unknown,
                history-empty, history-unreadable.
        """
        model = volume_of(volume)
        if instance:
            model = model.limited(instance_of(instance))
        if balance is not None and not 0 <= balance <= 100:  # noqa: PLR2004 - per cent
            raise usage_error(f"invalid value for balance: {balance}", "It must be from 0 to 100.")
        span = self._window(label, since, until, last)
        start = None if balance is None else balance / 100
        return burst_frame(
            burst_report(self.history, span, self.describe, model, balance=start, writes=writes)
        )

    def whatif(
        self,
        *,
        drop: Sequence[str] = (),
        calls: Mapping[str, float] | None = None,
        reads: Mapping[str, float] | None = None,
        volume: str = "",
        label: str = "",
        since: Instant | None = None,
        until: Instant | None = None,
        last: Length | None = None,
    ) -> pd.DataFrame:
        """Return the estimated point and range of reads after a change: `pgiostat whatif`.

        Args:
            drop: Categories that are gone; or fingerprints, queryids or parts of texts.
            calls: Factors on calls, by category or statements.
            reads: Factors on blocks read, by category or statements.
            volume: As "gp2:500"; none if empty.
            label: One server; all if empty.
            since: Start of the window; the start of the history if None.
            until: End of the window; the end of the newest interval if None.
            last: Length of the window, instead of a start.

        Returns:
            A row for each measure: measure, unit, now, at_least, at_most, expected; NaN if it is
            unknown, or never.

        Raises:
            PgiostatError: option-invalid, category-unknown, window-empty, time-invalid,
                label-unknown, history-empty, history-unreadable.
        """
        supposed = parse(
            drop,
            [f"{name}={factor}" for name, factor in (calls or {}).items()],
            [f"{name}={factor}" for name, factor in (reads or {}).items()],
        )
        model = volume_of(volume) if volume else None
        span = self._window(label, since, until, last)
        report = whatif_report(self.history, span, self.describe, supposed, volume=model)
        columns = ["measure", "unit", "now", "at_least", "at_most", "expected"]
        totals = report.totals
        return with_attrs(framed(list(range_of(report)), columns), totals.window, totals)

    def compare(self, a: str, b: str, *, per: str = "second") -> pd.DataFrame:
        """Compare two windows: the rows of `pgiostat compare --format csv`.

        Args:
            a: The time window before, written as on the command line: "prod@-2h..-1h"; of this
                history if it names no other.
            b: The window after, the same.
            per: What blocks are divided by: "second", "call", or the calls of an anchor, for
                example "version:calls".

        Returns:
            A row for the total, each category and each fingerprint. attrs has judged, and if it is
            false, reasons; and for a and b the window, its quality, and the unit of the rate.

        Raises:
            PgiostatError: option-invalid, time-invalid, windows-overlap, anchor-unknown,
                step-too-short, window-empty, label-unknown, history-empty, history-unreadable.
        """
        root, now = self.history.layout.root, datetime.now().astimezone()
        skip_bad, engine = self.history.skip_bad, self.history.engine.name
        with open_pair(a, b, root, now, skip_bad=skip_bad, engine=engine) as (before, after):
            sides = compare_windows(before, after, self.describe, per)
        rows = [
            {name: None if value == "" else value for name, value in row.items()}
            for row in rows_of(sides.comparison)
        ]
        frame = framed(rows, COLUMNS)
        frame.attrs = {
            "judged": not sides.comparison.reasons,
            "reasons": list(sides.comparison.reasons),
            "a": side_of(sides.a),
            "b": side_of(sides.b),
            "step_seconds": sides.step.total_seconds(),
            "units": units(frame) | dict.fromkeys("ab", _RATES[sides.comparison.per]),
        }
        return frame


def _stepped(frame: pd.DataFrame, totals: WindowTotals, step: timedelta) -> pd.DataFrame:
    """Return a frame of steps with its attrs."""
    described = with_attrs(frame, totals.window, totals)
    described.attrs["step_seconds"] = step.total_seconds()
    return described


def _records(ranking: Ranking) -> list[dict[str, Any]]:
    """Return a ranking's rows by column, without what is the same for all."""
    names = {"part", "rank", "share", *(key.name for key in KEYS[ranking.by])}
    with_activity = ranking.activity is not None
    names |= {each.name for each in columns_of(ranking.by, with_activity=with_activity)}
    return [
        {name: value for name, value in record.items() if name in names}
        for record in records({}, ranking)
    ]
