"""The scenarios of the demo: database, data, workload and incidents of each."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from pgiostat.extras import require
from pgiostat.lab.data import DBNAME
from pgiostat.lab.faults.incident import WorkloadIncident
from pgiostat.lab.workload import faults, schema
from pgiostat.queries.rules import PresetChoice

__all__ = ["FOLDERS", "Scenario", "command_of", "directory_of", "scenario_of"]

FOLDERS = {"sync": "demo", "shop": "demo-shop"}
"""The directory of each scenario's server, below the user's cache."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """An application that the demo runs.

    Attributes:
        name: Its name on the command line, a key of FOLDERS.
        what: The workload, for a sentence.
        database: The name of its database.
        application: The role of the application.
        preset: The preset of rules that names its categories.
        rows: The number of rows that are loaded.
        is_loaded: Returns whether all data are in the database of a connection string.
        load: Loads the data, and calls a function with each number of further rows.
        incidents: The changes that a key causes.
    """

    name: str
    what: str
    database: str
    application: str
    preset: PresetChoice
    rows: int
    is_loaded: Callable[[str], bool]
    load: Callable[[str, schema.Progress], None]
    incidents: tuple[WorkloadIncident, ...]


def directory_of(name: str) -> Path:
    """Return the directory of a scenario's server."""
    return platformdirs.user_cache_path("pgiostat") / FOLDERS[name]


def command_of(name: str) -> str:
    """Return the arguments of pgiostat for a scenario's demo, and for no other that runs as well.

    >>> command_of("sync"), command_of("shop")
    ('demo', 'demo --scenario shop')
    """
    return "demo" if name == next(iter(FOLDERS)) else f"demo --scenario {name}"


def scenario_of(name: str) -> Scenario:
    """Return the scenario of a name, a key of FOLDERS.

    Raises:
        ExtraMissingError: SQLAlchemy is not installed, and the shop needs it.
    """
    return _shop() if name == "shop" else _sync()


def _sync() -> Scenario:
    return Scenario(
        "sync",
        "A sync workload",
        DBNAME,
        schema.WRITER,
        "sync",
        schema.DEMO.total,
        schema.is_loaded,
        lambda dsn, progress: schema.load(dsn, progress=progress),
        faults.INCIDENTS,
    )


def _shop() -> Scenario:
    require("sqlalchemy")
    # The sync system does without SQLAlchemy.
    from pgiostat.lab.workload.shop import faults as shop_faults  # noqa: PLC0415
    from pgiostat.lab.workload.shop import model, rows  # noqa: PLC0415

    return Scenario(
        "shop",
        "A web shop",
        model.SHOP,
        model.SHOP,
        "auto",
        rows.SHOP_SIZE.total,
        rows.is_loaded,
        lambda dsn, progress: rows.load(dsn, progress=progress),
        shop_faults.INCIDENTS,
    )
