from pathlib import Path
from benchmarks.history_report import Figures


def collector(directory: Path, report: Figures, *, quick: bool) -> None: ...
