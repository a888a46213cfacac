"""kill -9 at any instant: what was acknowledged is there, once, and totals go on."""

import os
import re
import subprocess
import sys
from pathlib import Path

KILLS = int(os.environ.get("KILLS", "15"))
ROOT = Path(__file__).parent.parent


def test_no_kill_loses_or_doubles_what_was_acknowledged(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.kill_loop", str(tmp_path / "history"), str(KILLS)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = re.fullmatch(r"(\d+) kills, (\d+) intervals", done.stdout.strip())
    assert found is not None
    assert (int(found[1]), int(found[2]) > KILLS // 2) == (KILLS, True)
