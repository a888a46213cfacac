"""A history as pandas frames, for notebooks: stated dtypes, UTC index, units in attrs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from pgiostat.cost import FIELDS
from pgiostat.counters import STATEMENTS
from pgiostat.describe import describer
from pgiostat.history.asked import chosen, window
from pgiostat.history.reader import History
from pgiostat.history.schema import FACTS, columns_of
from pgiostat.history.seen import Seen
from pgiostat.history.sides import compared
from pgiostat.history.steps import Steps, by_hour, cut, series
from pgiostat.history.windows import Window
from pgiostat.names import Describe, Names
from pgiostat.rank import By, Ranking, Sort, group_of, rank_counted
from pgiostat.render.columns import KEYS, METRICS
from pgiostat.render.compare import COLUMNS, rows_of
from pgiostat.render.csvform import records
from pgiostat.render.report import remarks
from pgiostat.rules import load
from pgiostat.times import duration
from pgiostat.units import Unit

__all__ = ["Frames", "open_history"]

WISHED_STEPS = 120
_NICE = (10, 30, 60, 300, 600, 1800, 3600, 10_800, 21_600, 86_400)
_UNITS = {
    "blocks_read": "blocks",
    "blocks_read_per_s": "blocks/s",
    "read_operations_per_s": "operations/s",
    "bytes_read_per_s": "bytes/s",
    "read_time_ms": "ms",
    "rd_await_ms": "ms",
    "reading_sessions": "sessions",
    "blocks_read_per_call": "blocks/call",
    "calls_per_s": "calls/s",
    "total_exec_time_ms": "ms",
    "mean_exec_time_ms": "ms",
    "share": "ratio",
    "hit_ratio": "ratio",
    "coverage": "ratio",
    "change": "ratio",
    "seconds": "s",
    "own_seconds": "s",
    "total_exec_us": "µs",
    "read_us": "µs",
    "timed_blocks": "blocks",
    "statement_blocks": "blocks",
    "server_blocks": "blocks",
}
_WHOLE = {"calls", "rows", "rank", "members", "blocks_read", "queryid", "samples", "evicted"}
_WHOLE |= {name for name in FIELDS if name.endswith(("_hit", "_read", "_us", "_blocks"))}
_WHOLE |= {"statement_blocks", "server_blocks", "unknown", "version_num"}


def open_history(
    path: str | Path, *, rules: str | Path | None = None, skip_bad: bool = False
) -> "Frames":
    """Return a history as pandas frames; a collector may go on writing to it.

    rules: a rules file, before the built-in rules.  Raises PgiostatError as History.open does.
    """
    describe = describer(None if rules is None else load(Path(rules)))
    return Frames(History.open(Path(path), skip_bad=skip_bad), describe)


@dataclass(slots=True)
class Frames:
    """A history as frames.

    Times are words as for the command line: since="-2h", until="2026-11-23T10:00Z", last="7d".
    Whole numbers are Int64, where an unknown one is NA; other numbers float64 with NaN; texts
    string.  attrs tell units, window, coverage, and remarks on the quality of the numbers.
    """

    history: History
    describe: Describe
    _names: dict[int, Names] = field(default_factory=dict)

    def servers(self) -> pd.DataFrame:
        """Return the servers: label, since, until, samples."""
        rows = [
            {"server": s.label, "since": s.since, "until": s.until, "samples": s.samples}
            for s in self.history.servers()
        ]
        frame = _typed(pd.DataFrame(rows, columns=["server", "since", "until", "samples"]))
        return frame.set_index("server")

    def samples(
        self, *, label: str = "", since: str | None = None, until: str | None = None,
        last: str | None = None,
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
        frame.insert(1, "seconds", frame.pop("dur_us").astype("float64") / 1e6)
        frame = frame.drop(columns=["server_id", "label"])
        return self._told(frame.rename(columns={"qualities": "quality"}), span)

    def io(
        self, *, label: str = "", since: str | None = None, until: str | None = None,
        last: str | None = None,
    ) -> pd.DataFrame:  # fmt: skip
        """Return rows of pg_stat_io that did anything, by interval; none before PostgreSQL 16.

        Counters have PostgreSQL's names and units.
        """
        span = self._window(label, since, until, last)
        frame = self._plain("io", span)
        frame.insert(1, "seconds", frame.pop("dur_us").astype("float64") / 1e6)
        columns = columns_of(FACTS["io"])
        for column in columns:
            if column.unit is Unit.MILLISECONDS:
                frame[column.name] = frame[column.name].astype("float64") / 1000
        told = self._told(frame.drop(columns=["server_id"]), span)
        told.attrs["units"] |= {c.name: c.unit.value for c in columns if c.unit is not Unit.NONE}
        return told

    def ranking(
        self, by: str = "category", *, sort: str = "reads", top: int | None = None,
        label: str = "", since: str | None = None, until: str | None = None,
        last: str | None = None,
    ) -> pd.DataFrame:  # fmt: skip
        """Return who read what in a window: the rows of `pgiostat report --format csv`.

        part is row, rest, own or unattributed; blocks_read of all parts adds up to what the
        server itself counted.
        """
        ranked = By(by)
        seen = self._seen(label, since, until, last, ranked)
        names = self._known()
        if ranked is By.HOUR:
            parts = by_hour(self.history, seen, names)
        else:
            parts = [(each, names.get(whose, Names())) for whose, each in seen.counted.items()]
        ranking = rank_counted(parts, by=ranked, sort=Sort(sort), top=top)
        frame = _typed(pd.DataFrame(_records(ranking)))
        return self._told(frame, seen.window, seen)

    def categories(
        self, every: str | None = None, *, label: str = "", since: str | None = None,
        until: str | None = None, last: str | None = None,
    ) -> pd.DataFrame:  # fmt: skip
        """Return what each category read in each step, by when the step begins.

        every: the length of a step, as "1m"; about 120 steps if not given.  part is as in ranking.
        """
        seen = self._seen(label, since, until, last)
        names = self._known()
        parts = [(each, names.get(whose, Names())) for whose, each in seen.counted.items()]
        ranking = rank_counted(parts)
        step = _step(seen, every)
        rows: list[dict[str, Any]] = []
        for each in series(self.history, seen, names, ranking, step):
            told = {"step": each.since, "seconds": each.sampled.seconds,
                    "coverage": each.sampled.coverage}  # fmt: skip
            rows += [told | record for record in _records(each.ranking)]
        frame = _typed(pd.DataFrame(rows)).set_index("step")
        told_frame = self._told(frame, seen.window, seen)
        told_frame.attrs["step_seconds"] = step.total_seconds()
        return told_frame

    def statements(
        self, every: str | None = None, *, label: str = "", since: str | None = None,
        until: str | None = None, last: str | None = None,
    ) -> pd.DataFrame:  # fmt: skip
        """Return what each statement did in each step in which it was called, by when that begins.

        every: the length of a step; about 120 steps if not given.  Statements of several users,
        databases and servers are rows of their own.
        """
        seen = self._seen(label, since, until, last)
        names = self._known()
        step = _step(seen, every)
        groups, told, count = {}, [], 0
        for server, counted in seen.counted.items():
            groups[server] = range(count, count + len(counted.statements))
            count += len(counted.statements)
            told += [
                _identity(ids, counted.server, names.get(server, Names()))
                for ids in counted.statements
            ]
        steps = cut(self.history, seen, groups, count, step)
        frame = self._told(_long(steps, told, seen.window.since), seen.window, seen)
        frame.attrs["step_seconds"] = step.total_seconds()
        return frame

    def compare(self, a: str, b: str, *, per: str = "second") -> pd.DataFrame:
        """Return what changed from A to B: the rows of `pgiostat compare --format csv`.

        a, b: as for the command line, of this history if they name no other: "prod@-2h..-1h".
        attrs tell whether it was judged, and if not, why.
        """
        root, now = self.history.layout.root, datetime.now().astimezone()
        skip_bad = self.history.skip_bad
        sides = compared(
            chosen(a, root, now, skip_bad=skip_bad),
            chosen(b, root, now, skip_bad=skip_bad),
            self.describe,
            per,
        )
        frame = pd.DataFrame(list(rows_of(sides.comparison)), columns=list(COLUMNS))
        frame = _typed(frame.replace({"": None}))
        frame.attrs = {
            "judged": not sides.comparison.reasons,
            "reasons": list(sides.comparison.reasons),
            "step_seconds": sides.step.total_seconds(),
            "units": _units(frame),
        }
        return frame

    # how

    def _known(self) -> Mapping[int, Names]:
        if not self._names:
            self._names = self.history.names(self.describe)
        return self._names

    def _window(self, label: str, since: str | None, until: str | None, last: str | None) -> Window:
        now = datetime.now().astimezone()
        self._names = {}
        return window(self.history, now, label=label, since=since, until=until, last=last)

    def _seen(
        self, label: str, since: str | None, until: str | None, last: str | None,
        by: By = By.CATEGORY,
    ) -> Seen:  # fmt: skip
        return self.history.seen(self._window(label, since, until, last), by)

    def _plain(self, table: str, span: Window) -> pd.DataFrame:
        """Return rows of a table as they are, with the label of their server."""
        labels = {s.server_id: s.label for s in self.history.choose(span.label)}
        rows = self.history.facts(table, span, list(labels))
        frame: pd.DataFrame = rows.to_pandas(types_mapper=_mapper)
        frame.insert(1, "server", frame["server_id"].map(labels).astype("string"))
        return frame.set_index("ts").rename_axis("interval_start")

    def _told(self, frame: pd.DataFrame, span: Window, seen: Seen | None = None) -> pd.DataFrame:
        frame.attrs = {
            "since": span.since,
            "until": span.until,
            "units": _units(frame),
        }
        if seen is not None:
            frame.attrs |= {"coverage": seen.sampled.coverage, "remarks": list(remarks(seen))}
        return frame


def _mapper(kind: Any) -> Any:
    """Return the dtype of a column of a history: whole numbers may be unknown."""
    return {
        pa.int64(): pd.Int64Dtype(),
        pa.int8(): pd.Int64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
        pa.string(): pd.StringDtype(),
    }.get(kind)


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame in which each column has its stated dtype, whatever its values are."""
    kinds = {}
    for name in map(str, frame.columns):
        values = frame[name]
        if name in {"since", "until", "step"}:
            kinds[name] = "datetime64[us, UTC]"
        elif name.removesuffix("_a").removesuffix("_b") in _WHOLE or name.endswith("_blks_read"):
            kinds[name] = "Int64"
        elif name in _WORDS:
            kinds[name] = "string"
        elif values.dtype == bool:
            kinds[name] = "boolean"
        else:
            kinds[name] = "float64"
    return frame.astype(kinds)


_WORDS = {key.name for keys in KEYS.values() for key in keys if not key.name.endswith("_read")}
_WORDS |= {"server", "part", "key", "category_a", "category_b", "per", "verdict", "quality"}
_WORDS -= {"queryid"}


def _units(frame: pd.DataFrame) -> dict[str, str]:
    """Return the units of the columns that have one."""
    found = {}
    views = {column.name: column.unit for column in STATEMENTS.columns}
    for name in map(str, frame.columns):
        bare = name.removesuffix("_a").removesuffix("_b")
        unit = _UNITS.get(bare)
        if unit is None and bare in views and views[bare] is not Unit.NONE:
            unit = views[bare].value
        if unit is None and bare.endswith("_us"):
            unit = "µs"
        if unit is not None:
            found[name] = unit
    return found


def _records(ranking: Ranking) -> list[dict[str, Any]]:
    """Return a ranking's rows by column, without what is the same for all."""
    names = {"part", "rank", "share", *(key.name for key in KEYS[ranking.by])}
    names |= {metric.name for metric in METRICS}
    return [
        {name: value for name, value in record.items() if name in names}
        for record in records({}, ranking)
    ]


def _step(seen: Seen, every: str | None) -> timedelta:
    if every is not None:
        return timedelta(seconds=max(duration(every), 1.0))
    interval = seen.sampled.seconds / seen.sampled.samples
    wished = max(seen.window.seconds / WISHED_STEPS, interval * 0.99)
    return timedelta(seconds=next((nice for nice in _NICE if nice >= wished), _NICE[-1]))


def _identity(
    ids: tuple[int, int, int | None], server: str, names: Names
) -> tuple[str, str, str, int | None, str, str, str]:
    """Return server, database, user, queryid, fingerprint, category and text of a statement."""
    userid, dbid, queryid = ids
    known = None if queryid is None else names.statement((userid, dbid, queryid))
    category = group_of(By.CATEGORY, ids, names)[-1]
    fingerprint, text = (known.fingerprint, known.text) if known else ("", "")
    named = names.database(dbid), names.role(userid)
    return server, *named, queryid, fingerprint, category, text


def _long(steps: Steps, told: Sequence[tuple[Any, ...]], since: datetime) -> pd.DataFrame:
    """Return a row for each statement and step in which it did anything."""
    step, statement = np.nonzero(steps.amounts.any(axis=0).T)
    columns = ["server", "database", "user", "queryid", "fingerprint", "category", "query"]
    frame = pd.DataFrame(told, columns=columns)
    frame["queryid"] = frame["queryid"].astype("Int64")
    frame = frame.iloc[statement].reset_index(drop=True)
    starts = pd.DatetimeIndex([max(start, since) for start in steps.starts], tz="UTC").as_unit("us")
    frame.insert(0, "step", starts[step])
    seconds = np.array([each.seconds for each in steps.sampled], dtype=np.float64)
    frame.insert(1, "seconds", seconds[step])
    for number, name in enumerate(FIELDS):
        frame[name] = steps.amounts[number][statement, step]
    frame["blocks_read"] = frame["shared_blks_read"] + frame["local_blks_read"]
    return _typed(frame).set_index("step")
