"""Exports of `watch`: the clipboard, a CSV file, a picture."""

from pgiostat.analysis.rank import RankRow, queryids_of
from pgiostat.escape import pasted
from pgiostat.queries.own_text import NOT_EXPLAINABLE, is_explainable, to_copy
from pgiostat.watch.display import WatchDisplay
from pgiostat.watch.screen.csv_export import as_csv

__all__ = ["ExportActions"]


class ExportActions(WatchDisplay):
    """The actions that copy or write what is shown."""

    def action_copy(self) -> None:
        """Copy the selected row: a statement to run EXPLAIN on with its queryids, or the name."""
        row = self._chosen()
        if row is not None:
            self.copy_row(row.name if row.of is None or not row.of.text else row.of)

    def copy_row(self, row: RankRow | str) -> None:
        """Copy a statement, or a name."""
        text = row if isinstance(row, str) else row.name
        if isinstance(row, RankRow) and row.text:
            text = to_copy(row.own_text, row.text, self._queryids(row))
        self.copy_to_clipboard(pasted(text))
        is_command = isinstance(row, RankRow) and row.text and not is_explainable(row.text)
        self.notify(f"copied; {NOT_EXPLAINABLE}" if is_command else "copied")

    def _queryids(self, row: RankRow) -> list[int]:
        """Return the queryids of a statement's entries, those with the most reads first."""
        if row.queryid is not None:
            return [row.queryid]
        counted, names = self.counted_shown(), self.session_view.names
        return [] if counted is None else queryids_of(counted, names, row.key)

    def action_export(self) -> None:
        """Write the table as CSV."""
        self._write("csv", self.as_csv())

    def action_picture(self) -> None:
        """Write the screen as SVG."""
        self._write("svg", self.export_screenshot(title=self.TITLE))

    def as_csv(self) -> str:
        """Return the filtered and sorted rows, and the lines below them."""
        return as_csv(self.state, self.table_shown(is_folded=False), self.session_view)

    def _write(self, form: str, text: str) -> None:
        name = f"pgiostat-{self.state.view.name.lower()}-{self._clock():%Y%m%dT%H%M%SZ}.{form}"
        path = self._out / name
        try:
            with path.open("x", encoding="utf-8", newline="") as file:
                file.write(text)
        except OSError as error:
            self.notify(f"could not write {path}: {error.strerror}", severity="error")
            return
        self.notify(f"written: {path}")
