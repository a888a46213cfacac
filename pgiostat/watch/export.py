"""Exports of `watch`: the clipboard, a CSV file, a picture."""

from pgiostat.escape import pasted
from pgiostat.watch.display import WatchDisplay
from pgiostat.watch.screen.csv_export import as_csv

__all__ = ["ExportActions"]


class ExportActions(WatchDisplay):
    """The actions that copy or write what is shown."""

    def action_copy(self) -> None:
        """Copy the selected row: the text of a statement, or its name."""
        row = self._chosen()
        if row is None:
            return
        text = row.of.text if row.of is not None and row.of.text else row.name
        self.copy_to_clipboard(pasted(text))
        self.notify("copied")

    def action_export(self) -> None:
        """Write the table as CSV."""
        self._write("csv", self.as_csv())

    def action_picture(self) -> None:
        """Write the screen as SVG."""
        self._write("svg", self.export_screenshot(title=self.TITLE))

    def as_csv(self) -> str:
        """Return the filtered and sorted rows, and the lines below them."""
        return as_csv(self.state, self._table, self.session_view)

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
