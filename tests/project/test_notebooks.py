"""Each notebook runs from top to bottom on the sample history, and what it shows is there."""

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from pgiostat.history.format.root import check

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))
CHARTS = {"explore.ipynb": 6, "fix.ipynb": 1, "investigation.ipynb": 4}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the kernel's own start
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs_and_shows_what_it_says(path: Path) -> None:
    notebook: Any = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    client = NotebookClient(
        notebook, timeout=120, resources={"metadata": {"path": str(path.parent)}}
    )
    client.execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    outputs = [output for cell in code for output in cell.outputs]
    assert [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"] == []
    assert all(cell.outputs for cell in code)
    data = [output.get("data", {}) for output in outputs]
    charts = [
        shown["text/html"] for shown in data if shown.get("text/plain", "").startswith("alt.")
    ]
    assert len(charts) == CHARTS[path.name]
    assert all('"datasets": {"data-' in chart for chart in charts)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_kept_without_outputs(path: Path) -> None:
    notebook: Any = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    assert not any(cell.get("outputs") for cell in notebook.cells)


@pytest.mark.parametrize("place", ["history", "fix", "investigation/history"])
def test_a_sample_history_names_no_machine(place: str) -> None:
    root = ROOT / "sample_data" / place
    layout = check(root)
    assert not any(layout.root.glob("hot/*/*/baseline"))
    size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    assert size < 5_000_000
