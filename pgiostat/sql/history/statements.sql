-- What each statement did in a time: whole hours from the rollup and from samples that it does
-- not have yet, the edges from the rows themselves. Whole numbers: exact, in any order.
SELECT
    f.server_id,
    f.userid,
    f.dbid,
    f.queryid,
    f.masked,
    f.toplevel,
    CAST(SUM(f.calls) AS BIGINT) AS calls,
    CAST(SUM(f.rows) AS BIGINT) AS rows,
    CAST(SUM(f.shared_blks_hit) AS BIGINT) AS shared_blks_hit,
    CAST(SUM(f.shared_blks_read) AS BIGINT) AS shared_blks_read,
    CAST(SUM(f.local_blks_read) AS BIGINT) AS local_blks_read,
    CAST(SUM(f.temp_blks_read) AS BIGINT) AS temp_blks_read,
    CAST(SUM(f.total_exec_time) AS BIGINT) AS total_exec_us,
    CAST(SUM(f.timed_read_us) AS BIGINT) AS read_us,
    CAST(SUM(f.timed_blks) AS BIGINT) AS timed_blocks,
    CAST(MAX(f.uncertain) AS BIGINT) AS uncertain
FROM (
    SELECT server_id, userid, dbid, queryid, masked, toplevel, calls, rows, shared_blks_hit,
           shared_blks_read, local_blks_read, temp_blks_read, total_exec_time, timed_read_us,
           timed_blks, uncertain
      FROM hours
     WHERE ts >= {hours_from} AND ts < {hours_until}
    UNION ALL
    SELECT server_id, userid, dbid, queryid, masked, toplevel, calls, rows, shared_blks_hit,
           shared_blks_read, local_blks_read, temp_blks_read, total_exec_time, timed_read_us,
           timed_blks, CASE WHEN basis IN (0, 1) THEN 0 ELSE 1 END
      FROM recent
     WHERE ts >= {hours_from} AND ts < {hours_until}
    UNION ALL
    SELECT server_id, userid, dbid, queryid, masked, toplevel, calls, rows, shared_blks_hit,
           shared_blks_read, local_blks_read, temp_blks_read, total_exec_time, timed_read_us,
           timed_blks, CASE WHEN basis IN (0, 1) THEN 0 ELSE 1 END
      FROM edges
     WHERE (ts >= {since} AND ts < {hours_from}) OR (ts >= {hours_until} AND ts < {until})
) AS f
WHERE {whose}
GROUP BY f.server_id, f.userid, f.dbid, f.queryid, f.masked, f.toplevel
ORDER BY f.server_id, f.userid, f.dbid, f.queryid, f.masked, f.toplevel
