"""The questions that a history answers with a frame."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from pgiostat.analysis.compare.compare import Per
from pgiostat.analysis.ledger import MEASURED
from pgiostat.analysis.rank import By, Ranking, Sort, rank_totals
from pgiostat.analysis.whatif import parse
from pgiostat.dataframes.arguments import normalize_time, step_for, step_of, usage_error
from pgiostat.dataframes.attrs import with_attrs
from pgiostat.dataframes.burst import burst_frame
from pgiostat.dataframes.dtypes import framed, mapper, shown_in, units
from pgiostat.dataframes.statements import identity, long
from pgiostat.errors import choice
from pgiostat.escape import terminal
from pgiostat.history.engines import DUCKDB
from pgiostat.history.format.schema import FACTS, READS, columns_of
from pgiostat.history.read.history import WHOLE, History
from pgiostat.history.read.window_spec import parse_window_spec, window
from pgiostat.history.read.window_totals import IntervalStats, WindowTotals, together, totals_of
from pgiostat.history.read.windows import Window
from pgiostat.queries.describe import describer
from pgiostat.queries.rules import load
from pgiostat.render.columns import KEYS, METRICS
from pgiostat.render.compare import COLUMNS, rows_of, side_of
from pgiostat.render.csv import records
from pgiostat.render.whatif import records as range_of
from pgiostat.reports.burst import burst_report
from pgiostat.reports.compare import compare_windows
from pgiostat.reports.series import by_hour, resample, series
from pgiostat.reports.whatif import whatif_report
from pgiostat.statistics.delta import Basis
from pgiostat.statistics.names import Describe, Names
from pgiostat.timespec import Instant, Length
from pgiostat.volume.device.interval import MEASURED as DEVICE
from pgiostat.volume.instances import instance_of
from pgiostat.volume.models import volume_of

__all__ = ["Frames", "open_history"]

_RATES = {Per.SECOND: "blocks/s", Per.CALL: "blocks/call", Per.ANCHOR: "blocks/anchor call"}


def open_history(
    path: str | Path,
    *,
    rules: str | Path | None = None,
    skip_bad: bool = False,
    engine: str = DUCKDB,
) -> "Frames":
    """Return a history as pandas frames; a collector may go on writing to it.

    path: a directory, or the URI of a history that was shipped: s3://bucket/path.  rules: a rules
    file, before the built-in rules.  engine: who reads, "duckdb", or Spark under "spark://host:port",
    "sc://host:port" or "local[2]".  Raises PgiostatError as History.open does.
    """
    describe = describer(None if rules is None else load(Path(rules)))
    return Frames(History.open(path, skip_bad=skip_bad, engine=engine), describe)


@dataclass(slots=True, repr=False)
class Frames:
    """A history as frames.

    Times are words as for the command line (since="-2h", until="2026-11-23T10:00Z", last="7d"), or
    datetime and timedelta, also of pandas; one without a zone is in the machine's.
    Whole numbers are Int64, where an unknown one is NA; other numbers float64 with NaN; texts
    string.  attrs tell units, window, servers, coverage, and remarks on the quality of the numbers,
    in values that JSON has, so that to_parquet keeps them.
    """

    history: History
    describe: Describe
    _names: dict[int, Names] = field(default_factory=dict)
    _shown: Window | None = None

    def __repr__(self) -> str:
        """Return where it is, whose it is, and from when to when."""
        there = self.history.servers()
        told = "no sample yet"
        if there:
            since = min(server.since for server in there).astimezone(UTC)
            until = max(server.until for server in there).astimezone(UTC)
            named = terminal(", ".join(dict.fromkeys(server.label for server in there)))
            told = f"{named}, {since:%Y-%m-%d %H:%M:%S} – {until:%Y-%m-%d %H:%M:%S} UTC"
        return f'<history "{terminal(str(self.history.layout.root))}": {told}>'

    def servers(self) -> pd.DataFrame:
        """Return the servers: label, since, until, samples."""
        rows = [
            {"server": s.label, "since": s.since, "until": s.until, "samples": s.samples}
            for s in self.history.servers()
        ]
        columns = ["server", "since", "until", "samples"]
        return framed(rows, columns).set_index("server")

    def samples(
        self, *, label: str = "", since: Instant | None = None, until: Instant | None = None,
        last: Length | None = None,
    ) -> pd.DataFrame:  # fmt: skip
        """Return a row for each interval of each server, by when it begins.

        Columns: server, seconds, quality, coverage, statement_blocks, server_blocks, statements,
        appeared, vanished, dealloc, unknown, own_us, version_num and more, as docs/history.md
        has them.
        """
        span = self._window(label, since, until, last)
        frame = self._plain("sample", span)
        blocks = frame[["statement_blocks", "server_blocks"]].astype("float64")
        blocks = blocks.where(blocks["server_blocks"] > 0)
        frame["coverage"] = blocks["statement_blocks"] / blocks["server_blocks"]
        frame = frame.drop(columns=["server_id", "label"])
        told = with_attrs(frame.rename(columns={"qualities": "quality"}), span, self._watched(span))
        told.attrs["units"] |= {
            READS[name]: unit.value for name, (unit, _) in MEASURED.items() if unit.value
        }
        told.attrs["units"] |= {"block_size": "bytes"}
        return told

    def io(
        self, *, label: str = "", since: Instant | None = None, until: Instant | None = None,
        last: Length | None = None,
    ) -> pd.DataFrame:  # fmt: skip
        """Return rows of pg_stat_io that did anything, by interval; none before PostgreSQL 16.

        Counters have PostgreSQL's names, times their unit, and basis is in words, as in an export.
        """
        span = self._window(label, since, until, last)
        frame = self._plain("io", span)
        found = shown_in(frame, {column.name: column.unit for column in columns_of(FACTS["io"])})
        words = {basis.value: basis.name.lower() for basis in Basis}
        frame["basis"] = frame["basis"].map(words).astype("string")
        told = with_attrs(frame.drop(columns=["server_id"]), span, self._watched(span))
        told.attrs["units"] |= found
        return told

    def device(
        self, *, label: str = "", since: Instant | None = None, until: Instant | None = None,
        last: Length | None = None,
    ) -> pd.DataFrame:  # fmt: skip
        """Return what devices did, by when that began; each time is the device's own.

        Columns: seconds, server, source, device, and those of docs/device.md, times with their
        unit.
        """
        span = self._window(label, since, until, last)
        frame = self._plain("device", span).rename(columns={"name": "device"})
        found = shown_in(frame, {name: unit for name, (unit, _) in DEVICE.items()})
        told = with_attrs(frame.drop(columns=["server_id"]), span, self._watched(span))
        told.attrs["units"] |= found
        return told

    def ranking(
        self, by: str = "category", *, sort: str = "reads", top: int | None = None,
        label: str = "", since: Instant | None = None, until: Instant | None = None,
        last: Length | None = None,
    ) -> pd.DataFrame:  # fmt: skip
        """Return who read what in a window: the rows of `pgiostat report --format csv`.

        part is row, rest, own or unattributed; blocks_read of all parts adds up to what the
        server itself counted.  Raises PgiostatError option-invalid, with what there is.
        """
        ranked, sorting = choice("by", by, By), choice("sort", sort, Sort)
        if top is not None and top < 1:
            raise usage_error(f"invalid value for top: {top}", "It must be at least 1.")
        seen = self._seen(label, since, until, last, ranked)
        names = self._known()
        if ranked is By.HOUR:
            parts = by_hour(self.history, seen, names)
        else:
            parts = [(each, names.get(whose, Names())) for whose, each in seen.counted.items()]
        ranking = rank_totals(parts, by=ranked, sort=sorting, top=top)
        return with_attrs(framed(_records(ranking)), seen.window, seen)

    def categories(
        self, every: Length | None = None, *, label: str = "",
        since: Instant | None = None, until: Instant | None = None, last: Length | None = None,
    ) -> pd.DataFrame:  # fmt: skip
        """Return what each category read in each step on each server, by when the step begins.

        every: the length of a step, as "1m"; about 120 steps if not given.  part is as in ranking.
        Several servers are rows of their own; label chooses one.
        """
        step = None if every is None else step_of(every)
        seen = self._seen(label, since, until, last)
        names = self._known()
        step = step or step_for(seen)
        rows: list[dict[str, Any]] = []
        for server, those in _by_label(seen).items():
            parts = [(each, names.get(whose, Names())) for whose, each in those.counted.items()]
            for each in series(self.history, those, names, rank_totals(parts), step):
                told = {"step": each.since, "seconds": each.sampled.seconds,
                        "coverage": each.sampled.coverage, "server": server}  # fmt: skip
                rows += [told | record for record in _records(each.ranking)]
        frame = framed(rows).sort_values("step", kind="stable").set_index("step")
        told_frame = with_attrs(frame, seen.window, seen)
        told_frame.attrs["step_seconds"] = step.total_seconds()
        return told_frame

    def statements(
        self, every: Length | None = None, *, label: str = "",
        since: Instant | None = None, until: Instant | None = None, last: Length | None = None,
    ) -> pd.DataFrame:  # fmt: skip
        """Return what each statement did in each step in which it was called, by when that begins.

        every: the length of a step; about 120 steps if not given.  Statements of several users,
        databases and servers are rows of their own.
        """
        step = None if every is None else step_of(every)
        seen = self._seen(label, since, until, last)
        names = self._known()
        step = step or step_for(seen)
        groups, told, count = {}, [], 0
        for server, there in seen.counted.items():
            groups[server] = range(count, count + len(there.statements))
            count += len(there.statements)
            told += [
                identity(ids, there.server, names.get(server, Names())) for ids in there.statements
            ]
        steps = resample(self.history, seen, groups, count, step)
        frame = with_attrs(long(steps, told, seen.window.since), seen.window, seen)
        frame.attrs["step_seconds"] = step.total_seconds()
        return frame

    def burst(
        self, volume: str, *, instance: str = "", balance: float | None = None,
        writes: float = 0.0, label: str = "", since: Instant | None = None,
        until: Instant | None = None, last: Length | None = None,
    ) -> pd.DataFrame:  # fmt: skip
        """Return a volume's burst balance, and who burned it: the rows of `pgiostat burst`.

        volume: as gp2:500.  instance: as db.t3.medium.  balance: what was in the bucket at first,
        in per cent; CloudWatch's if it was collected, else 100.  writes: operations a second.
        attrs tell the volume, and what follows if it goes on so: to_empty_s, to_refill_s, to_go.
        """
        model = volume_of(volume)
        if instance:
            model = model.limited(instance_of(instance))
        if balance is not None and not 0 <= balance <= 100:  # noqa: PLR2004 - per cent
            raise usage_error(f"invalid value for balance: {balance}", "It must be from 0 to 100.")
        seen = self._seen(label, since, until, last)
        start = None if balance is None else balance / 100
        found = burst_report(self.history, seen, self._known(), model, balance=start, writes=writes)
        return burst_frame(seen, found)

    def whatif(
        self, *, drop: Sequence[str] = (), calls: Mapping[str, float] | None = None,
        reads: Mapping[str, float] | None = None, volume: str = "", label: str = "",
        since: Instant | None = None, until: Instant | None = None, last: Length | None = None,
    ) -> pd.DataFrame:  # fmt: skip
        """Return the range of what would have been read: the rows of `pgiostat whatif`.

        drop: categories that are gone.  calls, reads: factors by category.  volume: as gp2:500.
        Columns: measure, unit, now, at_least, at_most; unknown, or never, is NaN.
        Raises PgiostatError option-invalid, and category-unknown with those that there are.
        """
        supposed = parse(
            drop,
            [f"{name}={factor}" for name, factor in (calls or {}).items()],
            [f"{name}={factor}" for name, factor in (reads or {}).items()],
        )
        model = volume_of(volume) if volume else None
        seen = self._seen(label, since, until, last)
        found = whatif_report(self.history, seen, self._known(), supposed, volume=model)
        columns = ["measure", "unit", "now", "at_least", "at_most"]
        return with_attrs(framed(list(range_of(found)), columns), seen.window, seen)

    def compare(self, a: str, b: str, *, per: str = "second") -> pd.DataFrame:
        """Return what changed from A to B: the rows of `pgiostat compare --format csv`.

        a, b: as for the command line, of this history if they name no other: "prod@-2h..-1h".
        attrs tell whether it was judged, and if not, why; and of a and b the window, how good it
        is, and the rate's unit.
        """
        root, now = self.history.layout.root, datetime.now().astimezone()
        skip_bad, engine = self.history.skip_bad, self.history.engine.name
        sides = compare_windows(
            parse_window_spec(a, root, now, skip_bad=skip_bad, engine=engine),
            parse_window_spec(b, root, now, skip_bad=skip_bad, engine=engine),
            self.describe,
            per,
        )
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

    # how

    def _known(self) -> Mapping[int, Names]:
        if not self._names:
            self._names = self.history.names(self.describe, self._shown)
        return self._names

    def _window(
        self, label: str, since: Instant | None, until: Instant | None, last: Length | None
    ) -> Window:
        now = datetime.now().astimezone()
        self._names = {}
        self._shown = window(
            self.history,
            now,
            label=label,
            since=normalize_time(since),
            until=normalize_time(until),
            last=normalize_time(last),
        )
        return self._shown

    def _seen(
        self, label: str, since: Instant | None, until: Instant | None, last: Length | None,
        by: By = By.CATEGORY,
    ) -> WindowTotals:  # fmt: skip
        return self.history.totals(self._window(label, since, until, last), by)

    def _watched(self, span: Window) -> WindowTotals | None:
        """Return how good the intervals of a window are, without what was counted in them."""
        servers = {each.server_id: each for each in self.history.choose(span.label)}
        sampled = {
            server: IntervalStats.of(buckets[WHOLE])
            for server, buckets in self.history.samples(span, list(servers.values())).items()
        }
        if not sampled:
            return None
        return WindowTotals(
            window=span,
            servers=tuple(each for each in servers.values() if each.server_id in sampled),
            counted={
                server: totals_of(servers[server], each, None, None, None)
                for server, each in sampled.items()
            },
            sampled=together(list(sampled.values())),
            left_out=tuple(sorted(self.history.left_out)),
        )

    def _plain(self, table: str, span: Window) -> pd.DataFrame:
        """Return rows of a table as they are, with the label of their server."""
        labels = {s.server_id: s.label for s in self.history.choose(span.label)}
        rows = self.history.facts(table, span, list(labels))
        frame: pd.DataFrame = rows.to_pandas(types_mapper=mapper)
        frame.insert(1, "server", frame["server_id"].map(labels).astype("string"))
        frame.insert(1, "seconds", frame.pop("dur_us").astype("float64") / 1e6)
        return frame.set_index("ts").rename_axis("interval_start")


def _by_label(seen: WindowTotals) -> dict[str, WindowTotals]:
    """Return what was seen of each label; several servers may have answered under one."""
    found = {}
    for label in dict.fromkeys(server.label for server in seen.servers):
        servers = tuple(server for server in seen.servers if server.label == label)
        counts = {each.server_id: seen.counted[each.server_id] for each in servers}
        found[label] = replace(seen, servers=servers, counted=counts)
    return found


def _records(ranking: Ranking) -> list[dict[str, Any]]:
    """Return a ranking's rows by column, without what is the same for all."""
    names = {"part", "rank", "share", *(key.name for key in KEYS[ranking.by])}
    names |= {metric.name for metric in METRICS}
    return [
        {name: value for name, value in record.items() if name in names}
        for record in records({}, ranking)
    ]
