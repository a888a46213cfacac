"""Where servers of the tests are kept between runs."""

import os
from pathlib import Path

import platformdirs

__all__ = ["server_cache"]


def server_cache() -> Path:
    """Return the directory in which servers are kept between runs.

    Root's is the machine's cache: the user whom its servers run as cannot enter root's own.
    """
    if named := os.environ.get("PGIOSTAT_TEST_CACHE"):
        return Path(named)
    cache = platformdirs.site_cache_path if os.geteuid() == 0 else platformdirs.user_cache_path
    return cache("pgiostat") / "servers"
