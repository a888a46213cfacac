-- What statements counted in a time, row by row: whole hours from the rollup and from samples that
-- it does not have yet, the edges from the rows themselves. Part of other texts.
    SELECT server_id, sid, ts, userid, dbid, queryid, masked, toplevel, calls, rows,
           shared_blks_hit, shared_blks_read, local_blks_read, temp_blks_read,
           total_exec_time, timed_read_us, timed_blks, physical_bytes, traced_blks, uncertain
      FROM hours
     WHERE ts >= {hours_from} AND ts < {hours_until}
    UNION ALL
    SELECT server_id, sid, ts, userid, dbid, queryid, masked, toplevel, calls, rows,
           shared_blks_hit, shared_blks_read, local_blks_read, temp_blks_read,
           total_exec_time, timed_read_us, timed_blks, physical_bytes, traced_blks,
           CASE WHEN basis IN (0, 1) THEN 0 ELSE 1 END
      FROM recent
     WHERE ts >= {hours_from} AND ts < {hours_until}
    UNION ALL
    SELECT server_id, sid, ts, userid, dbid, queryid, masked, toplevel, calls, rows,
           shared_blks_hit, shared_blks_read, local_blks_read, temp_blks_read,
           total_exec_time, timed_read_us, timed_blks, physical_bytes, traced_blks,
           CASE WHEN basis IN (0, 1) THEN 0 ELSE 1 END
      FROM edges
     WHERE (ts >= {since} AND ts < {hours_from}) OR (ts >= {hours_until} AND ts < {until})
