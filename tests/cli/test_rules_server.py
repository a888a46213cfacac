"""pgiostat rules init and test on a server: a shop, as a role that may see statistics alone."""

import os
import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict

from pgiostat.queries.rules import load
from tests.conftest import MakeServer
from tests.support.hotel import make_hotel
from tests.support.hotel import traffic as hotel_traffic
from tests.support.program import run_program
from tests.support.shop import MONITOR, make_shop, traffic
from tests.support.workloads import client, run

pytestmark = pytest.mark.long

GROUPS = {
    "orders": ["order_items", "orders"],
    "visits": ["visits", "visits_hot", "visits_old"],
    "sales": [
        "sales.*", "customers", "invoice", "order_items", "orders", "revenue", "visits",
        "visits_hot", "visits_old",
    ],
    "stock": ["stock.*", "prices", "products"],
}  # fmt: skip # as the file has them
"""The tables of each group."""
COMMENT = re.compile(r"# (\d[\d.]*) % of reads, ([\d,]+) calls?, (\d+) statements?: (.*)")


def pgiostat(*arguments: str, width: int = 120) -> subprocess.CompletedProcess[str]:
    """Run `pgiostat rules` without a terminal."""
    return run_program("rules", *arguments, environment={**os.environ, "COLUMNS": str(width)})


def lines(text: str) -> list[str]:
    """Return lines without the blanks that fill a table."""
    return [line.rstrip() for line in text.splitlines()]


def uncommented(text: str, heading: str) -> list[dict[str, Any]]:
    """Return the rules that are comments below a heading."""
    below = text[text.index(heading) :]
    section = re.split(r"\n\n# (?=Tags|Vocabulary)", below)[0]
    kept = [line[2:] for line in section.splitlines() if re.match(r"# (\[|\w+ = )", line)]
    rules: list[dict[str, Any]] = tomllib.loads("\n".join(kept))["rule"]
    return rules


def test_a_shop_gets_a_file_that_is_useful_as_it_stands(
    make_server: MakeServer, tmp_path: Path
) -> None:
    server = make_server(shared_buffers="1MB")
    dsn = make_shop(server)
    traffic(server)
    path = tmp_path / "rules.toml"
    done = pgiostat("init", "--out", str(path), dsn)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(
        rf"wrote {re.escape(str(path))}: 5 rules for 9\d[.\d]* % of reads, keys of 6 tables;"
        r" no table is synchronized",
        lines(done.stdout)[0],
    )
    keywords = conninfo_to_dict(dsn)
    following = lines(done.stdout)[1]
    shown = shlex.split(following.removeprefix("Next: "))
    assert shown[:5] == ["pgiostat", "rules", "test", "--rules", str(path)]
    assert conninfo_to_dict(shown[5]) == keywords | {"password": "********"}
    text = path.read_text("utf-8")
    assert [rule["name"] for rule in tomllib.loads(text)["rule"]] == ["preload", *GROUPS]
    found = {rule["category"]: rule["when"].get("table") for rule in tomllib.loads(text)["rule"]}
    assert found == {"preload {table}": None, **GROUPS}
    of_rules = [COMMENT.fullmatch(line) for line in text.splitlines()]
    measured = [(each[4], int(each[2]), int(each[3])) for each in of_rules if each]
    assert measured[:5] == [
        ("rows loaded by a list of foreign keys, as mappers do", 1, 1),
        ("2 tables named after orders", 3, 3),
        ("table visits, and its partitions", 2, 2),
        ("schema sales, 5 tables and 1 view", 1, 1),
        ("schema stock, 2 tables", 2, 2),
    ]
    assert "#   order_items · order_id in ($) · *\n" in text
    roles = uncommented(text, "# Roles.")
    assert [rule["when"] for rule in roles] == [
        {"user": "shop_web"},
        {"user": "bi_reports"},
        {"user": "shop_jobs"},
    ]
    tags = {rule["when"]["tag"]: rule["category"] for rule in uncommented(text, "# Tags ")}
    assert tags == {
        "controller=orders": "orders",
        "controller=catalogue": "catalogue",
        "controller=prices": "prices",
        "route=/orders": "/orders",
        "route=/orders/<id>": "/orders/<id>",
        "route=/p": "/p",
    }
    assert "traceparent" not in text
    assert "# Of 6 tables with a primary key, 1 has a version, a time of change" in text
    assert '# keys = [\n#     "id",          # sales.customers, …\n' in text

    told = lines(pgiostat("test", "--rules", str(path), dsn).stdout)
    ruled = [re.split(r"  +", line)[0] for line in told[2:7]]
    assert sorted(ruled) == sorted(["preload order_items", *GROUPS])
    assert not [line for line in told if "statement that matches no rule" in line]
    assert len(load(path, "general").rules) == 10


HOTEL = {
    "job queue": ("queue", {"table": "task"}, 5),
    "invoice": ("invoice", {"table": ["invoice", "invoice_line"]}, 4),
    "payment": ("payment", {"table": ["payment", "refund"]}, 2),
    "billing": (
        "billing",
        {"table": ["billing.*", "invoice", "invoice_line", "payment", "refund", "revenue"]},
        2,
    ),
    "booking": ("booking", {"table": "booking"}, 3),
    "room": ("room", {"table": ["room", "room_tag", "room_type"]}, 1),
    "billing routines": (
        "billing", {"verb": ["function", "procedure"], "calls": "billing.*"}, 2
    ),
    "stay routines": ("stay", {"verb": ["function", "procedure"], "calls": "stay.*"}, 1),
    "month_report": ("month_report", {"table": "month_report"}, 1),
}  # fmt: skip # as the file has them
"""Category, conditions and statements of each rule for the hotel."""


def test_a_hotel_gets_rules_for_its_queue_partitions_and_procedures(
    make_server: MakeServer, tmp_path: Path
) -> None:
    server = make_server(shared_buffers="1MB")
    dsn = make_hotel(server)
    hotel_traffic(server)
    path = tmp_path / "rules.toml"
    done = pgiostat("init", "--out", str(path), dsn)
    assert (done.returncode, done.stderr) == (0, "")
    text = path.read_text("utf-8").partition("\n# Roles.")[0]
    measured = {
        name: (int(statements), example)
        for statements, example, name in re.findall(
            r'# \S+ % of reads, .*?, (\d+) statements?: .*\n#   (.*)\n\[\[rule\]\]\nname = "(.*)"',
            text,
        )
    }
    rules = {rule["name"]: rule for rule in tomllib.loads(text)["rule"]}
    assert {
        name: (rules[name]["category"], rules[name]["when"], measured[name][0]) for name in HOTEL
    } == HOTEL
    # PostgreSQL 19 checks most foreign keys without a query of guests, the rest of schema stay.
    assert set(rules) - set(HOTEL) == {"preload", "stay"}
    assert list(rules)[:2] == ["preload", "job queue"]
    examples = {name: example for name, (_, example) in measured.items()}
    assert examples["billing routines"] == "call billing.close_month($)"
    assert examples["billing"] == "refresh materialized view concurrently billing.revenue"
    assert not re.search(r"@\d", " ".join(examples.values()))

    shown = lines(pgiostat("test", "--rules", str(path), dsn, width=150).stdout)
    categories = [re.split(r"  +", line)[0] for line in shown[2:] if not line.startswith("Next")]
    assert set(categories) == {
        "queue", "invoice", "payment", "billing", "booking", "room", "stay", "preload room_tag",
        "month_report", "session", "pgiostat",
    }  # fmt: skip
    assert not [line for line in shown if re.search(r"@\d", line)]
    assert not [line for line in shown if line.startswith("when = ")]


def test_statements_that_no_rule_takes_get_rules_that_take_them(
    make_server: MakeServer, tmp_path: Path
) -> None:
    server = make_server(shared_buffers="1MB")
    dsn = make_shop(server)
    traffic(server)
    done = pgiostat("test", dsn, width=80)
    assert (done.returncode, done.stderr) == (0, "")
    proposed = done.stdout.partition("Proposed rules, for a rules file:\n")[2]
    written = proposed.partition("\nTo see the features")[0]
    rules = tomllib.loads(written)["rule"]
    assert {rule["name"]: rule["when"]["table"] for rule in rules} == GROUPS
    path = tmp_path / "rules.toml"
    path.write_text(f"schema = 1\n{written}", "utf-8")
    assert "Proposed rules" not in pgiostat("test", "--rules", str(path), dsn).stdout
    page = pgiostat("test", dsn, "--format", "markdown").stdout
    assert tomllib.loads(page.partition("```toml\n")[2].partition("```")[0])["rule"] == rules
    assert "| proposed rule |\n" in page


def test_the_vocabulary_is_in_force_where_statements_show_synchronization(
    make_server: MakeServer,
) -> None:
    database = make_server().dsn()
    with client(database) as setup:
        setup.execute("CREATE EXTENSION pg_stat_statements")
        setup.execute("CREATE TABLE parcel (id int PRIMARY KEY, rev bigint, pad text)")
        setup.execute("CREATE TABLE parcel_note (id int PRIMARY KEY, pad text)")
        quiet = tomllib.loads(pgiostat("init", "--out", "-", database).stdout)
        assert quiet == {
            "schema": 1,
            "rule": [
                {
                    "name": "parcel",
                    "category": "parcel",
                    "when": {"table": ["parcel", "parcel_note"]},
                }
            ],
        }
        run(setup, "SELECT max(rev) FROM parcel")
        run(setup, "SELECT id, rev FROM parcel WHERE id BETWEEN 1 AND 9 ORDER BY id")
    sync = {
        "schema": 1,
        "vocab": {"synced": ["parcel"], "versions": ["rev", "xmin"], "keys": ["id"]},
    }
    written = pgiostat("init", "--out", "-", database).stdout
    assert tomllib.loads(written) == sync
    assert '# when = { table = ["parcel", "parcel_note"] }\n' in written
    by_option = pgiostat("init", "--out", "-", "--preset", "general", database).stdout
    assert tomllib.loads(by_option) == quiet
    assert (
        tomllib.loads(pgiostat("init", "--out", "-", "--preset", "sync", database).stdout) == sync
    )


def test_groups_follow_from_the_catalog_alone_before_statements_ran(database: str) -> None:
    with client(database) as setup:
        setup.execute("CREATE TABLE product (id int PRIMARY KEY)")
        setup.execute(
            "CREATE TABLE price (product_id int PRIMARY KEY REFERENCES product, price numeric)"
        )
    done = pgiostat("init", "--out", "-", database)
    assert (done.returncode, done.stderr) == (0, "")
    assert tomllib.loads(done.stdout)["rule"] == [
        {"name": "product", "category": "product", "when": {"table": ["product", "price"]}}
    ]
    example = "# no statement yet: product, and tables that belong to it by foreign keys\n[[rule]]"
    assert example in done.stdout


def test_a_server_without_the_extension_gets_no_file(database: str, tmp_path: Path) -> None:
    with client(database) as setup:
        setup.execute("DROP EXTENSION pg_stat_statements")
    path = tmp_path / "rules.toml"
    done = pgiostat("init", "--out", str(path), database)
    assert (done.returncode, done.stdout, path.exists()) == (1, "", False)
    assert done.stderr.startswith("pgiostat: error: ")
    assert "pg_stat_statements" in done.stderr


def test_a_role_without_the_right_gets_groups_and_the_statement_that_gives_it(
    make_server: MakeServer,
) -> None:
    server = make_server()
    dsn = make_shop(server)
    traffic(server)
    with client(server.dsn()) as setup:
        setup.execute(f"REVOKE pg_monitor FROM {MONITOR}".encode())
    done = pgiostat("init", "--out", "-", dsn)
    assert (done.returncode, done.stderr) == (0, "")
    assert [rule["name"] for rule in tomllib.loads(done.stdout)["rule"]] == [
        "visits", "sales", "stock",
    ]  # fmt: skip
    hidden = next(line for line in done.stdout.splitlines() if "GRANT" in line)
    assert hidden == (
        f"# Statements of other users are hidden from {MONITOR}:"
        f' GRANT pg_read_all_stats TO "{MONITOR}";'
    )
