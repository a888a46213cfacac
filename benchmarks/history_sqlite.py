"""The questions of a week asked of SQLite, in a process that does nothing else.

    python benchmarks/history_sqlite.py FILE QUESTION SINCE UNTIL

Times are microseconds since 1970. SQLite is told all that helps it: categories are stored, and
statements are added up before their texts are joined. A whole table is read in its own order,
not by way of the index (+ts).
"""

import sqlite3
import sys

QUESTIONS = {
    "fingerprints": """
        SELECT d.fingerprint, SUM(s.calls), SUM(s.blocks) AS read, SUM(s.read_us), SUM(s.timed)
          FROM (SELECT sid, SUM(calls) AS calls, SUM(read_us) AS read_us, SUM(timed) AS timed,
                       SUM(shared_blks_read + local_blks_read) AS blocks
                  FROM stmt WHERE +ts >= ? AND +ts < ? GROUP BY sid) AS s
          JOIN dim AS d USING (sid)
         GROUP BY d.fingerprint ORDER BY read DESC, d.fingerprint LIMIT 20""",
    "minutes": """
        SELECT d.category, s.minute, SUM(s.blocks)
          FROM (SELECT sid, ts / 60000000 AS minute,
                       SUM(shared_blks_read + local_blks_read) AS blocks
                  FROM stmt WHERE ts >= ? AND ts < ? GROUP BY sid, ts / 60000000) AS s
          JOIN dim AS d USING (sid)
         GROUP BY d.category, s.minute ORDER BY d.category, s.minute""",
    "days": """
        SELECT d.fingerprint, s.day, SUM(s.calls), SUM(s.blocks)
          FROM (SELECT sid, ts / 86400000000 AS day, SUM(calls) AS calls,
                       SUM(shared_blks_read + local_blks_read) AS blocks
                  FROM stmt WHERE ts >= ? AND ts < ? GROUP BY sid, ts / 86400000000) AS s
          JOIN dim AS d USING (sid)
         GROUP BY d.fingerprint, s.day ORDER BY d.fingerprint, s.day""",
}
COLUMNS = (
    "sid", "ts", "calls", "rows", "shared_blks_hit", "shared_blks_read", "local_blks_read",
    "temp_blks_read", "total_exec_time", "read_us", "timed",
)  # fmt: skip


def main() -> None:
    """Answer a question."""
    path, question, since, until = sys.argv[1:]
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA cache_size = -262144")
    for row in connection.execute(QUESTIONS[question], (int(since), int(until))):
        print(row)


if __name__ == "__main__":
    main()
