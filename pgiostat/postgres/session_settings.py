"""Settings of our own session: read only, and bounded."""

from collections.abc import Mapping

STATEMENT_TIMEOUT = "10s"
WORK_MEM = "64MB"
"""pg_stat_statements() needs some 30 MB at 50,000 entries, or it spills to disk at each call."""

READ_ONLY = "default_transaction_read_only"
SESSION_SETTINGS = {
    READ_ONLY: "on",
    "statement_timeout": STATEMENT_TIMEOUT,
    "lock_timeout": "1s",
    "idle_in_transaction_session_timeout": "10s",
    "work_mem": WORK_MEM,
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "plan_cache_mode": "force_generic_plan",
    # What we send is qualified, for poolers drop these options. This is the second lock.
    "search_path": "pg_catalog,pg_temp",
    "timezone": "UTC",
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "standard_conforming_strings": "on",
    # A hot standby refuses serializable transactions.
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    # A database's owner can set these for everybody who connects to it.
    "role": "none",
    "exit_on_error": "off",
    "local_preload_libraries": "",
}
"""Settings of our own session: read only by construction, and bounded.

They are start-up options and not SET: a pooler would pass a connection to other clients with our
SET still in force, and their writes would fail. Two exceptions connect as psql does with the
same string, and set them afterwards: target_session_attrs, for which libpq looks at
default_transaction_read_only, and a login event trigger that fails with our settings.
"""

_OF_PLANS = ("work_mem", "jit", "max_parallel_workers_per_gather", "plan_cache_mode")
PLAN_SETTINGS = {
    **{name: value for name, value in SESSION_SETTINGS.items() if name not in _OF_PLANS},
    "statement_timeout": "2s",
    "lock_timeout": "500ms",
}
"""Settings of a session that plans the statements of others: the planner decides as for them."""

SESSION_LIMITS = {"idle_session_timeout": 140000, "transaction_timeout": 170000}
"""Limits that end a whole session, by the first version that has them.

A role or a database may have them, and we end them with the first statement. They are no start-up
options at the first try: older servers refuse names that they do not know.
"""
LIMITS_BY_SQLSTATE = {
    "25P03": "idle_in_transaction_session_timeout",
    "25P04": "transaction_timeout",
    "57P05": "idle_session_timeout",
}
"""The setting for which a server ends a session, by the SQLSTATE of its last message."""


def as_options(settings: Mapping[str, str]) -> str:
    """Return settings as the start-up option that libpq calls options."""
    return " ".join(
        "-c " + f"{name}={value}".replace("\\", "\\\\").replace(" ", "\\ ")
        for name, value in settings.items()
    )


SESSION_OPTIONS = as_options(SESSION_SETTINGS)
